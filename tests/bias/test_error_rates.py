import fairlearn.metrics as fairlearn
import numpy as np
import pytest

from auditor.bias.equalised_odds import equalised_odds
from auditor.bias.error_rates import ErrorRates
from auditor.comparing.groups import groupings
from auditor.errors import SpecError
from auditor.findings import Figure, Table, Unmeasured
from auditor.stats import Draws, bound, interval, p_value, rate_difference, value

LIMIT = 1.25
POINTS = 0.05


def world(
    worlds, *, seed, wrong_of, missed_of=None, n=2000, images_a_unit=1, split="test", evidence=None
):
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
        split=split,
        units=units if images_a_unit > 1 else None,
        attributes={"household": ("sensitive", list(group))},
    )
    evidence = evidence or worlds.evidence(spec=worlds.spec(consequences={"adverse": ("b",)}))
    return evidence.add(dataset, worlds.probabilities(answers))


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


def many(
    worlds, *, seed, classes, groups, adverse=(), n=3000, rare=(), split="test", evidence=None
):
    """Several classes and groups, 20% errors; groups named in `rare` hardly have class c."""
    rng = np.random.default_rng(seed)
    group = np.array(groups)[rng.integers(0, len(groups), n)]
    labels = rng.integers(0, len(classes), n)
    labels = np.where(np.isin(group, rare) & (labels == 2), 0, labels)
    shift = rng.integers(1, len(classes), n) * (rng.random(n) < 0.2)
    answers = (labels + shift) % len(classes)
    dataset = worlds.dataset(
        labels, split=split, classes=classes, attributes={"g": ("sensitive", list(group))}
    )
    evidence = evidence or worlds.evidence(spec=worlds.spec(consequences={"adverse": adverse}))
    return evidence.add(dataset, worlds.probabilities(answers, n_classes=len(classes)))


