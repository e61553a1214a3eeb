"""A group's gap among images alike in another respect: what stays of it, and how to say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from auditor.bias.groups import Contrast
from auditor.findings import Cell, Column, Measure, Result, Table
from auditor.scoring.comparison import MIN_UNITS, count_units, points
from auditor.stats import (
    Adjusted,
    Estimate,
    Interval,
    Normal,
    RateRatio,
    comparable,
    interval,
    p_value,
    stratified_difference,
    stratified_mean_difference,
    stratified_ratio,
)

Reading = Literal[
    "remains", "explained", "reversed", "open", "hidden", "not shown", "not comparable"
]
Words = Callable[[float, Interval], str]

ALPHA = 0.05
LEAST_SHARE = 0.5
"""Of a group's images, at least so many must have like ones among the others."""


@dataclass(frozen=True)
class Adjustment:
    """A gap adjusted for each other condition: entries for ``details``, a clause for a sentence.

    `entries` hold ``for``, ``value``, ``low``, ``high`` (None where there is nothing alike to
    compare), ``reading`` and ``sentence``. `clause` begins with a space, or is empty where
    nothing more is to be said.
    """

    entries: tuple[Mapping[str, Any], ...]
    clause: str


@dataclass(frozen=True)
class _Controlled:
    """A gap among images of the same `name`; `found` is None where they are too few."""

    name: str
    found: Adjusted | None
    reading: Reading
    said: str


def adjusted_difference(contrast: Contrast, success: np.ndarray, *, gap: Estimate) -> Adjustment:
    """A difference of rates (n,) 0 or 1, adjusted; `gap` is the one over all images."""
    return _adjustment(
        contrast, success, gap=gap, compare=stratified_difference, words=points_words
    )


def adjusted_mean_difference(
    contrast: Contrast, values: np.ndarray, *, gap: Estimate, words: Words | None = None
) -> Adjustment:
    """Likewise a difference of means of numbers (n,), said in `words`, else as a bare amount."""
    return _adjustment(
        contrast,
        values,
        gap=gap,
        compare=stratified_mean_difference,
        words=words or amount_words,
    )


def adjusted_ratio(contrast: Contrast, success: np.ndarray, *, gap: Estimate) -> Adjustment:
    """Likewise a ratio of rates."""
    return _adjustment(contrast, success, gap=gap, compare=stratified_ratio, words=_times_words)


def adjusted_table(check: str, results: Sequence[Result]) -> Iterator[Table]:
    """One table of every adjusted gap of a check's measures; none where there is no such gap."""
    rows: list[tuple[Cell, ...]] = []
    for measure in (r for r in results if isinstance(r, Measure)):
        about = ", ".join(f"{key}={said}" for key, said in measure.subject.keys)
        rows += [
            (measure.name, about, e["for"], e["value"], e["low"], e["high"], e["reading"])
            for e in measure.details.get("adjusted", ())
        ]
    names = ("measure", "about", "adjusted for", "value", "low", "high", "reading")
    if rows:
        columns = tuple(Column(name) for name in names)
        yield Table(
            f"{check}:adjusted", "Gaps among images of the same condition", columns, tuple(rows)
        )


def amount_words(value: float, ends: Interval) -> str:
    """A difference of means in words, such as ``0.12 higher [0.03, 0.21]``."""
    if value > 0:
        return f"{value:.2f} higher [{ends.low:.2f}, {ends.high:.2f}]"
    return f"{-value:.2f} lower [{-ends.high:.2f}, {-ends.low:.2f}]"


def points_words(value: float, ends: Interval) -> str:
    """Likewise of shares, such as ``12 points higher [3, 21]``."""
    if value > 0:
        return f"{points(value)} points higher [{points(ends.low)}, {points(ends.high)}]"
    return f"{points(-value)} points lower [{points(-ends.high)}, {points(-ends.low)}]"


def _times_words(value: float, ends: Interval) -> str:
    return f"{value:.1f} times as often [{ends.low:.1f}, {ends.high:.1f}]"


