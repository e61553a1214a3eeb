"""The PDF: the same bytes each time, tagged, the record inside, nothing fetched, no warning."""

import contextlib
import dataclasses
import logging
import os
import re
import subprocess
import sys
import zlib

import pytest

from auditor.errors import MissingLibraryError
from auditor.judging.judged_record import from_json
from auditor.record.files import to_json, write_record
from auditor.rendering import render
from auditor.reports.drawing.pictures import pictures
from auditor.reports.html import report_html
from auditor.reports.pdf import PACKAGES, laid_out, made_pdf
from auditor.reports.pdf_apart import enclosed
from auditor.reports.templates import template_text

pytestmark = pytest.mark.slow

MARGIN = 16 / 25.4 * 96


@contextlib.contextmanager
def listened_to():
    """What WeasyPrint complains of."""
    found = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    logger = logging.getLogger("weasyprint")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


@pytest.fixture
def complaints():
    with listened_to() as found:
        yield found


@pytest.fixture(scope="module")
def small(failing):
    """The record with two checks, so that a PDF takes a second."""
    return _only(failing, ("performance/overall", "data/leakage"))


@pytest.fixture(scope="module")
def small_pdf(small):
    """Its PDF, made without a complaint."""
    with listened_to() as complaints:
        made = report_pdf(html(small), small)
    assert not complaints
    return made


@pytest.fixture(scope="module")
def small_bare_pdf(small):
    """The same without the record inside."""
    return report_pdf(html(small), small, attach=False)


def _only(failing, checks):
    kept = tuple(r for r in failing.results if r.check in checks)
    names = {r.check for r in kept}
    findings = tuple(f for f in failing.findings if f.check in names)
    ids = {f.id for f in findings}
    return dataclasses.replace(
        failing,
        results=kept,
        findings=findings,
        limit_results=tuple(r for r in failing.limit_results if set(r.findings) <= ids),
        check_texts=failing.check_texts[:1],
    )


def report_pdf(page, record, *, attach=True):
    return made_pdf(page, enclosed(record), attach=attach).data


def html(record):
    return report_html(record, pictures=pictures(record), for_browser=False)


def test_the_whole_report_raises_no_complaint_and_nothing_leaves_its_page(failing, complaints):
    document = laid_out(html(failing), pdf_variant="pdf/a-3a")
    assert not complaints
    assert 10 < len(document.pages) < 60
    _stays_on_its_pages(document)


def _stays_on_its_pages(document):
    for page in document.pages:
        for box in page._page_box.descendants():
            if getattr(box, "text", "").strip():
                right = box.position_x + box.width
                assert box.position_x >= MARGIN - 1, box.text
                assert right <= page.width - MARGIN + 1, (box.text, right)


def test_a_long_name_without_a_space_wraps(failing, complaints):
    kept = ("performance/overall", "performance/per-class", "bias/subgroup-gap", "data/leakage")
    text = to_json(_only(failing, kept))
    for name in ("accessible", "serious", "household"):
        assert name in text
        text = text.replace(name, name[0] * 180)
    document = laid_out(html(from_json(text)))
    assert not complaints
    assert len(document.pages) < 30
    _stays_on_its_pages(document)


def test_headings_do_not_stand_alone_at_the_foot_of_a_page(failing_document):
    for page in failing_document.pages:
        body = next(c for c in page._page_box.children if c.element_tag == "html")
        lines = [b for b in body.descendants() if getattr(b, "text", "").strip()]
        last = max(lines, key=lambda b: b.position_y)
        assert last.element_tag not in ("h2", "h3", "h4", "caption"), last.text


TABLE = (
    '<table class="{kind}"><caption>Of all</caption><thead><tr><th>a</th><th>b</th></tr></thead>'
    "{blocks}</table>"
)


def parts(kind: str, blocks: list[list[str]]) -> list[list[list[str]]]:
    """The rows of a table on each page that has some, for several places where it may begin."""
    line = '<tr class="{}"><td>{}</td><td>x</td></tr>'
    lines = [[line.format(row.rstrip("0123456789."), row) for row in rows] for rows in blocks]
    bodies = "".join(f"<tbody>{''.join(rows)}</tbody>" for rows in lines)
    table = TABLE.format(kind=kind, blocks=bodies)
    page = "<style>{}</style><main><div style='height:{}mm'></div><h2>Head</h2>{}</main>"
    found = []
    for height in range(160, 262, 3):
        document = laid_out(page.format(template_text("report.css"), height, table))
        pages = [texts_of(p) for p in document.pages]
        first = next(texts for texts in pages if "Head" in texts)
        assert any(text.startswith(("row", "block")) for text in first), "the heading stands alone"
        rows = [[t for t in texts if t.startswith(("row", "block"))] for texts in pages]
        found.append([texts for texts in rows if texts])
    return found


def texts_of(page) -> list[str]:
    return [t.strip() for box in page._page_box.descendants() if (t := getattr(box, "text", ""))]


