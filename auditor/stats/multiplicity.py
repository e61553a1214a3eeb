"""Corrections for testing many things at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def holm(p_values: ArrayLike | Sequence[float]) -> list[float]:
    """Adjusted p-values that hold the family-wise error (Holm 1979, www.jstor.org/stable/4615733).

    In the order given; none for none.

    Raises
    ------
    ValueError
        If a p-value is NaN or outside [0, 1]: what was not tested must not enter the family.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"holm: found p-values {p.tolist()}, expected numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(a) for a in adjusted]
