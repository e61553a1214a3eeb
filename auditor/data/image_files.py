"""The bytes of a dataset's images: files, rows of a Parquet manifest, members of tar files.

Each of these on this disk or elsewhere (`auditor.remote`).
"""

from __future__ import annotations

import errno
import hashlib
import io
import weakref
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.data.parquet_manifest import held_bytes
from auditor.opening import shown_bytes, why_not
from auditor.remote.cache import RemoteObject, cache

MOST_IMAGE_BYTES = 500_000_000
"""Size that an image's file may have."""

_MARK = "\0"
"""No path of a file holds it, so that what lies in another file cannot be mistaken for one."""

_REMOTE, _SPAN = "@", "+"
"""What follows a mark: the size and version of a remote object; the span of a tar's member."""


UNREADABLE = "unreadable"
"""In place of the digest of an image of which there is nothing to read."""


def path_in_manifest(manifest: str, column: str, row: int) -> str:
    """The `path` of an image that a Parquet file holds itself, in `row`, from 0.

    `manifest` is the file's absolute path, or `path_of_object`.
    """
    return f"{manifest}{_MARK}{column}{_MARK}{row}"


def part_in_manifest(path: str) -> tuple[str, int] | None:
    """What a `path_in_manifest` begins with, and its row; None for any other path."""
    held = _Parts.of(path).cell
    return None if held is None else (path[: path.rindex(_MARK) + 1], held[1])


def path_of_object(wanted: RemoteObject) -> str:
    """The `path` of an image that is an object elsewhere."""
    return f"{wanted.url}{_MARK}{_REMOTE}{wanted.size} {wanted.mark}"


def path_in_tar(shard: str, start: int, size: int) -> str:
    """The `path` of an image in a tar file: its bytes there. `shard` as in `path_in_manifest`."""
    return f"{shard}{_MARK}{_SPAN}{start} {size}"


def part_in_tar(path: str) -> tuple[str, str] | None:
    """What a `path_in_tar` begins with, and where in the file it lies; None for any other path."""
    if _MARK not in path or _Parts.of(path).span is None:
        return None
    end = path.rindex(_MARK) + 1
    return path[:end], path[end:]


def manifest_of(path: str) -> str | None:
    """The file on this disk that holds the image of a `path`; None where it has one of its own."""
    found = _Parts.of(path)
    return found.file if isinstance(found.file, str) and found.inside else None


def file_of(path: str) -> str | None:
    """The file on this disk that is, or holds, the image of a `path`; None for one elsewhere."""
    found = _Parts.of(path).file
    return found if isinstance(found, str) else None


def remote_of(path: str) -> RemoteObject | None:
    """The object elsewhere that is, or holds, the image of a `path`; None for this disk."""
    found = _Parts.of(path).file
    return None if isinstance(found, str) else found


@dataclass(frozen=True)
class _Parts:
    """What a `path` says: the file, and where in it: a span, or a column's row."""

    file: str | RemoteObject
    span: tuple[int, int] | None = None
    cell: tuple[str, int] | None = None

    @property
    def inside(self) -> bool:
        return self.span is not None or self.cell is not None

    @classmethod
    def of(cls, path: str) -> _Parts:
        first, *rest = path.split(_MARK)
        file: str | RemoteObject = first
        # A column of a manifest on this disk may begin with the same letter; it has a row behind.
        alone = len(rest) != 2 or rest[1].startswith(_SPAN)
        if rest and alone and rest[0].startswith(_REMOTE):
            file, rest = _object(first, rest[0]), rest[1:]
        if len(rest) == 1:
            start, size = rest[0].removeprefix(_SPAN).split(" ")
            return cls(file, span=(int(start), int(size)))
        return cls(file, cell=(rest[0], int(rest[1]))) if rest else cls(file)


def _object(url: str, said: str) -> RemoteObject:
    size, _, mark = said.removeprefix(_REMOTE).partition(" ")
    return RemoteObject(url, mark, int(size))


