"""What estimates say: properties that hold for every estimate and every limit."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from auditor import stats
from auditor.stats import GRID, Draws, Exact, Normal, PairedDifference, Rate, RateDifference
from auditor.stats import RateRatio as Ratio

thorough = settings(max_examples=300)
quick = settings(thorough, max_examples=100)
dfs = st.none() | st.integers(1, 200).map(float)


@st.composite
def part(draw):
    """A count and its total, whole or effective."""
    if draw(st.booleans()):
        n = draw(st.integers(1, 2000))
        return draw(st.integers(0, n)), n
    n = draw(st.floats(0.7, 2000))
    return draw(st.floats(0, 1)) * n, n


@st.composite
def estimates(draw):
    kind = draw(st.sampled_from(["rate", "difference", "ratio", "paired", "normal", "draws"]))
    df = draw(dfs)
    (x, n), (x_rest, n_rest) = draw(part()), draw(part())
    if kind == "rate":
        return Rate(x, n, df)
    if kind == "difference":
        return RateDifference(x, n, x_rest, n_rest, df)
    if kind == "ratio":
        assume(x + x_rest > 1e-3)
        return Ratio(x, n, x_rest, n_rest, df)
    if kind == "paired":
        return PairedDifference(x * x_rest / n_rest, x * (1 - x_rest / n_rest), n, df)
    if kind == "normal":
        return Normal(draw(st.floats(-2, 2)), draw(st.floats(0, 1)), df)
    width = draw(st.floats(0, 1))
    centre = draw(st.floats(-1, 1))
    return Draws(draw(st.floats(-1, 1)), tuple(centre + width * norm.ppf(GRID)))


limits = st.sampled_from([-1.0, -0.05, 0.0, 0.05, 0.5, 0.9, 1.0, 1.25, 2.0]) | st.floats(-1.5, 2)
sides = st.sampled_from(["above", "below"])


@thorough
@given(estimates(), limits, sides)
@example(RateDifference(8, 10, 9, 10), -0.1, "below")
@example(Rate(9, 10), 0.9, "above")
@example(Ratio(0, 20, 5, 50), 1.25, "above")
def test_a_measure_never_both_passes_and_fails(estimate, limit, exceeds):
    p = stats.p_value(estimate, limit=limit, exceeds=exceeds)
    assert 0 <= p <= 1
    good_side = stats.bound(estimate, side="high" if exceeds == "above" else "low")
    meets = good_side <= limit if exceeds == "above" else good_side >= limit
    assert not (meets and p <= 0.05)


@thorough
@given(estimates(), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_interval_and_bounds_hold_the_value(estimate, level):
    value = stats.value(estimate)
    slack = 1e-9 * max(1, abs(value)) if math.isfinite(value) else 0
    found = stats.interval(estimate, level=level)
    assume(not isinstance(estimate, Draws))
    assert found.low <= value + slack
    assert found.high >= value - slack
    assert stats.bound(estimate, side="low", confidence=(1 + level) / 2) <= value + slack
    assert stats.bound(estimate, side="high", confidence=(1 + level) / 2) >= value - slack


@quick
@given(estimates(), st.tuples(st.floats(0.3, 0.99), st.floats(0.3, 0.99)))
def test_a_higher_level_is_never_narrower(estimate, levels):
    low, high = sorted(levels)
    narrow, wide = stats.interval(estimate, level=low), stats.interval(estimate, level=high)
    slack = 1e-7 * (1 + abs(narrow.low) + (abs(narrow.high) if math.isfinite(narrow.high) else 0))
    assert wide.low <= narrow.low + slack
    assert wide.high >= narrow.high - slack
    lower = [stats.bound(estimate, side="low", confidence=c) for c in (0.9, 0.95, 0.99)]
    assert lower == sorted(lower, reverse=True) or np.ptp(lower) < 1e-7


@quick
@given(estimates(), st.tuples(limits, limits))
def test_a_laxer_limit_is_never_easier_to_fail(estimate, pair):
    # At 0 a conditional test with the margins fixed takes over; it is compared with no other.
    assume(0 not in pair)
    strict, lax = sorted(pair)
    p_strict = stats.p_value(estimate, limit=strict, exceeds="above")
    p_lax = stats.p_value(estimate, limit=lax, exceeds="above")
    # Around one half, where nothing is decided, the floor for good values meets roundings.
    assert p_lax >= min(p_strict, 0.45) - 2e-6


@quick
@given(part(), part(), limits)
def test_failures_mirror_successes(group, rest, limit):
    (x, n), (x_rest, n_rest) = group, rest
    gain = RateDifference(x, n, x_rest, n_rest)
    loss = RateDifference(n - x, n, n_rest - x_rest, n_rest)
    assume(abs(stats.value(gain) - limit) > 1e-9)
    assert stats.p_value(gain, limit=limit, exceeds="above") == pytest.approx(
        stats.p_value(loss, limit=-limit, exceeds="below"), abs=1e-5
    )
    assert stats.bound(gain, side="low") == pytest.approx(-stats.bound(loss, side="high"), abs=1e-6)


@pytest.mark.parametrize(
    ("make", "confidence"),
    [
        (lambda df: Rate(40, 50, df), 0.95),
        (lambda df: RateDifference(40, 50, 45, 50, df), 0.95),
        (lambda df: Ratio(10, 50, 5, 50, df), 0.95),
        (lambda df: PairedDifference(2, 9, 50, df), 0.95),
        (lambda df: Normal(0.1, 0.05, df), 0.95),
    ],
)
def test_few_clusters_make_everything_less_sure(make, confidence):
    exact, few, fewer = make(None), make(19.0), make(4.0)
    lows = [stats.bound(e, side="low", confidence=confidence) for e in (exact, few, fewer)]
    assert lows == sorted(lows, reverse=True)
    limit = lows[0] - 0.02
    ps = [stats.p_value(e, limit=limit, exceeds="above") for e in (exact, few, fewer)]
    assert ps == sorted(ps)
    assert ps[0] < 0.05 < ps[2]


def test_bound_is_where_the_p_value_is_five_percent():
    for estimate in (
        Rate(85, 100),
        Ratio(20, 100, 30, 300),
        PairedDifference(3, 9, 200),
        Normal(0.4, 0.1, 12),
    ):
        for side, exceeds in (("low", "above"), ("high", "below")):
            at = stats.bound(estimate, side=side)
            p = stats.p_value(estimate, limit=at, exceeds=exceeds)
            assert p == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("counts", [(10, 10, 2, 10), (9, 10, 0, 10), (30, 60, 5, 40)])
def test_a_bound_of_a_difference_is_as_cautious_as_newcombes_and_as_the_scores(counts):
    """Of ten right in ten against two, Newcombe's interval reaches 6 points further."""
    estimate = RateDifference(*counts)
    mirrored = RateDifference(*counts[2:], *counts[:2])
    hybrid = stats.newcombe(*counts, level=0.9)
    low, high = (stats.bound(estimate, side=side) for side in ("low", "high"))
    assert low <= hybrid.low + 1e-12
    assert high >= hybrid.high - 1e-12
    assert stats.bound(mirrored, side="high") == pytest.approx(-low)
    assert stats.bound(mirrored, side="low") == pytest.approx(-high)


