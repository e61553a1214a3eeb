"""What units of unequal sizes are worth beside equal ones, their images beside independent ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UnitSizes:
    """How many units have so many images: `size` (k,), from 1 and rising, and `units` (k,) of it.

    Worked out from these, sums over units take next to no time.
    """

    size: Floats
    units: Floats

    @classmethod
    def of(cls, images: NDArray[np.integer[Any]]) -> UnitSizes:
        """Of the images of each unit, (units,) from 0; those without an image do not count."""
        if images.size and images.max() > 4 * len(images):
            size, units = np.unique(images, return_counts=True)
        else:
            units = np.bincount(images)
            size = np.arange(len(units))
        there = (size > 0) & (units > 0)
        return cls(size[there].astype(np.float64), units[there].astype(np.float64))

    @property
    def total(self) -> int:
        """Units."""
        return int(self.units.sum())

    @property
    def images(self) -> float:
        return float(self.units @ self.size)

    @property
    def mean(self) -> float:
        """Images of the unit of an image drawn at random."""
        return float(self.units @ self.size**2) / self.images


def effective_units(sizes: UnitSizes, *, spread: float, independent: float) -> float:
    """How many units of one size tell as much as those of `sizes`; from 2.

    A few large units among small ones decide nearly alone, so that their number says too much
    (Carter, Schnepel & Steigerwald 2017, doi:10.1162/REST_a_00639). A unit of m images adds
    ``m * (1 + (m - 1) * correlation)`` to the variance of the mean; what those parts are worth
    is their squared sum over the sum of their squares. The correlation is the one that the
    sample shows: `spread` is the sum of squared sums by unit, `independent` the variance of as
    many independent images on the same scale.
    """
    units, alike = sizes.total, sizes.mean
    deff = floored(units / max(units - 1, 1) * spread, independent, sizes)
    correlation = min((deff - 1) / (alike - 1), 1.0) if alike > 1 else 1.0
    parts = sizes.size * (1 + (sizes.size - 1) * correlation)
    # Of the largest, so that equal units give their number without a rounding.
    parts /= parts.max()
    return max(float((sizes.units @ parts) ** 2 / (sizes.units @ parts**2)), 2.0)


def floored(clustered: float, independent: float, sizes: UnitSizes) -> float:
    """The design effect, at least 1; that of units all alike where nothing varies."""
    # Residuals of a constant are roundings, not variation.
    if independent <= 1e-24 * sizes.images:
        return sizes.mean
    return max(1.0, clustered / independent)
