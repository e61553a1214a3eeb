"""YOLOv8, v9 and v11: centre, size and class scores a box, decoded, not suppressed."""

from __future__ import annotations

import numpy as np

from auditor.models.answers import Detections
from auditor.models.heads.boxes import Size, candidates, centred_in_pixels, detections
from auditor.models.heads.tensors import Raw, only, require_width, shares
from auditor.models.heads.yolo_rows import box_rows
from auditor.spec.heads import Yolov8Head


def read(raw: Raw, head: Yolov8Head, *, n_classes: int, size: Size) -> list[Detections]:
    """From (images, 4 + classes, boxes)."""
    rows = box_rows(only(raw, head, rank=3), head, wanted=4 + n_classes, usual="columns")
    require_width(rows.shape[2], 4 + n_classes, n_classes=n_classes, head=head, beside=4)
    return [_one(each, head, size=size) for each in rows]


def _one(rows: np.ndarray, head: Yolov8Head, *, size: Size) -> Detections:
    found = candidates(shares(rows[:, 4:], head), head, several=head.several_classes)
    boxes = rows[found.rows, :4].astype(np.float64)
    corners = centred_in_pixels(boxes, units=head.units, size=size, head=head)
    return detections(corners, found, head)
