"""Labels as integers from 0, so that sums by label are one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes = NDArray[np.int64]


def codes_of(labels: ArrayLike) -> Codes:
    """An integer for each distinct label, (n,) in the order of `labels` (n,), without gaps."""
    array: NDArray[Any] = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"labels: found shape {array.shape}, expected (n,)")
    if _are_small(array):
        # Codes already: renumbered without the sort that takes most of the time otherwise.
        seen = np.bincount(array) > 0
        renumbered: Codes = (np.cumsum(seen) - 1)[array]
        return renumbered
    codes: Codes = np.unique(array, return_inverse=True)[1]
    return codes


def distinct(labels: NDArray[Any]) -> int:
    """How many different ones there are among labels (n,), quickly if they are codes."""
    if _are_small(labels, times=100):
        return int(np.count_nonzero(np.bincount(labels)))
    return len(np.unique(labels))


def _are_small(array: NDArray[Any], *, times: int = 4) -> bool:
    if array.dtype.kind not in "iu" or not array.size:
        return False
    return bool(array.min() >= 0 and array.max() < times * len(array))
