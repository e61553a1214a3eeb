import numpy as np
import pytest

from auditor.bias.error_rates import ErrorRates
from auditor.errors import SpecError
from auditor.findings import Figure, Table, Unmeasured
from auditor.stats import interval, p_value, value

LIMIT = 1.25


def world(worlds, *, seed, wrong_of, missed_of=None, n=2000, images_a_unit=1):
    """Wrongly adverse ("b") with the group's rate; missed with the group's rate."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    names = np.array(list(wrong_of))
    group = names[rng.integers(0, len(names), units.max() + 1)][units]
    labels = (rng.random(units.max() + 1) < 0.3).astype(int)[units]
    missed_of = missed_of or dict.fromkeys(wrong_of, 0.1)
    rates = np.where(labels == 0, [wrong_of[g] for g in group], [missed_of[g] for g in group])
    answers = np.where(rng.random(len(units)) < rates, 1 - labels, labels)
    dataset = worlds.dataset(
        labels,
        units=units if images_a_unit > 1 else None,
        attributes={"household": ("sensitive", list(group))},
    )
    spec = worlds.spec(consequences={"adverse": ("b",)})
    return worlds.evidence(spec=spec).add(dataset, worlds.probabilities(answers))


def exceeds(measure):
    return p_value(measure.estimate, limit=LIMIT, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(6))
def test_three_times_as_many_false_alarms_are_shown(worlds, seed):
    evidence = world(worlds, seed=seed, wrong_of={"accessible": 0.15, "single": 0.05})
    found = worlds.measures(ErrorRates(), evidence)
    assert exceeds(found["false-positive-ratio:class=b,household=accessible@test"])
    assert not exceeds(found["false-positive-ratio:class=b,household=single@test"])
    assert not exceeds(found["false-negative-ratio:class=b,household=accessible@test"])


@pytest.mark.parametrize("seed", range(6))
def test_missed_cases_of_one_group_are_shown(worlds, seed):
    evidence = world(
        worlds, seed=seed, wrong_of={"x": 0.05, "y": 0.05}, missed_of={"x": 0.45, "y": 0.1}
    )
    found = worlds.measures(ErrorRates(), evidence)
    assert exceeds(found["false-negative-ratio:class=b,household=x@test"])
    assert not exceeds(found["false-positive-ratio:class=b,household=x@test"])


@pytest.mark.parametrize("images_a_unit", [1, 5])
def test_equal_rates_fail_in_few_worlds(worlds, images_a_unit):
    failed = 0
    for seed in range(40):
        evidence = world(
            worlds, seed=seed, wrong_of={"x": 0.06, "y": 0.06}, n=1000, images_a_unit=images_a_unit
        )
        failed += any(exceeds(m) for m in worlds.measures(ErrorRates(), evidence).values())
    assert failed <= 6


def test_rates_are_those_of_the_images_at_risk(worlds):
    evidence = world(worlds, seed=4, wrong_of={"x": 0.2, "y": 0.05})
    found = worlds.measures(ErrorRates(), evidence)
    outcomes = evidence.outcomes()
    group = outcomes.groups("household")
    clear = outcomes.labels == 0
    own = (outcomes.predicted[clear & (group == "x")] == 1).mean()
    rest = (outcomes.predicted[clear & (group != "x")] == 1).mean()
    measure = found["false-positive-ratio:class=b,household=x@test"]
    assert measure.details["rate"]["value"] == pytest.approx(own)
    assert measure.details["rest"]["value"] == pytest.approx(rest)
    assert measure.n == (clear & (group == "x")).sum()
    assert value(measure.estimate) == pytest.approx(own / rest)


def test_the_sentence_is_that_of_page_one(worlds):
    wrong = np.concatenate([np.arange(110) < 14, np.arange(560) < 22, np.zeros(100, bool)])
    labels = np.concatenate([np.zeros(670, int), np.ones(100, int)])
    group = ["accessible"] * 110 + ["single"] * 560 + ["accessible"] * 50 + ["single"] * 50
    dataset = worlds.dataset(labels, attributes={"household": ("sensitive", group)})
    spec = worlds.spec(consequences={"adverse": ("b",)})
    evidence = worlds.evidence(spec=spec).add(
        dataset, worlds.probabilities(np.where(wrong, 1, labels))
    )
    measure = worlds.measures(ErrorRates(), evidence)[
        "false-positive-ratio:class=b,household=accessible@test"
    ]
    assert measure.details["sentence"] == (
        "accessible (household) 13% [8, 20] of 110; all others 4% [3, 6] of 560; "
        "3.2 times as often [1.7, 6.0]"
    )
    ends = interval(measure.estimate)
    assert (round(ends.low, 1), round(ends.high, 1)) == (1.7, 6.0)
    assert len(measure.examples) == 12


def test_no_error_at_all_is_a_reason_not_a_ratio(worlds):
    evidence = world(worlds, seed=0, wrong_of={"x": 0.0, "y": 0.0}, n=400)
    reasons = [r for r in ErrorRates().run(evidence) if isinstance(r, Unmeasured)]
    assert {r.name for r in reasons} == {"false-positive-ratio"}
    assert all("wrongly called b" in r.reason for r in reasons)


def test_a_rest_without_errors_gives_an_endless_ratio_in_plain_words(worlds):
    evidence = world(worlds, seed=0, wrong_of={"x": 0.2, "y": 0.0}, n=600)
    found = worlds.measures(ErrorRates(), evidence)
    measure = found["false-positive-ratio:class=b,household=x@test"]
    assert exceeds(measure)
    assert "never seen among the others" in measure.details["sentence"]
    (table,) = [r for r in ErrorRates().run(evidence) if isinstance(r, Table)]
    row = next(r for r in table.rows if r[1] == "x" and r[2] == "wrongly called b")
    assert row[8] is None


def test_few_at_risk_is_unmeasured_even_in_a_large_group(worlds):
    labels = np.array([1] * 195 + [0] * 5 + [0] * 100 + [1] * 100)
    group = ["x"] * 200 + ["y"] * 200
    dataset = worlds.dataset(labels, attributes={"g": ("sensitive", group)})
    spec = worlds.spec(consequences={"adverse": ("b",)})
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(labels ^ 1))
    reasons = [r for r in ErrorRates().run(evidence) if isinstance(r, Unmeasured)]
    assert any(
        r.name == "false-positive-ratio" and "5 images" in r.reason and "5 more" in r.remedy
        for r in reasons
    )


def test_an_unknown_adverse_class_is_an_error_the_user_can_mend(worlds):
    evidence = world(worlds, seed=0, wrong_of={"x": 0.1, "y": 0.1})
    evidence.spec = worlds.spec(consequences={"adverse": ("serius",)})
    with pytest.raises(SpecError, match=r"'serius'.*a, b.*Name one"):
        list(ErrorRates().run(evidence))


def test_figures_and_table_hold_both_errors(worlds):
    evidence = world(worlds, seed=1, wrong_of={"x": 0.1, "y": 0.1})
    results = list(ErrorRates().run(evidence))
    figures = [r for r in results if isinstance(r, Figure)]
    (table,) = [r for r in results if isinstance(r, Table)]
    assert [f.title for f in figures] == [
        "Images wrongly called b, by household",
        "Images b missed, by household",
    ]
    assert len(table.rows) == 4
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_an_attribute_with_one_group_says_so_for_both_errors(worlds):
    evidence = world(worlds, seed=1, wrong_of={"x": 0.1})
    results = list(ErrorRates().run(evidence))
    assert [r.name for r in results] == ["false-positive-ratio", "false-negative-ratio"]
    assert all(isinstance(r, Unmeasured) and "one group, x" in r.reason for r in results)
