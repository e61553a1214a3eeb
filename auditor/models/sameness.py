"""Whether a model said the same of the same frames twice, whatever kind of answer it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.models.answers import Answer, ClassMap, Detections
from auditor.models.predictor import Prediction

BOX_SLACK = 1.0
"""Pixels by which a box may move and still be the same one."""
MAP_SLACK = 0.001
"""Share of a class map's pixels that may differ and the map still be the same one."""


@dataclass(frozen=True)
class Difference:
    """Of each frame whether the answer is another one, and by how much a score moved.

    `changed` (n,) bool, `moved` (n,) from 0 to 1: of class maps the share of pixels that differ.
    """

    changed: NDArray[np.bool_]
    moved: NDArray[np.float64]


def difference(one: Prediction, other: Prediction, *, confidence: float) -> Difference:
    """What differs between two predictions of the same frames.

    Boxes count from `confidence` on; they are the same where as many of each class are found, in
    order of their place, none of which moved by more than `BOX_SLACK`.
    """
    if not one.answers:
        a, b = one.probabilities, other.probabilities
        moved = np.abs(a - b).max(axis=1) if len(a) else np.zeros(0)
        return Difference(a.argmax(axis=1) != b.argmax(axis=1), moved.astype(np.float64))
    pairs = zip(one.answers, other.answers, strict=True)
    found = [_of_answers(a, b, confidence) for a, b in pairs]
    return Difference(
        np.array([changed for changed, _ in found], dtype=bool),
        np.array([moved for _, moved in found], dtype=np.float64),
    )


def _of_answers(one: Answer, other: Answer, confidence: float) -> tuple[bool, float]:
    if isinstance(one, ClassMap) and isinstance(other, ClassMap):
        share = float((one.classes != other.classes).mean())
        return share > MAP_SLACK, share
    assert isinstance(one, Detections)
    assert isinstance(other, Detections)
    first, second = _counted(one, confidence), _counted(other, confidence)
    if len(first) != len(second) or (first[:, 0] != second[:, 0]).any():
        return True, 1.0
    if not len(first):
        return False, 0.0
    apart = np.abs(first[:, 2:] - second[:, 2:]).max()
    return bool(apart > BOX_SLACK), float(np.abs(first[:, 1] - second[:, 1]).max())


def _counted(found: Detections, confidence: float) -> np.ndarray:
    """Class, score and corners of the boxes that count, in an order that small moves keep."""
    kept = found.scores >= confidence
    rows = np.column_stack([found.classes[kept], found.scores[kept], found.boxes[kept]])
    return rows[np.lexsort((np.rint(rows[:, 3]), np.rint(rows[:, 2]), rows[:, 0]))]


def class_counts(prediction: Prediction, *, n_classes: int, confidence: float) -> NDArray[np.int64]:
    """How many boxes of each class count in each frame, (n, classes)."""
    found = np.zeros((len(prediction.answers), n_classes), dtype=np.int64)
    for row, answer in enumerate(prediction.answers):
        if isinstance(answer, Detections):
            kept = answer.classes[answer.scores >= confidence]
            found[row] = np.bincount(kept, minlength=n_classes)
    return found
