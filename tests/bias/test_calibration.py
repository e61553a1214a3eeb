import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auditor.bias.calibration import GroupCalibration, overconfidence
from auditor.comparing.two_sides import two_means
from auditor.errors import SpecError
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.scoring.calibration import calibration_error
from auditor.stats import bound, interval, p_value, value

LIMIT = 0.05
ADVERSE = {"adverse": ("b",)}


def world(
    worlds, *, seed, accuracy_of, claims_of, n=1800, images_a_unit=1, adverse=ADVERSE,
    split="test", evidence=None,
):  # fmt: skip
    """Groups with their own accuracy, and their own confidence in the answer."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    names = np.array(list(accuracy_of))
    group = names[rng.integers(0, len(names), units.max() + 1)][units]
    labels = rng.integers(0, 2, len(units))
    right = rng.random(len(units)) < np.array([accuracy_of[g] for g in group])
    claims = np.array([claims_of[g] for g in group]) + rng.uniform(-0.04, 0.04, len(units))
    dataset = worlds.dataset(
        labels,
        split=split,
        units=units if images_a_unit > 1 else None,
        attributes={"household": ("sensitive", list(group))},
    )
    answers = np.where(right, labels, 1 - labels)
    evidence = evidence or worlds.evidence(spec=worlds.spec(consequences=adverse))
    return evidence.add(dataset, worlds.probabilities(answers, confidence=claims))


def ranked(worlds, *, seed, spread_of, n=1800, adverse=ADVERSE):
    """Scores of class b that tell its images apart by the group's spread."""
    rng = np.random.default_rng(seed)
    group = np.array(list(spread_of))[rng.integers(0, len(spread_of), n)]
    labels = rng.integers(0, 2, n)
    logit = rng.normal(0, 1, n) + (labels - 0.5) * np.array([spread_of[g] for g in group])
    score = 1 / (1 + np.exp(-logit))
    dataset = worlds.dataset(labels, attributes={"household": ("sensitive", list(group))})
    evidence = worlds.evidence(spec=worlds.spec(consequences=adverse))
    return evidence.add(dataset, np.stack([1 - score, score], axis=1).astype(np.float32))


def overconfidence_gap(claims, right, *, member, unit):
    quantity = overconfidence(claims, right)
    sides = two_means(quantity.values, member=member, unit=unit, span=quantity.span)
    return sides.difference()


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


