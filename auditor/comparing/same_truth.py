"""Images of which the same is true: the classes that are told, and strata of equal truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.scoring.presence import OneHot
from auditor.scoring.rows import Rows

MOST_PATTERN = 20
"""Classes whose presence makes strata of images of several classes; rarer ones are passed over."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def told_classes(rows: Rows, *, most: int) -> tuple[str, ...]:
    """Classes of which ten units or more hold one, and as many do not: the best balanced, in order.

    Of the two classes of a classifier the second alone: it is there where the first is not.
    """
    two = rows.presence.one_each and len(rows.classes) == 2
    sizes: dict[str, int] = {}
    for label in rows.classes[1:] if two else rows.classes:
        there = rows.present(label)
        smaller = min(count_units(side, rows.unit_codes) for side in (there, ~there))
        if smaller >= MIN_UNITS:
            sizes[label] = smaller
    best = sorted(sizes, key=lambda label: -sizes[label])[:most]
    return tuple(label for label in rows.classes if label in best)


def present(rows: Rows, labels: tuple[str, ...]) -> Floats:
    """Which of the classes are in each row, (n, classes), as 0 and 1."""
    empty = np.empty((len(rows), 0))
    return np.column_stack([empty, *(rows.present(label) for label in labels)])


def truth_strata(rows: Rows) -> Codes:
    """A code for what is true of each row, (n,): its class, or which classes it holds."""
    if isinstance(rows.presence, OneHot):
        codes: Codes = np.unique(rows.presence.truth, return_inverse=True)[1]
        return codes
    labels = told_classes(rows, most=MOST_PATTERN)
    patterns: Codes = np.unique(present(rows, labels), axis=0, return_inverse=True)[1].ravel()
    return patterns


def own_units(rows: Rows) -> Codes:
    """A code without gaps for the unit of each row, (n,); its image where no unit is named."""
    codes: Codes | None = rows.unit_codes
    return rows.image_ids.codes() if codes is None else codes