def lines(table):
    """A table's rows by the names of its columns."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("seed", range(6))
def test_three_times_as_many_false_alarms_are_shown(worlds, seed):
    evidence = world(worlds, seed=seed, wrong_of={"accessible": 0.15, "single": 0.05})
    found = worlds.measures(ErrorRates(), evidence)
    assert exceeds(found["false-positive-ratio:class=b,household=accessible@test"])
    assert not exceeds(found["false-positive-ratio:class=b,household=single@test"])
    assert not exceeds(found["false-negative-ratio:class=b,household=accessible@test"])


def test_an_error_weighs_as_the_spec_says_it_costs(worlds):
    matrix = {"a": {"b": 4000.0}, "b": {"a": 50000.0}}
    stated = {"adverse": ("b",), "costs": {"unit": "EUR", "matrix": matrix}}
    evidence = worlds.evidence(spec=worlds.spec(consequences=stated))
    world(worlds, seed=1, wrong_of={"old": 0.1, "new": 0.1}, evidence=evidence)
    found = worlds.measures(ErrorRates(), evidence)
    about = "class=b,household=old@test"
    assert found[f"false-positive-ratio:{about}"].weight == 1
    assert found[f"false-negative-ratio:{about}"].weight == pytest.approx(50 / 27)
    assert found[f"false-negative-difference:{about}"].weight == 1


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
    failed = differ = 0
    for seed in range(40):
        evidence = world(
            worlds, seed=seed, wrong_of={"x": 0.06, "y": 0.06}, n=1000, images_a_unit=images_a_unit
        )
        found = worlds.measures(ErrorRates(), evidence).values()
        failed += any(exceeds(m) for m in found if m.name.endswith("-ratio"))
        differ += any(exceeds(m, POINTS) for m in found if m.name.endswith("-difference"))
    assert failed <= 6
    assert differ <= 3


def test_rates_are_those_of_the_images_at_risk(worlds):
    evidence = world(worlds, seed=4, wrong_of={"x": 0.2, "y": 0.05})
    found = worlds.measures(ErrorRates(), evidence)
    outcomes = evidence.answers()
    group = outcomes.groups("household")
    clear = outcomes.labels == 0
    own = (outcomes.predicted[clear & (group == "x")] == 1).mean()
    rest = (outcomes.predicted[clear & (group != "x")] == 1).mean()
    measure = found["false-positive-ratio:class=b,household=x@test"]
    assert value(measure.sides[0].estimate) == pytest.approx(own)
    assert value(measure.sides[1].estimate) == pytest.approx(rest)
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
    assert worlds.sentence(ErrorRates, measure) == (
        "Wrongly called b, accessible (household): 13% [8, 20] of 110; all others 3.9% [3, 6] of "
        "560; 3.2 times as often [1.7, 6.0]."
    )
    ends = interval(measure.estimate)
    assert (round(ends.low, 1), round(ends.high, 1)) == (1.7, 6.0)
    assert len(measure.examples) == 12


def test_labelled_deployment_images_are_compared_too(worlds):
    evidence = world(worlds, seed=0, wrong_of={"x": 0.05, "y": 0.05})
    world(
        worlds, seed=1, wrong_of={"x": 0.2, "y": 0.05}, split="deployment", evidence=evidence
    )  # fmt: skip
    results = list(ErrorRates().run(evidence))
    found = worlds.measures(ErrorRates(), evidence)
    shown = {str(m.subject) for m in found.values() if m.name.endswith("-ratio") and exceeds(m)}
    assert shown == {"class=b,household=x@deployment"}
    assert {m.subject.split for m in found.values() if m.name == "equalised-odds"} == {
        "test", "deployment",
    }  # fmt: skip
    measure = found["false-positive-ratio:class=b,household=x@deployment"]
    sentence = worlds.sentence(ErrorRates, measure)
    assert sentence.startswith("Wrongly called b in deployment data, x (household): ")
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert "wrongly called b, deployment data" in {row["series"] for row in figure.rows}


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
    assert "never seen among the others" in worlds.sentence(ErrorRates, measure)
    (table,) = [r for r in ErrorRates().run(evidence) if isinstance(r, Table)]
    row = next(r for r in lines(table) if r["group"] == "x" and r["quantity"] == "wrongly called b")
    assert row["false-positive-ratio"] is None


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
    with pytest.raises(SpecError, match=r"'serius'.*a, b.*Correct the name"):
        list(ErrorRates().run(evidence))


def test_one_figure_an_attribute_and_a_table_hold_both_errors(worlds):
    evidence = world(worlds, seed=1, wrong_of={"x": 0.1, "y": 0.1})
    results = list(ErrorRates().run(evidence))
    (figure,) = [r for r in results if isinstance(r, Figure)]
    (table,) = [r for r in results if isinstance(r, Table)]
    assert figure.title == "Errors by household"
    assert [(row["label"], row["series"]) for row in figure.rows] == [
        (label, error) for error in ("wrongly called b", "b missed")
        for label in ("all images", "x", "y")
    ]  # fmt: skip
    assert all(row["low"] <= row["value"] <= row["high"] for row in figure.rows)
    assert len(table.rows) == 4
    assert all(len(row) == len(table.columns) for row in table.rows)
    row = lines(table)[0]
    measure = worlds.measures(ErrorRates(), evidence)[
        "false-positive-difference:class=b,household=x@test"
    ]
    assert row["false-positive-difference"] == pytest.approx(value(measure.estimate))
    assert row["value"] == pytest.approx(value(measure.sides[0].estimate))
    assert row["others"] == pytest.approx(value(measure.sides[1].estimate))
    outcomes = evidence.answers()
    at_risk = (outcomes.labels == 0) & (outcomes.groups("household") == "x")
    assert row["images"] == at_risk.sum()
    assert row["value"] == pytest.approx((outcomes.predicted[at_risk] == 1).mean())


def test_an_attribute_with_one_group_says_so_for_every_measure(worlds):
    evidence = world(worlds, seed=1, wrong_of={"x": 0.1})
    results = list(ErrorRates().run(evidence))
    assert [r.name for r in results] == [
        "false-positive-ratio", "false-negative-ratio",
        "false-positive-difference", "false-negative-difference",
    ]  # fmt: skip
    assert all(isinstance(r, Unmeasured) and "one group, x" in r.reason for r in results)


@pytest.mark.parametrize("seed", range(6))
def test_a_planted_difference_is_shown_in_its_own_error_only(worlds, seed):
    evidence = world(worlds, seed=seed, wrong_of={"accessible": 0.2, "single": 0.05})
    found = worlds.measures(ErrorRates(), evidence)
    assert exceeds(found["false-positive-difference:class=b,household=accessible@test"], POINTS)
    assert not exceeds(found["false-positive-difference:class=b,household=single@test"], 0.0)
    assert not exceeds(found["false-negative-difference:class=b,household=accessible@test"], POINTS)
    assert value(found["equalised-odds:attribute=household,class=b@test"].estimate) > 0.1


def test_a_difference_is_that_of_units_with_its_sentence(worlds):
    evidence = world(worlds, seed=3, wrong_of={"x": 0.3, "y": 0.1}, images_a_unit=5, n=1500)
    measure = worlds.measures(ErrorRates(), evidence)[
        "false-positive-difference:class=b,household=x@test"
    ]
    outcomes = evidence.answers()
    clear = outcomes.labels == 0
    expected = rate_difference(
        outcomes.predicted[clear] == 1,
        member=(outcomes.groups("household") == "x")[clear],
        unit=outcomes.units[clear].astype(str),
    )
    assert measure.estimate == worlds.nearly(expected)
    assert measure.n_units == measure.n / 5
    assert worlds.sentence(ErrorRates, measure).startswith("Wrongly called b, x (household): ")
    assert " points higher [" in worlds.sentence(ErrorRates, measure)


def test_all_classes_have_differences_and_the_adverse_ones_ratios(worlds):
    evidence = many(worlds, seed=0, classes=("a", "b", "c"), groups=("x", "y"), adverse=("c",))
    found = worlds.measures(ErrorRates(), evidence).values()
    by_name = {
        name: {m.subject.get("class") for m in found if m.name == name}
        for name in {m.name for m in found}
    }
    assert by_name == {
        "false-positive-difference": {"a", "b", "c"},
        "false-negative-difference": {"a", "b", "c"},
        "false-positive-ratio": {"c"},
        "false-negative-ratio": {"c"},
        "equalised-odds": {"c"},
    }
    (figure,) = [r for r in ErrorRates().run(evidence) if isinstance(r, Figure)]
    assert {row["series"] for row in figure.rows} == {"wrongly called c", "c missed"}


def test_without_adverse_classes_differences_stand_and_the_remedy_is_told(worlds):
    evidence = world(worlds, seed=0, wrong_of={"x": 0.1, "y": 0.1})
    evidence.spec = worlds.spec()
    results = list(ErrorRates().run(evidence))
    (reason,) = [r for r in results if isinstance(r, Unmeasured)]
    assert reason.name == "adverse-ratios"
    assert "`consequences.adverse`" in reason.remedy
    found = worlds.measures(ErrorRates(), evidence)
    assert {m.name for m in found.values()} == {
        "false-positive-difference", "false-negative-difference", "equalised-odds",
    }  # fmt: skip
    assert {m.subject.get("class") for m in found.values()} == {"b"}


def test_many_classes_compare_the_adverse_ones_only(worlds):
    classes = tuple(f"c{i}" for i in range(12))
    evidence = many(worlds, seed=0, classes=classes, groups=("x", "y"), adverse=("c3",), n=4000)
    found = worlds.measures(ErrorRates(), evidence).values()
    assert {m.subject.get("class") for m in found} == {"c3"}
    more = worlds.measures(ErrorRates(most_classes=12), evidence).values()
    assert {m.subject.get("class") for m in more} == set(classes)


def test_many_classes_and_none_adverse_is_a_reason_for_every_measure(worlds):
    evidence = many(worlds, seed=0, classes=tuple("abcdef"), groups=("x", "y"))
    results = list(ErrorRates().run(evidence))
    assert [r.name for r in results] == [
        "adverse-ratios", "false-positive-difference", "false-negative-difference",
    ]  # fmt: skip
    assert "6 classes are too many" in results[1].reason
    assert all("`consequences.adverse`" in r.remedy for r in results)


def test_rare_classes_that_are_not_adverse_share_one_reason(worlds):
    evidence = many(
        worlds, seed=0, classes=("a", "b", "c"), groups=("x", "y"), adverse=("a",), rare=("x",)
    )
    reasons = [r for r in ErrorRates().run(evidence) if isinstance(r, Unmeasured)]
    assert [(r.name, str(r.subject)) for r in reasons] == [
        ("false-negative-difference", "g=x@test"), ("false-negative-difference", "g=y@test"),
    ]  # fmt: skip
    assert "x (g) or the rest has fewer than 10 units of class c." in reasons[0].reason
    many(
        worlds, seed=0, classes=("a", "b", "c"), groups=("x", "y"), rare=("x",),
        split="deployment", evidence=evidence,
    )  # fmt: skip
    reasons = [r for r in ErrorRates().run(evidence) if isinstance(r, Unmeasured)]
    assert {str(r.subject) for r in reasons} == {
        "g=x@test", "g=y@test", "g=x@deployment", "g=y@deployment",
    }  # fmt: skip


@pytest.mark.parametrize("groups", [2, 3, 7, 24])
def test_points_equal_those_of_fairlearn(worlds, groups):
    """MetricFrame's rates and equalized_odds_difference, for any number of groups."""
    names = tuple(f"g{i:02}" for i in range(groups))
    evidence = many(
        worlds, seed=groups, classes=("a", "b", "c"), groups=names, adverse=("b",), n=300 * groups
    )
    outcomes = evidence.answers()
    truth, answer = (outcomes.labels == 1).astype(int), (outcomes.predicted == 1).astype(int)
    sensitive = outcomes.groups("g").astype(str)
    metrics = {
        "false-positive": fairlearn.false_positive_rate,
        "false-negative": fairlearn.false_negative_rate,
    }
    frame = fairlearn.MetricFrame(
        metrics=metrics, y_true=truth, y_pred=answer, sensitive_features=sensitive
    )
    found = worlds.measures(ErrorRates(), evidence)
    for kind in metrics:
        for name in names:
            measure = found[f"{kind}-difference:class=b,g={name}@test"]
            rest = sensitive != name
            expected = metrics[kind](truth[rest], answer[rest])
            assert value(measure.sides[0].estimate) == pytest.approx(frame.by_group[kind][name])
            assert value(measure.sides[1].estimate) == pytest.approx(expected)
            assert value(measure.estimate) == pytest.approx(frame.by_group[kind][name] - expected)
    odds = found["equalised-odds:attribute=g,class=b@test"]
    assert value(odds.estimate) == pytest.approx(
        fairlearn.equalized_odds_difference(truth, answer, sensitive_features=sensitive)
    )
    by_error = odds.facts["by_error"]
    assert by_error["false-positive"] == pytest.approx(dict(frame.by_group["false-positive"]))


