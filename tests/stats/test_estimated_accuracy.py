"""Estimates of accuracy without labels: each against a plain form, and their error over changes."""

import itertools

import numpy as np
import pytest

from auditor.stats.estimated_accuracy import ByChange, Estimator, Known, Shifted, _drawn
from auditor.stats.label_shift import calibration


def scored(rng, n, sharp):
    labels = rng.integers(0, 3, n)
    seen = rng.normal(size=(n, 3))
    seen[np.arange(n), labels] += sharp
    raised = np.exp(sharp * seen)
    return raised / raised.sum(axis=1, keepdims=True), labels


def test_on_what_it_was_learned_from_each_estimate_is_the_share_that_is_right():
    scores, labels = scored(np.random.default_rng(0), 600, 2.0)
    values = Estimator.of_scores(scores, labels).values(scores).mean(axis=0)
    right = (scores.argmax(axis=1) == labels).mean()
    assert values == pytest.approx(right, abs=0.03)
    certain = np.abs(scores.max(axis=1))
    given = Estimator.of_confidence(certain, scores.argmax(axis=1) == labels)
    assert given.values(certain).mean(axis=0) == pytest.approx(right, abs=0.02)


def test_the_cheapest_match_is_that_of_all_orders_tried():
    """Seven answers by every way of dealing the classes to them."""
    rng = np.random.default_rng(1)
    scores, labels = scored(rng, 300, 1.0)
    estimator = Estimator.of_scores(scores, labels)
    few = scores[:7]
    at = calibration(scores, labels).of(few)
    from auditor.stats.estimated_accuracy import _matched

    shares = np.array([3, 2, 2]) / 7
    costs = _matched(at, shares)
    dealt = {*itertools.permutations([0, 0, 0, 1, 1, 2, 2])}
    least = min(sum(1 - at[i, c] for i, c in enumerate(order)) for order in dealt)
    assert costs.sum() == pytest.approx(least)
    assert estimator.names == ("confidence", "threshold", "transport")


def test_another_mix_of_classes_is_not_taken_for_a_loss():
    rng = np.random.default_rng(2)
    scores, labels = scored(rng, 900, 2.0)
    estimator = Estimator.of_scores(scores, labels)
    there = np.flatnonzero((labels != 0) | (rng.random(900) < 0.1))
    right = (scores.argmax(axis=1) == labels)[there].mean()
    assert estimator.values(scores[there]).mean(axis=0) == pytest.approx(right, abs=0.05)


def change(rng, families, sets, slope=1.0, scatter=0.05):
    """Sets whose estimate tells their share but for a scatter, of their family and their own."""
    angle = np.arcsin(np.sqrt(0.9))
    moved = -np.abs(rng.normal(0.25, 0.15, size=(families, sets)))
    off = rng.normal(size=(families, 1)) * scatter + rng.normal(size=(families, sets)) * scatter
    means = np.sin(angle + moved) ** 2
    right = np.sin(np.clip(angle + slope * moved + off * np.abs(moved) / 0.25, 0, np.pi / 2)) ** 2
    family = np.repeat(np.arange(families), sets)
    return means.ravel()[:, None], right.ravel(), family


def test_the_slope_is_learned():
    rng = np.random.default_rng(3)
    known = Known(np.full((4000, 1), 0.9), np.arange(4000) < 3600, np.arange(4000))
    for slope in (0.6, 1.5):
        line = ByChange(known, Shifted(*change(rng, 5, 12, slope, 0.01)))
        assert line.slopes[0] == pytest.approx(slope, rel=0.2)
        assert line.estimate(np.array([0.9])) == pytest.approx(0.9)


def test_nine_of_ten_intervals_hold_the_share_of_a_family_that_was_left_out():
    """Families drawn from one law; the sampling errors of both samples, of units of two, beside."""
    rng = np.random.default_rng(4)
    held, trials, n = 0, 120, 200
    for _ in range(trials):
        means, right, family = change(rng, 6, 12)
        new = family == 5
        pick = rng.choice(np.flatnonzero(new))
        unit = np.repeat(np.arange(n), 2)
        was = np.repeat(rng.random(n) < 0.9, 2)
        known = Known(np.full((2 * n, 1), 0.9), was, unit)
        line = ByChange(known, Shifted(means[~new], right[~new], family[~new]))
        values = np.repeat((rng.random(n) < means[pick, 0]).astype(float), 2)[:, None]
        drawn, _ = line.draws(values, unit, rng=rng, draws=400)
        low, high = np.quantile(drawn, [0.05, 0.95])
        held += low <= right[pick] <= high
    assert 0.82 <= held / trials <= 0.98


def test_units_are_drawn_whole_and_weigh_by_their_answers():
    rng = np.random.default_rng(5)
    unit = np.repeat([7, 3, 9, 4], [1, 5, 20, 2])
    values = rng.normal(size=(len(unit), 2)) + unit[:, None]
    times = np.random.default_rng(6).multinomial(4, np.full(4, 1 / 4), size=50)
    codes = np.unique(unit, return_inverse=True)[1]
    expected = [np.average(values, axis=0, weights=each[codes]) for each in times]
    assert _drawn(values, unit, np.random.default_rng(6), 50) == pytest.approx(np.array(expected))
