"""Whether two estimates from independent samples differ by more than chance."""

from __future__ import annotations

import math
from collections.abc import Callable

from auditor.stats.estimates import Draws, Estimate, Rate, RateDifference
from auditor.stats.inference import interval, p_value, value
from auditor.stats.scores import Direction, two_sided_critical

_LOOSEST = 0.95
_TIGHTEST = 1 - 1e-9
_RESOLVED = 0.99
"""Level up to which draws tell their own ends; beyond, these are stretched as a normal's are."""


def difference_p(before: Estimate, after: Estimate, *, ratio: bool = False) -> float:
    """Two-sided p-value of "the truth behind both estimates is one".

    Of two shares by the score test of their difference (mid-p of Fisher's with whole counts).
    Of others by inverting the interval of the difference that is made of the intervals of both
    (Zou & Donner 2008, doi:10.1002/sim.3095; on the scale of logarithms where `ratio`), so that
    each keeps its own exact law; what that leaves at 95% has the p-value 1, for nothing finer is
    asked of it. An estimate without a width, or a ratio to nothing, is never shown to differ: 1.
    """
    if isinstance(before, Rate) and isinstance(after, Rate):
        return _of_rates(before, after)
    a, b = _scaled(value(before), ratio=ratio), _scaled(value(after), ratio=ratio)
    if a is None or b is None or a == b:
        return 1.0

    def apart(level: float) -> bool:
        return _is_apart(before, after, level=level, ratio=ratio)

    return _last_level(apart)


def _of_rates(before: Rate, after: Rate) -> float:
    given = [df for df in (before.df, after.df) if df is not None]
    both = RateDifference(after.x, after.n, before.x, before.n, min(given) if given else None)
    sides: tuple[Direction, Direction] = ("above", "below")
    return min(1.0, 2 * min(p_value(both, limit=0, exceeds=side) for side in sides))


def _last_level(apart: Callable[[float], bool]) -> float:
    """One minus the highest level at which the two are still apart; 1 where not at 95%."""
    if not apart(_LOOSEST):
        return 1.0
    # On the scale of the logarithm of what is left out, where such levels lie evenly.
    high, low = math.log(1 - _LOOSEST), math.log(1 - _TIGHTEST)
    for _ in range(30):
        middle = (high + low) / 2
        high, low = (middle, low) if apart(1 - math.exp(middle)) else (high, middle)
    return math.exp(high)


def _is_apart(before: Estimate, after: Estimate, *, level: float, ratio: bool) -> bool:
    """Whether the interval of the difference at `level` leaves out 0."""
    a, b = _scaled(value(before), ratio=ratio), _scaled(value(after), ratio=ratio)
    ends = [_ends(each, level=level, ratio=ratio) for each in (before, after)]
    if a is None or b is None or any(low == high for low, high in ends):
        return False
    (low_a, high_a), (low_b, high_b) = ends
    if b > a:
        return b - a > math.hypot(b - low_b, high_a - a)
    return a - b > math.hypot(a - low_a, high_b - b)


def _ends(estimate: Estimate, *, level: float, ratio: bool) -> tuple[float, float]:
    kept = min(level, _RESOLVED) if isinstance(estimate, Draws) else level
    found, stretched = interval(estimate, level=kept), 1.0
    if kept < level:
        stretched = two_sided_critical(level) / two_sided_critical(kept)
    centre = value(estimate)
    low, high = (
        _scaled(centre + stretched * (end - centre), ratio=ratio) for end in (found.low, found.high)
    )
    return (-math.inf if low is None else low, math.inf if high is None else high)


def _scaled(number: float, *, ratio: bool) -> float | None:
    """A number on the scale on which differences are taken; None where it has no place there."""
    if not ratio:
        return number if math.isfinite(number) else None
    return math.log(number) if 0 < number < math.inf else None
