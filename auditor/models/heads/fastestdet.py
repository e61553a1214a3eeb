"""FastestDet: one grid, objectness, four numbers and class probabilities a cell."""

from __future__ import annotations

import numpy as np

from auditor.models.answers import Detections
from auditor.models.heads.boxes import Size, candidates, detections, from_centres
from auditor.models.heads.tensors import Raw, only, require_width, shares
from auditor.models.outputs import sigmoid
from auditor.spec.heads import FastestDetHead

_OBJECTNESS_POWER, _CLASS_POWER = 0.6, 0.4
"""The author's weights of the two scores (dog-qiuqiu/FastestDet, utils/tool.py)."""


def read(raw: Raw, head: FastestDetHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From (images, 5 + classes, rows, columns)."""
    output = only(raw, head, rank=4)
    require_width(output.shape[1], 5 + n_classes, n_classes=n_classes, head=head, beside=5)
    return [_one(each, head, size=size) for each in output]


def _one(planes: np.ndarray, head: FastestDetHead, *, size: Size) -> Detections:
    rows, columns = planes.shape[1:]
    numbers = planes.reshape(len(planes), -1).T
    objectness, classes = shares(numbers[:, :1], head), shares(numbers[:, 5:], head)
    found = candidates(objectness**_OBJECTNESS_POWER * classes**_CLASS_POWER, head)
    regressed = numbers[found.rows, 1:5].astype(np.float64)
    y, x = np.divmod(found.rows, columns)
    centres = (np.tanh(regressed[:, :2]) + np.stack([x, y], axis=1)) / [columns, rows]
    boxes = from_centres(np.concatenate([centres, sigmoid(regressed[:, 2:])], axis=1))
    return detections(boxes * np.tile(size[::-1], 2), found, head)
