"""Calibration error by simulation against a known truth; Brier and risk-coverage by definition."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binom, norm
from sklearn.metrics import brier_score_loss

from auditor.scoring.calibration import (
    Sureness,
    brier_scores,
    calibration_change,
    calibration_error,
    confidence_bins,
    mean_distance,
    reliability,
    risk_coverage,
)
from auditor.stats import bound, interval, p_value, value

LIMIT = 0.05


def answers(rng, n, *, off=0.0, units=None, sizes=None):
    """Confidence, right or wrong, and units whose images are correlated at 0.3.

    Of one size, or of as many images as `sizes` says.
    """
    confidence = np.clip(rng.beta(6, 1.5, n), 0.34, 0.999)
    chance = np.clip(confidence - off, 0, 1)
    if units is None:
        return confidence, rng.random(n) < chance, None
    unit = np.repeat(np.arange(units), n // units if sizes is None else sizes)
    shared = np.sqrt(0.3) * rng.standard_normal(units)[unit]
    latent = shared + np.sqrt(0.7) * rng.standard_normal(n)
    return confidence, norm.cdf(latent) < chance, unit


def share(world, judge, *, runs=200, **settings):
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(runs):
        confidence, correct, unit = answers(rng, *world, **settings)
        found += judge(calibration_error(confidence, correct, unit=unit))
    return found / runs


def fails(estimate):
    return p_value(estimate, limit=LIMIT, exceeds="above") <= 0.05


def passes(estimate):
    return bound(estimate, side="high") <= LIMIT


@pytest.mark.parametrize(
    ("n", "units"), [(60, None), (200, None), (1000, None), (5000, None), (200, 20), (1000, 50)]
)
def test_a_perfectly_calibrated_model_does_not_fail(n, units):
    assert share((n,), fails, units=units) <= 0.05


@pytest.mark.parametrize(("n", "units"), [(200, None), (1000, None), (200, 20), (1000, 50)])
def test_at_the_limit_neither_verdict_comes_often(n, units):
    assert share((n,), fails, off=LIMIT, units=units) <= 0.11
    assert share((n,), passes, off=LIMIT, units=units) <= 0.11


def test_few_images_at_the_limit_seldom_fail():
    """As if squares were normal they would in 7.5% of these samples: a sum of squares is skewed."""
    failed = [share((n,), fails, off=LIMIT, runs=150) for n in (100, 200, 300)]
    assert np.mean(failed) <= 0.06


def test_units_that_hold_most_images_are_not_many():
    """Judged by the number of units, one at the limit would fail in 8.5% of samples, not 3.4%."""
    sizes = np.r_[np.full(4, 100), np.full(30, 4)]
    assert share((520,), fails, off=LIMIT, units=34, sizes=sizes, runs=400) <= 0.06


@pytest.mark.parametrize(("n", "least"), [(1000, 0.95), (400, 0.75)])
def test_an_overconfident_model_fails(n, least):
    assert share((n,), fails, off=0.12) >= least


def test_enough_images_of_a_calibrated_model_pass():
    assert share((5000,), passes, runs=60) >= 0.95


@pytest.mark.parametrize(("off", "units"), [(0.0, None), (0.05, None), (0.1, None), (0.1, 40)])
def test_the_interval_holds_the_true_error(off, units):
    def holds(estimate):
        ends = interval(estimate)
        return ends.low <= off <= ends.high

    assert share((800,), holds, off=off, units=units) >= 0.91


def test_all_right_at_full_confidence_is_no_error_yet_not_certain():
    estimate = calibration_error(np.ones(50), np.ones(50, dtype=bool))
    assert value(estimate) == 0
    assert value(calibration_error(np.full(50, 0.99), np.ones(50, dtype=bool))) <= 0.01
    assert interval(calibration_error(np.full(50, 0.95), np.ones(50, dtype=bool))).high > 0.04


def test_all_wrong_at_full_confidence_is_the_largest_error():
    estimate = calibration_error(np.ones(50), np.zeros(50, dtype=bool))
    assert value(estimate) > 0.95
    assert fails(estimate)


def test_equal_confidences_share_a_bin_so_that_order_does_not_matter():
    confidence = np.repeat([0.6, 0.8, 0.9], [70, 100, 130])
    correct = np.random.default_rng(5).random(300) < confidence
    order = np.random.default_rng(6).permutation(300)
    bins = confidence_bins(confidence)
    assert [len(set(bins[confidence == c])) for c in (0.6, 0.8, 0.9)] == [1, 1, 1]
    first = calibration_error(confidence, correct)
    second = calibration_error(confidence[order], correct[order])
    np.testing.assert_allclose(first.quantiles, second.quantiles, atol=1e-12)


def test_few_images_make_few_bins():
    assert confidence_bins(np.linspace(0.5, 1, 39)).max() == 0
    assert confidence_bins(np.linspace(0.5, 1, 1000)).max() == 14


def test_reliability_rows_cover_all_images():
    rng = np.random.default_rng(7)
    confidence, correct, _ = answers(rng, 600, off=0.1)
    bins = reliability(confidence, correct)
    assert sum(b.n for b in bins) == 600
    assert all(b.interval.low <= b.accuracy <= b.interval.high for b in bins)
    weighted = sum(b.n * b.accuracy for b in bins) / 600
    assert weighted == pytest.approx(correct.mean())
    assert mean_distance(bins) == pytest.approx(0.1, abs=0.04)


def test_a_bin_of_one_unit_has_no_interval():
    bins = reliability(np.full(30, 0.7), np.arange(30) % 2 == 0, unit=np.zeros(30))
    assert [b.interval for b in bins] == [None]


def test_brier_is_scikit_learns():
    rng = np.random.default_rng(8)
    for classes in (2, 4):
        probabilities = rng.dirichlet(np.ones(classes), size=200)
        labels = rng.integers(classes, size=200)
        if classes == 2:
            expected = brier_score_loss(labels, probabilities[:, 1])
        else:
            expected = brier_score_loss(labels, probabilities, labels=range(classes))
        assert brier_scores(probabilities, labels).mean() == pytest.approx(expected)


def test_the_area_is_the_mean_of_risks_and_its_influence_sums_to_nothing():
    rng = np.random.default_rng(9)
    confidence, correct, _ = answers(rng, 300)
    curve = risk_coverage(confidence, correct)
    order = np.argsort(-confidence, kind="stable")
    risks = [1 - correct[order[: i + 1]].mean() for i in range(300)]
    np.testing.assert_allclose(curve.risk, risks)
    assert curve.area == pytest.approx(np.mean(risks))
    assert curve.influence.sum() == pytest.approx(0, abs=1e-9)


def test_the_influence_gives_the_areas_standard_error():
    rng = np.random.default_rng(10)
    areas, errors = [], []
    for _ in range(400):
        confidence, correct, _ = answers(rng, 300)
        curve = risk_coverage(confidence, correct)
        areas.append(curve.area)
        errors.append(curve.influence.std(ddof=1) / np.sqrt(300))
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.12)


def test_equal_confidences_count_by_their_expectation_over_orders():
    confidence = np.array([0.9, 0.9, 0.9, 0.7, 0.7, 0.5])
    correct = np.array([True, False, True, False, True, False])
    curve = risk_coverage(confidence, correct)
    areas = []
    for first in permutations(range(3)):
        for second in permutations((3, 4)):
            wrong = ~correct[[*first, *second, 5]]
            areas.append((np.cumsum(wrong) / np.arange(1, 7)).mean())
    assert curve.area == pytest.approx(np.mean(areas))
    assert curve.influence.sum() == pytest.approx(0, abs=1e-12)
    turned = risk_coverage(confidence[::-1], correct[::-1])
    np.testing.assert_allclose(turned.influence[::-1], curve.influence)
    every = risk_coverage(np.ones(6), correct)
    assert every.area == pytest.approx(0.5)


@pytest.mark.parametrize("n", [10, 12, 30, 50])
@pytest.mark.parametrize(("claimed", "limit"), [(1.0, 0.05), (1.0, 0.2), (0.9, 0.05), (0.7, 0.1)])
def test_few_answers_of_one_confidence_seldom_pass_at_the_limit(claimed, limit, n):
    upper = [
        bound(calibration_error(np.full(n, claimed), np.arange(n) < x), side="high")
        for x in range(n + 1)
    ]
    passes = np.array(upper) <= limit
    for right in {claimed - limit, min(claimed + limit, 1.0)} - {1.0}:
        assert binom.pmf(np.arange(n + 1), n, right)[passes].sum() <= 0.06
    all_right = calibration_error(np.ones(n), np.ones(n, dtype=bool))
    assert interval(all_right).high > 1 - 0.05 ** (1 / n)
    assert interval(calibration_error(np.ones(n), np.zeros(n, dtype=bool))).low < 0.95


def two_forms(rng, n, *, sure, copies=1):
    """Calibrated answers, and those of a form that is `sure` too sure, to the same images."""
    easy = np.repeat(rng.uniform(0.3, 0.85, n), copies)
    unit = np.repeat(np.arange(n), copies)
    sides = []
    for more in (0.0, sure):
        likely = np.clip(easy + 0.05 * np.repeat(rng.normal(size=n), copies), 0.05, 0.89)
        right = np.repeat(rng.random(n), copies) < likely
        sides.append(Sureness(likely + more, right, unit))
    return sides


def test_a_change_is_the_difference_of_the_two_debiased_errors():
    sides = two_forms(np.random.default_rng(0), 2000, sure=0.1)
    given, here = (value(calibration_error(s.confidence, s.correct, unit=s.unit)) for s in sides)
    change = calibration_change(*sides)
    assert value(change) == pytest.approx(here - given)
    assert value(change) == pytest.approx(0.1, abs=0.04)
    assert change == calibration_change(*sides)
    back = calibration_change(*sides[::-1])
    assert (value(back), back.se) == pytest.approx((-value(change), change.se))


def test_a_form_as_calibrated_as_the_model_is_rarely_told_from_it_and_a_worse_one_is():
    shown = {}
    for sure in (0.0, 0.1):
        rng = np.random.default_rng(1)
        found = [calibration_change(*two_forms(rng, 1000, sure=sure)) for _ in range(20)]
        shown[sure] = sum(bound(one, side="low", confidence=0.95) > 0 for one in found)
        held = sum(interval(one).low <= sure <= interval(one).high for one in found)
        assert held >= 17
    assert shown[0.0] <= 2
    assert shown[0.1] >= 15


def test_copies_of_images_tell_no_more_of_a_change():
    alone = calibration_change(*two_forms(np.random.default_rng(2), 600, sure=0.15))
    copied = calibration_change(*two_forms(np.random.default_rng(2), 600, sure=0.15, copies=4))
    assert copied.df == alone.df == 599
    assert copied.se > 0.7 * alone.se


def test_two_equal_forms_have_no_change_and_no_certainty():
    (given, _) = two_forms(np.random.default_rng(3), 400, sure=0.0)
    change = calibration_change(given, given)
    assert value(change) == 0
    assert change.se > 0
