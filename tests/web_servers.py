"""Servers on this machine's loopback: plain HTTP with faults on demand, and one that speaks S3."""

import contextlib
import gzip
import http.server
import json
import os
import threading
from pathlib import Path

import pytest

from auditor.remote import cache, objects


class FaultyFiles(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; a name that begins with a status is answered by it, ``half`` is cut.

    ``endless`` goes on without a stated size; ``bomb`` is of the size of its file, and sends more.
    """

    etags = False
    asked: list[str] = []  # noqa: RUF012 - of the class that `serving` makes

    def send_head(self):
        name = self.path.rpartition("/")[2]
        self.asked.append(f"{self.command} {self.path}")
        if name[:3] in ("401", "403", "500"):
            self.send_error(int(name[:3]))
            return None
        if "endless" in name or ("bomb" in name and self.command == "GET"):
            self._flood(packed="bomb" in name)
            return None
        return super().send_head()

    def _flood(self, *, packed):
        self.send_response(200)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        part = gzip.compress(bytes(1 << 20)) if packed else bytes(1 << 16)
        with contextlib.suppress(OSError):
            for _ in range(400 if self.command == "GET" else 0):
                self.wfile.write(part)

    def end_headers(self):
        path = Path(self.translate_path(self.path))
        if self.etags and path.is_file():
            self.send_header("ETag", f'"{path.stat().st_mtime_ns}-{path.stat().st_size}"')
        super().end_headers()

    def copyfile(self, source, out):
        content = source.read()
        out.write(content[: len(content) // 2] if "half" in self.path else content)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(folder, *, etags=False):
    """The URL of a plain web server over a folder, and what it was asked."""
    kind = type("Files", (FaultyFiles,), {"etags": etags, "asked": []})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a, **k: kind(*a, directory=str(folder), **k)
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", kind.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


SECRET = "not-to-be-told-anywhere"


@contextlib.contextmanager
def s3_server(monkeypatch):
    """A server of S3, which the environment names with its credentials; its URL."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (extra `remote`)")
    pytest.importorskip("moto.server", reason="moto is not installed (extra `dev`)")
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in {
        "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": url,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    forget()
    try:
        yield url
    finally:
        forget()
        server.stop()


def forget():
    """What this process knows of servers and of its cache, which the environment named."""
    import fsspec

    objects._system.cache_clear()
    cache.cache.cache_clear()
    for protocol in ("s3", "http"):
        with contextlib.suppress(ImportError):
            fsspec.get_filesystem_class(protocol).clear_instance_cache()


@contextlib.contextmanager
def cache_in(folder, monkeypatch, *, gigabytes="1"):
    """The cache of remote objects in a folder."""
    monkeypatch.setenv("AUDITOR_CACHE", os.fspath(folder))
    monkeypatch.setenv("AUDITOR_CACHE_GB", gigabytes)
    cache.cache.cache_clear()
    cache.unmarked.cache_clear()
    try:
        yield folder
    finally:
        cache.cache.cache_clear()
        cache.unmarked.cache_clear()


def put_on_s3(folder, name):
    """The files of a folder in a bucket of `s3_server`; the URL that they have there."""
    import fsspec

    system = fsspec.filesystem("s3")
    system.makedirs(name.partition("/")[0], exist_ok=True)
    system.put(f"{folder}/", f"{name}/", recursive=True)
    return f"s3://{name}"


def put_in_memory(folder, name):
    """The files of a folder in fsspec's memory; the URL that they have there."""
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in Path(folder).rglob("*"):
        if path.is_file():
            memory.pipe_file(f"/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"memory://{name}"


def results(out):
    """The text of a record without what says where its data lay, when it ran, and its digest."""
    found = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    for name in ("started", "duration_s", "remote"):
        found["provenance"].pop(name, None)
    del found["digest"], found["spec"]
    return json.dumps(found)
