"""The PDF against PDF/A-3a (ISO 19005-3), clause by clause, as far as a reader of its own sees.

These are the clauses that pages of text, tables, vector pictures and links with one attachment can
break. A validator of PDF/A looks at more: that none of these is broken is no proof of conformance.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from xml.etree import ElementTree

import pytest
from fontTools.ttLib import TTFont
from pdf_reader import Pdf, Ref, Stream, operators, read_pdf
from PIL import Image

from auditor.record.files import to_json
from auditor.reports.drawing.pictures import pictures
from auditor.reports.html import report_html
from auditor.reports.pdf import Enclosed, made_pdf
from auditor.reports.pdf_apart import enclosed
from auditor.reports.templates import template_text

PDFAID = "{http://www.aiim.org/pdfa/ns/id/}"
STRUCTURE = re.compile(
    "Document|Part|Art|Sect|Div|BlockQuote|Caption|TOC|TOCI|Index|NonStruct|Private|P|H[1-6]?|L|LI|"
    "Lbl|LBody|Table|TR|TH|TD|THead|TBody|TFoot|Span|Quote|Note|Reference|BibEntry|Code|Link|"
    "Annot|Figure|Formula|Form"
)
"""The standard structure types of ISO 32000-1, 14.8.4, less Ruby and Warichu."""

FORBIDDEN = {
    "encryption, scripts, forms": {"Encrypt", "JS", "JavaScript", "XFA", "AA", "OpenAction"},
    "files outside, other data in streams": {"FFilter", "FDecodeParms", "Alternates", "OPI", "Ref"},
    "settings of a printer": {"TR", "TR2", "HTP"},
    "players, and what a reader may hide": {"Movie", "Sound", "RichMedia", "OCProperties"},
}
FILTERS = {None, "FlateDecode", "DCTDecode"}
BLENDS = {None, "Normal", "Compatible", "Multiply", "Screen", "Overlay", "Darken", "Lighten"}
DRAWS = {b"Tj", b"TJ", b"f", b"f*", b"F", b"S", b"s", b"B", b"B*", b"b", b"b*", b"Do", b"sh"}


PAGE = """<html lang="en"><head><meta name="generator" content="auditor"><title>T</title></head>
<body><h1 id="a">One</h1><h2>Two</h2><p><a href="#a">up</a> and on</p><table><caption>C</caption>
<thead><tr><th>x</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table><svg role="img"
aria-label="a line" viewBox="0 0 9 9" width="9" height="9"><title>a line</title><path d="M0 0L9 9"
stroke="red" opacity=".8"/></svg>{photo}<p style="break-before: page">End</p></body></html>"""


def photo() -> str:
    """A photo as the report shows it; printed reports of the style sheet never smooth one."""
    held = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(held, "JPEG")
    source = f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}"
    return f'<style>{template_text("report.css")}</style><img alt="a room" src="{source}">'


@pytest.fixture(scope="module")
def made() -> bytes:
    """Two pages with one of each: heading, link, table, picture, attachment."""
    page = PAGE.replace("{photo}", photo())
    return made_pdf(page, Enclosed("{}", "0" * 64, "2026-11-22T09:30:00+00:00")).data


def test_no_clause_is_broken_by_a_report(failing):
    kept = ("performance/overall", "performance/consequences", "bias/error-rates")
    results = tuple(r for r in failing.results if r.check in kept)
    findings = tuple(f for f in failing.findings if f.check in kept)
    ids = {f.id for f in findings}
    record = dataclasses.replace(
        failing,
        results=results,
        findings=findings,
        limit_results=tuple(r for r in failing.limit_results if set(r.findings) <= ids),
        check_texts=(),
    )
    page = report_html(record, pictures=pictures(record), for_browser=False)
    made = made_pdf(page, enclosed(record)).data
    assert re.match(rb"%PDF-1\.[4-7]\n%[\x80-\xff]{4}", made)
    pdf = read_pdf(made)
    assert list(broken(pdf)) == []
    inside = [o.data for o in pdf.objects.values()
              if isinstance(o, Stream) and o.entries.get("Type") == "EmbeddedFile"]  # fmt: skip
    assert inside == [to_json(record).encode()]


def test_the_page_that_is_spoiled_below_breaks_no_clause_as_it_is(made):
    assert list(broken(read_pdf(made))) == []


@pytest.mark.parametrize(
    ("key", "was", "becomes", "told"),
    [
        ("ID", None, [], "ID"),
        ("Marked", True, False, "MarkInfo"),
        ("Lang", None, b"", "language"),
        ("DisplayDocTitle", True, False, "title"),
        ("Metadata", None, Stream({}, b"<x/>"), "part 3, level A"),
        ("S", "GTS_PDFA1", "GTS_PDFX", "output intent"),
        ("N", 3, 4, "profile"),
        ("AF", None, [], "AF"),
        ("AFRelationship", "Data", "Other", "AFRelationship"),
        ("UF", None, b"", "name"),
        ("Subtype", "application/json", "json", "MIME"),
        ("FontFile2", None, None, "embedded"),
        ("ToUnicode", None, None, "ToUnicode"),
        ("CIDToGIDMap", "Identity", None, "CIDToGIDMap"),
        ("W", None, [0, [1, 2, 3, 4, 5, 6, 7]], "widths"),
        ("S", "Figure", "Picture", "structure type"),
        ("Alt", None, b" ", "without words"),
        ("S", "H2", "H4", "heading"),
        ("S", "TD", "P", "row"),
        ("Subtype", "Link", "Screen", "annotation"),
        ("F", 4, 2, "printed"),
        ("Outlines", None, None, "bookmarks"),
        ("StructParents", 1, 5000, "page"),
        ("ca", 0.8, 1.5, "opacity"),
        ("CS", None, None, "group"),
        ("Filter", "FlateDecode", "LZWDecode", "packed"),
        ("Interpolate", False, True, "smoothed"),
        ("Creator", None, Ref(0), "missing"),
    ],
)  # fmt: skip
def test_each_clause_is_looked_at(made, key, was, becomes, told):
    """The same file with one thing spoiled: a check that cannot fail shows nothing."""
    pdf = read_pdf(made)
    spoiled = [d for d in dictionaries(pdf) if key in d and was in (None, d[key])]
    assert spoiled, (key, was)
    for each in spoiled:
        if becomes is None:
            del each[key]
        else:
            each[key] = becomes
    assert any(told in text for text in broken(pdf)), list(broken(pdf))


@pytest.mark.parametrize("key", ["Encrypt", "JavaScript", "OpenAction", "TR", "FFilter"])
def test_what_is_forbidden_is_seen_anywhere(made, key):
    for holder in ("Catalog", "Page", "Font"):
        pdf = read_pdf(made)
        next(d for d in dictionaries(pdf) if d.get("Type") == holder)[key] = True
        assert any(f"has {key}" in text for text in broken(pdf))


def test_what_is_drawn_outside_of_a_tag_is_seen(made):
    pdf = read_pdf(made)
    number = next(n for n, o in pdf.objects.items() if isinstance(o, dict)
                  and o.get("Type") == "Page")  # fmt: skip
    content = pdf.objects[number]["Contents"].number
    old = pdf.objects[content]
    for more, told in ((b" 0 0 9 9 re f", "outside of a tag"), (b" q" * 30 + b" Q" * 30, "nested"),
                       (b" 0 0 0 1 k", "CMYK")):  # fmt: skip
        pdf.objects[content] = Stream(old.entries, old.data + more)
        assert any(told in text for text in broken(pdf)), told


def dictionaries(pdf: Pdf) -> Iterator[dict]:
    """Every dictionary of a file, also those inside of others."""
    waiting = [pdf.trailer, *pdf.objects.values()]
    while waiting:
        one = waiting.pop()
        one = one.entries if isinstance(one, Stream) else one
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def broken(pdf: Pdf) -> Iterator[str]:
    """Clauses of PDF/A-3a that a file breaks, a sentence each; what could not be read ends it."""
    lost = {v.number for d in dictionaries(pdf) for v in values(d) if isinstance(v, Ref)}
    lost -= pdf.objects.keys()
    if lost:
        yield f"objects {sorted(lost)} are missing"
        return
    root = pdf.get(pdf.trailer, "Root")
    yield from _whole(pdf, root)
    yield from _metadata(pdf, root)
    yield from _attachments(pdf, root)
    yield from _fonts(pdf)
    yield from _structure(pdf, root)
    for number, page in enumerate(pages(pdf, root)):
        yield from (f"page {number + 1}: {text}" for text in _page(pdf, page))


def values(holder: dict) -> Iterator[object]:
    for value in holder.values():
        yield from value if isinstance(value, list) else (value,)


def pages(pdf: Pdf, root: dict) -> list[dict]:
    return [pdf.follow(kid) for kid in pdf.get(root, "Pages", "Kids")]


def _whole(pdf: Pdf, root: dict) -> Iterator[str]:
    """6.1: what a file may hold at all, and 6.2.2: in which colours it is meant."""
    if len(pdf.trailer.get("ID", ())) != 2:
        yield "the trailer has no ID"
    for one in dictionaries(pdf):
        for what, keys in FORBIDDEN.items():
            yield from (f"{what}: a dictionary has {key}" for key in keys & one.keys())
        yield from _limited(one)
    intents = pdf.get(root, "OutputIntents") or []
    if [pdf.get(one, "S") for one in intents] != ["GTS_PDFA1"]:
        yield "there is no output intent of PDF/A"
    for one in intents:
        profile = pdf.get(one, "DestOutputProfile")
        kind = (profile.data[12:16], profile.data[16:20], profile.data[36:40])
        if kind != (b"mntr", b"RGB ", b"acsp") or profile.entries.get("N") != 3:
            yield f"the colour profile is {kind}"


def _limited(one: dict) -> Iterator[str]:
    long = [key for key, text in one.items() if isinstance(text, bytes) and len(text) > 32767]
    opacities = (one.get("ca", 1), one.get("CA", 1))
    for broke, text in (
        (one.get("Filter") not in FILTERS, f"packed by {one.get('Filter')}"),
        (not all(0 <= part <= 1 for part in opacities), f"an opacity is one of {opacities}"),
        (one.get("BM") not in BLENDS, f"the blend mode is {one.get('BM')}"),
        (one.get("S") == "Transparency" and not one.get("CS"), "a group has no colour space"),
        (one.get("Interpolate", False), "a picture is smoothed"),
        (bool(long), f"{long} are too long"),
    ):  # fmt: skip
        if broke:
            yield text


def _metadata(pdf: Pdf, root: dict) -> Iterator[str]:
    """6.6: what the file says that it is, and that its two places for metadata agree."""
    text = pdf.get(root, "Metadata").data.decode()
    said = {}
    for element in ElementTree.fromstring(re.sub(r"<\?xpacket.*?\?>", "", text)).iter():
        said |= element.attrib | {element.tag: (element.text or "").strip()}
    if (said.get(f"{PDFAID}part"), said.get(f"{PDFAID}conformance")) != ("3", "A"):
        yield "the metadata do not say part 3, level A"
    info = pdf.get(pdf.trailer, "Info")
    for key in ("Title", "Creator", "Producer"):
        stated = info[key].decode("utf-16" if info[key][:1] == b"\xfe" else "ascii")
        if stated not in said.values():
            yield f"{stated!r} stands in the document’s information alone"
    for right, text in (
        (bool(pdf.get(root, "Lang")), "no language is stated"),
        (pdf.get(root, "ViewerPreferences", "DisplayDocTitle"), "a reader shows no title"),
        (pdf.get(root, "MarkInfo", "Marked"), "MarkInfo does not say that it is tagged"),
        (bool(pdf.get(root, "Outlines")), "there are no bookmarks"),
    ):
        if right is not True:
            yield text


def _attachments(pdf: Pdf, root: dict) -> Iterator[str]:
    """6.8: each attached file is named, of a MIME type, and related to the document."""
    held = [v for d in dictionaries(pdf) if "EF" in d for v in [d]]
    listed = [pdf.follow(one) for one in pdf.get(root, "AF") or ()]
    if [id(one) for one in held] != [id(one) for one in listed]:
        yield "AF of the catalog does not list each attachment once"
    for one in held:
        if one.get("AFRelationship") != "Data":
            yield f"AFRelationship is {one.get('AFRelationship')}"
        if not one.get("F") or not one.get("UF") or not one.get("Desc"):
            yield "an attachment lacks its name or description"
        file = pdf.get(one, "EF", "F")
        if not re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", str(file.entries.get("Subtype"))):
            yield f"an attachment has no MIME type but {file.entries.get('Subtype')}"
        if pdf.get(file, "Params", "Size") != len(file.data) or "ModDate" not in pdf.get(
            file, "Params"
        ):
            yield "an attachment’s size or date is not the one stated"


def _fonts(pdf: Pdf) -> Iterator[str]:
    """6.2.11: each font lies in the file, with its widths, and every glyph has its character."""
    composed = [d for d in dictionaries(pdf) if d.get("Subtype") == "Type0"]
    alone = [d for d in dictionaries(pdf) if d.get("Subtype") in ("Type1", "TrueType", "Type3")]
    if alone or not composed:
        yield f"fonts of other kinds: {[d['Subtype'] for d in alone]}"
    for font in composed:
        name, inner = font["BaseFont"], pdf.get(font, "DescendantFonts", 0)
        file = pdf.get(inner, "FontDescriptor", "FontFile2")
        if file is None:
            yield f"{name} is not embedded"
            continue
        if inner.get("CIDToGIDMap") != "Identity" or font["Encoding"] != "Identity-H":
            yield f"{name}: no CIDToGIDMap"
        glyphs = shown_glyphs(pdf, font)
        if 0 in glyphs:
            yield f"{name}: a character is drawn as an empty box"
        if not glyphs <= (known := unicodes(pdf, font)).keys():
            yield f"{name}: ToUnicode lacks glyphs {sorted(glyphs - known.keys())}"
        if bad := [u for u in known.values() if not u or set(u) & set("\0\ufeff\ufffe")]:
            yield f"{name}: ToUnicode gives {bad}"
        yield from _widths(name, pdf.follow(inner["W"]), file.data, glyphs)


def _widths(name: str, stated: list, file: bytes, glyphs: set[int]) -> Iterator[str]:
    font = TTFont(io.BytesIO(file))
    real, scale = font["hmtx"].metrics, 1000 / font["head"].unitsPerEm
    widths = {}
    for first, row in zip(stated[::2], stated[1::2], strict=True):
        widths |= {first + i: width for i, width in enumerate(row)}
    order = font.getGlyphOrder()
    off = [g for g in glyphs if abs(widths.get(g, 1000) - real[order[g]][0] * scale) > 1]
    if off:
        yield f"{name}: the widths of glyphs {off[:5]} are not those of the font"


def unicodes(pdf: Pdf, font: dict) -> dict[int, str]:
    """The characters of each glyph by a font's ToUnicode."""
    table = pdf.get(font, "ToUnicode")
    pairs = re.findall(rb"<([0-9a-fA-F]+)> *<([0-9a-fA-F]*)>\s*\n", table.data if table else b"")
    return {int(a, 16): bytes.fromhex(b.decode()).decode("utf-16-be") for a, b in pairs}


