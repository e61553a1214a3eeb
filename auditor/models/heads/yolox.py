"""YOLOX before its decoding (Ge et al. 2021, arXiv:2107.08430): a row a cell of its grids."""

from __future__ import annotations

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Detections
from auditor.models.heads.boxes import Size, candidates, cells, detections, from_centres
from auditor.models.heads.tensors import Raw, only, require_width, shares
from auditor.spec.heads import YoloxHead

_LARGEST_LOG = 10.0
"""exp of it is 22,000 strides: no box is as wide."""


def read(raw: Raw, head: YoloxHead, *, n_classes: int, size: Size) -> list[Detections]:
    """From (images, cells, 5 + classes): offsets, logarithms of sizes, objectness, classes."""
    rows = only(raw, head, rank=3)
    require_width(rows.shape[2], 5 + n_classes, n_classes=n_classes, head=head, beside=5)
    grids = [cells(size, stride) for stride in head.strides]
    at, stride = np.concatenate(grids), np.repeat(head.strides, [len(g) for g in grids])
    if rows.shape[1] != len(at):
        raise ModelError(
            f"The model gives {rows.shape[1]} boxes; `output: yolox` with strides "
            f"{list(head.strides)} at {list(size)} wants {len(at)}. Set `strides` or "
            "`model.input.size`, or try `output: yolov5`."
        )
    return [_one(each, head, at=at, stride=stride) for each in rows]


def _one(rows: np.ndarray, head: YoloxHead, *, at: np.ndarray, stride: np.ndarray) -> Detections:
    scores = shares(rows[:, 4:], head)
    found = candidates(scores[:, :1] * scores[:, 1:], head)
    regressed = rows[found.rows, :4].astype(np.float64)
    usual = float(np.median(regressed[:, 2:])) if regressed.size else 0.0
    # A single unsure cell may hold any number; sizes in pixels are all as large.
    if usual > _LARGEST_LOG:
        raise ModelError(
            f"`output: yolox` reads logarithms of sizes, but finds {usual:.4g} in the middle: "
            "the boxes are decoded already. Set `output: yolov5`."
        )
    scale = stride[found.rows, None]
    centres = (regressed[:, :2] + at[found.rows]) * scale
    sizes = np.exp(np.minimum(regressed[:, 2:], 2 * _LARGEST_LOG)) * scale
    return detections(from_centres(np.concatenate([centres, sizes], axis=1)), found, head)
