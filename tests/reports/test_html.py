"""The HTML report: escaped, self-contained, readable by machines that read to people."""

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from auditor.findings import Subject, Unmeasured, Verdict
from auditor.judging.judged_record import from_json
from auditor.record import CheckResults
from auditor.record.files import record_digest, to_json
from auditor.reports.drawing.pictures import pictures
from auditor.reports.finding_view import finding_view
from auditor.reports.html import FOOTER, report_html
from auditor.reports.ordering import ordered
from auditor.reports.page_one import headline

VOID = {"meta", "img", "br", "hr", "link", "input", "wbr"}


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, text by tag, and whether tags nest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.bad = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.bad.append((tag, self.getpos()))

    def handle_data(self, data):
        self.text.append((tuple(self.open), data))

    def every(self, tag):
        return [attrs for name, attrs, _ in self.tags if name == tag]

    def said(self):
        return " ".join(" ".join(t for tags, t in self.text if "style" not in tags).split())


def html(record, **options):
    return report_html(record, pictures=pictures(record), **options)


@pytest.fixture(scope="module")
def report(failing):
    return html(failing)


@pytest.fixture(scope="module")
def page(report):
    return Page(report)


def test_equal_records_give_equal_pages(failing, report):
    assert html(from_json(to_json(failing))) == report


def test_tags_are_balanced(page):
    assert not page.bad
    assert not page.open


def test_language_title_and_one_first_heading(page, failing):
    assert page.every("html") == [{"lang": "en"}]
    assert len(page.every("h1")) == 1
    assert failing.title in "".join(t for tags, t in page.text if tags[-1:] == ("title",))


