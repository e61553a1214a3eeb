"""The bytes of a dataset's images: files of their own, or rows of a Parquet manifest."""

from __future__ import annotations

import errno
import hashlib
import io
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.data.parquet_manifest import held_bytes
from auditor.opening import why_not

MOST_IMAGE_BYTES = 500_000_000
"""Size that an image's file may have."""

_MARK = "\0"
"""No path of a file holds it, so that a row of a manifest cannot be mistaken for one."""


def path_in_manifest(manifest: Path, column: str, row: int) -> str:
    """The `path` of an image that a Parquet manifest holds itself, in `row`, from 0."""
    return f"{manifest.absolute()}{_MARK}{column}{_MARK}{row}"


def manifest_of(path: str) -> str | None:
    """The manifest that holds the image of a `path`; None where it has a file of its own."""
    manifest, mark, _ = path.partition(_MARK)
    return manifest if mark else None


class ImageFiles:
    """Reads images by the `path` of a dataset's frame.

    Holds the row group that was read last, for images are asked for in order. Of use to one
    thread at a time.
    """

    def __init__(self) -> None:
        self._held: _RowGroups | None = None

    def read(self, path: str) -> bytes:
        """The bytes of an image; raises OSError, without a path in its `strerror`."""
        manifest, mark, place = path.partition(_MARK)
        if not mark:
            _require(path)
            return Path(path).read_bytes()
        column, _, row = place.partition(_MARK)
        if self._held is None or self._held.of != (manifest, column):
            self._held = _RowGroups(manifest, column)
        return self._held.read(int(row))

    def open(self, path: str) -> BinaryIO:
        """An image's bytes as a file, of which only what is asked for is read; as `read`."""
        if _MARK in path:
            return io.BytesIO(self.read(path))
        _require(path)
        return Path(path).open("rb")

    def digest(self, path: str) -> str:
        """SHA-256 of an image's bytes, ``unreadable`` where there are none to read."""
        try:
            if _MARK in path:
                return hashlib.sha256(self.read(path)).hexdigest()
            _require(path)
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return "unreadable"


def _require(path: str) -> None:
    found = why_not(Path(path), at_most=MOST_IMAGE_BYTES)
    if found is not None:
        raise OSError(errno.EIO, found)


class _RowGroups:
    """A column of images of a Parquet file, one row group of it in memory."""

    def __init__(self, manifest: str, column: str) -> None:
        self.of = (manifest, column)
        self._group, self._images = -1, pa.array([], pa.binary())
        try:
            # Without a buffer ahead: it would read all columns of the group.
            self._file = pq.ParquetFile(manifest, pre_buffer=False)
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
