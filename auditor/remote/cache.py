"""Bytes of remote objects kept on this disk, up to a bound; what was read longest ago goes first.

A copy is named by the object's URL and its mark (`objects.Found`), so that another version of it
is another copy. Of an object without a mark the copy serves one run, which gives it a mark of its
own (`unmarked`). Whole files of a folder: threads, processes and runs may share it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from auditor.errors import SpecError
from auditor.remote import objects

DEFAULT_GB = 20.0
_COPIES = "[0-9a-f][0-9a-f]"
"""Folders of copies, named by how their files' names begin."""
MOST_UNSTATED = 1_000_000_000
"""Bytes that are held in memory of an object whose server does not say how many it has."""


@dataclass(frozen=True)
class RemoteObject:
    """One version of an object: its URL, its mark, its size in bytes (-1 where it is not told)."""

    url: str
    mark: str
    size: int

    @classmethod
    def of(cls, url: str, found: objects.Found) -> RemoteObject:
        return cls(url, found.mark or unmarked(), found.size)


@lru_cache(maxsize=1)
def unmarked() -> str:
    """The mark, for this run alone, of objects whose server gives none."""
    return f"run {uuid.uuid4().hex}"


def forget_unmarked() -> None:
    """Begin to read objects without a mark anew: a run, or a look at what an earlier one read."""
    unmarked.cache_clear()


@dataclass
class Cache:
    """A folder of copies that holds at most `most_bytes`."""

    folder: Path
    most_bytes: int
    _added: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def content(self, wanted: RemoteObject, *, most: int | None = None) -> bytes:
        """All bytes of an object. Raises OSError as `objects` does, and where some are missing.

        `most` bounds one whose server does not say how many it has.
        """
        path = self._path(wanted)
        with suppress(FileNotFoundError):
            found = path.read_bytes()
            _touch(path)
            return found
        bound = wanted.size if wanted.size >= 0 else most or MOST_UNSTATED
        content = _whole(objects.read(wanted.url, most=bound), wanted)
        if not self._keeps(wanted.size):
            return content
        with self._putting(path) as part:
            part.write_bytes(content)
        return content

    def opened(self, wanted: RemoteObject) -> BinaryIO:
        """An object as a file that can be sought in; one too large to keep is read where it is."""
        path = self._path(wanted)
        for _ in range(2):
            with suppress(FileNotFoundError):
                found = path.open("rb")
                _touch(path)
                return found
            if not self._keeps(wanted.size):
                break
            self._fetch(wanted, path, most=self.most_bytes // 2)
        return objects.opened(wanted.url, wanted.size)

    def copy(self, wanted: RemoteObject, into: Path, *, most: int) -> None:
        """An object of at most `most` bytes as the file `into`, which stays when the cache's goes.

        One too large to keep is this file alone.
        """
        path = self._path(wanted)
        if self._keeps(wanted.size):
            for _ in range(2):
                with suppress(FileNotFoundError):
                    # No link: onnx refuses weights in a file of two names.
                    shutil.copyfile(path, into)
                    _touch(path)
                    return
                self._fetch(wanted, path, most=min(most, self.most_bytes // 2))
        _download(wanted, into, most)

    def _fetch(self, wanted: RemoteObject, path: Path, *, most: int) -> None:
        with self._putting(path) as part:
            _download(wanted, part, most)

    def _path(self, wanted: RemoteObject) -> Path:
        name = hashlib.sha256(f"{wanted.url}\0{wanted.mark}".encode()).hexdigest()
        return self.folder / name[:2] / name

    def _keeps(self, size: int) -> bool:
        return size <= self.most_bytes // 2

    @contextmanager
    def _putting(self, path: Path) -> Iterator[Path]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            yield part
            added = part.stat().st_size
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            self._make_room(added)

    def _make_room(self, added: int) -> None:
        """Looked at when a tenth of the bound was added: others may have added as much."""
        self._added = None if self._added is None else self._added + added
        if self._added is None or self._added > self.most_bytes // 10:
            self._added = 0
            self.trim()

    def trim(self) -> None:
        """Remove what was read longest ago, until a tenth of the bound is free."""
        held = []
        for path in self.folder.glob(f"{_COPIES}/*"):
            with suppress(FileNotFoundError):
                found = path.stat()
                held.append((found.st_mtime_ns, found.st_size, path))
        total = sum(size for _, size, _ in held)
        for _, size, path in sorted(held):
            if total <= self.most_bytes * 9 // 10:
                return
            path.unlink(missing_ok=True)
            total -= size


def _download(wanted: RemoteObject, into: Path, most: int) -> None:
    objects.download(wanted.url, into, most=wanted.size if wanted.size >= 0 else most)
    _require_whole(into.stat().st_size, wanted)


def _touch(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)


def _whole(content: bytes, wanted: RemoteObject) -> bytes:
    _require_whole(len(content), wanted)
    return content


def _require_whole(n: int, wanted: RemoteObject) -> None:
    if wanted.size not in (-1, n):
        raise OSError(
            errno.EIO, f"the object has {n:,} bytes of the {wanted.size:,} that its server states"
        )


@lru_cache(maxsize=1)
def cache() -> Cache:
    """The cache of this user: `AUDITOR_CACHE`, of at most `AUDITOR_CACHE_GB` (20)."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "auditor"
    stated = os.environ.get("AUDITOR_CACHE_GB", str(DEFAULT_GB))
    try:
        gigabytes = float(stated)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < float("inf"):
        raise SpecError(
            f"AUDITOR_CACHE_GB is {stated[:40]!r} in the environment, expected how many gigabytes "
            "of remote files are kept on this disk, as 20."
        )
    return Cache(Path(os.environ.get("AUDITOR_CACHE") or usual), int(gigabytes * 1e9))
