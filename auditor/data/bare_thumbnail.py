"""Thumbnails: small copies of images that hold pixels and nothing else."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from auditor.spec.handing_on import Region

_CELLS = 3
"""A blurred region is so many cells wide and high: nothing in it can be told."""
_QUALITY = 75


@dataclass(frozen=True)
class Thumbnail:
    """A JPEG without EXIF, profile or comment, and its size in pixels."""

    content: bytes
    width: int
    height: int


def thumbnail(pixels: np.ndarray, *, side: int, blur: Sequence[Region] = ()) -> Thumbnail:
    """A copy of upright `pixels` (h, w, 3) uint8, its longer side at most `side` pixels.

    The regions `blur` (x0, y0, x1, y1, fractions of the image) become a few cells of one colour
    each before the image is made smaller, so that no pixel of theirs is left. It is encoded anew
    from pixels: nothing else of the file comes along.
    """
    image = Image.fromarray(pixels)
    for region in blur:
        _hide(image, region)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(stream.getvalue(), image.width, image.height)


def _hide(image: Image.Image, region: Region) -> None:
    x0, y0, x1, y1 = region
    box = (
        math.floor(x0 * image.width), math.floor(y0 * image.height),
        math.ceil(x1 * image.width), math.ceil(y1 * image.height),
    )  # fmt: skip
    size = (box[2] - box[0], box[3] - box[1])
    cells = image.crop(box).resize((_CELLS, _CELLS), Image.Resampling.BOX)
    image.paste(cells.resize(size, Image.Resampling.NEAREST), box)
