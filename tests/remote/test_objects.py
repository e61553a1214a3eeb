import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import fsspec.implementations.memory
import pytest
from web_servers import forget, s3_server, serving

from auditor.errors import DataError, MissingLibraryError
from auditor.remote import objects
from auditor.remote.cache import Cache, RemoteObject


@pytest.fixture
def http(tmp_path, monkeypatch):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    monkeypatch.setattr(objects, "_PAUSE", 0.0)
    (tmp_path / "a.png").write_bytes(b"0123456789")
    (tmp_path / "half.png").write_bytes(b"0123456789")
    with serving(tmp_path) as (url, _):
        yield url


def test_what_a_web_server_says_of_a_file(http):
    found = objects.info(f"{http}/a.png")
    assert (found.size, found.mark) == (10, "")
    assert objects.info(f"{http}/b.png") is None
    assert objects.read(f"{http}/a.png") == b"0123456789"
    assert objects.opened(f"{http}/a.png", 10).read() == b"0123456789"


def test_a_server_that_sends_more_than_it_states_is_not_listened_to(http, tmp_path, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(b"0123456789")
    kept = Cache(tmp_path / "cache", 1_000_000_000)
    monkeypatch.setattr("auditor.remote.cache.MOST_UNSTATED", 1_000_000)
    for name in ("endless", "bomb"):
        url = f"{http}/{name}.png"
        found = objects.info(url)
        wanted = RemoteObject.of(url, found)
        assert found.size == (10 if name == "bomb" else -1)
        with pytest.raises(OSError, match="sends more bytes than it states"):
            kept.content(wanted)
        with pytest.raises(OSError, match="sends more bytes than it states"):
            Cache(tmp_path / "cache", 2_000_000).opened(wanted)
        with pytest.raises(OSError, match="another range than was asked for"):
            objects.opened(url, 1 << 30).read(5)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_url_without_right_and_one_that_is_cut_off_are_told_apart(http):
    with pytest.raises(PermissionError) as refused:
        objects.read(f"{http}/403.png")
    assert refused.value.strerror == "the server refuses access (403)"
    with pytest.raises(PermissionError, match="401"):
        objects.info(f"{http}/401.png")
    with pytest.raises(OSError, match="ends before the size") as cut:
        objects.read(f"{http}/half.png")
    assert "127.0.0.1" not in str(cut.value)
    with pytest.raises(DataError, match=r"/500\.png could not be reached \(status 500, tri"):
        objects.read(f"{http}/500.png")


def test_a_server_that_is_not_there_is_not_a_file_that_is_not_there(http):
    # Port 9 of the loopback discards nothing here: no one listens.
    with pytest.raises(DataError, match="could not be reached") as failed:
        objects.info("http://127.0.0.1:9/a.png")
    assert "the same command goes on from there" in str(failed.value)


def test_a_web_server_lists_nothing(http):
    with pytest.raises(DataError, match=r"does not list its files\. Give a manifest"):
        objects.listing(http)


def test_marks_are_strong_etags_generations_and_versions_never_dates():
    of = lambda **said: objects._mark(said)  # noqa: E731
    assert of(ETag='"abc"') == "etag abc"
    assert of(ETag='W/"abc"') == ""
    assert of(generation="17", etag="x") == "generation 17"
    assert of(VersionId="null", ETag="abc") == "etag abc"
    assert of(**{"Last-Modified": "Mon, 30 Nov 2026 00:00:00 GMT"}) == ""


def test_a_protocol_whose_package_is_missing_names_the_extra(monkeypatch):
    # The package's attribute of this name is not the module.
    registry = sys.modules["fsspec.registry"]
    for protocol, extra in (("s3", "remote"), ("gs", "gs")):
        package = {"s3": "s3fs", "gs": "gcsfs"}[protocol]
        monkeypatch.setitem(sys.modules, package, None)
        # Fsspec remembers those that it has loaded.
        monkeypatch.delitem(registry._registry, protocol, raising=False)
        forget()
        with pytest.raises(MissingLibraryError) as missing:
            objects.info(f"{protocol}://bucket/a.png")
        assert f"pip install 'auditor[{extra}]'" in str(missing.value)


def test_objects_are_listed_below_a_place_or_right_in_it():
    memory = fsspec.filesystem("memory")
    for name in ("a.png", "b/c.png", "b/d/e.png"):
        memory.pipe_file(f"/listed/{name}", name.encode())
    memory.pipe_file("/listed-not/x.png", b"x")
    assert list(objects.listing("memory://listed")) == ["a.png", "b/c.png", "b/d/e.png"]
    assert list(objects.listing("memory://listed/b", deep=False)) == ["c.png"]
    assert objects.listing("memory://nowhere") == {}
    urls = [f"memory://listed/{name}" for name in ("a.png", "z.png")]
    assert [each and each.size for each in objects.infos(urls).values()] == [5, None]


def test_an_object_is_created_once():
    assert objects.create("memory://once/claim", b"first")
    assert not objects.create("memory://once/claim", b"second")
    assert objects.read("memory://once/claim") == b"first"


def test_an_object_of_s3_is_created_once_and_removed(monkeypatch):
    with s3_server(monkeypatch):
        fsspec.filesystem("s3").mkdir("once")
        assert objects.create("s3://once/claim", b"first")
        assert not objects.create("s3://once/claim", b"second")
        assert objects.read("s3://once/claim") == b"first"
        assert objects.info("s3://once/claim").mark.startswith("etag ")
        objects.remove("s3://once/claim")
        objects.remove("s3://once/claim")
        assert objects.info("s3://once/claim") is None
        with pytest.raises(FileNotFoundError):
            objects.read("s3://no-such-bucket/a")


def test_google_storage_is_asked_by_one_protocol_alone(monkeypatch):
    # Set first, so that what is set meanwhile is taken away again.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "")
    monkeypatch.delenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT")
    seen = []

    def opened(protocol):
        seen.append((protocol, os.environ.get("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT")))
        return dict

    monkeypatch.setattr(fsspec, "get_filesystem_class", opened)
    objects._system.cache_clear()
    objects._system("gs")
    objects._system.cache_clear()
    assert seen == [("gs", "false")]


def test_where_nobody_may_list_each_object_is_asked_about(monkeypatch):
    system = fsspec.filesystem("memory")
    urls = [f"memory://unlisted/{i}" for i in range(9)]
    for url in urls[:8]:
        system.pipe_file(url.partition(":/")[2], b"x")

    def refused(place, *, deep=True):
        raise PermissionError(13, "the server refuses access (403)")

    monkeypatch.setattr(objects, "listing", refused)
    found = objects.infos(urls)
    assert [url for url in urls if found[url] is None] == urls[8:]


class Elsewhere(fsspec.implementations.memory.MemoryFileSystem):
    """As the packages of gs and az are: they raise errors of their own, and log them."""

    store = {}  # noqa: RUF012 - of fsspec's making
    pseudo_dirs = [""]  # noqa: RUF012
    cachable = False
    asked = 0
    fails = None
    given = None

    def __init__(self, **options):
        if options.pop("unknown", False):
            raise ValueError("AccountKey=not-to-be-told")
        type(self).given = options
        super().__init__()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol("/" + path.partition("://")[2] if "://" in path else path)

    def info(self, path, **stated):
        type(self).asked += 1
        if self.fails is not None:
            logging.getLogger("gcsfs.retry").exception("%s", self.fails)
            raise self.fails
        found = super().info(path, **stated)
        return found | {"created": None, "mtime": datetime(2026, 12, 1, tzinfo=UTC)}


@pytest.fixture
def elsewhere(monkeypatch):
    kind = type("Elsewhere", (Elsewhere,), {"store": {}, "pseudo_dirs": [""]})
    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda protocol: kind)
    objects._system.cache_clear()
    yield kind
    objects._system.cache_clear()


