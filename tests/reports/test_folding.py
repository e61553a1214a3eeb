"""What the printed report folds, what it must never fold, and that nothing is lost by folding."""

import csv
import dataclasses
import html
import io
import re

import pytest

from auditor.findings import Measure, Subject, Verdict, finding_id
from auditor.judging.judged_record import from_json
from auditor.record.files import to_json
from auditor.reports.chapters import chapters, is_open
from auditor.reports.csv_tables import findings_csv
from auditor.reports.drawing.pictures import pictures
from auditor.reports.finding_view import finding_view
from auditor.reports.group_forest import group_forests
from auditor.reports.group_results import group_results
from auditor.reports.html import report_html
from auditor.reports.limits_section import BROWSED, PRINTED, limit_views
from auditor.reports.matrix import GROUPS, matrix
from auditor.reports.ordering import is_about_people, ordered
from auditor.reports.pdf import laid_out
from auditor.reports.reasons import reason
from auditor.stats import Rate, value


def squeezed(text: str) -> str:
    """Text without white space: lines of a page break anywhere."""
    return re.sub(r"\s+", "", text)


def printed(document) -> str:
    boxes = (box for page in document.pages for box in page._page_box.descendants())
    return squeezed("".join(getattr(box, "text", "") or "" for box in boxes))


@pytest.fixture(scope="module")
def drawn(failing_drawn):
    return failing_drawn


@pytest.fixture(scope="module")
def document(failing_document):
    return failing_document


@pytest.fixture(scope="module")
def pdf(document):
    return printed(document)


@pytest.fixture(scope="module")
def page(failing, drawn):
    return report_html(failing, pictures=drawn)


@pytest.fixture(scope="module")
def said(page):
    """What the page says, without its tags."""
    return squeezed(html.unescape(re.sub(r"<[^>]+>", "", page)))


@pytest.fixture(scope="module")
def order(failing):
    return ordered(failing)


def of(order, *verdicts):
    found = [f for f in order.findings if f.verdict in verdicts]
    assert found
    return found


def is_of_groups(finding, order) -> bool:
    measure = order.measure(finding)
    return finding.check.startswith("bias/") and measure is not None and bool(measure.sides)


def test_every_failing_limit_is_printed_with_what_was_found_and_its_bound(pdf, order):
    views = limit_views(order, PRINTED)
    failed = [limit for limit in views if limit.mark.style == "fail"]
    assert failed
    told = set()
    for limit in failed:
        assert squeezed(limit.title) in pdf
        assert squeezed(limit.stated) in pdf
        assert limit.cards
        for card in limit.cards:
            assert squeezed(card.judged) in pdf, card.id
        told |= limit.told
    for finding in of(order, Verdict.FAIL):
        limit = next(v for v in views if v.id == finding.limit)
        assert order.numbers[finding.id] in told or limit.more, finding.id


def test_a_failing_group_has_both_rates_range_size_examples_and_a_sentence(pdf, order):
    cards = {card.id for limit in limit_views(order, PRINTED) for card in limit.cards}
    failed = [f for f in of(order, Verdict.FAIL) if is_of_groups(f, order) and f.id in cards]
    assert failed
    for finding in failed:
        view = finding_view(finding, order)
        assert view.comparison
        assert view.plain.startswith("Of 100 ")
        assert view.examples
        sides = (view.comparison.here, view.comparison.there)
        for text in (*sides, view.plain, view.value, view.size, view.examples[0], view.remedy):
            assert squeezed(text) in pdf, text
        assert re.fullmatch(r"\S+% \[.+\] of [\d,]+", sides[0])


def test_an_undecided_group_says_what_would_decide_it(said, order):
    groups = [f for f in of(order, Verdict.INCONCLUSIVE) if is_of_groups(f, order)]
    assert groups
    for finding in groups:
        view = finding_view(finding, order)
        assert view.comparison
        assert view.needed
        for text in (view.comparison.here, view.comparison.there, view.value, view.needed):
            assert squeezed(text).lower() in said.lower(), finding.id


def test_what_a_sample_could_have_shown_is_taken_from_the_reason(order):
    said = [
        f
        for f in of(order, Verdict.INCONCLUSIVE)
        if "would have shown it to be beyond" in reason(f, order)
    ]
    assert said
    for finding in said:
        could = finding_view(finding, order).could_show
        assert could
        assert f"beyond the limit at {could} or worse." in reason(finding, order)


