"""Sets of answers shifted on purpose, from which it is learned what a change of answers means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.data.image_names import ImageNames
from auditor.data.views import Corrupted
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rows import Rows
from auditor.shift.corruption_tables import FAMILIES
from auditor.stats.estimated_accuracy import Estimator, Shifted

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

MIX = "mix of classes"
_MIXES = 12
_CONCENTRATIONS = (2.0, 0.5)
"""Of the mixes drawn in turn (Dirichlet's): some near, some far from even."""
_LEAST_ANSWERS = 30
"""A set with fewer answers shows no share worth learning from."""


@dataclass(frozen=True)
class Answered:
    """Answers of a pass: what estimates are made of, whether each is right, and its image.

    `seen` are a classifier's scores (n, k), or (n,) how sure a detector is of each answer.
    `right` is False where the truth is not known (`known`); `labels` (n,) are a classifier's.
    """

    seen: Floats
    right: NDArray[np.bool_]
    known: NDArray[np.bool_]
    image_ids: ImageNames
    labels: Codes | None = None

    @classmethod
    def of_images(cls, found: Outcomes) -> Answered:
        scores = np.asarray(found.probabilities, dtype=np.float64)
        return cls(scores, found.correct, found.labelled, found.image_ids, found.labels)

    @classmethod
    def of_answers(cls, rows: Rows) -> Answered:
        seen = np.asarray(rows.confidence, dtype=np.float64)
        return cls(seen, rows.right, rows.known, rows.image_ids)

    def __len__(self) -> int:
        return len(self.right)

    def take(self, at: NDArray[np.bool_] | Codes) -> Answered:
        if at.dtype == np.bool_ and at.all():
            return self
        labels = None if self.labels is None else self.labels[at]
        return Answered(
            self.seen[at], self.right[at], self.known[at], self.image_ids.take(at), labels
        )  # fmt: skip

    def among(self, image_ids: ImageNames) -> NDArray[np.bool_]:
        """Which answers are to some of the images, (n,)."""
        found: NDArray[np.bool_] = image_ids.places_of(self.image_ids) >= 0
        return found

    def estimator(self) -> Estimator:
        """Learned from these answers, all of known truth."""
        if self.labels is None:
            return Estimator.of_confidence(self.seen, self.right)
        return Estimator.of_scores(self.seen, self.labels)


@dataclass(frozen=True)
class Simulated:
    """A set of answers shifted on purpose: of what family, how, how far, in what share of images.

    `severity` is 0 for another mix of classes.
    """

    family: str
    kind: str
    severity: int
    share: float
    answers: Answered


def shifted_of(sets: Sequence[Simulated], estimator: Estimator) -> Shifted:
    """What an estimator makes of sets, and what is true of them."""
    families = [one.family for one in sets]
    return Shifted(
        means=np.array([estimator.values(one.answers.seen).mean(axis=0) for one in sets]),
        right=np.array([float(one.answers.right.mean()) for one in sets]),
        family=np.unique(families, return_inverse=True)[1],
    )


def family_of(kind: str) -> str:
    """The family of a kind of corruption, by which kinds share a picture."""
    said = kind.replace("-", " ")
    return next((family for family, kinds in FAMILIES.items() if said in kinds), said)


def corrupted_sets(
    view: Corrupted, answers: Answered, as_shot: Answered, *, rng: np.random.Generator
) -> Iterator[Simulated]:
    """A sample all corrupted, and with half of its images, drawn at random, as shot."""
    family = family_of(view.kind)
    both = [(1.0, answers)]
    ids = answers.image_ids.distinct()
    half = rng.random(len(ids)) < 0.5
    parts = (
        answers.take(answers.among(ids.take(half))),
        as_shot.take(as_shot.among(ids.take(~half))),
    )
    both.append((0.5, joined(*parts)))
    for share, found in both:
        if len(found) >= _LEAST_ANSWERS:
            yield Simulated(family, view.kind, view.severity, share, found)


def joined(first: Answered, second: Answered) -> Answered:
    """The answers of both."""
    return Answered(
        seen=np.concatenate([first.seen, second.seen]),
        right=np.concatenate([first.right, second.right]),
        known=np.concatenate([first.known, second.known]),
        image_ids=ImageNames.of([*first.image_ids, *second.image_ids]),
        labels=None
        if first.labels is None or second.labels is None
        else np.concatenate([first.labels, second.labels]),
    )


def mixed_sets(known: Answered, *, size: int, rng: np.random.Generator) -> Iterator[Simulated]:
    """A classifier's answers drawn with replacement so that classes are otherwise common."""
    if known.labels is None:
        return
    present, at = np.unique(known.labels, return_inverse=True)
    counts = np.bincount(at)
    for draw in range(_MIXES if len(present) > 1 else 0):
        even = _CONCENTRATIONS[draw % len(_CONCENTRATIONS)]
        weight = (rng.dirichlet(np.full(len(present), even)) / counts)[at]
        drawn = rng.choice(len(known), size=size, p=weight / weight.sum())
        yield Simulated(MIX, MIX, 0, 1.0, known.take(drawn))
