import numpy as np
import pytest

from auditor.checks.performance_calibration import Calibration
from auditor.contract.numbers import value_text
from auditor.findings import Figure, Table
from auditor.stats import p_value, value

LIMIT = 0.05


def world(worlds, *, seed, off=0.0, n=1000, photos=None):
    """Confidence claimed and, `off` lower, the share that is right."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.6, 0.99, n)
    labels = rng.integers(2, size=n)
    answers = np.where(rng.random(n) < confidence - off, labels, 1 - labels)
    units = None if photos is None else np.arange(n) // photos
    return worlds.evidence().add(
        worlds.dataset(labels, units=units), worlds.probabilities(answers, confidence=confidence)
    )


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("photos", [None, 4])
def test_an_overconfident_model_exceeds_the_limit(worlds, seed, photos):
    found = worlds.measures(Calibration(), world(worlds, seed=seed, off=0.15, photos=photos))
    assert exceeds(found["ece:@test"])
    assert exceeds(found["overconfidence:@test"])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [200, 1000, 5000])
def test_a_calibrated_model_does_not(worlds, seed, n):
    found = worlds.measures(Calibration(), world(worlds, seed=seed, n=n))
    assert not exceeds(found["ece:@test"])
    assert not exceeds(found["overconfidence:@test"])


def test_an_underconfident_model_is_off_and_not_overconfident(worlds):
    found = worlds.measures(Calibration(), world(worlds, seed=1, off=-0.15, n=3000))
    assert exceeds(found["ece:@test"])
    assert value(found["overconfidence:@test"].estimate) < -0.1


def test_the_sentence_says_both_numbers(worlds):
    evidence = world(worlds, seed=2, off=0.15)
    o = evidence.answers("test")
    measure = worlds.measures(Calibration(), evidence)["overconfidence:@test"]
    said = worlds.sentence(Calibration, measure)
    claimed, right = 100 * o.confidence.mean(), 100 * o.correct.mean()
    assert said.startswith(
        f"On average the model claims {claimed:.0f}% and is right {right:.0f}% of the time"
    )


def test_a_distance_of_two_shares_is_told_in_points(worlds):
    measure = worlds.measures(Calibration(), world(worlds, seed=2, off=0.15))["ece:@test"]
    assert value_text(measure).partition(" [")[0] == f"{100 * value(measure.estimate):.0f} points"
    assert " points [" in worlds.sentence(Calibration, measure)
    assert measure.interval.low >= 0


def test_figure_and_table_show_the_same_bins(worlds):
    found = list(Calibration().run(world(worlds, seed=3)))
    (figure,) = (r for r in found if isinstance(r, Figure))
    (table,) = (r for r in found if isinstance(r, Table))
    assert [row["n"] for row in figure.rows] == [row[0] for row in table.rows]
    assert sum(row["n"] for row in figure.rows) == 1000


@pytest.mark.parametrize("seed", range(4))
def test_labelled_deployment_images_are_measured_beside_the_test(worlds, seed):
    here, there = world(worlds, seed=seed), world(worlds, seed=seed + 50, off=0.15)
    o = there.answers("test")
    dataset = worlds.dataset(o.labels, split="deployment")
    found = worlds.measures(Calibration(), here.add(dataset, o.probabilities))
    assert exceeds(found["ece:@deployment"])
    assert not exceeds(found["ece:@test"])
    assert "deployment data" in worlds.sentence(Calibration, found["overconfidence:@deployment"])
