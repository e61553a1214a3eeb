"""What a cue tells of the label out of fold, and how the model's answers go with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.data.cues import Cue
from auditor.scoring.rows import Rows
from auditor.stats import Normal
from auditor.stats.areas import Area, area_within, mean_area
from auditor.stats.out_of_fold import Folds, exchangeable, out_of_fold, permutation_p
from auditor.stats.rank_features import rank_features
from auditor.stats.two_samples import pooled_components

_COMPONENTS = 32

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Looked:
    """The images looked at: codes of their units (n,), their cues, and whether they hold each of
    the classes that are told, `truth` (n, classes). `of_all` is of how many they were drawn.
    """

    rows: Rows
    unit: Codes
    cues: tuple[Cue, ...]
    classes: tuple[str, ...]
    truth: Floats
    of_all: int

    @property
    def drawn(self) -> dict[str, Any]:
        """Facts: how many were drawn, where not all were looked at."""
        n = len(self.rows)
        return {} if n == self.of_all else {"drawn": n, "of_all": self.of_all}


@dataclass(frozen=True)
class Followed:
    """Answers beside what a cue points to: (m,) each, of an image, or of an image and a class.

    `aligned` and `conflicting` mark those whose cue points to what is true and elsewhere, of
    strata (equal truth) that have both.
    """

    success: Mask
    strata: Codes
    aligned: Mask
    conflicting: Mask
    unit: Codes
    image: Codes


@dataclass(frozen=True)
class Told:
    """What a cue tells of each class out of fold, its p-value, and the answers beside it."""

    cue: Cue
    areas: tuple[Area, ...]
    offered: Normal
    p: float
    followed: Followed


def told_by(
    cue: Cue, looked: Looked, *, fold: Folds, rng: np.random.Generator, permutations: int
) -> Told:
    features = features_of(cue)
    targets = looked.truth - looked.truth.mean(axis=0)
    scores = out_of_fold(features, targets, fold=fold, weight=_weight(looked))
    areas = tuple(
        area
        for score, there in zip(scores.T, looked.truth.T > 0, strict=True)
        if (area := area_within(score, there, unit=looked.unit)) is not None
    )
    pattern = np.unique(looked.truth, axis=0, return_inverse=True)[1].ravel()
    cells = exchangeable(looked.unit, pattern, rng=rng)
    p = permutation_p(
        cells.means(features), looked.truth[cells.first], strata=None, rng=rng,
        permutations=permutations,
    )  # fmt: skip
    unit = looked.unit if looked.rows.dataset.has_units else None
    return Told(cue, areas, mean_area(areas, unit=unit), p, followed(scores, looked))


def features_of(cue: Cue) -> Floats:
    ranks = rank_features(cue.values, squares=not cue.many)
    reduced = pooled_components(ranks, most=_COMPONENTS) if cue.many else None
    return ranks if reduced is None else reduced


def _weight(looked: Looked) -> Floats:
    """Units weigh the same; of a classifier's labels each does, too, so that none is a guess."""
    weight: Floats = 1.0 / np.bincount(looked.unit)[looked.unit]
    if looked.rows.presence.one_each:
        pattern = np.unique(looked.truth, axis=0, return_inverse=True)[1].ravel()
        weight = weight / np.bincount(pattern, weights=weight)[pattern]
    return weight


def followed(scores: Floats, looked: Looked) -> Followed:
    """What a cue points to, from its out-of-fold scores (n, classes), beside truth and answer."""
    n, k = looked.truth.shape
    truth = looked.truth > 0
    if looked.rows.presence.one_each:
        # The labels that are not told are one more, to which all scores low point.
        hint = (
            np.where((scores > 0).any(axis=1), scores.argmax(axis=1), k)
            if k == 1
            else (scores.argmax(axis=1))
        )
        strata = np.where(truth.any(axis=1), truth.argmax(axis=1), k)
        known = truth.any(axis=1) | (k == 1)
        agrees, image = hint == strata, np.arange(n)
        return _comparable(looked.rows.right, strata, agrees & known, ~agrees & known,
                           unit=looked.unit, image=image)  # fmt: skip
    share = truth.mean(axis=0)
    cut = np.array([np.quantile(s, 1 - p) for s, p in zip(scores.T, share, strict=True)])
    called = np.column_stack([looked.rows.called(label) for label in looked.classes])
    agrees = ((scores > cut) == truth).ravel()
    return _comparable(
        (called == truth).ravel(),
        (2 * np.arange(k) + truth).ravel(),
        agrees,
        ~agrees,
        unit=np.repeat(looked.unit, k),
        image=np.repeat(np.arange(n), k),
    )


def _comparable(
    success: Mask, strata: Codes, aligned: Mask, conflicting: Mask, *, unit: Codes, image: Codes
) -> Followed:
    both = np.array(
        [
            (aligned & (strata == s)).any() and (conflicting & (strata == s)).any()
            for s in range(int(strata.max()) + 1)
        ]
    )[strata]
    return Followed(success, strata, aligned & both, conflicting & both, unit, image)
