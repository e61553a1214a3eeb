"""Score statistics against a limit, and the quantiles they are compared with.

A score statistic is (estimate - limit) over its standard error *if the limit were true*; it is
approximately standard normal, also where the estimate sits at 0 or 1 and a Wald statistic
would claim certainty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from scipy.special import ndtr, ndtri, stdtr, stdtrit

Direction = Literal["above", "below"]


class Moments(NamedTuple):
    """How far an estimate is above a limit, and what its sampling moments are at that limit."""

    excess: float
    variance: float
    third: float

    def score(self, *, skewed: bool) -> float:
        """The score statistic; with `skewed`, corrected for skewness."""
        return _corrected(self.excess, self.variance, self.third if skewed else 0.0)


def critical(confidence: float, *, df: float | None = None) -> float:
    """The quantile at `confidence`, in (0, 1), of the normal or, with `df`, the t distribution."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: found {confidence}, expected a number between 0 and 1")
    return float(ndtri(confidence) if df is None else stdtrit(df, confidence))


def two_sided_critical(level: float, *, df: float | None = None) -> float:
    """The quantile z for which an interval of +-z holds `level`, in (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level: found {level}, expected a number between 0 and 1")
    return critical((1 + level) / 2, df=df)


def tail(z: float, *, exceeds: Direction, df: float | None = None) -> float:
    """One-sided p-value of a statistic that is large when the truth is above the limit."""
    signed = -z if exceeds == "above" else z
    return float(ndtr(signed) if df is None else stdtr(df, signed))


def on_t_scale(p: float, *, df: float | None) -> float:
    """An exact normal-theory p-value as a t distribution with `df` would have it.

    The p-value is turned into the z with the same tail and looked up under t, which is the
    p-value's counterpart of using t quantiles in place of z.
    """
    return p if df is None else float(stdtr(df, ndtri(p)))


def difference_score(
    x: float, n: float, x_rest: float, n_rest: float, *, limit: float, skewed: bool = True
) -> float:
    """Score statistic of ``x / n - x_rest / n_rest`` against `limit`, in (-1, 1).

    Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211, the variance at the restricted
    maximum likelihood estimate; with `skewed`, corrected for skewness as in Gart & Nam (1990),
    doi:10.2307/2531449, and Laud (2017), doi:10.1002/pst.1813, without which one-sided errors
    are uneven when groups differ in size.
    """
    return difference_moments(x, n, x_rest, n_rest, limit=limit).score(skewed=skewed)


def difference_moments(
    x: float, n: float, x_rest: float, n_rest: float, *, limit: float
) -> Moments:
    """What `difference_score` is made of."""
    p_rest = _restricted_rest_of_difference(x, n, x_rest, n_rest, limit)
    p = min(max(p_rest + limit, 0.0), 1.0)
    variance = p * (1 - p) / n + p_rest * (1 - p_rest) / n_rest
    third = _third_moment(p, n) - _third_moment(p_rest, n_rest)
    return _of_two(x / n - x_rest / n_rest - limit, variance, third, n + n_rest)


def ratio_score(
    x: float, n: float, x_rest: float, n_rest: float, *, limit: float, skewed: bool = True
) -> float:
    """Score statistic of ``(x / n) / (x_rest / n_rest)`` against `limit`, above 0.

    Sources as for `difference_score`.
    """
    return ratio_moments(x, n, x_rest, n_rest, limit=limit).score(skewed=skewed)


def ratio_moments(x: float, n: float, x_rest: float, n_rest: float, *, limit: float) -> Moments:
    """What `ratio_score` is made of."""
    a = (n + n_rest) * limit
    b = n * limit + x + n_rest + x_rest * limit
    c = x + x_rest
    # The smaller root, written so that it does not cancel when a is small.
    p_rest = 2 * c / (b + math.sqrt(max(b * b - 4 * a * c, 0.0)))
    p_rest = min(p_rest, 1.0, 1 / limit)
    p = min(p_rest * limit, 1.0)
    variance = p * (1 - p) / n + limit**2 * p_rest * (1 - p_rest) / n_rest
    third = _third_moment(p, n) - limit**3 * _third_moment(p_rest, n_rest)
    return _of_two(x / n - limit * x_rest / n_rest, variance, third, n + n_rest)


def paired_score(
    gained: float, lost: float, n: float, *, limit: float, skewed: bool = True
) -> float:
    """Score statistic of ``(gained - lost) / n`` against `limit`, in (-1, 1).

    Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B; with
    `skewed`, corrected for skewness in the same way as `difference_score`.
    """
    return paired_moments(gained, lost, n, limit=limit).score(skewed=skewed)


def paired_moments(gained: float, lost: float, n: float, *, limit: float) -> Moments:
    """What `paired_score` is made of."""
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * limit
    c = -lost * limit * (1 - limit)
    p_lost = max((math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a), 0.0, -limit)
    p_gained = p_lost + limit
    variance = (p_gained + p_lost - limit**2) / n
    third = (
        p_gained * (1 - limit) ** 3 - p_lost * (1 + limit) ** 3 - (1 - p_gained - p_lost) * limit**3
    ) / n**2
    return Moments((gained - lost) / n - limit, variance, third)


def rate_score(x: float, n: float, *, limit: float) -> float:
    """Score statistic of ``x / n`` against `limit`, in (0, 1); Wilson's interval inverts it."""
    return _ratio_or_sign(x / n - limit, limit * (1 - limit) / n)


