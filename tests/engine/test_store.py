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
