"""Builders: from arrays to estimates, with an independent reference for every variance."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, mannwhitneyu, ttest_ind, ttest_rel
from sklearn.metrics import roc_auc_score

from auditor import stats
from auditor.stats.codes import codes_of
from auditor.stats.design_effects import design_effect
from auditor.stats.effective import UnitSizes, effective_units


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def _cluster_robust_variance(y, design, unit):
    """The sandwich of statsmodels without its (n - 1) / (n - k), which is not ours."""
    fit = sm.OLS(y, design).fit(
        cov_type="cluster",
        cov_kwds={"groups": unit, "use_correction": False},
    )
    return fit.cov_params()


def test_without_units_counts_stay_counts():
    y = [1, 0, 1, 1, 0]
    member = np.array([True, True, False, False, False])
    assert stats.rate(y) == stats.Rate(3, 5)
    assert stats.rate_difference(y, member=member) == stats.RateDifference(1, 2, 2, 3)
    assert stats.rate_ratio(y, member=member) == stats.RateRatio(1, 2, 2, 3)
    assert stats.two_sample_difference([1, 0], [1, 1, 0]) == stats.RateDifference(1, 2, 2, 3)
    assert stats.paired_difference([1, 1, 0, 0], [0, 1, 1, 0]) == stats.PairedDifference(1, 1, 4)


def test_units_of_one_image_change_nothing_but_the_quantile(rng):
    y = rng.random(40) < 0.7
    member = np.arange(40) < 20
    unit = np.arange(40)
    plain, units = stats.rate(y), stats.rate(y, unit=unit)
    assert (units.x, units.n) == pytest.approx((plain.x, plain.n))
    assert units.df == 39
    pair = stats.rate_difference(y, member=member, unit=unit)
    assert (pair.n, pair.n_rest) == pytest.approx((20, 20))
    assert pair.df == pytest.approx(ttest_ind(y[:20], y[20:], equal_var=False).df)


def test_design_effect_agrees_with_a_sandwich(rng):
    unit = np.repeat(np.arange(25), 6)
    y = (rng.random(150) < rng.beta(3, 1, 25)[unit]).astype(float)
    variance = _cluster_robust_variance(y, np.ones((150, 1)), unit)[0, 0] * 25 / 24
    expected = variance / (y.mean() * (1 - y.mean()) / 149)
    assert expected > 1.2
    assert design_effect(y - y.mean(), unit=unit).deff == pytest.approx(expected)
    estimate = stats.rate(y, unit=unit)
    assert estimate.n == pytest.approx(150 / expected)
    assert stats.value(estimate) == pytest.approx(y.mean())
    assert estimate.df == 24


def test_design_effect_of_copies_is_their_number(rng):
    once = (rng.random(30) < 0.8).astype(float)
    copies, unit = np.repeat(once, 7), np.repeat(np.arange(30), 7)
    # (n - 1) / n of 210 against 30: all but 3% of an exact 7.
    assert stats.rate(copies, unit=unit).n == pytest.approx(30, rel=0.04)


@pytest.mark.parametrize("spread", [0.0, 40.0, 1000.0])
@pytest.mark.parametrize("size", [1, 7])
def test_units_of_one_size_are_worth_their_number(spread, size):
    sizes = np.full(20, size)
    assert effective_units(UnitSizes.of(sizes), spread=spread, independent=20.0) == 20


def test_unequal_units_are_worth_fewer_the_more_alike_their_images_are():
    images = np.r_[np.full(4, 40), np.full(36, 2)]
    sizes = UnitSizes.of(images)
    # Shared out by images where none are alike, by their squares where all are.
    apart = images.sum() ** 2 / (images @ images)
    alike = (images @ images) ** 2 / (images**4).sum()
    assert effective_units(sizes, spread=0.9, independent=1.0) == pytest.approx(apart)
    assert effective_units(sizes, spread=100.0, independent=1.0) == pytest.approx(alike)
    assert effective_units(sizes, spread=0.0, independent=0.0) == pytest.approx(alike)
    between = effective_units(sizes, spread=5.0, independent=1.0)
    assert alike < between < apart


def test_one_unit_with_nearly_all_images_is_worth_two():
    sizes = np.r_[500, np.ones(30, dtype=int)]
    assert effective_units(UnitSizes.of(sizes), spread=100.0, independent=1.0) == 2.0
    unit = np.repeat(np.arange(31), sizes)
    assert stats.rate(unit % 3 > 0, unit=unit).df == 1.0


def test_intervals_hold_where_a_few_units_have_most_images():
    """Counting the units by their number instead covers in 85%."""
    rng, repeats, accuracy, correlation = np.random.default_rng(9), 1200, 0.85, 0.3
    strength = (1 - correlation) / correlation
    held = by_number = 0
    for _ in range(repeats):
        images = np.ceil(rng.lognormal(1.5, 1.2, 24)).astype(int)
        unit = np.repeat(np.arange(24), images)
        likely = rng.beta(accuracy * strength, (1 - accuracy) * strength, 24)
        right = rng.random(len(unit)) < likely[unit]
        ends = stats.interval(stats.rate(right, unit=unit))
        held += ends.low <= accuracy <= ends.high
        sums = np.bincount(unit, weights=right - right.mean())
        half = 2.07 * math.sqrt(24 / 23 * float(sums @ sums)) / len(unit)
        by_number += abs(right.mean() - accuracy) <= half
    assert held / repeats >= 0.93
    assert by_number / repeats < 0.88


def test_negative_correlation_within_units_is_not_believed():
    y = np.tile([0.0, 1.0], 20)
    assert stats.rate(y, unit=np.repeat(np.arange(20), 2)) == stats.Rate(20, 40, 19)


def test_constant_outcomes_count_units():
    unit = np.repeat(np.arange(12), 5)
    assert stats.rate(np.ones(60), unit=unit) == stats.Rate(12, 12, 11)
    uneven = np.r_[np.zeros(50), 1 + np.arange(10)].astype(int)
    # One room with 50 of 60 photos is nearly all there is: 3600 / 2510.
    assert stats.rate(np.ones(60), unit=uneven).n == pytest.approx(3600 / 2510)
    unchanged = stats.paired_difference(np.ones(60), np.ones(60), unit=unit)
    assert unchanged == stats.PairedDifference(0, 0, 12, 11)


@pytest.mark.parametrize("spanning", [True, False])
def test_difference_agrees_with_a_sandwich_of_a_regression(spanning, rng):
    unit = np.repeat(np.arange(40), 6)
    member = (np.tile(np.arange(6) < 3, 40)) if spanning else unit < 20
    lift = np.repeat(rng.normal(0, 0.25, 40), 6)
    y = (rng.random(240) < np.clip(0.7 + lift, 0, 1)).astype(float)
    design = np.c_[np.ones(240), member]
    sandwich = _cluster_robust_variance(y, design, unit)[1, 1]
    units = 40 if spanning else 20
    expected = sandwich * units / (units - 1)
    a, b = y[member], y[~member]
    independent = a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
    found = stats.rate_difference(y, member=member, unit=unit)
    assert len(a) / found.n == pytest.approx(max(1, expected / independent))
    assert len(b) / found.n_rest == pytest.approx(len(a) / found.n)
    assert stats.value(found) == pytest.approx(a.mean() - b.mean())
    # Shared units are not counted twice.
    assert found.df <= 39


def test_a_group_of_few_units_sets_the_degrees_of_freedom(rng):
    unit = np.repeat(np.arange(100), 4)
    y = rng.random(400) < rng.beta(3, 1, 100)[unit]
    found = stats.rate_difference(y, member=unit < 10, unit=unit)
    assert 8 <= found.df <= 20


def test_two_samples_are_a_difference_of_disjoint_units(rng):
    a, b = rng.random(30) < 0.5, rng.random(50) < 0.8
    unit_a, unit_b = np.repeat(np.arange(10), 3), np.repeat(np.arange(10), 5)
    found = stats.two_sample_difference(a, b, unit_a=unit_a, unit_b=unit_b)
    joined = stats.rate_difference(
        np.r_[a, b], member=np.arange(80) < 30, unit=np.r_[unit_a, unit_b + 100]
    )
    assert vars(found) == pytest.approx(vars(joined))
    with pytest.raises(ValueError, match="both or neither"):
        stats.two_sample_difference(a, b, unit_a=unit_a)


def test_ratio_deff_is_that_of_the_linearised_ratio(rng):
    unit = np.repeat(np.arange(30), 5)
    member = unit < 15
    y = (rng.random(150) < rng.beta(1, 2, 30)[unit]).astype(float)
    p, q = y[member].mean(), y[~member].mean()
    z = np.where(member, (y - p) / 75, -(p / q) * (y - q) / 75)
    sums = np.bincount(unit, weights=z) * math.sqrt(15 / 14)
    expected = (sums @ sums) / (p * (1 - p) / 74 + (p / q) ** 2 * q * (1 - q) / 74)
    found = stats.rate_ratio(y, member=member, unit=unit)
    assert 75 / found.n == pytest.approx(max(1, expected))
    assert stats.value(found) == pytest.approx(p / q)


def test_a_ratio_takes_from_both_sides_how_alike_the_images_of_a_unit_are():
    """One error tells nothing of it; the rest's units err wholly, so 20 units are 20 images."""
    unit = np.repeat(np.arange(80), 10)
    member = unit < 20
    y = (unit >= 74) | (np.arange(800) == 3)
    assert stats.rate_ratio(y, member=member, unit=unit).n == pytest.approx(20, rel=0.1)
    # The others' images are as alike as nothing says where they err one by one.
    apart = np.arange(800) % 40 == 3
    assert stats.rate_ratio(apart, member=member, unit=unit).n == pytest.approx(200)
    # Units that are on both sides: what both have in common does not count against the ratio.
    spanning = np.arange(800) % 10 < 3
    shared = stats.rate_ratio(unit % 10 == 0, member=spanning, unit=unit)
    assert shared.n == pytest.approx(240)


