"""Instance masks as a sum of prototypes (Bolya et al. 2019, arXiv:1904.02689): YOLO-seg."""

from __future__ import annotations

import math

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Detections, Patch
from auditor.models.heads.boxes import (
    Candidates,
    Size,
    candidates,
    centred_in_pixels,
    detections,
    in_pixels,
)
from auditor.models.heads.end_to_end import scored_rows
from auditor.models.heads.tensors import Raw, described, require_width, shares
from auditor.models.heads.yolo_rows import box_rows
from auditor.spec.heads import EndToEndHead, YoloSegHead


def read(raw: Raw, head: YoloSegHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From rows as the head `rows` has them, each with k coefficients, and (images, k, h, w).

    A mask is the logistic function of coefficients times prototypes, enlarged before it is cut
    at `mask_level` and at its box.
    """
    rows, prototypes = _parts(raw, head)
    beside = {"yolov5": 5, "yolov8": 4, "end-to-end": 6}[head.rows]
    numbers = beside + (0 if head.rows == "end-to-end" else n_classes)
    k = prototypes.shape[1]
    rows = box_rows(
        rows, head, wanted=numbers + k, usual="columns" if head.rows == "yolov8" else "rows"
    )
    if head.rows == "end-to-end":
        head = head.model_copy(update={"suppression": None})
    require_width(rows.shape[2] - k, numbers, n_classes=n_classes, head=head, beside=beside)
    return [
        _one(each, planes, head, n_classes=n_classes, size=size)
        for each, planes in zip(rows, prototypes, strict=True)
    ]


def _parts(raw: Raw, head: YoloSegHead) -> tuple[np.ndarray, np.ndarray]:
    by_rank = {value.ndim: value for value in raw.values()}
    if len(raw) != 2 or by_rank.keys() != {3, 4}:
        raise ModelError(
            "`output: yolo-seg` reads boxes with coefficients (three axes) and prototypes (four "
            f"axes); the model gives {described(raw)}. Name the head that the model has."
        )
    return by_rank[3], by_rank[4]


def _one(
    rows: np.ndarray, planes: np.ndarray, head: YoloSegHead, *, n_classes: int, size: Size
) -> Detections:
    k = len(planes)
    found = _scored(rows[:, :-k], head, n_classes=n_classes)
    boxes = rows[found.rows, :4].astype(np.float64)
    placed = in_pixels if head.rows == "end-to-end" else centred_in_pixels
    corners = placed(boxes, units=head.units, size=size, head=head)
    level = math.log(head.mask_level / (1 - head.mask_level))

    def patch(row: int, box: np.ndarray) -> Patch:
        return _patch(rows[row, -k:], planes, box, level=level, size=size)

    return detections(corners, found, head, patches=patch)


def _scored(rows: np.ndarray, head: YoloSegHead, *, n_classes: int) -> Candidates:
    if head.rows == "end-to-end":
        return scored_rows(rows, EndToEndHead(lowest_score=head.lowest_score), n_classes=n_classes)
    scores = shares(rows[:, 4:], head)
    if head.rows == "yolov5":
        scores = scores[:, :1] * scores[:, 1:]
    return candidates(scores, head, several=head.several_classes)


def _patch(
    coefficients: np.ndarray, planes: np.ndarray, box: np.ndarray, *, level: float, size: Size
) -> Patch:
    """The logits of the cells around a box, one more on each side for the interpolation."""
    rows, columns = planes.shape[1:]
    step = np.array([size[1] / columns, size[0] / rows])
    low = np.clip(np.floor(box[:2] / step).astype(int) - 1, 0, [columns - 1, rows - 1])
    high = np.clip(np.ceil(box[2:] / step).astype(int) + 1, low + 1, [columns, rows])
    window = planes[:, low[1] : high[1], low[0] : high[0]]
    logits = np.tensordot(coefficients, window, axes=1).astype(np.float32)
    x0, y0, x1, y1 = np.concatenate([low * step, high * step]).tolist()
    left, top, right, bottom = box.tolist()
    return Patch((x0, y0, x1, y1), logits, level, within=(left, top, right, bottom))
