"""Detections at one operating point: which objects are found, and what is wrong with the rest.

The kinds are those of TIDE (Bolya et al. 2020, arXiv:2008.08115). An answer that found nothing is
the first of them, as they stand in `AnswerKind`, that holds of any object that it overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from auditor.data.boxes import Boxes, Detections
from auditor.scoring.matching import match
from auditor.scoring.overlaps import Pairs, overlaps

Ints = NDArray[np.int64]

NOTHING = -1
"""The class of what is not there: of an answer where no object is, or of an object not found."""

BACKGROUND_IOU = 0.1
"""Answers that overlap every object by less are of the background, as in TIDE."""


class AnswerKind(StrEnum):
    """What an answer is; `IGNORED` took an object that does not count."""

    RIGHT = "right"
    DUPLICATE = "duplicate"
    WRONG_CLASS = "wrong class"
    POOR_BOX = "poor box"
    BOTH = "wrong class and poor box"
    BACKGROUND = "background"
    IGNORED = "ignored"


@dataclass(frozen=True)
class OperatingPoint:
    """The scores from which answers count, and the overlap from which they found an object."""

    confidence: float
    iou: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.confidence <= 1 and BACKGROUND_IOU <= self.iou <= 1):
            raise ValueError(
                f"operating point: found {self}, expected a confidence from 0 to 1 and an IoU from "
                f"{BACKGROUND_IOU} to 1; correct the audit spec"
            )


@dataclass(frozen=True)
class Judged:
    """Answers and objects at an operating point.

    `answers` are those that count, `kinds` (answers,) what each is, `meant` (answers,) the class
    of the object that an answer is of by place alone, `NOTHING` where it is of none. `found`
    (objects,) bool; `said` (objects,) the class of the surest answer at an object's place, its own
    where it is found, `NOTHING` where there is none; `confidence` (objects,) that answer's score,
    0 where there is none. `missed` (objects,) are objects that no answer comes near: none of their
    class from `BACKGROUND_IOU` on, and none of another at their place.
    """

    answers: Detections
    kinds: NDArray[np.object_]
    meant: Ints
    found: NDArray[np.bool_]
    said: Ints
    confidence: NDArray[np.float64]
    missed: NDArray[np.bool_]


def judged(answers: Detections, truth: Boxes, *, at: OperatingPoint) -> Judged:
    """Judge `ranked` answers at an operating point; crowds neither count nor are missed."""
    given = answers.take(answers.scores >= at.confidence)
    pairs = overlaps(given, truth, least=BACKGROUND_IOU, same_class=False)
    alike = given.classes[pairs.answer] == truth.classes[pairs.object]
    enough = pairs.iou >= at.iou
    matched = match(pairs.take(alike & enough), n_answers=len(given), truth=truth,
                    ignored=truth.crowd, thresholds=(at.iou,))  # fmt: skip
    taken, ignored, right = matched.object[:, 0], matched.ignored[:, 0], matched.right[:, 0]
    counted = ~truth.crowd[pairs.object]
    kinds = _kinds(len(given), pairs.take(counted), alike[counted], at.iou)
    kinds[ignored], kinds[right] = AnswerKind.IGNORED, AnswerKind.RIGHT
    meant = _first(pairs.take(counted & enough), truth.classes, n=len(given))
    meant[right] = given.classes[right]
    found = np.zeros(len(truth), dtype=bool)
    found[taken[right]] = True
    # An answer that took another object says nothing of this one.
    free = taken[pairs.answer] < 0
    said, confidence = _said(given, truth, pairs.take(enough & free), taken, right)
    missed = ~found & ~truth.crowd
    missed[pairs.object[free & (enough | alike)]] = False
    return Judged(given, kinds, meant, found, said, confidence, missed)


def _kinds(n: int, pairs: Pairs, alike: np.ndarray, iou: float) -> NDArray[np.object_]:
    """What each answer is if it is not right, (n,)."""
    kinds = np.full(n, AnswerKind.BACKGROUND, dtype=object)
    enough = pairs.iou >= iou
    # Later ones overrule earlier ones.
    for kind, chosen in (
        (AnswerKind.BOTH, ~alike & ~enough),
        (AnswerKind.POOR_BOX, alike & ~enough),
        (AnswerKind.WRONG_CLASS, ~alike & enough),
        (AnswerKind.DUPLICATE, alike & enough),
    ):
        kinds[pairs.answer[chosen]] = kind
    return kinds


def _first(pairs: Pairs, classes: np.ndarray, *, n: int) -> Ints:
    """Class of the object that each answer overlaps most, (n,), `NOTHING` without."""
    found = np.full(n, NOTHING, dtype=np.int64)
    order = np.lexsort((pairs.object, pairs.iou, pairs.answer))
    found[pairs.answer[order]] = classes[pairs.object[order]]
    return found


def _said(
    answers: Detections, truth: Boxes, pairs: Pairs, taken: Ints, right: np.ndarray
) -> tuple[Ints, NDArray[np.float64]]:
    """Class and score of the answer at each object's place, (objects,)."""
    said = np.full(len(truth), NOTHING, dtype=np.int64)
    confidence = np.zeros(len(truth))
    order = np.lexsort((answers.scores[pairs.answer], pairs.object))
    said[pairs.object[order]] = answers.classes[pairs.answer[order]]
    confidence[pairs.object[order]] = answers.scores[pairs.answer[order]]
    said[taken[right]] = answers.classes[right]
    confidence[taken[right]] = answers.scores[right]
    return said, confidence