def test_headings_skip_no_level(page):
    levels = [int(tag[1]) for tag, _, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_every_table_has_a_caption_and_scoped_heads(page, report):
    tables = re.findall(r"<table.*?</table>", report, flags=re.DOTALL)
    assert len(tables) > 20
    for table in tables:
        assert re.search(r"<table[^>]*>\s*<caption( class=\"said\")?>\s*\S", table)
        assert "<thead>" in table
        for head in re.findall(r"<th\b[^>]*>", table):
            assert 'scope="' in head, head


def test_every_picture_is_a_named_part_of_the_page_with_its_texts(page, failing):
    drawn = page.every("svg")
    assert len(drawn) == len(pictures(failing)) > sum(len(r.figures) for r in failing.results)
    assert not page.every("img")
    names = {tags[-1]: [] for tags, _ in page.text if tags}
    for tags, text in page.text:
        if tags:
            names[tags[-1]].append(text)
    titles = {attrs["id"] for tag, attrs, _ in page.tags if tag == "title" and "id" in attrs}
    for picture in drawn:
        assert picture["role"] == "img"
        assert picture["aria-labelledby"] in titles
    for figure in (f for result in failing.results for f in result.figures):
        assert any(figure.alt in title for title in names["title"])
    assert any(text.startswith("accessible (") for text in names["text"])


def test_a_page_is_light(report):
    assert len(report.encode()) < 600_000
    assert ";base64," not in report


def test_the_page_runs_no_script_and_loads_nothing(page, report):
    assert not page.every("script")
    assert not page.every("link")
    assert not [k for _, attrs, _ in page.tags for k in attrs if k.startswith("on")]
    for tag, attrs, _ in page.tags:
        for key in ("src", "href"):
            if key in attrs:
                assert attrs[key].startswith("#"), (tag, attrs)
    assert "@import" not in report
    assert not re.search(r"url\((?!#)", report)
    policy = next(a for a in page.every("meta") if "http-equiv" in a)
    assert policy["content"].startswith("default-src 'none'")


def test_links_lead_somewhere_and_ids_are_unique(page):
    ids = [attrs["id"] for _, attrs, _ in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for a in page.every("a")}
    targets |= {attrs["aria-labelledby"] for _, attrs, _ in page.tags if "aria-labelledby" in attrs}
    assert targets <= set(ids)


def test_names_from_outside_are_text_everywhere(page, failing, housing):
    assert housing.HOSTILE in page.said()
    hostile = "<img src=x onerror=alert(1)>&amp;{{ 7*7 }}"
    wrong = failing.spec.parsed["consequences"] | {"when_wrong": hostile, "appeal": hostile}
    spec = dataclasses.replace(failing.spec, parsed=failing.spec.parsed | {"consequences": wrong})
    changed = dataclasses.replace(
        failing,
        spec=spec,
        warnings=(hostile,),
        results=tuple(
            dataclasses.replace(
                result,
                unmeasured=tuple(
                    dataclasses.replace(u, reason=hostile, remedy=hostile)
                    for u in result.unmeasured
                ),
            )
            for result in failing.results
        ),
        findings=tuple(dataclasses.replace(f, clauses=(hostile,)) for f in failing.findings),
    )
    after = Page(html(changed))
    assert not after.every("img")
    assert {tag for tag, _, _ in after.tags} <= {tag for tag, _, _ in page.tags}
    assert len(after.every("svg")) == len(page.every("svg"))
    assert not [k for _, attrs, _ in after.tags for k in attrs if k.startswith("on")]
    assert hostile in after.said()


def test_every_finding_that_is_not_passed_is_told_or_counted(failing, page):
    said = page.said()
    order = ordered(failing)
    failed = [f for f in order.findings if f.verdict is Verdict.FAIL]
    assert failed
    for finding in failed:
        assert finding.id in said
        assert finding_view(finding, order).judged in said


def test_warnings_waivers_declarations_and_what_was_not_tested_are_there(page, failing):
    said = page.said()
    for text in ("W-1", "accepts a failure", "a clerk looks at each", "W-2",
                 "expired on 2026-02-01", *failing.warnings):  # fmt: skip
        assert text in said
    assert "The spec names no deployment data." in said
    assert "way to object not stated missing" in said
    assert "Fine, or out within 48 hours declared" in said
    assert FOOTER in said


def test_digests_are_those_of_the_record(page, failing):
    for digest in (record_digest(failing), failing.spec.digest, failing.policy.digest):
        assert digest in page.said()


def test_a_crashed_check_is_not_silent(page):
    assert "the check crashed" in page.said()
    assert "no trees" in page.said()


def test_tables_say_where_the_rest_is(page):
    assert "(first 10 of 1,500 rows)" in page.said()
    assert "tables/data-leakage-pairs.csv" in page.said()


def test_sixty_groups_stay_readable(crowded):
    crowd = Page(html(crowded))
    assert "36 more groups" in crowd.said()
    assert not crowd.bad


def test_dark_colours_are_for_browsers_alone(failing, report):
    assert "prefers-color-scheme: dark" in report
    assert "prefers-color-scheme" not in html(failing, for_browser=False)


def test_an_empty_record_is_a_report_that_decides_nothing(failing):
    bare = dataclasses.replace(
        failing, results=(), findings=(), limit_results=(), verdict=Verdict.INCONCLUSIVE,
        datasets=(), check_texts=(), warnings=(), answers=(),
    )  # fmt: skip
    said = Page(html(bare)).said()
    assert "Not decided against" in said
    assert "How often it is right was not measured." in said
    assert "The policy asks nothing of the model" in said


def test_page_one_says_why_how_often_it_is_right_has_no_value(failing):
    few = Unmeasured("accuracy", Subject(split="test"), "Too few to compare: 2 rooms.", "Add some.")
    overall = CheckResults("performance/overall", unmeasured=(few,))
    (said,) = headline(ordered(dataclasses.replace(failing, results=(overall,), findings=())))
    assert said == "How often it is right was not measured. Too few to compare: 2 rooms."


def test_control_characters_never_reach_the_page(failing):
    changed = dataclasses.replace(failing, warnings=("a\x00b\x1b\ud800c",))
    assert not re.search("[\x00\x1b\ud800]", html(changed))