def crossing(
    statistic: Callable[[float], float], *, target: float, low: float, high: float
) -> float:
    """Where a falling `statistic` crosses `target` between `low` and `high`, by bisection.

    The nearer end where it does not cross. Sixty halvings reach double precision.
    """
    for _ in range(60):
        middle = (low + high) / 2
        # No number lies between neighbours, and further halvings stay with this one.
        if middle in (low, high):
            return middle
        if statistic(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _restricted_rest_of_difference(
    x: float, n: float, x_rest: float, n_rest: float, limit: float
) -> float:
    """The rest's proportion that is most likely if the difference were `limit`: a cubic's root."""
    total, successes = n + n_rest, x + x_rest
    l2 = ((n + 2 * n_rest) * limit - total - successes) / (3 * total)
    l1 = ((n_rest * limit - total - 2 * x_rest) * limit + successes) / (3 * total)
    l0 = x_rest * limit * (1 - limit) / (2 * total)
    q = l2**3 - 1.5 * l1 * l2 + l0
    p = math.copysign(math.sqrt(max(l2 * l2 - l1, 0.0)), q)
    cosine = min(max(q / p**3, -1.0), 1.0) if p**3 else 1.0
    root = 2 * p * math.cos((math.pi + math.acos(cosine)) / 3) - l2
    return min(max(root, 0.0, -limit), 1.0, 1 - limit)


def _third_moment(p: float, n: float) -> float:
    return p * (1 - p) * (1 - 2 * p) / n**2


def _of_two(excess: float, variance: float, third: float, total: float) -> Moments:
    # Miettinen and Nurminen's correction for the one proportion that is estimated.
    return Moments(excess, variance * total / max(total - 1, 1.0), third)


def _corrected(excess: float, variance: float, third: float) -> float:
    z = _ratio_or_sign(excess, variance)
    # A variance this small is a rounding of none, and its third power would vanish.
    if third == 0 or variance < 1e-100:
        return z
    skew = third / (6 * variance * math.sqrt(variance))
    inside = 1 + 4 * skew * (z + skew)
    # Beyond its range the correction has no real root; the uncorrected statistic stands.
    if abs(skew) < 1e-10 or inside < 0:
        return z
    return (math.sqrt(inside) - 1) / (2 * skew)


def _ratio_or_sign(excess: float, variance: float) -> float:
    if variance > 1e-300:
        return excess / math.sqrt(variance)
    return 0.0 if abs(excess) < 1e-12 else math.copysign(math.inf, excess)
