"""Rows in a file are those that were written, whichever are asked for."""

import tempfile

import numpy as np
import pytest

from auditor.data import held_rows
from auditor.data.held_rows import HeldRows
from auditor.data.near_trees import nearest_in_trees

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


@pytest.fixture
def file():
    with tempfile.TemporaryFile() as opened:
        yield opened


@pytest.mark.parametrize("window", [1, 100, 1 << 20])
@pytest.mark.parametrize("asked", [[], [49], [7, 0, 1, 2, 2, 49], list(range(50))[::-1]])
def test_any_of_them_are_those_of_the_array(file, monkeypatch, window, asked):
    monkeypatch.setattr(held_rows, "_WINDOW", window)
    file.write(b"before")
    held = HeldRows.written([ROWS[:20], ROWS[20:]], file, width=3)
    rows = np.array(asked, dtype=np.int32)
    assert len(held) == 50
    np.testing.assert_array_equal(held[rows], ROWS[rows])


def test_parts_may_be_made_of_what_lies_in_the_file(file):
    file.write(ROWS.tobytes())

    def doubled(start):
        file.seek(start * 12)
        return 2 * np.frombuffer(file.read(25 * 12), dtype=np.float32).reshape(25, 3)

    held = HeldRows.written(map(doubled, (25, 0)), file, width=3)
    np.testing.assert_array_equal(held[np.arange(50)], 2 * np.roll(ROWS, 25, axis=0))
    file.seek(0)
    assert file.read(ROWS.nbytes) == ROWS.tobytes()


def test_trees_find_the_same_of_points_in_a_file(file, monkeypatch):
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.normal(0, 0.3, (2000, 9)), rng.normal(0, 0.02, (500, 9))])
    points = points.astype(np.float32)
    monkeypatch.setattr("auditor.data.near_trees.LEAF", 40)
    monkeypatch.setattr("auditor.data.near_trees._READ", 700)
    held = HeldRows.written([points], file, width=9)
    there, found = (nearest_in_trees(given, radius=0.2, most=5) for given in (points, held))
    np.testing.assert_array_equal(found, there)
    assert len(there[0]) > 2500
