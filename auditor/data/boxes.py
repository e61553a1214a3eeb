"""Boxes of many images, one row a box: what is annotated, and what a model found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.data.masks import Mask

SIZES: Mapping[str, tuple[float, float]] = {
    "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10),
}  # fmt: skip
"""COCO's ranges of an object's area in pixels, both ends in."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Annotated objects, in pixels of the image as displayed.

    `image` (b,) int64 is the place of each object's image; `corners` (b, 4) float64 are x0, y0,
    x1, y1; `classes` (b,) int64. `crowd` (b,) bool marks boxes around many objects, which no
    answer has to match one by one. `areas` (b,) in pixels decide what is small. `names` (b,) say
    where an object stands in its file. `attributes` are further columns (b,) of str, "" where
    missing; `masks` the objects' outlines, None where only boxes were drawn.
    """

    image: np.ndarray
    corners: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    names: np.ndarray
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)
    masks: tuple[Mask, ...] | None = None

    def __len__(self) -> int:
        return len(self.image)

    def told(self, name: str) -> np.ndarray | None:
        """What is said of each object, (b,) of str: an attribute, or what its box shows.

        ``size`` is one of `SIZES`, ``area`` is in pixels, ``aspect`` the width by the height. None
        where nothing of that name is said.
        """
        if name in self.attributes:
            return self.attributes[name]
        sides = self.corners[:, 2:] - self.corners[:, :2]
        if name == "size":
            inside = [(self.areas >= low) & (self.areas <= high) for low, high in SIZES.values()]
            return np.select(inside, list(SIZES), "").astype(object)
        numbers = {"area": self.areas, "aspect": sides[:, 0] / np.maximum(sides[:, 1], 1e-9)}
        return numbers[name].astype(str).astype(object) if name in numbers else None

    def take(self, keep: np.ndarray) -> Boxes:
        """The objects at the positions (or under the mask) `keep`, in that order."""
        at = np.flatnonzero(keep) if keep.dtype == bool else keep
        return replace(
            self,
            image=self.image[at],
            corners=self.corners[at],
            classes=self.classes[at],
            crowd=self.crowd[at],
            areas=self.areas[at],
            names=self.names[at],
            attributes={name: values[at] for name, values in self.attributes.items()},
            masks=None if self.masks is None else tuple(self.masks[i] for i in at.tolist()),
        )


SHOWN = ("size", "area", "aspect")
"""What every object says of itself by its box."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found: as `Boxes`, with `scores` (b,) 0-1; masks of instance segmentation."""

    image: np.ndarray
    corners: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    masks: tuple[Mask, ...] | None = None

    def __len__(self) -> int:
        return len(self.image)

    def take(self, keep: np.ndarray) -> Detections:
        """The answers at the positions (or under the mask) `keep`, in that order."""
        at = np.flatnonzero(keep) if keep.dtype == bool else keep
        masks = None if self.masks is None else tuple(self.masks[i] for i in at.tolist())
        return Detections(
            self.image[at], self.corners[at], self.classes[at], self.scores[at], masks
        )
