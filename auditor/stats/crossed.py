"""Differences over images that belong to clusters in more than one way: a room, and a donor."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from auditor.stats.clusters import paired_difference
from auditor.stats.estimates import PairedDifference


def crossed_paired_difference(
    before: ArrayLike, after: ArrayLike, *, by: Sequence[ArrayLike | None]
) -> PairedDifference:
    """The proportion after minus before, of images that are clustered by each of `by`, (n,) each.

    The variance is that of independent images and what each clustering adds to it, as where
    clusters of two kinds seldom share two images (Cameron, Gelbach & Miller 2011,
    doi:10.1198/jbes.2010.07136, of which this is the case without repeated pairs). A clustering
    that is None adds nothing; the fewest degrees of freedom count.
    """
    alone = paired_difference(before, after)
    found = [paired_difference(before, after, unit=unit) for unit in by if unit is not None]
    deff = 1 + sum(alone.n / each.n - 1 for each in found)
    df = min((each.df for each in found if each.df is not None), default=None)
    return PairedDifference(alone.gained / deff, alone.lost / deff, alone.n / deff, df)
