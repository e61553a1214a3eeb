"""Rows of a stored array are those of the array, and leave nothing of it in memory."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from mapped_memory import mapped_kb

from auditor.engine.store import Store
from auditor.engine.stored_rows import StoredRows, assemble


@pytest.fixture
def stored(tmp_path) -> tuple[StoredRows, np.ndarray]:
    whole = np.random.default_rng(0).normal(size=(40_000, 64)).astype(np.float32)
    np.save(tmp_path / "whole.npy", whole)
    kept = np.flatnonzero(np.arange(40_000) % 3)
    return StoredRows(np.load(tmp_path / "whole.npy", mmap_mode="r"), kept), whole[kept]


def test_they_are_those_of_the_array(stored):
    rows, whole = stored
    assert rows.shape == whole.shape
    assert len(rows) == len(whole)
    some = np.random.default_rng(1).permutation(len(whole))[:500]
    assert np.array_equal(rows[some], whole[some])
    assert np.array_equal(rows[10:30], whole[10:30])
    found = rows[:5]
    found[:] = 0
    assert np.array_equal(rows[:5], whole[:5])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what of files is in memory")
def test_what_was_read_does_not_stay_in_memory(stored):
    rows, _ = stored
    rows[:1]
    before = mapped_kb()
    for at in range(0, len(rows), 1000):
        rows[at : at + 1000]
    # All of it are 10,000 kB.
    assert mapped_kb() - before < 2000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what of files is in memory")
def test_what_is_put_together_is_let_go_of_while_it_is_written(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    paths = [store.path("embeddings", f"{k:02}") for k in range(24)]
    for k, path in enumerate(paths):
        store.write_array(path, np.full((512, 512), k, dtype=np.float32))
    held, read = [], store.read_array
    noted = staticmethod(lambda path: held.append(mapped_kb()) or read(path))
    monkeypatch.setattr(Store, "read_array", noted)
    there = SimpleNamespace(there=paths)
    swept = SimpleNamespace(embeddings=there)
    whole = assemble(swept, "embeddings", store=store)
    assert max(held) - held[0] < 10_000
    assert [float(whole[512 * k, 0]) for k in range(24)] == list(range(24))
