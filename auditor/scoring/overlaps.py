"""Overlaps of answers with annotated objects: pairs of one image, as COCO counts them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.data.boxes import Boxes, Detections

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MOST_PAIRS = 4_000_000
"""Pairs whose overlap is worked out at a time."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of an answer and an object, by their places, and their overlap (p,) 0-1."""

    answer: Ints
    object: Ints
    iou: Floats

    def take(self, keep: np.ndarray) -> Pairs:
        return Pairs(self.answer[keep], self.object[keep], self.iou[keep])


def overlaps(answers: Detections, truth: Boxes, *, least: float, same_class: bool = True) -> Pairs:
    """Pairs of one image (and class) with an overlap of `least`, above 0, or more.

    The overlap is intersection over union; with a crowd, intersection over the answer's own area.
    Masks are compared where both have them, else boxes.
    """
    both = (answers.image, answers.classes), (truth.image, truth.classes)
    keys = _keys(*both) if same_class else (answers.image, truth.image)
    masked = answers.masks is not None and truth.masks is not None
    # A model's box need not be the one around its mask.
    own, other = (_corners(side) if masked else side.corners for side in (answers, truth))
    found = []
    for answer, object_ in _joined(*keys):
        iou = _of_boxes(own, other, truth.crowd, answer, object_)
        if masked:
            near = iou > 0
            answer, object_ = answer[near], object_[near]
            iou = _of_masks(answers, truth, answer, object_)
        kept = iou >= least
        found.append(Pairs(answer[kept], object_[kept], iou[kept]))
    if not found:
        none = np.zeros(0, dtype=np.int64)
        return Pairs(none, none, np.zeros(0))
    return Pairs(*(np.concatenate([getattr(f, n) for f in found])
                   for n in ("answer", "object", "iou")))  # fmt: skip


def _keys(answers: tuple[Ints, Ints], objects: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    width = 1 + max((int(c.max(initial=0)) for _, c in (answers, objects)))
    return answers[0] * width + answers[1], objects[0] * width + objects[1]


def _joined(answer_keys: Ints, object_keys: Ints) -> Iterator[tuple[Ints, Ints]]:
    """All pairs of places with equal keys, in blocks."""
    order = np.argsort(object_keys, kind="stable")
    ordered = object_keys[order]
    first = np.searchsorted(ordered, answer_keys, side="left")
    counts = np.searchsorted(ordered, answer_keys, side="right") - first
    paired = np.flatnonzero(counts)
    ends = np.cumsum(counts[paired])
    start = 0
    while start < len(paired):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + _MOST_PAIRS, side="right")), start + 1)
        block = paired[start:stop]
        sizes = counts[block]
        offset = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield np.repeat(block, sizes), order[np.repeat(first[block], sizes) + offset]
        start = stop


def _corners(side: Detections | Boxes) -> Floats:
    return np.array([mask.corners for mask in side.masks or ()], dtype=np.float64).reshape(-1, 4)


def _of_boxes(
    answers: Floats, objects: Floats, crowd: np.ndarray, answer: Ints, object_: Ints
) -> Floats:
    a, b = answers.T, objects.T
    width = np.minimum(a[2][answer], b[2][object_]) - np.maximum(a[0][answer], b[0][object_])
    height = np.minimum(a[3][answer], b[3][object_]) - np.maximum(a[1][answer], b[1][object_])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    own, other = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return _ratio(shared, own[answer], other[object_], crowd[object_])


def _of_masks(answers: Detections, truth: Boxes, answer: Ints, object_: Ints) -> Floats:
    assert answers.masks is not None
    assert truth.masks is not None
    own = np.array([mask.area for mask in answers.masks], dtype=np.float64)
    other = np.array([mask.area for mask in truth.masks], dtype=np.float64)
    pairs = zip(answer.tolist(), object_.tolist(), strict=True)
    shared = np.array([answers.masks[a].overlap(truth.masks[o]) for a, o in pairs], dtype=float)
    return _ratio(shared, own[answer], other[object_], truth.crowd[object_])


def _ratio(shared: Floats, own: Floats, other: Floats, crowd: np.ndarray) -> Floats:
    whole = np.where(crowd, own, own + other - shared)
    found: Floats = np.divide(shared, whole, out=np.zeros(len(shared)), where=whole > 0)
    return found
