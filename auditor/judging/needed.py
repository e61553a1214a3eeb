"""What would decide a finding, and what a sample of its size could have shown."""

from __future__ import annotations

import math
from typing import Literal

from auditor.findings import Measure, Needed, RowKind
from auditor.judging.policy import Bound, Limit
from auditor.stats import RateDifference, RateRatio, smallest_excess, times_needed
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
    times = times_needed(
        measure.estimate, limit=limit.value, exceeds=limit.exceeds, comparisons=compared
    )
    have = size(measure)
    return Needed(
        more=None if math.isinf(times) else math.ceil(have * times) - have,
        counted=counted(measure),
        of_all=measure.of_all,
        both_sides=isinstance(measure.estimate, RateDifference | RateRatio),
    )


def could_show(limit: Limit, measure: Measure) -> float | None:
    """The value from which on a sample of this size would have shown an excess; None for none."""
    excess = smallest_excess(measure.estimate, limit=limit.value, exceeds=limit.exceeds)
    if math.isinf(excess):
        return None
    return limit.value + (excess if limit.exceeds == "above" else -excess)