def _adjustment(
    contrast: Contrast,
    values: np.ndarray,
    *,
    gap: Estimate,
    compare: Callable[..., Adjusted | None],
    words: Words,
) -> Adjustment:
    tested = len(contrast.controls)
    neutral = 1.0 if isinstance(gap, RateRatio) else 0.0
    shown = _sign(interval(gap), neutral=neutral)
    controlled = []
    for name, codes in contrast.controls.items():
        found = _compared(contrast, values, codes, compare=compare)
        reading = reading_of(found, shown=shown, neutral=neutral, tested=tested)
        said = "" if found is None else words(found.value, found.interval)
        controlled.append(_Controlled(name, found, reading, said))
    return Adjustment(tuple(_entry(c) for c in controlled), _clause(controlled, shown=shown != 0))


def _compared(
    contrast: Contrast,
    values: np.ndarray,
    codes: np.ndarray,
    *,
    compare: Callable[..., Adjusted | None],
) -> Adjusted | None:
    """The gap among images with the same code, None where too few have like ones."""
    known = codes >= 0
    inside, unit = contrast.inside, contrast.unit
    if not known.all():
        inside, values, codes = inside[known], values[known], codes[known]
        unit = None if unit is None else unit[known]
    alike = comparable(inside, stratum=codes)
    own, rest = alike & inside, alike & ~inside
    if min(count_units(own, unit), count_units(rest, unit)) < MIN_UNITS:
        return None
    if own.sum() < LEAST_SHARE * inside.sum():
        return None
    return compare(values, member=inside, stratum=codes, unit=unit)


def reading_of(found: Adjusted | None, *, shown: int, neutral: float, tested: int) -> Reading:
    """What comparing like with like does to a gap that is `shown` (its sign; 0 if not shown).

    That a condition explains or hides a gap is itself shown: the change must differ from
    nothing at 5% over all the conditions tried, and an explained gap must lose half or more.
    """
    if found is None:
        return "not comparable"
    stays = _sign(found.interval, neutral=neutral)
    after, change = found.estimate.value, found.change.value
    if shown == 0:
        hidden = stays != 0 and _is_shown(found.estimate, stays, ALPHA / (2 * tested))
        return (
            "hidden" if hidden and _is_shown(found.change, -stays, ALPHA / tested) else "not shown"
        )
    if stays == shown:
        return "remains"
    if not _is_shown(found.change, shown, ALPHA / tested):
        return "open"
    if stays == -shown:
        return "reversed"
    return "explained" if shown * after <= abs(after + change) / 2 else "open"


def _is_shown(estimate: Normal, sign: int, alpha: float) -> bool:
    exceeds: Literal["above", "below"] = "above" if sign > 0 else "below"
    return p_value(estimate, limit=0.0, exceeds=exceeds) <= alpha


def _sign(ends: Interval, *, neutral: float) -> int:
    return int(ends.low > neutral) - int(ends.high < neutral)


def _entry(controlled: _Controlled) -> dict[str, Any]:
    found, name = controlled.found, controlled.name
    if found is None:
        sentence = f"Too little to compare among images of the same {name}."
    else:
        sentence = (
            f"Among images of the same {name}: {controlled.said}, from {found.n:,} images and "
            f"{found.n_rest:,} others."
        )
    return {
        "for": name,
        "value": None if found is None else found.value,
        "low": None if found is None else found.interval.low,
        "high": None if found is None else found.interval.high,
        "reading": controlled.reading,
        "sentence": sentence,
    }


_TURNS = {
    "explained": "Explained by",
    "reversed": "Turned round by",
    "hidden": "A gap is hidden by",
}


def _clause(controlled: Sequence[_Controlled], *, shown: bool) -> str:
    """What a reader of the gap must know besides; empty where no gap is shown, or hidden."""
    turned = [c for c in controlled if c.reading in _TURNS]
    if turned:
        most = max(turned, key=_moved)
        what = _TURNS[most.reading]
        return f" {what} {most.name}: {most.said} among images of the same {most.name}."
    if not shown or not controlled:
        return ""
    remains = [c for c in controlled if c.reading == "remains"]
    unsure = [c for c in controlled if c.reading in ("open", "not comparable")]
    parts = []
    if remains:
        number = f" ({remains[0].said})" if len(remains) == 1 else ""
        parts.append(f"It stays so among images of the same {_either(remains)}{number}")
    if unsure:
        told = f"whether {_either(unsure)} explains it cannot be told"
        parts.append(told if parts else f"W{told[1:]}")
    return f" {'; '.join(parts)}."


def _moved(controlled: _Controlled) -> float:
    return 0.0 if controlled.found is None else abs(controlled.found.change.value)


def _either(controlled: Sequence[_Controlled]) -> str:
    names = [c.name for c in controlled]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
