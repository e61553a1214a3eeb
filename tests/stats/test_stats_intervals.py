"""Intervals against independent references, published examples, and their coverage."""

import math

import numpy as np
import pytest
from scipy.stats import beta, binom
from scipy.stats import t as student
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from auditor import stats

TABLES = [(56, 70, 48, 80), (9, 10, 3, 10), (1, 30, 2, 270), (85, 100, 90, 100), (5, 20, 40, 60)]


@pytest.mark.parametrize(("x", "n"), [(0, 10), (1, 10), (9, 10), (10, 10), (81, 263), (850, 1000)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_and_clopper_pearson_agree_with_statsmodels(x, n, level):
    for ours, method in ((stats.wilson, "wilson"), (stats.clopper_pearson, "beta")):
        expected = proportion_confint(x, n, alpha=1 - level, method=method)
        found = ours(x, n, level=level)
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_wilson_reproduces_newcombe_1998():
    # Newcombe (1998) Stat Med 17:857, Table I: 81 of 263 and 15 of 148, 1 of 29.
    for (x, n), expected in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (1, 29): (0.0061, 0.1718),
    }.items():
        found = stats.wilson(x, n)
        assert (found.low, found.high) == pytest.approx(expected, abs=6e-5)


def test_few_clusters_widen_by_the_t_quantile():
    t = student.ppf(0.975, 9)
    plain = stats.wilson(18, 20)
    widened = stats.wilson(18, 20, df=9)
    p, n = 0.9, 20
    half = t * math.sqrt(p * (1 - p) / n + t * t / (4 * n * n)) / (1 + t * t / n)
    assert widened.high - widened.low == pytest.approx(2 * half)
    assert widened.low < plain.low


def test_clopper_pearson_survives_two_clusters():
    # t(1) at 97.5% is 12.7, whose normal tail is 3e-37: 1 - tail would round to 1.
    found = stats.clopper_pearson(18, 20, df=1)
    assert found.low == pytest.approx(
        beta.ppf(student.sf(12.7062, 1) * 0 + 2.7e-37, 18, 3), rel=0.1
    )
    assert found.high == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("table", TABLES)
def test_newcombe_and_ratio_intervals_agree_with_statsmodels(table):
    x, n, x_rest, n_rest = table
    for ours, compare, method in (
        (stats.newcombe, "diff", "newcomb"),
        (stats.miettinen_nurminen_ratio, "ratio", "score"),
    ):
        expected = confint_proportions_2indep(x, n, x_rest, n_rest, compare=compare, method=method)
        found = ours(*table)
        assert (found.low, found.high) == pytest.approx(expected, abs=2e-5, rel=1e-5)


def test_newcombe_reproduces_newcombe_1998():
    # Newcombe (1998) Stat Med 17:873, Table II, method 10.
    for table, expected in {
        (56, 70, 48, 80): (0.0524, 0.3339),
        (9, 10, 3, 10): (0.1705, 0.8090),
        (5, 56, 0, 29): (-0.0381, 0.1926),
        (0, 10, 0, 20): (-0.1611, 0.2775),
        (10, 10, 0, 10): (0.6075, 1.0000),
    }.items():
        found = stats.newcombe(*table)
        assert (found.low, found.high) == pytest.approx(expected, abs=6e-5)


def test_tango_reproduces_fagerland_2014():
    # Fagerland, Lydersen & Laake (2014) Stat Med 33:2850: airway responsiveness, 1 and 7 of 21.
    found = stats.tango(1, 7, 21)
    assert (found.low, found.high) == pytest.approx((-0.517, -0.026), abs=6e-4)


def test_tango_has_a_width_without_discordant_pairs():
    found = stats.tango(0, 0, 50)
    # No discordance: the score's ends are z^2 / (n + z^2).
    assert found.high == pytest.approx(1.959964**2 / (50 + 1.959964**2))
    assert found.low == pytest.approx(-found.high)


def test_ratio_is_open_where_a_side_has_no_event():
    assert stats.miettinen_nurminen_ratio(0, 20, 5, 50).low == 0
    assert stats.miettinen_nurminen_ratio(0, 20, 5, 50).high < 10
    assert stats.miettinen_nurminen_ratio(5, 20, 0, 50).high == math.inf
    assert stats.miettinen_nurminen_ratio(5, 20, 0, 50).low > 1


def _mass(n, p, n_rest, p_rest):
    return np.outer(
        binom.pmf(np.arange(n + 1), n, p), binom.pmf(np.arange(n_rest + 1), n_rest, p_rest)
    )


def _coverage(method, n, p, n_rest, p_rest, truth):
    """By enumeration: the probability of the tables whose interval holds the truth."""
    mass = _mass(n, p, n_rest, p_rest)
    total = 0.0
    for x, x_rest in zip(*np.nonzero(mass > 1e-7), strict=True):
        if method is stats.miettinen_nurminen_ratio and x + x_rest == 0:
            total += mass[x, x_rest]  # no ratio, hence no wrong interval
            continue
        found = method(int(x), n, int(x_rest), n_rest)
        total += mass[x, x_rest] * (found.low <= truth <= found.high)
    return total


@pytest.mark.parametrize(
    ("n", "p", "n_rest", "p_rest"),
    [(10, 0.85, 30, 0.9), (30, 0.8, 30, 0.9), (30, 0.9, 90, 0.9), (50, 0.5, 50, 0.6)],
)
def test_newcombe_holds_its_level(n, p, n_rest, p_rest):
    assert _coverage(stats.newcombe, n, p, n_rest, p_rest, p - p_rest) >= 0.94


@pytest.mark.parametrize(("n", "p", "n_rest", "p_rest"), [(30, 0.15, 60, 0.05), (40, 0.2, 40, 0.2)])
def test_ratio_interval_holds_its_level(n, p, n_rest, p_rest):
    assert _coverage(stats.miettinen_nurminen_ratio, n, p, n_rest, p_rest, p / p_rest) >= 0.94


@pytest.mark.parametrize(
    ("n", "gain", "loss"), [(30, 0.1, 0.1), (50, 0.05, 0.1), (200, 0.01, 0.02)]
)
def test_tango_holds_its_level(n, gain, loss):
    rng = np.random.default_rng(5)
    tables, times = np.unique(
        rng.multinomial(n, [gain, loss, 1 - gain - loss], size=4000), axis=0, return_counts=True
    )
    held = 0
    for (gained, lost, _), count in zip(tables, times, strict=True):
        found = stats.tango(int(gained), int(lost), n)
        held += count * (found.low <= gain - loss <= found.high)
    # Three binomial standard deviations of the simulation below 94.5%.
    assert held / 4000 >= 0.945 - 3 * math.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize("n", [72, 100, 700])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95])
