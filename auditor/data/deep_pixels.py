"""Pixels of more than 8 bits: the numbers that are stored, and 8 bits made of them."""

from __future__ import annotations

import io
import sys

import numpy as np
from PIL import Image

DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
"""Pillow's modes of one channel with more than 8 bits."""

_FULL = 0xFFFF
_OTHER_END = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


class PixelRangeError(ValueError):
    """Pixels that do not lie in the range that is stated, or where none is; says why."""


def stored_values(image: Image.Image, content: bytes, *, bits: int) -> np.ndarray | None:
    """The numbers as stored, (h, w) or (h, w, 3); None where Pillow hands out 8 bits alone.

    `image` is `content` opened and loaded. Of 16-bit colour Pillow keeps the high bytes; the low
    ones come from reading the file again with its bytes turned round.
    """
    if image.mode in DEEP_MODES:
        return np.asarray(image)
    if bits != 16 or image.mode not in ("RGB", "RGBA"):
        return None
    low = Image.open(io.BytesIO(content), formats=(str(image.format),))
    tiles = []
    for tile in low.tile:
        args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        mode, _, end = str(args[0]).partition(";16")
        if mode != image.mode or end not in _OTHER_END:
            return None
        turned = (f"{mode};16{_OTHER_END[end]}", *args[1:])
        tiles.append(tile._replace(args=turned if isinstance(tile.args, tuple) else turned[0]))
    low.tile = tiles
    high, rest = (np.asarray(each)[..., :3].astype(np.uint16) for each in (image, low))
    return high << 8 | rest


def eight_bits(values: np.ndarray, *, white: float | None) -> np.ndarray:
    """Stored values as uint8, `white` (None: 65535) as 255, rounded to the nearest.

    Raises PixelRangeError for values outside of 0 to `white`, and for float pixels without one.
    """
    if white is None and values.dtype.kind == "f":
        raise PixelRangeError(
            "32-bit float pixels have no stated range; store the image with 8 or 16 bits, or state "
            "what white is under `model.input.range`"
        )
    full = _FULL if white is None else white
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= full):
        said = "have no stated range" if white is None else f"exceed input.range {white:g}"
        raise PixelRangeError(
            f"pixels from {low:g} to {high:g} {said}; state what white is under "
            "`model.input.range`, or store the image with 8 or 16 bits"
        )
    shares = values.astype(np.float64) * (255 / full)
    return np.floor(shares + 0.5).astype(np.uint8)


def unused_bits(highest: float, *, bits: int) -> int:
    """Bits of a container of `bits` that values up to `highest` leave unused, from the top.

    Deep integers are read as 16 bits, whatever holds them.

    Examples
    --------
    >>> unused_bits(4095, bits=16), unused_bits(255, bits=32), unused_bits(255, bits=8)
    (4, 8, 0)
    """
    container = 8 if bits <= 8 else 16
    return container - min(int(highest).bit_length(), container)


def usual_white(highest: float, *, bits: int) -> int | None:
    """The white that values up to `highest` suggest, where a quarter of the container would do.

    Of 8, 10, 12 or 14 bits the fewest that hold them, or fewer in 8 bits; None where the
    container is used.
    """
    if unused_bits(highest, bits=bits) < 2:
        return None
    depths = (8, 10, 12, 14) if bits > 8 else range(1, 7)
    return int(2 ** next(d for d in depths if highest < 2**d) - 1)
