"""Semantic segmentation: a class for every pixel; a row is an image.

An image counts as right where its own mean IoU is at least `RIGHT_IOU`; what a set is worth is
told by ratios of sums (`set_values`), in which every pixel weighs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.data.class_maps import LEAST_SHARE
from auditor.data.dataset import Dataset
from auditor.findings import RowKind
from auditor.scoring.pixels import (
    boundary_f,
    boundary_hits,
    dice,
    iou,
    iou_of_class,
    pixel_accuracy,
    pixel_confusion,
)
from auditor.scoring.presence import Several
from auditor.scoring.quantities import Quantity, set_value
from auditor.scoring.rows import Amount, Rows
from auditor.scoring.set_values import EmptySetError, SetValue
from auditor.scoring.tasks.scoring import Scoring

SCORER_VERSION = 1

KINDS: tuple[RowKind, ...] = ("image",)

RIGHT_IOU = 0.5


class HasMaps(Protocol):
    """Class maps of images, None of one that has none, in their order."""

    def maps(self) -> Iterator[np.ndarray | None]: ...


def score(
    answers: Iterable[np.ndarray | None], truth: HasMaps | None, how: Scoring
) -> pd.DataFrame:
    """What the rows of some images are made of, from class maps (h, w) in the images' order.

    None stands for an image without answer or truth, whose ``known`` is False. Columns: ``known``,
    ``said`` (pixels of each answered class in a list), ``confusion`` (classes x (classes + 1)
    pixel counts in a list, the last answer being no class) and ``boundary`` (classes x 4, see
    `boundary_hits`).
    """
    maps = repeat(None, how.n_images) if truth is None else truth.maps()
    lines = [_line(a, t, how.n_classes) for a, t in zip(answers, maps, strict=True)]
    return pd.DataFrame(lines, columns=["known", "said", "confusion", "boundary"])


def _line(
    answer: np.ndarray | None, truth: np.ndarray | None, n_classes: int
) -> tuple[bool, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    said = np.zeros(n_classes, dtype=np.int64)
    if answer is not None:
        said += np.bincount(answer[answer >= 0], minlength=n_classes)
    if answer is None or truth is None:
        none = np.zeros(n_classes * (n_classes + 1), dtype=np.int64)
        return False, said, none, np.zeros(n_classes * 4, dtype=np.int64)
    confusion = pixel_confusion(answer, truth, n_classes=n_classes)
    hits = boundary_hits(answer, truth, n_classes=n_classes)
    return True, said, confusion.ravel(), hits.ravel()


@dataclass(frozen=True)
class PixelCounts:
    """Counts of images: `confusion` (n, classes, classes + 1), `boundary` (n, classes, 4)."""

    confusion: NDArray[np.int64]
    boundary: NDArray[np.int64]

    @classmethod
    def of(cls, scores: pd.DataFrame, *, n_classes: int) -> PixelCounts:
        """From `score`'s columns."""
        confusion, boundary = (
            np.array(scores[name].tolist(), dtype=np.int64).reshape(len(scores), n_classes, width)
            for name, width in (("confusion", n_classes + 1), ("boundary", 4))
        )
        return cls(confusion, boundary)


def rows(dataset: Dataset, scores: pd.DataFrame, *, of: RowKind = "image") -> Rows:
    """Rows of images from `score`'s columns, in the order of `dataset`."""
    n_classes = len(dataset.classes)
    counts = PixelCounts.of(scores, n_classes=n_classes).confusion
    annotated = scores["known"].to_numpy(dtype=bool)
    hits = np.diagonal(counts[:, :, :n_classes], axis1=1, axis2=2)
    true, said = counts.sum(axis=2), counts[:, :, :n_classes].sum(axis=1)
    whole = np.array(scores["said"].tolist(), dtype=np.int64).reshape(len(scores), n_classes)
    said = np.where(annotated[:, None], said, whole)
    pixels = np.maximum(np.where(annotated, counts.sum(axis=(1, 2)), whole.sum(axis=1)), 1)
    present = true > 0
    each = hits / np.maximum(true + said - hits, 1)
    own = (each * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    known = annotated & present.any(axis=1)
    share = hits.sum(axis=1) / pixels
    least = LEAST_SHARE * pixels[:, None]
    return Rows(
        dataset=dataset,
        right=known & (own >= RIGHT_IOU),
        known=known,
        confidence=np.full(len(scores), np.nan),
        presence=Several(dataset.classes, true * (true >= least), said * (said >= least)),
        amounts={
            "image-iou": Amount(own, "higher", "", (0.0, 1.0)),
            "right-pixels": Amount(share, "higher", "", (0.0, 1.0)),
        },
        headline="images-overlapping",
    )


def set_values(scores: pd.DataFrame, classes: tuple[str, ...]) -> tuple[Quantity, ...]:
    """Mean IoU, Dice and boundary F, pixel accuracy, and the IoU of each class, of a set of images.

    All images must be annotated. A class without a true pixel has no IoU of its own.
    """
    counts = PixelCounts.of(scores, n_classes=len(classes))
    n = len(scores)
    found = [
        set_value("mean-iou", _over(iou, counts.confusion), n=n),
        set_value("mean-dice", _over(dice, counts.confusion), n=n),
        set_value("pixel-accuracy", _over(pixel_accuracy, counts.confusion), n=n),
    ]
    if counts.boundary[:, :, 2].any():
        found.append(set_value("boundary-f", _over(boundary_f, counts.boundary), n=n))
    present = np.flatnonzero(counts.confusion.sum(axis=(0, 2)))
    for label in present.tolist():
        keys: Mapping[str, str] = {"class": classes[label]}
        of_class = _over(partial(iou_of_class, label=label), counts.confusion)
        found.append(set_value("iou", of_class, n=n, keys=keys, title=f"IoU of {classes[label]}"))
    return tuple(found)


def fixed_answer(dataset: Dataset, scores: pd.DataFrame) -> tuple[str, tuple[Quantity, ...]]:
    """Mean IoU and pixel accuracy where every pixel is answered with the commonest class."""
    classes = dataset.classes
    scores = scores[rows(dataset, scores).known].reset_index(drop=True)
    counts = PixelCounts.of(scores, n_classes=len(classes)).confusion
    of_class = counts.sum(axis=2)
    commonest = int(of_class.sum(axis=0).argmax())
    fixed = np.zeros_like(counts)
    fixed[:, :, commonest] = of_class
    n = len(scores)
    return classes[commonest], (
        set_value("mean-iou", _over(iou, fixed), n=n),
        set_value("pixel-accuracy", _over(pixel_accuracy, fixed), n=n),
    )


def _over(
    measure: Callable[[np.ndarray], SetValue], counts: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    def of_set(keep: np.ndarray) -> np.ndarray:
        found = measure(counts[keep])
        if not found.n_classes:
            raise EmptySetError("class maps: found no true pixel, expected one or more")
        return found.pseudo_observations

    return of_set
