import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, demographic_parity_difference, selection_rate

from auditor.bias.selection_rate import SelectionRate
from auditor.contract import Attributes, Predictions
from auditor.errors import SpecError
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import holm, p_value, rate_ratio, value

LIMIT = 1.25
ADVERSE = {"adverse": ("b",)}


def world(
    worlds, *, seed, called_of, n=1500, images_a_unit=1, labelled=True, split="test", evidence=None
):
    """Images called "b" with their group's rate, whatever their label."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    names = np.array(list(called_of))
    group = names[rng.integers(0, len(names), units.max() + 1)][units]
    called = rng.random(units.max() + 1)[units] < np.array([called_of[g] for g in group])
    labels = rng.integers(0, 2, len(units)) if labelled else np.full(len(units), -1)
    dataset = worlds.dataset(
        labels,
        split=split,
        units=units if images_a_unit > 1 else None,
        attributes={"household": ("sensitive", list(group))},
    )
    confidence = rng.uniform(0.55, 0.99, len(units))
    evidence = evidence or worlds.evidence(spec=worlds.spec(consequences=ADVERSE))
    probabilities = worlds.probabilities(called.astype(int), confidence=confidence)
    return evidence.add(dataset, probabilities)


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


def failed(found, name="selection-ratio", limit=LIMIT):
    family = [m for m in found.values() if m.name == name]
    p = holm([p_value(m.estimate, limit=limit, exceeds="above") for m in family])
    return {str(m.subject) for m, one in zip(family, p, strict=True) if one <= 0.05}


@pytest.mark.parametrize("seed", range(6))
def test_a_group_called_three_times_as_often_is_shown_and_the_other_is_not(worlds, seed):
    evidence = world(worlds, seed=seed, called_of={"x": 0.3, "y": 0.1})
    found = worlds.measures(SelectionRate(), evidence)
    assert failed(found) == {"class=b,household=x@test"}
    assert failed(found, "selection-difference", 0.05) == {"class=b,household=x@test"}


@pytest.mark.parametrize("images_a_unit", [1, 5])
def test_five_fair_groups_fail_rarely_where_four_fifths_nearly_always_objects(
    worlds, images_a_unit
):
    ours = bare = 0
    for seed in range(60):
        rates = dict.fromkeys("vwxyz", 0.1)
        evidence = world(
            worlds, seed=seed, called_of=rates, n=500 * images_a_unit, images_a_unit=images_a_unit
        )
        found = worlds.measures(SelectionRate(), evidence)
        ours += bool(failed(found))
        shares = [value(m.sides[0].estimate) for m in found.values() if m.name == "selection-ratio"]
        bare += min(shares) < 0.8 * max(shares)
    assert ours <= 6
    assert bare >= 50


def test_points_are_those_of_fairlearn_for_any_number_of_groups(worlds):
    for seed, names in enumerate(("ab", "abc", "abcdefg")):
        rates = {name: 0.1 + 0.1 * i for i, name in enumerate(names)}
        evidence = world(worlds, seed=seed, called_of=rates, n=2000)
        found = worlds.measures(SelectionRate(), evidence)
        outcomes = evidence.answers()
        given = {
            "y_true": outcomes.labels,
            "y_pred": outcomes.predicted,
            "sensitive_features": outcomes.groups("household").astype(str),
        }
        frame = MetricFrame(metrics=selection_rate, **given)
        ours = {g: found[f"selection-ratio:class=b,household={g}@test"] for g in names}
        for group in names:
            assert value(ours[group].sides[0].estimate) == pytest.approx(frame.by_group[group])
        shares = [value(m.sides[0].estimate) for m in ours.values()]
        assert max(shares) - min(shares) == pytest.approx(demographic_parity_difference(**given))
        spared = 1 - frame.by_group
        for group in names:
            rule = ours[group].facts
            assert rule["four_fifths"] == pytest.approx(spared[group] / spared.max())
            assert rule["rule_objects"] == (spared[group] < 0.8 * spared.max())


def test_measures_are_group_against_rest_by_the_class_that_is_adverse(worlds):
    evidence = world(worlds, seed=3, called_of={"x": 0.4, "y": 0.1, "z": 0.2})
    found = worlds.measures(SelectionRate(), evidence)
    outcomes = evidence.answers()
    called, inside = outcomes.predicted == 1, outcomes.groups("household") == "x"
    own, rest = called[inside].mean(), called[~inside].mean()
    difference = found["selection-difference:class=b,household=x@test"]
    ratio = found["selection-ratio:class=b,household=x@test"]
    assert value(difference.estimate) == pytest.approx(own - rest)
    assert value(ratio.estimate) == pytest.approx(own / rest)
    assert value(ratio.sides[1].estimate) == pytest.approx(rest)
    assert (difference.n, difference.sides[1].n) == (inside.sum(), (~inside).sum())
    assert difference.better == ratio.better == "lower"


def test_examples_are_images_of_the_group_called_so_the_surest_first(worlds):
    evidence = world(worlds, seed=3, called_of={"x": 0.4, "y": 0.1})
    measure = worlds.measures(SelectionRate(), evidence)["selection-ratio:class=b,household=x@test"]
    outcomes = evidence.answers()
    at = [list(outcomes.image_ids).index(i) for i in measure.examples]
    assert len(at) == 12
    assert set(outcomes.groups("household")[at]) == {"x"}
    assert (outcomes.predicted[at] == 1).all()
    scores = outcomes.probabilities[at, 1]
    assert list(scores) == sorted(scores, reverse=True)


def test_rooms_count_and_not_their_photos(worlds):
    evidence = world(worlds, seed=1, called_of={"x": 0.3, "y": 0.2}, n=900, images_a_unit=9)
    found = worlds.measures(SelectionRate(), evidence)
    measure = found["selection-ratio:class=b,household=x@test"]
    outcomes = evidence.answers()
    expected = rate_ratio(
        outcomes.predicted == 1, member=outcomes.groups("household") == "x", unit=outcomes.units
    )
    assert measure.estimate == worlds.nearly(expected)
    assert measure.n_units == measure.n / 9
    assert measure.estimate.n == pytest.approx(measure.n / 9, rel=0.1)


def test_the_sentence_can_be_repeated(worlds):
    group = ["accessible"] * 110 + ["single"] * 560
    called = np.concatenate([np.arange(110) < 33, np.arange(560) < 56]).astype(int)
    dataset = worlds.dataset(np.zeros(670, int), attributes={"household": ("sensitive", group)})
    spec = worlds.spec(consequences=ADVERSE)
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(called))
    found = worlds.measures(SelectionRate(), evidence)
    key = "class=b,household=accessible@test"
    assert worlds.sentence(SelectionRate, found[f"selection-difference:{key}"]) == (
        "Called b, accessible (household): 30% [22, 39] of 110; all others 10% [8, 13] of 560; "
        "20 points higher [12, 29]."
    )
    assert worlds.sentence(SelectionRate, found[f"selection-ratio:{key}"]) == (
        "Called b, accessible (household): 30% [22, 39] of 110; all others 10% [8, 13] of 560; "
        "3.0 times as often [2.0, 4.3]. The four-fifths rule, which takes no account of chance, "
        "objects: 70% are spared, 90% of the group spared most."
    )
    other = worlds.sentence(
        SelectionRate, found["selection-ratio:class=b,household=single@test"]
    )  # fmt: skip
    assert "does not object: 90% are spared, 90%" in other


def test_deployment_images_need_no_labels(worlds):
    evidence = world(worlds, seed=0, called_of={"x": 0.2, "y": 0.2})
    world(
        worlds, seed=1, called_of={"x": 0.4, "y": 0.1}, labelled=False, split="deployment",
        evidence=evidence,
    )  # fmt: skip
    results = list(SelectionRate().run(evidence))
    found = {f"{m.name}:{m.subject}": m for m in results if isinstance(m, Measure)}
    assert failed(found) == {"class=b,household=x@deployment"}
    said = worlds.sentence(
        SelectionRate, found["selection-ratio:class=b,household=x@deployment"]
    )  # fmt: skip
    assert said.startswith("Called b in deployment data, x (household): ")
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert {row["series"] for row in figure.rows} == {
        "called b", "called b, deployment data",
    }  # fmt: skip
    (table,) = [r for r in results if isinstance(r, Table)]
    assert [row[2] for row in table.rows] == ["test", "test", "deployment", "deployment"]


def test_unlabelled_test_images_count_too(worlds):
    evidence = world(worlds, seed=0, called_of={"x": 0.3, "y": 0.1}, labelled=False)
    found = worlds.measures(SelectionRate(), evidence)
    assert failed(found) == {"class=b,household=x@test"}


def test_deployment_without_predictions_or_groups_is_left_out(worlds):
    evidence = world(worlds, seed=0, called_of={"x": 0.2, "y": 0.2})
    world(worlds, seed=1, called_of={"x": 0.4, "y": 0.1}, split="deployment", evidence=evidence)
    for need in (
        Predictions(split="deployment", optional=True),
        Attributes(split="deployment", optional=True),
    ):
        evidence.unmet = (need,)
        found = worlds.measures(SelectionRate(), evidence)
        assert {m.subject.split for m in found.values()} == {"test"}


def test_nobody_called_so_has_a_difference_and_no_ratio(worlds):
    evidence = world(worlds, seed=0, called_of={"x": 0.0, "y": 0.0}, n=400)
    results = list(SelectionRate().run(evidence))
    measures = [r for r in results if isinstance(r, Measure)]
    reasons = [r for r in results if isinstance(r, Unmeasured)]
    assert {m.name for m in measures} == {"selection-difference"}
    assert {r.name for r in reasons} == {"selection-ratio"}
    assert reasons[0].reason.startswith("None of 400 test images counts as “called b”")


def test_everybody_called_so_leaves_the_rule_nothing_to_say(worlds):
    evidence = world(worlds, seed=0, called_of={"x": 1.0, "y": 1.0}, n=400)
    measure = worlds.measures(SelectionRate(), evidence)["selection-ratio:class=b,household=x@test"]
    assert "no group is spared" in worlds.sentence(SelectionRate, measure)
    assert measure.facts["four_fifths"] is None


def test_nine_images_are_too_few(worlds):
    group = ["few"] * 9 + ["many"] * 200 + ["more"] * 200
    dataset = worlds.dataset(np.zeros(409, int), attributes={"g": ("sensitive", group)})
    spec = worlds.spec(consequences=ADVERSE)
    called = np.concatenate([np.ones(9, int), np.arange(400) % 5 == 0])
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(called.astype(int)))
    results = list(SelectionRate().run(evidence))
    reasons = [r for r in results if isinstance(r, Unmeasured)]
    assert [r.name for r in reasons] == ["selection-difference", "selection-ratio"]
    assert all("1 more image of few (g)" in r.remedy for r in reasons)
    (table,) = [r for r in results if isinstance(r, Table)]
    assert all(len(row) == len(table.columns) for row in table.rows)
    low = [column.name for column in table.columns].index("value low")
    assert [row[low] is None for row in table.rows] == [True, False, False]
    # The rule, too, is not led by a group of nine.
    ratios = [r for r in results if isinstance(r, Measure) and r.name == "selection-ratio"]
    assert [m.facts["most_spared"] for m in ratios] == pytest.approx([0.8] * 2)


@pytest.mark.parametrize(
    ("group", "said"),
    [("only", "one group, only (g)"), ("", "is in a group of g: its values are missing.")],
)
def test_one_group_or_none_is_a_reason(worlds, group, said):
    dataset = worlds.dataset(np.zeros(50, int), attributes={"g": ("sensitive", [group] * 50)})
    spec = worlds.spec(consequences=ADVERSE)
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(np.ones(50, int)))
    reasons = [r for r in SelectionRate().run(evidence) if isinstance(r, Unmeasured)]
    assert [r.name for r in reasons] == ["selection-difference", "selection-ratio"]
    assert all(said in r.reason for r in reasons)


def test_an_unknown_adverse_class_is_the_users_to_mend(worlds):
    evidence = world(worlds, seed=0, called_of={"x": 0.2, "y": 0.2})
    evidence.spec = worlds.spec(consequences={"adverse": ("bb",)})
    with pytest.raises(SpecError, match="Did you mean 'b'"):
        list(SelectionRate().run(evidence))
