"""The five worst of page one: each group and kind of error once, forms of the model by name."""

from __future__ import annotations

import dataclasses

import pytest

from auditor.findings import Finding, Measure, Side, Subject, Verdict, finding_id
from auditor.record import CheckResults
from auditor.reports.five_worst import _LENGTH, five_worst
from auditor.reports.ordering import ordered
from auditor.stats import Exact, Rate, RateRatio

FAMILY = {"household": "family"}
OTHERS = {"household": "accessible"}


def lost(variant, *, name="accuracy-lost", split="test", **keys):
    return Measure(
        name, Subject.about(keys, split=split, variant=variant), Exact(0.3), "difference", "lower",
        n=200, neutral=0.0, sides=(Side(Rate(100, 200), 200), Side(Rate(160, 200), 200)),
    )  # fmt: skip


def share(name, *, split="test", **keys):
    return Measure(name, Subject.about(keys, split=split), Exact(0.3), "share", "lower", n=200)


def ratio(name="false-positive-ratio", **keys):
    sides = (Side(Rate(30, 100), 100), Side(Rate(10, 100), 100))
    return Measure(
        name, Subject.about({"class": "serious", **keys}, split="test"),
        RateRatio(30, 100, 10, 100), "ratio", "lower", n=100, neutral=1.0, sides=sides,
    )  # fmt: skip


def listed(record, *measures) -> tuple[str, ...]:
    """The list of an audit in which these measures of these checks fail, in their order."""
    results, findings = [], []
    for check, measure in measures:
        results.append(CheckResults(check, (measure,)))
        identifier = finding_id(check, measure.name, measure.subject)
        findings.append(Finding(identifier, check, verdict=Verdict.FAIL, severity="blocking"))
    merged = {}
    for result in results:
        before = merged.get(result.check, CheckResults(result.check))
        merged[result.check] = dataclasses.replace(
            before, measures=(*before.measures, *result.measures)
        )
    record = dataclasses.replace(
        record, results=tuple(merged.values()), findings=tuple(findings), limit_results=()
    )
    order = ordered(record)
    return five_worst(dataclasses.replace(order, findings=tuple(findings)))


def test_one_finding_for_two_forms_is_told_once_with_the_form_that_comes_first(failing):
    both = (("deployment/variants", lost("edge", **FAMILY)),
            ("deployment/quantization", lost("int8", **FAMILY)))  # fmt: skip
    (first,) = listed(failing, *both)
    assert first == "accuracy lost in the edge form, family…"
    (first,) = listed(failing, *reversed(both))
    assert first == "accuracy lost in the int8 form, family…"


def test_a_group_under_two_measures_of_one_kind_is_told_once(failing):
    said = listed(
        failing,
        ("deployment/variants", lost("edge", **FAMILY)),
        ("deployment/variants", lost("edge", name="gap-change", **FAMILY)),
        ("bias/subgroup-gap", lost(None, name="accuracy", **FAMILY)),
        ("bias/error-rates", ratio(**OTHERS)),
        ("bias/error-rates", ratio("false-positive-difference", **OTHERS)),
    )
    assert len(said) == 3
    assert said[0].startswith("accuracy lost in the edge form")


@pytest.mark.parametrize(
    ("why", "other", "said"),
    [
        ("seen", ("data/leakage", "seen-share"), "test images seen in training"),
        ("two_labels", ("data/duplicates", "conflict-share"), "images with two labels"),
    ],
)
def test_rows_left_out_for_what_another_finding_counts_are_told_once(failing, why, other, said):
    check, name = other
    facts = {"lost": 9, "most": 9, "commonest": ["seen_unit", ""], "n": 20}
    rows = dataclasses.replace(share("largest-share"), facts=facts)
    same = dataclasses.replace(rows, facts={**facts, why: True})
    beside = (check, dataclasses.replace(share(name), facts={"count": 9, "near": 0}))
    assert listed(failing, ("data/left-out", same), beside) == (said,)
    assert listed(failing, ("data/left-out", rows), beside) == ("test rows left out", said)


def test_errors_of_two_kinds_and_two_groups_are_each_told(failing):
    said = listed(
        failing,
        ("bias/error-rates", ratio(**OTHERS)),
        ("bias/error-rates", ratio("false-negative-ratio", **OTHERS)),
        ("bias/error-rates", ratio(**FAMILY)),
        ("deployment/variants", lost("edge", **FAMILY)),
        ("deployment/variants", lost("edge", **OTHERS)),
    )
    assert len(set(said)) == 5


def test_all_images_under_two_measures_of_a_check_are_told_once(failing):
    said = listed(
        failing,
        ("data/leakage", share("seen-share")),
        ("data/leakage", share("seen-unit-share")),
        ("data/images", share("unreadable-share")),
    )
    assert len(said) == 2


LONG = ("images-overlapping-lost", "ap-50-95-medium-lost", "export-disagreement")


@pytest.mark.parametrize("name", LONG)
def test_a_form_is_named_although_the_words_are_long_or_silent(failing, name):
    (said,) = listed(failing, ("deployment/quantization", lost("phone-int8", name=name)))
    assert "phone-int8" in said
    assert len(said) <= _LENGTH


def test_what_a_form_costs_is_no_error_of_it(failing):
    size = Measure(
        "size-ratio", Subject(variant="int8"), Exact(0.9), "ratio", "lower", n=1,
        facts={"megabytes": 0.9, "megabytes_as_given": 1.0},
    )  # fmt: skip
    said = listed(
        failing,
        ("deployment/quantization", lost("int8")),
        ("deployment/quantization", size),
    )
    assert said == ("accuracy lost in the int8 form", "size of int8 form")
