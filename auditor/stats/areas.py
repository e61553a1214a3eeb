"""How well scores tell rows with something from rows without it, among rows that are alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.bounded import reach
from auditor.stats.clusters import placements
from auditor.stats.codes import codes_of
from auditor.stats.estimates import Normal
from auditor.stats.scores import critical

REFITTED = math.sqrt(2)
"""By how much the spread of an area of out-of-fold scores exceeds that of given scores.

Folds share training images. Simulated with 60 to 600 images of one class or two, scores that tell
nothing and scores that tell much: 1.0 to 1.4 times as much."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Area:
    """The area under the ROC curve, `value`, of rows compared within their strata.

    `influence` (n,) is what each row adds to its error, 0 for rows that are not compared. `placed`
    (m,) holds for each row that is compared the share of the other side that it is rightly told
    from. `units` is the number of independent rows of the smaller side, once `of` was given units.
    """

    value: float
    influence: Floats
    placed: Floats
    smaller: int


def area_within(
    scores: Floats, positive: Mask, *, strata: Codes | None = None, unit: Codes | None = None
) -> Area | None:
    """P(a positive row scores above a negative one of its stratum), ties half; None without pairs.

    Strata are weighted by ``n_positive * n_negative / n`` (Mantel & Haenszel 1959,
    doi:10.1093/jnci/22.4.719). Influences are those of DeLong, DeLong & Clarke-Pearson (1988,
    doi:10.2307/2531595).

    Parameters
    ----------
    scores, positive : (n,).
    strata : (n,) codes from 0; all rows are of one where None.
    unit : (n,) codes, for the number of units of the smaller side; rows where None.
    """
    code = np.zeros(len(scores), dtype=np.int64) if strata is None else strata
    placed, weight = np.full(len(scores), np.nan), np.zeros(len(scores))
    found: list[tuple[float, float]] = []
    for stratum in np.unique(code):
        inside = code == stratum
        up, down = np.flatnonzero(inside & positive), np.flatnonzero(inside & ~positive)
        if not (len(up) and len(down)):
            continue
        placed[up] = placements(scores[up], among=scores[down])
        placed[down] = 1 - placements(scores[down], among=scores[up])
        shared = len(up) * len(down) / (len(up) + len(down))
        weight[up], weight[down] = shared / len(up), shared / len(down)
        found.append((shared, float(placed[up].mean())))
        placed_mean = found[-1][1]
        weight[up] *= placed[up] - placed_mean
        weight[down] *= placed[down] - placed_mean
    if not found:
        return None
    total = sum(shared for shared, _ in found)
    taken = np.isfinite(placed)
    return Area(
        value=sum(shared * area for shared, area in found) / total,
        influence=weight / total,
        placed=placed[taken],
        smaller=min(_units(taken & side, unit) for side in (positive, ~positive)),
    )


def _units(rows: Mask, unit: Codes | None) -> int:
    return int(rows.sum()) if unit is None else len(np.unique(unit[rows]))


def mean_area(
    areas: Sequence[Area], *, unit: Codes | None = None, spread: float = REFITTED
) -> Normal:
    """The mean of areas over the same rows, as a t statistic, units respected.

    `unit` (n,) codes, None where every row is one; `spread` widens the standard error for scores
    that were fitted (`REFITTED`), 1 for given ones. Where rows are told apart without an error, or
    are all alike, the standard error is that of what may have been missed
    (`auditor.stats.bounded.reach`). The degrees of freedom are those of the smaller side.

    Raises
    ------
    ValueError
        If there is no area, or fewer than two units on a side.
    """
    if not areas or min(a.smaller for a in areas) < 2:
        raise ValueError("areas: found none, or one unit on a side, expected two units or more")
    influence = np.mean([a.influence for a in areas], axis=0)
    owner = np.arange(len(influence)) if unit is None else codes_of(unit)
    sums = np.bincount(owner, weights=influence)
    k = np.count_nonzero(np.bincount(owner[influence != 0])) or 2
    se = math.sqrt(max(k, 2) / (max(k, 2) - 1) * float(sums @ sums))
    df = min(a.smaller for a in areas) - 1
    least = float(np.mean([_unseen(a) for a in areas])) / critical(0.95, df=df)
    return Normal(float(np.mean([a.value for a in areas])), max(spread * se, least), df, 0.0, 1.0)


def _unseen(area: Area) -> float:
    """How far an area may lie from what was seen; 0 where placements vary, and tell it."""
    if np.unique(area.placed, return_counts=True)[1].max() <= len(area.placed) / 2:
        return 0.0
    found = reach(area.placed, n=float(area.smaller), span=(0.0, 1.0), alpha=0.05)
    return max(found.below, found.above)
