import os
import subprocess
import sys

import pytest
from web_servers import cache_in, put_in_memory, put_on_s3, s3_server, serving

from auditor.errors import DataError, ModelError, SpecError
from auditor.remote.cache import Cache, RemoteObject
from auditor.remote.whole_files import Copies, Copy, Wanted, folder_of_copies


@pytest.fixture
def copies(tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.remote.objects._PAUSE", 0.0)
    with cache_in(tmp_path / "copies", monkeypatch) as folder:
        yield folder


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True)
    (folder / "half.onnx").write_bytes(b"0123456789")
    (folder / "model.onnx").write_bytes(b"0123456789")
    (folder / "below" / "model.onnx").write_bytes(b"0")
    return folder


def wanted(url, *, at_most=1_000):
    return Wanted(url, "model.path", at_most, ModelError, "Give the URL of a model's file.")


def said_of(url, **bound):
    with pytest.raises(ModelError) as refused:
        wanted(url, **bound).content()
    return str(refused.value)


def test_a_copy_has_its_own_name_and_outlives_the_cache(copies, files, tmp_path):
    place = put_in_memory(files, "whole")
    into = tmp_path / "own" / "model.onnx"
    found = wanted(f"{place}/model.onnx").copy(into)
    assert found.size == 10
    (kept,) = copies.glob("??/*")
    assert not os.path.samefile(kept, into)
    kept.unlink()
    assert into.read_bytes() == b"0123456789"


def test_one_too_large_to_keep_is_a_copy_all_the_same(files, tmp_path):
    place = put_in_memory(files, "whole")
    small = Cache(tmp_path / "cache", 15)
    small.copy(RemoteObject(f"{place}/model.onnx", "etag 1", 10), tmp_path / "a", most=10)
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    assert not list((tmp_path / "cache").glob("*/*"))


def test_what_is_wrong_with_a_file_on_a_web_server_is_one_sentence(copies, files):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    (files / "403.onnx").write_bytes(b"x")
    (files / "500.onnx").write_bytes(b"x")
    with serving(files) as (url, _):
        assert said_of(f"{url}/none.onnx") == (
            f"model.path: '{url}/none.onnx' is not there (404). Give the URL of a model's file."
        )
        assert said_of(f"{url}/403.onnx") == (
            f"model.path: '{url}/403.onnx' cannot be read: the server refuses access (403). See "
            "to the rights of the credentials in the environment."
        )
        assert said_of(f"{url}/half.onnx") == (
            f"model.path: '{url}/half.onnx' cannot be read: the object ends before the size that "
            "its server states. Put it there again, or copy it here."
        )
        assert said_of(f"{url}/model.onnx", at_most=9) == (
            f"model.path: '{url}/model.onnx' has 10 bytes, expected at most 9 bytes. Give the URL "
            "of a model's file."
        )
        assert "the server sends more bytes than it states, or than are taken" in said_of(
            f"{url}/endless.onnx"
        )
        with pytest.raises(DataError, match=r"could not be reached \(status 500, tried sev"):
            wanted(f"{url}/500.onnx").content()
    assert not list(copies.glob("*/*"))


def test_a_folder_is_no_file(copies, files, monkeypatch):
    place = put_in_memory(files, "whole")
    assert said_of(f"{place}/below") == (
        f"model.path: '{place}/below' is a folder, expected a file. Give the URL of a model's file."
    )
    with s3_server(monkeypatch):
        place = put_on_s3(files, "whole/first")
        assert f"'{place}' is a folder, expected a file" in said_of(place)
        assert "is not there (404)" in said_of("s3://whole/other.onnx")
        assert wanted(f"{place}/model.onnx").content() == b"0123456789"


def test_a_full_disk_is_told_as_one(copies, files, monkeypatch, tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")

    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("auditor.remote.objects._Bounded.write", full)
    with serving(files) as (url, _), pytest.raises(ModelError) as refused:
        wanted(f"{url}/model.onnx").copy(tmp_path / "own" / "model.onnx")
    assert "cannot be read: this disk takes no more (No space left on device)" in str(refused.value)


def test_a_folder_of_its_own_lasts_as_long_as_its_block_and_left_ones_go(copies, tmp_path):
    with folder_of_copies() as first:
        (first / "model.onnx").write_bytes(b"x")
        left = first.parent / "run-left"
        left.mkdir()
        (left / "held").touch()
        (left / "model.onnx").write_bytes(b"x")
        with folder_of_copies() as second:
            assert first.is_dir()
            assert second.is_dir()
            assert not left.exists()
        assert first.is_dir()
        assert not second.exists()
    assert not first.exists()
    assert copies.stat().st_mode & 0o77 == 0


def test_the_folder_of_another_process_stays_until_it_ends(copies):
    code = (
        "import sys\nfrom auditor.remote.whole_files import folder_of_copies\n"
        "with folder_of_copies() as mine:\n    print(mine, flush=True)\n    sys.stdin.readline()\n"
        "    import os; os._exit(9)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    theirs = other.stdout.readline().strip()
    with folder_of_copies():
        assert os.path.isdir(theirs)
    other.communicate("\n", timeout=60)
    assert os.path.isdir(theirs)
    with folder_of_copies():
        assert not os.path.exists(theirs)


def test_trimming_leaves_the_folders_of_runs_alone(copies, files):
    place = put_in_memory(files, "whole")
    with folder_of_copies() as mine:
        wanted(f"{place}/model.onnx").copy(mine / "0" / "model.onnx")
        Cache(copies, 0).trim()
        assert not list(copies.glob("??/*"))
        assert (mine / "0" / "model.onnx").read_bytes() == b"0123456789"


def test_a_cache_that_cannot_be_written_to_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with (
        cache_in(tmp_path / "file" / "cache", monkeypatch),
        pytest.raises(SpecError, match=r"cannot be written to .* Name another folder in AUDITOR"),
        folder_of_copies(),
    ):
        pass


def test_a_copy_that_could_not_be_made_says_why_when_it_is_asked_for(tmp_path):
    held = Copies({"s3://a/b": Copy(tmp_path, None), "s3://a/c": ModelError("gone")})
    assert held.path("s3://a/b") == tmp_path
    with pytest.raises(ModelError, match="gone"):
        held.path("s3://a/c")
