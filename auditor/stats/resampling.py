"""Samples of whole units; bootstrap of statistics that have no formula, from counts or sums.

Percentile intervals (Efron 1979, doi:10.1214/aos/1176344552). Never of a minimum or a maximum:
their resampling distribution excludes the truth (see `largest_gap`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.codes import codes_of
from auditor.stats.estimates import GRID, Draws

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

# Of 8-byte numbers at a time: resamples of many cells are drawn in blocks of 32 MB.
_BLOCK = 4_000_000
_UNIT_BLOCK = 1_000_000


def draws_of(value: float, *, samples: ArrayLike) -> Draws:
    """An estimate from a value and resampled ones, (draws,).

    A statistic may be undefined (NaN) in a few resamples, such as a rate of a class that was
    not drawn; those are left out, up to one in a hundred.

    Raises
    ------
    ValueError
        If the value or more than 1% of the samples are not finite.
    """
    array = np.asarray(samples, dtype=np.float64)
    finite = array[np.isfinite(array)]
    if not math.isfinite(value) or len(finite) < max(1, 0.99 * len(array)):
        raise ValueError(
            f"bootstrap: found value {value} and {len(array) - len(finite)} of {len(array)} "
            "resamples not finite, expected at most 1%; the sample is too small for this statistic"
        )
    return Draws(float(value), tuple(float(q) for q in np.quantile(finite, GRID)))


def multinomial_bootstrap(
    counts: ArrayLike, *, statistic: Statistic, rng: np.random.Generator, draws: int = 2000
) -> Draws:
    """Bootstrap of independent images, by the counts of the cells that they fall into.

    As resampling the images themselves, at a cost that does not depend on their number.

    Parameters
    ----------
    counts : (cells,) whole numbers from 0, with a positive sum.
    statistic : takes (draws, cells) counts, returns (draws,) values.
    """
    cells = np.asarray(counts, dtype=np.float64)
    total = int(cells.sum()) if cells.size else 0
    if cells.ndim != 1 or total < 1 or (cells < 0).any() or (cells % 1 != 0).any():
        raise ValueError(
            f"bootstrap: found counts of shape {cells.shape} and sum {cells.sum():g}, expected "
            "(cells,) whole numbers from 0 with a positive sum"
        )
    samples = [
        statistic(rng.multinomial(total, cells / total, size=size).astype(np.float64))
        for size in _blocks(draws, width=len(cells))
    ]
    return draws_of(float(statistic(cells[None])[0]), samples=np.concatenate(samples))


def _blocks(draws: int, *, width: int) -> list[int]:
    if draws < 1000:
        raise ValueError(
            f"bootstrap: found {draws} draws, expected 1000 or more for the quantiles kept"
        )
    return _sizes(draws, width=width)


def _sizes(draws: int, *, width: int, block: int = _BLOCK) -> list[int]:
    size = max(1, block // width)
    return [min(size, draws - start) for start in range(0, draws, size)]


def unit_draws(
    units: int, *, draws: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """How often each of so many units is drawn, whole draws in blocks of (some, units)."""
    for size in _sizes(draws, width=units, block=_UNIT_BLOCK):
        yield rng.multinomial(units, np.full(units, 1 / units), size=size).astype(np.float64)


def whole_units(
    rows: NDArray[np.int64],
    *,
    unit: NDArray[np.int64] | None,
    most: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Of ascending `rows`, at most `most`: all, or those of units drawn at random.

    `unit` holds every image's unit code, None where each image is one. At least one unit is taken.
    """
    if len(rows) <= most:
        return rows
    owner = np.arange(len(rows)) if unit is None else codes_of(unit[rows])
    sizes = np.bincount(owner)
    order = rng.permutation(len(sizes))
    count = max(int(np.searchsorted(np.cumsum(sizes[order]), most, side="right")), 1)
    taken = np.zeros(len(sizes), dtype=bool)
    taken[order[:count]] = True
    return rows[taken[owner]]
