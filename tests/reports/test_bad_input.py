"""Bad input: a record that is none is one sentence, names of any kind are a clean page."""

import html
import json
import re
from dataclasses import replace

import pytest

from auditor.errors import DataError
from auditor.judging.judged_record import from_json
from auditor.record.files import to_json
from auditor.rendering import render
from auditor.reports.drawing.pictures import pictures
from auditor.reports.html import report_html
from auditor.reports.pdf import laid_out

NAMES = {
    "html": '<img src=x onerror="alert(1)"></td></tr>',
    "braces": "{{ 7*7 }}{% raw %}{#x#}",
    "markdown": "**a** | [b](c) `d` # e",
    "hebrew": "בניין דרום 12",
    "long": "L" * 300,
    "turned": "abc\u202edef",
}


PRINTED = ("performance/overall", "bias/subgroup-gap", "data/leakage")


def said_name(name):
    return name.replace("\u202e", "\ufffd")


@pytest.fixture(scope="module")
def hostile(housing, worlds, tmp_path_factory):
    """A record whose buildings have names that break what is put together without care."""
    plain = housing.BUILDINGS
    housing.BUILDINGS = tuple(NAMES.values())
    try:
        return housing.record(worlds, tmp_path_factory.mktemp("hostile"))
    finally:
        housing.BUILDINGS = plain


@pytest.fixture(scope="module")
def page(hostile):
    return report_html(hostile, pictures=pictures(hostile))


def stored(record):
    return json.loads(to_json(record))


def first_figure(record):
    found = stored(record)
    result = next(r for r in found["results"] if r.get("figures"))
    return found, result["figures"][0]


def test_names_are_text_and_the_page_has_the_tags_of_any_other(page, failing):
    plain = report_html(failing, pictures=pictures(failing))
    tags = [set(re.findall(r"<(\w+)", text)) - {"bdi"} for text in (page, plain)]
    assert tags[0] <= tags[1] | {"pattern"}
    said = html.unescape(" ".join(re.sub(r"</?bdi>", "", page).split()))
    for kind, name in NAMES.items():
        shown = said_name(name) if kind != "long" else "L" * 50
        assert shown in said, kind
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}\S*", said)


def test_no_cell_is_blank(page, hostile):
    printed = report_html(hostile, pictures=pictures(hostile), for_browser=False)
    for text in (page, printed):
        assert len(re.findall(r"<td", text)) > 300
        blank = re.findall(r"<tr(?:(?!</tr>).)*<t[dh][^>]*>\s*</t[dh]>.*?</tr>", text, re.DOTALL)
        assert not blank, blank[:3]


def test_no_group_is_printed_as_its_key(page):
    plain = re.sub(r"<(code|style|pre)\b.*?</\1>", "", page, flags=re.DOTALL)
    texts = re.findall(r">([^<]+)<", plain)
    assert len(texts) > 1000
    assert not [t for t in texts if re.search(r"\b(household|building|phone|class)=", t)]


def test_right_to_left_names_are_kept_apart_from_the_numbers_beside_them(page):
    assert re.search(r"<bdi>בניין דרום</bdi> 12", page)
    for part in re.findall(
        r"<title.*?</title>|<svg.*?</svg>|<style.*?</style>|<[^>]*>", page, re.DOTALL
    ):
        assert "<bdi>" not in part or part == "<bdi>"
    assert page.count("<bdi>") == page.count("</bdi>") > 3


def test_a_mark_that_turns_the_order_of_what_follows_is_replaced(page, hostile):
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page)
    assert not any(re.search("[\u202a-\u202e]", svg) for svg in pictures(hostile).values())


def test_hostile_names_stay_on_the_pages_of_the_pdf(hostile):
    few = replace(hostile, results=tuple(r for r in hostile.results if r.check in PRINTED))
    kept = tuple(f for f in hostile.findings if f.check in PRINTED)
    ids = {f.id for f in kept}
    limits = tuple(r for r in hostile.limit_results if set(r.findings) <= ids)
    few = replace(few, findings=kept, limit_results=limits, check_texts=())
    document = laid_out(report_html(few, pictures=pictures(few), for_browser=False))
    assert len(document.pages) < 25
    margin = 16 / 25.4 * 96
    for sheet in document.pages:
        for box in sheet._page_box.descendants():
            if getattr(box, "text", "").strip():
                assert box.position_x >= margin - 1, box.text
                assert box.position_x + box.width <= sheet.width - margin + 1, box.text


@pytest.mark.parametrize(
    ("rows", "kept"),
    [([], "Nothing was measured."), ([{}], ""), ([{"label": "zz", "value": "zz"}], "")],
)
def test_a_figure_without_rows_or_with_nonsense_in_them_is_a_clean_page(failing, rows, kept):
    found, figure = first_figure(failing)
    figure["rows"] = rows
    record = from_json(json.dumps(found))
    drawn = pictures(record)[figure["id"]]
    assert drawn.startswith("<svg")
    assert "nan" not in drawn.lower().replace("tenan", "")
    assert kept in drawn
    assert "</html>" in report_html(record, pictures=pictures(record))


def _old(found):
    found["schema"] = "auditor/audit/v1"


def _without_measures(found):
    for result in found["results"]:
        result.pop("measures", None)


def _of_no_finding(found):
    found["limit_results"][0]["findings"] = ["nothing/at-all:x"]


def _other_picture(found):
    next(r for r in found["results"] if r.get("figures"))["figures"][0]["kind"] = "pie"


def _without_findings(found):
    del found["findings"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_old, r"has the schema 'auditor/audit/v1'; this version reads .* run the audit again"),
        (_without_measures, r"is on a measure that is not among its results.*Run the audit again"),
        (_of_no_finding, r"names a finding 'nothing/at-all:x', which is not there.*Run the audit"),
        (_other_picture, r"kind: found 'pie', expected one of forest, .*Run the audit again"),
        (_without_findings, r"the field 'findings' is missing.*Run the audit again"),
    ],
)
def test_a_broken_record_is_one_sentence_and_nothing_is_written(failing, tmp_path, spoil, said):
    found = stored(failing)
    spoil(found)
    with pytest.raises(DataError, match=said) as error:
        render(from_json(json.dumps(found)), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "hello", "[]", "null", '{"schema": 1', "\x00"])
def test_what_is_no_record_at_all_is_one_sentence(text):
    with pytest.raises(DataError, match=r"audit\.json (is not JSON|has the schema)"):
        from_json(text)
