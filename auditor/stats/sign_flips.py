"""A test of one sample measured twice: would it show as much with either time called the first.

Of each unit a part of the difference; under "nothing changed" a part is as likely with the other
sign (Fisher 1935; by units, so that images of one room are turned together). All signs are tried
where few parts are not 0, so that a handful of turned answers never shows a change; parts of one
size are counted (exact McNemar); else the sum is taken as normal, which more than fourteen parts
allow.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from auditor.stats.codes import codes_of
from auditor.stats.hypothesis_tests import mcnemar_exact

_ALL_SIGNS = 14
"""Parts of which all signs are tried: 16,384 of them."""


def sign_flips(parts: ArrayLike, *, unit: ArrayLike | None = None) -> float:
    """Two-sided p-value of "the sum of `parts` is 0 but for chance".

    Parameters
    ----------
    parts : (n,) what each image adds to the difference, after minus before; finite.
    unit : (n,) labels; None where each image is a unit of its own.

    Examples
    --------
    >>> sign_flips([1, 1, 1, 1, 0, 0])
    0.125
    """
    summed = _by_unit(np.asarray(parts, dtype=np.float64), unit)
    largest = float(np.abs(summed).max(initial=0.0))
    # Sums of the same numbers in another order differ by roundings.
    told = summed[np.abs(summed) > 1e-12 * max(largest, 1e-300)]
    if not len(told):
        return 1.0
    sizes = np.abs(told)
    if np.ptp(sizes) <= 1e-9 * largest:
        return mcnemar_exact(float((told > 0).sum()), float((told < 0).sum()))
    if len(told) <= _ALL_SIGNS:
        return _all_signs(told)
    z = abs(float(told.sum())) / math.sqrt(float((told**2).sum()))
    return max(float(2 * ndtr(-z)), 2.0 ** (1 - len(told)))


def _by_unit(parts: NDArray[np.float64], unit: ArrayLike | None) -> NDArray[np.float64]:
    if parts.ndim != 1 or not np.isfinite(parts).all():
        raise ValueError(f"sign flips: found parts of shape {parts.shape}, expected (n,) finite")
    if unit is None:
        return parts
    summed: NDArray[np.float64] = np.bincount(codes_of(unit), weights=parts).astype(np.float64)
    return summed


def _all_signs(told: NDArray[np.float64]) -> float:
    sums = np.zeros(1)
    for part in told:
        sums = np.concatenate([sums + part, sums - part])
    seen = abs(float(told.sum())) * (1 - 1e-9)
    return float((np.abs(sums) >= seen).mean())
