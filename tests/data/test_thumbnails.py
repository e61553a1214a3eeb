"""Thumbnails in a file are those that were written, whichever are asked for."""

import tempfile

import numpy as np
import pytest

from auditor.data.scan import THUMBNAIL
from auditor.data.thumbnails import HeldThumbnails

SHAPE = (THUMBNAIL, THUMBNAIL, 3)


@pytest.fixture
def cells():
    return np.random.default_rng(0).integers(0, 256, (9, *SHAPE), dtype=np.uint8)


@pytest.fixture
def held(cells):
    parts = [[cell.tobytes() for cell in cells[:4]], [cell.tobytes() for cell in cells[4:]]]
    with tempfile.TemporaryFile() as file:
        yield HeldThumbnails.written(parts, file)


@pytest.mark.parametrize(
    "part",
    [slice(None), slice(2, 6), slice(0, 0), np.array([7, 0, 1, 2, 2]), np.array([], dtype=int)],
)
def test_any_part_is_that_of_the_array(held, cells, part):
    np.testing.assert_array_equal(held[part], cells[part])


def test_some_of_them_in_another_order(held, cells):
    rows = np.array([8, 3, 4, 0])
    some = held.take(rows, axis=0)
    assert len(some) == 4
    np.testing.assert_array_equal(some[1:3], cells[rows][1:3])
    np.testing.assert_array_equal(some[np.array([3, 0])], cells[rows][[3, 0]])


def test_an_image_that_could_not_be_read_has_a_black_one(cells):
    with tempfile.TemporaryFile() as file:
        held = HeldThumbnails.written([[b"", cells[0].tobytes()]], file)
        assert held[:].any(axis=(1, 2, 3)).tolist() == [False, True]
