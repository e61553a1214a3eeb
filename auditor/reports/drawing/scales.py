"""From values to places in a picture, and round values to mark on an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_ROUND = (1, 2, 2.5, 5, 10)
_ON_LOG = (1, 10, 0.1, 2, 0.5, 5, 0.2, 100, 0.01, 20, 0.05, 50, 0.02, 1000, 0.001)
"""What a logarithmic axis marks where there is room, the most telling first."""


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on the way from `start` to `end` (points).

    Of `whole` values nothing between them is marked.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def at(self, value: float) -> float:
        """The place of a value; one beyond the ends has its place beyond them."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def within(self, value: float) -> float:
        """The value, or the end that lies nearest to it."""
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Tick:
    value: float
    text: str


def spread(values: Iterable[float], *, room: float = 0.05) -> tuple[float, float]:
    """The ends of values with some room beside them; (0, 1) where there are none."""
    known = list(values)
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    beside = room * (high - low) if high > low else 0.1 * abs(high) or 0.5
    return low - beside, high + beside


def ticks(scale: Scale, width_of: Callable[[str], float], *, gap: float = 7.0) -> list[Tick]:
    """As many round values as can stand beside each other; `width_of` measures what is written."""
    if scale.log:
        return _log_ticks(scale, width_of, gap)
    for most in range(9, 0, -1):
        found = _round_values(scale, most)
        if len(found) <= most + 1 and _apart(found, scale, width_of, gap):
            return found
    return found[:1]


def _round_values(scale: Scale, most: int) -> list[Tick]:
    least = max((scale.high - scale.low) / most, 1.0 if scale.whole else 0.0)
    power = 10.0 ** math.floor(math.log10(least))
    fit = [m for m in _ROUND if not (scale.whole and m * power % 1)]
    times = next(m for m in fit if m * power >= least * (1 - 1e-9))
    step = times * power
    decimals = max(-math.floor(math.log10(step) + 1e-9), 0) + (times == 2.5 and power < 10)
    first, last = math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9)
    return [Tick(i * step, _written(i * step, decimals)) for i in range(first, last + 1)]


def _written(value: float, decimals: int) -> str:
    text = f"{value:.3g}" if decimals > 6 or abs(value) >= 1e9 else f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def _log_ticks(scale: Scale, width_of: Callable[[str], float], gap: float) -> list[Tick]:
    found: list[Tick] = []
    for value in _ON_LOG:
        if scale.low <= value <= scale.high:
            more = sorted([*found, Tick(value, f"{value:g}")], key=lambda tick: tick.value)
            found = more if _apart(more, scale, width_of, gap) else found
    return found


def _apart(
    found: Sequence[Tick], scale: Scale, width_of: Callable[[str], float], gap: float
) -> bool:
    """Whether no two neighbours touch."""
    places = [scale.at(tick.value) for tick in found]
    widths = [width_of(tick.text) for tick in found]
    return all(
        abs(places[i + 1] - places[i]) >= (widths[i] + widths[i + 1]) / 2 + gap
        for i in range(len(found) - 1)
    )