def test_a_table_begins_with_three_rows_on_a_page_and_ends_with_two():
    found = parts("findings", [[f"row{i}" for i in range(12)]])
    parted = [pages for pages in found if len(pages) > 1]
    assert len({len(pages[0]) for pages in parted}) > 3, "the places tried are at no end of a page"
    assert all(len(pages[0]) >= 3 for pages in parted)
    assert all(len(pages[-1]) >= 2 for pages in parted)


def test_the_matrix_begins_with_a_block_and_three_rows_and_parts_no_block_from_its_rows():
    blocks = [[f"block{b}", *(f"row{b}.{i}" for i in range(5))] for b in range(3)]
    parted = [pages for pages in parts("matrix", blocks) if len(pages) > 1]
    assert len({len(pages[0]) for pages in parted}) > 3, "the places tried are at no end of a page"
    assert all(len(pages[0]) >= 4 for pages in parted)
    assert not any(pages[0][-1].startswith("block") for pages in parted)


@pytest.mark.parametrize("height", [196, 204, 212, 220, 228, 236])
def test_what_is_said_of_pictures_stands_with_the_first_of_them(height):
    pictured = '<div class="pictured"><h3>1. Seen</h3><div style="height: 40mm">Photo</div></div>'
    head = '<section class="chapter" aria-labelledby="pictures" style="orphans: 1; widows: 1">'
    page = (
        f"<style>{template_text('report.css')}</style><main><div style='height: {height}mm'></div>"
        f"{head}<h2>Pictures</h2><p class='small'>One. {'And so on. ' * 40}</p>"
        f"<p class='small'>Two.</p>{pictured * 6}</section></main>"
    )
    (found,) = (" ".join(t) for p in laid_out(page).pages if "Pictures" in (t := texts_of(p)))
    assert found.count("And so on.") == 40
    assert "Two." in found
    assert "Photo" in found


def test_bytes_are_equal_in_another_process(small, small_pdf, tmp_path):
    write_record(small, tmp_path / "audit.json")
    code = (
        "import sys\n"
        "from auditor.judging.judged_record import read_record\n"
        "from auditor.rendering import render\n"
        "render(read_record(sys.argv[1]), sys.argv[2], formats=['pdf'])"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", code, str(tmp_path / "audit.json"), str(tmp_path / "out")]
    subprocess.run(command, check=True, env=environment)
    assert (tmp_path / "out" / "report.pdf").read_bytes() == small_pdf


def test_it_is_tagged_archival_and_carries_the_record(small, small_pdf, small_bare_pdf):
    with_record, without = small_pdf, small_bare_pdf
    unpacked = streams(with_record)
    assert any(b'part="3"' in data or b"part>3<" in data for data in unpacked)
    assert any(b"/StructTreeRoot" in data for data in unpacked)
    assert any(b"/EmbeddedFile" in data for data in (with_record, *unpacked))
    assert not any(b"/EmbeddedFile" in data for data in (without, *streams(without)))
    assert to_json(small).encode() in unpacked
    (attached,) = re.findall(rb"/AF ?\[([^\]]*)\]", b" ".join((with_record, *unpacked)))
    assert attached.count(b"R") == 1


def test_every_picture_is_a_figure_with_its_words_and_in_the_bundled_fonts(small, small_bare_pdf):
    page = html(small)
    parts = (small_bare_pdf, *streams(small_bare_pdf))
    assert "<text " in page
    assert sum(part.count(b"/Alt") for part in parts) == page.count("<svg ")
    fonts = set(re.findall(rb"/FontName /[A-Z]+\+([\w-]+)", b"".join(parts)))
    assert {name.partition(b"-")[0] for name in fonts} == {b"Auditor"}


def streams(pdf: bytes) -> list[bytes]:
    """The streams of a PDF, unpacked."""
    found = []
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL):
        try:
            found.append(zlib.decompress(match.group(1)))
        except zlib.error:
            found.append(match.group(1))
    return found


def test_nothing_is_fetched(complaints, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"not an image, never read")
    page = f'<html lang="en"><title>x</title><img alt="x" src="file://{secret}">'
    laid_out(f'{page}<link rel="attachment" href="file://{secret}"><p>text</p></html>')
    assert any("not allowed" in text.lower() or "failed to load" in text.lower()
               for text in complaints)  # fmt: skip


def test_without_its_libraries_the_other_files_are_written_and_the_way_out_is_told(
    small, tmp_path, monkeypatch
):
    lacking = tmp_path / "modules"
    lacking.mkdir()
    (lacking / "weasyprint.py").write_text("raise OSError(\"cannot load 'libpango-1.0-0'\")")
    monkeypatch.syspath_prepend(lacking)
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.pdf").write_bytes(b"of an earlier audit")
    with pytest.raises(
        MissingLibraryError, match="apt-get install -y --no-install-recommends"
    ) as e:
        render(small, out)
    assert PACKAGES in str(e.value)
    assert "cannot load 'libpango-1.0-0'" in str(e.value)
    assert (out / "report.html").exists()
    assert (out / "MODEL_CARD.md").exists()
    assert not (out / "report.pdf").exists()
