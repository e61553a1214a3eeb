"""The action plan: nothing that failed or must be decided is without a row and a remedy."""

import csv
import dataclasses
import io
import re

import pytest

from auditor.findings import Needed, Verdict
from auditor.record.files import record_digest
from auditor.rendering import render
from auditor.reports.action_plan import REMEDIES, action_plan, left_out_of_plan, steps
from auditor.reports.csv_tables import action_plan_csv, findings_csv
from auditor.reports.finding_view import finding_view
from auditor.reports.html import report_html
from auditor.reports.ordering import ordered
from auditor.reports.reasons import MILLION, action, more_of, remedy, what_would_decide
from auditor.stats import Exact, value


@pytest.fixture(scope="module")
def order(failing):
    return ordered(failing)


@pytest.fixture(scope="module")
def plan(order):
    return action_plan(order)


@pytest.fixture(scope="module")
def rows(failing):
    return list(csv.DictReader(io.StringIO(action_plan_csv(failing))))


def test_each_failure_and_each_required_finding_that_is_open_has_a_row(failing, plan):
    required = {r.limit["id"] for r in failing.limit_results if r.limit["required"]}
    asked = {
        f.id for f in failing.findings
        if f.verdict is Verdict.FAIL
        or (f.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN) and f.limit in required)
    }  # fmt: skip
    assert len(asked) > 3
    assert {f.id for task in plan for f in task.findings} == asked
    bare = {r.limit["id"] for r in failing.limit_results
            if r.limit["required"] and not r.findings and r.verdict is Verdict.NOT_RUN}  # fmt: skip
    assert bare
    assert bare <= {task.limit for task in plan}


def test_a_row_says_what_why_what_to_do_and_how_it_is_tested_again(plan, order):
    for number, task in enumerate(plan, start=1):
        assert task.number == number
        assert task.what
        assert task.why
        assert re.fullmatch(r"[A-Z].*[.!?]", task.remedy), task.remedy
        assert task.tested_again == f"Limit “{task.limit}” is met in a new audit."
        assert len({f.verdict for f in task.findings if f.verdict is Verdict.FAIL}) <= 1
    numbers = [order.numbers[task.findings[0].id] for task in plan if task.findings]
    assert numbers == sorted(numbers)


def test_failures_of_several_groups_are_one_row_whose_remedy_names_each(failing):
    found = [f for f in failing.findings if f.limit == "group-accuracy"] or [
        f for f in failing.findings if f.check == "bias/subgroup-gap" and f.limit
    ]
    named = [f for f in found if ordered(failing).group(f)][:2]
    assert len(named) == 2
    findings = tuple(
        dataclasses.replace(f, verdict=Verdict.FAIL) if f in named else f for f in failing.findings
    )
    order = ordered(dataclasses.replace(failing, findings=findings))
    ids = {f.id for f in named}
    (task,) = (t for t in action_plan(order) if t.is_failure and ids <= {f.id for f in t.findings})
    for finding in named:
        assert order.group(finding) in task.remedy
    assert task.remedy.startswith("Fix and test again for ")
    assert task.remedy.lower().count("fix and test again") == 1


def test_the_worst_of_several_failures_is_the_one_farthest_beyond_the_limit(failing):
    limit = next(f.limit for f in failing.findings if "error-rates:false-positive-ratio" in f.id)
    findings = tuple(
        dataclasses.replace(f, verdict=Verdict.FAIL) if f.limit == limit else f
        for f in failing.findings
    )
    # People are read first: here the first as read is given the smallest ratio of all.
    before = ordered(failing)
    first = before.measure(next(f for f in before.findings if f.limit == limit))
    results = tuple(
        dataclasses.replace(r, measures=tuple(
            dataclasses.replace(m, estimate=Exact(0.1)) if m is first else m for m in r.measures
        ))
        for r in failing.results
    )  # fmt: skip
    order = ordered(dataclasses.replace(failing, findings=findings, results=results))
    (task,) = (t for t in action_plan(order) if t.is_failure and t.limit == limit)
    ratios = {f: value(m.estimate) for f in task.findings if (m := order.measure(f))}
    farthest = max(ratios, key=ratios.__getitem__)
    assert farthest != task.findings[0]
    assert task.why.startswith(f"Worst: {finding_view(farthest, order).subject}: ")


def test_who_acts_is_what_somebody_declared_and_else_left_blank(failing, plan):
    waived = [t for t in plan if "waived" in t.mark.word]
    assert waived
    assert {(t.owner, t.due) for t in waived} == {("A. Tenant", "2026-12-31")}
    assert {t.owner for t in plan if t not in waived} == {"Housing office"}
    audit = {**failing.spec.parsed["audit"], "system": {}}
    spec = dataclasses.replace(failing.spec, parsed=failing.spec.parsed | {"audit": audit})
    nobody = action_plan(ordered(dataclasses.replace(failing, spec=spec)))
    assert {t.owner for t in nobody if "waived" not in t.mark.word} == {""}


