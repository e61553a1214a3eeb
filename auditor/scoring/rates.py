"""One rate over images as a measure, with its interval in words and its worst examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.findings import Better, Cell, Measure, Subject, Unmeasured
from auditor.scoring.comparison import (
    MIN_UNITS,
    count_units,
    percent,
    rate_details,
    too_few,
    worst_first,
)
from auditor.scoring.outcomes import Outcomes
from auditor.stats import Rate, interval, rate, value


def rate_measure(
    name: str,
    *,
    subject: Subject,
    outcomes: Outcomes,
    success: np.ndarray,
    better: Better,
    of: str,
    said: str,
    details: Mapping[str, Any] | None = None,
) -> Measure | Unmeasured:
    """The share of `outcomes` for which `success` (n,) holds.

    `of` says which images these are ("test images of class serious"), `said` begins the
    sentence ("serious missed"). Examples are the most confident answers among the images that
    harm the rate. With fewer than ten units there is a reason in place of a measure.
    """
    few = too_few_of(name, subject, outcomes, of=of)
    if few is not None:
        return few
    estimate = rate(success, unit=outcomes.units)
    harmful = ~success if better == "higher" else success
    return Measure(
        name=name,
        subject=subject,
        estimate=estimate,
        unit="share",
        better=better,
        n=len(outcomes),
        n_units=n_units(outcomes),
        examples=worst_first(outcomes.image_ids, badness=outcomes.confidence, among=harmful),
        details={
            "rate": rate_details(estimate, n=len(outcomes)),
            "sentence": f"{said}: {count_text(int(success.sum()), len(outcomes), estimate)}.",
            **(details or {}),
        },
    )


def too_few_of(name: str, subject: Subject, outcomes: Outcomes, *, of: str) -> Unmeasured | None:
    """Why there is no measure where `outcomes` have fewer than ten units; else None.

    Units are images where the manifest names no unit; `of` says which images these are.
    """
    noun = "images" if outcomes.units is None else "units"
    return too_few(name, subject, sides={of: independent(outcomes)}, noun=noun)


def independent(outcomes: Outcomes) -> int:
    """How many units the images are of; images where the manifest names no unit."""
    return count_units(np.ones(len(outcomes), dtype=bool), outcomes.units)


def n_units(outcomes: Outcomes) -> int | None:
    """How many units the images are of; None where the manifest names no unit."""
    return None if outcomes.units is None else independent(outcomes)


def least_standard_error(units: int) -> float:
    """The standard error of a share of one in so many units.

    For means over units that all came out alike, whose own standard error would be 0 and claim
    that no unit is otherwise.
    """
    return math.sqrt((1 - 1 / units) / units**2)


def rate_cells(success: np.ndarray, *, unit: np.ndarray | None = None) -> tuple[Cell, ...]:
    """A rate and the ends of its interval for a table; three None with fewer than ten units."""
    if count_units(np.ones(len(success), dtype=bool), unit) < MIN_UNITS:
        return (None, None, None)
    found = rate(success, unit=unit)
    ends = interval(found)
    return (value(found), ends.low, ends.high)


def count_text(x: int, n: int, estimate: Rate) -> str:
    """Counts of images and the rate that they make.

    Examples
    --------
    >>> count_text(22, 80, Rate(22, 80))
    '22 of 80 = 28% [19, 38]'
    """
    ends = interval(estimate)
    shown = f"{percent(value(estimate))}% [{percent(ends.low)}, {percent(ends.high)}]"
    return f"{x:,} of {n:,} = {shown}"
