import numpy as np
import pytest

from auditor.checks.performance_overfitting import Overfitting
from auditor.findings import Unmeasured
from auditor.stats import p_value, value

LIMIT = 0.10


def exceeds(measure):
    return p_value(measure.estimate, limit=LIMIT, exceeds="above") <= 0.05


def gap(worlds, *, seed, train, test, n=500, units=(None, None)):
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    for split, right, unit in zip(("train", "test"), (train, test), units, strict=True):
        labels = rng.integers(2, size=n)
        answers = np.where(rng.random(n) < right, labels, 1 - labels)
        evidence.add(worlds.dataset(labels, split=split, units=unit), worlds.probabilities(answers))
    return worlds.measures(Overfitting(), evidence)["accuracy-gap:@test"], evidence


@pytest.mark.parametrize("seed", range(6))
def test_a_model_that_learnt_its_images_exceeds_the_limit(worlds, seed):
    found, evidence = gap(worlds, seed=seed, train=0.995, test=0.78)
    assert exceeds(found)
    difference = [evidence.answers(r).correct.mean() for r in ("train", "test")]
    assert value(found.estimate) == pytest.approx(difference[0] - difference[1])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("test", [0.9, 0.86])
def test_a_model_within_the_limit_does_not(worlds, seed, test):
    found, _ = gap(worlds, seed=seed, train=0.92, test=test)
    assert not exceeds(found)


def test_false_alarms_at_the_limit_stay_at_the_level(worlds):
    alarms = sum(exceeds(gap(worlds, seed=s, train=0.9, test=0.8)[0]) for s in range(200))
    assert alarms / 200 <= 0.09


@pytest.mark.parametrize("units", [(None, "test"), ("train", None), ("train", "test")])
def test_units_of_one_split_are_enough(worlds, units):
    rooms = np.arange(500) // 10
    named = tuple(None if u is None else rooms for u in units)
    found, _ = gap(worlds, seed=1, train=0.99, test=0.8, units=named)
    assert found.n_units == (50 if units[1] else None)


def test_few_train_units_are_a_reason(worlds):
    evidence = worlds.evidence()
    evidence.add(worlds.dataset(np.zeros(50)), worlds.probabilities(np.zeros(50, dtype=int)))
    few = worlds.dataset(np.zeros(5), split="train")
    evidence.add(few, worlds.probabilities(np.zeros(5, dtype=int)))
    (found,) = Overfitting().run(evidence)
    assert isinstance(found, Unmeasured)
    assert "5 images of the labelled training data" in found.reason
