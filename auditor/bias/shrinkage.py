"""Empirical-Bayes rates of many small cells: for ranking and display, never for a verdict.

The worst of many small cells looks worse than it is. Each cell's rate is shrunken towards that of
all of them, the more so the fewer images it has and the more alike the cells are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

Floats = NDArray[np.float64]

_ROUNDS = 50


@dataclass(frozen=True)
class Prior:
    """How rates spread over cells: Beta(mean * weight, (1 - mean) * weight).

    `mean` in (0, 1); `weight` counts as so many observations, above 0.
    """

    mean: float
    weight: float


@dataclass(frozen=True)
class Shrunk:
    """A cell's rate given the others', with the middle 95% of its posterior; in [0, 1]."""

    value: float
    low: float
    high: float


def fitted(x: ArrayLike, *, n: ArrayLike) -> Prior:
    """The spread of rates over cells, from successes `x` of `n`, (cells,), effective counts.

    Moments of a beta-binomial with weights fitted in turn (Kleinman 1973,
    doi:10.1080/01621459.1973.10481332). Where cells differ by no more than luck, the weight is
    all observations together: the cells are then taken as one, and not as known for certain.
    """
    successes, counts = np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64)
    total = float(counts.sum())
    # Half a success and half a failure keep a mean of 0 or 1 from being one for certain.
    pooled = (float(successes.sum()) + 0.5) / (total + 1)
    rates, mean, gamma = successes / counts, pooled, 0.0
    for _ in range(_ROUNDS):
        before = gamma
        weights = counts / (1 + gamma * np.maximum(counts - 1, 0))
        weights /= weights.sum()
        mean = float(weights @ rates)
        gamma = _intraclass(rates, counts, weights, mean)
        if abs(gamma - before) < 1e-9:
            break
    if gamma <= 0:
        return Prior(pooled, total)
    return Prior(min(max(mean, 0.5 / total), 1 - 0.5 / total), min(1 / gamma - 1, total))


def shrunk(x: ArrayLike, *, n: ArrayLike, prior: Prior | None = None) -> tuple[Shrunk, ...]:
    """Rates of cells shrunken towards `prior`, in order; `fitted` to the cells if None."""
    successes, counts = np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64)
    known = fitted(successes, n=counts) if prior is None else prior
    a = successes + known.mean * known.weight
    b = counts - successes + (1 - known.mean) * known.weight
    ends = (betaincinv(a, b, 0.025), betaincinv(a, b, 0.975))
    rows = zip(a / (a + b), *ends, strict=True)
    return tuple(Shrunk(float(v), float(low), float(high)) for v, low, high in rows)


def _intraclass(rates: Floats, counts: Floats, weights: Floats, mean: float) -> float:
    """Share of a rate's variance that is between cells, in [0, 0.99]; 0 where there is none."""
    binomial = mean * (1 - mean)
    spread = float(weights @ (rates - mean) ** 2)
    kept = weights * (1 - weights)
    luck, between = float((kept / counts).sum()), float((kept * (1 - 1 / counts)).sum())
    if binomial <= 0 or between <= 0:
        return 0.0
    return min(max((spread - binomial * luck) / (binomial * between), 0.0), 0.99)
