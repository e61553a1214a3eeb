"""Objects and answers of a detector that finds most, misplaces some and makes some up."""

import dataclasses

import numpy as np

from auditor.data.boxes import Boxes, Detections
from auditor.data.truth import BoxTruth

DETECTOR = {
    "path": "m.onnx",
    "task": "detection",
    "output": "yolov8",
    "input": {"size": (64, 64)},
}
SEGMENTER = DETECTOR | {"task": "segmentation", "output": "semantic"}


def boxes(image, corners, classes, *, crowd=None, areas=None, masks=None) -> Boxes:
    corners = np.asarray(corners, dtype=np.float64).reshape(-1, 4)
    n = len(corners)
    return Boxes(
        image=np.asarray(image, dtype=np.int64),
        corners=corners,
        classes=np.asarray(classes, dtype=np.int64),
        crowd=np.zeros(n, dtype=bool) if crowd is None else np.asarray(crowd),
        areas=(corners[:, 2:] - corners[:, :2]).prod(axis=1) if areas is None else areas,
        names=np.array([f"object {i}" for i in range(n)], dtype=object),
        masks=masks,
    )


def detections(image, corners, classes, scores, masks=None) -> Detections:
    return Detections(
        np.asarray(image, dtype=np.int64),
        np.asarray(corners, dtype=np.float64).reshape(-1, 4),
        np.asarray(classes, dtype=np.int64),
        np.asarray(scores, dtype=np.float64),
        masks,
    )


def answers_to(truth: Boxes, rng, *, n_images: int, n_classes: int, copies=3, made_up=3):
    """Shaken copies of the objects, some of another class, and boxes of nothing; ties in scores."""
    sides = np.tile(truth.corners[:, 2:] - truth.corners[:, :2], 2)
    parts = []
    for _ in range(copies):
        corners = truth.corners + rng.normal(size=sides.shape) * sides * rng.uniform(0, 0.15)
        corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
        wrong = rng.random(len(truth)) < 0.15
        classes = np.where(wrong, rng.integers(0, n_classes, len(truth)), truth.classes)
        kept = rng.random(len(truth)) < 0.7
        scores = np.clip(rng.beta(4, 2, len(truth)), 0.01, 1)
        parts.append((truth.image[kept], corners[kept], classes[kept], scores[kept]))
    n = made_up * n_images
    start = rng.uniform(0, 400, (n, 2))
    corners = np.concatenate([start, start + rng.uniform(5, 200, (n, 2))], axis=1)
    parts.append((rng.integers(0, n_images, n), corners, rng.integers(0, n_classes, n),
                  rng.beta(2, 4, n)))  # fmt: skip
    image, corners, classes, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(image, kind="stable")
    return detections(image[order], corners[order], classes[order], np.round(scores[order], 2))


def objects(rng, *, n_images: int, n_classes: int, most: int = 8, crowds: float = 0.05) -> Boxes:
    counts = rng.integers(0, most, n_images)
    n = int(counts.sum())
    start = rng.uniform(0, 400, (n, 2))
    corners = np.concatenate([start, start + np.exp(rng.uniform(2, 5.3, (n, 2)))], axis=1)
    return boxes(np.repeat(np.arange(n_images), counts), corners,
                 rng.integers(0, n_classes, n), crowd=rng.random(n) < crowds)  # fmt: skip


def objects_by_image(image, classes, n_images: int, n_classes: int):
    """How many objects of each class each image holds, (images, classes)."""
    cells = np.bincount(image * n_classes + classes, minlength=n_images * n_classes)
    return cells.reshape(n_images, n_classes)


def each_box(make, holds, *rest):
    """A box in a place of its own for each class that an image holds, from (images, classes)."""
    image, label = np.nonzero(holds)
    start = 30.0 * label[:, None] + [0, 0]
    return make(image, np.hstack([start, start + 20]), label, *rest)


def boxed(worlds, classes, holds, *, known=None, split="test", **columns):
    """A dataset whose images hold a box of each class of theirs, from (images, classes) bool."""
    known = np.ones(len(holds), dtype=bool) if known is None else known
    data = worlds.dataset([-1] * len(holds), classes=classes, split=split, **columns)
    truth = BoxTruth(each_box(boxes, holds & known[:, None]), known)
    return dataclasses.replace(data, has_labels=True, truth=truth)


def boxed_evidence(worlds, spec, classes):
    return worlds.evidence(model=worlds.facts(task="detection", classes=classes), spec=spec)


def said(says, *, scores=0.9):
    """Answers with a box of each class that an image is said to hold, where it would be."""
    n = int(says.sum())
    return each_box(detections, says, np.broadcast_to(scores, n))
