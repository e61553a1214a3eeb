"""Affines: where a point of an image lies in the frame that a model is given, and back.

Coordinates are continuous, from the upper left corner of the upper left pixel: pixel ``i`` covers
``i`` to ``i + 1``, and an image of width w ends at w.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.spec import InputSpec

Floats = NDArray[np.float64]

_LONGEST_RATIO = 64
"""As in `auditor.data.frames`: of a longer strip only the middle is resized."""


@dataclass(frozen=True)
class Affine:
    """``(x, y) -> (xx x + xy y + x0, yx x + yy y + y0)``."""

    xx: float = 1.0
    xy: float = 0.0
    x0: float = 0.0
    yx: float = 0.0
    yy: float = 1.0
    y0: float = 0.0

    @classmethod
    def scaling(cls, x: float, y: float) -> Affine:
        return cls(xx=x, yy=y)

    @classmethod
    def shifting(cls, x: float, y: float) -> Affine:
        return cls(x0=x, y0=y)

    def then(self, after: Affine) -> Affine:
        """First this affine, then `after`."""
        linear, x0, y0 = after._linear, self.x0, self.y0
        (xx, xy), (yx, yy) = (linear @ self._linear).tolist()
        return Affine(
            xx, xy, after.xx * x0 + after.xy * y0 + after.x0,
            yx, yy, after.yx * x0 + after.yy * y0 + after.y0,
        )  # fmt: skip

    @property
    def inverse(self) -> Affine:
        """The affine back; numpy raises LinAlgError for one that flattens the plane."""
        (xx, xy), (yx, yy) = np.linalg.inv(self._linear).tolist()
        x0, y0 = -(xx * self.x0 + xy * self.y0), -(yx * self.x0 + yy * self.y0)
        return Affine(xx, xy, x0, yx, yy, y0)

    @property
    def _linear(self) -> Floats:
        return np.array([[self.xx, self.xy], [self.yx, self.yy]])

    def points(self, points: np.ndarray) -> Floats:
        """Where points (..., 2) of x and y go."""
        x, y = points[..., 0], points[..., 1]
        moved: Floats = np.stack(
            [self.xx * x + self.xy * y + self.x0, self.yx * x + self.yy * y + self.y0], axis=-1
        )
        return moved

    def boxes(self, corners: np.ndarray) -> Floats:
        """The boxes around where boxes (b, 4) of x0, y0, x1, y1 go; NaN stays NaN."""
        x0, y0, x1, y1 = np.asarray(corners, dtype=np.float64).T
        moved = self.points(np.stack([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]).transpose(2, 0, 1))
        return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)

    def ellipses(self, corners: np.ndarray) -> Floats:
        """The boxes around where the ellipses within boxes (b, 4) go; NaN stays NaN.

        Of an object of unknown shape the closest guess once it is turned: boxes around turned boxes
        are too large (Kalra et al. 2021, doi:10.1109/ICCV48922.2021.00351). As `boxes` where
        nothing is turned.
        """
        given = np.asarray(corners, dtype=np.float64)
        centre = self.points((given[:, :2] + given[:, 2:]) / 2)
        half = (given[:, 2:] - given[:, :2]) / 2
        reach = np.sqrt((half**2) @ (self._linear**2).T)
        return np.concatenate([centre - reach, centre + reach], axis=1)


@dataclass(frozen=True)
class Shown:
    """Where the points of an image go in what is shown of it, a picture of `size` (height, width).

    Nothing beyond `within` (x0, y0, x1, y1) is seen.
    """

    to: Affine
    size: tuple[int, int]
    within: tuple[float, float, float, float]


def to_frame_affine(*, width: int, height: int, input: InputSpec) -> Affine:
    """From an image of `width` and `height` to the frame that `auditor.data.frames.to_frame` makes.

    Its inverse takes a model's boxes back to the image.
    """
    rows, columns = input.size
    if input.resize == "stretch":
        return Affine.scaling(columns / width, rows / height)
    if input.resize == "shortest":
        return _shortest(width, height, input)
    ratio = min(rows / height, columns / width)
    whole = round if input.align == "center" else int
    new_rows = min(rows, max(1, whole(height * ratio)))
    new_columns = min(columns, max(1, whole(width * ratio)))
    scaled = Affine.scaling(new_columns / width, new_rows / height)
    if input.align != "center":
        return scaled
    left = max(0, round((columns - new_columns) / 2 - 0.1))
    top = max(0, round((rows - new_rows) / 2 - 0.1))
    return scaled.then(Affine.shifting(left, top))


def displayed_to_frame(*, size: tuple[int, int], orientation: int, input: InputSpec) -> Affine:
    """From an image as displayed to its frame; `size` (width, height) is of the stored pixels.

    Where `input.exif` is ignored, frames are made of the stored pixels.
    """
    width, height = size
    upright = upright_affine(orientation, width=width, height=height)
    if input.exif == "ignore":
        stored = to_frame_affine(width=width, height=height, input=input)
        return upright.inverse.then(stored)
    if orientation >= 5:
        width, height = height, width
    return to_frame_affine(width=width, height=height, input=input)


def _shortest(width: int, height: int, input: InputSpec) -> Affine:
    assert input.shortest is not None
    short, upright = min(width, height), height >= width
    long = min(max(width, height), max(int(short * _LONGEST_RATIO), short))
    cut = (max(width, height) - long) // 2
    shift = Affine.shifting(0, -cut) if upright else Affine.shifting(-cut, 0)
    resized = int(input.shortest * long / short)
    new_width, new_height = (input.shortest, resized) if upright else (resized, input.shortest)
    # A strip that is cut keeps its shorter side.
    kept = (short, long) if upright else (long, short)
    scaled = shift.then(Affine.scaling(new_width / kept[0], new_height / kept[1]))
    return scaled.then(_centred(new_width, new_height, input.size))


def _centred(width: int, height: int, size: tuple[int, int]) -> Affine:
    """Padded to `size` (rows, columns) where smaller, then cut to its middle."""
    rows, columns = size
    left, top = max(columns - width, 0) // 2, max(rows - height, 0) // 2
    left -= round((max(width, columns) - columns) / 2)
    top -= round((max(height, rows) - rows) / 2)
    return Affine.shifting(left, top)


def mirrored(width: float) -> Affine:
    """Left and right exchanged, of an image of `width`."""
    return Affine(xx=-1, x0=width)


def upended(height: float) -> Affine:
    """Top and bottom exchanged, of an image of `height`."""
    return Affine(yy=-1, y0=height)


def upright_affine(orientation: int, *, width: float, height: float) -> Affine:
    """From the stored pixels of an image to those displayed, by its EXIF orientation (1 to 8).

    `width` and `height` are the stored ones; orientations 5 to 8 exchange them.
    """
    transposed = Affine(xx=0, xy=1, yx=1, yy=0)
    steps = {
        1: (),
        2: (mirrored(width),),
        3: (mirrored(width), upended(height)),
        4: (upended(height),),
        5: (transposed,),
        6: (transposed, mirrored(height)),
        7: (transposed, mirrored(height), upended(width)),
        8: (transposed, upended(width)),
    }[orientation]
    found = Affine()
    for step in steps:
        found = found.then(step)
    return found


def sampled(
    values: np.ndarray, to_source: Affine, *, size: tuple[int, int], outside: float
) -> np.ndarray:
    """An array (h, w) seen through an affine, without mixing: nearest neighbours, (rows, columns).

    `to_source` takes a point of the result to its place in `values`; what lies beyond is
    `outside`. Moves class maps and masks as boxes are moved.
    """
    rows, columns = size
    grid = np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5), axis=-1)
    # The slack keeps a centre on a pixel's edge from falling to either side by rounding.
    at = np.floor(to_source.points(grid) + 1e-9).astype(np.int64)
    inside = (
        (at >= 0).all(axis=-1) & (at[..., 0] < values.shape[1]) & (at[..., 1] < values.shape[0])
    )
    found = np.full(size, outside, dtype=values.dtype)
    found[inside] = values[at[inside][:, 1], at[inside][:, 0]]
    return found
