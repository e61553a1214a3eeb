"""Verdicts' errors at the limit: how often a wrong FAIL, how often a wrong PASS.

Enumerated over all tables where that is quick, else simulated with a fixed seed.
"""

import math

import numpy as np
import pytest
from scipy.stats import binom

from auditor import stats
from auditor.stats import PairedDifference, Rate, RateDifference
from auditor.stats import RateRatio as Ratio

NOMINAL = 0.05
ALLOWED = 0.06


def fails_below(estimate, limit):
    return stats.p_value(estimate, limit=limit, exceeds="below") <= NOMINAL


def passes_from(estimate, limit):
    return stats.bound(estimate, side="low") > limit


def _enumerated(decide, make, n, p, n_rest, p_rest):
    group = binom.pmf(np.arange(n + 1), n, p)
    rest = binom.pmf(np.arange(n_rest + 1), n_rest, p_rest)
    mass = np.outer(group, rest)
    likely = zip(*np.nonzero(mass > 1e-6), strict=True)
    return sum(mass[x, y] * decide(make(int(x), n, int(y), n_rest)) for x, y in likely)


@pytest.mark.parametrize("n", [10, 30, 100, 1000])
@pytest.mark.parametrize("limit", [0.5, 0.85, 0.95])
def test_rate_holds_both_errors(n, limit):
    mass = binom.pmf(np.arange(n + 1), n, limit)
    wrong_fail = sum(m * fails_below(Rate(x, n), limit) for x, m in enumerate(mass) if m > 1e-9)
    wrong_pass = sum(m * passes_from(Rate(x, n), limit) for x, m in enumerate(mass) if m > 1e-9)
    assert wrong_fail <= NOMINAL
    assert wrong_pass <= NOMINAL


@pytest.mark.parametrize(
    ("n", "n_rest", "base"),
    [(30, 30, 0.9), (30, 270, 0.9), (30, 270, 0.98), (100, 100, 0.7), (40, 160, 0.8)],
)
def test_difference_holds_its_wrong_fails(n, n_rest, base):
    error = _enumerated(
        lambda e: fails_below(e, -0.05), RateDifference, n, base - 0.05, n_rest, base
    )
    assert error <= ALLOWED


@pytest.mark.parametrize(
    ("n", "n_rest", "base"),
    [
        (10, 10, 0.35),
        (10, 90, 0.125),
        (20, 60, 0.25),
        (30, 270, 0.075),
        (30, 30, 0.9),
        (90, 10, 0.92),
    ],
)
def test_difference_holds_its_wrong_passes(n, n_rest, base):
    # The bases are those at which Newcombe's bound alone is worst, up to 7.6%.
    error = _enumerated(
        lambda e: passes_from(e, -0.05), RateDifference, n, base - 0.05, n_rest, base
    )
    assert error <= ALLOWED


@pytest.mark.parametrize(("n", "n_rest", "base"), [(30, 270, 0.03), (60, 60, 0.2), (100, 300, 0.1)])
def test_ratio_holds_both_errors(n, n_rest, base):
    def make(x, n, x_rest, n_rest):
        return Ratio(x, n, x_rest, n_rest) if x + x_rest else None

    def wrong_fail(e):
        return e is not None and stats.p_value(e, limit=1.25, exceeds="above") <= NOMINAL

    def wrong_pass(e):
        return e is not None and stats.bound(e, side="high") < 1.25

    assert _enumerated(wrong_fail, make, n, 1.25 * base, n_rest, base) <= ALLOWED
    assert _enumerated(wrong_pass, make, n, 1.25 * base, n_rest, base) <= ALLOWED


@pytest.mark.parametrize("n", [30, 100, 300, 1000])
@pytest.mark.parametrize(("gain", "loss"), [(0.0, 0.01), (0.001, 0.011), (0.02, 0.05)])
def test_paired_difference_holds_both_errors(n, gain, loss):
    rng = np.random.default_rng(8)
    repeats = 4000
    tables, times = np.unique(
        rng.multinomial(n, [gain, loss, 1 - gain - loss], size=repeats), axis=0, return_counts=True
    )
    wrong_fails = wrong_passes = 0
    for (gained, lost, _), count in zip(tables, times, strict=True):
        estimate = PairedDifference(int(gained), int(lost), n)
        wrong_fails += count * fails_below(estimate, gain - loss)
        wrong_passes += count * passes_from(estimate, gain - loss)
    noise = 2 * math.sqrt(NOMINAL * 0.95 / repeats)
    assert wrong_fails / repeats <= ALLOWED + noise
    assert wrong_passes / repeats <= ALLOWED + noise


