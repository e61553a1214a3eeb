"""Whether images of two splits can be told apart by a few numbers: a cross-fitted classifier."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.shift.sides import Sides, linked
from auditor.stats import Normal, auc
from auditor.stats.classifier_test import FOLDS, folds, ridge
from auditor.stats.rank_features import RankFeatures

Floats = NDArray[np.float64]

_FEW = 6.0
"""By so much, over the units of the smaller side, an area's standard error is widened."""


def area_of(here: Floats, there: Floats, *, sides: Sides) -> Normal:
    """P(here < there) of cross-fitted scores, with a standard error that allows for it.

    Folds share training images, so that the area spreads more than one of given scores:
    simulated with samples of one source, 30 to 1,000 a side, 16 properties, 1.35 to 1.43 times
    as much. The factor used is that of a single split in halves, the square root of 2. The larger
    an area comes out, the smaller its standard error, so that of few units too many lower bounds
    lie above the truth: `_FEW` widens it for them (benchmarks/shift.py, margin).
    """
    units = {}
    if sides.clustered:
        units = {"unit_a": sides.here.unit, "unit_b": sides.there.unit}
    area = auc(here, there, **units)
    few = 1 + _FEW / min(sides.here.units(), sides.there.units())
    return replace(area, se=math.sqrt(2) * few * area.se)


def cross_fitted_scores(
    features: RankFeatures,
    *,
    sides: Sides,
    rng: np.random.Generator,
    photographs: NDArray[np.int64],
) -> tuple[Floats, Floats]:
    """For each image how much its features look like those there, by models that never saw it.

    `features` (n, d) are of images here, then there. Ridge regression on side, both sides weighing
    the same, five folds of whole units and of copies together (`photographs`: a number that copies
    share, (n,)); see `auditor.stats.classifier_test`. Returns scores of the images here and of
    those there, in their order.
    """
    fold = _folds(sides, rng=rng, photographs=photographs)
    n = len(sides.here.unit)
    side = np.arange(len(features)) >= n
    scores = np.empty(len(features))
    for k in range(FOLDS):
        held = fold == k
        seen = side[~held]
        # Both sides weigh the same, however unequal in size.
        weight = len(seen) * np.where(seen, 0.5 / seen.sum(), 0.5 / (~seen).sum())
        learnt = np.flatnonzero(~held)
        model = ridge(features, (seen - 0.5)[:, None], weight=weight, among=learnt)
        model.put_scores(scores, features, np.flatnonzero(held))
    return scores[:n], scores[n:]


def _folds(
    sides: Sides, *, rng: np.random.Generator, photographs: NDArray[np.int64]
) -> NDArray[np.int8]:
    """The fold of each image here, then there, (n,)."""
    fold = np.concatenate(
        [folds(side.units(), rng=rng)[side.unit] for side in (sides.here, sides.there)]
    )
    if len(np.unique(photographs)) == len(photographs):
        return fold
    apart = sides.there.unit + sides.here.unit.max() + 1
    unit = linked(np.concatenate([sides.here.unit, apart]), photographs)
    return folds(int(unit.max()) + 1, rng=rng)[unit]