def test_what_passed_is_named_with_its_value_and_counted(said, order):
    for limit in limit_views(order):
        for view in limit.passed:
            assert view.mark.style == "pass"
            assert squeezed(f"{view.subject} {view.value}") in said
        shown = len(limit.cards) + len(limit.rows) + limit.more
        found = next(r for r in order.limits if r.limit["id"] == limit.id)
        assert shown + len(limit.passed) + limit.more_passed == len(found.findings)


def test_every_measure_is_in_the_csv_and_every_result_of_a_check_unfolds_in_the_html(
    failing, page, said, order
):
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(findings_csv(failing)))}
    measures = list(failing.measures())
    assert len(measures) > 100
    for check, measure in measures:
        assert rows[finding_id(check, measure.name, measure.subject)]["value"] != ""
    for finding in order.findings:
        assert f">{order.numbers[finding.id]}<" in page
    for result in failing.results:
        assert squeezed(result.check) in said
        for table in result.tables:
            assert squeezed(order.telling.with_units(table.title).split("<")[0])[:40] in said
        for figure in result.figures:
            assert squeezed(figure.alt) in said, figure.id


def test_the_html_has_every_picture_and_the_pdf_those_that_explain(failing, drawn, page, document):
    own = sum(len(result.figures) for result in failing.results)
    assert len(drawn) == page.count("<svg ") > own
    text = report_html(failing, pictures=drawn, for_browser=False)
    assert text.count("<svg ") < page.count("<svg ")
    assert "<details" not in text


def test_there_is_one_matrix_with_every_group_a_sign_in_each_cell_and_a_legend(
    failing, page, order
):
    tables = re.findall(r'<table class="matrix">.*?</table>', page, flags=re.DOTALL)
    assert len(tables) == 1
    assert '<th scope="col">Group (test images)</th>' in page
    found = matrix(group_results(order), order)
    sizes = {
        (a.name, g.name): g.n_sound for a in failing.dataset("test").attributes for g in a.groups
    }
    for block in found.blocks:
        assert {r.images for r in block.rows} <= {*sizes.values(), 0}
    named = {(block.attribute, row.group) for block in found.blocks for row in block.rows}
    groups = {
        (a.name, g.name) for a in failing.dataset("test").attributes for g in a.groups[:GROUPS]
    }
    assert {name for _, name in named} >= {name for a, name in groups if a == "household"}
    cells = [c for b in found.blocks for r in b.rows for c in r.cells if c is not None]
    signs = {cell.mark.sign for cell in cells}
    assert signs >= {"✗", "?"}
    legend = re.search(r'<span class="legend">.*?</p>', page, flags=re.DOTALL)[0]
    assert all(sign in legend for sign in signs)
    by_number = {n: i for i, n in order.numbers.items()}
    for cell in cells:
        assert order.by_id[by_number[cell.number]].verdict in (None, *Verdict)


def test_a_cell_of_the_matrix_has_the_verdict_of_its_finding(failing, order):
    found = matrix(group_results(order), order)
    place = found.columns.index("wrongly called “serious”")
    household = next(b for b in found.blocks if b.attribute == "household")
    cell = next(r for r in household.rows if r.group == "accessible").cells[place]
    name = "bias/error-rates:false-positive-ratio:class=serious,household=accessible@test"
    assert cell.number == order.numbers[name]
    assert cell.mark.style == order.by_id[name].verdict.value.lower() == "fail"


def test_there_is_one_picture_an_attribute_with_its_intervals_and_limits(failing, drawn, order):
    forests = group_forests(group_results(order), order)
    measured = {a.name for a in failing.dataset("test").attributes}
    assert [f.attribute for f in forests] == [i.partition(":")[2] for i in drawn if
                                              i.startswith("groups:")]  # fmt: skip
    assert {f.attribute for f in forests} == measured
    household = next(f for f in forests if f.attribute == "household")
    assert household.groups[0].startswith("accessible (")
    panel = next(p for p in household.panels if p.title == "right answers")
    assert panel.limit == -5.0
    finding = order.by_id["bias/subgroup-gap:accuracy:household=accessible@test"]
    here, there = (value(side.estimate) for side in failing.measure(finding).sides)
    row = panel.rows[0]
    assert row.value == pytest.approx(100 * (here - there))
    assert row.low < row.value < row.high
    assert row.style == finding.verdict.value.lower()
    ratio = next(p for p in household.panels if p.title == "wrongly called “serious”")
    assert (ratio.ratio, ratio.neutral, ratio.limit) == (True, 1.0, 1.25)


