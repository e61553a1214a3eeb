"""DETR (Carion et al. 2020, arXiv:2005.12872): a set of boxes, none of them suppressed."""

from __future__ import annotations

import numpy as np

from auditor.models.answers import Detections
from auditor.models.heads.boxes import (
    Candidates,
    Size,
    candidates,
    centred_in_pixels,
    detections,
)
from auditor.models.heads.tensors import Raw, chosen, require_logits, require_rank, require_width
from auditor.models.outputs import sigmoid, softmax
from auditor.spec.heads import DetrHead


def read(raw: Raw, head: DetrHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From logits (images, queries, classes [+ 1]) and centres and sizes (images, queries, 4).

    Softmax: the best class of each query, "no object" aside. Sigmoid: the best pairs
    of query and class, as Deformable DETR and RT-DETR have it.
    """
    found = chosen(raw, head, logits=("logit", "score", "class"), boxes=("box",))
    logits, boxes = found["logits"], found["boxes"]
    for value in (logits, boxes):
        require_rank(value, 3, head)
    require_logits(logits, head)
    nothing = head.scores == "softmax"
    require_width(
        logits.shape[2], n_classes + nothing, n_classes=n_classes, head=head, beside=int(nothing)
    )
    require_width(boxes.shape[2], 4, n_classes=n_classes, head=head, beside=4)
    return [_one(*each, head, size=size) for each in zip(logits, boxes, strict=True)]


def _one(logits: np.ndarray, boxes: np.ndarray, head: DetrHead, *, size: Size) -> Detections:
    wide = logits.astype(np.float64)
    if head.scores == "softmax":
        nothing = 0 if head.no_object == "first" else -1
        found: Candidates = candidates(np.delete(softmax(wide), nothing, axis=1), head)
    else:
        found = candidates(sigmoid(wide), head, several=True)
    centred = boxes[found.rows].astype(np.float64)
    corners = centred_in_pixels(centred, units="fractions", size=size, head=head)
    return detections(corners, found, head)
