"""How a grouping of images goes with their labels, and whether outcomes follow it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats import Draws, RateDifference, draws_of, permutation_test
from auditor.stats.codes import codes_of, distinct
from auditor.stats.design_effects import design_effect
from auditor.stats.resampling import unit_draws

MOST_LABELS = 20
"""Labels kept apart; rarer ones are one label together, or tables would be all gaps."""

PERMUTED = 5000
"""Images that the permutation test uses at most."""

_DRAWS = 2000

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Names = NDArray[np.object_]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Association:
    """A grouping beside the labels of n images.

    `groups` and `labels` (n,) index `group_names` and `label_names` (class indices, -1 for
    classes that are pooled). `strength` is the corrected Cramér's V, `p` the test of no
    association. `aligned` marks images whose label is commoner in their group than elsewhere,
    `conflicting` those whose label is rarer; `comparable` those of labels that have both.
    `expected` (groups, labels) are image counts if the two were unrelated.
    """

    groups: Codes
    labels: Codes
    group_names: tuple[str, ...]
    label_names: tuple[int, ...]
    strength: Draws
    p: float
    expected: Floats
    aligned: Mask
    conflicting: Mask

    @property
    def comparable(self) -> Mask:
        both = [
            (self.aligned & (self.labels == c)).any()
            and (self.conflicting & (self.labels == c)).any()
            for c in range(len(self.label_names))
        ]
        found: Mask = np.array(both, dtype=bool)[self.labels]
        return found


def associated(
    labels: Codes, groups: Names, *, unit: Names | Codes | None,
    rng: np.random.Generator,
) -> Association:  # fmt: skip
    """How `groups` (n,) go with `labels` (n,): two of each or more, two units or more.

    Cramér's V squared is corrected by its bootstrap bias (Efron & Tibshirani 1993, chapter 10),
    which for independent images is the correction of Bergsma (2013,
    doi:10.1016/j.jkss.2012.10.002), and for images of units allows for their resemblance; whole
    units are drawn. The p-value is that of chi-squared divided by the design effect that this
    bias implies (Rao & Scott 1981, doi:10.1080/01621459.1981.10477633).
    """
    folded, names = _folded(labels)
    group, group_names = codes_of(groups), sorted(set(groups.tolist()))
    shape = (len(group_names), len(names))
    table = np.bincount(group * shape[1] + folded, minlength=shape[0] * shape[1])
    counts = table.reshape(shape).astype(np.float64)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    excess = (counts - expected)[group, folded]
    strength, p = _strength(group * shape[1] + folded, shape, unit=unit, rng=rng)
    return Association(
        groups=group,
        labels=folded,
        group_names=tuple(str(name) for name in group_names),
        label_names=names,
        strength=strength,
        p=p,
        expected=expected,
        # Counts and their products are exact below 2**53; the slack is for the division.
        aligned=excess > 1e-9,
        conflicting=excess < -1e-9,
    )


def aligned_minus_conflicting(
    success: Mask, labels: Codes, *, aligned: Mask, conflicting: Mask,
    unit: Names | Codes | None = None,
) -> RateDifference:  # fmt: skip
    """The rate of success among aligned minus conflicting images of the same label.

    Labels are weighted by ``n_aligned * n_conflicting / (both)`` (Mantel & Haenszel 1959,
    doi:10.1093/jnci/22.4.719). Without it the mix of labels, which differs between the sides,
    would make an easy label look like a shortcut. Counts are effective: of the weights (Kish
    1965) and of units, as in `auditor.stats.clusters`.

    Parameters
    ----------
    success : (n,) bool.
    labels : (n,) the strata; each must have aligned and conflicting images.
    unit : (n,) labels, None where every image is its own.
    """
    sides = (aligned, conflicting)
    weight = np.zeros(len(labels))
    residual = np.zeros(len(labels))
    for label in np.unique(labels[aligned | conflicting]):
        cells = [side & (labels == label) for side in sides]
        sizes = [int(cell.sum()) for cell in cells]
        shared = sizes[0] * sizes[1] / (sizes[0] + sizes[1])
        for cell, size, sign in zip(cells, sizes, (1.0, -1.0), strict=True):
            weight[cell] = shared / size
            residual[cell] = sign * (success[cell] - success[cell].mean()) * shared / size
    taken = aligned | conflicting
    worth = design_effect(residual[taken], unit=None if unit is None else unit[taken])
    rates = [float(weight[s] @ success[s]) / float(weight[s].sum()) for s in sides]
    sizes_kish = [float(weight[s].sum() ** 2 / (weight[s] ** 2).sum()) for s in sides]
    n, n_rest = (size / worth.deff for size in sizes_kish)
    x, x_rest = (min(r, 1.0) * size for r, size in zip(rates, (n, n_rest), strict=True))
    df = None
    if unit is not None:
        # The side with fewer units decides how well the spread is known.
        df = min(distinct(unit[side]) for side in sides) - 1
    return RateDifference(x, n, x_rest, n_rest, df)


def depends_on_group(
    score: Floats, found: Association, *, unit: Names | Codes | None,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """P-value of "given the label, scores do not depend on the group", by permutation.

    Scores (n,) are permuted among images of the same label; the statistic is their variance
    between the groups of each label. One image a unit and label is used.
    """
    chosen = _one_a_unit(found.labels, unit=unit, rng=rng)
    cell = found.groups[chosen] * len(found.label_names) + found.labels[chosen]
    labels = found.labels[chosen]
    centred = score[chosen] - (
        np.bincount(labels, weights=score[chosen]) / np.maximum(np.bincount(labels), 1)
    )[labels]  # fmt: skip
    size = np.maximum(np.bincount(cell), 1)

    def between(values: Floats) -> float:
        return float((np.bincount(cell, weights=values) ** 2 / size).sum())

    return permutation_test(between, centred, rng=rng, strata=labels).p_value


def answers_depend_on_group(
    answers: Codes, found: Association, *, unit: Names | Codes | None,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """Likewise of answers (n,): what is answered in place of a label may go with the group alone.

    With many classes a group may draw answers to its own one from all labels, and cost the scores
    of all labels alike in every group.
    """
    chosen = _one_a_unit(found.labels, unit=unit, rng=rng)
    labels = found.labels[chosen]
    folded, names = _folded(answers[chosen])
    cell = found.groups[chosen] * len(found.label_names) + labels
    size = np.maximum(np.bincount(cell), 1)

    def between(values: Codes) -> float:
        counts = np.bincount(cell * len(names) + values, minlength=len(size) * len(names))
        return float((counts.reshape(-1, len(names)) ** 2 / size[:, None]).sum())

    return permutation_test(between, folded, rng=rng, strata=labels).p_value


def units_by_label(labels: Codes, *, unit: Names | Codes | None) -> int:
    """How many images tell of that: one a unit and label."""
    if unit is None:
        return len(labels)
    return distinct(codes_of(unit) * (int(labels.max()) + 1) + labels)


def _folded(labels: Codes) -> tuple[Codes, tuple[int, ...]]:
    """Codes of the commonest labels, the rest as one; and the class index of each code."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) <= MOST_LABELS:
        return np.searchsorted(classes, labels), tuple(int(c) for c in classes)
    kept = np.sort(classes[np.argsort(-counts, kind="stable")[: MOST_LABELS - 1]])
    at = np.minimum(np.searchsorted(kept, labels), len(kept) - 1)
    code = np.where(kept[at] == labels, at, len(kept))
    return code, (*(int(c) for c in kept), -1)


