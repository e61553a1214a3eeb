"""Blocks miss no near pair, whatever the order, the rounding and however alike images are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from auditor.data import near_pairs
from auditor.data.near_pairs import (
    Pairs,
    Points,
    distances,
    earlier_of_group,
    most_alike,
    placed,
    principal_axes,
)


def thumbnails(centres, *, n, noise, seed, drift=0) -> np.ndarray:
    """Thumbnails in grey levels, (n, 256), each near one of the centres, drifting one way."""
    rng = np.random.default_rng(seed)
    cells = centres[rng.integers(0, len(centres), n)] + rng.normal(0, noise, (n, 256))
    way = np.random.default_rng(0).normal(0, 1, 256)
    return cells + rng.uniform(0, drift, (n, 1)) * way


def centres(n, *, contrast=(20, 40), seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (n, 256)) * rng.uniform(*contrast, (n, 1))


def points_of(*cells) -> tuple[Points, ...]:
    cells = [c - c.mean(axis=1, keepdims=True) for c in cells]
    patterns = [(c / np.linalg.norm(c, axis=1, keepdims=True)).astype(np.float32) for c in cells]
    axes = principal_axes(np.concatenate(patterns))
    contrast = [c.std(axis=1).astype(np.float32) for c in cells]
    return tuple(placed(p, c, axes=axes) for p, c in zip(patterns, contrast, strict=True))


def all_with_all(ours, theirs) -> tuple[np.ndarray, np.ndarray]:
    """Whether each two are near, and their distance in grey levels."""
    one, other = np.indices((len(ours), len(theirs))).reshape(2, -1)
    found = distances(ours, theirs, Pairs(one, other))
    shape = len(ours), len(theirs)
    return found.near().reshape(shape), found.levels.reshape(shape)


def group_of(earlier) -> np.ndarray:
    """Each point's group, by its first member, followed from one to one before it."""
    group = np.arange(len(earlier))
    for i in np.flatnonzero(earlier >= 0):
        assert earlier[i] < i
        group[i] = group[earlier[i]]
    return group


# About as far from each other as the radii, by levels or by patterns; alike; in between; in a row.
WORLDS = {
    "levels": {"centres": centres(20), "noise": 2.8},
    "patterns": {"centres": centres(20, contrast=(8, 22)), "noise": 1.7},
    "alike": {"centres": centres(2), "noise": 1.0},
    "mixed": {"centres": centres(6, contrast=(5, 60)), "noise": 2.0},
    "drifting": {"centres": centres(2, contrast=(10, 20), seed=1), "noise": 0.1, "drift": 40},
}


SMALL = (
    ("_PAIRS", 300),
    ("_BLOCK", 30),
    ("_STRETCH", 100),
    ("_FIRST_STRETCH", 3),
    ("_MEASURED", 7),
)


def make_blocks_small(monkeypatch) -> None:
    for name, size in SMALL:
        monkeypatch.setattr(near_pairs, name, size)


@pytest.fixture(params=["usual", "small blocks", "one stretch", "coarse only", "whole only"])
def sizes(request, monkeypatch):
    if request.param == "small blocks":
        make_blocks_small(monkeypatch)
    elif request.param == "one stretch":
        make_blocks_small(monkeypatch)
        monkeypatch.setattr(near_pairs, "_FIRST_STRETCH", 1000)
        monkeypatch.setattr(near_pairs, "_STRETCH", 1000)
    elif request.param != "usual":
        monkeypatch.setattr(near_pairs, "_CROWDED", 1 if request.param == "coarse only" else -1)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.usefixtures("sizes")
def test_groups_are_those_of_comparing_all_with_all(world):
    (points,) = points_of(thumbnails(**WORLDS[world], n=400, seed=1))
    near, _ = all_with_all(points, points)
    _, part = connected_components(near)
    first_of_group = np.unique(part, return_index=True)[1][part]
    before = near & np.tri(400, k=-1, dtype=bool)
    expected = np.where(before.any(axis=1), before.argmax(axis=1), first_of_group)
    expected[first_of_group == np.arange(400)] = -1
    assert (expected >= 0).sum() > 100
    assert np.array_equal(earlier_of_group(points), expected)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.usefixtures("sizes")
def test_the_most_alike_is_that_of_comparing_all_with_all(world):
    ours, theirs = points_of(*(thumbnails(**WORLDS[world], n=300, seed=s) for s in (1, 2)))
    near, levels = all_with_all(ours, theirs)
    nearest = np.where(near, levels, np.inf).argmin(axis=1)
    expected = np.where(near.any(axis=1), nearest, -1)
    assert (expected >= 0).sum() > 100
    assert np.array_equal(most_alike(ours, theirs), expected)


@pytest.mark.parametrize("world", WORLDS)
def test_groups_do_not_depend_on_the_order_of_images(world):
    cells = thumbnails(**WORLDS[world], n=300, seed=4)
    group = group_of(earlier_of_group(*points_of(cells)))
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(300)
        shuffled = group_of(earlier_of_group(*points_of(cells[order])))
        # Two are together in one order if and only if they are in the other.
        pairs = np.unique(np.stack([group[order], shuffled]), axis=1).shape[1]
        assert pairs == len(np.unique(group)) == len(np.unique(shuffled))


