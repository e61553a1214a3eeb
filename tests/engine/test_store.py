import hashlib
from pathlib import Path

import numpy as np
import pytest

from auditor.engine.store import Store, key_of


def test_a_write_that_fails_leaves_nothing_that_could_be_read(tmp_path):
    store = Store(tmp_path)
    path = store.path("predictions", "k")

    def write_half():
        with store.growing_array(path, (4, 2), np.float32) as out:
            out[0] = 1
            raise RuntimeError("killed half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert not path.exists()
    assert list(path.parent.iterdir()) == []


def test_a_partial_file_of_a_killed_run_is_not_a_hit(tmp_path):
    store = Store(tmp_path)
    path = store.path("predictions", "k")
    path.parent.mkdir(parents=True)
    (path.parent / f".{path.name}.123-abc.part").write_bytes(b"half")
    assert not path.exists()
    store.write_array(path, np.arange(3))
    assert store.read_array(path).tolist() == [0, 1, 2]


def test_a_growing_array_is_what_was_put_in(tmp_path):
    store = Store(tmp_path)
    path = store.path("frames", "k")
    with store.growing_array(path, (3, 2), np.uint8) as out:
        out[:] = [[1, 2], [3, 4], [5, 6]]
    found = store.read_array(path)
    assert isinstance(found, np.memmap)
    assert found.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_keys_differ_when_any_part_differs_and_not_otherwise():
    assert key_of("a", {"x": 1, "y": 2}) == key_of("a", {"y": 2, "x": 1})
    assert key_of("a", 1) != key_of("a", 2)
    assert key_of(["ab"], "c") != key_of(["a"], "bc")


def test_a_file_that_lost_its_digest_is_no_hit(tmp_path):
    """Its writer was killed between the two names, or it is of an older version."""
    path = Store(tmp_path).path("predictions", "k")
    Store(tmp_path).write_array(path, np.arange(3))
    assert Store(tmp_path).holds(path)
    path.with_name(path.name + ".sha256").unlink()
    assert not Store(tmp_path).holds(path)


def test_what_was_changed_is_removed_and_named_once(tmp_path, caplog):
    store = Store(tmp_path / "store")
    path = store.path("predictions", "k")
    store.write_array(path, np.arange(3))
    path.write_bytes(path.read_bytes()[:-1] + b"\x09")
    later = Store(tmp_path / "store")
    assert not later.holds(path)
    assert not later.holds(path)
    assert not path.exists()
    assert [r.getMessage() for r in caplog.records] == [
        f"{Path('store/predictions/k.npy')} was changed since it was written; it is computed again."
    ]


def test_digests_are_what_sha256sum_reads(tmp_path):
    store = Store(tmp_path)
    path = store.path("predictions", "k")
    store.write_array(path, np.arange(3))
    stated = path.with_name("k.npy.sha256").read_text(encoding="utf-8")
    assert stated == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  k.npy\n"


def test_partial_files_of_killed_runs_go_and_whole_ones_stay(tmp_path):
    store = Store(tmp_path)
    path = store.path("predictions", "k")
    store.write_array(path, np.arange(3))
    left = path.with_name(".other.npy.17-ab.part")
    left.write_bytes(b"half")
    store.remove_partial()
    assert not left.exists()
    assert Store(tmp_path).holds(path)