@pytest.mark.parametrize("sizes", [(10,) * 20, (60, 36, 22, 16, 12, 9, 8, *[4] * 13)])
def test_a_ratio_at_the_limit_seldom_passes_where_whole_units_err(sizes):
    """From a group's own few errors alone 8 to 11% of such samples would pass."""
    rng, passed, runs = np.random.default_rng(4), 0, 500
    unit = np.repeat(np.arange(100), np.tile(sizes, 5))
    rates = np.where(np.arange(100) < 20, 0.0625, 0.05)
    for _ in range(runs):
        y = rng.random(len(unit)) < rng.beta(rates * 0.67, (1 - rates) * 0.67)[unit]
        found = stats.rate_ratio(y, member=unit < 20, unit=unit)
        passed += stats.p_value(found, limit=1.25, exceeds="below") <= 0.05
    assert passed / runs <= 0.04


def test_ratio_of_nothing_to_nothing_is_refused():
    with pytest.raises(ValueError, match="no event"):
        stats.rate_ratio([0, 0, 0, 0], member=np.array([True, True, False, False]))
    assert stats.value(
        stats.rate_ratio([1, 0, 0, 0], member=np.array([True, True, False, False]))
    ) == math.inf  # fmt: skip


def test_paired_difference_scales_by_the_change():
    unit = np.repeat(np.arange(20), 5)
    before = np.ones(100)
    after = np.where(unit < 3, 0.0, 1.0)
    found = stats.paired_difference(before, after, unit=unit)
    assert stats.value(found) == pytest.approx(-0.15)
    assert found.n == pytest.approx(20, rel=0.06)
    assert found.gained == 0
    with pytest.raises(ValueError, match="same items"):
        stats.paired_difference([1, 0], [1])


