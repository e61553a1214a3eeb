"""Corrections for testing many things at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

_SET_ASIDE = 0.75
_FEWEST = 10


def holm(
    p_values: ArrayLike | Sequence[float], *, weights: ArrayLike | Sequence[float] | None = None
) -> list[float]:
    """Adjusted p-values that hold the family-wise error (Holm 1979, www.jstor.org/stable/4615733).

    In the order given; none for none. With `weights` (positive; those of section 4 there) a test
    gets that part of the error that its weight is of those still open; what they come from must
    be independent of the p-values.

    Raises
    ------
    ValueError
        If a p-value is NaN or outside [0, 1]: what was not tested must not enter the family.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    >>> holm([0.04, 0.02], weights=[3, 1])
    [0.0533..., 0.0533...]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"holm: found p-values {p.tolist()}, expected numbers from 0 to 1")
    weight = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(p / weight, kind="stable")
    still_open = np.cumsum(weight[order][::-1])[::-1]
    stepped = np.maximum.accumulate(p[order] / weight[order] * still_open)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(a) for a in adjusted]


def conditional_holm(p_values: ArrayLike | Sequence[float]) -> list[float]:
    """Holm's adjusted p-values for one-sided tests, many of which are far inside their limit.

    P-values above 0.75 are set aside (their adjusted value is 1) and the others divided by 0.75
    before `holm`, so that tests that could not fail are not paid for. Ellis, Pecanka & Goeman
    (2018), arXiv:1801.00141, prove that this holds the family-wise error of independent tests.
    Groups that are compared with each other's rest are not quite: they are correlated at
    ``-1 / (groups - 1)``. Simulated with as many of them at the limit as can be, the error is at
    most 6% for ten tests or more; fewer may exceed it, and get `holm` itself
    (benchmarks/subgroups.py).

    In the order given; none for none. Raises ValueError as `holm`.
    """
    p = np.asarray(p_values, dtype=np.float64)
    plain = holm(p)
    if len(p) < _FEWEST:
        return plain
    kept = p <= _SET_ASIDE
    adjusted = np.ones_like(p)
    adjusted[kept] = holm(p[kept] / _SET_ASIDE)
    return [float(a) for a in adjusted]