def shown_glyphs(pdf: Pdf, font: dict) -> set[int]:
    """The glyphs of one font that pages and pictures draw."""
    found: set[int] = set()
    for resources, content in contents(pdf):
        fonts, current = pdf.get(resources, "Font") or {}, None
        for operator, given in operators(content):
            if operator == b"Tf":
                current = pdf.follow(fonts[given[0]])
            elif operator in (b"TJ", b"Tj") and current is font:
                text = given[0] if isinstance(given[0], list) else given
                data = b"".join(part for part in text if isinstance(part, bytes))
                found |= {int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)}
    return found


def contents(pdf: Pdf) -> Iterator[tuple[dict, bytes]]:
    """What is drawn, with what it draws from: pages, and the groups that pages draw."""
    for one in list(pdf.objects.values()):
        if isinstance(one, dict) and one.get("Type") == "Page":
            yield pdf.get(one, "Resources"), pdf.get(one, "Contents").data
        elif isinstance(one, Stream) and one.entries.get("Subtype") == "Form":
            yield pdf.get(one, "Resources"), one.data


def _structure(pdf: Pdf, root: dict) -> Iterator[str]:
    """6.7: standard types, words for each picture, headings that skip no level, whole tables."""
    headings = [1]
    for element in elements(pdf, pdf.get(root, "StructTreeRoot")):
        kind, inside = element["S"], [pdf.get(k, "S") for k in kids(pdf, element)]
        if not STRUCTURE.fullmatch(kind):
            yield f"structure type {kind} is not of the standard"
        if kind == "Figure" and not element.get("Alt", b"").strip():
            yield "a picture is without words"
        if re.fullmatch("H[1-6]", kind):
            headings.append(int(kind[1]))
        if kind == "TR" and not set(inside) <= {"TH", "TD"}:
            yield f"a row of a table holds {inside}"
        if kind == "Table" and not set(inside) <= {"Caption", "THead", "TBody", "TR"}:
            yield f"a table holds {inside}"
    if any(after > before + 1 for before, after in pairwise(headings)):
        yield f"a heading skips a level: {headings}"


