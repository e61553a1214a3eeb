import fsspec
import pytest
from web_servers import cache_in

from auditor.errors import SpecError
from auditor.remote import objects
from auditor.remote.cache import Cache, RemoteObject, cache


@pytest.fixture
def memory():
    found = fsspec.filesystem("memory")
    for i in range(8):
        found.pipe_file(f"/cached/{i}", bytes([i]) * 1000)
    return found


def wanted(i, *, mark="etag 1", size=1000):
    return RemoteObject(f"memory://cached/{i}", mark, size)


def held(folder):
    return sorted(path.stat().st_size for path in folder.glob("*/*"))


def test_a_copy_serves_its_version_alone(tmp_path, memory):
    kept = Cache(tmp_path, 10_000)
    assert kept.content(wanted(1)) == bytes([1]) * 1000
    memory.pipe_file("/cached/1", bytes([9]) * 1000)
    assert kept.content(wanted(1)) == bytes([1]) * 1000
    assert kept.content(wanted(1, mark="etag 2")) == bytes([9]) * 1000
    assert held(tmp_path) == [1000, 1000]


def test_the_bound_holds_and_what_was_read_longest_ago_goes(tmp_path, memory, monkeypatch):
    kept = Cache(tmp_path, 4_000)
    moments = iter(range(1, 100))
    monkeypatch.setattr("auditor.remote.cache._touch", lambda path: stamp(path, next(moments)))
    for i in (0, 1, 2, 0, 3, 4, 5):
        kept.content(wanted(i))
        assert sum(held(tmp_path)) <= 4_000
    assert held(tmp_path)


def stamp(path, second):
    import os

    os.utime(path, (second, second))


def test_what_is_larger_than_half_of_the_bound_is_read_where_it_lies(tmp_path, memory):
    kept = Cache(tmp_path, 1_500)
    assert kept.content(wanted(3)) == bytes([3]) * 1000
    with kept.opened(wanted(3)) as file:
        file.seek(990)
        assert file.read() == bytes([3]) * 10
    assert held(tmp_path) == []


def test_an_object_that_is_not_whole_is_never_kept(tmp_path, memory):
    kept = Cache(tmp_path, 100_000)
    with pytest.raises(OSError, match="has 1,000 bytes of the 2,000 that its server states"):
        kept.content(wanted(1, size=2000))
    with pytest.raises(OSError, match="1,000 bytes of the 2,000"):
        kept.opened(wanted(1, size=2000))
    assert held(tmp_path) == []


def test_the_folder_is_of_its_owner_alone_and_the_bound_is_a_number(tmp_path, memory, monkeypatch):
    with cache_in(tmp_path / "copies", monkeypatch):
        cache().content(wanted(1))
        assert (tmp_path / "copies").stat().st_mode & 0o77 == 0
    with (
        cache_in(tmp_path, monkeypatch, gigabytes="plenty"),
        pytest.raises(SpecError, match="AUDITOR_CACHE_GB is 'plenty' in the environment"),
    ):
        cache()


def test_a_version_without_a_mark_is_of_one_run():
    found = objects.Found(5, "")
    first, second = (RemoteObject.of("memory://cached/1", found) for _ in range(2))
    assert first == second
    assert first.mark.startswith("run ")