def test_equalised_odds_has_bounds_that_a_fair_model_keeps(worlds):
    """Never a bootstrapped maximum: 12 equal groups are not shown to be apart."""
    apart = 0
    for seed in range(20):
        names = tuple(f"g{i:02}" for i in range(12))
        evidence = many(worlds, seed=seed, classes=("a", "b"), groups=names, adverse=("b",), n=1800)
        grouping = groupings(evidence.scored())[0]
        odds = equalised_odds(grouping, "b")
        assert isinstance(odds.estimate, Draws)
        assert value(odds.estimate) > 0.05
        apart += bound(odds.estimate, side="low") > 0
    assert apart <= 3


def test_equalised_odds_leaves_out_small_groups_and_names_them(worlds):
    rng = np.random.default_rng(0)
    group = np.array(["x"] * 300 + ["y"] * 300 + ["few"] * 8)
    labels = rng.integers(0, 2, 608)
    answers = np.where(group == "few", 1 - labels, labels)
    dataset = worlds.dataset(labels, attributes={"g": ("sensitive", list(group))})
    spec = worlds.spec(consequences={"adverse": ("b",)})
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(answers))
    odds = worlds.measures(ErrorRates(), evidence)["equalised-odds:attribute=g,class=b@test"]
    assert value(odds.estimate) == 0
    assert odds.facts["left_out"] == {"false-positive": ["few"], "false-negative": ["few"]}
    assert odds.n == 600


