"""How often two-sample tests would notice a change that is put into samples on purpose."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def noticed(
    pool: Floats,
    changed: Floats,
    *,
    sizes: tuple[int, int],
    shares: tuple[float, ...],
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """In how many of the draws a change in a share of the second sample is noticed, (shares,).

    Both samples, of `sizes`, are drawn with replacement from the images of `pool` (n, d), so that
    without a change none differs; of the second a share is taken from `changed` (n, d), the same
    images changed. Noticed is what a Kolmogorov-Smirnov test of one of the d numbers rejects at
    `level` over d (Bonferroni; asymptotic, which at these sizes is a little conservative).
    Columns with a NaN are left out.
    """
    known = np.isfinite(pool).all(axis=0) & np.isfinite(changed).all(axis=0)
    pool, changed = pool[:, known], changed[:, known]
    n, d = pool.shape
    if d == 0:
        return np.zeros(len(shares), dtype=np.int64)
    first = rng.multinomial(sizes[0], np.full(n, 1 / n), size=draws)
    order, ends = _orders(pool, changed)
    most = _critical(level / d) * math.sqrt(1 / sizes[0] + 1 / sizes[1])
    return np.array(
        [
            _rejected(first, _second(n, sizes[1], share, draws, rng), order, ends, sizes, most)
            for share in shares
        ]
    )


def _second(
    n: int, size: int, share: float, draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How often each image is drawn as it is, then changed, (draws, 2n)."""
    weight = np.concatenate([np.full(n, (1 - share) / n), np.full(n, share / n)])
    drawn: NDArray[np.int64] = rng.multinomial(size, weight, size=draws)
    return drawn


def _orders(pool: Floats, changed: Floats) -> tuple[NDArray[np.int64], Flags]:
    """Of each number the order of both values of all images, and where equal ones end; (d, 2n)."""
    both = np.concatenate([pool, changed]).T
    order = np.argsort(both, axis=1, kind="stable")
    ranked = np.take_along_axis(both, order, axis=1)
    ends = np.ones(ranked.shape, dtype=bool)
    ends[:, :-1] = ranked[:, 1:] > ranked[:, :-1]
    return order, ends


def _rejected(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    order: NDArray[np.int64],
    ends: Flags,
    sizes: tuple[int, int],
    most: float,
) -> int:
    """Draws in which one of the numbers is farther apart than `most`."""
    difference = second / sizes[1]
    difference[:, : first.shape[1]] -= first / sizes[0]
    farthest = np.zeros(len(first))
    for places, end in zip(order, ends, strict=True):
        apart = np.abs(np.cumsum(difference[:, places], axis=1)[:, end])
        farthest = np.maximum(farthest, apart.max(axis=1))
    return int((farthest > most).sum())


def _critical(level: float) -> float:
    """The quantile of Kolmogorov's distribution that `level` lies beyond."""
    from scipy.stats import kstwobign

    return float(kstwobign.isf(level))
