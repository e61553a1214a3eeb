"""Mantel-Haenszel comparisons of proportions from counts by stratum; see `auditor.stats.strata`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.intervals import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Successes and sizes by stratum, (k,) each, of a group and of the rest; no size is 0."""

    x: Floats
    n: Floats
    x_rest: Floats
    n_rest: Floats

    @property
    def total(self) -> Floats:
        return self.n + self.n_rest

    @property
    def weight(self) -> Floats:
        return self.n * self.n_rest / self.total

    @property
    def p(self) -> Floats:
        return self.x / self.n

    @property
    def q(self) -> Floats:
        return self.x_rest / self.n_rest

    @property
    def difference(self) -> float:
        """The weighted mean of the strata's differences."""
        return float(self.weight @ (self.p - self.q) / self.weight.sum())


def sato_variance(cells: Cells) -> float:
    """The variance of `Cells.difference` for independent images (Sato 1989, doi:10.2307/2531784).

    Consistent for a few large strata and for many small ones, if their differences are alike.
    """
    n, m, total = cells.n, cells.n_rest, cells.total
    x, y = cells.x, cells.x_rest
    slope = (n**2 * y - m**2 * x + n * m * (m - n) / 2) / total**2
    level = (x * (m - y) + y * (n - x)) / (2 * total)
    weight = float(cells.weight.sum())
    return max(float(cells.difference * slope.sum() + level.sum()), 0.0) / weight**2


def greenland_robins_variance(cells: Cells) -> float:
    """The variance of the log ratio (Greenland & Robins 1985, doi:10.2307/2530643).

    Independent images; both sides must have a success.
    """
    n, m, total = cells.n, cells.n_rest, cells.total
    x, y = cells.x, cells.x_rest
    own, rest = float((x * m / total).sum()), float((y * n / total).sum())
    spread = float((((x + y) * n * m - x * y * total) / total**2).sum())
    return max(spread, 0.0) / (own * rest)


def stratified_newcombe(cells: Cells, *, z: float, deff: float = 1.0) -> Interval:
    """Newcombe's interval of `Cells.difference` (Yan & Su 2010, doi:10.1198/sbr.2009.0049).

    Counts are divided by `deff`; `z` is the two-sided quantile, normal or t.
    """
    weight = cells.weight / cells.weight.sum()
    n, n_rest = cells.n / deff, cells.n_rest / deff
    group = _stratified_wilson(cells.p, n, weight=weight, z=z)
    rest = _stratified_wilson(cells.q, n_rest, weight=weight, z=z)
    scale, scale_rest = float(weight @ (weight / n)), float(weight @ (weight / n_rest))

    def half(p: float, q: float) -> float:
        return z * math.sqrt(scale * p * (1 - p) + scale_rest * q * (1 - q))

    value = cells.difference
    return Interval(
        max(value - half(group.low, rest.high), -1.0), min(value + half(group.high, rest.low), 1.0)
    )


def _stratified_wilson(p: Floats, n: Floats, *, weight: Floats, z: float) -> Interval:
    """Wilson's interval of a weighted mean of proportions: each stratum's at a smaller z."""
    spread = np.sqrt(p * (1 - p) / n)
    if not float(weight @ spread) > 0:
        # All outcomes alike: the limit of the rule where the proportions near 0 or 1 together.
        spread = 1 / np.sqrt(n)
    z *= math.sqrt(float(weight**2 @ spread**2)) / float(weight @ spread)
    centre = p + z * z / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    shrink = 1 + z * z / n
    low, high = (
        float(weight @ ((centre - half) / shrink)),
        float(weight @ ((centre + half) / shrink)),
    )
    return Interval(min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0))