def test_distances_are_those_of_patterns_and_of_grey_levels():
    cells = thumbnails(**WORLDS["mixed"], n=40, seed=9)
    (points,) = points_of(cells)
    i, j = np.arange(39), np.arange(1, 40)
    found = distances(points, points, Pairs(i, j))
    evened = cells - cells.mean(axis=1, keepdims=True)
    evened /= np.linalg.norm(evened, axis=1, keepdims=True)
    pattern = np.linalg.norm(evened[i] - evened[j], axis=1)
    assert found.pattern == pytest.approx(pattern, rel=1e-4, abs=1e-6)
    contrast = cells.std(axis=1)
    assert found.levels == pytest.approx(pattern * np.sqrt(contrast[i] * contrast[j]), rel=1e-4)


def test_links_through_later_images_count():
    first, far = centres(2, contrast=(40, 41))
    # 3.2 levels from one to the next: the two ends are not near each other.
    step = far * 3.2 / far.std()
    a, b, c = first, first + step, first + 2 * step
    assert earlier_of_group(*points_of(np.stack([a, b, c]))).tolist() == [-1, 0, 1]
    assert earlier_of_group(*points_of(np.stack([a, c, b]))).tolist() == [-1, 0, 0]


def test_a_link_to_one_amid_many_of_the_own_group_counts():
    first, far = centres(2, contrast=(40, 41))
    step = far * 3.2 / far.std()
    cells = np.tile(first, (60, 1)) + np.random.default_rng(0).normal(0, 0.1, (60, 256))
    # In the second block; the image that links it to all others has long found its own.
    cells[20] += 2 * step
    cells[50] += step
    earlier = earlier_of_group(*points_of(cells))
    assert (earlier[[0, 20, 50]] == [-1, 0, 0]).all()
    cells[50] -= step
    assert earlier_of_group(*points_of(cells))[20] == -1


def test_of_equally_alike_the_first_is_named():
    image, *others = centres(60, contrast=(40, 41))
    theirs = np.stack(others)
    theirs[[5, 7, 50]] = image + others[0] * 2 / others[0].std()
    assert most_alike(*points_of(image[None], theirs)).tolist() == [5]


@pytest.mark.parametrize("levels", [0, 2])
def test_of_equally_alike_the_first_is_named_though_coordinates_round(monkeypatch, levels):
    make_blocks_small(monkeypatch)
    image, other = centres(2, contrast=(40, 41))
    equal = np.tile(image + other * levels / other.std(), (90, 1))
    ours, theirs = points_of(image[None], equal)
    # The later, the lower by a rounding: so blocks come in the opposite order.
    coarse = theirs.coarse - np.arange(90, dtype=np.float32)[:, None] * np.float32(1e-7)
    for points in (theirs, dataclasses.replace(theirs, coarse=coarse)):
        assert most_alike(ours, points).tolist() == [0]
        # In one stretch of the order, so that only comparing positions tells.
        monkeypatch.setattr(near_pairs, "_FIRST_STRETCH", 100)


@pytest.mark.parametrize("world", WORLDS)
def test_rounding_of_products_changes_nothing(monkeypatch, world):
    ours, theirs = points_of(*(thumbnails(**WORLDS[world], n=300, seed=s) for s in (5, 6)))
    group, nearest = earlier_of_group(ours), most_alike(ours, theirs)
    exact, rng = near_pairs._half_squares, np.random.default_rng(0)

    def rounded(a, b):
        # As much as `_ROUNDING` allows, which is five times what products were seen to.
        error = near_pairs._ROUNDING * (a[:, -2].max() + b[:, -2].max())
        half = exact(a, b)
        return half + rng.choice([-0.9, 0.9], half.shape) * error

    monkeypatch.setattr(near_pairs, "_half_squares", rounded)
    assert np.array_equal(earlier_of_group(ours), group)
    assert np.array_equal(most_alike(ours, theirs), nearest)


def test_products_round_by_less_than_allowed():
    for world in WORLDS.values():
        ours, theirs = points_of(*(thumbnails(**world, n=300, seed=s) for s in (7, 8)))
        half = cdist(ours.patterns.astype(float), theirs.patterns.astype(float)) ** 2 / 2
        error = near_pairs._half_squares(ours.whole, theirs.whole) - half
        allowed = near_pairs._ROUNDING * (ours.whole[:, -2].max() + theirs.whole[:, -2].max())
        assert np.abs(error).max() < allowed / 2


@pytest.mark.parametrize("cameras", [1, 3])
def test_of_many_alike_few_pairs_are_measured(monkeypatch, cameras):
    n, measured, compared = 3000, [], []
    exact, product = near_pairs.distances, near_pairs._half_squares
    monkeypatch.setattr(near_pairs, "distances", lambda *a: measured.append(len(a[2])) or exact(*a))
    monkeypatch.setattr(
        near_pairs,
        "_half_squares",
        lambda a, b: compared.append(len(a) * len(b)) or product(a, b),
    )
    ours, theirs = points_of(
        *(thumbnails(centres(cameras), n=n, noise=1.0, seed=s) for s in (1, 2))
    )
    assert (earlier_of_group(ours) < 0).sum() == cameras
    # All with all are 4.5 million, of which one of `cameras` near.
    assert sum(measured) < 20 * n
    if cameras == 1:
        assert sum(compared) < 100 * n
    measured.clear()
    assert (most_alike(ours, theirs) >= 0).all()
    assert sum(measured) < 100 * n
