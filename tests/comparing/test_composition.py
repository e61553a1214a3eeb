import numpy as np
import pytest
from scipy import stats as reference
from statsmodels.stats.proportion import proportion_confint

from auditor.comparing.composition import ratio_to_share, still_missing
from auditor.stats import GRID, Rate, bound, interval, p_value, rate, value


@pytest.mark.parametrize(("x", "n"), [(0, 40), (3, 50), (47, 300), (50, 50)])
def test_the_ratio_is_that_of_the_exact_interval(x, n):
    found = ratio_to_share(Rate(x, n), share=0.4)
    ends = interval(found)
    low, high = proportion_confint(x, n, method="beta")
    assert (ends.low, ends.high) == pytest.approx((low / 0.4, high / 0.4))
    for p in (0.01, 0.05):
        at = bound(found, side="high", confidence=1 - p)
        exact = 1.0 if x == n else reference.beta.ppf(1 - p, x + 1, n - x)
        assert at == pytest.approx(exact / 0.4, rel=1e-6)


@pytest.mark.parametrize("limit", [0.5, 0.8])
def test_p_values_are_those_of_the_exact_binomial_test(limit):
    for x, n, share in ((2, 80, 0.1), (5, 60, 0.2), (20, 400, 0.1), (150, 300, 0.9)):
        found = ratio_to_share(Rate(x, n), share=share)
        exact = reference.binomtest(x, n, limit * share, alternative="less").pvalue
        p = p_value(found, limit=limit, exceeds="below")
        if value(found) < limit:
            assert p == pytest.approx(max(exact, GRID[0]), rel=0.06, abs=1e-4)
        else:
            assert p >= 0.5


@pytest.mark.parametrize("limit", [0.5, 0.8])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.9])
def test_errors_at_the_limit_are_held_for_any_size(limit, share):
    """Enumerated: a share exactly at the limit FAILs, or PASSes, at most 5% of the time."""
    for n in (10, 30, 100, 300):
        x = np.arange(n + 1)
        chance = reference.binom.pmf(x, n, limit * share)
        x, chance = x[chance > 1e-7], chance[chance > 1e-7]
        found = [ratio_to_share(Rate(float(k), n), share=share) for k in x]
        wrong = [p_value(f, limit=limit, exceeds="below") <= 0.05 for f in found]
        passed = [bound(f, side="low") > limit for f in found]
        assert chance[wrong].sum() <= 0.0505
        assert chance[passed].sum() <= 0.0505


def test_intervals_hold_with_clustered_images():
    """Images of a unit that resemble each other, 30 units of 5: at least 90% coverage."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        own = rng.beta(0.3 * 2.33, 0.7 * 2.33, 30)
        inside = rng.random((30, 5)) < own[:, None]
        found = rate(inside.ravel(), unit=np.repeat(np.arange(30), 5))
        ends = interval(ratio_to_share(found, share=0.6))
        held += ends.low <= 0.5 <= ends.high
    assert held / 300 >= 0.92


def test_how_many_are_missing():
    here = type("Counted", (), {"n": 200, "members": staticmethod(lambda g: np.arange(200) < 10)})
    assert still_missing(here, group="a", share=0.1) == 12
    assert (10 + 12) / (200 + 12) >= 0.1 > (10 + 11) / (200 + 11)
    assert still_missing(here, group="a", share=0.05) == 0
    assert still_missing(here, group="a", share=1.0) == 0
