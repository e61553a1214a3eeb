"""Mask R-CNN (He et al. 2017, arXiv:1703.06870): detections with a mask each."""

from __future__ import annotations

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Detections, Patch
from auditor.models.heads.boxes import Candidates, Size, detections, in_pixels, ordered
from auditor.models.heads.tensors import (
    Raw,
    chosen,
    classes_from,
    require_rank,
    shares,
    without_batch,
)
from auditor.models.heads.torchvision import WORDS, named
from auditor.spec.heads import MaskRcnnHead


def read(raw: Raw, head: MaskRcnnHead, *, n_classes: int, size: Size) -> list[Detections]:
    """As `torchvision.read`, with masks (k, 1, h, w) of probabilities.

    A mask as large as the frame lies in the frame (torchvision); a smaller one, such as 28 x 28,
    fills its box, and is enlarged with zeros around it (Detectron2, the ONNX model zoo).
    """
    parts = chosen(named(raw, head), head, **WORDS, masks=("mask",))
    boxes, labels, scores = (
        without_batch(parts[role], rank) for role, rank in zip(WORDS, (2, 1, 1), strict=True)
    )
    require_rank(boxes, 2, head)
    masks = _masks(parts["masks"], len(boxes), head)
    scored = shares(scores, head)
    kept = np.flatnonzero(scored > head.lowest_score)
    classes = classes_from(labels[kept], first=head.first_class, n_classes=n_classes, head=head)
    placed = ordered(boxes[kept], head.corners)
    corners = in_pixels(placed, units="pixels", size=size, head=head)
    whole = masks.shape[1:] == size

    def patch(row: int, box: np.ndarray) -> Patch:
        make = _in_frame if whole else _in_box
        return make(masks[row], box, head.mask_level)

    return [detections(corners, Candidates(kept, classes, scored[kept]), head, patches=patch)]


def _masks(masks: np.ndarray, n: int, head: MaskRcnnHead) -> np.ndarray:
    """Masks (n, h, w)."""
    values = masks[0] if masks.ndim == 5 else masks
    values = values[:, 0] if values.ndim == 4 and values.shape[1] == 1 else values
    if values.ndim != 3 or len(values) != n:
        raise ModelError(
            f"`output: mask-rcnn` finds masks {tuple(masks.shape)} for {n} boxes; expected ({n}, "
            "1, h, w), a mask a box. Name the right outputs in `tensors`."
        )
    shares(values, head, told="masks")
    return values


def _in_frame(mask: np.ndarray, box: np.ndarray, level: float) -> Patch:
    """The part of a frame's mask that is not 0; its pixels stay what they are."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return _in_box(np.zeros((1, 1)), box, level)
    top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    region = (float(left), float(top), float(right), float(bottom))
    values = np.ascontiguousarray(mask[top:bottom, left:right], dtype=np.float32)
    return Patch(region, values, level, within=region)


def _in_box(mask: np.ndarray, box: np.ndarray, level: float) -> Patch:
    x0, y0, x1, y1 = box.tolist()
    rows, columns = mask.shape
    x, y = (x1 - x0) / columns, (y1 - y0) / rows
    values = np.pad(mask, 1).astype(np.float32)
    return Patch((x0 - x, y0 - y, x1 + x, y1 + y), values, level, within=(x0, y0, x1, y1))
