"""Comparisons within strata: published values, a regression, the jackknife, and error rates."""

import math
from fractions import Fraction

import numpy as np
import pytest
import statsmodels.api as sm

from auditor import stats
from auditor.stats import Interval, Normal

# Successes and sizes by stratum: of the group, then of the rest.
SAS_NEWCOMBE = [(8, 9, 3, 6), (4, 4, 6, 12), (2, 5, 2, 5), (5, 7, 3, 4), (6, 7, 3, 8), (5, 8, 3, 5)]
SAS_SATO = [(3, 8, 1, 4), (2, 9, 8, 11), (1, 4, 3, 8), (8, 9, 4, 11), (2, 6, 9, 13), (1, 6, 7, 11)]
MIGRAINE = [(16, 27, 5, 25), (12, 28, 7, 26)]
DIABETES = [(8, 106, 5, 120), (22, 98, 16, 85)]


def images(strata):
    """Outcomes, membership and stratum of each image."""
    y, member, stratum = [], [], []
    for k, (x, n, x_rest, n_rest) in enumerate(strata):
        y += [1] * x + [0] * (n - x) + [1] * x_rest + [0] * (n_rest - x_rest)
        member += [True] * n + [False] * n_rest
        stratum += [k] * (n + n_rest)
    return np.array(y, float), {"member": np.array(member), "stratum": np.array(stratum)}


def world(rng, *, units=80, images_a_unit=5, strata=3, effect=0.0, confounded=0.4, span=False):
    """Units in strata of different difficulty; the group is commoner in the easy ones."""
    home = rng.integers(0, strata, units)
    base = np.linspace(0.85, 0.5, strata)[home]
    inside = rng.random(units) < 0.25 + confounded * (home == 0)
    p = base + effect * inside
    p = rng.beta(p * 4, (1 - p) * 4)
    unit = np.repeat(np.arange(units), images_a_unit)
    member = rng.random(len(unit)) < 0.4 if span else inside[unit]
    y = (rng.random(len(unit)) < p[unit]).astype(float)
    return y, {"member": member, "stratum": home[unit], "unit": unit}


def test_difference_and_interval_agree_with_sas():
    """Yan and Su's interval, as SAS gives it for these counts (a test of R's package tern)."""
    y, given = images(SAS_NEWCOMBE)
    found = stats.stratified_difference(y, **given)
    assert found.value == pytest.approx(0.25390590, abs=1e-8)
    assert found.interval.low == pytest.approx(0.03467969, abs=1e-8)
    assert found.interval.high == pytest.approx(0.44544132, abs=1e-8)
    assert (found.n, found.n_rest, found.strata) == (40, 40, 6)


def test_standard_error_of_the_difference_agrees_with_sas():
    """Sato's, as SAS PROC FREQ COMMONRISKDIFF gives it (a test of R's package tern)."""
    y, given = images(SAS_SATO)
    found = stats.stratified_difference(y, **given)
    assert found.value == pytest.approx(-0.1376866, abs=1e-7)
    assert found.estimate.se == pytest.approx(0.1080533, abs=1e-7)


def test_ratio_agrees_with_sas():
    """The Migraine example of PROC FREQ: common relative risk of column 1."""
    y, given = images(MIGRAINE)
    found = stats.stratified_ratio(y, **given)
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx(
        (2.1636, 1.2336, 3.7948), abs=5e-5
    )


def test_values_agree_with_the_textbook():
    """University Group Diabetes Program, stratified by age (Rothman): 0.035 and 1.33."""
    y, given = images(DIABETES)
    assert stats.stratified_difference(y, **given).value == pytest.approx(0.035, abs=5e-4)
    assert stats.stratified_ratio(y, **given).value == pytest.approx(1.33, abs=5e-3)


@pytest.mark.parametrize("unit", [None, "equal", "unequal"])
def test_one_stratum_is_the_plain_comparison(unit):
    y, given = world(np.random.default_rng(1), effect=0.1)
    given |= {"stratum": np.zeros(len(y), int)}
    if unit is None:
        given.pop("unit")
    elif unit == "unequal":
        # One unit in eight becomes a part of one large unit.
        given["unit"] = given["unit"] * (given["unit"] % 16 > 1)
    plain = {k: v for k, v in given.items() if k != "stratum"}
    crude = stats.rate_difference(y, **plain)
    ends, found = stats.interval(crude), stats.stratified_difference(y, **given)
    assert (found.interval.low, found.interval.high) == pytest.approx((ends.low, ends.high))
    assert found.value == pytest.approx(stats.value(crude))
    assert found.estimate.df == (pytest.approx(crude.df) if unit else None)
    assert found.change == Normal(0, 0, found.estimate.df)
    means, same = stats.stratified_mean_difference(y, **given), stats.mean_difference(y, **plain)
    assert means.estimate.se == pytest.approx(same.se)
    assert means.estimate.df == pytest.approx(same.df)
    ratio = stats.stratified_ratio(y, **given)
    assert ratio.value == pytest.approx(stats.value(stats.rate_ratio(y, **plain)))
    assert (ratio.change.value, ratio.change.se) == (0, 0)


