import numpy as np
import pytest

from auditor.checks.performance_abstention import Abstention
from auditor.findings import Figure, Table
from auditor.reports.telling import Telling
from auditor.stats import p_value, value


def world(worlds, *, seed, knows=True, n=600):
    """A model whose errors are where it is unsure, or (`knows` False) anywhere."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1.0, n)
    chance = confidence if knows else np.full(n, 0.75)
    labels = rng.integers(2, size=n)
    answers = np.where(rng.random(n) < chance, labels, 1 - labels)
    return worlds.evidence().add(
        worlds.dataset(labels), worlds.probabilities(answers, confidence=confidence)
    )


def falls_below(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(6))
def test_a_model_that_knows_when_it_errs_is_better_when_it_may_abstain(worlds, seed):
    knows = worlds.measures(Abstention(), world(worlds, seed=seed))
    guesses = worlds.measures(Abstention(), world(worlds, seed=seed, knows=False))
    half = "accuracy-at-coverage:coverage=0.5@test"
    assert not falls_below(knows[half], 0.82)
    assert falls_below(guesses[half], 0.82)
    assert value(knows["aurc:@test"].estimate) < value(guesses["aurc:@test"].estimate)


def test_accuracy_is_of_the_surest_images(worlds):
    evidence = world(worlds, seed=1)
    o = evidence.answers("test")
    found = worlds.measures(Abstention(), evidence)["accuracy-at-coverage:coverage=0.8@test"]
    surest = np.argsort(-o.confidence)[:480]
    assert value(found.estimate) == pytest.approx(o.correct[surest].mean())
    short = Telling({Abstention.id: Abstention}).short(Abstention.id, found)
    assert short == "accuracy on the surest 80% of images"
    assert found.facts["threshold"] == pytest.approx(o.confidence[surest].min())
    assert found.n == 480


def test_images_as_sure_as_the_last_are_kept(worlds):
    labels = np.arange(100) % 2
    evidence = worlds.evidence().add(
        worlds.dataset(labels), worlds.probabilities(np.zeros(100, dtype=int), confidence=0.75)
    )
    found = worlds.measures(Abstention(), evidence)["accuracy-at-coverage:coverage=0.5@test"]
    assert found.n == 100
    assert found.facts["answered"] == 1
    assert value(found.estimate) == 0.5


def test_the_curve_ends_at_all_images(worlds):
    evidence = world(worlds, seed=2)
    found = list(Abstention(coverages=(0.9,)).run(evidence))
    (figure,) = (r for r in found if isinstance(r, Figure))
    (table,) = (r for r in found if isinstance(r, Table))
    assert figure.rows[-1]["x"] == 1
    assert figure.rows[-1]["y"] == pytest.approx(evidence.answers("test").correct.mean())
    assert [row[2] + row[3] for row in table.rows] == [600]


@pytest.mark.parametrize("coverage", [0.0, -0.5, 1.2])
def test_a_coverage_that_cannot_be_is_refused(worlds, coverage):
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        list(Abstention(coverages=(coverage,)).run(world(worlds, seed=3)))