def test_order_statistics_are_the_narrowest_with_equal_tails(n, quantile):
    found = stats.order_statistic_interval(n, quantile=quantile)
    at_or_below = binom(n, quantile)
    assert at_or_below.cdf(found.low) <= 0.025 < at_or_below.cdf(found.low + 1)
    assert at_or_below.sf(found.high) <= 0.025 < at_or_below.sf(found.high - 1)


def test_too_few_observations_do_not_bound_a_quantile():
    # The maximum of n is above the 95th percentile with 97.5% once .95**n <= .025: n = 72.
    assert stats.order_statistic_interval(71, quantile=0.95) is None
    assert stats.order_statistic_interval(72, quantile=0.95).high == 71


def test_order_statistics_cover_the_quantile_of_any_sample():
    rng = np.random.default_rng(2)
    found = stats.order_statistic_interval(200, quantile=0.9)
    samples = np.sort(rng.exponential(size=(2000, 200)), axis=1)
    truth = -math.log(0.1)
    held = (samples[:, found.low] <= truth) & (truth <= samples[:, found.high])
    assert 0.94 <= held.mean() <= 0.98


@pytest.mark.parametrize("level", [0.0, 1.0, math.nan])
def test_levels_outside_are_refused(level):
    with pytest.raises(ValueError, match="level"):
        stats.wilson(1, 2, level=level)
