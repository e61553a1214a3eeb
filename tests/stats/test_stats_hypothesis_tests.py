"""Tests against scipy, statsmodels and published examples; permutation tests hold their error."""

import math

import numpy as np
import pytest
from scipy.stats import (
    binom,
    binomtest,
    chi2_contingency,
    fisher_exact,
    hypergeom,
    power_divergence,
)
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import test_proportions_2indep as two_proportions

from auditor import stats
from auditor.stats.scores import difference_score, ratio_score


@pytest.mark.parametrize(
    ("x", "n", "limit"), [(3, 10, 0.1), (10, 10, 0.9), (85, 100, 0.9), (0, 5, 0.2)]
)
def test_binomial_tails_agree_with_scipy(x, n, limit):
    above = stats.binomial_exact(x, n, limit=limit, exceeds="above")
    below = stats.binomial_exact(x, n, limit=limit, exceeds="below")
    assert above == pytest.approx(binomtest(x, n, limit, alternative="greater").pvalue)
    assert below == pytest.approx(binomtest(x, n, limit, alternative="less").pvalue)
    midp = stats.binomial_midp(x, n, limit=limit, exceeds="above")
    assert midp == pytest.approx(above - binom.pmf(x, n, limit) / 2)


@pytest.mark.parametrize(
    "table", [(8, 10, 3, 12), (0, 5, 3, 20), (5, 5, 1, 9), (20, 100, 200, 900)]
)
def test_fisher_midp_is_fisher_less_half_of_the_table_seen(table):
    x, n, x_rest, n_rest = table
    grid = [[x, n - x], [x_rest, n_rest - x_rest]]
    seen = hypergeom.pmf(x, n + n_rest, x + x_rest, n)
    for exceeds, alternative in (("above", "greater"), ("below", "less")):
        expected = fisher_exact(grid, alternative=alternative).pvalue - seen / 2
        assert stats.fisher_midp(*table, exceeds=exceeds) == pytest.approx(expected)


TABLES = [(8, 10, 3, 12), (80, 100, 810, 900), (1, 30, 10, 270)]


@pytest.mark.parametrize("limit", [1.25, 0.8])
@pytest.mark.parametrize("table", TABLES)
def test_ratio_score_agrees_with_statsmodels(limit, table):
    expected = two_proportions(*table, value=limit, compare="ratio", method="score").statistic
    assert ratio_score(*table, limit=limit, skewed=False) == pytest.approx(expected, rel=1e-6)


# statsmodels 0.15 misstates a coefficient of the cubic for a difference with a margin (its test
# returns NaN), so the reference here maximises the restricted likelihood by search.
@pytest.mark.parametrize("limit", [-0.05, 0.0, 0.1])
@pytest.mark.parametrize("table", TABLES)
def test_difference_score_agrees_with_a_searched_likelihood(limit, table):
    x, n, x_rest, n_rest = table
    p_rest = _restricted_by_search(table, limit)
    p = p_rest + limit
    variance = p * (1 - p) / n + p_rest * (1 - p_rest) / n_rest
    total = n + n_rest
    expected = (x / n - x_rest / n_rest - limit) / math.sqrt(variance * total / (total - 1))
    assert difference_score(*table, limit=limit, skewed=False) == pytest.approx(expected, rel=1e-4)


def test_skewness_correction_solves_its_own_equation():
    # Laud (2017): z + skew * (z**2 - 1) is the uncorrected statistic.
    table, limit = (7, 20, 200, 300), -0.05
    plain = difference_score(*table, limit=limit, skewed=False)
    corrected = difference_score(*table, limit=limit)
    grid = np.linspace(-8, 8, 400001)
    p_rest = _restricted_by_search(table, limit)
    p = p_rest + limit
    moment = p * (1 - p) * (1 - 2 * p) / 20**2 - p_rest * (1 - p_rest) * (1 - 2 * p_rest) / 300**2
    variance = (p * (1 - p) / 20 + p_rest * (1 - p_rest) / 300) * 320 / 319
    residual = grid + moment / (6 * variance**1.5) * (grid**2 - 1) - plain
    near = abs(grid - plain) < 1
    assert corrected == pytest.approx(grid[near][np.argmin(abs(residual[near]))], abs=1e-3)
    assert corrected != pytest.approx(plain, abs=1e-2)


def _restricted_by_search(table, limit):
    x, n, x_rest, n_rest = table
    q = np.linspace(max(0, -limit) + 1e-6, min(1, 1 - limit) - 1e-6, 400001)
    p = q + limit
    group = x * np.log(p) + (n - x) * np.log(1 - p)
    rest = x_rest * np.log(q) + (n_rest - x_rest) * np.log(1 - q)
    return q[np.argmax(group + rest)]


@pytest.mark.parametrize(("gained", "lost"), [(1, 7), (7, 1), (5, 5), (0, 6), (12, 30)])
def test_mcnemar_agrees_with_statsmodels(gained, lost):
    expected = mcnemar([[0, gained], [lost, 0]], exact=True).pvalue
    assert stats.mcnemar_exact(gained, lost) == pytest.approx(expected)