def test_the_table_has_a_row_a_finding_with_the_remedy_of_every_export(failing, rows, plan, order):
    told = {row["id"]: row for row in csv.DictReader(io.StringIO(findings_csv(failing)))}
    assert len(rows) == sum(max(len(t.findings), 1) for t in plan)
    for row in rows:
        assert row["reply"] == ""
        assert row["record sha256"] == record_digest(failing)
        assert row["remedy"]
        assert row["why"]
        if row["id"]:
            finding = order.by_id[row["id"]]
            assert row["remedy"].removeprefix("'") == remedy(finding, order)
            assert row["remedy"] == told[row["id"]]["remedy"]
            assert row["finding"] == told[row["id"]]["number"]


def test_a_row_of_one_finding_has_its_remedy_word_for_word(plan, order):
    alone = [t for t in plan if len(t.findings) == 1]
    assert alone
    for task in alone:
        assert task.remedy == remedy(task.findings[0], order)


def test_what_is_not_named_is_counted(crowded):
    plan = action_plan(ordered(crowded))
    long = [t for t in plan if len(t.findings) > 20]
    assert long
    for task in long:
        assert re.search(r"and \d+ more", task.groups)
        sentences = {remedy(f, ordered(crowded)) for f in task.findings}
        if not task.is_failure and len(sentences) > REMEDIES:
            assert f"And {len(sentences) - REMEDIES} more: action-plan.csv." in task.remedy
            # Said once for all groups, not once for each.
            assert task.remedy.count("what was seen holds") <= 1


def test_limits_that_are_open_and_not_required_are_named_under_the_plan(failing, plan, order):
    planned = {task.limit for task in plan}
    still = (r for r in order.limits if r.verdict is not Verdict.PASS)
    free = [r for r in still if r.limit["id"] not in planned]
    said = left_out_of_plan(order)
    assert bool(said) == bool(free)


def test_the_page_has_a_row_for_each_task_and_links_to_its_findings(failing, plan):
    from collections import defaultdict

    text = report_html(failing, pictures=defaultdict(lambda: "<svg/>"))
    for task in plan:
        (row,) = re.findall(rf'<tr id="plan-{task.number}">.*?</tr>', text, flags=re.DOTALL)
        assert f"limit “{task.limit}”" in row.replace("<wbr>", "")
        for ref in task.refs:
            assert f">{ref.text}</a>" in row
    assert f'<tr id="plan-{len(plan) + 1}">' not in text


def test_it_is_written_beside_the_findings(failing, tmp_path):
    written = {path.name for path in render(failing, tmp_path, formats=["csv"])}
    assert {"findings.csv", "action-plan.csv"} <= written
    assert (tmp_path / "action-plan.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def undecided(order, **needed):
    finding = next(
        f for f in order.findings
        if f.check == "bias/error-rates" and "false-positive-ratio" in f.id and order.group(f)
    )  # fmt: skip
    return dataclasses.replace(finding, verdict=Verdict.INCONCLUSIVE, needed=Needed(**needed))


def test_what_would_decide_asks_for_those_whom_the_rate_is_of(order):
    finding = undecided(order, more=60, counted="units", both_sides=True)
    assert what_would_decide(finding, order) == (
        f"About 60 more rooms of {order.group(finding)}, with images that are not “serious”, and "
        "the rest in proportion, would decide it, if what was seen holds."
    )


@pytest.mark.parametrize("more", [None, MILLION + 1])
def test_no_number_beyond_reach_is_asked_for(order, more):
    said = what_would_decide(undecided(order, more=more, counted="units"), order)
    assert said.startswith("The value lies at the limit")
    assert "million" not in said


def test_more_of_several_groups_is_asked_for_in_a_sentence(order):
    of_class = undecided(order, more=60, counted="units", both_sides=True)
    assert more_of(of_class, order).kind.startswith(
        "More rooms with images that are not “serious”, and of the rest in proportion, would"
    )
    of_all = dataclasses.replace(
        next(f for f in order.findings if "gap:accuracy" in f.id and order.group(f)),
        verdict=Verdict.INCONCLUSIVE,
        needed=of_class.needed,
    )
    assert more_of(of_all, order).kind.startswith(
        "More rooms, and of the rest in proportion, would"
    )


def test_steps_that_differ_by_groups_alone_are_one(order):
    gaps = [f for f in order.findings if "gap:accuracy:" in f.id and order.group(f)]
    one, two = gaps[0], next(f for f in gaps if order.group(f) != order.group(gaps[0]))
    other = next(f for f in order.findings if f.check == "data/leakage")
    found = [dataclasses.replace(f, verdict=Verdict.FAIL) for f in (one, other, two)]
    told = steps([found[:1], found[1:2], [found[0], found[2]]], order)
    groups = f"{order.group(one)}, {order.group(two)}"
    assert told == (f"fix and test again for {groups}", "test again on images that it has not seen")


def test_of_a_claim_that_does_not_hold_the_claim_can_be_corrected(order):
    found = next(f for f in order.findings if f.check == "performance/overall")
    assert action(dataclasses.replace(found, limit="least"), order) == "train and test again"
    claimed = dataclasses.replace(found, limit="claim:1")
    assert action(claimed, order) == "correct the claim, or train and test again"
    own = next(f for f in order.findings if f.check == "performance/claims")
    assert action(own, order) == "correct the claim"