def test_value_of_each_kind():
    found = [
        stats.value(e)
        for e in (
            Exact(3.5), Rate(9, 10), RateDifference(8, 10, 9, 10), Ratio(2, 10, 1, 10),
            Ratio(2, 10, 0, 10), PairedDifference(1, 7, 21), Normal(0.2, 0.1),
        )
    ]  # fmt: skip
    assert found == pytest.approx([3.5, 0.9, -0.1, 2.0, math.inf, -6 / 21, 0.2])


def test_exact_values_are_judged_by_comparison():
    size = Exact(0.3)
    assert stats.p_value(size, limit=0.3, exceeds="above") == 1
    assert stats.p_value(size, limit=0.29, exceeds="above") == 0
    assert stats.interval(size) == stats.Interval(0.3, 0.3)
    assert stats.bound(size, side="high") == 0.3


def test_normal_uses_t_with_df():
    found = stats.interval(Normal(1.0, 0.5, 9))
    assert found.high == pytest.approx(1 + 0.5 * student.ppf(0.975, 9))
    assert stats.p_value(Normal(1.0, 0.5, 9), limit=0, exceeds="above") == pytest.approx(
        student.sf(2, 9)
    )
    assert stats.p_value(Normal(1.0, 0.5), limit=0, exceeds="above") == pytest.approx(norm.sf(2))


def test_draws_of_a_normal_agree_with_the_normal():
    normal = Normal(0.3, 0.1)
    draws = Draws(0.3, tuple(0.3 + 0.1 * norm.ppf(GRID)))
    for level in (0.5, 0.9, 0.95, 0.998):
        ours, theirs = stats.interval(draws, level=level), stats.interval(normal, level=level)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    for limit in (0.05, 0.1, 0.17, 0.25):
        assert stats.p_value(draws, limit=limit, exceeds="above") == pytest.approx(
            stats.p_value(normal, limit=limit, exceeds="above"), abs=1e-9
        ) or limit <= 0.3 - 0.1 * norm.ppf(GRID[-1])
    # Beyond what was kept, the first probability of the grid and no less.
    assert stats.p_value(draws, limit=-5, exceeds="above") == GRID[0]
    with pytest.raises(ValueError, match=r"0\.9995"):
        stats.interval(draws, level=0.9999)


def test_biased_draws_never_count_against_a_value_that_meets_the_limit():
    # All resamples lie above the value, as those of a biased statistic do.
    draws = Draws(0.3, tuple(0.6 + 0.01 * norm.ppf(GRID)))
    assert stats.p_value(draws, limit=0.4, exceeds="above") == 0.5
    assert stats.bound(draws, side="low") == 0.3
    assert stats.bound(draws, side="high") > 0.6
    assert stats.p_value(draws, limit=0.2, exceeds="above") == GRID[0]


def test_a_difference_at_zero_is_fishers_midp_for_whole_counts_only():
    whole = RateDifference(20, 100, 270, 900)
    assert stats.p_value(whole, limit=0, exceeds="below") == pytest.approx(
        stats.fisher_midp(20, 100, 270, 900, exceeds="below")
    )
    halved = RateDifference(20 / 1.5, 100 / 1.5, 180, 600)
    assert stats.p_value(halved, limit=0, exceeds="below") == pytest.approx(
        stats.difference_score_test(20 / 1.5, 100 / 1.5, 180, 600, limit=0, exceeds="below")
    )


def test_limits_out_of_reach_are_decided():
    assert stats.p_value(Rate(5, 10), limit=-0.1, exceeds="above") == 0
    assert stats.p_value(Rate(10, 10), limit=1.0, exceeds="above") >= 0.5
    assert stats.p_value(RateDifference(5, 10, 5, 10), limit=1.0, exceeds="above") == 1
    assert stats.p_value(Ratio(5, 10, 5, 10), limit=0.0, exceeds="above") == 0
    with pytest.raises(ValueError, match="NaN"):
        stats.p_value(Rate(5, 10), limit=math.nan, exceeds="above")
    with pytest.raises(ValueError, match="confidence"):
        stats.bound(Rate(5, 10), side="low", confidence=0.5)
