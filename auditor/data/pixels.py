"""Arithmetic on pixels in whole numbers: tables, sums, edges drawn out, rounding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Ints = NDArray[np.uint16]

MOST = 65_535
"""What fits into 16 bits: sums of pixels are taken in two bytes, which halves their time."""


def planes(frame: Frame) -> NDArray[np.uint8]:
    """The channels, (3, h, w)."""
    return np.ascontiguousarray(frame.transpose(2, 0, 1))


def joined(planes: Sequence[np.ndarray]) -> Frame:
    return np.stack(list(planes), axis=-1)


def mapped(values: np.ndarray, table: np.ndarray) -> Frame:
    """Each value (uint8) by a table (256,) of its own."""
    said = np.clip(np.rint(table), 0, 255).astype(np.uint8).tobytes()
    return np.frombuffer(values.tobytes().translate(said), np.uint8).reshape(values.shape)


@lru_cache(maxsize=64)
def _places(length: int, by: int, *, mirror: bool) -> NDArray[np.intp]:
    """Which pixels a side shows that is drawn out by `by` at both ends; never more than there are.

    Mirrored at the middle of the outermost pixel, or the outermost pixel again.
    """
    at = np.arange(-by, length + by)
    if not mirror:
        return np.clip(at, 0, length - 1)
    period = max(2 * (length - 1), 1)
    at %= period
    return np.minimum(at, period - at) if length > 1 else np.zeros_like(at)


def padded(frame: Frame, by: int, *, mirror: bool) -> Ints:
    """A frame drawn out at its edges, a line a row: (h + 2 by, 3 (w + 2 by)) uint16."""
    height, width, _ = frame.shape
    rows, columns = (_places(side, by, mirror=mirror) for side in (height, width))
    drawn = np.empty((len(rows), len(columns), 3), dtype=np.uint16)
    inside = slice(by, by + width)
    drawn[by : by + height, inside] = frame
    drawn[:by, inside], drawn[by + height :, inside] = (
        frame.take(part, axis=0) for part in (rows[:by], rows[by + height :])
    )
    drawn[:, :by], drawn[:, by + width :] = (
        drawn.take(part + by, axis=1) for part in (columns[:by], columns[by + width :])
    )
    return drawn.reshape(len(rows), 3 * len(columns))


class PixelSum:
    """A sum of pixels in two bytes, emptied into four before it would overflow."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._part = np.zeros(shape, dtype=np.uint16)
        self._whole: NDArray[np.float32] | None = None
        self._room = MOST
        self.added_most = 0

    def add(self, values: Ints, *, most: int) -> None:
        """Add values of `most` or less each."""
        if most > self._room:
            self._whole = self._emptied()
            self._part[:] = 0
            self._room = MOST
        self._part += values
        self._room -= most
        self.added_most += most

    def over(self, count: float) -> Frame:
        """The sum over a number, as pixels."""
        return rounded(self._part if self._whole is None else self._emptied(), 1 / count)

    def _emptied(self) -> NDArray[np.float32]:
        part = self._part.astype(np.float32)
        return part if self._whole is None else self._whole + part


def rounded(sums: np.ndarray, scale: float) -> Frame:
    """Numbers times `scale` as pixels; they are not below 0 by more than half."""
    found = np.multiply(sums, np.float32(scale), dtype=np.float32)
    found += np.float32(0.5)
    return np.asarray(np.clip(found, 0, 255, out=found).astype(np.uint8))
