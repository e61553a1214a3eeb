"""Labels as integers from 0, so that sums by label are one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes = NDArray[np.int64]


def codes_of(labels: ArrayLike) -> Codes:
    """An integer for each distinct label, (n,) in the order of `labels` (n,), without gaps.

    Codes rise with the labels.
    """
    array: NDArray[Any] = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"labels: found shape {array.shape}, expected (n,)")
    if array.dtype == object:
        return _codes_of_names(array)
    if not _are_small(array):
        codes: Codes = np.unique(array, return_inverse=True)[1]
        return codes
    # Codes already: renumbered without the sort that takes most of the time otherwise.
    seen = np.bincount(array) > 0
    if seen.all():
        return array.astype(np.int64, copy=False)
    renumbered: Codes = (np.cumsum(seen) - 1)[array]
    return renumbered


def gapped_codes_of(labels: ArrayLike) -> Codes:
    """Likewise, but labels that are small whole numbers stay as they are, gaps and all."""
    array: NDArray[Any] = np.asarray(labels)
    if array.ndim == 1 and _are_small(array):
        return array.astype(np.int64, copy=False)
    return codes_of(array)


def _codes_of_names(names: NDArray[np.object_]) -> Codes:
    """Few different names are sorted, not one an image."""
    # pandas takes a while to import, which only names should pay.
    import pandas as pd

    places, seen = pd.factorize(names, use_na_sentinel=False)
    rank = np.empty(len(seen), dtype=np.int64)
    rank[np.argsort(seen, kind="stable")] = np.arange(len(seen))
    codes: Codes = rank[places]
    return codes


def compact(codes: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers (n,) in as few bytes as hold them; to be counted with, they need all eight."""
    least = min(int(codes.min(initial=0)), -1 - int(codes.max(initial=0)))
    return codes.astype(np.min_scalar_type(least))


def distinct(labels: NDArray[Any]) -> int:
    """How many different ones there are among labels (n,), quickly if they are codes."""
    if _are_small(labels, times=100):
        return int(np.count_nonzero(np.bincount(labels)))
    if labels.dtype == object:
        return len(set(labels.tolist()))
    return len(np.unique(labels))


def _are_small(array: NDArray[Any], *, times: int = 4) -> bool:
    if array.dtype.kind not in "iu" or not array.size:
        return False
    # Seen as numbers without a sign those below 0 are large: one pass in place of two.
    most = min(times * len(array), np.iinfo(array.dtype).max + 1)
    return bool(array.view(array.dtype.str.replace("i", "u")).max() < most)
