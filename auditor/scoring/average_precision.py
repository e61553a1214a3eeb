"""Average precision as COCO computes it, with what each image adds to it.

Precision is made not to rise with the threshold, and read at 101 recalls (Lin et al. 2014,
arXiv:1405.0312). Its variance is linearised: an image's influence is the derivative of the area
under that curve by the image's weight (Hampel 1974, doi:10.1080/01621459.1974.10482962), taken at
the answers where the curve has its steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class RankedAnswers:
    """Answers by class and falling score, of all images, and how many objects each image holds.

    `image`, `classes`, `scores` (a,); `right` and `counted` (a, thresholds) bool, an answer that
    does not count being neither right nor wrong. `objects` (images, classes) are objects that
    count. `of` sorts.
    """

    image: Ints
    classes: Ints
    right: Mask
    counted: Mask
    objects: Ints

    @classmethod
    def of(
        cls, *, image: np.ndarray, classes: np.ndarray, scores: np.ndarray, right: np.ndarray,
        ignored: np.ndarray, objects: np.ndarray,
    ) -> RankedAnswers:  # fmt: skip
        """Sort answers; of equal scores that of the earlier image comes first, as COCO has it."""
        order = np.lexsort((image, -scores, classes))
        return cls(image[order], classes[order], right[order], ~ignored[order], objects)

    def among(self, images: np.ndarray) -> RankedAnswers:
        """Of the images under the mask (images,) alone, numbered anew."""
        inside = images[self.image]
        numbers = np.cumsum(images) - 1
        return RankedAnswers(
            numbers[self.image[inside]],
            self.classes[inside],
            self.right[inside],
            self.counted[inside],
            self.objects[images],
        )


@dataclass(frozen=True)
class AveragePrecision:
    """`by_class` (classes, thresholds), NaN for classes of no object; `influence` (images,).

    `value` is the mean over thresholds and the `n_classes` that have objects: a class that is only
    answered has no recall and is left out; NaN where no class has. `influence` sums to 0: what
    each image adds to the error of `value`.
    """

    value: float
    n_classes: int
    by_class: Floats
    influence: Floats

    @property
    def pseudo_observations(self) -> Floats:
        """Numbers of the images whose mean is `value` and whose spread is its error, (images,)."""
        found: Floats = self.value + len(self.influence) * self.influence
        return found


def average_precision(answers: RankedAnswers) -> AveragePrecision:
    """AP over all thresholds, classes and images of `answers`."""
    n_images, n_classes = answers.objects.shape
    objects = answers.objects.sum(axis=0)
    present = np.flatnonzero(objects)
    thresholds = answers.right.shape[1]
    by_class = np.full((n_classes, thresholds), np.nan)
    influence = np.zeros(n_images)
    bounds = np.searchsorted(answers.classes, np.arange(n_classes + 1))
    for label in present.tolist():
        part = slice(bounds[label], bounds[label + 1])
        curve = _curve(answers.right[part], answers.counted[part], int(objects[label]))
        by_class[label] = curve.precision_at_recalls.mean(axis=0)
        influence += curve.influence(answers.image[part], answers.objects[:, label])
    if not len(present):
        return AveragePrecision(float("nan"), 0, by_class, influence)
    value = float(np.mean(by_class[present]))
    return AveragePrecision(value, len(present), by_class, influence / (len(present) * thresholds))


@dataclass(frozen=True)
class _Curve:
    """Precision by rank of one class, (a, thresholds); `step` is where its envelope is reached."""

    right: Mask
    counted: Mask
    n_objects: int
    ranks: Ints
    step: Ints
    envelope: Floats
    precision_at_recalls: Floats

    def influence(self, image: Ints, objects: Ints) -> Floats:
        """What each image adds to the error of the sum over thresholds, (images,)."""
        n, thresholds = self.right.shape
        area = (self.envelope * self.right).sum(axis=0) / self.n_objects
        found: Floats = -area.sum() * objects / self.n_objects
        if not n:
            return found
        # Each right answer is worth the precision at its step, which every answer up to that
        # step moves: those up to it, gathered by step and summed from behind.
        reached = np.maximum(np.take_along_axis(self.ranks, self.step, axis=0), 1)
        column = np.broadcast_to(np.arange(thresholds), self.right.shape)
        cell = (self.step * thresholds + column)[self.right]
        weights = (1 / reached)[self.right]
        gains = np.bincount(cell, weights=weights, minlength=n * thresholds)
        losses = np.bincount(
            cell, weights=weights * self.envelope[self.right], minlength=n * thresholds
        )
        gain, loss = (np.cumsum(x.reshape(n, thresholds)[::-1], axis=0)[::-1]
                      for x in (gains, losses))  # fmt: skip
        moved = self.right * (self.envelope + gain) - self.counted * loss
        parts = np.bincount(image, weights=moved.sum(axis=1), minlength=len(objects))
        found += parts / self.n_objects
        return found


def _curve(right: Mask, counted: Mask, n_objects: int) -> _Curve:
    right = right & counted
    hits, ranks = (np.cumsum(x, axis=0, dtype=np.int64) for x in (right, counted))
    precision = hits / np.maximum(ranks, 1)
    n, thresholds = right.shape
    backwards = precision[::-1]
    envelope = np.maximum.accumulate(backwards, axis=0)
    new = np.ones(right.shape, dtype=bool)
    new[1:] = backwards[1:] > envelope[:-1]
    places = np.where(new, np.arange(n)[:, None], 0)
    step = n - 1 - np.maximum.accumulate(places, axis=0)[::-1] if n else places
    envelope = envelope[::-1]
    at = np.zeros((len(_RECALLS), thresholds))
    recall = hits / n_objects
    for level in range(thresholds):
        reached = np.searchsorted(recall[:, level], _RECALLS, side="left")
        there = reached < n
        at[there, level] = envelope[reached[there], level]
    return _Curve(right, counted, n_objects, ranks, step, envelope, at)
