import numpy as np
import pytest

from auditor.findings import Unmeasured
from auditor.shift.accuracy import AccuracyLost
from auditor.stats import Rate, p_value, two_sample_difference, value

LIMIT = 0.05


def world(worlds, *, seed, test=0.9, deployment=0.9, n=600, photos=1, unlabelled=0):
    """Rooms of `photos` alike photos; the whole room is right or wrong."""
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    for split, accuracy in (("test", test), ("deployment", deployment)):
        right = np.repeat(rng.random(n // photos) < accuracy, photos)
        labels = np.zeros(n, dtype=int)
        if split == "deployment":
            labels[:unlabelled] = -1
        units = np.repeat(np.arange(n // photos), photos) if photos > 1 else None
        dataset = worlds.dataset(labels, split=split, units=units)
        evidence.add(dataset, worlds.probabilities(np.where(right, 0, 1)))
    return evidence


def lost(worlds, evidence):
    (measure,) = worlds.measures(AccuracyLost(), evidence).values()
    return measure


@pytest.mark.parametrize("seed", range(6))
def test_a_loss_of_fifteen_points_is_shown(worlds, seed):
    measure = lost(worlds, world(worlds, seed=seed, deployment=0.75))
    assert p_value(measure.estimate, limit=LIMIT, exceeds="above") <= 0.05


@pytest.mark.parametrize("photos", [1, 6])
def test_no_loss_is_rarely_called_one(worlds, photos):
    failed = 0
    for seed in range(100):
        measure = lost(worlds, world(worlds, seed=seed, n=600, photos=photos))
        failed += p_value(measure.estimate, limit=0.0, exceeds="above") <= 0.05
    # 5% of 100; more than 10 has probability 1%.
    assert failed <= 10


def test_value_is_test_minus_deployment(worlds):
    evidence = world(worlds, seed=0, deployment=0.8, n=300, unlabelled=100)
    measure = lost(worlds, evidence)
    test, deployment = (evidence.answers(r).with_labels() for r in ("test", "deployment"))
    assert measure.estimate == worlds.nearly(
        two_sample_difference(test.correct, deployment.correct)
    )
    assert measure.n == 200
    assert value(measure.sides[1].estimate) == pytest.approx(deployment.correct.mean())
    assert worlds.sentence(AccuracyLost, measure).startswith("Accuracy: test ")
    assert set(measure.examples) <= set(deployment.image_ids[~deployment.correct])


def test_units_on_one_side_only_still_count(worlds):
    evidence = world(worlds, seed=0, n=300, photos=6)
    plain = worlds.dataset(np.zeros(300, int))
    evidence.add(plain, evidence.answers("test").probabilities)
    measure = lost(worlds, evidence)
    assert measure.n_units == 50
    assert measure.estimate.n_rest < 300
    assert value(measure.estimate) == pytest.approx(
        value(Rate(evidence.answers("test").correct.sum(), 300))
        - evidence.answers("deployment").correct.mean()
    )


def test_nine_labelled_deployment_images_are_too_few(worlds):
    (result,) = AccuracyLost().run(world(worlds, seed=0, n=100, unlabelled=91))
    assert isinstance(result, Unmeasured)
    assert "the labelled deployment data has 9" in result.reason
    assert "1 more" in result.remedy
