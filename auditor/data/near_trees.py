"""Near points among very many: random trees put what is near into one leaf, all but sometimes.

Points are halved again and again along random directions until few are left; those of a leaf are
compared all with all. Two that lie close are parted by a tree seldom, and by all of several trees
hardly ever, so that time grows with the number of points and little is missed (docs/duplicates.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from auditor.data.held_rows import HeldRows

TREES = 8
LEAF = 384
"""Points of a leaf at most."""

_AXES = 16
_SAMPLE = 20_000
_AT_ONCE = 1 << 16
_READ = 1 << 17
"""Points of a branch that are read from their file for good."""

Points = np.ndarray | HeldRows
"""Points (n, d) float32, in memory or in a file."""


def nearest_in_trees(
    points: Points, *, radius: float, most: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Of each of the points (n, d) that has others within a radius the nearest, itself too.

    Pairs (k,) and (k,) int32, at most `most` of each point; in the order of the points, nearest
    first.
    """
    rng = np.random.default_rng(seed)
    axes = _widest(points, rng)
    found = np.empty((0, 2), dtype=np.int32), np.empty(0, dtype=np.float32)
    for tree in range(TREES):
        leaves = _leaves(points, axes, rng)
        parts = [_within_leaf(held, leaf, radius**2, most) for leaf, held in leaves]
        new = np.concatenate([pairs for pairs, _ in parts])
        # A point that was alone in one tree, and is not in another, had itself there.
        alone = np.setxor1d(found[0][:, 0], new[:, 0]) if tree else new[:0, 0]
        pairs = np.concatenate([found[0], new, np.stack([alone, alone], axis=1)])
        zeros = np.zeros(len(alone), dtype=np.float32)
        apart = np.concatenate([found[1], *(apart for _, apart in parts), zeros])
        found = _nearest_of_each(pairs, apart, most)
    return found[0][:, 0], found[0][:, 1]


def _widest(points: Points, rng: np.random.Generator) -> np.ndarray:
    """Directions (d, k) in which some of the points are spread most, as long as the spread."""
    some = points[rng.permutation(len(points))[:_SAMPLE]].astype(np.float64)
    spread, axes = np.linalg.eigh(np.cov(some.T))
    widest = axes[:, ::-1][:, :_AXES] * np.sqrt(np.maximum(spread[::-1][:_AXES], 0))
    return np.asarray(widest, dtype=np.float32)


def _leaves(
    points: Points, axes: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of leaves and their points, halved at the median of a direction, random in each."""
    waiting = [np.arange(len(points), dtype=np.int32)]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= LEAF:
            yield rows, points[rows]
            continue
        if isinstance(points, HeldRows) and len(rows) <= _READ:
            # Small branches are done before others are begun.
            yield from ((rows[leaf], held) for leaf, held in _leaves(points[rows], axes, rng))
            continue
        direction = axes @ np.asarray(rng.standard_normal(axes.shape[1]), dtype=np.float32)
        along = _along(points, rows, direction)
        half = len(rows) // 2
        order = np.argpartition(along, half)
        waiting += [rows[order[:half]], rows[order[half:]]]


def _along(points: Points, rows: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """How far some of the points lie along a direction, (k,); a part of them is taken at a time."""
    found = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found[part] = points[rows[part]] @ direction
    return found


def _within_leaf(
    points: np.ndarray, rows: np.ndarray, bound: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (k, 2) of a leaf that lie within a squared distance, and those distances (k,).

    None of a point that is alone.
    """
    squares = np.einsum("ij,ij->i", points, points)
    apart = squares[:, None] + squares - 2 * (points @ points.T)
    np.fill_diagonal(apart, 0)
    near = apart <= bound
    count = near.sum(axis=1)
    crowded = np.flatnonzero(count > most)
    if len(crowded):
        nearest = np.argpartition(apart[crowded], most - 1, axis=1)[:, :most]
        near[crowded] = False
        near[crowded[:, None], nearest] = True
    # They are most, and of each point would take the memory of a pair.
    near[count == 1] = False
    one, other = np.nonzero(near)
    return np.stack([rows[one], rows[other]], axis=1), np.maximum(apart[one, other], 0)


def _nearest_of_each(
    pairs: np.ndarray, apart: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once, and of each first point no more than `most`."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs, apart = pairs[order], apart[order]
    fresh = np.ones(len(pairs), dtype=bool)
    fresh[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    pairs, apart = pairs[fresh], apart[fresh]
    order = np.lexsort((pairs[:, 1], apart, pairs[:, 0]))
    pairs, apart = pairs[order], apart[order]
    begins = np.searchsorted(pairs[:, 0], pairs[:, 0])
    kept = np.arange(len(pairs)) - begins < most
    return pairs[kept], apart[kept]
