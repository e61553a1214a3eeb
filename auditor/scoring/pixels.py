"""Segmentation scored from pixel counts: IoU and Dice as ratios of sums, accuracy, boundary F.

One rule for classes absent from truth: a class with no true pixel in the set has no value, and a
mean is over the classes that have true pixels; their number stands beside it. What is wrongly
called an absent class still counts, as pixels that the true class lost.

A ratio of sums over images is no mean of images' ratios. Its influence is linearised: an image adds
``(numerator_i - ratio * denominator_i) / sum of denominators`` to its error (Woodruff 1971,
doi:10.1080/01621459.1971.10482279).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from auditor.scoring.accuracy import confusion_matrix
from auditor.scoring.set_values import SetValue

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def pixel_confusion(answers: np.ndarray, truth: np.ndarray, *, n_classes: int) -> Ints:
    """Pixels of one image by true class and answered class, (classes, classes).

    Both (h, w) class indices; pixels whose truth is negative (void) do not count. An answer that
    is no class counts against its true class alone. ValueError for maps of two sizes.
    """
    if answers.shape != truth.shape:
        raise ValueError(
            f"class maps: found an answer of {answers.shape} for a truth of {truth.shape}, "
            "expected the same size"
        )
    counted = truth >= 0
    said = answers[counted].astype(np.int64)
    said = np.where((said >= 0) & (said < n_classes), said, n_classes)
    full = confusion_matrix(truth[counted], said, n_classes=n_classes + 1)
    return full[:n_classes]


def boundary_hits(
    answers: np.ndarray, truth: np.ndarray, *, n_classes: int, tolerance: float | None = None
) -> Ints:
    """Boundary pixels of one image by class, (classes, 4): answered, of these right; true, found.

    A boundary pixel is right where one of the same class lies within `tolerance` pixels in the
    other map, as in Csurka et al. (2013, doi:10.5244/C.27.32); 0.75% of the diagonal where None.
    Void pixels have no boundary.
    """
    if tolerance is None:
        tolerance = 0.0075 * float(np.hypot(*truth.shape))
    void = truth < 0
    found = np.zeros((n_classes, 4), dtype=np.int64)
    for label in np.unique(np.concatenate([answers[~void], truth[~void]])).tolist():
        if not 0 <= label < n_classes:
            continue
        own, true = (_boundary((side == label) & ~void, void) for side in (answers, truth))
        found[label] = (
            own.sum(),
            _near(own, true, tolerance),
            true.sum(),
            _near(true, own, tolerance),
        )
    return found


def _boundary(inside: np.ndarray, void: np.ndarray) -> NDArray[np.bool_]:
    """Pixels of a class beside one of another class; the image's edge and void are no boundary."""
    edge = np.zeros(inside.shape, dtype=bool)
    other = ~inside & ~void
    edge[:-1] |= other[1:]
    edge[1:] |= other[:-1]
    edge[:, :-1] |= other[:, 1:]
    edge[:, 1:] |= other[:, :-1]
    found: NDArray[np.bool_] = edge & inside
    return found


def _near(pixels: np.ndarray, others: np.ndarray, tolerance: float) -> int:
    if not pixels.any() or not others.any():
        return 0
    return int((distance_transform_edt(~others)[pixels] <= tolerance).sum())


def ratio_of_sums(
    numerators: np.ndarray, denominators: np.ndarray, *, present: np.ndarray
) -> SetValue:
    """Mean over the classes `present` (classes,) of sums over images, each (images, classes)."""
    whole = denominators.sum(axis=0)
    used = present & (whole > 0)
    by_class = np.full(len(whole), np.nan)
    by_class[used] = numerators.sum(axis=0)[used] / whole[used]
    if not used.any():
        return SetValue(float("nan"), 0, by_class, np.zeros(len(numerators)))
    parts = (numerators[:, used] - by_class[used] * denominators[:, used]) / whole[used]
    return SetValue(float(by_class[used].mean()), int(used.sum()), by_class, parts.mean(axis=1))


def iou(confusion: np.ndarray) -> SetValue:
    """Intersection over union from confusion counts (images, classes, classes + 1)."""
    hits, true, said = _sides(confusion)
    return ratio_of_sums(hits, true + said - hits, present=true.sum(axis=0) > 0)


def iou_of_class(confusion: np.ndarray, *, label: int) -> SetValue:
    """The IoU of one class alone; arguments as `iou`."""
    hits, true, said = (side[:, label : label + 1] for side in _sides(confusion))
    return ratio_of_sums(hits, true + said - hits, present=true.sum(axis=0) > 0)


def dice(confusion: np.ndarray) -> SetValue:
    """Twice the intersection over both areas, which is F1 of pixels; arguments as `iou`."""
    hits, true, said = _sides(confusion)
    return ratio_of_sums(2 * hits, true + said, present=true.sum(axis=0) > 0)


def pixel_accuracy(confusion: np.ndarray) -> SetValue:
    """The share of all pixels that are of their true class; arguments as `iou`."""
    hits, true, _ = _sides(confusion)
    return ratio_of_sums(hits.sum(axis=1, keepdims=True), true.sum(axis=1, keepdims=True),
                         present=np.ones(1, dtype=bool))  # fmt: skip


def boundary_f(hits: np.ndarray) -> SetValue:
    """F1 of boundary pixels, from `boundary_hits` of images (images, classes, 4).

    ``(right + found) / (answered + true)``: precision and recall weighted by their pixels.
    """
    answered, right, true, found = np.moveaxis(hits.astype(np.float64), -1, 0)
    return ratio_of_sums(right + found, answered + true, present=true.sum(axis=0) > 0)


def _sides(confusion: np.ndarray) -> tuple[Floats, Floats, Floats]:
    """Right, true and answered pixels by image and class, each (images, classes)."""
    n_classes = confusion.shape[1]
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts[:, :, :n_classes], axis1=1, axis2=2)
    return hits, counts.sum(axis=2), counts[:, :, :n_classes].sum(axis=1)