def test_means_agree_with_t_tests(rng):
    a, b = rng.normal(1, 2, 30), rng.normal(0, 1, 45)
    welch = ttest_ind(a, b, equal_var=False)
    found = stats.mean_difference(np.r_[a, b], member=np.arange(75) < 30)
    assert found.value / found.se == pytest.approx(welch.statistic)
    assert found.df == pytest.approx(welch.df)
    paired = stats.paired_mean_difference(b[:30], a)
    assert paired.value / paired.se == pytest.approx(ttest_rel(a, b[:30]).statistic)
    assert paired.df == 29
    single = stats.mean(a)
    assert (single.value, single.se) == pytest.approx((a.mean(), a.std(ddof=1) / math.sqrt(30)))


@pytest.mark.parametrize("n", [10, 12, 30, 50])
def test_a_mean_of_numbers_with_ends_has_the_bounds_of_the_exact_law(n):
    # All 0 on a scale of -3 to 5: with a true share of 1 - 0.05 ** (1 / n) of the worst value
    # none of it would be seen in one of twenty samples.
    none = stats.mean(np.zeros(n), span=(-3.0, 5.0))
    assert stats.bound(none, side="high") == pytest.approx(5 * (1 - 0.05 ** (1 / n)))
    assert stats.interval(stats.mean(np.full(n, 5.0), span=(-3.0, 5.0))).high == 5
    bounds = [
        stats.bound(stats.mean(np.arange(n) < x, span=(0.0, 1.0)), side="high")
        for x in range(n + 1)
    ]
    for truth in np.linspace(0.01, 0.99, 99):
        missed = binom.pmf(np.arange(n + 1), n, truth)[np.array(bounds) < truth].sum()
        assert missed <= 0.06


