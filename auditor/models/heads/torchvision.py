"""Torchvision's detectors: boxes in the frame's pixels, labels and scores of one image."""

from __future__ import annotations

import numpy as np

from auditor.models.answers import Detections
from auditor.models.heads.boxes import Candidates, Size, detections, in_pixels, ordered
from auditor.models.heads.tensors import (
    Raw,
    chosen,
    classes_from,
    require_rank,
    shares,
    without_batch,
)
from auditor.spec.heads import HeadSpec, TorchvisionHead

WORDS = {"boxes": ("box",), "labels": ("label", "class"), "scores": ("score",)}


def read(raw: Raw, head: TorchvisionHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From boxes (k, 4), labels (k,), scores (k,): one image, an axis of images or none.

    Names that do not tell (those of an export) are told apart by shape and type.
    """
    parts = chosen(named(raw, head), head, **WORDS)
    boxes, labels, scores = (
        without_batch(parts[role], rank) for role, rank in zip(WORDS, (2, 1, 1), strict=True)
    )
    require_rank(boxes, 2, head)
    scored = shares(scores, head)
    kept = np.flatnonzero(scored > head.lowest_score)
    classes = classes_from(labels[kept], first=head.first_class, n_classes=n_classes, head=head)
    placed = ordered(boxes[kept], head.corners)
    corners = in_pixels(placed, units="pixels", size=size, head=head)
    return [detections(corners, Candidates(kept, classes, scored[kept]), head)]


def named(raw: Raw, head: HeadSpec) -> Raw:
    """Outputs under the names of their roles where shape and type leave no doubt."""
    if head.tensors:
        return raw
    roles = [_role(value) for value in raw.values()]
    if None in roles or len(set(roles)) < len(roles):
        return raw
    return {str(role): value for role, value in zip(roles, raw.values(), strict=True)}


def _role(value: np.ndarray) -> str | None:
    if value.dtype.kind in "iu" and value.ndim <= 2:
        return "labels"
    if value.dtype.kind != "f":
        return None
    if value.ndim == 4 and value.shape[1] == 1:
        return "masks"
    if value.ndim in (2, 3) and value.shape[-1] == 4:
        return "boxes"
    return "scores" if value.ndim <= 2 else None