@pytest.mark.parametrize("span", [False, True])
def test_difference_is_the_coefficient_of_a_regression_on_group_and_stratum(span):
    y, given = world(np.random.default_rng(2), units=400, strata=4, effect=0.1, span=span)
    design = np.column_stack([given["member"], *(given["stratum"] == k for k in range(4))])
    fit = sm.OLS(y, design.astype(float)).fit(
        cov_type="cluster", cov_kwds={"groups": given["unit"], "use_correction": False}
    )
    means = stats.stratified_mean_difference(y, **given)
    assert means.value == pytest.approx(fit.params[0])
    # The sandwich without any correction for the few degrees of freedom that the fit takes.
    assert means.estimate.se == pytest.approx(fit.bse[0], rel=0.02)
    assert means.estimate.se > fit.bse[0]
    rates = stats.stratified_difference(y, **given)
    assert rates.value == pytest.approx(fit.params[0])
    assert rates.estimate.se == pytest.approx(fit.bse[0], rel=0.03)


def test_each_stratum_takes_a_degree_of_freedom():
    """Thirty strata of two against two: the classical regression's error, 120 - 31 to spare."""
    y = np.random.default_rng(9).normal(size=120)
    stratum, member = np.repeat(np.arange(30), 4), np.tile([True, True, False, False], 30)
    design = np.column_stack([member, *(stratum == k for k in range(30))]).astype(float)
    fit = sm.OLS(y, design).fit()
    found = stats.stratified_mean_difference(y, member=member, stratum=stratum).estimate
    assert (found.value, found.se) == pytest.approx((fit.params[0], fit.bse[0]))
    assert 80 < found.df <= 89 + 1e-9
    # Each image a unit of its own is the same.
    units = stats.stratified_mean_difference(y, member=member, stratum=stratum, unit=np.arange(120))
    assert (units.estimate.se, units.estimate.df) == pytest.approx((found.se, found.df))


def test_units_in_many_strata_are_not_spent_on_each():
    """Forty rooms seen in each of twenty lights: the strata's means rest on 800 images."""
    rng = np.random.default_rng(10)
    unit, stratum = np.repeat(np.arange(40), 20), np.tile(np.arange(20), 40)
    member, y = rng.random(800) < 0.4, rng.normal(size=800) + rng.normal(size=40)[unit]
    design = np.column_stack([member, *(stratum == k for k in range(20))]).astype(float)
    fit = sm.OLS(y, design).fit(
        cov_type="cluster", cov_kwds={"groups": unit, "use_correction": False}
    )
    found = stats.stratified_mean_difference(y, member=member, stratum=stratum, unit=unit).estimate
    classical = sm.OLS(y, design).fit().bse[0]
    assert found.se == pytest.approx(max(fit.bse[0], classical), rel=0.06)
    assert found.df <= 39


def test_ratio_is_that_of_its_definition():
    strata = [(3, 20, 4, 50), (7, 31, 9, 60), (1, 4, 0, 9)]
    y, given = images(strata)
    own = sum(Fraction(x * m, n + m) for x, n, _, m in strata)
    rest = sum(Fraction(x * n, n + m) for _, n, x, m in strata)
    assert stats.stratified_ratio(y, **given).value == pytest.approx(float(own / rest))


def _without(unit, compare, y, given):
    keep = given["unit"] != unit
    return compare(y[keep], **{name: array[keep] for name, array in given.items()})


@pytest.mark.parametrize("compare", [stats.stratified_difference, stats.stratified_ratio])
@pytest.mark.parametrize("span", [False, True])
def test_errors_of_estimate_and_change_agree_with_the_jackknife(compare, span):
    y, given = world(np.random.default_rng(3), units=150, effect=0.1, span=span)
    found = compare(y, **given)
    left_out = [_without(u, compare, y, given) for u in range(150)]
    for name in ("estimate", "change"):
        values = np.array([getattr(one, name).value for one in left_out])
        jackknife = math.sqrt(149 / 150 * ((values - values.mean()) ** 2).sum())
        assert getattr(found, name).se == pytest.approx(jackknife, rel=0.06)


def test_strata_with_one_side_are_left_out():
    y, given = images([*MIGRAINE, (5, 9, 0, 0)])
    known = images(MIGRAINE)
    found, expected = (
        stats.stratified_difference(y, **given),
        stats.stratified_difference(known[0], **known[1]),
    )
    assert found.value == pytest.approx(expected.value)
    assert vars(found.interval) == pytest.approx(vars(expected.interval))
    assert (found.n, found.strata) == (55, 2)
    assert not stats.comparable(given["member"], stratum=given["stratum"])[-9:].any()
    # The comparison over all has them, so what the strata change does too.
    crude = stats.value(stats.rate_difference(y, member=given["member"]))
    assert found.change.value == pytest.approx(crude - found.value)


