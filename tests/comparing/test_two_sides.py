import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t as student
from scipy.stats import ttest_ind

from auditor.comparing.two_sides import TwoSides, two_means
from auditor.stats import ENDLESS, GRID, Normal, bound, interval, p_value


@pytest.fixture
def rng():
    return np.random.default_rng(31)


def test_without_imagined_values_it_is_welchs_t_test(rng):
    a, b = rng.normal(2, 1, 40), rng.normal(1, 3, 60)
    values, member = np.concatenate([a, b]), np.arange(100) < 40
    gap = two_means(values, member=member, unit=None, imagined=()).difference()
    expected = ttest_ind(a, b, equal_var=False)
    assert gap.value / gap.se == pytest.approx(expected.statistic)
    assert gap.df == pytest.approx(expected.df)


def test_units_on_both_sides_bring_their_covariance(rng):
    """The sandwich of statsmodels, with each side's own correction for few units."""
    unit = np.repeat(np.arange(80), 6)
    member = np.arange(480) % 6 < 3
    room = rng.normal(0, 1, 80)[unit]
    values = room + rng.normal(0, 0.5, 480) + member
    gap = two_means(values, member=member, unit=unit, imagined=()).difference()
    fit = sm.OLS(values, sm.add_constant(member.astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": unit, "use_correction": False}
    )
    assert gap.value == pytest.approx(fit.params[1])
    assert gap.se == pytest.approx(fit.bse[1] * np.sqrt(80 / 79), rel=1e-3)
    # A room's own level falls out of the difference.
    apart = two_means(values, member=member, unit=unit + 1000 * member, imagined=()).difference()
    assert gap.se < 0.5 * apart.se


def test_units_that_pull_apart_widen_the_difference(rng):
    unit = np.repeat(np.arange(80), 6)
    member = np.arange(480) % 6 < 3
    values = np.where(member, 1, -1) * rng.normal(0, 1, 80)[unit] + rng.normal(0, 0.5, 480)
    sides = two_means(values, member=member, unit=unit, imagined=())
    assert sides.covariance < 0
    assert sides.difference().se ** 2 > sides.group.se**2 + sides.rest.se**2


@pytest.mark.parametrize("covariance", [-0.02, 0.0, 0.02])
def test_a_quantile_of_the_ratio_is_where_the_difference_has_that_p_value(covariance):
    sides = TwoSides(Normal(2.0, 0.3, 30), Normal(1.2, 0.2, 50), covariance, units=80)
    ratio = sides.ratio()
    assert ratio.value == pytest.approx(2 / 1.2)
    df = sides._df(rest_weight=ratio.value)
    for p, r in zip(GRID, ratio.quantiles, strict=True):
        se = np.sqrt(0.3**2 + r**2 * 0.2**2 - 2 * r * covariance)
        assert student.cdf(-(2.0 - r * 1.2) / se, df) == pytest.approx(p, rel=1e-6)


def test_the_interval_of_a_ratio_is_fiellers():
    sides = TwoSides(Normal(2.0, 0.3, 30), Normal(1.2, 0.1, 50), 0.0, units=80)
    z = student.ppf(0.975, sides._df(rest_weight=2 / 1.2))
    a, b, c = 1.2**2 - (z * 0.1) ** 2, 2 * 1.2, 2.0**2 - (z * 0.3) ** 2
    roots = sorted(np.roots([a, -2 * b, c]))
    ends = interval(sides.ratio())
    assert (ends.low, ends.high) == pytest.approx(tuple(roots), rel=1e-6)


def test_a_rest_that_may_cost_nothing_has_a_ratio_without_end():
    ratio = TwoSides(Normal(1.5, 0.5, 30), Normal(0.5, 0.5, 30), 0.0, units=60).ratio()
    assert interval(ratio).high == ENDLESS
    assert bound(ratio, side="high") == ENDLESS
    assert 0 < interval(ratio).low < 2
    assert 0.05 < p_value(ratio, limit=1.25, exceeds="above") < 0.5


def test_a_group_that_costs_nothing_has_a_ratio_from_nothing_on():
    ratio = TwoSides(Normal(0.0, 0.2, 30), Normal(2.0, 0.2, 30), 0.0, units=60).ratio()
    assert ratio.value == interval(ratio).low == 0
    assert bound(ratio, side="high") == pytest.approx(0.17, abs=0.01)


def test_a_ratio_to_nothing_or_of_less_than_nothing_is_refused():
    for group, rest in ((1.0, 0.0), (-1.0, 2.0), (1.0, -2.0)):
        with pytest.raises(ValueError, match="expected 0 or more to above 0"):
            TwoSides(Normal(group, 1, 9), Normal(rest, 1, 9), 0.0, units=20).ratio()


def test_a_ratio_beyond_telling_is_cut():
    ratio = TwoSides(Normal(5000.0, 1, 30), Normal(1.0, 0.1, 30), 0.0, units=60).ratio()
    assert ratio.value == ENDLESS
    assert p_value(ratio, limit=1.25, exceeds="above") <= 0.001


def test_units_that_span_both_sides_count_once_in_the_degrees_of_freedom(rng):
    unit = np.repeat(np.arange(12), 40)
    member = np.arange(480) % 2 == 0
    gap = two_means(rng.normal(size=480), member=member, unit=unit, imagined=()).difference()
    assert gap.df <= 11
