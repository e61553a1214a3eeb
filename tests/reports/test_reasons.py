"""Why a finding has its verdict and what to do about it, as a reader finds it in a report."""

import re

import pytest

from auditor.findings import Measure, Needed, Subject, Unmeasured, Verdict
from auditor.judging.needed import MIN_UNITS
from auditor.judging.policy import Limit, Where
from auditor.record import CheckResults
from auditor.reports.ordering import ordered
from auditor.reports.page_one import page_one
from auditor.reports.reasons import needed_text, reason, remedy, summary, what_would_decide
from auditor.stats import Rate


@pytest.fixture(scope="module")
def order(failing):
    return ordered(failing)


def of(order, verdict, kind):
    found = [
        f for f in order.findings if f.verdict is verdict and isinstance(order.result(f), kind)
    ]
    assert found
    return found


def test_too_few_units_says_how_many_are_there_and_how_many_are_needed(worlds):
    few = Measure(
        "accuracy", Subject(split="test"), Rate(5, 8), "share", "higher", n=8, n_units=4,
        facts={"count": 5},
    )  # fmt: skip
    limit = Limit(id="good", measure="performance/overall:accuracy", at_least=0.5, why="a")
    record = worlds.record(CheckResults("performance/overall", (few,)), limits=(limit,))
    order = ordered(record)
    (finding,) = of(order, Verdict.NOT_RUN, Measure)
    said = reason(finding, order)
    assert said.startswith("Right answers on test images: 5 of 8 = 62% [")
    assert said.endswith(f"Only 4 units: fewer than {MIN_UNITS} are not judged.")
    assert remedy(finding, order) == f"Add at least {MIN_UNITS - 4} units."
    (result,) = order.limits
    assert summary(result, order) == said


def test_a_bound_on_the_good_side_alone_says_which_was_meant(worlds):
    right = Measure("accuracy", Subject(split="test"), Rate(100, 200), "share", "higher", n=200,
                    facts={"count": 100})  # fmt: skip
    limit = Limit(id="turned", measure="performance/overall:accuracy", at_most=0.9, why="a")
    record = worlds.record(CheckResults("performance/overall", (right,)), limits=(limit,))
    order = ordered(record)
    (finding,) = of(order, Verdict.INCONCLUSIVE, Measure)
    kept = (
        "The limit is at most 90%. The worst value would keep it: of this measure more is better."
    )
    assert reason(finding, order).endswith(kept)
    assert remedy(finding, order) == (
        "State in the policy what it must keep: a limit with `at_least`."
    )
    assert page_one(record, order).not_decided == ("accuracy",)


def test_a_bound_on_the_good_side_says_so_where_the_other_side_is_bounded_elsewhere_only(worlds):
    def right(split):
        return Measure("accuracy", Subject(split=split), Rate(100, 200), "share", "higher",
                       n=200, facts={"count": 100})  # fmt: skip

    stated = {"measure": "performance/overall:accuracy", "why": "a"}
    limits = (Limit(id="turned", at_most=0.9, **stated),
              Limit(id="least", at_least=0.3, where=Where(split="test"), **stated))  # fmt: skip
    found = CheckResults("performance/overall", (right("test"), right("deployment")))
    order = ordered(worlds.record(found, limits=limits))
    (finding,) = of(order, Verdict.INCONCLUSIVE, Measure)
    assert finding.result.endswith("@deployment")
    assert reason(finding, order).endswith("of this measure more is better.")


def test_nothing_measured_says_why_and_what_to_do(order):
    for finding in of(order, Verdict.NOT_RUN, Unmeasured):
        result = order.result(finding)
        assert reason(finding, order) == order.telling.with_units(result.reason)
        assert remedy(finding, order) == order.telling.with_units(result.remedy)
        assert result.reason.endswith(".")
        assert result.remedy.endswith(".")


def test_a_failure_says_the_value_the_limit_and_what_to_do(order):
    for finding in of(order, Verdict.FAIL, Measure):
        said = reason(finding, order)
        assert said.startswith(order.telling.sentence(finding.check, order.measure(finding)))
        assert " The limit is " in said
        assert "beyond the limit" in said or "It is not met" in said
        assert re.fullmatch(r"[A-Z0-9“].*[^.]\.", remedy(finding, order))


def test_what_passed_asks_for_nothing(order):
    for finding in of(order, Verdict.PASS, Measure):
        assert remedy(finding, order) == ""
        assert "It is shown to be within" in reason(finding, order) or "It is met" in reason(
            finding, order
        )


def test_what_is_open_says_how_far_it_may_be_and_what_would_decide(order):
    for finding in of(order, Verdict.INCONCLUSIVE, Measure):
        assert "Not decided: the truth may be as far as " in reason(finding, order)
        assert remedy(finding, order) == what_would_decide(finding, order)
        assert re.search(r"decides? it|would decide|would be needed", remedy(finding, order))


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        (None, ""),
        (Needed(None, "units"), "the value lies at the limit"),
        (Needed(3, "units"), "a few more rooms"),
        (Needed(61, "units"), "about 61 more rooms"),
        (Needed(1_234, "images"), "about 1,300 more images"),
        (Needed(2_000_000, "images"), "the value lies at the limit"),
    ],
)
def test_what_is_needed_is_rounded_upwards(order, needed, text):
    assert needed_text(needed, order.telling) == text


def test_a_limit_of_which_nothing_was_measured_says_why(order):
    bare = [r for r in order.limits if not r.findings]
    assert bare
    for result in bare:
        assert summary(result, order) == result.reason != ""


def test_a_limit_counts_what_it_met_by_verdict_and_names_the_first(order):
    result = next(r for r in order.limits if r.limit["id"] == "subgroup-accuracy")
    said = summary(result, order)
    failed = [f for f in order.of(result.findings) if f.verdict is Verdict.FAIL]
    assert said.startswith(f"{len(failed)} of {len(result.findings)} shown to be beyond the limit")
    assert "household: accessible" in said