def _strength(
    cell: Codes, shape: tuple[int, int], *, unit: Names | Codes | None,
    rng: np.random.Generator,
) -> tuple[Draws, float]:  # fmt: skip
    from scipy.special import chdtrc

    tables = _resampled(cell, shape[0] * shape[1], unit=unit, rng=rng)
    observed = np.bincount(cell, minlength=shape[0] * shape[1]).astype(np.float64)
    phi2 = _phi2(observed[None], shape)[0]
    if (np.abs(_phi2(tables, shape) - phi2) < 1e-9).mean() > 0.9:
        tables = _with_one_missed(tables, observed, shape, rng=rng)
    resampled = _phi2(tables, shape)
    bias = max(float(resampled.mean()) - phi2, 0.0)
    most = min(shape) - 1
    df = (shape[0] - 1) * (shape[1] - 1)
    # A resample of a resample is biased once more.
    draws = np.sqrt(np.clip((resampled - 2 * bias) / most, 0, 1))
    effect = max(1.0, bias * len(cell) / df)
    p = float(chdtrc(df, phi2 * len(cell) / effect))
    return draws_of(float(np.sqrt(np.clip((phi2 - bias) / most, 0, 1))), samples=draws), p


def _resampled(
    cell: Codes, cells: int, *, unit: Names | Codes | None, rng: np.random.Generator
) -> Floats:
    """Tables of resampled images, or of whole units, (draws, cells)."""
    if unit is None:
        share = np.bincount(cell, minlength=cells) / len(cell)
        return rng.multinomial(len(cell), share, size=_DRAWS).astype(np.float64)
    owner = codes_of(unit)
    units = int(owner.max()) + 1
    each = np.ones(len(cell))
    counted = np.bincount(owner * cells + cell, weights=each, minlength=units * cells)
    by_unit = counted.reshape(units, cells)
    drawn = unit_draws(units, draws=_DRAWS, rng=rng)
    return np.concatenate([times @ by_unit for times in drawn])


