"""Whole audits of one small world, wherever its files lie: the same numbers, to the byte."""

import os
import shutil
import socket
import tarfile

import pytest
from coloured_rooms import make_world
from web_servers import SECRET, cache_in, put_in_memory, results, s3_server, serving

import auditor
from auditor.engine import run as engine
from auditor.engine.kept import Asked, kept_run
from auditor.errors import DataError

ONLY = ("data/manifest", "data/images", "performance/overall", "bias/subgroup-gap")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("rooms") / "world", sizes=(60, 20, 20)).parent


@pytest.fixture(scope="module")
def local(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("local")
    auditor.run(world / "audit.yaml", out=out, only=ONLY)
    return results(out)


@pytest.fixture
def copies(tmp_path, monkeypatch):
    with cache_in(tmp_path / "copies", monkeypatch) as folder:
        yield folder


def spec_at(world, place, *, images=None, name="elsewhere.yaml"):
    """The world's spec with its data at a place."""
    text = (world / "audit.yaml").read_text()
    text = text.replace("manifest: ", f"manifest: {place}/")
    path = world / name
    path.write_text(text.replace("images: .", f"images: {images or place}"))
    return path


def data_of(world, folder):
    """The data alone."""
    shutil.copytree(world, folder, ignore=shutil.ignore_patterns("*.yaml", "*.onnx"))
    return folder


def test_an_audit_of_objects_is_that_of_files(world, local, copies, tmp_path):
    place = put_in_memory(data_of(world, tmp_path / "data"), "rooms")
    record = auditor.run(spec_at(world, place), out=tmp_path / "out", only=ONLY)
    assert results(tmp_path / "out") == local
    assert record.provenance.remote["data.test.images"] == "memory://rooms"


def test_an_audit_of_tar_shards_is_that_of_files(world, local, copies, tmp_path):
    for split in ("test", "train", "deployment"):
        for shard in range(2):
            with tarfile.open(tmp_path / f"{split}-{shard}.tar", "w") as tar:
                for path in sorted((world / split).iterdir())[shard::2]:
                    tar.add(path, f"{split}/{path.name}")
    text = (world / "audit.yaml").read_text()
    for split in ("test", "train", "deployment"):
        given = f"manifest: {split}.csv, images: "
        text = text.replace(f"{given}.", f'{given}"{tmp_path}/{split}-{{0..1}}.tar"')
    spec = world / "shards.yaml"
    spec.write_text(text)
    auditor.run(spec, out=tmp_path / "out", only=ONLY)
    assert results(tmp_path / "out") == local
    asked = Asked.of(spec, only=ONLY, policy=None, trust_code=False)
    assert kept_run(tmp_path / "out", asked) is not None
    with (tmp_path / "test-1.tar").open("r+b") as shard:
        shard.seek(700)
        shard.write(b"!")
    assert kept_run(tmp_path / "out", asked) is None


def test_an_audit_over_http_is_that_of_files_and_edits_are_seen(world, local, copies, tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    data = data_of(world, tmp_path / "data")
    with serving(data) as (url, asked):
        spec = spec_at(world, url)
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
        assert results(tmp_path / "out") == local
        told = Asked.of(spec, only=ONLY, policy=None, trust_code=False)
        asked.clear()
        assert kept_run(tmp_path / "out", told) is not None
        # Without an ETag nothing but the bytes tells that an image is as it was.
        assert sum(line.startswith("GET /test/") for line in asked) == 60
        lines = engine.plan(spec, only=ONLY)
        assert any(f"data.test.images: {url} (the server gives no ETag or version, so that they "
                   "are read and hashed at every run)" in line for line in lines)  # fmt: skip
        image = data / "test" / "0003.png"
        before = image.stat()
        image.write_bytes(image.read_bytes()[:-1] + b"!")
        os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert kept_run(tmp_path / "out", told) is None


def test_an_etag_spares_the_bytes(world, local, copies, tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    with serving(data_of(world, tmp_path / "data"), etags=True) as (url, asked):
        spec = spec_at(world, url)
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
        assert results(tmp_path / "out") == local
        told = Asked.of(spec, only=ONLY, policy=None, trust_code=False)
        asked.clear()
        assert kept_run(tmp_path / "out", told) is not None
        assert not [line for line in asked if line.startswith("GET")]
        assert len([line for line in asked if line.startswith("HEAD /test/")]) == 60
        # Another run finds the copies of this one.
        asked.clear()
        auditor.run(spec, out=tmp_path / "other", only=ONLY)
        assert not [line for line in asked if line.startswith("GET /test/")]
        image = tmp_path / "data" / "test" / "0003.png"
        image.write_bytes(image.read_bytes() + b"!")
        assert kept_run(tmp_path / "out", told) is None


def test_an_audit_of_s3_is_that_of_files_and_its_credentials_are_told_nowhere(
    world, local, copies, tmp_path, monkeypatch
):
    with s3_server(monkeypatch) as url:
        import fsspec

        system = fsspec.filesystem("s3")
        system.mkdir("rooms")
        system.put(f"{data_of(world, tmp_path / 'data')}/", "rooms/first/", recursive=True)
        spec = spec_at(world, "s3://rooms/first")
        reached = set()
        connect = socket.socket.connect

        def note(self, address):
            reached.add(address)
            return connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", note)
        record = auditor.run(spec, out=tmp_path / "out", only=ONLY)
        auditor.render(record, tmp_path / "out", formats=("html", "card", "csv"))
        assert results(tmp_path / "out") == local
        host, port = url.removeprefix("http://").split(":")
        assert {a[:2] for a in reached if isinstance(a, tuple)} == {(host, int(port))}
        assert record.provenance.remote["data.test.manifest"] == "s3://rooms/first/test.csv"
        for path in (p for p in tmp_path.rglob("*") if p.is_file()):
            assert SECRET.encode() not in path.read_bytes(), path
        told = Asked.of(spec, only=ONLY, policy=None, trust_code=False)
        assert kept_run(tmp_path / "out", told) is not None
        lines = engine.plan(spec, only=ONLY)
        assert ("Over the network: data.test.images: s3://rooms/first (a change is seen by the "
                "server's ETag or version)") in lines  # fmt: skip
        system.pipe_file("rooms/first/test/0003.png", b"damaged")
        assert kept_run(tmp_path / "out", told) is None


def test_images_by_folder_elsewhere_are_those_of_a_folder_here(world, copies, tmp_path):
    folder = tmp_path / "by-class"
    for i, path in enumerate(sorted((world / "test").iterdir())):
        into = folder / ("red" if i % 2 else "blue") / path.name
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, into)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "a.png").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    text = (world / "audit.yaml").read_text().partition("data:")[0]
    found = []
    for place in (folder, put_in_memory(folder, "by-class")):
        spec = world / "by-class.yaml"
        spec.write_text(f"{text}data: {{test: {{images: {place}}}}}\npolicy: policy.yaml\n")
        record = auditor.run(spec, out=tmp_path / "out", only=["performance/overall"], again=True)
        found.append((record.datasets, [m for r in record.results for m in r.measures]))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("memory://nowhere", "data.test.manifest: 'memory://nowhere/test.csv' is not there (404)"),
        ("gs://bucket", "pip install 'auditor[gs]'"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(world, command, tmp_path, place, says):
    code, _, err = command("run", spec_at(world, place), "--out", tmp_path / "out", "--quiet")
    assert code == 2
    assert says in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_a_folder_of_images_that_is_not_there_or_not_allowed(world, copies, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    spec = spec_at(world, ".", images="memory://nowhere")
    with pytest.raises(
        DataError, match=r"data\.test\.images: there is nothing at 'memory://nowhere'"
    ):
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
    forbidden = tmp_path / "403"
    forbidden.mkdir()
    (world / "forbidden.csv").write_text("file,label,room,building\n403.png,red,a,old\n")
    with serving(forbidden) as (url, _):
        spec.write_text(spec_at(world, ".", images=url).read_text().replace("/test.csv",
                        "/forbidden.csv"))  # fmt: skip
        with pytest.raises(DataError) as refused:
            auditor.run(spec, out=tmp_path / "out", only=ONLY)
    assert f"data.test.images: {url!r} cannot be read: the server refuses access (403)" in str(
        refused.value
    )
    with serving(world) as (url, _):
        spec.write_text((world / "audit.yaml").read_text().replace("manifest: test.csv, images: .",
                        f"images: {url}"))  # fmt: skip
        with pytest.raises(DataError, match="a web server does not list its files"):
            auditor.run(spec, out=tmp_path / "out", only=ONLY)


def test_an_object_that_is_not_whole_is_an_unreadable_image(world, copies, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    monkeypatch.setattr("auditor.remote.objects._PAUSE", 0.0)
    data = data_of(world, tmp_path / "data")
    (data / "test" / "0003.png").rename(data / "test" / "half.png")
    manifest = (data / "test.csv").read_text().replace("test/0003.png", "test/half.png")
    (data / "test.csv").write_text(manifest)
    with serving(data) as (url, _):
        record = auditor.run(spec_at(world, url), out=tmp_path / "out", only=ONLY)
    (test,) = (d for d in record.datasets if d.split == "test")
    assert {each.reason: each.n for each in test.set_apart}["unreadable"] == 1
    text = (tmp_path / "out" / "audit.json").read_text()
    assert "the object ends before the size that its server states" in text
