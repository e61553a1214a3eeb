"""Masks of objects as run lengths: small, exact, and compared without being drawn.

Pixels are counted column by column, as in COCO's run-length encoding; `ends` are the places
where the value changes, so that pixels ``ends[0]`` to ``ends[1]`` are inside, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from auditor.errors import DataError

Ints = NDArray[np.int64]

_FIFTHS = 5

_MOST_CHARACTERS = 7
"""Of COCO's text in one run: 35 bits."""

_BLOCK = 1 << 18
"""Steps that are walked along an outline at once."""

_SPARE_STEPS = 1_000_000
"""Steps of an outline that no image is too small for."""


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
        total = size[0] * size[1]
        runs = (
            _whole(counts)
            if not isinstance(counts, str | bytes)
            else (_runs_of_text(counts) if len(counts) <= _MOST_CHARACTERS * (total + 1) else None)
        )
        # Each is looked at before they are summed: sums beyond 64 bits come out as any number.
        if runs is None or ((runs < 0) | (runs > total)).any() or int(runs.sum()) != total:
            raise DataError(
                f"run lengths: found {_told(runs)}, expected whole numbers from 0 that sum to "
                f"{size[0]} x {size[1]} = {total}; write the object's mask anew"
            )
        return cls(size, _without_empty(np.cumsum(runs, dtype=np.int64), total))

    @classmethod
    def of_polygons(cls, polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
        """From outlines x, y, x, y, ... in pixels; the object is their union.

        Drawn as COCO draws them, with corners rounded to fifths of a pixel, so that sizes and
        overlaps agree with published ones. Raises DataError for an outline of under three points,
        and for one that goes to and fro more than any in an image of that size has to.
        """
        ends = [_filled(_points(polygon), size) for polygon in polygons]
        return cls(size, ends[0] if len(ends) == 1 else _joined(ends))

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


def _joined(each: Sequence[Ints]) -> Ints:
    """Places of change of the union of several masks, each given by its own."""
    places = np.concatenate(each)
    steps = np.concatenate([np.resize([1, -1], len(ends)) for ends in each])
    # Of equal places those that begin come first: runs that touch are one.
    order = np.lexsort((-steps, places))
    inside = np.cumsum(steps[order])
    changes = (inside == 0) | ((inside == 1) & (steps[order] == 1))
    found: Ints = places[order][changes]
    return found


def _whole(counts: Sequence[int]) -> Ints | None:
    """Counts as an array, None where they are no list of whole numbers that 64 bits hold."""
    numbers = isinstance(counts, Sequence) and all(type(count) is int for count in counts)
    if not numbers or any(abs(count) >= 1 << 62 for count in counts):
        return None
    return np.array(counts, dtype=np.int64)


def _told(runs: Ints | None) -> str:
    if runs is None:
        return "no list of whole numbers"
    odd = runs[runs < 0]
    return f"one of {odd[0]}" if len(odd) else f"{len(runs)} that sum to {sum(runs.tolist())}"


def _runs_of_text(text: str | bytes) -> Ints | None:
    """COCO's text: five bits a character from "0" on, the sixth says that more follow.

    From the third run on, what is written is the difference to the run before the last. None where
    a run is longer than any image, or the text ends within one.
    """
    codes = text.encode("ascii", "replace") if isinstance(text, str) else text
    bits = np.frombuffer(codes, dtype=np.uint8).astype(np.int64) - ord("0")
    odd = np.flatnonzero((bits < 0) | (bits >= 64))
    if len(odd):
        raise DataError(
            f"run lengths: found the character {chr(codes[odd[0]])!r}, expected COCO's text of '0' "
            "to 'o'; write the object's mask anew"
        )
    if not len(bits):
        return bits
    last = np.flatnonzero(bits < 32)
    starts = np.concatenate([[0], last[:-1] + 1])
    lengths = np.diff(last, prepend=-1)
    if not len(last) or last[-1] != len(bits) - 1 or lengths.max() > _MOST_CHARACTERS:
        return None
    place = np.arange(len(bits)) - np.repeat(starts, lengths)
    written = np.add.reduceat((bits & 31) << (5 * place), starts)
    written -= ((bits[last] & 16) > 0) * (1 << 5 * lengths)
    runs = written.copy()
    for first in (1, 2):
        runs[first::2] = np.cumsum(written[first::2])
    return runs


def _points(polygon: Sequence[float]) -> NDArray[np.float64]:
    flat = np.asarray(polygon, dtype=np.float64)
    if flat.ndim != 1 or len(flat) < 6 or len(flat) % 2 or not np.isfinite(flat).all():
        raise DataError(
            f"outline: found {flat.size} numbers, expected x, y pairs of three points or more, all "
            "finite; draw the object anew"
        )
    return flat.reshape(-1, 2)


def _filled(points: NDArray[np.float64], size: tuple[int, int]) -> Ints:
    """Places of change of one outline filled: in each column of pixel centres, between crossings.

    Raises DataError for one so long that it has to pass most pixels several times.
    """
    height, width = size
    limit = _FIFTHS * (max(size) + 1) * 4
    start = np.trunc(np.clip(points * _FIFTHS + 0.5, -limit, limit)).astype(np.int64)
    stop = np.roll(start, -1, axis=0)
    steps = np.abs(stop - start).max(axis=1) + 1
    if steps.sum() > 4 * _FIFTHS * height * width + _SPARE_STEPS:
        raise DataError(
            f"outline: found {len(points)} points that go to and fro over {steps.sum() // _FIFTHS} "
            f"pixels, expected an outline in an image of {width} x {height}; draw the object anew"
        )
    # Some edges at a time: memory does not grow with the outline.
    of_block = np.cumsum(steps) // _BLOCK
    bounds = [0, *(np.flatnonzero(np.diff(of_block)) + 1).tolist(), len(steps)]
    found = [_crossings(start[a:b], stop[a:b], size) for a, b in pairwise(bounds)]
    return _without_empty(np.concatenate(found), height * width)


def _crossings(start: Ints, stop: Ints, size: tuple[int, int]) -> Ints:
    """Places where edges from `start` to `stop`, both (k, 2), cross columns of pixel centres."""
    height, width = size
    u, v = _walked(start, stop)
    crossing = np.flatnonzero(np.diff(u)) + 1
    column = np.minimum(u[crossing], u[crossing - 1])
    row = np.minimum(v[crossing], v[crossing - 1])
    # A step from fifth 2 to 3 of a pixel passes its centre.
    at_centre = (column % _FIFTHS == _FIFTHS // 2) & (column >= 0) & (column < width * _FIFTHS)
    x = column[at_centre] // _FIFTHS
    y = np.ceil((row[at_centre] + 0.5) / _FIFTHS - 0.5).clip(0, height).astype(np.int64)
    found: Ints = x * height + y
    return found


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
