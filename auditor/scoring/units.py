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
    counts units without a labelled image and images without a unit.
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


def decide_units(
    outcomes: Outcomes, *, rule: UnitRule, adverse: Sequence[str] = ()
) -> UnitDecisions:
    """Answer and label of every unit.

    ``mean``: the class with the highest mean probability. ``majority``: the class answered for
    most images, of equals the one with the higher mean probability. ``worst``: the gravest class
    answered for any image (see `severities`). The label is the one most images carry, of equals
    the gravest. All images of a unit take part in its answer, labelled ones in its label.

    Raises ValueError when the manifest names no unit.
    """
    units = outcomes.units
    if units is None:
        raise ValueError("units: the manifest names none; declare `Units` among the needs")
    owned = units != ""
    kept = outcomes if owned.all() else outcomes.take(owned)
    owner, names = pd.factorize(units[owned])
    n_classes = len(outcomes.classes)
    severity = severities(outcomes.classes, adverse=adverse)
    sizes = np.bincount(owner, minlength=len(names))
    means = _mean_probabilities(kept.probabilities, owner, sizes)
    answered = _votes(owner, kept.predicted, len(names), n_classes)
    labelled = _votes(owner[kept.labelled], kept.labels[kept.labelled], len(names), n_classes)
    answers = _decide(rule, means=means, votes=answered, severity=severity)
    has_label = labelled.any(axis=1)
    return UnitDecisions(
        names=np.asarray(names, dtype=object)[has_label],
        labels=_most(labelled, tie_break=severity)[has_label],
        answers=answers[has_label],
        confidence=means[np.arange(len(names)), answers][has_label],
        sizes=sizes[has_label],
        conflicting=((labelled > 0).sum(axis=1) > 1)[has_label],
        left_out=int((~has_label).sum() + (~owned).sum()),
    )


def _decide(
    rule: UnitRule, *, means: np.ndarray, votes: np.ndarray, severity: np.ndarray
) -> NDArray[np.int64]:
    match rule:
        case "mean":
            decided: NDArray[np.int64] = means.argmax(axis=1)
            return decided
        case "majority":
            return _most(votes, tie_break=means)
        case "worst":
            return _most(votes > 0, tie_break=np.broadcast_to(severity, votes.shape))


def _votes(owner: np.ndarray, chosen: np.ndarray, n_units: int, n_classes: int) -> np.ndarray:
    counts = np.bincount(owner * n_classes + chosen, minlength=n_units * n_classes)
    return counts.reshape(n_units, n_classes)


def _mean_probabilities(
    probabilities: np.ndarray, owner: np.ndarray, sizes: np.ndarray
) -> NDArray[np.float64]:
    sums = np.zeros((len(sizes), probabilities.shape[1]))
    np.add.at(sums, owner, probabilities)
    means: NDArray[np.float64] = sums / sizes[:, None]
    return means


def _most(votes: np.ndarray, *, tie_break: np.ndarray) -> NDArray[np.int64]:
    """Column of the largest entry of each row, of equals the one with the largest `tie_break`."""
    largest = votes == votes.max(axis=1, keepdims=True)
    chosen: NDArray[np.int64] = np.where(largest, tie_break, -np.inf).argmax(axis=1)
    return chosen
