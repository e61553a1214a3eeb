"""Intervals for proportions, their differences and ratios, gaps and quantiles.

All are two-sided and take effective (possibly fractional) counts with `n` > 0. With `df` they
use a t quantile in place of the normal one, for counts whose design effect was estimated from
``df + 1`` clusters (Korn & Graubard 1998, Survey Methodology 24(2):193-201).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import bdtr, bdtrc, betaincinv, ndtr

from auditor.stats.scores import (
    crossing,
    paired_score,
    ratio_score,
    two_sided_critical,
)

# The ends of the search for a ratio: beyond a billionfold nothing is measured.
_LOG_RATIO_END = math.log(1e9)


@dataclass(frozen=True)
class Interval:
    """A lower and an upper end; an end is infinite where the sample sets none."""

    low: float
    high: float


@dataclass(frozen=True)
class OrderStatistics:
    """Which sorted observations bound a quantile: indices from 0, both included."""

    low: int
    high: int


def wilson(x: float, n: float, *, level: float = 0.95, df: float | None = None) -> Interval:
    """Score interval of a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Examples
    --------
    >>> i = wilson(9, 10)
    >>> round(i.low, 3), round(i.high, 3)
    (0.596, 0.982)
    """
    return _wilson(x, n, z=two_sided_critical(level, df=df))


def clopper_pearson(
    x: float, n: float, *, level: float = 0.95, df: float | None = None
) -> Interval:
    """Exact interval of a proportion, never below its level.

    Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404, by beta quantiles, which also take
    effective counts (Korn & Graubard 1998).
    """
    alpha = float(ndtr(-two_sided_critical(level, df=df)))
    low = 0.0 if x == 0 else float(betaincinv(x, n - x + 1, alpha))
    # The upper end through the failures: 1 - alpha would round to 1 for few clusters.
    high = 1.0 if x == n else 1 - float(betaincinv(n - x, x + 1, alpha))
    return Interval(low, high)


def newcombe(
    x: float, n: float, x_rest: float, n_rest: float, *, level: float = 0.95,
    df: float | None = None,
) -> Interval:  # fmt: skip
    """Hybrid score interval of ``x / n - x_rest / n_rest``.

    Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
    method 10 (no continuity correction).

    Examples
    --------
    >>> i = newcombe(56, 70, 48, 80)
    >>> round(i.low, 4), round(i.high, 4)
    (0.0524, 0.3339)
    """
    return _newcombe(x, n, x_rest, n_rest, z=two_sided_critical(level, df=df))


def miettinen_nurminen_ratio(
    x: float, n: float, x_rest: float, n_rest: float, *, level: float = 0.95,
    df: float | None = None,
) -> Interval:  # fmt: skip
    """Score interval of ``(x / n) / (x_rest / n_rest)``; sources as for `ratio_score`.

    From 0 where `x` is 0, to infinity where `x_rest` is 0.
    """
    z = two_sided_critical(level, df=df)

    def score(log_limit: float) -> float:
        return ratio_score(x, n, x_rest, n_rest, limit=math.exp(log_limit), skewed=False)

    low = 0.0 if x == 0 else ratio_end(score, target=z)
    high = math.inf if x_rest == 0 else ratio_end(score, target=-z)
    return Interval(low, high)


def ratio_end(score: Callable[[float], float], *, target: float) -> float:
    """The ratio at which a score of the *logarithm* of a limit crosses `target`.

    0 or infinity where that is beyond measure.
    """
    at = crossing(score, target=target, low=-_LOG_RATIO_END, high=_LOG_RATIO_END)
    if abs(at) > _LOG_RATIO_END - 1e-6:
        return 0.0 if at < 0 else math.inf
    return math.exp(at)


def tango(
    gained: float, lost: float, n: float, *, level: float = 0.95, df: float | None = None
) -> Interval:
    """Score interval of the paired difference ``(gained - lost) / n``; source: `paired_score`.

    Has a width also when nothing was gained and nothing lost.
    """

    def score(limit: float) -> float:
        return paired_score(gained, lost, n, limit=limit, skewed=False)

    return _inverted(
        score, (gained - lost) / n, z=two_sided_critical(level, df=df), low=-1.0, high=1.0
    )


def order_statistic_interval(
    n: int, *, quantile: float, level: float = 0.95
) -> OrderStatistics | None:
    """Which of `n` sorted observations bound a quantile, whatever the distribution.

    Thompson (1936), doi:10.1214/aoms/1177732502: equal tails, each at most ``(1 - level) / 2``.
    None when `n` is too small for both ends to exist.
    """
    if not 0 < quantile < 1 or n < 1:
        raise ValueError(
            f"order statistics: found n={n}, quantile={quantile}, expected n from 1 and a "
            "quantile between 0 and 1"
        )
    alpha = (1 - level) / 2
    # With B of the n observations at or below the quantile: low fails if B <= low, high if
    # B > high.
    low = _last(lambda i: float(bdtr(i, n, quantile)) <= alpha, n)
    high = _last(lambda i: float(bdtrc(i, n, quantile)) > alpha, n) + 1
    if low < 0 or high > n - 1:
        return None
    return OrderStatistics(low, high)


def _last(holds: Callable[[int], bool], n: int) -> int:
    """The last index below `n` at which a condition that only turns false holds; -1 if none."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _wilson(x: float, n: float, *, z: float) -> Interval:
    p = x / n
    shrink = 1 + z * z / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At 0 and 1 the end is exact; left to rounding it would fall a little inside.
    low = 0.0 if x == 0 else (centre - half) / shrink
    high = 1.0 if x == n else (centre + half) / shrink
    return Interval(min(low, p), max(high, p))


def _newcombe(x: float, n: float, x_rest: float, n_rest: float, *, z: float) -> Interval:
    p, p_rest = x / n, x_rest / n_rest
    group, rest = _wilson(x, n, z=z), _wilson(x_rest, n_rest, z=z)
    return Interval(
        p - p_rest - math.hypot(p - group.low, rest.high - p_rest),
        p - p_rest + math.hypot(group.high - p, p_rest - rest.low),
    )


def _inverted(
    score: Callable[[float], float], value: float, *, z: float, low: float, high: float
) -> Interval:
    return Interval(
        crossing(score, target=z, low=low, high=value),
        crossing(score, target=-z, low=value, high=high),
    )
