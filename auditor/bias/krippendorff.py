"""Agreement between annotators: raw, and Krippendorff's alpha, with whole units resampled.

Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability",
https://repository.upenn.edu/asc_papers/43: for any number of annotators, with missing ratings,
``alpha = 1 - observed / expected disagreement``. 1 is agreement on everything, 0 is what ratings
dealt out by chance would show, below 0 is disagreement beyond chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.stats import Draws, draws_of, multinomial_bootstrap
from auditor.stats.codes import codes_of, compact

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_DRAWS = 2000
MOST_GRADES = 50
"""Ordinal alpha needs a table of all pairs of classes for each unit; beyond this many classes it
is not asked for."""


@dataclass(frozen=True)
class Pairs:
    """Every pair of ratings of one image: whether they agree, and the image's row."""

    agree: NDArray[np.bool_]
    row: Codes


def pairs(ratings: Codes) -> Pairs:
    """The pairs of ratings (n, annotators) of class indices, -1 where there is none."""
    packed = _packed(ratings)
    agree, rows = [np.zeros(0, dtype=bool)], [np.zeros(0, dtype=np.int64)]
    for a, b in combinations(range(packed.shape[1]), 2):
        both = np.flatnonzero(packed[:, b] >= 0)
        agree.append(packed[both, a] == packed[both, b])
        rows.append(both)
    return Pairs(np.concatenate(agree), compact(np.concatenate(rows)))


def alpha(ratings: Codes, *, ordinal: bool = False) -> float:
    """Krippendorff's alpha of (n, annotators) class indices, -1 where there is no rating.

    `ordinal` weighs a disagreement by how many ratings lie between the two classes; else all
    disagreements are alike. NaN where all ratings are of one class: there is nothing to agree on.
    """
    packed = _packed(ratings)
    if not len(_in_use(packed)):
        return math.nan
    sums = _sums(packed, np.zeros(len(packed), dtype=np.int64), ordinal=ordinal)
    return float(_alphas(sums, ordinal=ordinal)[0])


def alpha_draws(
    ratings: Codes, *, unit: NDArray[np.generic] | None, ordinal: bool, rng: np.random.Generator
) -> Draws | None:
    """Alpha with the quantiles of its resampling distribution, whole units resampled.

    None where it cannot be told: one class in all ratings, or in more than 1% of the resamples.
    Where nobody ever disagrees, resampling would claim certainty; the share of disagreements is
    then drawn from Beta(1, units), whose quantiles are Clopper & Pearson's (1934,
    doi:10.1093/biomet/26.4.404) upper bounds of a share of which nothing was seen.
    """
    paired = (ratings >= 0).sum(axis=1) > 1
    packed = _packed(ratings[paired])
    if len(_in_use(packed)) < 2:
        return None
    owner = codes_of(np.arange(len(packed)) if unit is None else unit[paired])
    if ((packed == packed[:, :1]) | (packed < 0)).all():
        return _never_disagreeing(packed, int(owner.max()) + 1, rng)
    # Units alike are one cell: the cost is that of the patterns, not of the images.
    patterns, counts = _patterns(_sums(packed, owner, ordinal=ordinal))
    try:
        return multinomial_bootstrap(
            counts,
            statistic=lambda drawn: _alphas(drawn @ patterns, ordinal=ordinal),
            rng=rng,
            draws=_DRAWS,
        )
    except ValueError:
        return None


def _never_disagreeing(ratings: Codes, units: int, rng: np.random.Generator) -> Draws:
    counts = np.bincount(ratings[ratings >= 0])
    differ = 1 - float(((counts / counts.sum()) ** 2).sum())
    return draws_of(1.0, samples=1 - rng.beta(1.0, units, _DRAWS) / differ)


def _packed(ratings: Codes) -> Codes:
    """Each image's ratings first, in as few columns as hold them; who gave them is lost."""
    most = int((ratings >= 0).sum(axis=1).max(initial=0))
    packed: Codes = -np.sort(-ratings, axis=1)[:, :most]
    return packed


def _in_use(ratings: Codes) -> Codes:
    """The classes that were given, in order."""
    return np.flatnonzero(np.bincount(ratings[ratings >= 0]))


def _patterns(sums: Floats) -> tuple[Floats, Codes]:
    """The different rows of sums, in order, and how many there are of each."""
    counted = pd.DataFrame(sums).groupby(list(range(sums.shape[1]))).size()
    patterns = np.array(counted.index.to_list(), dtype=np.float64)
    return patterns, np.asarray(counted, dtype=np.int64)


def _sums(packed: Codes, owner: Codes, *, ordinal: bool) -> Floats:
    """What alpha needs, summed by unit: coincidences of the classes in use, or their margins.

    Each ordered pair of ratings of an image counts 1 / (ratings of the image - 1). Ordinal:
    (units, classes * classes) coincidences; else (units, classes + 1), margins and the
    coincidences that disagree.
    """
    classes = _in_use(packed)
    coded = np.where(packed >= 0, np.searchsorted(classes, packed), -1)
    width = len(classes)
    columns = width**2 if ordinal else width + 1
    table = np.zeros((int(owner.max()) + 1) * columns)

    def add(at: Codes, column: Codes | int, weight: Floats) -> None:
        table[:] += np.bincount(at * columns + column, weights=weight, minlength=len(table))

    given = (coded >= 0).sum(axis=1)
    for a, b in permutations(range(coded.shape[1]), 2):
        both = np.flatnonzero((coded[:, a] >= 0) & (coded[:, b] >= 0))
        one, other, at = coded[both, a], coded[both, b], owner[both]
        weight = 1 / (given[both] - 1)
        add(at, one * width + other if ordinal else one, weight)
        if not ordinal:
            add(at, width, weight * (one != other))
    return table.reshape(-1, columns)


def _alphas(sums: Floats, *, ordinal: bool) -> Floats:
    """Alpha of each row of sums (draws, k); NaN without two classes."""
    width = round(sums.shape[1] ** 0.5) if ordinal else sums.shape[1] - 1
    if ordinal:
        matrix = sums.reshape(len(sums), width, width)
        margin = matrix.sum(axis=2)
        distance = _ordinal(margin)
        observed = (matrix * distance).sum(axis=(1, 2))
        expected = (margin[:, :, None] * margin[:, None, :] * distance).sum(axis=(1, 2))
    else:
        margin, observed = sums[:, :-1], sums[:, -1]
        expected = margin.sum(axis=1) ** 2 - (margin**2).sum(axis=1)
    n = margin.sum(axis=1)
    found: Floats = np.full(len(sums), np.nan)
    # Roundings of sums are no disagreement.
    there = expected > 1e-9 * n**2
    found[there] = 1 - (n[there] - 1) * observed[there] / expected[there]
    return found


def _ordinal(margin: Floats) -> Floats:
    """Squared ordinal distances, (draws, classes, classes): the ratings from one class to the
    other, half of those of the two classes themselves.
    """
    middle = np.cumsum(margin, axis=1) - margin / 2
    squared: Floats = (middle[:, :, None] - middle[:, None, :]) ** 2
    return squared