def test_a_spread_sample_keeps_its_own_standard_error(rng):
    y = rng.random(3000)
    free, held = stats.mean(y), stats.mean(y, span=(0.0, 1.0))
    assert held.se == pytest.approx(free.se)


def test_units_alike_are_single_observations_of_a_mean():
    unit = np.repeat(np.arange(50), 8)
    rooms = stats.mean(np.zeros(400), unit=unit, span=(0.0, 1.0))
    assert rooms.se == pytest.approx(stats.mean(np.zeros(50), span=(0.0, 1.0)).se, rel=0.05)
    assert rooms.df == 49


@pytest.mark.parametrize("n", [10, 20, 50])
def test_two_means_without_a_difference_are_seldom_held_within_a_true_one(n):
    rng, limit, wrong = np.random.default_rng(12), 0.3, 0
    for _ in range(1000):
        y, member = np.zeros(2 * n), np.arange(2 * n) < n
        y[:n] = rng.random(n) < limit
        found = stats.mean_difference(y, member=member, span=(0.0, 1.0))
        wrong += stats.bound(found, side="high") <= limit
    assert wrong / 1000 <= 0.06


def test_mean_by_unit_is_the_mean_of_equal_units(rng):
    unit = np.repeat(np.arange(12), 5)
    y = rng.normal(size=12)[unit] + 0.1 * rng.normal(size=60)
    means = y.reshape(12, 5).mean(axis=1)
    found = stats.mean(y, unit=unit)
    assert found.se == pytest.approx(means.std(ddof=1) / math.sqrt(12), rel=1e-6)
    assert found.df == 11


def test_auc_agrees_with_sklearn_and_mann_whitney(rng):
    a, b = np.round(rng.normal(0, 1, 40), 1), np.round(rng.normal(0.8, 1, 60), 1)
    found = stats.auc(a, b)
    label = np.r_[np.zeros(40), np.ones(60)]
    assert found.value == pytest.approx(roc_auc_score(label, np.r_[a, b]))
    assert found.value == pytest.approx(mannwhitneyu(b, a).statistic / (40 * 60))