@pytest.mark.parametrize("protocol", ["gs", "az"])
def test_when_an_object_was_written_is_known_and_what_was_listed_is_not_remembered(
    elsewhere, protocol
):
    """Else `store --prune --older-than` takes whatever is there for as old as can be."""
    objects.write(f"{protocol}://box/a", b"x")
    assert objects.info(f"{protocol}://box/a").modified == 1796083200.0
    assert elsewhere.given["use_listings_cache"] is False


@pytest.mark.parametrize("protocol", ["gs", "az"])
def test_a_package_that_tries_again_itself_is_asked_once_and_prints_nothing(
    elsewhere, protocol, monkeypatch, capsys
):
    elsewhere.fails = type("ClientConnectorError", (OSError,), {})("host and port")
    # Handlers of pytest's own would take what would go to a user's terminal.
    monkeypatch.setattr(logging.getLogger("gcsfs"), "propagate", False)
    with pytest.raises(DataError, match=r"could not be reached \(ClientConnectorError, tried sev"):
        objects.info(f"{protocol}://box/a")
    assert elsewhere.asked == 1
    assert capsys.readouterr().err == ""


def test_google_storage_that_is_silent_is_not_waited_for_without_end(elsewhere):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    objects.info("gs://box/a")
    assert elsewhere.given["requests_timeout"].sock_read == 60


def test_an_environment_that_names_no_account_is_told_without_its_secrets(elsewhere, monkeypatch):
    monkeypatch.setattr(objects, "_options", lambda protocol: {"unknown": True})
    with pytest.raises(PermissionError, match="names no account that can be used") as refused:
        objects.info("az://box/a")
    assert "not-to-be-told" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_bucket_that_is_not_there_is_no_object_that_is_not_there(elsewhere, monkeypatch):
    def gone(*given, **stated):
        raise FileNotFoundError("box")

    monkeypatch.setattr(elsewhere, "pipe_file", gone)
    monkeypatch.setattr(elsewhere, "put_file", gone)
    for put in (
        lambda: objects.write("az://box/a", b"x"),
        lambda: objects.create("az://box/a", b"x"),
        lambda: objects.upload("a", "az://box/a"),
    ):
        with pytest.raises(FileNotFoundError, match="no such bucket or container"):
            put()


def test_attempts_of_google_storage_are_not_made_six_times_over(elsewhere, tmp_path):
    class Trying(elsewhere):
        def _get_file_concurrent(self, source, into):
            pytest.fail("tries again what tries again")

        def get_file(self, source, into, **stated):
            self._get_file_concurrent(source, into)

    def once(system, source, into):
        Path(into).write_bytes(system.cat_file(source))

    Trying._get_file_concurrent.__wrapped__ = once
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fsspec, "get_filesystem_class", lambda protocol: Trying)
        objects.write("gs://box/a", b"whole")
        objects.download("gs://box/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"whole"
