"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def suppressed(
    boxes: np.ndarray, scores: np.ndarray, *, iou: float, most: int, groups: np.ndarray | None
) -> NDArray[np.int64]:
    """Indices of the boxes (n, 4) that no better one covers, best first, at most `most`.

    A box goes where its overlap (intersection over union) with a kept one exceeds `iou`; with
    `groups` (n,), such as classes, only with a kept one of its own. Of equal scores the earlier
    box is the better one. As ``torchvision.ops.nms`` and ``batched_nms`` in exact arithmetic.
    """
    order = np.argsort(-scores, kind="stable")
    if groups is None:
        return order[_greedy(boxes[order], iou=iou, most=most)]
    of_group = groups[order]
    # No group can hold more than `most` of the best `most`.
    kept = [
        order[members][_greedy(boxes[order[members]], iou=iou, most=most)]
        for members in (np.flatnonzero(of_group == group) for group in np.unique(of_group))
    ]
    found = np.concatenate([np.empty(0, dtype=np.int64), *kept])
    # By score, then by index: ties fall as in one list of all groups.
    return found[np.lexsort((found, -scores[found]))][:most]


def _greedy(boxes: np.ndarray, *, iou: float, most: int) -> NDArray[np.int64]:
    """Places of the boxes kept, of boxes best first."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left) and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[left, :2])
        high = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = (high - low).clip(min=0).prod(axis=1)
        left = left[shared <= iou * (areas[best] + areas[left] - shared)]
    return np.array(kept, dtype=np.int64)
