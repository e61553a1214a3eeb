"""Which thumbnails are near each other: exactly, among many, however alike all of them are.

Images that are near along the axis on which all differ most are compared in blocks, by products
of matrices, at first in few coordinates; what that leaves is measured. Where many are alike few
pairs are needed: within a group, that all are linked; of twins, the first or the nearest. What
is found does not depend on how products round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

PATTERN_RADIUS = 0.15
"""Largest distance of two thumbnails, each of mean 0 and length 1 (0.15: correlation 0.989)."""

LEVEL_RADIUS = 4.0
"""Largest root mean square difference in grey levels, at the two images' mean contrast.

Copies at 60% size and JPEG quality 50 lie below 3 (98% of photographs), different handwritten
digits, the closest look-alikes tried, above 7.
"""

_COARSE = 30
"""Coordinates that are compared first."""

_FIRST_STRETCH, _STRETCH = 16, 8192
"""Images, in their order, that all later ones are compared with before the next: from, to."""

_BLOCK, _LONGEST = 512, 4096
_PAIRS = 1 << 18
"""Images and pairs compared at once: about what a processor's cache holds."""

_MEASURED = 100_000

_CROWDED = 0.02
"""Share of a block's pairs above which comparing whole patterns costs less than measuring."""

_STRIDE = 17
"""Every how many rows of a block tell whether it is crowded; prime, as orders have periods."""

_ROUNDING = 5e-6
"""Error of `_half_squares`, as a share of half the squared lengths: five times the largest that
was seen in 10^8 pairs of six kinds of images."""


@dataclass(frozen=True)
class Axes:
    """The middle (256,) of a set of patterns and its principal axes, (256, k), longest first."""

    middle: np.ndarray
    directions: np.ndarray


def principal_axes(patterns: np.ndarray) -> Axes:
    middle = patterns.mean(axis=0)
    apart = patterns - middle
    _, axes = np.linalg.eigh((apart.T @ apart).astype(np.float64))
    return Axes(middle, axes[:, : -_COARSE - 1 : -1].astype(np.float32))


@dataclass(frozen=True)
class Points:
    """Thumbnails placed for comparison: `patterns` (n, 256) of length 1 and `contrast` (n,).

    `whole` (n, 256 + 2) are the patterns about a middle, `coarse` (n, k + 2) the same along few
    axes, where no two are farther apart than as a whole. The last two columns of both are half
    the squared length, and 1: see `_half_squares`. All float32.
    """

    patterns: np.ndarray
    contrast: np.ndarray
    whole: np.ndarray
    coarse: np.ndarray

    def __len__(self) -> int:
        return len(self.contrast)


def placed(patterns: np.ndarray, contrast: np.ndarray, *, axes: Axes) -> Points:
    apart = patterns - axes.middle
    return Points(
        patterns, contrast, whole=_with_length(apart), coarse=_with_length(apart @ axes.directions)
    )


def _with_length(points: np.ndarray) -> np.ndarray:
    half = np.einsum("ij,ij->i", points, points) / 2
    return np.column_stack([points, half, np.ones_like(half)])


