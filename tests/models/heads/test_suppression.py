"""Non-maximum suppression against torchvision's operator and a slow one in plain Python."""

import numpy as np
import pytest
import torch

from auditor.models.heads.suppression import suppressed
from auditor.models.torchvision_ops import import_torchvision


def crowd(rng, n):
    """Boxes that overlap a lot, with some scores equal."""
    low = rng.uniform(0, 60, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 60, (n, 2))], axis=1)
    return boxes, np.round(rng.random(n), 2), rng.integers(0, 3, n)


def overlap(a, b):
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = wide * high
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area - shared)


def slowly(boxes, scores, classes, iou):
    kept = []
    for at in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        rivals = [k for k in kept if classes is None or classes[k] == classes[at]]
        if all(overlap(boxes[k], boxes[at]) <= iou for k in rivals):
            kept.append(at)
    return kept


@pytest.mark.parametrize("iou", [0.0, 0.3, 0.65, 1.0])
@pytest.mark.parametrize("per_class", [True, False])
def test_as_one_box_after_the_other(iou, per_class):
    rng = np.random.default_rng(1)
    boxes, scores, classes = crowd(rng, 120)
    groups = classes if per_class else None
    wanted = slowly(boxes.tolist(), scores.tolist(), groups, iou)
    found = suppressed(boxes, scores, iou=iou, most=1000, groups=groups)
    assert found.tolist() == wanted
    few = suppressed(boxes, scores, iou=iou, most=7, groups=groups)
    assert few.tolist() == wanted[:7]


def test_as_torchvision():
    nms = import_torchvision() and torch.ops.torchvision.nms
    boxes, _, _ = crowd(np.random.default_rng(2), 300)
    scores = np.random.default_rng(3).permutation(300) / 300
    wanted = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.45)
    found = suppressed(boxes, scores, iou=0.45, most=300, groups=None)
    assert found.tolist() == wanted.tolist()
    assert 0 < len(found) < 200


@pytest.mark.parametrize("groups", [None, np.empty(0, dtype=int)])
def test_no_boxes(groups):
    assert suppressed(np.empty((0, 4)), np.empty(0), iou=0.5, most=9, groups=groups).shape == (0,)