def _with_one_missed(
    tables: Floats, observed: Floats, shape: tuple[int, int], *, rng: np.random.Generator
) -> Floats:
    """Tables that hold a share of one kind of image that was not seen, (draws, cells).

    Where each label has groups of its own nearly every resample says the same, and so would
    claim certainty. The share has the distribution of the exact bounds of what was never seen,
    Beta(1, n) (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404), n being the images or, with
    units, as many as the resamples' spread allows; it is of the empty cell that weakens most.
    """
    share = observed / observed.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        worth = share * (1 - share) / (tables / tables.sum(axis=1, keepdims=True)).var(axis=0)
    n = min(float(observed.sum()), float(np.min(worth, where=share > 0, initial=np.inf)))
    kinds = np.eye(len(observed))[observed == 0]
    weaker = _phi2(0.9 * share + 0.1 * kinds, shape)
    missed = rng.beta(1.0, n, len(tables))[:, None]
    mixed: Floats = (1 - missed) * share + missed * kinds[weaker.argmin()]
    return mixed


def _phi2(tables: Floats, shape: tuple[int, int]) -> Floats:
    """Chi-squared over n of each table (draws, cells); empty rows and columns add nothing."""
    counts = tables.reshape(-1, *shape)
    n = counts.sum(axis=(1, 2), keepdims=True)
    expected = counts.sum(axis=2, keepdims=True) * counts.sum(axis=1, keepdims=True) / n
    terms = np.divide(
        (counts - expected) ** 2, expected, out=np.zeros_like(counts), where=expected > 0
    )
    phi2: Floats = terms.sum(axis=(1, 2)) / n[:, 0, 0]
    return phi2


def _one_a_unit(labels: Codes, *, unit: Names | Codes | None, rng: np.random.Generator) -> Codes:
    shuffled = rng.permutation(len(labels))
    if unit is not None:
        owner = codes_of(unit)
        key = owner * (int(labels.max()) + 1) + labels
        shuffled = shuffled[np.unique(key[shuffled], return_index=True)[1]]
        shuffled = rng.permutation(shuffled)
    return np.sort(shuffled[:PERMUTED])
