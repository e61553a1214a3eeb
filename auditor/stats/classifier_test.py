"""Whether a classifier tells two samples apart that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.row_blocks import ManyNumbers, row_blocks
from auditor.stats.two_samples import PERMUTATIONS, TwoSamples, p_of

FOLDS = 5
_DEALS = 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassifierTest:
    """`area` is how often a unit of the second sample scores above one of the first.

    `scores` (n,) are the images', each by a model that saw none of its unit; `null`
    (permutations,) the areas where sides were dealt anew.
    """

    area: float
    p_value: float
    scores: Floats
    null: Floats


def classifier_test(
    features: ManyNumbers,
    samples: TwoSamples,
    *,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> ClassifierTest:
    """Classifier two-sample test with ridge regression, cross-fitted, and a permutation test.

    Lopez-Paz & Oquab (2017), arXiv:1610.06545, with a linear model in closed form: five folds of
    whole units, penalty ``max(1, d / 10)`` on the summed squares, trained on the means of units.
    Neither folds nor the matrix to invert depend on the sides, so that all deals are solved for
    together and the test is exact. One-sided: areas below 0.5 show nothing.

    Parameters
    ----------
    features : (n, d), in the order of `samples`.

    Raises
    ------
    ValueError
        If there are fewer units than folds, or none on a side.
    """
    units = len(samples.sizes)
    there = int(samples.side.sum())
    if units < FOLDS or there in (0, units):
        raise ValueError(f"classifier test: found {units - there} and {there} units, expected both")
    fold = folds(units, rng=rng)
    sides = samples.deals(rng=rng, permutations=permutations)
    means = samples.means(features)
    dealt = np.empty(sides.shape)
    scores = np.empty(len(samples))
    for k in range(FOLDS):
        held = fold == k
        model = ridge(means[~held], sides[~held].astype(np.float64))
        dealt[held] = model.scores(means[held])
        model.put_scores(scores, features, np.flatnonzero(held[samples.unit]))
    areas = _areas(dealt, sides)
    return ClassifierTest(float(areas[0]), p_of(areas), scores, areas[1:])


def folds(units: int, *, rng: np.random.Generator) -> NDArray[np.int8]:
    """The fold of each unit, (units,), all of nearly the same size."""
    dealt: NDArray[np.int64] = rng.permutation(units) % FOLDS
    return dealt.astype(np.int8)


@dataclass(frozen=True)
class Ridge:
    """Linear models of k targets, (d, k), about the mean of what they were fitted to, (d,)."""

    coefficients: Floats
    mean: Floats

    def scores(self, features: Floats) -> Floats:
        """(n, k), 0 for the mean of what the models were fitted to.

        Without the targets' own mean: the fewer of a side a fold was trained on the more it holds,
        and that mean would tell the sides apart the wrong way round.
        """
        found: Floats = (features - self.mean) @ self.coefficients
        return found

    def put_scores(self, into: Floats, features: ManyNumbers, rows: NDArray[np.int64]) -> None:
        """Write the scores by the first model of the `rows` of `features` to their places (m,)."""
        for part in row_blocks(len(rows), width=features.shape[1]):
            into[rows[part]] = self.scores(features[rows[part]])[:, 0]


def ridge(
    features: ManyNumbers,
    targets: Floats,
    *,
    weight: Floats | None = None,
    penalty: float | None = None,
    among: NDArray[np.int64] | None = None,
) -> Ridge:
    """Ridge regression of `targets` (n, k) on the rows `among` (n,) of `features` (m, d).

    All rows where it is None. `weight` (n,) has the sum n; every row weighs 1 where it is None.
    `penalty` is ``max(1, d / 10)`` where None.
    """
    n, wide = len(targets), features.shape[1]
    rows = np.ones(n) if weight is None else weight
    # A part at a time: of a million rows copies would fill the memory.
    parts = list(row_blocks(n, width=wide))

    def taken(part: slice) -> Floats:
        return features[part] if among is None else features[among[part]]

    mean = sum((rows[part] @ taken(part) for part in parts), np.zeros(wide)) / n
    gram, aim = np.zeros((wide, wide)), np.zeros((wide, targets.shape[1]))
    for part in parts:
        centred = taken(part) - mean
        weighted = centred if weight is None else centred * rows[part, None]
        gram += weighted.T @ centred
        aim += weighted.T @ targets[part]
        # Else they are held while those of the next part are made.
        del centred, weighted
    least = max(1.0, 0.1 * wide) if penalty is None else penalty
    gram[np.diag_indices_from(gram)] += least
    solved = np.linalg.solve(gram, aim)
    return Ridge(np.asarray(solved, dtype=np.float64), np.asarray(mean, dtype=np.float64))


def _areas(scores: Floats, sides: NDArray[np.bool_]) -> Floats:
    """P(first < second) of each column, ties half, (k,)."""
    from scipy.stats import rankdata

    there = sides.sum(axis=0)
    sums = np.empty(sides.shape[1])
    # Ranks of all deals at a time would be several times their scores.
    for start in range(0, len(sums), _DEALS):
        part = slice(start, start + _DEALS)
        ranks = rankdata(scores[:, part], axis=0)
        sums[part] = np.einsum("ij,ij->j", ranks, sides[:, part].astype(np.float64))
    areas: Floats = (sums - there * (there + 1) / 2) / (there * (len(sides) - there))
    return areas
