"""Frames without their objects, and objects on other backgrounds; fills are made of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from auditor.data.geometry import Affine, sampled
from auditor.data.truth import BoxTruth, MapTruth, Truth
from auditor.data.views import Donor, ViewContext

Fill = Literal["mean", "surroundings"]
Background = Literal["mean", "another image"]

MARGIN = 0.1
"""By how much of its sides a box is widened: shadows and edges tell that something was there."""

_REACH = 1 / 16
"""Of the frame's shorter side: the spread of what surroundings are mixed over."""


@dataclass(frozen=True)
class ObjectsPainted:
    """The frame with every annotated object painted over, by `fill`.

    ``mean`` is the mean colour of the rest of the frame, ``surroundings`` what lies around each
    pixel, smoothed. A frame without objects stays as it is.
    """

    fill: Fill
    classes: tuple[int, ...] | None = None
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        return f"objects{_listed(self.classes)} painted over by {self.fill}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        objects = context.objects
        if objects is None or not objects.any() or objects.all():
            return frame
        changed = frame.copy()
        if self.fill == "mean":
            changed[objects] = np.rint(frame[~objects].mean(axis=0)).astype(np.uint8)
        else:
            changed[objects] = _around(frame, objects)[objects]
        return changed


@dataclass(frozen=True)
class BackgroundReplaced:
    """The frame with all but its annotated objects replaced: by its mean colour, or a donor's."""

    by: Background
    classes: tuple[int, ...] | None = None
    version: int = field(default=1, init=False)

    @property
    def donor(self) -> Donor | None:
        return "any" if self.by == "another image" else None

    @property
    def name(self) -> str:
        return f"all but objects{_listed(self.classes)} replaced by {self.by}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        objects = context.objects
        if objects is None or not objects.any() or objects.all():
            return frame
        if self.by == "mean":
            changed: np.ndarray = np.empty_like(frame)
            changed[:] = np.rint(frame.mean(axis=(0, 1))).astype(np.uint8)
        else:
            if context.donor is None:
                raise ValueError(f"view {self.name}: found no donor, expected {frame.shape}")
            changed = context.donor.copy()
        changed[objects] = frame[objects]
        return changed


def _listed(classes: tuple[int, ...] | None) -> str:
    return "" if classes is None else " of classes " + ",".join(map(str, classes))


def _around(frame: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """What lies around each pixel: the mean of all but objects, the nearer the more."""
    spread = max(1.0, _REACH * min(frame.shape[:2]))
    outside = (~objects).astype(np.float64)
    weight = ndimage.gaussian_filter(outside, spread, truncate=8)
    mean = frame[~objects].mean(axis=0)
    sums = [ndimage.gaussian_filter(frame[..., c] * outside, spread, truncate=8) for c in range(3)]
    # Far inside a large object nothing is near: the mean of the rest stands there.
    near = weight > 1e-6
    mixed = [np.where(near, s / np.maximum(weight, 1e-12), m)
             for s, m in zip(sums, mean, strict=True)]  # fmt: skip
    return np.asarray(np.rint(np.clip(np.dstack(mixed), 0, 255)).astype(np.uint8))


def object_classes(classes: Sequence[str], *, named: Sequence[str]) -> tuple[str, ...]:
    """The classes of a class map that are objects: those named, or all but the first."""
    return tuple(c for c in classes if c in named) or tuple(classes[1:])


def object_pixels(
    truth: Truth, *, to_frame: Affine, size: tuple[int, int], classes: tuple[int, ...] | None
) -> NDArray[np.bool_] | None:
    """Where the objects of one image lie in its frame of `size` (height, width), (h, w).

    `truth` is that of the one image; boxes are widened by `MARGIN`. None where it is not annotated.
    """
    if not truth.known[0]:
        return None
    if isinstance(truth, BoxTruth):
        return _boxed(to_frame.boxes(truth.boxes.corners), size)
    assert isinstance(truth, MapTruth)
    drawn = next(iter(truth.maps()))
    if drawn is None:
        return None
    seen = sampled(drawn, to_frame.inverse, size=size, outside=-1)
    return np.asarray(seen >= 0 if classes is None else np.isin(seen, classes))


def _boxed(corners: np.ndarray, size: tuple[int, int]) -> NDArray[np.bool_]:
    found = np.zeros(size, dtype=bool)
    margin = MARGIN * (corners[:, 2:] - corners[:, :2])
    low = np.floor(corners[:, :2] - margin).clip(0).astype(np.int64)
    high = np.ceil(corners[:, 2:] + margin).clip(0).astype(np.int64)
    for (x0, y0), (x1, y1) in zip(low, high, strict=True):
        found[y0:y1, x0:x1] = True
    return found
