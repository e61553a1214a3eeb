"""What features tell of targets, by models that never saw the row, its unit or its target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.classifier_test import FOLDS, folds, ridge
from auditor.stats.two_samples import p_of

PERMUTATIONS = 399
"""Times that targets are dealt anew; p-values reach 0.0025."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Folds = NDArray[np.int8]


def folds_of(unit: Codes, *, rng: np.random.Generator) -> Folds:
    """The fold of each row, (n,), whole units together; `unit` (n,) codes without gaps."""
    dealt: Folds = folds(int(unit.max(initial=-1)) + 1, rng=rng)[unit]
    return dealt


def out_of_fold(
    features: Floats, targets: Floats, *, fold: Folds, weight: Floats | None = None
) -> Floats:
    """Scores of `targets` (n, t) by ridge regression on `features` (n, d), out of fold; (n, t).

    The penalty is d, which for standardised features expects of all of them together to explain
    about half of a target's variance; without the targets' mean, as in `Ridge.scores`. `weight`
    (n,) counts rows, none negative.
    """
    scores = np.zeros(targets.shape)
    for k in range(FOLDS):
        held = fold == k
        if not held.any() or held.all():
            continue
        rows = None if weight is None else weight[~held] * ((~held).sum() / weight[~held].sum())
        model = ridge(
            features[~held], targets[~held], weight=rows, penalty=float(features.shape[1])
        )
        scores[held] = model.scores(features[held])
    return scores


@dataclass(frozen=True)
class Exchangeable:
    """One cell of rows a unit, all of one stratum and one target: what can be dealt anew.

    `first` (m,) is a row of each cell, by which its stratum and target are known; `cell` (n,) is
    the cell of each row, -1 of rows in none.
    """

    first: Codes
    cell: Codes

    def means(self, values: Floats) -> Floats:
        """The mean of `values` (n, d) in each cell, (m, d)."""
        inside = self.cell >= 0
        of = self.cell[inside]
        return _sums(values[inside], of) / np.bincount(of)[:, None]


def exchangeable(unit: Codes, kind: Codes, *, rng: np.random.Generator) -> Exchangeable:
    """Of each unit the rows of one `kind` (stratum and target), chosen by a random row of it.

    Rows of one unit are alike, and its rows of several kinds are not exchanged independently.
    `unit`, `kind` (n,) codes.
    """
    shuffled = rng.permutation(len(unit))
    first = shuffled[np.unique(unit[shuffled], return_index=True)[1]]
    chosen = np.full(int(unit.max(initial=-1)) + 1, -1, dtype=np.int64)
    chosen[unit[first]] = kind[first]
    place = np.full(len(chosen), -1, dtype=np.int64)
    place[unit[first]] = np.arange(len(first))
    return Exchangeable(first, np.where(chosen[unit] == kind, place[unit], -1))


def permutation_p(
    features: Floats,
    targets: Floats,
    *,
    strata: Codes | None,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> float:
    """P-value of "given the stratum, features tell nothing of any target".

    The largest correlation, over targets, of a target with its out-of-fold score, both less their
    stratum's mean, against that of targets dealt anew among rows of the same stratum. Folds and
    penalty do not depend on targets, so that the test is exact for exchangeable rows.

    Parameters
    ----------
    features : (m, d), targets : (m, t), of independent rows.
    strata : (m,) codes from 0, None for one.
    """
    code = np.zeros(len(features), dtype=np.int64) if strata is None else strata
    seen, told = less_stratum_mean(features, code), less_stratum_mean(targets, code)
    order = np.stack([_dealt(code, rng) for _ in range(permutations)])
    dealt = np.concatenate([told[None], told[order]])
    wide = dealt.transpose(1, 0, 2).reshape(len(told), -1)
    scores = out_of_fold(seen, wide, fold=folds_of(np.arange(len(told)), rng=rng))
    scores = less_stratum_mean(scores, code)
    both = np.einsum("ij,ij->j", scores, wide)
    size = np.sqrt(np.einsum("ij,ij->j", scores, scores) * np.einsum("ij,ij->j", wide, wide))
    related = np.divide(both, size, out=np.zeros_like(both), where=size > 0)
    return p_of(related.reshape(permutations + 1, -1).max(axis=1))


def _dealt(strata: Codes, rng: np.random.Generator) -> Codes:
    """Positions dealt anew within each stratum, (m,)."""
    place = np.argsort(strata, kind="stable")
    order = np.empty(len(strata), dtype=np.int64)
    order[place] = np.lexsort((rng.random(len(strata)), strata))
    return order


def less_stratum_mean(values: Floats, strata: Codes) -> Floats:
    """`values` (m, d) less the mean of their stratum."""
    if not strata.any():
        return np.asarray(values - values.mean(axis=0))
    code = np.unique(strata, return_inverse=True)[1]
    found: Floats = values - (_sums(values, code) / np.bincount(code)[:, None])[code]
    return found


def _sums(values: Floats, code: Codes) -> Floats:
    """Sums of `values` (m, d) by code, (codes, d); codes without gaps."""
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(int(code.max()) + 1))
    found: Floats = np.add.reduceat(values[order], starts, axis=0)
    return found
