"""How well a score ranks the images of a group, and those of the rest."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.two_sides import TwoSides, covariance
from auditor.stats import Normal, auc
from auditor.stats.clusters import placements
from auditor.stats.codes import codes_of, distinct
from auditor.stats.effective import UnitSizes, effective_units

Floats = NDArray[np.float64]


def ranking(
    scores: np.ndarray, *, of_class: np.ndarray, member: np.ndarray, unit: np.ndarray | None = None
) -> TwoSides:
    """The area under the ROC curve of a class's score in a group, and in the rest.

    Areas and standard errors as `auditor.stats.auc` (DeLong's, summed by unit), never below
    those with images of and not of the class in one unit taken together (Obuchowski 1997,
    doi:10.2307/2533958): in a blurred room both are ranked worse. The covariance of the two
    areas is that of their images' placements by unit, so that rooms with images on both sides
    are not taken as independent ones.

    A lucky sample of few images also shows too little spread; see `_luck`.

    Simulated with 40 to 1,000 images in the group, 30% of the class, areas of 0.85 to 0.99,
    and with units of 3 or 10 images correlated at 0.3, on one side or on both: 95% intervals of
    the difference hold at least 95%, wrong FAILs are at most 5%, wrong PASSes at most 7%.

    Parameters
    ----------
    scores : (n,) score of the class, larger for more likely.
    of_class : (n,) bool, whether the label is the class.
    member : (n,) bool, True in the group; two units (images) of and not of the class a side.
    """
    s = np.asarray(scores, dtype=np.float64)
    influence = np.zeros(len(s))
    for side in (member, ~member):
        influence[side] = _influence(s[side], of_class[side])
    return TwoSides(
        group=_area(s, of_class, member, unit, influence),
        rest=_area(s, of_class, ~member, unit, influence),
        covariance=covariance(influence, member=member, unit=unit),
        units=len(s) if unit is None else distinct(unit),
    )


def _area(
    scores: Floats,
    of_class: np.ndarray,
    side: np.ndarray,
    unit: np.ndarray | None,
    influence: Floats,
) -> Normal:
    others, own = side & ~of_class, side & of_class
    if unit is None:
        area = auc(scores[others], scores[own])
        luck = _luck(area.value, int(own.sum()), int(others.sum()))
        return replace(area, se=area.se * luck)
    area = auc(scores[others], scores[own], unit_a=unit[others], unit_b=unit[own])
    luck = _luck(area.value, *(distinct(unit[kind]) for kind in (own, others)))
    owner = codes_of(unit[side])
    sums, sizes = np.bincount(owner, weights=influence[side]), np.bincount(owner)
    spread = float(sums @ sums)
    alone = float(influence[side] @ influence[side])
    units = effective_units(UnitSizes.of(sizes), spread=spread, independent=alone)
    together = units / (units - 1) * spread
    return replace(area, se=math.sqrt(max(area.se**2, together)) * luck)


def _luck(area: float, own: int, others: int) -> float:
    """By how much a standard error grows if a lucky sample is allowed for.

    The root of Hanley & McNeil's variance (1982, doi:10.1148/radiology.143.1.7063747) of the
    area drawn towards 0.5 by two images (units) of the rarer kind, over that of the area itself.
    """
    rarer = min(own, others)
    end = 1 - 1 / (rarer + 2)
    theta = min(max(area, 1 - area), end)
    drawn = 0.5 + (theta - 0.5) * rarer / (rarer + 2)
    return math.sqrt(_spread(drawn, own, others) / _spread(theta, own, others))


def _spread(area: float, own: int, others: int) -> float:
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    return area * (1 - area) + (own - 1) * (q1 - area**2) + (others - 1) * (q2 - area**2)


def _influence(scores: Floats, of_class: np.ndarray) -> Floats:
    """Each image's part in the error of the area, (n,): its placement less the area."""
    own, others = scores[of_class], scores[~of_class]
    above, below = placements(own, among=others), 1 - placements(others, among=own)
    area = above.mean()
    part = np.empty(len(scores))
    part[of_class] = (above - area) / len(own)
    part[~of_class] = (below - area) / len(others)
    return part
