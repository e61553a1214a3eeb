"""SSD with its boxes decoded and its class probabilities not yet suppressed (UltraFace)."""

from __future__ import annotations

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Detections
from auditor.models.heads.boxes import Size, candidates, detections, in_pixels, ordered
from auditor.models.heads.tensors import Raw, chosen, require_rank, require_width, shares
from auditor.spec.heads import SsdSoftmaxHead

_SUM_SLACK = 0.1


def read(raw: Raw, head: SsdSoftmaxHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From scores (images, priors, 1 + classes) that sum to 1, and boxes (images, priors, 4)."""
    found = chosen(raw, head, scores=("score", "conf"), boxes=("box", "loc"))
    for value in found.values():
        require_rank(value, 3, head)
    width = found["scores"].shape[2]
    require_width(width, 1 + n_classes, n_classes=n_classes, head=head, beside=1)
    require_width(found["boxes"].shape[2], 4, n_classes=n_classes, head=head, beside=4)
    if head.background > n_classes:
        raise ModelError(
            f"output.background is {head.background}, expected an index from 0 to {n_classes}."
        )
    pairs = zip(found["scores"], found["boxes"], strict=True)
    return [_one(*each, head, size=size) for each in pairs]


def _one(scores: np.ndarray, boxes: np.ndarray, head: SsdSoftmaxHead, *, size: Size) -> Detections:
    parts = shares(scores, head)
    if parts.size and np.abs(parts.sum(axis=1) - 1).max() > _SUM_SLACK:
        raise ModelError(
            "`output: ssd-softmax` reads probabilities that sum to 1 with their background, but a "
            f"row sums to {parts.sum(axis=1).max():.4g}. Name the head that the model has."
        )
    usual = parts.mean(axis=0) if len(parts) else np.zeros(parts.shape[1])
    if usual.max(initial=0) > 0.5 > usual[head.background]:
        raise ModelError(
            f"`output: ssd-softmax` takes score {head.background} for the background, but score "
            f"{usual.argmax()} is that of most boxes. Set `output: {{kind: ssd-softmax, "
            f"background: {usual.argmax()}}}`."
        )
    found = candidates(np.delete(parts, head.background, axis=1), head, several=True)
    corners = ordered(boxes[found.rows], head.corners)
    return detections(in_pixels(corners, units=head.units, size=size, head=head), found, head)
