"""A report is read in one order, and no reader meets a blank, a key's name or raw markup."""

import dataclasses
import re
from collections import defaultdict
from html import unescape
from itertools import pairwise

import pytest

from auditor.findings import Axis, Figure, Measure, Side, Subject, Verdict
from auditor.reports.annex import annex, declared
from auditor.reports.chapters import chapters
from auditor.reports.csv_tables import findings_csv
from auditor.reports.families import CHAPTERS
from auditor.reports.finding_view import finding_view
from auditor.reports.group_forest import group_forests
from auditor.reports.group_results import group_results
from auditor.reports.html import report_html
from auditor.reports.limits_section import PRINTED, limit_views
from auditor.reports.ordering import ordered
from auditor.reports.shown_figure import shown_figure, shown_words
from auditor.reports.telling import Telling
from auditor.reports.templates import breakable, prose
from auditor.stats import Rate, RateDifference

TELLING = Telling(
    {},
    attributes=frozenset({"room_type", "phone"}),
    display={"room_type": "room type", "accessible": "accessible rooms", "phone=old": "old phones"},
)


@pytest.fixture(scope="module")
def order(failing):
    return ordered(failing)


@pytest.fixture(scope="module")
def page(failing, failing_drawn):
    return report_html(failing, pictures=failing_drawn)


@pytest.fixture(scope="module")
def printed(failing_printed):
    return failing_printed


@pytest.fixture(scope="module")
def document(failing_document):
    return failing_document


def anchors_of(text: str) -> set[str]:
    return set(re.findall(r' id="([^"]+)"', text))


def links_of(text: str) -> list[str]:
    return re.findall(r'<a href="#([^"]+)"', text)


def page_one_of(text: str) -> str:
    return text[: text.index("</section>")]


def test_sections_come_in_the_order_in_which_a_reader_goes(page, failing):
    found = re.findall(r'<h2 id="([^"]+)"', page)
    families = [f"chapter-{f}" for f in CHAPTERS
                if any(r.check.startswith(f"{f}/") for r in failing.results)]  # fmt: skip
    assert families[0] == "chapter-data"
    wanted = ["contents", "action-plan", "findings", "groups", *families, "not-tested", "methods"]
    assert [name for name in found if name in wanted] == wanted
    assert page.index('id="top"') < page.index('id="contents"')


def test_the_check_with_the_headline_leads_its_chapter_with_its_picture(failing):
    drawn = defaultdict(lambda: "<svg/>")
    found = {c.key: c for c in chapters(failing, ordered(failing), pictures=drawn)}
    first = found["performance"].checks[0]
    assert ordered(failing).telling.has_headline(first.id)
    assert found["performance"].figures[0].title == first.figures[0].title


@pytest.mark.parametrize("which", ["page", "printed"])
def test_findings_are_numbered_as_they_stand_on_the_page(which, request):
    text = request.getfixturevalue(which)
    numbers = [int(n) for n in re.findall(r' id="f(\d+)"', text)]
    assert numbers[0] == 1
    assert all(a < b for a, b in pairwise(numbers))


def test_numbers_of_a_limit_follow_each_other_and_the_table_has_the_same(failing, order):
    seen = 0
    for result in order.limits:
        numbers = sorted(order.numbers[i] for i in result.findings)
        assert numbers == list(range(seen + 1, seen + 1 + len(numbers)))
        seen += len(numbers)
    rows = findings_csv(failing).splitlines()[1:]
    assert [row.partition(",")[0] for row in rows[:5]] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("which", ["page", "printed"])
def test_every_link_leads_somewhere_and_those_of_page_one_to_several_places(which, request):
    text = request.getfixturevalue(which)
    assert set(links_of(text)) <= anchors_of(text)
    first = {target for target in links_of(page_one_of(text)) if target != "action-plan"}
    assert len(first) >= 4
    assert "findings" not in first