def test_strata_and_units_may_be_named():
    y, given = world(np.random.default_rng(4))
    named = given | {
        "stratum": np.array(["old", "new", "mid"])[given["stratum"]],
        "unit": np.char.add("room ", given["unit"].astype(str)),
    }
    assert stats.stratified_difference(y, **named).interval.low == pytest.approx(
        stats.stratified_difference(y, **given).interval.low
    )


def test_alike_outcomes_keep_a_width_and_have_no_ratio():
    y, given = images([(9, 9, 12, 12), (7, 7, 8, 8)])
    found = stats.stratified_difference(y, **given)
    assert found.value == 0
    assert -0.35 < found.interval.low < -0.1
    assert 0.1 < found.interval.high < 0.35
    assert stats.stratified_ratio(1 - y, **given) is None


def test_units_that_are_copies_count_once():
    y, given = images(MIGRAINE)
    once = stats.stratified_difference(y, **given)
    copied = {name: np.repeat(array, 6) for name, array in given.items()}
    units = np.repeat(np.arange(len(y)), 6)
    found = stats.stratified_difference(np.repeat(y, 6), **copied, unit=units)
    assert found.estimate.se == pytest.approx(once.estimate.se, rel=0.03)
    assert found.change.se == pytest.approx(once.change.se, rel=0.03)
    naive = stats.stratified_difference(np.repeat(y, 6), **copied)
    assert naive.estimate.se < 0.5 * once.estimate.se


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stratum": np.arange(106)}, "no stratum"),
        ({"member": np.ones(106)}, "expected .n,. bool"),
        ({"unit": np.arange(7)}, "different lengths"),
        ({"stratum": np.zeros((106, 2))}, "expected .n,."),
    ],
)
def test_impossible_arguments_are_refused(changed, message):
    y, given = images(MIGRAINE)
    with pytest.raises(ValueError, match=message):
        stats.stratified_difference(y, **(given | changed))


def test_numbers_are_refused_as_rates():
    y, given = images(MIGRAINE)
    with pytest.raises(ValueError, match="difference of means"):
        stats.stratified_ratio(y / 2, **given)


@pytest.mark.parametrize(
    ("shape", "least"),
    [
        ({"units": 300, "images_a_unit": 1, "strata": 2}, 0.94),
        ({"units": 300, "images_a_unit": 1, "strata": 60}, 0.94),
        ({"units": 60, "images_a_unit": 6, "strata": 4}, 0.93),
        ({"units": 60, "images_a_unit": 6, "strata": 4, "span": True}, 0.92),
    ],
)
def test_intervals_hold_the_true_difference(shape, least):
    """Large and sparse strata, and units correlated at 0.2; nominal 95%."""
    rng, repeats, held, tested = np.random.default_rng(5), 500, 0, 0
    effect = 0.0 if shape.get("span") else 0.1
    for _ in range(repeats):
        y, given = world(rng, effect=effect, **shape)
        found = stats.stratified_difference(y, **given)
        held += _holds(found.interval, effect)
        tested += _holds(stats.interval(found.estimate), effect)
    noise = 2 * math.sqrt(0.05 * 0.95 / repeats)
    assert held / repeats >= least - noise
    assert tested / repeats >= min(least, 0.93) - noise


def test_intervals_hold_the_true_ratio():
    rng, repeats, held = np.random.default_rng(6), 500, 0
    for _ in range(repeats):
        home = rng.integers(0, 5, 500)
        member = rng.random(500) < 0.2 + 0.1 * home
        p = (0.05 + 0.04 * home) * np.where(member, 2.0, 1.0)
        found = stats.stratified_ratio(rng.random(500) < p, member=member, stratum=home)
        held += _holds(found.interval, 2.0)
    assert held / repeats >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize("images_a_unit", [1, 5])
def test_a_stratum_that_changes_nothing_is_rarely_said_to(images_a_unit):
    """One-sided 5% tests that the strata change the gap, where they do not go with the group."""
    rng, repeats, wrong = np.random.default_rng(7), 600, 0
    for _ in range(repeats):
        y, given = world(rng, confounded=0.0, effect=0.1, images_a_unit=images_a_unit)
        change = stats.stratified_difference(y, **given).change
        wrong += stats.p_value(change, limit=0, exceeds="above") <= 0.05
    assert wrong / repeats <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / repeats)


def test_a_stratum_that_carries_the_gap_is_said_to():
    rng, said = np.random.default_rng(8), 0
    for _ in range(50):
        y, given = world(rng, units=300, confounded=0.6)
        found = stats.stratified_difference(y, **given)
        said += stats.p_value(found.change, limit=0, exceeds="above") <= 0.05
        assert abs(found.value) < 0.2
    assert said >= 48


def _holds(ends: Interval, truth: float) -> bool:
    return ends.low <= truth <= ends.high
