"""What a sample could have shown, and how large it would have to be."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.special import betaincinv

from auditor.stats.estimates import (
    Draws,
    Estimate,
    Exact,
    Normal,
    PairedDifference,
    Rate,
    RateDifference,
    RateRatio,
)
from auditor.stats.inference import bound, interval, value
from auditor.stats.scores import (
    Direction,
    critical,
    difference_score,
    paired_score,
    rate_score,
    ratio_score,
)


def times_needed(
    estimate: Estimate,
    *,
    limit: float,
    exceeds: Direction,
    alpha: float = 0.05,
    power: float = 0.8,
    comparisons: int = 1,
) -> float:
    """How many times the present sample decides the limit with `power`, if the truth is as seen.

    A statistic grows with the root of the sample: ``((z_alpha + z_power) / z) ** 2`` times the
    present size, z being the score statistic against the limit. Where the value breaks the limit
    the decision is a FAIL, at ``alpha / comparisons``; else a PASS, at `alpha`. Below 1 where less
    would do; 0 for an exact value, infinite where no sample decides (the value is at the limit).
    """
    if isinstance(estimate, Exact):
        return 0.0
    statistic = _statistic(estimate, limit)
    fails = statistic > 0 if exceeds == "above" else statistic < 0
    needed = critical(1 - (alpha / comparisons if fails else alpha)) + critical(power)
    # A value that differs from the limit by a rounding is at the limit.
    return (needed / statistic) ** 2 if abs(statistic) > 1e-100 else math.inf


def smallest_excess(
    estimate: Estimate,
    *,
    limit: float,
    exceeds: Direction,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """The smallest excess over the limit that a sample of this size would have shown.

    That is, found at `alpha` with probability `power`. Exact for a rate; for differences and
    ratios a normal approximation at the rest's rate as observed; in the measure's unit, from 0.
    Infinite where no excess would have been shown (too few observations for any).
    """
    match estimate:
        case Exact():
            return 0.0
        case Rate():
            return _rate_excess(estimate, limit, exceeds, alpha, power)
        case RateDifference() | RateRatio() | PairedDifference():
            return _comparison_excess(estimate, limit, exceeds, alpha, power)
        case Normal(_, se, df):
            return (critical(1 - alpha, df=df) + critical(power, df=df)) * se
        case Draws():
            return (critical(1 - alpha) + critical(power)) * _standard_error(estimate)


def _statistic(estimate: Estimate, limit: float) -> float:
    """The score statistic against the limit; infinite where the limit is out of reach."""
    excess = value(estimate) - limit
    match estimate:
        case Rate(x, n) if 0 < limit < 1:
            return rate_score(x, n, limit=limit)
        case RateDifference(x, n, x_rest, n_rest) if -1 < limit < 1:
            return difference_score(x, n, x_rest, n_rest, limit=limit, skewed=False)
        case RateRatio(x, n, x_rest, n_rest) if 0 < limit < math.inf:
            return ratio_score(x, n, x_rest, n_rest, limit=limit, skewed=False)
        case PairedDifference(gained, lost, n) if -1 < limit < 1:
            return paired_score(gained, lost, n, limit=limit, skewed=False)
        case Normal() | Draws() if _standard_error(estimate) > 0:
            return excess / _standard_error(estimate)
        case _:
            return math.copysign(math.inf, excess) if excess else 0.0


def _standard_error(estimate: Normal | Draws) -> float:
    if isinstance(estimate, Normal):
        return estimate.se
    middle = interval(estimate, level=0.6827)
    return (middle.high - middle.low) / 2


def _rate_excess(rate: Rate, limit: float, exceeds: Direction, alpha: float, power: float) -> float:
    """By the beta tails that the rate's own test uses."""
    if exceeds == "below":
        mirrored = Rate(rate.n - rate.x, rate.n, rate.df)
        return _rate_excess(mirrored, 1 - limit, "above", alpha, power)
    if limit >= 1:
        return math.inf
    least = _least_count_above(rate, max(limit, 0.0), alpha)
    if least > rate.n:
        return math.inf
    return max(0.0, float(betaincinv(least, rate.n - least + 1, power)) - limit)


def _least_count_above(rate: Rate, limit: float, alpha: float) -> float:
    """The least count of `n` whose lower bound is above the limit; beyond `n` if none is."""

    def shown(x: float) -> bool:
        return bound(Rate(x, rate.n, rate.df), side="low", confidence=1 - alpha) > limit

    if not shown(rate.n):
        return math.inf
    # Whole counts where counts are whole, hundredths of one where they are effective.
    step = 1.0 if float(rate.n).is_integer() else 0.01
    low, high = 0, math.ceil(rate.n / step)
    while high - low > 1:
        middle = (low + high) // 2
        if shown(min(middle * step, rate.n)):
            high = middle
        else:
            low = middle
    return min(high * step, rate.n)


def _comparison_excess(
    estimate: RateDifference | RateRatio | PairedDifference,
    limit: float,
    exceeds: Direction,
    alpha: float,
    power: float,
) -> float:
    """The excess at which ``excess = z_alpha * se(limit) + z_power * se(limit + excess)``."""
    se, reach = _standard_errors(estimate, limit, exceeds)
    sign = 1 if exceeds == "above" else -1
    z_alpha, z_power = critical(1 - alpha, df=estimate.df), critical(power, df=estimate.df)

    def surplus(excess: float) -> float:
        return excess - z_alpha * se(limit) - z_power * se(limit + sign * excess)

    if reach <= 0 or surplus(reach) < 0:
        return math.inf
    # The least root: a surplus may turn twice where the variance falls towards an end.
    steps = [reach * i / 64 for i in range(65)]
    after = next(i for i, excess in enumerate(steps) if surplus(excess) >= 0)
    low, high = steps[max(after - 1, 0)], steps[after]
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if surplus(middle) < 0 else (low, middle)
    return high


def _standard_errors(
    estimate: RateDifference | RateRatio | PairedDifference, limit: float, exceeds: Direction
) -> tuple[Callable[[float], float], float]:
    """The standard error as a function of the truth, and the largest excess that can be."""
    up = exceeds == "above"
    match estimate:
        case RateDifference(_, n, x_rest, n_rest):
            rest = (x_rest + 0.5) / (n_rest + 1)
            return (
                lambda truth: math.sqrt(_variance(rest + truth, n) + _variance(rest, n_rest)),
                (1 - rest - limit) if up else (limit + rest),
            )
        case RateRatio(_, n, x_rest, n_rest):
            rest = (x_rest + 0.5) / (n_rest + 1)
            return (
                lambda truth: (
                    math.sqrt(_variance(rest * truth, n) + truth**2 * _variance(rest, n_rest))
                    / rest
                ),
                (1 / rest - limit) if up else limit,
            )
        case PairedDifference(gained, lost, n):
            discordant = (gained + lost + 0.5) / (n + 1)
            return (
                lambda truth: math.sqrt(max(discordant, abs(truth)) - min(truth**2, 1)) / n**0.5,
                (1 - limit) if up else (1 + limit),
            )


def _variance(p: float, n: float) -> float:
    inside = min(max(p, 0.0), 1.0)
    return inside * (1 - inside) / n