def test_bookmarks_reach_each_section_limit_and_finding(document, order):
    labels, todo = [], list(document.make_bookmark_tree())
    while todo:
        label, _, children, _ = todo.pop()
        labels.append(" ".join(label.split()))
        todo += children
    assert "Action plan" in labels
    for limit in limit_views(order, PRINTED):
        start = f"{limit.numbers} " if limit.alone else ""
        assert f"{start}{limit.title}" in labels
        for card in limit.cards:
            if not limit.alone:
                assert any(label.startswith(f"{card.number} {card.title}") for label in labels)


def test_a_chapter_has_what_follows_one_table_and_boxes_of_methods_and_limits(printed, failing):
    parts = re.findall(
        r'<section class="chapter" aria-labelledby="chapter-\w+">.*?</section>', printed,
        flags=re.DOTALL,
    )  # fmt: skip
    found = chapters(failing, ordered(failing), pictures=defaultdict(lambda: "<svg/>"))
    assert len(parts) == len(found) > 3
    for part, chapter in zip(parts, found, strict=True):
        assert part.count('<table class="checks stack">') == 1
        assert part.count("<figure>") == len(chapter.figures) <= 2
        assert part.count('<p class="consequence">') == 1
        methods = f'<aside class="box" aria-label="Methods: {chapter.title}">'
        assert (methods in part) == any(check.summary for check in chapter.checks)
        assert ("Limits: what these checks" in part) == bool(chapter.unseen)
        for check in chapter.checks:
            assert check.title in unescape(part)
    assert any("not met" in text for c in found for text in c.consequence)
    assert any(t.startswith("Of 100 ") for c in found for t in c.consequence)


def test_the_printed_report_leaves_long_lists_to_the_tables(printed, document, order):
    for table in re.findall(r'<table class="findings open">.*?</table>', printed, flags=re.DOTALL):
        assert table.count("<tr id=") <= PRINTED.rows
    assert "findings.csv and report.html" in printed
    assert len(document.pages) <= 20


CELL = re.compile(r"<(td|th)[^>]*>(.*?)</\1>", flags=re.DOTALL)


def blanks(text: str) -> list[str]:
    return [
        found[0]
        for found in CELL.finditer(text)
        if not re.sub(r"<[^>]+>|\s", "", found[2]) and 'class="blank"' not in found[2]
    ]


@pytest.mark.parametrize("which", ["failing", "crowded", "clean"])
@pytest.mark.parametrize("for_browser", [True, False])
def test_no_cell_is_blank(which, for_browser, request):
    record = request.getfixturevalue(which)
    drawn = defaultdict(lambda: "<svg/>")
    text = report_html(record, pictures=drawn, for_browser=for_browser)
    assert blanks(text) == []
    assert blanks(text.replace("<td>", "<td></td><td>", 1)) == ["<td></td>"]


def test_no_markup_of_a_docstring_or_template_is_left_raw(page, printed):
    for text in (page, printed):
        body = text[text.index("<main>") :].partition('<pre class="recipe">')
        rest = body[2].partition("</pre>")[2]
        said = unescape(re.sub(r"<[^>]+>", " ", body[0] + rest))
        assert "`" not in said
        fields = "value|point|group|this|other|gap|class|here|there|in_where|rows|place|units"
        assert not re.search(rf"\{{\{{|\{{%|\{{({fields})(:[a-z]+)?\}}", said)
        assert not re.search(r"\bNone\b(?! (of|beyond) )", said)


def test_ids_break_after_a_sign_and_stay_text():
    assert breakable("target:p99_ms") == "target:<wbr>p99_<wbr>ms"
    assert breakable("<b>-x_") == "&lt;b&gt;-x_"


def test_code_and_emphasis_are_set_and_names_from_outside_stay_text():
    assert prose("Set `data.unit` and ``x < y``.") == (
        "Set <code>data.unit</code> and <code>x &lt; y</code>."
    )
    assert prose("<b>*videos*</b>") == "&lt;b&gt;*videos*&lt;/b&gt;"
    assert prose("of *that* class", emphasis=True) == "of <em>that</em> class"
    assert prose("2 * 3 * 4", emphasis=True) == "2 * 3 * 4"


