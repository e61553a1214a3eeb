"""Decisions for units: the photos of a room (a person, a video) make one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.scoring.outcomes import Outcomes

UnitRule = Literal["mean", "majority", "worst"]
UNIT_RULES: tuple[UnitRule, ...] = ("mean", "majority", "worst")


@dataclass(frozen=True)
class UnitDecisions:
    """One answer for each unit that has a label, beside the label.

    `names` (u,) str in order of appearance; `labels` and `answers` (u,) class indices;
    `confidence` (u,) mean probability of the answer over the unit's images; `sizes` (u,)
    images; `conflicting` (u,) bool, units whose images carry different labels. `left_out`
    counts units without a labelled image.
    """

    names: np.ndarray
    labels: NDArray[np.int64]
    answers: NDArray[np.int64]
    confidence: NDArray[np.float64]
    sizes: NDArray[np.int64]
    conflicting: NDArray[np.bool_]
    left_out: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.labels == self.answers
        return right

    def __len__(self) -> int:
        return len(self.names)


def severities(classes: Sequence[str], *, adverse: Sequence[str] = ()) -> NDArray[np.int64]:
    """How grave each class is, (classes,), larger is graver.

    Classes later in the spec are graver; where adverse classes are named, each of them is
    graver than all others.
    """
    order = np.arange(len(classes))
    named = np.array([name in adverse for name in classes], dtype=bool)
    ranks: NDArray[np.int64] = order + len(classes) * named
    return ranks


@dataclass(frozen=True)
class UnitVotes:
    """What the images of each unit say, before a rule makes one answer of it.

    `means` (u, classes): mean probabilities; `answered` and `labelled` (u, classes): images
    with that answer, that label; `severity` (classes,) as `severities` gives it.
    """

    names: np.ndarray
    sizes: NDArray[np.int64]
    means: NDArray[np.float64]
    answered: NDArray[np.int64]
    labelled: NDArray[np.int64]
    severity: NDArray[np.int64]

    def decide(self, rule: UnitRule) -> UnitDecisions:
        """Answer and label of every unit.

        ``mean``: the class with the highest mean probability. ``majority``: the class answered
        for most images, of equals the one with the higher mean probability. ``worst``: the
        gravest class answered for any image. The label is the one most images carry, of equals
        the gravest. All images of a unit take part in its answer, labelled ones in its label.
        """
        answers = self._answers(rule)
        has_label = self.labelled.any(axis=1)
        return UnitDecisions(
            names=self.names[has_label],
            labels=_most(self.labelled, tie_break=self.severity)[has_label],
            answers=answers[has_label],
            confidence=self.means[np.arange(len(answers)), answers][has_label],
            sizes=self.sizes[has_label],
            conflicting=((self.labelled > 0).sum(axis=1) > 1)[has_label],
            left_out=int((~has_label).sum()),
        )

    def _answers(self, rule: UnitRule) -> NDArray[np.int64]:
        match rule:
            case "mean":
                likeliest: NDArray[np.int64] = self.means.argmax(axis=1)
                return likeliest
            case "majority":
                return _most(self.answered, tie_break=self.means)
            case "worst":
                return _most(self.answered > 0, tie_break=self.severity)


def unit_votes(outcomes: Outcomes, *, adverse: Sequence[str] = ()) -> UnitVotes:
    """Gather the images of every unit; `adverse` classes are the gravest.

    Raises ValueError when the manifest names no unit.
    """
    units = outcomes.units
    if units is None:
        raise ValueError("units: the manifest names none; declare `Units` among the needs")
    owner, names = pd.factorize(units)
    n_classes, has = len(outcomes.classes), outcomes.labelled
    sizes = np.bincount(owner, minlength=len(names))
    return UnitVotes(
        names=np.asarray(names, dtype=object),
        sizes=sizes,
        means=_mean_probabilities(outcomes.probabilities, owner, sizes),
        answered=_votes(owner, outcomes.predicted, len(names), n_classes),
        labelled=_votes(owner[has], outcomes.labels[has], len(names), n_classes),
        severity=severities(outcomes.classes, adverse=adverse),
    )


def _votes(
    owner: np.ndarray, chosen: np.ndarray, n_units: int, n_classes: int
) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.bincount(
        owner * n_classes + chosen, minlength=n_units * n_classes
    )
    return counts.reshape(n_units, n_classes)


def _mean_probabilities(
    probabilities: np.ndarray, owner: np.ndarray, sizes: np.ndarray
) -> NDArray[np.float64]:
    if not len(sizes):
        return np.zeros((0, probabilities.shape[1]))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    together = probabilities[np.argsort(owner, kind="stable")]
    sums = np.add.reduceat(together, starts, axis=0, dtype=np.float64)
    means: NDArray[np.float64] = sums / sizes[:, None]
    return means


def _most(votes: np.ndarray, *, tie_break: np.ndarray) -> NDArray[np.int64]:
    """Column of the largest entry of each row, of equals the one with the largest `tie_break`."""
    largest = votes == votes.max(axis=1, keepdims=True)
    chosen: NDArray[np.int64] = np.where(largest, tie_break, -np.inf).argmax(axis=1)
    return chosen
