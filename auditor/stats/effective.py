"""What units of unequal sizes are worth beside equal ones, their images beside independent ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def effective_units(sizes: Floats, *, spread: float, independent: float) -> float:
    """How many units of one size tell as much as units of `sizes` (units,) images; from 2.

    A few large units among small ones decide nearly alone, so that their number says too much
    (Carter, Schnepel & Steigerwald 2017, doi:10.1162/REST_a_00639). A unit of m images adds
    ``m * (1 + (m - 1) * correlation)`` to the variance of the mean; what those parts are worth
    is their squared sum over the sum of their squares. The correlation is the one that the
    sample shows: `spread` is the sum of squared sums by unit, `independent` the variance of as
    many independent images on the same scale.
    """
    units, alike = len(sizes), float(sizes @ sizes / sizes.sum())
    deff = floored(units / max(units - 1, 1) * spread, independent, sizes)
    correlation = min((deff - 1) / (alike - 1), 1.0) if alike > 1 else 1.0
    parts = sizes * (1 + (sizes - 1) * correlation)
    # Of the largest, so that equal units give their number without a rounding.
    parts /= parts.max()
    return max(float(parts.sum() ** 2 / (parts @ parts)), 2.0)


def floored(clustered: float, independent: float, sizes: Floats) -> float:
    """The design effect, at least 1; that of units all alike where nothing varies."""
    # Residuals of a constant are roundings, not variation.
    if independent <= 1e-24 * sizes.sum():
        return float(sizes @ sizes / sizes.sum())
    return max(1.0, clustered / independent)