class ImageFiles:
    """Reads images by the `path` of a dataset's frame.

    Holds the row group, or the tar file, that was read last, for images are asked for in order. Of
    use to one thread at a time. Raises DataError where a server could not be asked: what nobody
    could read must not be taken for an image that cannot be read.
    """

    def __init__(self) -> None:
        self._held: _RowGroups | None = None
        self._tar: _TarFile | None = None

    def read(self, path: str) -> bytes:
        """The bytes of an image; raises OSError, without a path in its `strerror`."""
        parts = _Parts.of(path)
        if parts.span is not None:
            return self._of_span(parts.file, *parts.span)
        if parts.cell is not None:
            column, row = parts.cell
            if self._held is None or self._held.of != (parts.file, column):
                self._held = _RowGroups(parts.file, column)
            return self._held.read(row)
        if isinstance(parts.file, RemoteObject):
            _require_size(parts.file.size)
            return cache().content(parts.file)
        _require(path)
        return Path(path).read_bytes()

    def open(self, path: str) -> BinaryIO:
        """An image's bytes as a file, of which only what is asked for is read; as `read`."""
        if _MARK in path:
            return io.BytesIO(self.read(path))
        _require(path)
        return Path(path).open("rb")

    def digest(self, path: str) -> str:
        """SHA-256 of an image's bytes, `UNREADABLE` where there are none to read."""
        try:
            if _MARK in path:
                return hashlib.sha256(self.read(path)).hexdigest()
            _require(path)
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return UNREADABLE

    def _of_span(self, shard: str | RemoteObject, start: int, size: int) -> bytes:
        _require_size(size)
        if self._tar is None or self._tar.of != shard:
            self._tar = _TarFile(shard)
        self._tar.file.seek(start)
        found = self._tar.file.read(size)
        if len(found) != size:
            raise OSError(errno.EIO, f"its tar file ends after {len(found):,} of {size:,} bytes")
        return found


def opened_file(file: str | RemoteObject) -> BinaryIO:
    """A file that holds images, on this disk or elsewhere."""
    return cache().opened(file) if isinstance(file, RemoteObject) else open(file, "rb")


def _require(path: str) -> None:
    found = why_not(Path(path), at_most=MOST_IMAGE_BYTES)
    if found is not None:
        raise OSError(errno.EIO, found)


def _require_size(size: int) -> None:
    if size > MOST_IMAGE_BYTES:
        most = shown_bytes(MOST_IMAGE_BYTES)
        raise OSError(errno.EIO, f"has {shown_bytes(size)}, expected at most {most}")


class _TarFile:
    """A tar file that is open for as long as this is held."""

    def __init__(self, shard: str | RemoteObject) -> None:
        self.of = shard
        self.file = opened_file(shard)
        weakref.finalize(self, self.file.close)


class _RowGroups:
    """A column of images of a Parquet file, one row group of it in memory."""

    def __init__(self, manifest: str | RemoteObject, column: str) -> None:
        self.of = (manifest, column)
        self._group, self._images = -1, pa.array([], pa.binary())
        try:
            # Without a buffer ahead: it would read all columns of the group.
            file: str | BinaryIO = manifest if isinstance(manifest, str) else opened_file(manifest)
            if not isinstance(file, str):
                weakref.finalize(self, file.close)
            self._file = pq.ParquetFile(file, pre_buffer=False)
        except (pa.ArrowException, ValueError) as error:
            raise _unreadable() from error
        metadata = self._file.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._starts = list(accumulate(sizes, initial=0))

    def read(self, row: int) -> bytes:
        group = bisect_right(self._starts, row) - 1
        try:
            if group != self._group:
                table = self._file.read_row_group(group, columns=[self.of[1]])
                self._images = held_bytes(table.column(0))
                self._group = group
            content = self._images[row - self._starts[group]].as_py()
        except (pa.ArrowException, ValueError, IndexError) as error:
            raise _unreadable() from error
        return bytes(content or b"")


def _unreadable() -> OSError:
    return OSError(errno.EIO, "the manifest's row cannot be read")
