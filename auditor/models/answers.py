"""What a detector or a segmenter said of an image, in its frame and in the image's own pixels.

Coordinates are continuous from the upper left corner: pixel ``i`` covers ``i`` to ``i + 1``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.data.geometry import Affine, sampled
from auditor.errors import ModelError

Floats = NDArray[np.float64]

UNSEEN = -1
"""Class of an image's pixels that the model was not shown (cut off by a crop)."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A soft mask: `values` (h, w) spread evenly over `region` (x0, y0, x1, y1), in pixels.

    Pixels whose value, interpolated, is above `level` are the object, as far as they lie in
    `within`.
    """

    region: tuple[float, float, float, float]
    values: NDArray[np.float32]
    level: float
    within: tuple[float, float, float, float]

    def moved(self, placement: Affine) -> Patch:
        region, within = placement.boxes(np.array([self.region, self.within])).tolist()
        return replace(self, region=tuple(region), within=tuple(within))

    def drawn(self, size: tuple[int, int]) -> Cutout:
        """The object's pixels in a picture of `size` (height, width)."""
        x0, y0, x1, y1 = self.within
        # A pixel is inside where its centre is.
        left, top = (max(0, math.ceil(v - 0.5)) for v in (x0, y0))
        right, bottom = min(size[1], math.ceil(x1 - 0.5)), min(size[0], math.ceil(y1 - 0.5))
        x = _blend(np.arange(left, right), self.region[0::2], self.values.shape[1])
        y = _blend(np.arange(top, bottom), self.region[1::2], self.values.shape[0])
        return Cutout(top, left, y @ self.values @ x.T > self.level)


@dataclass(frozen=True, eq=False)
class Cutout:
    """Pixels (h, w) bool of an object, the first of them at row `top` and column `left`."""

    top: int
    left: int
    pixels: NDArray[np.bool_]

    def full(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """The whole picture's mask (height, width)."""
        found = np.zeros(size, dtype=bool)
        rows, columns = self.pixels.shape
        found[self.top : self.top + rows, self.left : self.left + columns] = self.pixels
        return found


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes (k, 4) of x0, y0, x1, y1, their scores (k,) falling, and classes (k,) from 0.

    `landmarks` (k, points, 2) and `patches` (k of them) where the head gives any. `n_empty`
    counts boxes above the lowest score that had no area, or none within the image, and are left
    out.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]
    landmarks: Floats | None = None
    patches: tuple[Patch, ...] | None = None
    n_empty: int = 0

    def __len__(self) -> int:
        return len(self.scores)

    def to_image(self, to_frame: Affine, *, size: tuple[int, int], clip: bool) -> Detections:
        """In the pixels of the image of `size` (height, width); `clip` cuts boxes at its edges.

        `to_frame` is the affine from the image to the frame. A box that lies beyond the image
        altogether is left out by the cut.
        """
        if self.patches and not is_upright(to_frame):
            raise ModelError(
                "Masks of images that are stored turned cannot be taken back to them where "
                "`model.input.exif` is `ignore`. Turn the files, or say `exif: apply`."
            )
        back = to_frame.inverse
        height, width = size
        boxes = back.boxes(self.boxes)
        if clip:
            boxes = np.clip(boxes, 0, [width, height, width, height])
        kept = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        return Detections(
            boxes[kept],
            self.scores[kept],
            self.classes[kept],
            landmarks=None if self.landmarks is None else back.points(self.landmarks[kept]),
            patches=None
            if self.patches is None
            else tuple(self.patches[at].moved(back) for at in kept),
            n_empty=self.n_empty + len(boxes) - len(kept),
        )

    def cutouts(self, size: tuple[int, int]) -> tuple[Cutout, ...]:
        """The objects' pixels in a picture of `size`; nothing without masks."""
        return tuple(patch.drawn(size) for patch in self.patches or ())


@dataclass(frozen=True, eq=False)
class ClassMap:
    """The class (h, w) int16 of each pixel, `UNSEEN` where the model was not asked."""

    classes: NDArray[np.int16]

    def to_image(self, to_frame: Affine, *, size: tuple[int, int]) -> ClassMap:
        """The nearest answer to each pixel of the image of `size` (height, width)."""
        if not is_upright(to_frame):
            return ClassMap(sampled(self.classes, to_frame, size=size, outside=UNSEEN))
        height, width = size
        rows, columns = self.classes.shape
        centres = np.arange(max(size)) + 0.5
        at = np.floor(to_frame.points(np.stack([centres, centres], axis=1))).astype(int)
        x, y = at[:width, 0], at[:height, 1]
        found = np.full(size, UNSEEN, dtype=np.int16)
        seen_x, seen_y = (x >= 0) & (x < columns), (y >= 0) & (y < rows)
        found[np.ix_(seen_y, seen_x)] = self.classes[np.ix_(y[seen_y], x[seen_x])]
        return ClassMap(found)


Answer = Detections | ClassMap


def is_upright(placement: Affine) -> bool:
    """Whether rows of an image stay rows in its frame: it is not turned on its way."""
    origin, along, down = placement.points(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return bool(along[1] == origin[1] and down[0] == origin[0])


def _blend(pixels: np.ndarray, region: tuple[float, ...], count: int) -> NDArray[np.float32]:
    """Weights (pixels, count) of linear interpolation between values spread over `region`."""
    low, high = region
    return weights((pixels + 0.5 - low) / (high - low) * count - 0.5, count)


def weights(at: np.ndarray, count: int) -> NDArray[np.float32]:
    """Rows (len(at), count) that take the value at a place between 0 and ``count - 1``.

    Beyond the ends, the end's value.
    """
    at = np.clip(at, 0, count - 1)
    before = np.minimum(at.astype(int), max(count - 2, 0))
    found = np.zeros((len(at), count), dtype=np.float32)
    rows = np.arange(len(at))
    found[rows, before] = 1 - (at - before)
    found[rows, np.minimum(before + 1, count - 1)] += (at - before).astype(np.float32)
    return found
