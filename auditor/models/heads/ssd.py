"""TensorFlow's detectors, and others that give boxes, classes, scores and perhaps a count."""

from __future__ import annotations

import numpy as np

from auditor.models.answers import Detections
from auditor.models.heads.boxes import Candidates, Size, detections, in_pixels, ordered
from auditor.models.heads.tensors import Raw, chosen, classes_from, require_rank, shares
from auditor.spec.heads import SsdHead

_WORDS = {
    "boxes": ("detection_boxes", "box"),
    "classes": ("detection_classes", "class", "label"),
    "scores": ("detection_scores", "score"),
}


def read(raw: Raw, head: SsdHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From boxes (images, rows, 4), classes and scores (images, rows), and a count (images,).

    Rows beyond the count are padding.
    """
    counted = "count" in head.tensors or any("num" in name for name in raw)
    words = {**_WORDS, "count": ("num_detections", "num")} if counted else _WORDS
    found = chosen(raw, head, **words)
    require_rank(found["boxes"], 3, head)
    n = len(found["boxes"])
    counts = found["count"].reshape(n) if counted else np.full(n, found["boxes"].shape[1])
    return [
        _one({role: found[role][at, : int(counts[at])] for role in _WORDS}, head, n_classes, size)
        for at in range(n)
    ]


def _one(part: dict[str, np.ndarray], head: SsdHead, n_classes: int, size: Size) -> Detections:
    scores = shares(part["scores"], head)
    kept = np.flatnonzero(scores > head.lowest_score)
    classes = classes_from(
        part["classes"][kept], first=head.first_class, n_classes=n_classes, head=head
    )
    boxes = ordered(part["boxes"][kept], head.corners)
    corners = in_pixels(boxes, units=head.units, size=size, head=head)
    return detections(corners, Candidates(kept, classes, scores[kept]), head)