def kids(pdf: Pdf, element: dict) -> list[dict]:
    found = pdf.get(element, "K")
    found = found if isinstance(found, list) else [found]
    return [one for k in found if isinstance(one := pdf.follow(k), dict) and "S" in one]


def elements(pdf: Pdf, top: dict) -> Iterator[dict]:
    for one in kids(pdf, top):
        yield one
        yield from elements(pdf, one)


def _page(pdf: Pdf, page: dict) -> Iterator[str]:
    """6.1.13, 6.2.4, 6.3, 6.7.3: depth, colours, links, and that all that is drawn has a tag."""
    for note in map(pdf.follow, page.get("Annots", ())):
        if note.get("Subtype") != "Link":
            yield f"an annotation is a {note.get('Subtype')}"
        if note.get("F", 0) & 0b100111 != 4:
            yield "a link is not printed, or hidden"
        if pdf.get(note, "A", "S") not in (None, "URI", "GoTo"):
            yield f"a link does {pdf.get(note, 'A', 'S')}"
    drawn = list(operators(pdf.get(page, "Contents").data))
    deepest = max(accumulate((name == b"q") - (name == b"Q") for name, _ in drawn))
    if deepest > 28:
        yield f"states are nested {deepest} deep"
    if {b"k", b"K"} & {name for name, _ in drawn}:
        yield "CMYK is used, and the output intent is RGB"
    tags: set[int] = set()
    yield from _untagged(pdf, drawn, tags)
    held = dict(_parents(pdf)).get(page.get("StructParents"), [])
    if not all(number < len(held) and held[number] is not None for number in tags):
        yield "a tag of the page belongs to nothing"


def _untagged(pdf: Pdf, drawn: list, tags: set[int]) -> Iterator[str]:
    """What is drawn neither in a tag nor as decoration; `tags` takes the numbers of the tags."""
    open_: list[bool] = []
    for name, given in drawn:
        if name in (b"BMC", b"BDC"):
            number = pdf.get(given[1], "MCID") if name == b"BDC" else None
            open_.append(given[0] == "Artifact" or number is not None)
            tags |= {number} - {None}
        elif name == b"EMC":
            open_.pop()
        elif name in DRAWS and not any(open_):
            yield f"{name.decode()} draws outside of a tag"


def _parents(pdf: Pdf) -> Iterator[tuple[int, list]]:
    numbers = pdf.get(pdf.trailer, "Root", "StructTreeRoot", "ParentTree", "Nums")
    for key, value in zip(numbers[::2], numbers[1::2], strict=True):
        yield key, pdf.follow(value)