def test_auc_standard_error_is_delongs(rng):
    a, b = rng.normal(0, 1, 30), rng.normal(0.7, 1, 25)
    wins = (a[:, None] < b[None, :]) + 0.5 * (a[:, None] == b[None, :])
    expected = wins.mean(axis=0).var(ddof=1) / 25 + wins.mean(axis=1).var(ddof=1) / 30
    assert stats.auc(a, b).se == pytest.approx(math.sqrt(expected))


def test_auc_holds_its_level():
    # P(a < b) for normals a shift of 1 apart is Phi(1 / root 2).
    truth, held, generator = 0.76025, 0, np.random.default_rng(31)
    for _ in range(500):
        found = stats.interval(stats.auc(generator.normal(0, 1, 40), generator.normal(1, 1, 30)))
        held += found.low <= truth <= found.high
    assert held / 500 >= 0.92


def test_auc_by_unit_is_wider_for_copies(rng):
    a, b = rng.normal(0, 1, 20), rng.normal(1, 1, 20)
    once = stats.auc(a, b)
    units = np.repeat(np.arange(20), 6)
    copied = stats.auc(np.repeat(a, 6), np.repeat(b, 6), unit_a=units, unit_b=units)
    assert copied.value == pytest.approx(once.value)
    assert copied.se == pytest.approx(once.se, rel=1e-6)
    assert stats.auc(np.repeat(a, 6), np.repeat(b, 6)).se < 0.5 * once.se


def test_separated_scores_are_not_certain():
    found = stats.auc(np.arange(10), np.arange(10) + 100)
    assert found.value == 1
    # A score of either sample beyond all of the other would be unseen in one of twenty.
    assert stats.bound(found, side="low") == pytest.approx(0.05**0.1)
    backwards = stats.auc(np.arange(10) + 100, np.arange(10))
    assert (backwards.value, backwards.se) == (0, pytest.approx(found.se))


@pytest.mark.parametrize("n", [10, 20, 50])
def test_scores_that_are_nearly_all_equal_seldom_hide_a_shift(n):
    # A share p of the second sample lies above all others, which are equal: 0.5 + p / 2.
    rng, wrong = np.random.default_rng(13), 0
    for _ in range(1000):
        found = stats.auc(np.zeros(n), 1.0 * (rng.random(n) < 0.3))
        wrong += stats.bound(found, side="high") <= 0.65
    assert wrong / 1000 <= 0.06
    equal = stats.interval(stats.auc(np.zeros(n), np.zeros(n)))
    assert equal.low < 0.5 < equal.high


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: stats.rate([]), "shape"),
        (lambda: stats.rate([1, math.nan]), "not finite"),
        (lambda: stats.rate([0.5, 1]), "other than 0 and 1"),
        (lambda: stats.rate([0, 1, 1], unit=["a", "a", "a"]), "found 1 unit"),
        (lambda: stats.rate([0, 1, 1], unit=["a", "b"]), "shape"),
        (lambda: stats.rate_difference([0, 1], member=np.array([True, True])), "0 in the rest"),
        (lambda: stats.rate_difference([0, 1], member=np.array([1, 0])), "expected bool"),
        (
            lambda: stats.rate_difference(
                [0, 1, 1], member=np.array([True, False, False]), unit=[1, 2, 3]
            ),
            "found 1 unit",
        ),
        (lambda: stats.mean([1.0]), "one value"),
        (lambda: stats.auc([1.0, 2.0], []), "shape"),
    ],
)
def test_what_cannot_be_estimated_is_refused(call, named):
    with pytest.raises(ValueError, match="found") as caught:
        call()
    assert named in str(caught.value)


@pytest.mark.parametrize("kind", ["int8", "int16", ">i8"])
def test_short_codes_below_0_are_units_like_any_others(kind):
    """Seen without a sign, -1 of eight bits is 255: no more than many images have units."""
    unit = (np.arange(20_000) % 5 - 3).astype(kind)
    y = np.arange(20_000) % 10 < 5
    assert stats.rate(y, unit=unit) == stats.rate(y, unit=unit.astype(np.int64))
    assert codes_of(unit).tolist() == (np.arange(20_000) % 5).tolist()