def _half_squares(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Half the squared distance of each two points, (m, k): |x|^2 / 2 + |y|^2 / 2 - x . y."""
    turned = np.column_stack([-theirs[:, :-2], theirs[:, -1], theirs[:, -2]])
    half: np.ndarray = ours @ turned.T
    return half


@dataclass(frozen=True)
class Pairs:
    """Positions in two sets of points, (n,) each; in the order of `one`, of one by `other`."""

    one: np.ndarray
    other: np.ndarray

    def __len__(self) -> int:
        return len(self.one)

    def __getitem__(self, which: np.ndarray) -> Pairs:
        return Pairs(self.one[which], self.other[which])

    def firsts(self) -> np.ndarray:
        """Where the pairs of each of `one` begin."""
        return np.flatnonzero(np.diff(self.one, prepend=-1))


@dataclass(frozen=True)
class Distances:
    """Distances of pairs, (n,) float32: of their patterns, and in grey levels."""

    pattern: np.ndarray
    levels: np.ndarray

    def near(self) -> np.ndarray:
        near: np.ndarray = (self.pattern <= PATTERN_RADIUS) & (self.levels <= LEVEL_RADIUS)
        return near


def distances(ours: Points, theirs: Points, pairs: Pairs) -> Distances:
    pattern = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), _MEASURED):
        part = slice(start, start + _MEASURED)
        apart = ours.patterns[pairs.one[part]] - theirs.patterns[pairs.other[part]]
        pattern[part] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    contrast = np.sqrt(ours.contrast[pairs.one] * theirs.contrast[pairs.other])
    return Distances(pattern, pattern * contrast)


Wanted = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Which pairs of positions matter, a mask; its arguments may be a column and a row."""


def candidates(
    ours: Points,
    one: np.ndarray,
    theirs: Points,
    other: np.ndarray,
    *,
    wanted: Wanted,
    reach: np.ndarray,
) -> Pairs:
    """Pairs between two blocks of positions: all that are near and wanted, and some others.

    `reach` has for each of `ours` the distance in grey levels up to which pairs matter.
    """
    spare = _ROUNDING * (ours.whole[one, -2].max() + theirs.whole[other, -2].max())
    nearest = PATTERN_RADIUS**2 / 2 + spare
    some = one[::_STRIDE]
    close = _half_squares(ours.coarse[some], theirs.coarse[other]) <= nearest
    if _crowded(close):
        close &= wanted(some[:, None], other[None])
    if _crowded(close):
        half = _half_squares(ours.whole[one], theirs.whole[other])
    else:
        half = _half_squares(ours.coarse[one], theirs.coarse[other])
    bound = reach[one, None] ** 2 / 2 / ours.contrast[one, None]
    contrast = theirs.contrast[other]
    close = half <= np.minimum(bound / contrast.min() + spare, nearest)
    if _crowded(close):
        close &= wanted(one[:, None], other[None])
        close &= half <= bound / contrast + spare
    i, j = np.divmod(np.flatnonzero(close), len(other))
    return Pairs(one[i], other[j])


def _crowded(close: np.ndarray) -> bool:
    return bool(np.count_nonzero(close) > _CROWDED * close.size)


def earlier_of_group(points: Points) -> np.ndarray:
    """Of each point one before it in its group, -1 for the group's first, (n,).

    Near points, and those linked by points in between, are a group. Named is the first before
    it that is near, or where all near ones come later the first of the group.
    """
    n = len(points)
    # Until one is found n stands in, which is later than any.
    earlier = np.full(n, n, dtype=np.int32)
    group = np.arange(n, dtype=np.int32)
    reach = np.full(n, LEVEL_RADIUS, dtype=np.float32)

    def wanted(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        news: np.ndarray = (other < earlier[one]) | (group[one] != group[other])
        return news & (other < one)

    for one, other in _unsettled_blocks(points, earlier, group):
        pairs = candidates(points, one, points, other, wanted=wanted, reach=reach)
        # Where many are alike, the first pair of each leaves little to ask of the others.
        for firsts_only in (True, False):
            pairs = pairs[wanted(pairs.one, pairs.other)]
            tried = pairs[pairs.firsts()] if firsts_only else pairs
            near = tried[distances(points, points, tried).near()]
            if len(near):
                first = near[near.firsts()]
                earlier[first.one] = np.minimum(earlier[first.one], first.other)
                _join(group, near)
    earlier = np.where(earlier == n, group, earlier)
    return np.where(earlier < np.arange(n), earlier, -1)


def _unsettled_blocks(
    points: Points, earlier: np.ndarray, group: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of positions, later and earlier ones, between which pairs could tell something new.

    Points that know an earlier one than a block has, and are in the group of most of it, need
    only its rest.
    """
    for window, block in _windows(points, points):
        names, counts = np.unique(group[block], return_counts=True)
        most = names[counts.argmax()]
        later = window[window > block[0]]
        settled = (earlier[later] < block[0]) & (group[later] == most)
        rest = block[group[block] != most]
        for ones, others in ((later[~settled], block), (later[settled], rest)):
            for one in _blocks(ones, beside=len(others)):
                yield one, others


def _join(group: np.ndarray, pairs: Pairs) -> None:
    """Make the groups of each pair one, in place; a group is named by its first member."""
    names, (one, other) = np.unique(group[np.stack([pairs.one, pairs.other])], return_inverse=True)
    first = np.arange(len(names))
    while (first[one] != first[other]).any():
        low, high = np.minimum(first[one], first[other]), np.maximum(first[one], first[other])
        np.minimum.at(first, high, low)
        while (first != first[first]).any():
            first = first[first]
    renamed = np.arange(len(group), dtype=np.int32)
    renamed[names] = names[first]
    group[:] = renamed[group]


def most_alike(ours: Points, theirs: Points) -> np.ndarray:
    """Of each of `ours` the nearest of `theirs` that is near, of equals the first; else -1, (n,).

    What was found bounds what still matters, so that of many alike few are measured.
    """
    nearest = np.full(len(ours), -1)
    reach = np.full(len(ours), LEVEL_RADIUS, dtype=np.float32)
    for window, block in _windows(ours, theirs):
        open_ = window[(reach[window] > 0) | (nearest[window] > block[0])]
        for one in _blocks(open_, beside=len(block)):
            pairs = candidates(ours, one, theirs, block, wanted=_every, reach=reach)
            apart = distances(ours, theirs, pairs)
            order = np.lexsort((pairs.other, apart.levels, pairs.one))
            order = order[apart.near()[order]]
            order = order[pairs[order].firsts()]
            best, levels = pairs[order], apart.levels[order]
            before, bound = nearest[best.one], reach[best.one]
            better = (before < 0) | (levels < bound) | (levels == bound) & (best.other < before)
            nearest[best.one[better]] = best.other[better]
            reach[best.one[better]] = levels[better]
    return nearest


def _every(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.ones(np.broadcast_shapes(one.shape, other.shape), dtype=bool)


def _blocks(positions: np.ndarray, *, beside: int) -> Iterator[np.ndarray]:
    """Positions in blocks, each of as many as may be compared with `beside` others at once."""
    size = min(_LONGEST, _PAIRS // max(1, beside))
    for start in range(0, len(positions) if beside else 0, size):
        yield positions[start : start + size]


def _windows(ours: Points, theirs: Points) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of `theirs`, each after those of `ours` that are near enough along the longest axis.

    Stretch by stretch, small ones first: of many alike the first tell most.
    """
    x, y = ours.coarse[:, 0], theirs.coarse[:, 0]
    ones = np.argsort(x, kind="stable").astype(np.int32)
    # Coordinates round too.
    radius = PATTERN_RADIUS + 1e-4
    for stretch in _growing_stretches(len(theirs)):
        stretch = stretch[np.argsort(y[stretch], kind="stable")]
        for start in range(0, len(stretch), _BLOCK):
            block = stretch[start : start + _BLOCK]
            ends = y[block[0]] - radius, y[block[-1]] + radius
            low, high = np.searchsorted(x, ends, sorter=ones)
            yield ones[low:high], np.sort(block)


def _growing_stretches(n: int) -> Iterator[np.ndarray]:
    """Positions below n, in order."""
    start = 0
    while start < n:
        end = min(n, start + min(max(start, _FIRST_STRETCH), _STRETCH))
        yield np.arange(start, end, dtype=np.int32)
        start = end
