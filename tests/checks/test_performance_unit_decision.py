import numpy as np
import pytest

from auditor.checks.performance_unit_decision import UnitDecision
from auditor.findings import Table, Unmeasured
from auditor.scoring.outcomes import Outcomes
from auditor.stats import interval, p_value, value


def world(worlds, *, seed, rule="mean", rooms=120, photos=5, right=0.75, adverse=(), alike=0.0):
    """Rooms of two classes; photos err alone, or (in a share `alike` of rooms) all together."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(2, size=rooms), photos)
    wrong = rng.random(len(labels)) > right
    together = np.repeat(rng.random(rooms) < alike, photos)
    answers = np.where(wrong | together, 1 - labels, labels)
    spec = worlds.spec(
        data={"test": {"images": "images"}, "unit_rule": rule}, consequences={"adverse": adverse}
    )
    dataset = worlds.dataset(
        labels, classes=("fine", "serious"), units=np.repeat(np.arange(rooms), photos)
    )
    confidence = rng.uniform(0.6, 0.95, len(labels))
    return worlds.evidence(spec=spec).add(
        dataset, worlds.probabilities(answers, confidence=confidence)
    )


def falls_below(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(5))
def test_votes_mend_photos_that_err_alone(worlds, seed):
    found = worlds.measures(UnitDecision(), world(worlds, seed=seed))
    assert not falls_below(found["unit-accuracy:@test"], 0.8)
    gained = found["unit-minus-image:@test"]
    assert p_value(gained.estimate, limit=0.0, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(5))
def test_one_photo_that_decides_ruins_rooms(worlds, seed):
    evidence = world(worlds, seed=seed, rule="worst", right=0.85)
    found = worlds.measures(UnitDecision(), evidence)
    assert falls_below(found["unit-accuracy:@test"], 0.85)
    lost = found["unit-minus-image:@test"]
    assert p_value(lost.estimate, limit=0.0, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(5))
def test_photos_that_err_together_are_not_mended(worlds, seed):
    evidence = world(worlds, seed=seed, right=1.0, alike=0.3)
    found = worlds.measures(UnitDecision(), evidence)
    assert falls_below(found["unit-accuracy:@test"], 0.85)
    assert value(found["unit-minus-image:@test"].estimate) == pytest.approx(0)


def test_the_difference_has_the_standard_error_of_a_jackknife_over_rooms(worlds):
    evidence = world(worlds, seed=7)
    o = evidence.answers("test")
    estimate = worlds.measures(UnitDecision(), evidence)["unit-minus-image:@test"].estimate
    rooms = np.unique(o.units)
    means = np.array([o.probabilities[o.units == r].mean(axis=0) for r in rooms])
    right = means.argmax(axis=1) == [o.labels[o.units == r][0] for r in rooms]
    left_out = [
        np.delete(right, i).mean() - o.correct[o.units != r].mean() for i, r in enumerate(rooms)
    ]
    jackknife = np.sqrt((len(rooms) - 1) ** 2 / len(rooms) * np.var(left_out, ddof=1))
    assert value(estimate) == pytest.approx(right.mean() - o.correct.mean())
    assert estimate.se == pytest.approx(jackknife, rel=0.02)


def test_tables_compare_the_rules_and_count_adverse_errors(worlds):
    evidence = world(worlds, seed=8, adverse=("serious",))
    rules, adverse = (r for r in UnitDecision().run(evidence) if isinstance(r, Table))
    assert [row[0] for row in rules.rows] == ["mean", "majority", "worst"]
    assert rules.rows[0][2] > rules.rows[2][2]
    assert [row[:2] for row in adverse.rows] == [
        ("serious", "missed"),
        ("serious", "wrongly called so"),
    ]
    assert adverse.rows[0][2] + adverse.rows[1][2] == 120


def test_examples_are_photos_of_wrong_rooms_one_each(worlds):
    evidence = world(worlds, seed=9, right=1.0, alike=0.4)
    examples = worlds.measures(UnitDecision(), evidence)["unit-accuracy:@test"].examples
    o = evidence.answers("test")
    rows = [int(np.flatnonzero(o.image_ids == e)[0]) for e in examples]
    assert len({o.units[r] for r in rows}) == 12
    assert not o.correct[rows].any()


def test_conflicting_labels_are_counted(worlds):
    evidence = world(worlds, seed=10)
    o = evidence.answers("test")
    labels = o.labels.copy()
    labels[0] = 1 - labels[0]
    o.dataset.frame["label"] = labels
    found = worlds.measures(UnitDecision(), evidence)["unit-accuracy:@test"]
    assert found.facts["conflicting_labels"] == 1


def test_all_right_is_not_certain(worlds):
    found = worlds.measures(UnitDecision(), world(worlds, seed=11, right=1.0, rooms=20))
    for measure in found.values():
        ends = interval(measure.estimate)
        assert ends.high > ends.low


def test_few_rooms_are_a_reason(worlds):
    evidence = world(worlds, seed=12, rooms=9)
    assert isinstance(evidence.answers("test"), Outcomes)
    found = list(UnitDecision().run(evidence))
    assert [r.name for r in found] == ["unit-accuracy", "unit-minus-image"]
    assert all(isinstance(r, Unmeasured) for r in found)


def test_units_of_several_labels_are_not_decided_on_as_a_whole(worlds):
    labels = np.tile([0, 1], 60)
    dataset = worlds.dataset(labels, units=np.repeat(np.arange(30), 4))
    evidence = worlds.evidence().add(dataset, worlds.probabilities(labels))
    found = list(UnitDecision().run(evidence))
    assert [type(each) for each in found] == [Unmeasured, Unmeasured]
    assert "30 of 30 units hold images with different labels" in found[0].reason
