"""From scored rows to detections: corners in pixels, the lowest score, suppression, the most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Detections, Patch
from auditor.models.heads.suppression import suppressed
from auditor.models.heads.tensors import kind_of
from auditor.spec.heads import BoxHead, Corners, SuppressingHead

Size = tuple[int, int]
MakePatch = Callable[[int, np.ndarray], Patch]
"""The mask of a row of the head's output, with its box (4,): drawn for the rows kept alone."""

_BEYOND = 4.0
"""Fractions above this are no fractions: a box may reach over the edge, but not by three frames."""

_FAR, _NEAR, _ENOUGH = 0.1, 0.02, 20
"""Shares of the frame, and of an image's boxes, and how many boxes tell in which order they are.

Of YOLOX-nano on COCO photos no box read rightly leaves the frame by a tenth of it; of boxes read
in another order a quarter to all do, in most images.
"""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows of a head's output with their class and score, (k,) each."""

    rows: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


def candidates(scores: np.ndarray, head: BoxHead, *, several: bool = False) -> Candidates:
    """Rows of `scores` (rows, classes) above the lowest score, of their best class or of all."""
    if several:
        rows, classes = np.nonzero(scores > head.lowest_score)
        return Candidates(rows, classes, scores[rows, classes])
    best = scores.argmax(axis=1) if scores.size else np.zeros(len(scores), dtype=np.int64)
    top = np.take_along_axis(scores, best[:, None], axis=1)[:, 0]
    rows = np.flatnonzero(top > head.lowest_score)
    return Candidates(rows, best[rows], top[rows])


def from_centres(boxes: np.ndarray) -> np.ndarray:
    """Corners from (k, 4) of centre x, centre y, width, height."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def ordered(boxes: np.ndarray, corners: Corners) -> np.ndarray:
    """Boxes (k, 4) as x0, y0, x1, y1 float64."""
    order = [1, 0, 3, 2] if corners == "yxyx" else [0, 1, 2, 3]
    return boxes[:, order].astype(np.float64)


def in_pixels(
    corners: np.ndarray, *, units: Literal["fractions", "pixels"], size: Size, head: BoxHead
) -> np.ndarray:
    """Corners (k, 4) x0, y0, x1, y1 in pixels of the frame of `size` (height, width).

    Raises ModelError where boxes called fractions are none, or boxes called pixels all lie
    within the first pixel and a half.
    """
    largest = float(np.abs(corners).max(initial=0))
    if units == "fractions":
        if largest > _BEYOND:
            raise ModelError(_wrong_units(head, "fractions of the frame", largest))
        return corners * [size[1], size[0], size[1], size[0]]
    if 0 < largest <= 1.5 and min(size) > 4:
        raise ModelError(_wrong_units(head, "pixels", largest))
    return corners


def centred_in_pixels(
    boxes: np.ndarray, *, units: Literal["fractions", "pixels"], size: Size, head: BoxHead
) -> np.ndarray:
    """As `in_pixels`, from an image's (k, 4) of centre x, centre y, width, height.

    Raises ModelError where boxes read so leave the frame and read otherwise lie within it: four
    numbers are boxes in any order, and nothing else would show that they were read in another.
    """
    corners = in_pixels(from_centres(boxes), units=units, size=size, head=head)
    whole = np.tile([1, 1] if units == "fractions" else [size[1], size[0]], 2)
    parts, otherwise = corners / np.tile(size[::-1], 2), boxes / whole
    beyond = ((parts < -_FAR) | (parts > 1 + _FAR)).any(axis=1)
    if len(boxes) < _ENOUGH or beyond.mean() < _FAR:
        return corners
    from_corner = np.concatenate([otherwise[:, :2], otherwise[:, :2] + otherwise[:, 2:]], axis=1)
    for order, read in (("x0, y0, x1, y1", otherwise), ("x0, y0, width, height", from_corner)):
        if _lie_within(read):
            raise ModelError(
                f"`output: {kind_of(head)}` reads boxes as centre and size, but so {beyond.sum()} "
                f"of {len(boxes)} reach far beyond the frame, and as {order} nearly all lie within "
                "it. Name the head that the model has, or export it with centres and sizes."
            )
    return corners


def _lie_within(parts: np.ndarray) -> bool:
    """Whether nearly all boxes (k, 4) x0, y0, x1, y1, in fractions, are some within the frame."""
    solid = (parts[:, 2:] > parts[:, :2]).all(axis=1)
    inside = ((parts > -_NEAR) & (parts < 1 + _NEAR)).all(axis=1)
    return float((solid & inside).mean()) >= 1 - _NEAR


def _wrong_units(head: BoxHead, units: str, largest: float) -> str:
    other = "pixels" if units != "pixels" else "fractions"
    mend = (
        f"Set `output: {{kind: {kind_of(head)}, units: {other}}}`"
        if "units" in type(head).model_fields
        else "Name the head that the model has"
    )
    return (
        f"`output: {kind_of(head)}` reads boxes in {units}, but the largest coordinate is "
        f"{largest:.4g}. {mend}."
    )


def detections(
    corners: np.ndarray,
    found: Candidates,
    head: BoxHead,
    *,
    landmarks: np.ndarray | None = None,
    patches: MakePatch | None = None,
) -> Detections:
    """The best of the candidates, whose corners (k, 4) and landmarks (k, points, 2) are given."""
    solid = np.flatnonzero((corners[:, 2:] > corners[:, :2]).all(axis=1))
    boxes, scores = corners[solid].astype(np.float64), found.scores[solid]
    if isinstance(head, SuppressingHead) and head.suppression is not None:
        groups = found.classes[solid] if head.per_class else None
        best = suppressed(boxes, scores, iou=head.suppression, most=head.most, groups=groups)
    else:
        best = np.argsort(-scores, kind="stable")[: head.most]
    kept = solid[best]
    return Detections(
        boxes[best],
        found.scores[kept].astype(np.float64),
        found.classes[kept].astype(np.int64),
        landmarks=None if landmarks is None else landmarks[kept].astype(np.float64),
        patches=None
        if patches is None
        else tuple(patches(int(found.rows[at]), corners[at]) for at in kept),
        n_empty=len(corners) - len(solid),
    )


def cells(size: Size, stride: int) -> np.ndarray:
    """X and y of the cells (k, 2) of a frame, in units of the stride, row by row."""
    rows, columns = (-(-side // stride) for side in size)
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.stack([x, y], axis=1)
