"""Moves of a frame: by some pixels, turned, smaller, cut, mirrored; and where its points go."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from auditor.data.chance import Chance
from auditor.data.geometry import Affine, mirrored

Size = tuple[int, int]
"""Height and width."""


def _shift(size: Size, by: float, chance: Chance) -> Affine:
    """By `by` pixels, in one of eight directions."""
    down, across = _DIRECTIONS[chance.number % 8]
    return Affine.shifting(across * round(by), down * round(by))


_DIRECTIONS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def _turn(size: Size, by: float, chance: Chance) -> Affine:
    """By `by` degrees around the centre, one way or the other."""
    angle = math.radians(by if chance.number % 2 else -by)
    cos, sin = math.cos(angle), math.sin(angle)
    return _about_centre(Affine(cos, -sin, 0, sin, cos, 0), size)


def _smaller(size: Size, by: float, chance: Chance) -> Affine:
    """To a share `by` of its sides, around the centre."""
    return _about_centre(Affine.scaling(by, by), size)


def _crop(size: Size, by: float, chance: Chance) -> Affine:
    """A window of a share `by` of its sides, somewhere, magnified to the whole."""
    height, width = size
    across, down = chance.share, chance.again("down").share
    corner = Affine.shifting(-across * (1 - by) * width, -down * (1 - by) * height)
    return corner.then(Affine.scaling(1 / by, 1 / by))


def _mirror(size: Size, by: float, chance: Chance) -> Affine:
    """Left and right exchanged."""
    return mirrored(size[1])


MOVES: Mapping[str, Callable[[Size, float, Chance], Affine]] = {
    "shift": _shift,
    "turn": _turn,
    "smaller": _smaller,
    "crop": _crop,
    "mirror": _mirror,
}
"""Where the points of a frame go, by the name of the move."""


def moved(frame: np.ndarray, to: Affine) -> np.ndarray:
    """A frame (h, w, 3) uint8 with its points moved; its edge goes on where nothing comes to lie.

    Bilinear between pixels; a shift by whole pixels, and a mirrored frame, keep them as they are.
    """
    height, width, _ = frame.shape
    back = to.inverse
    if (back.xx, back.xy, back.yx, back.yy) == (1, 0, 0, 1) and _is_whole(back):
        rows = np.clip(np.arange(height) + round(back.y0), 0, height - 1)
        columns = np.clip(np.arange(width) + round(back.x0), 0, width - 1)
        return frame.take(rows, axis=0).take(columns, axis=1)
    if to == mirrored(width):
        return np.ascontiguousarray(frame[:, ::-1])
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
    seen = back.points(corners)
    beyond = np.maximum(-seen.min(axis=0), seen.max(axis=0) - [width, height]).max()
    margin = max(math.ceil(beyond), 0) + 2
    padded = np.pad(frame, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    data = (back.xx, back.xy, back.x0 + margin, back.yx, back.yy, back.y0 + margin)
    picture = Image.fromarray(padded).transform(
        (width, height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
    )
    return np.asarray(picture)


def _is_whole(to: Affine) -> bool:
    return all(abs(part - round(part)) < 1e-9 for part in (to.x0, to.y0))


def _about_centre(turn: Affine, size: Size) -> Affine:
    height, width = size
    there = Affine.shifting(-width / 2, -height / 2)
    return there.then(turn).then(Affine.shifting(width / 2, height / 2))
