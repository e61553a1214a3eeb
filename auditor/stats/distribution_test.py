"""Whether any of several numbers is distributed otherwise in another sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.two_samples import PERMUTATIONS, TwoSamples, p_of

Floats = NDArray[np.float64]

_PLACES = 128
"""Places at which distributions of many values are compared, the same in every deal."""

_ROUNDING = 1e-4
"""Distances that differ by less, of their range, are ties: they are sums in single precision."""


@dataclass(frozen=True)
class DistributionTest:
    """Of each number (d,): its largest distance between both distributions, and p-values.

    `adjusted` allows for all numbers being tested.
    """

    distance: Floats
    p_value: Floats
    adjusted: Floats


def distribution_test(
    values: Floats,
    samples: TwoSamples,
    *,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> DistributionTest:
    """Kolmogorov-Smirnov tests of several numbers, whole units being dealt to the sides anew.

    A unit weighs as much as any other, however many images it has. All numbers are dealt
    together, so that adjusted p-values, those of the largest of the remaining distances (step-down
    maxT: Westfall & Young 1993, ISBN 0-471-55761-7, algorithm 4.1), hold the family-wise error as
    Holm's do, and lose nothing where numbers go together. Of more than 128 values distributions are
    compared at so many places of both samples together, which leaves the test exact.

    Parameters
    ----------
    values : (n, d), NaN where there is none; each number has values on both sides.
    """
    sides = samples.deals(rng=rng, permutations=permutations).astype(np.float32)
    distances = np.array([_distances(column, samples, sides) for column in values.T])
    size = np.array([_size(column, samples) for column in values.T])
    # Numbers known of fewer units vary more: on a common scale none of them hides the others.
    scaled = distances * np.sqrt(size)[:, None]
    return DistributionTest(
        distance=distances[:, 0],
        p_value=np.array([p_of(row, rounding=_ROUNDING) for row in scaled]),
        adjusted=_step_down(scaled),
    )


def _distances(column: Floats, samples: TwoSamples, sides: NDArray[np.float32]) -> Floats:
    """The largest distance between both distributions in each deal, (deals,)."""
    known = np.isfinite(column)
    units = len(sides)
    images = np.bincount(samples.unit[known], minlength=units)
    places = _places(column[known])
    cell = np.searchsorted(places, column[known]) * units + samples.unit[known]
    # Of each unit the share of its images up to each place: a deal's distributions are sums of it.
    counts = np.bincount(cell, minlength=(len(places) + 1) * units).reshape(-1, units)
    up_to = (np.cumsum(counts[:-1], axis=0) / np.maximum(images, 1)).astype(np.float32)
    there = sides[images > 0].sum(axis=0)
    # A deal may leave a side without a value: nothing differs then.
    here, there = np.maximum((images > 0).sum() - there, 1.0), np.maximum(there, 1.0)
    apart = up_to @ sides
    apart *= 1 / there + 1 / here
    apart -= up_to.sum(axis=1)[:, None] / here
    distances: Floats = np.maximum(apart.max(axis=0), -apart.min(axis=0)).astype(np.float64)
    return distances


def _places(values: Floats) -> Floats:
    """Values at which distributions are compared: all, or evenly many of those in between."""
    distinct = np.unique(values)
    if len(distinct) <= _PLACES:
        return distinct
    even = np.sort(values)[np.linspace(0, len(values) - 1, _PLACES).astype(np.int64)]
    places: Floats = np.unique(even)
    return places


def _size(column: Floats, samples: TwoSamples) -> float:
    known = np.unique(samples.unit[np.isfinite(column)])
    there = int(samples.side[known].sum())
    return there * (len(known) - there) / max(len(known), 1)


def _step_down(scaled: Floats) -> Floats:
    """Adjusted p-values, (d,), from distances (d, deals)."""
    order = np.argsort(-scaled[:, 0], kind="stable")
    # Of each number, the largest among it and those less far apart.
    largest = np.maximum.accumulate(scaled[order][::-1], axis=0)[::-1]
    tested = [
        p_of(np.concatenate([one[:1], most[1:]]), rounding=_ROUNDING)
        for one, most in zip(scaled[order], largest, strict=True)
    ]
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(tested)
    return adjusted
