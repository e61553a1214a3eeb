"""YuNet: class, objectness, box and landmarks in an output of their own at every stride."""

from __future__ import annotations

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Detections
from auditor.models.heads.boxes import Size, candidates, cells, detections, from_centres
from auditor.models.heads.tensors import Raw, chosen, require_rank, require_width, shares
from auditor.spec.heads import YunetHead


def read(raw: Raw, head: YunetHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From outputs (images, cells, numbers) named ``cls_8``, ``obj_8``, ``bbox_8``, ``kps_8``, ...

    A score is the root of class score times objectness (Wu, Peng and Yu 2023,
    doi:10.1007/s11633-023-1423-y).
    """
    parts = [_stride(raw, head, stride, n_classes=n_classes, size=size) for stride in head.strides]
    scores, boxes, landmarks = (
        np.concatenate([part[key] for part in parts], axis=1) for key in ("score", "box", "points")
    )
    return [
        _one(score, box, points, head)
        for score, box, points in zip(scores, boxes, landmarks, strict=True)
    ]


def _stride(
    raw: Raw, head: YunetHead, stride: int, *, n_classes: int, size: Size
) -> dict[str, np.ndarray]:
    roles = {name: f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps")}
    mine = {name: value for name, value in raw.items() if name.endswith(f"_{stride}")}
    declared = {name for role, name in head.tensors.items() if role in roles.values()}
    mine.update({name: value for name, value in raw.items() if name in declared})
    found = chosen(mine, head, **{full: (full,) for full in roles.values()})
    cls, obj, box, points = (found[full] for full in roles.values())
    at = cells(size, stride)
    for value in (cls, obj, box, points):
        require_rank(value, 3, head)
        if value.shape[1] != len(at):
            raise ModelError(
                f"The model gives {value.shape[1]} cells at stride {stride}; `output: yunet` at "
                f"{list(size)} wants {len(at)}. Set `strides` or `model.input.size`."
            )
    require_width(cls.shape[2], n_classes, n_classes=n_classes, head=head, beside=0)
    pairs = points.reshape(*points.shape[:2], -1, 2).astype(np.float64)
    return {
        "score": np.sqrt(shares(cls, head) * shares(obj, head)),
        "box": _decoded(box.astype(np.float64), at) * stride,
        "points": (pairs + at[:, None]) * stride,
    }


def _decoded(box: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Centres and sizes in strides, from offsets and logarithms."""
    return np.concatenate([box[..., :2] + at, np.exp(box[..., 2:].clip(max=10))], axis=-1)


def _one(scores: np.ndarray, boxes: np.ndarray, points: np.ndarray, head: YunetHead) -> Detections:
    found = candidates(scores, head)
    corners = from_centres(boxes[found.rows])
    return detections(corners, found, head, landmarks=points[found.rows])
