"""Two hands' drawings of the same images, side by side: what both drew, and what one left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from auditor.data.boxes import Boxes, Detections
from auditor.data.dataset import Dataset
from auditor.data.objects import classes_in
from auditor.data.truth import BoxTruth, MapTruth, Truth
from auditor.scoring.accuracy import confusion_matrix
from auditor.scoring.detection_errors import BACKGROUND_IOU
from auditor.scoring.overlaps import Pairs, overlaps

Ints = NDArray[np.int64]
Names = NDArray[np.object_]


@dataclass(frozen=True)
class Drawing:
    """What was drawn of a split's images; `by` (n,) says by whom, "" where nobody is named."""

    by: Names
    truth: Truth


@dataclass(frozen=True)
class Beside:
    """Two hands' drawings of images, an entry for each image and pair of hands.

    `row` (m,) is the image, `by` and `other` (m,) who drew. By class, (m, classes): `shared` over
    `whole` is how far both agree: pixels of both over pixels of either (IoU), or twice the objects
    that both drew alike over the objects of both (F1). `area` and `area_other` are pixels: of all
    that each drew in class maps, of the objects that both drew else. `held` and `held_other` are
    how many objects each drew (of class maps: 1 where the class is there), `lacks` how many of the
    other's the first drew nothing for, `adds` how many of its own the other drew nothing for.
    """

    row: Ints
    by: Names
    other: Names
    shared: NDArray[np.float64]
    whole: NDArray[np.float64]
    area: NDArray[np.float64]
    area_other: NDArray[np.float64]
    held: Ints
    held_other: Ints
    lacks: Ints
    adds: Ints

    def __len__(self) -> int:
        return len(self.row)

    def take(self, keep: np.ndarray) -> Beside:
        """The entries under the mask `keep` (m,)."""
        return Beside(*(getattr(self, f.name)[keep] for f in fields(self)))

    def turned(self) -> Beside:
        """With the other hand as the first."""
        return replace(
            self, by=self.other, other=self.by, area=self.area_other, area_other=self.area,
            held=self.held_other, held_other=self.held, lacks=self.adds, adds=self.lacks,
        )  # fmt: skip


def together(parts: Sequence[Beside]) -> Beside:
    """All entries of several, which are of the same images and classes."""
    return Beside(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Beside)))


def drawings_of(dataset: Dataset) -> list[Drawing]:
    """What each annotator drew; the annotations count as the annotator's named for each image."""
    found = []
    for name, truth in dataset.drawn_by.items():
        by = np.full(len(dataset), name, dtype=object)
        found.append(Drawing(by, truth))
    if dataset.truth is not None:
        found.append(Drawing(dataset.table["annotator"].to_numpy(dtype=object), dataset.truth))
    return found


def beside(dataset: Dataset, one: Drawing, other: Drawing, *, overlap: float) -> Beside:
    """Two drawings of the images that both have, by two hands.

    Boxes of a class are alike from an IoU of `overlap` on.
    """
    at = np.flatnonzero(one.truth.known & other.truth.known & (one.by != other.by))
    drawn, other_drawn = one.truth.take(at), other.truth.take(at)
    n_classes = len(dataset.classes)
    if isinstance(drawn, MapTruth) and isinstance(other_drawn, MapTruth):
        counts = _of_maps(drawn, other_drawn, n_classes)
    else:
        assert isinstance(drawn, BoxTruth)
        assert isinstance(other_drawn, BoxTruth)
        counts = _of_boxes(drawn, other_drawn, (len(at), n_classes), overlap)
    return Beside(at, one.by[at], other.by[at], *counts)


def _of_maps(one: MapTruth, other: MapTruth, n_classes: int) -> list[np.ndarray]:
    lines = [
        _of_map(a, b, n_classes)
        for a, b in zip(one.maps(), other.maps(), strict=True)
        if a is not None and b is not None
    ]
    table = np.array(lines, dtype=np.int64).reshape(len(lines), 8, n_classes)
    return [table[:, i].astype(np.float64 if i < 4 else np.int64) for i in range(8)]


def _of_map(a: np.ndarray, b: np.ndarray, n_classes: int) -> list[np.ndarray]:
    # What either left open counts for neither.
    both = (a >= 0) & (b >= 0)
    counts = confusion_matrix(a[both], b[both], n_classes=n_classes)
    shared = np.diagonal(counts)
    areas = [np.bincount(side[side >= 0], minlength=n_classes) for side in (a, b)]
    held, held_other = (
        np.isin(np.arange(n_classes), classes_in(side, n_classes=n_classes)) for side in (a, b)
    )
    return [shared, counts.sum(axis=0) + counts.sum(axis=1) - shared, *areas,
            held, held_other, held_other & ~held, held & ~held_other]  # fmt: skip


def _of_boxes(
    one: BoxTruth, other: BoxTruth, shape: tuple[int, int], overlap: float
) -> list[np.ndarray]:
    a, b = (side.boxes.take(~side.boxes.crowd) for side in (one, other))
    given = Detections(a.image, a.corners, a.classes, np.ones(len(a)), a.masks)
    pairs = overlaps(given, b, least=BACKGROUND_IOU, same_class=False)
    same = a.classes[pairs.answer] == b.classes[pairs.object]
    near, alike = _matched(pairs), _matched(pairs.take(same & (pairs.iou >= overlap)))

    def counted(boxes: Boxes, at: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        cells = boxes.image[at] * shape[1] + boxes.classes[at]
        return np.bincount(cells, weights=weights, minlength=shape[0] * shape[1]).reshape(shape)

    every, every_other = np.arange(len(a)), np.arange(len(b))
    held, held_other = counted(a, every), counted(b, every_other)
    by_both = near.take(a.classes[near.answer] == b.classes[near.object])
    lacks = counted(b, np.setdiff1d(every_other, near.object))
    adds = counted(a, np.setdiff1d(every, near.answer))
    return [
        2.0 * counted(b, alike.object),
        (held + held_other).astype(np.float64),
        counted(b, by_both.object, _areas(a)[by_both.answer]).astype(np.float64),
        counted(b, by_both.object, _areas(b)[by_both.object]).astype(np.float64),
        held, held_other, lacks, adds,
    ]  # fmt: skip


def _areas(boxes: Boxes) -> NDArray[np.float64]:
    if boxes.masks is not None:
        return np.array([mask.area for mask in boxes.masks], dtype=np.float64)
    return np.asarray((boxes.corners[:, 2:] - boxes.corners[:, :2]).prod(axis=1))


def _matched(pairs: Pairs) -> Pairs:
    """Pairs in which each object is once at most, the largest overlaps first."""
    order = np.lexsort((pairs.object, pairs.answer, -pairs.iou))
    taken: set[tuple[int, int]] = set()
    kept = []
    for place in order.tolist():
        ends = (0, int(pairs.answer[place])), (1, int(pairs.object[place]))
        if not taken.intersection(ends):
            taken.update(ends)
            kept.append(place)
    return pairs.take(np.array(sorted(kept), dtype=np.int64))
