"""Which images may be copies of each other: candidates, found on small thumbnails.

A thumbnail is described by its lowest frequencies (a discrete cosine transform) in brightness and
colour, in a form that is the same for an image and its mirrored and turned copies: of a frequency
and its transpose the larger and the smaller amplitude. Windows of an image are described too, so
that crops and borders are found, and halves, so that what was laid over one half does not matter.
Of each description the few nearest others are looked for; see `auditor.data.copies` for what
makes a candidate a copy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.fft import dct

from auditor.data.held_rows import HeldRows
from auditor.data.near_trees import Points, nearest_in_trees
from auditor.data.scan import THUMBNAIL
from auditor.data.thumbnails import HeldThumbnails, Thumbnails

SIDE = THUMBNAIL
"""Side of a thumbnail."""

Window = tuple[float, float, float, float]
"""Top, bottom, left and right of a part of an image, as shares of its height and width."""

WHOLE: Window = (0.0, 1.0, 0.0, 1.0)
_MIDDLES: tuple[Window, ...] = tuple((s, 1 - s, s, 1 - s) for s in (0.035, 0.065, 0.1))
_CORNERS: tuple[Window, ...] = tuple(
    (y, y + 0.925, x, x + 0.925) for y in (0.0, 0.075) for x in (0.0, 0.075)
)
_SIDES: tuple[Window, ...] = ((0, 0.9, 0, 1), (0.1, 1, 0, 1), (0, 1, 0, 0.9), (0, 1, 0.1, 1))
_HALVES: tuple[Window, ...] = (
    (0.0, 0.5, 0.0, 1.0),
    (0.5, 1.0, 0.0, 1.0),
    (0.0, 1.0, 0.0, 0.5),
    (0.0, 1.0, 0.5, 1.0),
)

CROWD = 8
"""Look-alikes of an image, as a whole, that are kept. An image with as many has a crowd, where
all of them are within this radius, as shots of a fixed camera are: none of its windows is tried."""

_CROWD_RADIUS = 0.05

_MOST_COMPARED = 8192
"""Images that the members of a crowd are compared with at most: that it is one is known then."""

_FEW = 3
"""The same by a window or a half."""

MOST_WINDOWED = 20_000
"""Above this number of images (20 s) no windows are tried: only whole images are compared."""

MOST_COMPARED_WHOLE = 100_000
"""Above this number of images those near each other are looked for in random trees, which can
miss some (`auditor.data.near_trees`): comparing all takes time that grows as the square."""

_RADIUS, _CORRELATION = 0.2, 0.95
_WINDOW_RADIUS, _WINDOW_CORRELATION = 0.3, 0.9
"""How far descriptions may lie apart, and how much thumbnails of 16 x 16 must agree."""

_FREQUENCIES = 6
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Shares of red, green and blue in grey."""

_COLOUR = 0.3
_LEAST_AMPLITUDE = 4.0 * SIDE
_BLOCK, _FIRST_CHUNK, _LONGEST_CHUNK = 256, 64, 4096
_BOX_AXES = 8
_GREYEST = 3
_SKETCHED_AT_ONCE, _PAIRS_AT_ONCE = 1024, 1 << 16


@dataclass(frozen=True)
class Candidates:
    """Pairs of images, (n,) each: `window` (n, 4) of `one` looks like `other` after `turn`.

    See `turned` for turns. `crowded` (of all images, not of pairs) have `CROWD` look-alikes.
    """

    one: np.ndarray
    other: np.ndarray
    turn: np.ndarray
    window: np.ndarray
    correlation: np.ndarray
    crowded: np.ndarray


