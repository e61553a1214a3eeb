"""Whose score a map explains: a classifier's answer, a detector's box, a segmenter's region."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.checks.occlusion import windows
from auditor.data.dataset import Dataset
from auditor.data.geometry import Affine, displayed_to_frame, sampled
from auditor.data.truth import BoxTruth, MapTruth
from auditor.models.answers import UNSEEN, ClassMap, Detections
from auditor.models.predictor import Prediction
from auditor.spec import InputSpec

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

SAME_BOX = 0.5
"""Overlap (IoU) from which a box is the one that was there before."""
LEAST_REGION = 0.02
"""Share of the pixels that a class must be seen in for its region to be explained."""
_SMALLEST = 1e-7


class Target(Protocol):
    """What is scored of an image; `before` is its score as shot."""

    @property
    def before(self) -> float: ...

    def scores(self, found: Prediction) -> Floats:
        """The score in each answer, (n,): of frames of which one part each is hidden, in order."""
        ...


@dataclass(frozen=True)
class AnsweredClass:
    """The log odds of the class that a classifier answers."""

    label: int
    before: float

    @classmethod
    def of(cls, found: Prediction) -> AnsweredClass:
        label = int(found.probabilities[0].argmax())
        return cls(label, float(_log_odds(found.probabilities, label)[0]))

    def scores(self, found: Prediction) -> Floats:
        return _log_odds(found.probabilities, self.label)


def _log_odds(probabilities: np.ndarray, label: int) -> Floats:
    # One minus a probability near 1 has few digits left; the sum of the others has all.
    others = np.delete(probabilities, label, axis=1).sum(axis=1, dtype=np.float64)
    own = probabilities[:, label].astype(np.float64)
    return np.asarray(np.log(np.maximum(own, _SMALLEST)) - np.log(np.maximum(others, _SMALLEST)))


@dataclass(frozen=True)
class SurestBox:
    """The score of a detector's surest box: of its class, where it was; 0 where it is gone."""

    box: Floats
    label: int
    before: float

    @classmethod
    def of(cls, found: Detections, *, confidence: float) -> SurestBox | None:
        """None where no box is sure enough to count."""
        if not len(found) or found.scores[0] < confidence:
            return None
        return cls(found.boxes[0], int(found.classes[0]), float(found.scores[0]))

    def scores(self, found: Prediction) -> Floats:
        return np.array([self._score(one) for one in found.answers])

    def _score(self, one: Any) -> float:
        assert isinstance(one, Detections)
        there = (one.classes == self.label) & (_overlaps(self.box, one.boxes) >= SAME_BOX)
        return float(one.scores[there].max(initial=0.0))


def _overlaps(box: Floats, boxes: Floats) -> Floats:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = [np.clip(b[..., 2:] - b[..., :2], 0, None).prod(axis=-1) for b in (box, boxes)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-12))


@dataclass(frozen=True)
class Region:
    """The share of a region's pixels, beyond the part that is hidden, that keep their class.

    Of the smallest class that a segmenter sees in at least `LEAST_REGION` of the pixels.
    """

    pixels: Mask
    label: int
    grid: int
    before: float = 1.0

    @classmethod
    def of(cls, found: ClassMap, *, grid: int) -> Region:
        counts = np.bincount(found.classes[found.classes >= 0])
        large = np.flatnonzero(counts >= LEAST_REGION * found.classes.size)
        label = int(large[counts[large].argmin()])
        return cls(found.classes == label, label, grid)

    def scores(self, found: Prediction) -> Floats:
        kept = []
        for one, where in zip(found.answers, windows(self.pixels.shape, self.grid), strict=True):
            assert isinstance(one, ClassMap)
            outside = self.pixels.copy()
            outside[where] = False
            n = outside.sum()
            kept.append(float((one.classes[outside] == self.label).mean()) if n else 1.0)
        return np.array(kept)


def target_of(found: Prediction, *, confidence: float, grid: int) -> Target | None:
    """What is scored of an image from the answer to it as shot; None where it holds nothing."""
    if not found.answers:
        return AnsweredClass.of(found)
    (answer,) = found.answers
    if isinstance(answer, ClassMap):
        return Region.of(answer, grid=grid)
    return SurestBox.of(answer, confidence=confidence)


def objects_in(dataset: Dataset, input: InputSpec) -> list[Mask | None]:
    """Where the annotated objects of each image lie in its frame, (h, w); None where unknown.

    Of detectors all annotated boxes; of segmenters every class but the commonest of the image. A
    classifier's images have no such annotation.
    """
    truth = dataset.truth
    if truth is None:
        return [None] * len(dataset)
    frames = [_to_frame(row, input) for row in dataset.frame.itertuples()]
    if isinstance(truth, BoxTruth):
        return [
            _boxed(truth, image, frames[image], input) if known else None
            for image, known in enumerate(truth.known)
        ]
    assert isinstance(truth, MapTruth)
    maps = islice(truth.maps(), len(dataset))
    return [
        None if one is None else _mapped(one, to, input)
        for one, to in zip(maps, frames, strict=True)
    ]


def _to_frame(row: Any, input: InputSpec) -> Affine:
    size = (int(row.width), int(row.height))
    return displayed_to_frame(size=size, orientation=int(row.orientation), input=input)


def _boxed(truth: BoxTruth, image: int, to: Affine, input: InputSpec) -> Mask:
    found = np.zeros(input.size, dtype=bool)
    for x0, y0, x1, y1 in to.boxes(truth.boxes.corners[truth.boxes.image == image]):
        rows, columns = (
            slice(max(0, int(np.floor(low))), max(0, int(np.ceil(high))))
            for low, high in ((y0, y1), (x0, x1))
        )
        found[rows, columns] = True
    return found


def _mapped(classes: np.ndarray, to: Affine, input: InputSpec) -> Mask:
    seen = sampled(classes, to.inverse, size=input.size, outside=UNSEEN)
    known = seen[seen >= 0]
    commonest = np.bincount(known).argmax() if len(known) else -1
    return np.asarray((seen >= 0) & (seen != commonest))
