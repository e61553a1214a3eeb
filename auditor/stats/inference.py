"""What an estimate says: its value, its interval, and how it stands to a limit.

An estimate that lies on the good side of a limit never has a p-value against it below 0.5, and
a one-sided bound never excludes the value; so one measure cannot both pass (`bound` on the good
side) and fail (`p_value` at most 0.05) the same limit.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from auditor.stats import hypothesis_tests as tests
from auditor.stats import intervals
from auditor.stats.estimates import (
    GRID,
    Draws,
    Estimate,
    Exact,
    Normal,
    PairedDifference,
    Rate,
    RateDifference,
    RateRatio,
)
from auditor.stats.intervals import Interval
from auditor.stats.scores import (
    Direction,
    Moments,
    critical,
    crossing,
    difference_moments,
    on_t_scale,
    paired_moments,
    ratio_moments,
    tail,
    two_sided_critical,
)

Side = Literal["low", "high"]

_GRID_Z = ndtri(np.array(GRID))


def value(estimate: Estimate) -> float:
    """The point estimate; infinite for a ratio to nothing."""
    match estimate:
        case Exact() | Normal() | Draws():
            return estimate.value
        case Rate(x, n):
            return x / n
        case RateDifference(x, n, x_rest, n_rest):
            return x / n - x_rest / n_rest
        case RateRatio(x, n, x_rest, n_rest):
            return math.inf if x_rest == 0 else (x / n) / (x_rest / n_rest)
        case PairedDifference(gained, lost, n):
            return (gained - lost) / n


def interval(estimate: Estimate, *, level: float = 0.95) -> Interval:
    """Two-sided interval for display; verdicts use `bound` and `p_value`.

    Wilson for a rate, Newcombe for a difference, Miettinen-Nurminen for a ratio, Tango for a
    paired difference, t or normal for a mean, percentiles for draws; an exact value has no
    width. `level` is in (0, 1); draws resolve no more than 0.999.
    """
    match estimate:
        case Exact():
            return Interval(estimate.value, estimate.value)
        case Rate(x, n, df):
            return intervals.wilson(x, n, level=level, df=df)
        case RateDifference(x, n, x_rest, n_rest, df):
            return intervals.newcombe(x, n, x_rest, n_rest, level=level, df=df)
        case RateRatio(x, n, x_rest, n_rest, df):
            return intervals.miettinen_nurminen_ratio(x, n, x_rest, n_rest, level=level, df=df)
        case PairedDifference(gained, lost, n, df):
            return intervals.tango(gained, lost, n, level=level, df=df)
        case Normal(centre, se, df, least, most):
            half = two_sided_critical(level, df=df) * se
            low = centre - half if least is None else max(centre - half, min(least, centre))
            high = centre + half if most is None else min(centre + half, max(most, centre))
            return Interval(low, high)
        case Draws():
            confidence = (1 + level) / 2
            return Interval(
                _draws_bound(estimate, side="low", confidence=confidence),
                _draws_bound(estimate, side="high", confidence=confidence),
            )


def bound(estimate: Estimate, *, side: Side, confidence: float = 0.95) -> float:
    """One-sided bound: the truth is beyond it with probability at most about 1 - `confidence`.

    Chosen for the error at the limit, enumerated, not for the narrowest interval:
    Clopper-Pearson for a rate; for a difference the most cautious of Newcombe's bound and the
    two score bounds (`cautious_score`); for a ratio and a paired difference the score bounds;
    otherwise as `interval`.

    Parameters
    ----------
    side : "low" for a bound that the truth is above, "high" for one that it is below.
    confidence : in (0.5, 1).
    """
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence: found {confidence}, expected a number between 0.5 and 1")
    level = 2 * confidence - 1
    match estimate:
        case RateDifference() | RateRatio() | PairedDifference():
            return _cautious_bound(estimate, side, confidence)
        case Rate(x, n, df):
            both = intervals.clopper_pearson(x, n, level=level, df=df)
        case _:
            both = interval(estimate, level=level)
    return both.low if side == "low" else both.high


def p_value(estimate: Estimate, *, limit: float, exceeds: Direction) -> float:
    """One-sided p-value of "the limit is met" against "the truth exceeds it".

    Clopper-Pearson's test for a rate; for a difference Fisher's mid-p at a limit of 0 with
    whole counts, else score tests with a margin (`cautious_score`), which a ratio has too;
    exact McNemar at 0, else Tango's score tests for a paired difference; t or normal for a mean.
    Draws resolve no less than the first probability of `GRID`.

    Parameters
    ----------
    exceeds : "above" where a truth above `limit` breaks it, "below" where one below does.
    """
    if math.isnan(limit):
        raise ValueError("limit: found NaN, expected a number")
    beyond = _is_beyond(value(estimate), limit, exceeds)
    if _is_decided(estimate, limit):
        return 0.0 if beyond else 1.0
    p = min(max(_p_value(estimate, limit, exceeds), 0.0), 1.0)
    return p if beyond else max(p, 0.5)


def _p_value(estimate: Estimate, limit: float, exceeds: Direction) -> float:
    match estimate:
        case Rate(x, n, df):
            return on_t_scale(tests.binomial_exact(x, n, limit=limit, exceeds=exceeds), df=df)
        case RateDifference():
            return _difference_p(estimate, limit, exceeds)
        case RateRatio(x, n, x_rest, n_rest, df):
            return tests.ratio_score_test(x, n, x_rest, n_rest, limit=limit, exceeds=exceeds, df=df)
        case PairedDifference(gained, lost, n, df):
            if limit == 0:
                return on_t_scale(tests.mcnemar_exact(gained, lost, exceeds=exceeds), df=df)
            return tests.paired_score_test(gained, lost, n, limit=limit, exceeds=exceeds, df=df)
        case Normal(centre, se, df):
            return tail((centre - limit) / se, exceeds=exceeds, df=df)
        case _:
            assert isinstance(estimate, Draws)
            return _draws_p(estimate, limit, exceeds)


def _difference_p(estimate: RateDifference, limit: float, exceeds: Direction) -> float:
    counts = (estimate.x, estimate.n, estimate.x_rest, estimate.n_rest)
    whole = [round(c) for c in counts]
    if limit == 0 and all(abs(c - w) < 1e-9 for c, w in zip(counts, whole, strict=True)):
        return on_t_scale(tests.fisher_midp(*whole, exceeds=exceeds), df=estimate.df)
    return tests.difference_score_test(*counts, limit=limit, exceeds=exceeds, df=estimate.df)


def _is_beyond(point: float, limit: float, exceeds: Direction) -> bool:
    return point > limit if exceeds == "above" else point < limit


def _is_decided(estimate: Estimate, limit: float) -> bool:
    """Whether no sampling error stands between the value and the limit."""
    match estimate:
        case Exact():
            return True
        case Rate():
            return not 0 <= limit <= 1
        case RateDifference() | PairedDifference():
            return not -1 < limit < 1
        case RateRatio():
            return limit <= 0 or math.isinf(limit)
        case Normal():
            return estimate.se == 0
        case Draws():
            return False


# A report asks for a bound wherever it tells of a finding, and each is a search.
@lru_cache(maxsize=4096)
def _cautious_bound(
    estimate: RateDifference | RateRatio | PairedDifference, side: Side, confidence: float
) -> float:
    z = critical(confidence, df=estimate.df)
    match estimate:
        case RateDifference(x, n, x_rest, n_rest, df):
            counts = (x, n, x_rest, n_rest)
            hybrid = intervals.newcombe(*counts, level=2 * confidence - 1, df=df)
            found = _inverted(difference_moments, counts, value(estimate), z=z, side=side)
            return min(found, hybrid.low) if side == "low" else max(found, hybrid.high)
        case PairedDifference(gained, lost, n):
            return _inverted(paired_moments, (gained, lost, n), value(estimate), z=z, side=side)
        case RateRatio():
            return _cautious_ratio(estimate, z=z, side=side)


def _inverted(
    moments: Callable[..., Moments],
    counts: tuple[float, ...],
    centre: float,
    *,
    z: float,
    side: Side,
) -> float:
    """The limit that a cautious score of a difference just does not reject."""
    if side == "low":
        return crossing(_cautious(moments, counts, "above"), target=z, low=-1.0, high=centre)
    return crossing(_cautious(moments, counts, "below"), target=-z, low=centre, high=1.0)


def _cautious_ratio(estimate: RateRatio, *, z: float, side: Side) -> float:
    counts = (estimate.x, estimate.n, estimate.x_rest, estimate.n_rest)
    centre = value(estimate)
    if side == "low":
        above = _cautious(ratio_moments, counts, "above")
        low = intervals.ratio_end(lambda t: above(math.exp(t)), target=z) if estimate.x else 0.0
        return min(low, centre)
    below = _cautious(ratio_moments, counts, "below")
    high = (
        intervals.ratio_end(lambda t: below(math.exp(t)), target=-z)
        if estimate.x_rest
        else math.inf
    )
    return max(high, centre)


def _cautious(
    moments: Callable[..., Moments], counts: tuple[float, ...], exceeds: Direction
) -> Callable[[float], float]:
    return lambda limit: tests.cautious_score(moments, counts, limit=limit, exceeds=exceeds)


def _draws_bound(estimate: Draws, *, side: Side, confidence: float) -> float:
    if not 0 < confidence <= GRID[-1]:
        raise ValueError(
            f"confidence: found {confidence}, expected at most {GRID[-1]}, the last probability "
            "that draws are kept at"
        )
    z = critical(confidence)
    quantile = float(np.interp(z if side == "high" else -z, _GRID_Z, estimate.quantiles))
    # A biased resampling distribution may lie wholly beside the value that it came from.
    best = max if side == "high" else min
    return best(quantile, estimate.value)


def _draws_p(estimate: Draws, limit: float, exceeds: Direction) -> float:
    quantiles = estimate.quantiles
    at = bisect_right(quantiles, limit) if exceeds == "above" else bisect_left(quantiles, limit)
    if at == 0:
        share = GRID[0]
    elif at == len(quantiles):
        share = GRID[-1]
    else:
        step = (limit - quantiles[at - 1]) / (quantiles[at] - quantiles[at - 1])
        z = _GRID_Z[at - 1] + step * (_GRID_Z[at] - _GRID_Z[at - 1])
        share = float(ndtr(z))
    return share if exceeds == "above" else 1 - share
