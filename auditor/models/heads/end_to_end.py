"""Exports that end in their own suppression: one row a detection, padded to a fixed count."""

from __future__ import annotations

import numpy as np

from auditor.models.answers import Detections
from auditor.models.heads.boxes import Candidates, Size, detections, in_pixels, ordered
from auditor.models.heads.tensors import (
    Raw,
    chosen,
    classes_from,
    only,
    require_rank,
    require_width,
    shares,
)
from auditor.spec.heads import EndToEndHead


def read(raw: Raw, head: EndToEndHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From (images, rows, 6) of x0, y0, x1, y1, score, class (YOLOv10, Ultralytics).

    Or, as MMDeploy has it, (images, rows, 5) of corners and score beside labels (images, rows).
    Rows of padding have the score 0 and are dropped, whatever class they name.
    """
    if len(raw) == 2:
        parts = chosen(raw, head, dets=("det", "box"), labels=("label", "class"))
        require_rank(parts["dets"], 3, head)
        rows = np.concatenate([parts["dets"], parts["labels"][..., None]], axis=2)
    else:
        rows = only(raw, head, rank=3)
    require_width(rows.shape[2], 6, n_classes=n_classes, head=head, beside=6)
    return [_one(each, head, n_classes=n_classes, size=size) for each in rows]


def _one(rows: np.ndarray, head: EndToEndHead, *, n_classes: int, size: Size) -> Detections:
    found = scored_rows(rows, head, n_classes=n_classes)
    boxes = ordered(rows[found.rows, :4], head.corners)
    return detections(in_pixels(boxes, units=head.units, size=size, head=head), found, head)


def scored_rows(rows: np.ndarray, head: EndToEndHead, *, n_classes: int) -> Candidates:
    """Rows of corners, score, class that are no padding."""
    scores = shares(rows[:, 4], head)
    kept = np.flatnonzero(scores > head.lowest_score)
    classes = classes_from(rows[kept, 5], first=0, n_classes=n_classes, head=head)
    return Candidates(kept, classes, scores[kept])
