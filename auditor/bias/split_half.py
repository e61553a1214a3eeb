"""Two halves of the units: what is chosen on one is measured on the other."""

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
    units = int(owner.max(initial=-1)) + 1
    first = np.empty(units, dtype=np.int64)
    # Of several images of a unit the last one written stays: the first, from the end.
    first[owner[::-1]] = np.arange(n - 1, -1, -1)
    groups = np.zeros(units, dtype=np.int64)
    if stratum is not None:
        groups = unit_codes(stratum[first])
    order = np.lexsort((rng.permutation(units), groups))
    taken = np.zeros(units, dtype=bool)
    taken[order[::2]] = True
    half: np.ndarray = taken[owner]
    return half
