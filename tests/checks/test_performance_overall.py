import numpy as np
import pytest
from sklearn import metrics

from auditor.checks.performance_overall import Overall
from auditor.findings import Figure, Table, Unmeasured
from auditor.stats import interval, p_value, value


def falls_below(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


def world(worlds, *, seed, right=0.8, n=400, classes=4, split="test", evidence=None):
    rng = np.random.default_rng(seed)
    names = tuple(f"class {i}" for i in range(classes))
    labels = rng.integers(classes, size=n)
    answers = np.where(rng.random(n) < right, labels, (labels + 1) % classes)
    probabilities = worlds.probabilities(
        answers, n_classes=classes, confidence=rng.uniform(0.4, 0.95, n)
    )
    evidence = evidence or worlds.evidence()
    return evidence.add(worlds.dataset(labels, split=split, classes=names), probabilities)


@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_are_scikit_learns(worlds, seed):
    evidence = world(worlds, seed=seed)
    found = worlds.measures(Overall(), evidence)
    o = evidence.answers("test")
    exact = o.probabilities.astype(float)
    exact /= exact.sum(axis=1, keepdims=True)
    expected = {
        "accuracy:@test": metrics.accuracy_score(o.labels, o.predicted),
        "balanced-accuracy:@test": metrics.balanced_accuracy_score(o.labels, o.predicted),
        "macro-f1:@test": metrics.f1_score(o.labels, o.predicted, average="macro"),
        "log-loss:@test": metrics.log_loss(o.labels, exact),
    }
    for name, number in expected.items():
        assert value(found[name].estimate) == pytest.approx(number, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_model_is_shown_bad_and_a_good_one_is_not(worlds, seed):
    bad = worlds.measures(Overall(), world(worlds, seed=seed, right=0.7))["accuracy:@test"]
    good = worlds.measures(Overall(), world(worlds, seed=seed, right=0.85))["accuracy:@test"]
    assert falls_below(bad, 0.85)
    assert not falls_below(good, 0.8)


def test_other_splits_are_measured_where_they_have_labels(worlds):
    evidence = world(worlds, seed=1)
    world(worlds, seed=2, right=0.99, split="train", evidence=evidence)
    deployed = worlds.dataset(
        np.full(50, -1), split="deployment", classes=evidence.dataset("test").classes
    )
    evidence.add(deployed, worlds.probabilities(np.zeros(50, dtype=int), n_classes=4))
    found = worlds.measures(Overall(), evidence)
    assert value(found["accuracy:@train"].estimate) > 0.95
    assert "accuracy:@deployment" not in found
    world(worlds, seed=3, right=0.5, split="deployment", evidence=evidence)
    found = worlds.measures(Overall(), evidence)
    assert value(found["accuracy:@deployment"].estimate) < 0.6


def test_units_that_are_alike_widen_the_interval(worlds):
    rng = np.random.default_rng(4)
    labels = np.zeros(400, dtype=int)
    answers = np.repeat(rng.random(40) < 0.3, 10).astype(int)
    rooms = np.repeat(np.arange(40), 10)
    widths = []
    for units in (None, rooms):
        evidence = worlds.evidence().add(
            worlds.dataset(labels, units=units), worlds.probabilities(answers)
        )
        ends = interval(worlds.measures(Overall(), evidence)["accuracy:@test"].estimate)
        widths.append(ends.high - ends.low)
    assert widths[1] > 2.5 * widths[0]


def test_the_five_likeliest_are_for_ten_classes_or_more(worlds):
    reasons = {r.name for r in Overall().run(world(worlds, seed=5)) if isinstance(r, Unmeasured)}
    assert reasons == {"top-5-accuracy"}
    many = worlds.measures(Overall(), world(worlds, seed=5, classes=12))
    assert value(many["top-5-accuracy:@test"].estimate) > 0.8


def test_confusions_are_listed_commonest_first_and_drawn_for_few_classes(worlds):
    evidence = world(worlds, seed=6)
    found = list(Overall().run(evidence))
    (table,) = (r for r in found if isinstance(r, Table))
    (figure,) = (r for r in found if isinstance(r, Figure))
    counts = [row[2] for row in table.rows]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == int((~evidence.answers("test").correct).sum())
    assert sum(int(row["text"]) for row in figure.rows) == 400
    assert not [r for r in Overall(largest_matrix=3).run(evidence) if isinstance(r, Figure)]


def test_examples_are_the_most_confident_errors(worlds):
    evidence = world(worlds, seed=7)
    o = evidence.answers("test")
    shown = worlds.measures(Overall(), evidence)["accuracy:@test"].examples
    wrong = np.flatnonzero(~o.correct)
    expected = wrong[np.argsort(-o.confidence[wrong])][:12]
    assert shown == tuple(o.image_ids[expected])
