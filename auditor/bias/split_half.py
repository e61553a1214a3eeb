"""Two halves of the units: what is chosen on one is measured on the other; and a sample of them."""

from __future__ import annotations

import numpy as np

from auditor.scoring.comparison import unit_codes


def first_half(
    n: int, *, unit: np.ndarray | None, stratum: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """A random half of the units as a mask over `n` images, (n,).

    `unit` (n,) names each image's unit, None where each image is one. With `stratum` (n,), half
    of the units of every stratum (that of a unit's first image) is taken, so that a small group
    is not left to luck; a stratum of odd size gives its last unit to either half in turn.
    """
    owner = np.arange(n) if unit is None else unit_codes(unit)
    first = np.unique(owner, return_index=True)[1]
    units = len(first)
    groups = np.zeros(units, dtype=np.int64)
    if stratum is not None:
        groups = unit_codes(stratum)[first]
    order = np.lexsort((rng.permutation(units), groups))
    taken = np.zeros(units, dtype=bool)
    taken[order[::2]] = True
    half: np.ndarray = taken[owner]
    return half


def whole_units(
    rows: np.ndarray, *, unit: np.ndarray | None, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Of ascending `rows`, at most `most`: all, or those of units drawn at random.

    `unit` holds every image's unit code, None where each image is one. At least one unit is taken.
    """
    if len(rows) <= most:
        return rows
    owner = np.arange(len(rows)) if unit is None else np.unique(unit[rows], return_inverse=True)[1]
    sizes = np.bincount(owner)
    order = rng.permutation(len(sizes))
    count = max(int(np.searchsorted(np.cumsum(sizes[order]), most, side="right")), 1)
    taken = np.zeros(len(sizes), dtype=bool)
    taken[order[:count]] = True
    return rows[taken[owner]]
