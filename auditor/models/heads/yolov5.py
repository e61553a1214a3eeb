"""YOLOv5 and v7: centre, size, objectness and class scores a box, decoded, not suppressed."""

from __future__ import annotations

import numpy as np

from auditor.models.answers import Detections
from auditor.models.heads.boxes import Size, candidates, centred_in_pixels, detections
from auditor.models.heads.tensors import Raw, only, require_width, shares
from auditor.models.heads.yolo_rows import box_rows
from auditor.spec.heads import Yolov5Head


def read(raw: Raw, head: Yolov5Head, *, n_classes: int, size: Size) -> list[Detections]:
    """From (images, boxes, 5 + classes); the score is objectness times the class's."""
    rows = box_rows(only(raw, head, rank=3), head, wanted=5 + n_classes, usual="rows")
    require_width(rows.shape[2], 5 + n_classes, n_classes=n_classes, head=head, beside=5)
    return [_one(each, head, size=size) for each in rows]


def _one(rows: np.ndarray, head: Yolov5Head, *, size: Size) -> Detections:
    scores = shares(rows[:, 4:], head)
    found = candidates(scores[:, :1] * scores[:, 1:], head, several=head.several_classes)
    boxes = rows[found.rows, :4].astype(np.float64)
    corners = centred_in_pixels(boxes, units=head.units, size=size, head=head)
    return detections(corners, found, head)
