"""What would decide a finding, and what a sample of its size could have shown."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

from auditor.findings import Measure, Needed, RowKind
from auditor.judging.policy import Bound, Exceeds, Limit
from auditor.stats import (
    Estimate,
    RateDifference,
    RateRatio,
    smallest_excess,
    times_needed,
    value,
)
from auditor.stats.inference import Side

MIN_UNITS = 10
"""Fewer units than this are not judged."""


def good_side(limit: Bound) -> Side:
    """The side of the one-sided bound that must be inside the limit for a PASS."""
    return "low" if limit.exceeds == "below" else "high"


def counted(measure: Measure) -> Literal["units", "images", "objects", "answers", "timed runs"]:
    """What more of would decide a measure."""
    if measure.volatile:
        return "timed runs"
    nouns: dict[RowKind, Literal["images", "objects", "answers"]] = {
        "image": "images",
        "object": "objects",
        "answer": "answers",
    }
    return nouns[measure.of] if measure.n_units is None else "units"


def size(measure: Measure) -> int:
    """Independent units that a measure rests on; images where units do not apply."""
    return measure.n if measure.n_units is None else measure.n_units


def what_would_decide(limit: Limit, measure: Measure, *, compared: int) -> Needed:
    """How many more units (images, runs) would decide a limit, if the truth is as observed."""
    times = _times_needed(limit, measure, compared=compared)
    have = size(measure)
    return Needed(
        more=None if math.isinf(times) else math.ceil(have * times) - have,
        counted=counted(measure),
        of_all=measure.of_all,
        both_sides=isinstance(measure.estimate, RateDifference | RateRatio),
    )


def could_show(limit: Limit, measure: Measure) -> float | None:
    """The value from which on a sample of this size would have shown an excess; None for none."""
    shown = _shown_from(measure.estimate, limit.value, limit.exceeds)
    floor = limit.floor(measure)
    if floor is None or shown is None:
        return shown
    apart = _shown_from(floor.difference, floor.at, limit.exceeds)
    if apart is None or floor.rest + apart <= 0:
        return None
    further = max if limit.exceeds == "above" else min
    return further(shown, (floor.rest + apart) / floor.rest)


def _shown_from(estimate: Estimate, limit: float, exceeds: Exceeds) -> float | None:
    excess = smallest_excess(estimate, limit=limit, exceeds=exceeds)
    if math.isinf(excess):
        return None
    return limit + (excess if exceeds == "above" else -excess)


def _times_needed(limit: Limit, measure: Measure, *, compared: int) -> float:
    """With a floor: for a FAIL both ratio and difference are needed, for a PASS either will do."""
    needed = partial(times_needed, exceeds=limit.exceeds, comparisons=compared)
    times = needed(measure.estimate, limit=limit.value)
    floor = limit.floor(measure)
    if floor is None:
        return times
    apart = needed(floor.difference, limit=floor.at)
    within = [times] if limit.is_met_by(value(measure.estimate)) else []
    within += [apart] if floor.is_met_by(value(floor.difference)) else []
    return min(within, default=max(times, apart))
