import numpy as np
import pytest

from auditor.checks.performance_baseline import Baseline
from auditor.stats import p_value, value


def is_shown_above_0(measure):
    return p_value(measure.estimate, limit=0.0, exceeds="above") <= 0.05


def gain(worlds, *, seed, right, common=0.8, n=400, units=None):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) > common).astype(int)
    answers = np.where(rng.random(n) < right, labels, 1 - labels)
    evidence = worlds.evidence().add(
        worlds.dataset(labels, classes=("fine", "serious"), units=units),
        worlds.probabilities(answers),
    )
    return worlds.measures(Baseline(), evidence)["gain:@test"], evidence


@pytest.mark.parametrize("seed", range(6))
def test_a_useful_model_gains_and_one_that_guesses_loses(worlds, seed):
    useful, _ = gain(worlds, seed=seed, right=0.93)
    useless, _ = gain(worlds, seed=seed, right=0.62)
    assert is_shown_above_0(useful)
    assert p_value(useless.estimate, limit=0.0, exceeds="below") <= 0.05


@pytest.mark.parametrize("seed", range(6))
def test_a_constant_answer_gains_nothing(worlds, seed):
    labels = (np.random.default_rng(seed).random(300) > 0.7).astype(int)
    evidence = worlds.evidence().add(
        worlds.dataset(labels), worlds.probabilities(np.zeros(300, dtype=int))
    )
    found = worlds.measures(Baseline(), evidence)["gain:@test"]
    assert value(found.estimate) == 0
    assert not is_shown_above_0(found)
    assert p_value(found.estimate, limit=0.0, exceeds="below") > 0.05


def test_the_sentence_names_the_commonest_class_and_both_numbers(worlds):
    found, evidence = gain(worlds, seed=1, right=0.93)
    o = evidence.answers("test")
    always = (o.labels == 0).mean()
    assert found.facts["commonest"] == "fine"
    assert value(found.sides[1].estimate) == pytest.approx(always)
    assert value(found.sides[0].estimate) == pytest.approx(o.correct.mean())
    said = worlds.sentence(Baseline, found)
    assert said.startswith(f"Always answering “fine” would give {100 * always:.0f}%")
    assert value(found.estimate) == pytest.approx(o.correct.mean() - always)