def test_mcnemar_reproduces_fagerland_2013():
    # Fagerland, Lydersen & Laake (2013) BMC Med Res Methodol 13:91: exact P = 0.0703 for 1 and 7.
    assert stats.mcnemar_exact(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert stats.mcnemar_exact(1, 7, exceeds="below") == pytest.approx(0.0703 / 2, abs=5e-5)
    assert stats.mcnemar_exact(0, 0) == 1


def test_g_test_agrees_with_scipy():
    table = np.array([[30, 14, 34], [8, 0, 22]])
    expected = chi2_contingency(table, lambda_="log-likelihood", correction=False)
    found = stats.g_test(table)
    assert (found.statistic, found.df) == pytest.approx((expected.statistic, expected.dof))
    assert found.p_value == pytest.approx(expected.pvalue)
    counts, shares = np.array([43, 30, 27]), np.array([0.5, 0.3, 0.2])
    goodness = power_divergence(counts, shares * 100, lambda_="log-likelihood")
    assert stats.g_test(counts, expected=shares).p_value == pytest.approx(goodness.pvalue)


@pytest.mark.parametrize("table", [[[0, 0], [3, 4]], [[1, 2]], [[-1, 2], [3, 4]]])
def test_g_test_refuses_empty_margins(table):
    with pytest.raises(ValueError, match="found"):
        stats.g_test(table)


def test_holm_agrees_with_statsmodels_and_refuses_nan():
    rng = np.random.default_rng(3)
    for size in (1, 2, 7, 40):
        p = rng.random(size) ** 3
        assert stats.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert stats.holm([]) == []
    for bad in ([0.1, math.nan], [1.2], [-0.1]):
        with pytest.raises(ValueError, match="holm"):
            stats.holm(bad)


def test_permutation_finds_a_planted_difference_and_is_never_zero():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 50)
    score = label + rng.normal(size=100) * 0.3
    found = stats.permutation_test(
        lambda moved: score[moved == 1].mean() - score[moved == 0].mean(), label,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert found.p_value == 1 / 1000
    assert found.statistic > 0.8
    other_side = stats.permutation_test(
        lambda moved: score[moved == 1].mean() - score[moved == 0].mean(), label,
        rng=np.random.default_rng(1), exceeds="below",
    )  # fmt: skip
    assert other_side.p_value == 1


def _found(score, attribute, rng, **given):
    test = stats.permutation_test(
        lambda moved: float(score @ moved), attribute, rng=rng, permutations=99, **given
    )
    return test.p_value <= 0.05


# Three binomial standard deviations above 5 in 100.
FALSE_ALARMS = 5 + 3 * math.sqrt(100 * 0.05 * 0.95)


def test_permutation_within_strata_ignores_what_the_strata_explain():
    # The attribute goes with the label, the score with the label, and nothing else links them.
    rng = np.random.default_rng(4)
    marginal = conditional = 0
    for _ in range(100):
        label = rng.integers(0, 2, 80)
        attribute = (rng.random(80) < 0.1 + 0.8 * label).astype(float)
        score = label + rng.normal(size=80)
        marginal += _found(score, attribute, rng)
        conditional += _found(score, attribute, rng, strata=label)
    assert marginal >= 90
    assert conditional <= FALSE_ALARMS


@pytest.mark.parametrize("strata", [1, 3, 64, 65, 400])
def test_values_are_exchanged_within_strata_alone_and_as_their_draws_are_ordered(strata):
    """Few strata are sorted one by one, many at once; both give what sorting at once gives."""
    rng = np.random.default_rng(strata)
    stratum, values = rng.integers(0, strata, 900), rng.random(900)
    seen = []
    stats.permutation_test(
        lambda moved: float(seen.append(moved) or 0), values, permutations=3, strata=stratum,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    draws = np.random.default_rng(1)
    for moved in seen[1:]:
        expected = np.empty_like(values)
        home = np.argsort(stratum, kind="stable")
        expected[home] = values[np.lexsort((draws.random(900), stratum))]
        assert (moved == expected).all()
    assert len(seen) == 4


def test_permutation_by_unit_holds_its_error_where_images_do_not():
    rng = np.random.default_rng(6)
    unit = np.repeat(np.arange(16), 10)
    by_image = by_unit = 0
    for _ in range(100):
        attribute = rng.integers(0, 2, 16)[unit].astype(float)
        score = rng.normal(size=16)[unit] + rng.normal(size=160)
        by_image += _found(score - score.mean(), attribute, rng)
        by_unit += _found(score - score.mean(), attribute, rng, unit=unit)
    assert by_image >= 20
    assert by_unit <= FALSE_ALARMS


def test_permutation_refuses_values_that_differ_within_a_unit():
    with pytest.raises(ValueError, match="within a unit"):
        stats.permutation_test(
            np.sum, np.array([0, 1, 1]), unit=["a", "a", "b"], rng=np.random.default_rng(0)
        )
    with pytest.raises(ValueError, match="not finite"):
        stats.permutation_test(lambda v: math.nan, np.array([0, 1]), rng=np.random.default_rng(0))