def falls_short(measure, limit=-LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("images_a_unit", [1, 3])
def test_a_group_for_which_the_model_claims_too_much_is_shown(worlds, seed, images_a_unit):
    evidence = world(
        worlds, seed=seed, accuracy_of={"x": 0.75, "y": 0.9}, claims_of={"x": 0.9, "y": 0.9},
        images_a_unit=images_a_unit,
    )  # fmt: skip
    found = worlds.measures(GroupCalibration(), evidence)
    assert exceeds(found["overconfidence-difference:household=x@test"])
    assert not exceeds(found["overconfidence-difference:household=y@test"])
    assert exceeds(found["ece:household=x@test"])
    assert not exceeds(found["ece:household=y@test"])


def test_labelled_deployment_images_are_compared_too(worlds):
    claims = {"x": 0.9, "y": 0.9}
    evidence = world(worlds, seed=0, accuracy_of=claims, claims_of=claims)
    world(
        worlds, seed=1, accuracy_of={"x": 0.7, "y": 0.9}, claims_of=claims, split="deployment",
        evidence=evidence,
    )  # fmt: skip
    found = worlds.measures(GroupCalibration(), evidence)
    assert exceeds(found["overconfidence-difference:household=x@deployment"])
    assert not exceeds(found["overconfidence-difference:household=x@test"])
    assert falls_short(found["auc-difference:class=b,household=x@deployment"])
    assert not falls_short(found["auc-difference:class=b,household=x@test"])


def test_without_class_scores_nothing_is_ranked(worlds):
    evidence = ranked(worlds, seed=1, spread_of={"x": 1.0, "y": 2.5})
    evidence.model = worlds.facts(task="detection")
    found = worlds.measures(GroupCalibration(), evidence)
    assert {m.name for m in found.values()} == {"ece", "overconfidence-difference"}


@pytest.mark.parametrize("seed", range(6))
def test_honest_confidence_is_not_blamed_whatever_the_accuracy(worlds, seed):
    rates = {"x": 0.75, "y": 0.9, "z": 0.9}
    found = worlds.measures(
        GroupCalibration(), world(worlds, seed=seed, accuracy_of=rates, claims_of=rates)
    )
    calibration = [m for m in found.values() if m.name != "auc-difference"]
    assert len(calibration) == 6
    assert not any(exceeds(m) for m in calibration)


@pytest.mark.parametrize("seed", range(6))
def test_a_group_that_is_ranked_worse_is_shown(worlds, seed):
    found = worlds.measures(
        GroupCalibration(), ranked(worlds, seed=seed, spread_of={"x": 1.0, "y": 2.5, "z": 2.5})
    )
    areas = {k: m for k, m in found.items() if m.name == "auc-difference"}
    shown = {str(m.subject) for m in areas.values() if falls_short(m)}
    assert shown == {"class=b,household=x@test"}


@pytest.mark.parametrize("seed", range(6))
def test_equal_ranking_is_not_blamed(worlds, seed):
    found = worlds.measures(
        GroupCalibration(), ranked(worlds, seed=seed, spread_of=dict.fromkeys("xyz", 1.5))
    )
    assert not any(falls_short(m) for m in found.values() if m.name == "auc-difference")


def test_numbers_are_those_of_their_definitions(worlds):
    evidence = ranked(worlds, seed=1, spread_of={"x": 1.0, "y": 2.5, "z": 2.0})
    found = worlds.measures(GroupCalibration(), evidence)
    o = evidence.answers()
    x = o.groups("household") == "x"
    excess = o.confidence - o.correct
    over = found["overconfidence-difference:household=x@test"]
    assert value(over.estimate) == pytest.approx(excess[x].mean() - excess[~x].mean(), abs=1e-6)
    assert value(over.sides[0].estimate) == pytest.approx(excess[x].mean(), abs=1e-6)
    assert value(over.sides[1].estimate) == pytest.approx(excess[~x].mean(), abs=1e-6)
    ece = found["ece:household=x@test"]
    assert ece.estimate == worlds.nearly(calibration_error(o.confidence[x], o.correct[x]))
    rest = calibration_error(o.confidence[~x], o.correct[~x])
    assert value(ece.sides[1].estimate) == pytest.approx(rest.value)
    area = found["auc-difference:class=b,household=x@test"]
    own, other = (roc_auc_score(o.labels[s], o.probabilities[s, 1]) for s in (x, ~x))
    assert value(area.estimate) == pytest.approx(own - other)
    assert (value(area.sides[0].estimate), value(area.sides[1].estimate)) == (
        pytest.approx(own), pytest.approx(other),
    )  # fmt: skip
    assert (over.better, ece.better, area.better) == ("lower", "lower", "higher")
    assert area.n == x.sum()


def test_units_are_what_counts(worlds):
    rng = np.random.default_rng(4)
    rooms = np.repeat(np.arange(120), 10)
    group = np.where(rooms % 2 == 0, "x", "y")
    right = (rng.random(120) < 0.8)[rooms]
    labels = (rooms % 4 > 1).astype(int)
    evidences = []
    for units in (rooms, None):
        dataset = worlds.dataset(
            labels, units=units, attributes={"household": ("sensitive", list(group))}
        )
        answers = worlds.probabilities(np.where(right, labels, 1 - labels), confidence=0.8)
        spec = worlds.spec(consequences=ADVERSE)
        evidences.append(worlds.evidence(spec=spec).add(dataset, answers))
    by_room, by_photo = (worlds.measures(GroupCalibration(), e) for e in evidences)
    for key in ("overconfidence-difference:household=x@test",
                "auc-difference:class=b,household=x@test"):  # fmt: skip
        assert by_room[key].estimate.se > 2 * by_photo[key].estimate.se
        assert by_room[key].n_units == 60
    ece = "ece:household=x@test"
    widths = [interval(f[ece].estimate).high for f in (by_room, by_photo)]
    assert widths[0] > widths[1]


def test_a_group_without_an_error_claims_no_certainty():
    member = np.arange(230) < 30
    claims = np.full(230, 0.98)
    gap = overconfidence_gap(claims, np.ones(230, bool), member=member, unit=None)
    assert gap.value == pytest.approx(0)
    assert bound(gap, side="high") > 0.05


@pytest.mark.parametrize(
    ("n", "images_a_unit"), [(30, 1), (100, 1), (300, 1), (60, 3), (200, 10)]
)  # fmt: skip
def test_overconfidence_at_the_limit_is_rarely_called_either_way(n, images_a_unit):
    """True difference 0.05: right 85% of the group, 90% of the rest, 92% claimed of both."""
    rng = np.random.default_rng([n, images_a_unit])
    unit = np.repeat(np.arange(4 * n // images_a_unit), images_a_unit)
    member = unit < n // images_a_unit
    hit = failed = passed = 0
    for _ in range(300):
        shared = rng.random(len(unit)) < (0.55 if images_a_unit > 1 else 0)
        chance = np.where(shared, rng.random(unit.max() + 1)[unit], rng.random(len(unit)))
        right = chance < np.where(member, 0.85, 0.9)
        claims = 0.92 + rng.uniform(-0.04, 0.04, len(unit))
        units = unit if images_a_unit > 1 else None
        gap = overconfidence_gap(claims, right, member=member, unit=units)
        ends = interval(gap)
        hit += ends.low <= 0.05 <= ends.high
        failed += p_value(gap, limit=0.05, exceeds="above") <= 0.05
        passed += bound(gap, side="high") <= 0.05
    # Truly 94% to 96%, from 2,000 worlds.
    assert hit / 300 >= 0.905
    assert failed / 300 <= 0.075
    assert passed / 300 <= 0.11


def test_sentences_can_be_repeated(worlds):
    group = ["accessible"] * 200 + ["single"] * 400
    labels = np.tile([0, 1], 300)
    wrong = np.concatenate([np.arange(200) < 50, np.arange(400) < 40])
    dataset = worlds.dataset(labels, attributes={"household": ("sensitive", group)})
    evidence = worlds.evidence(spec=worlds.spec(consequences=ADVERSE)).add(
        dataset, worlds.probabilities(np.where(wrong, 1 - labels, labels), confidence=0.9)
    )
    found = worlds.measures(GroupCalibration(), evidence)
    key = "household=accessible@test"
    assert worlds.sentence(GroupCalibration, found[f"overconfidence-difference:{key}"]) == (
        "accessible (household): the model claims 90% and is right 75% of 200; all others: the "
        "model claims 90% and is right 90% of 400; 15 points more overconfident [8, 22]."
    )
    said = worlds.sentence(GroupCalibration, found[f"ece:{key}"])
    assert said.startswith("Confidence, accessible (household), is off by 15 points [")
    area = worlds.sentence(GroupCalibration, found[f"auc-difference:class=b,{key}"])
    assert area.startswith(
        "Of two images, one b and one not, the b one has the higher score, of pairs of accessible "
        "(household): 75% [69, 81] of 200; of all others 90% [87, 93] of 400; 15 points less often"
    )
    other = worlds.sentence(
        GroupCalibration, found["overconfidence-difference:household=single@test"]
    )  # fmt: skip
    assert other.endswith("15 points less overconfident [8, 22].")


def test_examples_are_the_surest_errors_and_the_worst_ranked(worlds):
    evidence = ranked(worlds, seed=2, spread_of={"x": 1.0, "y": 2.5})
    found = worlds.measures(GroupCalibration(), evidence)
    o = evidence.answers()
    ids = list(o.image_ids)
    over = [ids.index(i) for i in found["overconfidence-difference:household=x@test"].examples]
    area = [ids.index(i) for i in found["auc-difference:class=b,household=x@test"].examples]
    assert len(over) == len(area) == 12
    assert set(o.groups("household")[over + area]) == {"x"}
    assert not o.correct[over].any()
    assert list(o.confidence[over]) == sorted(o.confidence[over], reverse=True)
    against = np.where(o.labels == 1, 1 - o.probabilities[:, 1], o.probabilities[:, 1])
    inside = o.groups("household") == "x"
    assert against[area].min() >= np.sort(against[inside])[-12]


def test_classes_that_are_ranked(worlds):
    def classes_of(consequences, n_classes, **parameters):
        labels = np.arange(1200) % n_classes
        dataset = worlds.dataset(
            labels,
            classes=tuple(f"c{i}" for i in range(n_classes)),
            attributes={"g": ("sensitive", list(np.where(np.arange(1200) % 7 < 3, "x", "y")))},
        )
        evidence = worlds.evidence(spec=worlds.spec(consequences=consequences)).add(
            dataset, worlds.probabilities(labels, n_classes=n_classes)
        )
        found = worlds.measures(GroupCalibration(**parameters), evidence)
        return {m.subject.get("class") for m in found.values() if m.name == "auc-difference"}

    assert classes_of({}, 2) == {"c1"}
    assert classes_of({}, 3) == {"c0", "c1", "c2"}
    assert classes_of({}, 3, most_classes=2) == set()
    assert classes_of({"adverse": ("c2",)}, 12) == {"c2"}


def test_few_of_a_class_have_calibration_and_no_ranking(worlds):
    labels = np.array([0] * 91 + [1] * 9 + [0, 1] * 100)
    group = ["x"] * 100 + ["y"] * 200
    dataset = worlds.dataset(labels, attributes={"g": ("sensitive", group)})
    evidence = worlds.evidence(spec=worlds.spec(consequences=ADVERSE)).add(
        dataset, worlds.probabilities(labels)
    )
    results = list(GroupCalibration().run(evidence))
    assert {r.name for r in results if isinstance(r, Measure)} == {
        "ece", "overconfidence-difference",
    }  # fmt: skip
    reasons = [r for r in results if isinstance(r, Unmeasured)]
    assert {r.name for r in reasons} == {"auc-difference"}
    assert any("9 images of x (g) with label b" in r.reason for r in reasons)
    assert any("1 more image of x (g) with label b" in r.remedy for r in reasons)


def test_small_groups_and_single_groups_have_reasons(worlds):
    dataset = worlds.dataset(
        np.tile([0, 1], 110),
        attributes={"g": ("sensitive", ["few"] * 8 + ["many"] * 212),
                    "h": ("sensitive", ["one"] * 220)},
    )  # fmt: skip
    evidence = worlds.evidence(spec=worlds.spec(consequences=ADVERSE)).add(
        dataset, worlds.probabilities(np.tile([0, 1], 110))
    )
    results = list(GroupCalibration().run(evidence))
    reasons = [r for r in results if isinstance(r, Unmeasured)]
    assert not any(isinstance(r, Measure) for r in results)
    names = ["ece", "overconfidence-difference", "auc-difference"]
    assert [r.name for r in reasons if r.subject.get("h")] == names
    assert [r.name for r in reasons if r.subject.get("g") == "few"] == names
    evidence.spec = worlds.spec(consequences={"adverse": ("bb",)})
    with pytest.raises(SpecError, match="Did you mean 'b'"):
        list(GroupCalibration().run(evidence))


def test_table_and_figure(worlds):
    evidence = ranked(worlds, seed=2, spread_of={"x": 1.0, "y": 2.5})
    results = list(GroupCalibration().run(evidence))
    (figure,) = [r for r in results if isinstance(r, Figure)]
    (table,) = [r for r in results if isinstance(r, Table)]
    assert [row["label"] for row in figure.rows] == ["all images", "x", "y"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in figure.rows)
    quantity = [column.name for column in table.columns].index("quantity")
    assert [row[quantity] for row in table.rows] == [
        named for named in ("calibration error", "overconfidence", "ranking of b (AUC)")
        for _ in "xy"
    ]  # fmt: skip
    assert all(len(row) == len(table.columns) for row in table.rows)
