"""Trees find the nearest of points that lie close, as comparing all with all does."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from auditor.data import near_trees
from auditor.data.near_trees import nearest_in_trees


@pytest.fixture(autouse=True)
def _small_leaves(monkeypatch):
    monkeypatch.setattr(near_trees, "LEAF", 40)


def points(*, n=1200, d=20, apart=0.1):
    """Points spread widely, and of each another one within a distance."""
    rng = np.random.default_rng(0)
    given = rng.normal(0, 0.25, (n // 2, d))
    step = rng.normal(size=given.shape)
    step *= apart * rng.random((len(given), 1)) / np.linalg.norm(step, axis=1, keepdims=True)
    return np.concatenate([given, given + step]).astype(np.float32)


def expected(given, *, radius, most):
    apart = cdist(given, given)
    return {
        (i, int(j))
        for i in range(len(given))
        for j in np.argsort(apart[i], kind="stable")[:most]
        if apart[i, j] <= radius
    }


def found(given, **asked):
    return list(zip(*(side.tolist() for side in nearest_in_trees(given, **asked)), strict=True))


def test_what_lies_close_is_found_and_nothing_else():
    given = points()
    pairs = found(given, radius=0.2, most=3)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) <= expected(given, radius=0.2, most=len(given))
    there = expected(given, radius=0.2, most=3)
    assert len(there & set(pairs)) >= 0.99 * len(there)
    assert len(there) > 2000


def test_of_a_crowd_no_more_than_asked_for_nearest_first():
    crowd = np.random.default_rng(1).normal(0, 0.01, (300, 8)).astype(np.float32)
    one, other = nearest_in_trees(crowd, radius=0.2, most=5)
    assert np.bincount(one, minlength=300).tolist() == [5] * 300
    apart = np.linalg.norm(crowd[one] - crowd[other], axis=1).reshape(300, 5)
    assert (np.diff(apart, axis=1) >= -1e-6).all()
    # Itself first.
    assert (other.reshape(300, 5)[:, 0] == np.arange(300)).all()


def test_of_a_point_that_is_alone_there_is_none():
    # Three stand together, the others far from everything: whatever the trees, none is parted.
    given = np.concatenate([np.eye(60) * 9, np.eye(60)[:3] * 0.01]).astype(np.float32)
    pairs = found(given, radius=0.2, most=3)
    assert sorted(pairs) == [(i, j) for i in (60, 61, 62) for j in (60, 61, 62)]


def test_two_searches_find_the_same():
    assert found(points(), radius=0.2, most=3) == found(points(), radius=0.2, most=3)
