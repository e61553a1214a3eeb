"""The largest difference between any two of several groups, with bounds that keep their level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from auditor.stats.estimates import GRID, Draws, Rate

Floats = NDArray[np.float64]


def largest_gap(*families: Sequence[Rate]) -> Draws:
    """The largest difference of proportions between two groups, over one or more families.

    A family holds one rate a group (false-positive rates, say); groups are compared within
    their family. With two families, false-positive and false-negative rates, it is the equalised
    odds difference (Hardt, Price & Srebro 2016, arXiv:1610.02413).

    A bootstrap of a maximum is off to one side. Its bounds are Newcombe's (1998) for pairs: the
    upper one is the largest of all pairs' upper bounds at the confidence asked, since the
    largest true difference is one of them; the lower one is the largest of all lower bounds,
    each at a confidence that holds for all pairs together (Bonferroni). The quantiles kept are
    these bounds: a confidence distribution (Xie & Singh 2013, doi:10.1111/insr.12000), not
    resampled draws. Groups are taken as independent.

    Raises ValueError where a family has fewer than two groups, or there is no family.
    """
    if not families or any(len(family) < 2 for family in families):
        raise ValueError(
            "largest gap: found a family of fewer than two rates, expected two or more"
        )
    groups = [_Groups.of(family) for family in families]
    pairs = sum(len(family) * (len(family) - 1) for family in families)
    point = max(float(g.p.max() - g.p.min()) for g in groups)
    upper = [max(g.furthest(1 - p) for g in groups) for p in GRID if p < 0.5]
    lower = [max(g.nearest(p / pairs) for g in groups) for p in GRID if p < 0.5]
    quantiles = (
        *(min(max(low, 0.0), point) for low in lower),
        point,
        *(min(max(high, point), 1.0) for high in reversed(upper)),
    )
    return Draws(point, quantiles)


@dataclass(frozen=True)
class _Groups:
    """Proportions, sizes and degrees of freedom (infinite: normal) of groups, (g,) each."""

    p: Floats
    n: Floats
    df: Floats

    @classmethod
    def of(cls, family: Sequence[Rate]) -> _Groups:
        return cls(
            p=np.array([rate.x / rate.n for rate in family]),
            n=np.array([rate.n for rate in family]),
            df=np.array([np.inf if rate.df is None else rate.df for rate in family]),
        )

    def furthest(self, confidence: float) -> float:
        """The largest upper bound of a difference between two groups."""
        low, high = self._wilson(confidence)
        reach = np.hypot((high - self.p)[:, None], (self.p - low)[None, :])
        return self._largest(self.p[:, None] - self.p[None, :] + reach)

    def nearest(self, error: float) -> float:
        """The largest lower bound, each wrong with probability `error`."""
        low, high = self._wilson(1 - error)
        reach = np.hypot((self.p - low)[:, None], (high - self.p)[None, :])
        return self._largest(self.p[:, None] - self.p[None, :] - reach)

    def _wilson(self, confidence: float) -> tuple[Floats, Floats]:
        normal = np.isinf(self.df)
        z = np.where(normal, ndtri(confidence), stdtrit(np.where(normal, 1.0, self.df), confidence))
        centre, shrink = self.p + z * z / (2 * self.n), 1 + z * z / self.n
        half = z * np.sqrt(self.p * (1 - self.p) / self.n + z * z / (4 * self.n**2))
        return (centre - half) / shrink, (centre + half) / shrink

    @staticmethod
    def _largest(matrix: Floats) -> float:
        return float(matrix[~np.eye(len(matrix), dtype=bool)].max())