def test_in_a_chapter_failures_come_first_then_what_is_open_then_the_rest(failing, drawn, order):
    ranks = ("fail", "inconclusive", "not_run", "pass")
    several = 0
    for chapter in chapters(failing, order, pictures=drawn):
        rest = [c for c in chapter.checks if order.telling.shows(c.id) != "open"]
        assert chapter.checks[len(chapter.checks) - len(rest) :] == tuple(rest)
        first = [c.judged[0].mark.style if c.judged else "none" for c in rest]
        places = [(*ranks, "none").index(style) for style in first]
        assert places == sorted(places)
        several += len(set(places)) > 1
    assert several


def test_of_one_limit_and_verdict_people_come_before_circumstances(failing, order):
    seen = {}
    for finding in order.findings:
        if finding.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            key = (finding.limit, finding.verdict, finding.leaning)
            seen.setdefault(key, []).append(not is_about_people(finding, failing))
    assert any(len(set(flags)) == 2 for flags in seen.values())
    for flags in seen.values():
        assert flags == sorted(flags)


def test_a_chapter_says_its_methods_and_how_what_decided_can_mislead(failing, pdf, said, order):
    decided = {text.id for text in failing.check_texts if is_open(text.id, order)}
    assert 0 < len(decided) < len(failing.check_texts)
    for text in failing.check_texts:
        mislead = next(body for name, body in text.sections if name == "How it can mislead")
        assert squeezed(text.summary) in pdf
        assert (squeezed(mislead)[:30] in pdf) == (text.id in decided), text.id
        assert squeezed(mislead.replace("`", "").replace("*", ""))[:80] in said


def many(record, n: int):
    """The record with `n` further results by group in each bias check, and pictures of them."""
    results, findings = [], list(record.findings)
    for result in record.results:
        if not result.check.startswith("bias/"):
            results.append(result)
            continue
        more = tuple(
            Measure("more", Subject.of(split="test", household=f"group {i}"), Rate(i, 2 * n),
                    "share", "lower", n=2 * n)
            for i in range(n)
        )  # fmt: skip
        figures = tuple(
            dataclasses.replace(result.figures[0], id=f"{result.check}:more-{i}")
            for i in range(n // 10)
        )
        results.append(
            dataclasses.replace(
                result, measures=result.measures + more, figures=result.figures + figures
            )
        )
        template = next(f for f in record.findings if f.verdict is None)
        findings += [
            dataclasses.replace(template, id=identifier, check=result.check)
            for m in more
            for identifier in [finding_id(result.check, m.name, m.subject)]
        ]
    return dataclasses.replace(record, results=tuple(results), findings=tuple(findings))


def test_information_by_group_does_not_lengthen_the_printed_report(failing, drawn, document):
    big = many(failing, 600)
    shown = dict.fromkeys((f.id for r in big.results for f in r.figures), "<svg/>") | drawn
    text = report_html(big, pictures=shown, for_browser=False)
    assert re.search(r"and 6\d\d more in findings.csv", text)
    assert len(laid_out(text).pages) <= len(document.pages) + 1
    assert len(document.pages) <= 20


def test_a_limit_with_hundreds_of_findings_is_told_in_a_bounded_number_of_cards(crowded):
    for limit in limit_views(ordered(crowded)):
        assert len(limit.cards) <= BROWSED.failures[limit.severity]
        assert len(limit.rows) <= BROWSED.rows


def test_a_picture_of_many_groups_draws_the_first_and_counts_the_others(housing, worlds, tmp_path):
    record = housing.record(worlds, tmp_path, corridors=20)
    order = ordered(record)
    forests = group_forests(group_results(order), order)
    corridor = next(f for f in forests if f.attribute == "corridor")
    assert (len(corridor.groups), corridor.more_groups) == (16, 4)
    assert corridor.figure.caption == "4 more groups in findings.csv."
    assert all(len(panel.rows) == 16 for panel in corridor.panels)


def test_a_record_read_back_gives_the_same_pictures_of_groups(failing, drawn):
    again = pictures(from_json(to_json(failing)))
    assert {k: v for k, v in again.items() if k.startswith("groups:")} == {
        k: v for k, v in drawn.items() if k.startswith("groups:")
    }
