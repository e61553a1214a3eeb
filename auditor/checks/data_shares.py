"""Shares of images, as the data checks count them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.data.dataset import Dataset
from auditor.findings import Measure, Subject, Unmeasured
from auditor.stats import rate

LEAST = 10
"""Fewest images, rows or units that a share is counted over."""

EXAMPLES = 12

SEEN = ("test images seen in training", "test again on images that it has not seen")
TWO_LABELS = ("images with two labels", "find out which label is right, and test again")
"""What a list calls such images, and what to do about them, whichever check counts them."""


def image_share(
    name: str,
    mask: np.ndarray,
    *,
    dataset: Dataset,
    subject: Subject,
    searched: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> Measure | Unmeasured:
    """The share of a dataset's images under `mask`, by unit where it names units.

    Its fact `count` is how many they are. Fewer than `LEAST` images or units give no share.
    """
    units = dataset.units
    n = len(mask) if units is None else len(set(units))
    if n < LEAST:
        return too_few(name, subject, n=n, what="images" if units is None else "units")
    return Measure(
        name=name,
        subject=subject,
        estimate=rate(mask, unit=units),
        scale="share",
        better="lower",
        n=len(mask),
        n_units=None if units is None else n,
        examples=tuple(str(i) for i in dataset.image_ids.take(mask)[:EXAMPLES]),
        ranked=False,
        searched=searched,
        facts={"count": int(mask.sum()), **(facts or {})},
    )


def too_few(name: str, subject: Subject, *, n: int, what: str) -> Unmeasured:
    """The reason why there is no share of so few."""
    return Unmeasured(
        name,
        subject,
        reason=f"There are {n} {subject.split} {what} to count; a share needs {LEAST}.",
        remedy=f"Add {what} to the {subject.split} data.",
    )