def test_rates_stand_once_in_a_card(page, order):
    told = 0
    cards = {int(n): text for n, text in
             re.findall(r'<div class="card [^"]*" id="f(\d+)">(.*?)<p class="small id">', page,
                        flags=re.DOTALL)}  # fmt: skip
    for finding in order.findings:
        view = finding_view(finding, order)
        card = cards.get(view.number)
        if card is None or view.comparison is None:
            continue
        told += 1
        said = unescape(re.sub(r"<[^>]+>", " ", card))
        for side in (view.comparison.here, view.comparison.there):
            times = 2 if view.comparison.here == view.comparison.there else 1
            assert said.count(side) == times, (finding.id, side)
        assert said.count(view.value) == 1
        # What the sentence says of images alike is not said again below it.
        alike = re.findall(r"Among images alike in .*? (−?[\d.]+) \[", said)
        assert not alike or len(alike) > 1 or said.count(alike[0].lstrip("−")) == 1
    assert told > 2


def test_printed_pictures_are_of_attributes_with_a_group_that_is_worse(page, printed, order):
    every = {f.attribute: f.is_worse for f in group_forests(group_results(order), order)}
    assert set(every.values()) == {True, False}
    assert page.count("against all others.</strong>") == len(every)
    for name, is_worse in every.items():
        assert (f"Groups of {name} against all others.</strong>" in printed) == is_worse
    calm = ", ".join(name for name, is_worse in every.items() if not is_worse)
    assert f"leans worse ({calm}): pictures in report.html." in printed
    assert "pictures in report.html" not in page


def test_a_claim_is_declared_in_the_words_of_its_measure(failing):
    stated = failing.spec.parsed | {
        "claims": [{"measure": "performance/overall:mean-iou", "at_least": 0.83, "source": "p. 4"}]
    }
    spec = dataclasses.replace(failing.spec, parsed=stated)
    (claim,) = (e.text for e in declared(dataclasses.replace(failing, spec=spec))
                if e.name == "claim 1")  # fmt: skip
    assert claim == "mean overlap at least 0.83, from: p. 4"


def share(text: str) -> float:
    return float(re.match(r"−?[\d.]+", text)[0].replace("−", "-"))


def test_a_difference_or_ratio_that_a_reader_redoes_comes_out_or_says_why_not(order):
    redone = 0
    for finding in order.findings:
        view, measure = finding_view(finding, order), order.measure(finding)
        if view.comparison is None or measure.sides[0].scale != "share":
            continue
        here, there = share(view.comparison.here), share(view.comparison.there)
        shown = share(view.value) if view.value[0] in "−0123456789" else None
        if view.comparison.kind == "Difference":
            assert abs(abs(here - there) - abs(shown)) < 0.6, finding.id
            redone += 1
        elif view.comparison.kind == "Ratio" and shown is not None and there:
            assert here / there == pytest.approx(shown, rel=0.06, abs=0.006), finding.id
            redone += 1
        else:
            assert view.comparison.kind
    assert redone > 10


def compared(point, here, there) -> str:
    from auditor.contract import Words
    from auditor.reports.finding_view import _comparison

    measure = Measure(
        "gap", Subject(split="test"), point, "difference", "lower", n=200, neutral=0.0,
        sides=(Side(here, 100), Side(there, 100)),
    )  # fmt: skip
    return _comparison(measure, Words("Gap", "gap")).kind


def test_what_is_adjusted_or_hidden_by_rounding_is_said_beside_the_number():
    assert compared(RateDifference(80, 100, 70, 100), Rate(80, 100), Rate(70, 100)) == "Difference"
    adjusted = compared(RateDifference(80, 100, 75, 100), Rate(80, 100), Rate(70, 100))
    assert adjusted == "Difference, adjusted"
    sides = Rate(376, 1000), Rate(124, 1000)
    assert compared(RateDifference(376, 1000, 124, 1000), *sides) == "Difference before rounding"


