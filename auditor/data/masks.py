"""Masks of objects as run lengths: small, exact, and compared without being drawn.

Pixels are counted column by column, as in COCO's run-length encoding; `ends` are the places
where the value changes, so that pixels ``ends[0]`` to ``ends[1]`` are inside, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.errors import DataError

Ints = NDArray[np.int64]

_FIFTHS = 5


@dataclass(frozen=True, eq=False)
class Mask:
    """The pixels of one object in an image of `size` (height, width).

    `ends` (2k,) rising places: from each even one to the next odd one lie pixels of the object.
    """

    size: tuple[int, int]
    ends: Ints

    @classmethod
    def of_pixels(cls, pixels: np.ndarray) -> Mask:
        """From (h, w), where what is not 0 is the object."""
        flat = np.asarray(pixels).astype(bool).T.ravel()
        changes = np.flatnonzero(np.diff(flat, prepend=False, append=False))
        return cls((pixels.shape[0], pixels.shape[1]), changes.astype(np.int64))

    @classmethod
    def of_counts(cls, counts: Sequence[int] | str | bytes, size: tuple[int, int]) -> Mask:
        """From COCO's runs, a list or its text, that begin with pixels outside the object.

        Raises DataError where they are not runs of an image of that size.
        """
        height, width = size
        runs = _runs_of_text(counts) if isinstance(counts, str | bytes) else np.asarray(counts)
        whole = runs.dtype.kind in "iu" and runs.ndim == 1
        if not whole or (runs < 0).any() or int(runs.sum()) != height * width:
            raise DataError(
                f"run lengths: found {len(runs)} runs of {runs.sum() if whole else 'no numbers'}, "
                f"expected counts from 0 that sum to {height} x {width} = {height * width}; write "
                "the object's mask anew"
            )
        return cls(size, _without_empty(np.cumsum(runs, dtype=np.int64), height * width))

    @classmethod
    def of_polygons(cls, polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
        """From outlines x, y, x, y, ... in pixels; the object is their union.

        Drawn as COCO draws them, with corners rounded to fifths of a pixel, so that sizes and
        overlaps agree with published ones. Raises DataError for an outline of under three points.
        """
        drawn = [_filled(_points(polygon), size) for polygon in polygons]
        if len(drawn) == 1:
            return drawn[0]
        return cls.of_pixels(np.any([mask.pixels for mask in drawn], axis=0))

    @cached_property
    def pixels(self) -> NDArray[np.bool_]:
        """The mask drawn, (h, w) bool."""
        height, width = self.size
        steps = np.zeros(height * width + 1, dtype=np.int8)
        steps[self.ends] = np.resize([1, -1], len(self.ends))
        inside = np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
        drawn: NDArray[np.bool_] = inside.reshape(width, height).T
        return drawn

    @property
    def area(self) -> int:
        return int((self.ends[1::2] - self.ends[::2]).sum())

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the box around it; all 0 for an empty mask."""
        if not len(self.ends):
            return (0.0, 0.0, 0.0, 0.0)
        height = self.size[0]
        first, last = self.ends[::2], self.ends[1::2] - 1
        top, bottom = first % height, last % height
        # A run that goes on in the next column touches the first and the last row.
        wraps = first // height < last // height
        y0 = 0 if wraps.any() else int(top.min())
        y1 = height if wraps.any() else int(bottom.max()) + 1
        return (float(first[0] // height), float(y0), float(last[-1] // height + 1), float(y1))

    def overlap(self, other: Mask) -> int:
        """Pixels that are of both."""
        if not len(self.ends) or not len(other.ends):
            return 0
        # How many pixels of the other come before a place: rises by one within its runs.
        lengths = np.diff(other.ends, prepend=0) * np.resize([0, 1], len(other.ends))
        before = np.interp(self.ends, other.ends, np.cumsum(lengths))
        return round(float((before[1::2] - before[::2]).sum()))


def _without_empty(places: Ints, total: int) -> Ints:
    """Places of change of runs, of which some may be empty: twice the same place is no change."""
    found, times = np.unique(places, return_counts=True)
    # The end of the image closes a run only where one is open.
    kept: Ints = found[(times % 2 == 1) & (found < total)]
    return np.append(kept, total) if len(kept) % 2 else kept


def _runs_of_text(text: str | bytes) -> Ints:
    """COCO's text: five bits a character from "0" on, the sixth says that more follow.

    From the third run on, what is written is the difference to the run before the last.
    """
    codes = text.encode("ascii", "replace") if isinstance(text, str) else text
    runs: list[int] = []
    value, shift = 0, 0
    for code in codes:
        bits = code - 48
        if not 0 <= bits < 64:
            raise DataError(
                f"run lengths: found the character {chr(code)!r}, expected COCO's text of '0' to "
                "'o'; write the object's mask anew"
            )
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return np.array(runs, dtype=np.int64)


def _points(polygon: Sequence[float]) -> NDArray[np.float64]:
    flat = np.asarray(polygon, dtype=np.float64)
    if flat.ndim != 1 or len(flat) < 6 or len(flat) % 2 or not np.isfinite(flat).all():
        raise DataError(
            f"outline: found {flat.size} numbers, expected x, y pairs of three points or more, all "
            "finite; draw the object anew"
        )
    return flat.reshape(-1, 2)


def _filled(points: NDArray[np.float64], size: tuple[int, int]) -> Mask:
    """One outline filled: in each column of pixel centres, between its crossings."""
    height, width = size
    limit = _FIFTHS * (max(size) + 1) * 4
    corners = np.trunc(np.clip(points * _FIFTHS + 0.5, -limit, limit)).astype(np.int64)
    u, v = _walked(corners, np.roll(corners, -1, axis=0))
    crossing = np.flatnonzero(np.diff(u)) + 1
    column = np.minimum(u[crossing], u[crossing - 1])
    row = np.minimum(v[crossing], v[crossing - 1])
    # A step from fifth 2 to 3 of a pixel passes its centre.
    at_centre = (column % _FIFTHS == _FIFTHS // 2) & (column >= 0) & (column < width * _FIFTHS)
    x = column[at_centre] // _FIFTHS
    y = np.ceil((row[at_centre] + 0.5) / _FIFTHS - 0.5).clip(0, height).astype(np.int64)
    return Mask(size, _without_empty(x * height + y, height * width))


def _walked(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """All points on the way along the edges from `start` to `stop`, both (k, 2), in whole steps.

    The longer side of an edge is walked one by one and the other follows, rounded; always from
    the lower end of the longer side, so that both directions meet the same points.
    """
    by_x = (np.abs(stop - start)[:, 0] >= np.abs(stop - start)[:, 1])[:, None]
    lead = np.where(by_x, start, start[:, ::-1])
    goal = np.where(by_x, stop, stop[:, ::-1])
    back = (lead[:, 0] > goal[:, 0])[:, None]
    low, high = np.where(back, goal, lead), np.where(back, lead, goal)
    steps = high[:, 0] - low[:, 0]
    slope = (high[:, 1] - low[:, 1]) / np.maximum(steps, 1)
    edge = np.repeat(np.arange(len(start)), steps + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    step = np.where(back[edge, 0], steps[edge] - step, step)
    along = low[edge, 0] + step
    across = np.trunc(low[edge, 1] + slope[edge] * step + 0.5).astype(np.int64)
    by = by_x[edge, 0]
    return np.where(by, along, across), np.where(by, across, along)