def turned(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Pixels (..., h, w, channels), mirrored where `turn` is above 3, turned by its quarters."""
    mirrored = pixels[..., :, ::-1, :] if turn > 3 else pixels
    return np.rot90(mirrored, turn % 4, axes=(-3, -2))


def resampling(side: int, start: float, end: float) -> np.ndarray:
    """The (side, side) matrix that takes cells of [0, 1] to as many of [start, end], linearly."""
    at = (start + (end - start) * (np.arange(side) + 0.5) / side) * side - 0.5
    at = np.clip(at, 0, side - 1)
    low = np.minimum(at.astype(int), side - 2)
    matrix = np.zeros((side, side), dtype=np.float32)
    rows = np.arange(side)
    matrix[rows, low] = 1 - (at - low)
    matrix[rows, low + 1] = at - low
    return matrix


def candidates(given: Thumbnails) -> Candidates:
    """Pairs that may be copies, of thumbnails (n, 32, 32, 3) uint8, each pair once."""
    thumbnails = given[:] if len(given) <= MOST_WINDOWED else given
    whole = _whole(thumbnails)
    one, other = _alike(whole)
    found = [_fitting(thumbnails, one, other, WHOLE, WHOLE, least=_CORRELATION)]
    close = _apart(whole, one, other) <= _CROWD_RADIUS
    crowded = np.bincount(one[close], minlength=len(whole)) >= CROWD + 1
    alone = np.flatnonzero(~crowded)
    searched = len(alone) > 1 and len(thumbnails) <= MOST_WINDOWED
    for window in (*_MIDDLES, *_CORNERS, *_SIDES, *_HALVES) if searched else ():
        theirs = window if window in _HALVES else WHOLE
        ours = sketches(thumbnails[alone], window)
        shown = ours if theirs == window else whole[alone]
        one, other = nearest(ours, shown, radius=_WINDOW_RADIUS, most=_FEW + 1)
        found.append(
            _fitting(
                thumbnails, alone[one], alone[other], window, theirs, least=_WINDOW_CORRELATION
            )
        )
    if searched:
        found += _without_colour(thumbnails[:])
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    ends = [column.astype(np.int64) for column in columns[:2]]
    low, high = np.minimum(*ends), np.maximum(*ends)
    # Of the ways in which two images were found that which fits best.
    order = np.lexsort((-columns[4], high, low))
    first = np.flatnonzero(np.diff(low[order] * len(thumbnails) + high[order], prepend=-1))
    one, other, turn, place, correlation = (
        column[order[first]] for column in (*ends, *columns[2:])
    )
    return Candidates(one, other, turn, place, correlation, crowded)


def _whole(thumbnails: Thumbnails) -> Points:
    """Sketches of whole images, of very many in the file of their thumbnails."""
    if len(thumbnails) > MOST_COMPARED_WHOLE and isinstance(thumbnails, HeldThumbnails):
        return _held_sketches(thumbnails)
    return sketches(thumbnails, WHOLE)


def _alike(whole: Points) -> tuple[np.ndarray, np.ndarray]:
    """Of each image that has look-alikes the nearest as a whole, itself among them."""
    if isinstance(whole, HeldRows) or len(whole) > MOST_COMPARED_WHOLE:
        return nearest_in_trees(whole, radius=_RADIUS, most=CROWD + 1)
    return nearest(whole, whole, radius=_RADIUS, most=CROWD + 1, close=_CROWD_RADIUS)


def _held_sketches(thumbnails: HeldThumbnails) -> HeldRows:
    """Sketches of whole images, appended to their file: of a million they are 200 MB."""
    parts = (thumbnails[part] for part in _slices(len(thumbnails), _SKETCHED_AT_ONCE))
    sketched = (sketches(part, WHOLE) for part in parts)
    width = sketches(np.zeros((1, SIDE, SIDE, 3), np.uint8), WHOLE).shape[1]
    return HeldRows.written(sketched, thumbnails.file, width=width)


def _apart(whole: Points, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distances of pairs (n,), a part at a time: pairs are more than images."""
    found = np.empty(len(one), dtype=np.float32)
    for part in _slices(len(one), _PAIRS_AT_ONCE):
        found[part] = np.linalg.norm(whole[one[part]] - whole[other[part]], axis=1)
    return found


def _without_colour(thumbnails: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Pairs of a grey image and one in colour that look alike without it; [] without either."""
    grey = np.ptp(thumbnails, axis=3).max(axis=(1, 2)) <= _GREYEST
    ours, theirs = np.flatnonzero(grey), np.flatnonzero(~grey)
    if not len(ours) or not len(theirs):
        return []
    plain = np.repeat(np.rint(thumbnails[theirs] @ GREY)[..., None], 3, axis=3)
    shown = (sketches(images, WHOLE) for images in (thumbnails[ours], plain))
    one, other = nearest(*shown, radius=_RADIUS, most=_FEW)
    pairs = ours[one], theirs[other]
    return [_fitting(thumbnails, *pairs, WHOLE, WHOLE, least=_CORRELATION)]


def sketches(thumbnails: Thumbnails, window: Window) -> np.ndarray:
    """Descriptions of a window of each thumbnail, (n, d) float32."""
    basis = dct(np.eye(SIDE), axis=0, norm="ortho")[:_FREQUENCIES].astype(np.float32)
    rows, columns = (basis @ resampling(SIDE, *ends) for ends in (window[:2], window[2:]))
    width = _sketched(np.zeros((1, SIDE, SIDE, 3), np.uint8), rows, columns).shape[1]
    # Filled part by part: put together at the end, a million would be there twice.
    found = np.empty((len(thumbnails), width), dtype=np.float32)
    for part in _slices(len(thumbnails), _SKETCHED_AT_ONCE):
        found[part] = _sketched(thumbnails[part], rows, columns)
    return found


def _sketched(thumbnails: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    colours = thumbnails.astype(np.float32)
    grey = colours @ GREY
    planes = np.stack([grey, colours[..., 2] - grey, colours[..., 0] - grey], axis=1)
    found = rows @ planes @ columns.T
    u, v = np.triu_indices(_FREQUENCIES)
    grey = _regardless_of_turns(found[:, 0], u, v)[:, 1:] / np.sqrt(1 + np.hypot(u, v))[1:, None]
    amplitude = np.sqrt(np.square(grey).sum(axis=(1, 2)))
    u, v = np.triu_indices(2)
    colour = [_regardless_of_turns(found[:, plane], u, v) for plane in (1, 2)]
    # A mean of colour keeps its sign.
    for plane, values in enumerate(colour, start=1):
        values[:, 0, 0] = found[:, plane, 0, 0]
    parts = (grey, *(_COLOUR * c for c in colour))
    flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in parts]
    sketch = np.concatenate(flat, axis=1) / np.maximum(amplitude, _LEAST_AMPLITUDE)[:, None]
    return np.ascontiguousarray(sketch, dtype=np.float32)


def _regardless_of_turns(plane: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Amplitudes (n, k, 2) of frequencies and their transposes: the larger, the smaller."""
    pairs = np.abs(np.stack([plane[:, u, v], plane[:, v, u]], axis=-1))
    pairs = np.sort(pairs, axis=-1)[..., ::-1].copy()
    pairs[:, u == v, 1] = 0
    return pairs


def nearest(
    ours: np.ndarray, theirs: np.ndarray, *, radius: float, most: int, close: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Of each of `ours` the nearest of `theirs` within a radius, at most some; pairs (n,), (n,).

    Blocks that lie close together are compared with what is near their bounding box. Where that
    is more than `_MOST_COMPARED`, and all found are `close` by then, others are not looked for.
    """
    middle = theirs.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(theirs.T) if len(theirs) > 1 else np.eye(len(middle)))
    ours, theirs = ((x - middle) @ axes[:, ::-1].astype(np.float32) for x in (ours, theirs))
    squares = np.einsum("ij,ij->i", theirs, theirs) / 2
    found = []
    for block in _blocks(ours[:, :_BOX_AXES], np.arange(len(ours))):
        box = ours[block, :_BOX_AXES]
        outside = np.maximum(box.min(axis=0) - theirs[:, :_BOX_AXES], 0)
        outside += np.maximum(theirs[:, :_BOX_AXES] - box.max(axis=0), 0)
        near = np.flatnonzero(np.einsum("ij,ij->i", outside, outside) <= radius**2)
        rows, which = _nearest_of_block(
            ours[block],
            theirs[near],
            squares[near],
            bound=radius**2 / 2,
            most=most,
            close=close**2 / 2,
        )
        found.append((block[rows], near[which]))
    one, other = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return one, other


def _nearest_of_block(
    ours: np.ndarray,
    theirs: np.ndarray,
    squares: np.ndarray,
    *,
    bound: float,
    most: int,
    close: float,
) -> tuple[np.ndarray, np.ndarray]:
    half = np.einsum("ij,ij->i", ours, ours)[:, None] / 2
    limit = np.full((len(ours), 1), bound, dtype=np.float32)
    rows, which, apart = np.empty(0, int), np.empty(0, int), np.empty(0, np.float32)
    start, size = 0, _FIRST_CHUNK
    while start < len(theirs):
        chunk = slice(start, start + size)
        distances = half + squares[chunk] - ours @ theirs[chunk].T
        i, j = np.divmod(np.flatnonzero(distances <= limit), distances.shape[1])
        if len(i):
            rows, which = np.concatenate([rows, i]), np.concatenate([which, j + start])
            apart = np.concatenate([apart, distances[i, j]])
            order = np.lexsort((which, apart, rows))
            begins = np.searchsorted(rows[order], rows[order])
            order = order[np.arange(len(order)) - begins < most]
            rows, which, apart = rows[order], which[order], apart[order]
            full = np.flatnonzero(np.bincount(rows, minlength=len(ours)) == most)
            limit[full, 0] = apart[np.searchsorted(rows, full, side="right") - 1]
        if start + size >= _MOST_COMPARED and (limit <= close).all():
            break
        # Small chunks first: of many alike the first tell how near the nearest are.
        start, size = start + size, min(2 * size, _LONGEST_CHUNK)
    return rows, which


def _blocks(points: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Rows in blocks that lie close together: halved again and again along the longest side."""
    if len(rows) <= _BLOCK:
        if len(rows):
            yield rows
        return
    longest = np.ptp(points[rows], axis=0).argmax()
    order = rows[np.argsort(points[rows, longest], kind="stable")]
    for half in np.array_split(order, 2):
        yield from _blocks(points, half)


def _fitting(
    thumbnails: Thumbnails,
    one: np.ndarray,
    other: np.ndarray,
    ours: Window,
    theirs: Window,
    *,
    least: float,
) -> tuple[np.ndarray, ...]:
    """One, other, turn, window, correlation of those pairs whose thumbnails agree in one turn."""
    one, other = one[one != other], other[one != other]
    turns = np.zeros(len(one), dtype=np.int8)
    best = np.full(len(one), -1.0, dtype=np.float32)
    for part in _slices(len(one), 2048):
        mine = _patterns(thumbnails[one[part]], ours)
        shown = _patterns(thumbnails[other[part]], theirs)
        for turn in range(8):
            agree = np.einsum("nij,nij->n", mine, turned(shown[..., None], turn)[..., 0])
            better = agree > best[part] + 1e-4
            best[part][better], turns[part][better] = agree[better], turn
    # A half tells the turn only; of a window it is known where it lies.
    window = WHOLE if ours == theirs else ours
    fits = best >= least
    places = np.tile(np.array(window), (int(fits.sum()), 1))
    return one[fits], other[fits], turns[fits], places, best[fits]


def _patterns(thumbnails: np.ndarray, window: Window) -> np.ndarray:
    """Grey of a window in (n, 16, 16), each of mean 0 and length 1."""
    n = len(thumbnails)
    rows, columns = (
        resampling(SIDE, *ends).reshape(SIDE // 2, 2, SIDE).mean(axis=1)
        for ends in (window[:2], window[2:])
    )
    grey = rows @ (thumbnails.astype(np.float32) @ GREY) @ columns.T
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    length = np.linalg.norm(grey.reshape(n, -1), axis=1)
    result: np.ndarray = grey / np.maximum(length, 1e-6)[:, None, None]
    return result


def _slices(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, start + size)