def test_costs_and_the_owner_of_the_policy_are_printed(page, printed, failing):
    owner = failing.policy.parsed["owner"]["name"]
    for text in (page, printed):
        (table,) = re.findall(r'<table class="costs">.*?</table>', text, flags=re.DOTALL)
        cells = [re.sub(r"<[^>]+>", "", found[2]) for found in CELL.finditer(table)]
        assert "EUR" in table
        row = cells[cells.index("compliant") :]
        assert "4,000" in row[:5]
        assert "50,000" in cells
        assert f"owner: {owner}" in unescape(text)
    spec = {**failing.spec.parsed, "consequences": {**failing.spec.parsed["consequences"],
                                                    "costs": None}}  # fmt: skip
    free = dataclasses.replace(failing, spec=dataclasses.replace(failing.spec, parsed=spec))
    assert '<table class="costs">' not in report_html(
        free, pictures=defaultdict(lambda: "<svg/>"), for_browser=False
    )


def test_clauses_are_counted_in_print_and_told_one_by_one_in_the_browser(page, printed, failing):
    rows = [row for one in failing.clauses.instruments for row in one.rows]
    assert page.count('<table class="clauses stack">') == len(failing.clauses.instruments)
    assert '<table class="clauses stack">' not in printed
    assert "Can do" not in printed
    for text in (page, printed):
        (table,) = re.findall(
            r'<table class="instruments stack"[^>]*>.*?</table>', text, flags=re.DOTALL
        )
        counts = [int(n) for n in re.findall(r"</th><td[^>]*>(\d+)</td>", table)]
        assert sum(counts) == len(rows)


def test_clauses_that_a_measure_serves_are_in_the_table_of_findings(failing):
    import csv
    import io

    served = {
        name.partition(":")[0]
        for one in failing.clauses.instruments for row in one.rows for part in row.parts
        if part.status.value in ("MEASURED", "DERIVED") for name in part.names
    }  # fmt: skip
    checks = {f.check for f in failing.findings} & served
    assert checks
    for row in csv.DictReader(io.StringIO(findings_csv(failing))):
        if row["id"].partition(":")[0] in checks:
            assert row["clauses"], row["id"]


def test_names_of_the_data_are_shown_as_readers_know_them():
    figure = Figure(
        "x", "bars", "Errors by room_type", "Of room_type.", "room_type: accessible 3%.",
        Axis("share", "share"), Axis("room_type"),
        ({"label": "accessible", "value": 0.3}, {"label": "old (phone)", "value": 0.2}),
    )  # fmt: skip
    shown = shown_figure(figure, TELLING)
    assert shown.title == "Errors by room type"
    assert shown.y.label == "room type"
    assert [row["label"] for row in shown.rows] == ["accessible rooms", "old phones"]
    assert "room_type" not in f"{shown}"
    said = "Too few to compare: new (phone) and accessible (room_type) in room_types."
    assert shown_words(said, TELLING) == (
        "Too few to compare: new (phone) and accessible rooms in room_types."
    )
    assert shown_words("Call by phone.", TELLING) == "Call by phone."
    assert shown_words("Two groups of room_type.", TELLING) == "Two groups of room type."
    source = dataclasses.replace(
        TELLING, attributes=frozenset({"source"}), display={"source": "who took it"}
    )
    assert shown_words("Two groups of source.", source) == "Two groups of who took it."
    assert shown_words("class=serious, phone=old", TELLING) == "“serious”, old phones"
    assert shown_words("room_type=accessible", TELLING) == "accessible rooms"
    assert shown_words("x=1 and y", TELLING) == "x=1 and y"


def test_a_failure_reads_the_same_wherever_the_verdict_is_told(failing, page, printed):
    for text in (page, printed):
        head = page_one_of(text)
        assert "Does not meet" in head
    assert failing.verdict is Verdict.FAIL


def test_words_are_told_with_what_they_stand_for_here(failing, page):
    told = dict(annex(failing, ordered(failing)).glossary)
    assert told["Unit"].endswith("here: rooms.")
    assert told["Group, attribute"].endswith("here: building, household, phone.")
    assert "Rooms as given" in page
    assert "Units as given" not in page
