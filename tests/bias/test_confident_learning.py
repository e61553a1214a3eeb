"""Confident learning against a plain reading of the paper, its theorem, and simulated labels."""

import numpy as np
import pytest

from auditor.bias.confident_learning import calibrated, doubted, joint, temperature, thresholds


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def drawn(rng, scores):
    """One label an image, by its scores."""
    below = rng.random(len(scores))[:, None] > np.cumsum(scores, axis=1)
    return np.minimum(below.sum(axis=1), scores.shape[1] - 1)


def by_the_paper(scores, labels):
    """Northcutt et al. (2021), equations 1 and 2, image by image."""
    classes = range(scores.shape[1])
    limit = [
        np.mean([s[j] for s, y in zip(scores, labels, strict=True) if y == j])
        if j in labels
        else np.inf
        for j in classes
    ]
    flagged, confident = [], np.zeros((len(limit), len(limit)), int)
    for s, y in zip(scores, labels, strict=True):
        sure = [j for j in classes if s[j] >= limit[j]]
        j = max(sure, key=lambda c: s[c], default=None)
        if j is not None:
            confident[y, j] += 1
        flagged.append(j is not None and j != y and int(np.argmax(s)) != y)
    return np.array(flagged), confident


@pytest.mark.parametrize("seed", range(5))
def test_flags_are_those_of_the_paper(seed):
    rng = np.random.default_rng(seed)
    # A common class that the model is sure of, and rare ones that it is not.
    scores = softmax(rng.normal(size=(300, 4)) * 2 + np.array([2.5, 0, 0, -0.5]))
    truth = drawn(rng, scores)
    labels = np.where(rng.random(300) < 0.2, rng.integers(0, 4, 300), truth)
    found = doubted(scores, labels)
    flagged, confident = by_the_paper(scores, labels)
    assert 10 < found.flagged.sum() < 120
    answered = (found.suggested >= 0) & (found.suggested != labels) & (scores.argmax(1) == labels)
    assert answered.any(), "no label is answered although another class reaches its threshold"
    assert np.array_equal(found.flagged, flagged)
    rows = confident.sum(axis=1, keepdims=True)
    scaled = confident / np.maximum(rows, 1) * np.bincount(labels, minlength=4)[:, None]
    assert joint(found.suggested, labels, classes=4) == pytest.approx(scaled / scaled.sum())
    assert found.wrong_share == pytest.approx(1 - np.trace(scaled) / scaled.sum())


def test_ideal_scores_find_every_wrong_label_and_no_other():
    """Theorem 1: with ideal scores the wrong labels and their joint are found exactly."""
    noise = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.05, 0.75]])
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 3000, p=(0.5, 0.3, 0.2))
    labels = drawn(rng, noise[truth])
    found = doubted(noise[truth], labels)
    assert np.array_equal(found.flagged, labels != truth)
    assert np.array_equal(found.suggested, truth)
    exact = np.zeros((3, 3))
    np.add.at(exact, (labels, truth), 1 / 3000)
    assert joint(found.suggested, labels, classes=3) == pytest.approx(exact)
    assert found.wrong_share == pytest.approx((labels != truth).mean())


def test_the_worst_label_has_the_lowest_margin():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.05, 0.95], [0.45, 0.55]])
    assert doubted(scores, np.zeros(4, int)).margin == pytest.approx([0.8, -0.6, -0.9, -0.1])


def test_a_class_without_labels_is_never_suggested():
    rng = np.random.default_rng(0)
    scores = softmax(rng.normal(size=(200, 3)))
    labels = rng.integers(0, 2, 200)
    assert thresholds(scores, labels)[2] == np.inf
    found = doubted(scores, labels)
    assert 2 not in found.suggested
    assert np.isfinite(found.wrong_share)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_calibration_undoes_a_temperature(factor):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4000, 3)) * 2
    labels = drawn(rng, softmax(logits))
    scores = softmax(logits * factor)
    back = calibrated(scores, temperature(scores, labels))
    assert np.abs(back - softmax(logits)).mean() < 0.02


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_the_false_alarm_rate_is_that_of_simulated_right_labels(factor):
    """The closed form equals what labels drawn from the calibrated scores show, image by image."""
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(1500, 3)) * 1.5 + np.array([2.5, 0, 0])
    scores = softmax(logits * factor)
    labels = drawn(rng, softmax(logits))
    chance = calibrated(scores, temperature(scores, labels))
    draws = 150
    flagged = np.mean([doubted(scores, drawn(rng, chance)).flagged for _ in range(draws)], axis=0)
    if_right = doubted(scores, labels).if_right
    assert if_right.mean() == pytest.approx(flagged.mean(), abs=0.004)
    # An image at a threshold is flagged in some draws and not in others; few images are.
    assert np.quantile(np.abs(flagged - if_right), 0.9) < 0.12
    assert doubted(scores, labels).flagged.mean() == pytest.approx(if_right.mean(), abs=0.03)


def test_equal_scores_flag_nothing_absurd():
    scores = np.full((40, 2), 0.5)
    found = doubted(scores, np.arange(40) % 2)
    assert np.isfinite(found.if_right).all()
    assert ((found.if_right >= 0) & (found.if_right <= 1)).all()
    hard = np.eye(2)[np.arange(40) % 2]
    found = doubted(hard, np.arange(40) % 2)
    assert not found.flagged.any()
    assert found.if_right.max() < 0.01


def test_many_rows_are_told_as_few_are():
    """What is worked out in blocks is that of all rows together."""
    rng = np.random.default_rng(6)
    scores = softmax(rng.normal(size=(40_000, 4)) * 2).astype(np.float32)
    labels = drawn(rng, softmax(rng.normal(size=(40_000, 4))))
    wide = scores.astype(np.float64)
    least = thresholds(scores, labels)
    found = doubted(scores, labels)
    sure = np.where(wide >= least - 1e-6, wide, -np.inf)
    assert (
        found.suggested.tolist()
        == np.where(np.isfinite(sure.max(axis=1)), sure.argmax(axis=1), -1).tolist()
    )
    chance = calibrated(scores, temperature(scores, labels))
    expected = (chance * wide).sum(axis=0) / chance.sum(axis=0)
    reached = np.where(wide >= expected - 1e-6, wide, -np.inf)
    nothing = ~np.isfinite(reached.max(axis=1))
    assert (found.if_right[nothing] == 0).all()
    assert (found.if_right[~nothing] > 0).all()
