"""Means of numbers that have ends (shares, costs, losses): what a small sample may have missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

Floats = NDArray[np.float64]
Span = tuple[float, float]


@dataclass(frozen=True)
class Reach:
    """How far below and above the mean of a sample the truth may lie, each from 0."""

    below: float
    above: float


def reach(values: Floats, *, n: float, span: Span, alpha: float, further: float = 1.0) -> Reach:
    """One-sided bounds of a mean of numbers in `span`, each missed with probability `alpha`.

    Gaffke's bound (2005, Mathematical Methods of Statistics 14(4):451-467; Learned-Miller &
    Thomas 2019, arXiv:1905.06208): the sample is weighted as by a Bayesian bootstrap, with one
    further value at the end of the scale. It is Clopper & Pearson's (1934) for values at the two
    ends, and where all are alike the exact law of what was not seen:
    ``(end - value) * (1 - alpha ** (1 / n))``. The weighted mean's distribution is taken as a
    beta of the same mean and variance, which it is in both these cases.

    `values` (m,) in `span`, `n` how many independent ones they are worth; `further` is how many
    times the further value counts: where values come by the unit, as many as a unit is worth.
    """
    below, above = (_distance(values, n=n, end=end, alpha=alpha, further=further) for end in span)
    return Reach(below, above)


def _distance(values: Floats, *, n: float, end: float, alpha: float, further: float) -> float:
    mean, variance = float(values.mean()), float(values.var())
    other = float(values.min() if end >= mean else values.max())
    width = abs(end - other)
    # A mean away from an end by a rounding is at it.
    if abs(end - mean) <= 1e-12 * width or width == 0:
        return 0.0
    total = n + further
    drawn = (n * mean + further * end) / total
    apart = n * (variance + (mean - drawn) ** 2) + further * (end - drawn) ** 2
    spread = apart / total / (total + 1)
    part = abs(drawn - other) / width
    size = part * (1 - part) * width**2 / spread - 1
    at = float(betaincinv(part * size, (1 - part) * size, 1 - alpha))
    return max(abs(other + (end - other) * at - mean), 0.0)
