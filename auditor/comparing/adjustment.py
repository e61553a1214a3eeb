"""A group's gap among rows alike in another respect, and what stays of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np

from auditor.comparing.groups import Contrast
from auditor.findings import Alike, Cell, Column, Measure, Reading, Result, Table
from auditor.scoring.comparison import has_few_units
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

ALPHA = 0.05
LEAST_SHARE = 0.5
"""Of a group's rows, at least so many must have like ones among the others."""


def adjusted_difference(
    contrast: Contrast, success: np.ndarray, *, gap: Estimate
) -> tuple[Alike, ...]:
    """A difference of rates (n,) 0 or 1, adjusted; `gap` is the one over all rows."""
    return _adjusted(contrast, success, gap=gap, compare=stratified_difference)


def adjusted_mean_difference(
    contrast: Contrast,
    values: np.ndarray,
    *,
    gap: Estimate,
    span: tuple[float, float] | None = None,
) -> tuple[Alike, ...]:
    """A difference of means of numbers (n,), adjusted; `span` as in `auditor.stats.mean`."""
    compare = partial(stratified_mean_difference, span=span)
    return _adjusted(contrast, values, gap=gap, compare=compare)


def adjusted_ratio(contrast: Contrast, success: np.ndarray, *, gap: Estimate) -> tuple[Alike, ...]:
    """A ratio of rates, adjusted."""
    return _adjusted(contrast, success, gap=gap, compare=stratified_ratio)


def adjusted_table(check: str, results: Sequence[Result]) -> Iterator[Table]:
    """One table of every adjusted gap of a check's measures; none where there is no such gap.

    Readings of a comparison on another scale have no line.
    """
    rows: list[tuple[Cell, ...]] = []
    for measure in (r for r in results if isinstance(r, Measure)):
        about = ", ".join(f"{key}={said}" for key, said in measure.subject.keys)
        rows += [
            (measure.name, measure.subject.split, about, a.condition, a.value, a.low, a.high,
             a.reading)
            for a in measure.adjusted
            if a.value is not None or a.reading == "not comparable"
        ]  # fmt: skip
    names = ("measure", "data", "about", "adjusted for", "value", "low", "high", "reading")
    if rows:
        columns = tuple(Column(name) for name in names)
        yield Table(
            f"{check}:adjusted", "Gaps among images of the same condition", columns, tuple(rows)
        )


def _adjusted(
    contrast: Contrast,
    values: np.ndarray,
    *,
    gap: Estimate,
    compare: Callable[..., Adjusted | None],
) -> tuple[Alike, ...]:
    tested = len(contrast.controls)
    neutral = 1.0 if isinstance(gap, RateRatio) else 0.0
    shown = _sign(interval(gap), neutral=neutral)
    alike = []
    for name, codes in contrast.controls.items():
        found = _compared(contrast, values, codes, compare=compare)
        reading = reading_of(found, shown=shown, neutral=neutral, tested=tested)
        alike.append(_alike(name, found, reading))
    return tuple(alike)


def _alike(name: str, found: Adjusted | None, reading: Reading) -> Alike:
    if found is None:
        return Alike(name, reading)
    low, high = found.interval.low, found.interval.high
    return Alike(name, reading, found.value, low, high, found.n, found.n_rest)


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
    if any(has_few_units(alike & side, unit) for side in (inside, ~inside)):
        return None
    if np.count_nonzero(alike & inside) < LEAST_SHARE * np.count_nonzero(inside):
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
