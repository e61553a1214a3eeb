"""Numbers of any scale as features of a linear model: their ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_AT_ONCE = 8
"""Columns that are taken together where a copy of all would be large."""


def rank_features(values: Floats, *, squares: bool = True) -> Floats:
    """Pooled ranks of each column in [-1, 1] and their squares, standardised, (n, 2 d).

    Without `squares` (n, d), for columns so many that their own spread tells little.

    Ranks bound the pull of a single odd image; squares let a change of spread show. NaN gets
    the middle rank. Computed on both samples together, which keeps them exchangeable when they
    are alike.
    """
    n = len(values)
    times = 2 if squares else 1
    # Filled in place, as all that follows: of a million images a copy is some hundred megabytes.
    features = np.empty((n, times * values.shape[1]))
    for i, column in enumerate(values.T):
        known = np.isfinite(column)
        ordered = np.sort(column[known])
        below = np.searchsorted(ordered, column[known], side="left")
        up_to = np.searchsorted(ordered, column[known], side="right")
        rank = np.zeros(n)
        rank[known] = (below + up_to) / max(len(ordered), 1) - 1
        features[:, times * i] = rank
        if squares:
            features[:, times * i + 1] = rank**2
    wide = features.shape[1]
    parts = (features[:, at : at + _AT_ONCE].std(axis=0) for at in range(0, wide, _AT_ONCE))
    spread = np.concatenate([np.empty(0), *parts])
    features -= features.mean(axis=0)
    features /= np.where(spread > 0, spread, 1)
    return features
