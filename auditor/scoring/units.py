"""Decisions for units: the photos of a room (a person, a video) make one answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.scoring.outcomes import Outcomes
from auditor.scoring.presence import OneHot, Presence, Several
from auditor.scoring.rows import Rows

UnitRule = Literal["mean", "majority", "worst"]
UNIT_RULES: tuple[UnitRule, ...] = ("mean", "majority", "worst")


@dataclass(frozen=True)
class UnitDecisions:
    """One answer for each unit whose truth is known, beside the truth.

    `names` (u,) str in order of appearance; `presence` has a row a unit: the classes that it holds
    and those that it is called to hold; `confidence` (u,) how sure its images were; `conflicting`
    (u,) bool, units whose images carry labels that exclude each other. `left_out` counts units
    without an image of known truth.
    """

    names: np.ndarray
    presence: Presence
    confidence: NDArray[np.float64]
    conflicting: NDArray[np.bool_]
    left_out: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.presence.exact()

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


class UnitVotes(Protocol):
    """What the images of each unit say, before a rule makes one answer of it."""

    def decide(self, rule: UnitRule) -> UnitDecisions:
        """Answer and truth of every unit."""
        ...


@dataclass(frozen=True)
class ClassVotes:
    """Votes of images that are of one class each.

    `means` (u, classes): mean probabilities; `answered` and `labelled` (u, classes): images
    with that answer, that label; `severity` (classes,) as `severities` gives it.
    """

    classes: tuple[str, ...]
    names: np.ndarray
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
        labels = _most(self.labelled, tie_break=self.severity)
        has_label = self.labelled.any(axis=1)
        return UnitDecisions(
            names=self.names[has_label],
            presence=OneHot(self.classes, labels[has_label], answers[has_label]),
            confidence=self.means[np.arange(len(answers)), answers][has_label],
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


@dataclass(frozen=True)
class SetVotes:
    """Votes of images that may hold several classes each, those of known truth alone.

    `present` and `called` (u, classes): images that hold a class, and images called to; `sizes`
    (u,) images; `confidence` (u,) of the surest.
    """

    classes: tuple[str, ...]
    names: np.ndarray
    sizes: NDArray[np.int64]
    present: NDArray[np.int64]
    called: NDArray[np.int64]
    confidence: NDArray[np.float64]
    left_out: int

    def decide(self, rule: UnitRule) -> UnitDecisions:
        """The classes of every unit, by one rule for those it holds and those it is called to hold.

        ``worst``: of any image. ``majority``, and ``mean``: of more than half of its images.
        """
        least = 0 if rule == "worst" else self.sizes[:, None] // 2
        return UnitDecisions(
            names=self.names,
            presence=Several(self.classes, self.present > least, self.called > least),
            confidence=self.confidence,
            conflicting=np.zeros(len(self.names), dtype=bool),
            left_out=self.left_out,
        )


def set_votes(rows: Rows) -> SetVotes:
    """Gather the images of every unit, from rows of images.

    Raises ValueError when the manifest names no unit.
    """
    known = rows.with_truth
    owner, names = _owners(known.units)
    n = len(names)
    confidence = np.zeros(n)
    np.maximum.at(confidence, owner, np.nan_to_num(known.confidence))

    def counted(holds: Callable[[str], NDArray[np.bool_]]) -> NDArray[np.int64]:
        each = [np.bincount(owner[holds(c)], minlength=n) for c in rows.classes]
        return np.stack(each, axis=1)

    return SetVotes(
        classes=rows.classes,
        names=names,
        sizes=np.bincount(owner, minlength=n),
        present=counted(known.present),
        called=counted(known.called),
        confidence=confidence,
        left_out=len(_owners(rows.units)[1]) - n,
    )


def _owners(units: np.ndarray | None) -> tuple[NDArray[np.int64], np.ndarray]:
    """The place of each image's unit among the names of units, and those."""
    if units is None:
        raise ValueError("units: the manifest names none; declare `Units` among the needs")
    owner, names = pd.factorize(units)
    return owner, np.asarray(names, dtype=object)


def unit_votes(outcomes: Outcomes, *, adverse: Sequence[str] = ()) -> ClassVotes:
    """Gather the images of every unit; `adverse` classes are the gravest.

    Raises ValueError when the manifest names no unit.
    """
    owner, names = _owners(outcomes.units)
    n_classes, has = len(outcomes.classes), outcomes.labelled
    sizes = np.bincount(owner, minlength=len(names))
    return ClassVotes(
        classes=outcomes.classes,
        names=names,
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
