"""What the same boxes in every image would find: the fixed answer that a detector must beat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from auditor.data.dataset import Dataset
from auditor.data.truth import BoxTruth

Bools = NDArray[np.bool_]

_CANDIDATES, _OBJECTS = 300, 2000
"""Boxes that are tried, and objects that they are chosen by, at most: spread over all evenly."""


def found_by_fixed_boxes(dataset: Dataset, *, most: int, iou: float) -> Bools:
    """Which objects (n,) that are no crowds `most` boxes find that every image is given alike.

    Boxes are those of objects, in fractions of their image, each time the one that finds most of
    what is left. Those chosen by one half of the units are given to the images of the other:
    chosen by the same images, many boxes would find all there is. A box finds one object an image
    at most, of its own class, that it overlaps by `iou`.
    """
    assert isinstance(dataset.truth, BoxTruth)
    objects = dataset.truth.boxes.take(~dataset.truth.boxes.crowd)
    parts = objects.corners / np.tile(_shown_sizes(dataset), 2)[objects.image]
    units = dataset.unit_codes
    half = np.arange(len(dataset)) % 2 if units is None else units % 2
    side, classes, image = (half == 0)[objects.image], objects.classes, objects.image
    found = np.zeros(len(parts), dtype=bool)
    for chosen, given in ((side, ~side), (~side, side)):
        if not chosen.any() or not given.any():
            continue
        own = np.flatnonzero(given)
        left = np.ones(len(own), dtype=bool)
        for at in _chosen(parts[chosen], classes[chosen], most=most, iou=iou):
            one = np.flatnonzero(chosen)[at]
            overlap = _overlaps(parts[one], parts[own]) * (classes[own] == classes[one]) * left
            left[_best_of_each(overlap, image[own], least=iou)] = False
        found[own] = ~left
    return found


def _shown_sizes(dataset: Dataset) -> NDArray[np.int64]:
    """Width and height (images, 2) of the images as displayed."""
    width, height, turn = (dataset.table[n].to_numpy() for n in ("width", "height", "orientation"))
    # From 5 on an orientation says that the file lies on its side.
    lying = turn >= 5
    sides = np.stack([np.where(lying, height, width), np.where(lying, width, height)], axis=1)
    return np.asarray(np.maximum(sides, 1))


def _chosen(parts: np.ndarray, classes: np.ndarray, *, most: int, iou: float) -> Iterator[int]:
    """Places of the boxes that find most together, the best first."""
    by, tried = (_spread(len(parts), n) for n in (_OBJECTS, _CANDIDATES))
    hits = np.stack([_overlaps(parts[one], parts[by]) >= iou for one in tried])
    hits &= classes[tried][:, None] == classes[by]
    left = np.ones(len(by), dtype=bool)
    for _ in range(most):
        gains = hits[:, left].sum(axis=1)
        best = int(gains.argmax())
        if not gains[best]:
            return
        yield int(tried[best])
        left &= ~hits[best]


def _spread(n: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _overlaps(box: np.ndarray, others: np.ndarray) -> NDArray[np.float64]:
    """Intersection over union of a box (4,) with others (n, 4); stretching both changes nothing."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    whole = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared
    found: NDArray[np.float64] = shared / np.maximum(whole, 1e-12)
    return found


def _best_of_each(overlap: np.ndarray, image: np.ndarray, *, least: float) -> NDArray[np.int64]:
    """The place of the largest overlap in each image that has one of `least`."""
    enough = np.flatnonzero(overlap >= least)
    order = enough[np.lexsort((-overlap[enough], image[enough]))]
    return order[np.unique(image[order], return_index=True)[1]]