def test_equalised_odds_of_one_group_with_enough_has_a_reason(worlds):
    group = ["x"] * 200 + ["few"] * 8
    labels = np.arange(208) % 2
    dataset = worlds.dataset(labels, attributes={"g": ("sensitive", group)})
    spec = worlds.spec(consequences={"adverse": ("b",)})
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(labels))
    (reason,) = [
        r for r in ErrorRates().run(evidence)
        if isinstance(r, Unmeasured) and r.name == "equalised-odds"
    ]  # fmt: skip
    assert reason.reason == (
        "Fewer than two groups of g have 10 units not of class b and of class b."
    )


def test_equalised_odds_says_which_groups_are_apart(worlds):
    evidence = world(worlds, seed=1, wrong_of={"x": 0.3, "y": 0.05, "z": 0.1}, n=3000)
    odds = worlds.measures(ErrorRates(), evidence)[
        "equalised-odds:attribute=household,class=b@test"
    ]
    said = worlds.sentence(ErrorRates, odds)
    assert said.startswith("Groups of household are at most 2")
    assert "in how often they are wrongly called b: x " in said
    assert "%, y " in said
    outcomes = evidence.answers()
    at = [list(outcomes.image_ids).index(i) for i in odds.examples]
    assert set(outcomes.groups("household")[at]) == {"x"}
    assert set(outcomes.labels[at]) == {0}
    assert set(outcomes.predicted[at]) == {1}


def test_a_class_of_one_group_that_is_always_found_has_a_table_all_the_same(worlds):
    """All that could be missed are of one group with one outcome: a single cell."""
    labels = np.r_[np.zeros(30, int), np.ones(12, int)]
    group = ["x"] * 15 + ["y"] * 15 + ["x"] * 12
    dataset = worlds.dataset(labels, attributes={"g": ("sensitive", group)})
    spec = worlds.spec(consequences={"adverse": ("b",)})
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(labels))
    table = next(r for r in ErrorRates().run(evidence) if isinstance(r, Table))
    names = [column.name for column in table.columns]
    lines = [dict(zip(names, row, strict=True)) for row in table.rows]
    missed = {r["group"]: r["value"] for r in lines if r["quantity"] == "b missed"}
    assert missed == {"x": 0.0, "y": None}