@pytest.mark.parametrize("n", [30, 100, 300, 1000])
def test_ten_groups_at_the_limit_hold_the_family_wise_error(n):
    """Five of ten groups exactly 5 points below the rest, Holm over all ten."""
    rng = np.random.default_rng(9)
    repeats = 400
    wrong = 0
    for _ in range(repeats):
        rest = int(rng.binomial(9 * n, 0.9))
        at_limit = rng.binomial(n, 0.85, size=5)
        fair = rng.binomial(n, 0.9, size=5)
        p = [
            stats.p_value(RateDifference(int(x), n, rest, 9 * n), limit=-0.05, exceeds="below")
            for x in np.r_[at_limit, fair]
        ]
        wrong += min(stats.holm(p)) <= NOMINAL
    assert wrong / repeats <= ALLOWED + 2 * math.sqrt(NOMINAL * 0.95 / repeats)


def test_a_real_gap_is_found():
    """Power, so that holding errors is not bought by never deciding (methods: .98 at n=100)."""
    rng = np.random.default_rng(10)
    found = [
        fails_below(RateDifference(int(x), 100, int(y), 900), -0.05)
        for x, y in zip(rng.binomial(100, 0.7, 300), rng.binomial(900, 0.9, 300), strict=True)
    ]
    assert np.mean(found) >= 0.95
    clean = [
        passes_from(RateDifference(int(x), 1000, int(y), 9000), -0.05)
        for x, y in zip(rng.binomial(1000, 0.9, 300), rng.binomial(9000, 0.9, 300), strict=True)
    ]
    assert np.mean(clean) >= 0.95


def _correlated(rng, clusters, size, p, icc):
    """Outcomes whose images of one unit are correlated at `icc`: a beta-binomial."""
    strength = 1 / icc - 1
    rates = rng.beta(p * strength, (1 - p) * strength, clusters)
    return (rng.random((clusters, size)) < rates[:, None]).ravel()


def test_clustered_rate_holds_its_level_where_images_do_not():
    """20 rooms of 10 photos, ICC .3: naive Wilson covers 70%."""
    rng = np.random.default_rng(12)
    unit = np.repeat(np.arange(20), 10)
    repeats = 600
    held = naive = wrong_fails = 0
    for _ in range(repeats):
        y = _correlated(rng, 20, 10, 0.85, 0.3)
        by_unit, by_image = stats.rate(y, unit=unit), stats.rate(y)
        ours, theirs = stats.interval(by_unit), stats.interval(by_image)
        held += ours.low <= 0.85 <= ours.high
        naive += theirs.low <= 0.85 <= theirs.high
        wrong_fails += fails_below(by_unit, 0.85)
    assert held / repeats >= 0.90
    assert naive / repeats <= 0.80
    assert wrong_fails / repeats <= ALLOWED


def test_clustered_difference_holds_its_wrong_fails_where_images_do_not():
    """Three photos a room, ICC .3, group of 30 rooms (methods: 18% false alarms if ignored)."""
    rng = np.random.default_rng(13)
    unit = np.repeat(np.arange(300), 3)
    member = unit < 30
    repeats = 500
    by_unit = by_image = 0
    for _ in range(repeats):
        y = np.r_[_correlated(rng, 30, 3, 0.85, 0.3), _correlated(rng, 270, 3, 0.9, 0.3)]
        by_unit += fails_below(stats.rate_difference(y, member=member, unit=unit), -0.05)
        by_image += fails_below(stats.rate_difference(y, member=member), -0.05)
    assert by_unit / repeats <= ALLOWED + math.sqrt(NOMINAL * 0.95 / repeats)
    assert by_image / repeats >= 0.08
