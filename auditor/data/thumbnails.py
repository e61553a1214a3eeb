"""Thumbnails of many images in a file: those of a million would fill the memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from auditor.data.scan import THUMBNAIL

_SHAPE = (THUMBNAIL, THUMBNAIL, 3)
_BYTES = THUMBNAIL * THUMBNAIL * 3


@dataclass(frozen=True)
class HeldThumbnails:
    """Thumbnails (n, 32, 32, 3) uint8, read when they are asked for; 0 of unreadable images.

    Indexed as an array is along its first axis. `rows` (n,) are their places in the file. Of use to
    one thread at a time; others may append to the file.
    """

    file: IO[bytes]
    rows: np.ndarray

    @classmethod
    def written(cls, parts: Iterable[Sequence[bytes]], file: IO[bytes]) -> HeldThumbnails:
        """Write the thumbnails of scans, in order, to a file that is open to be read, too."""
        n = 0
        for part in parts:
            file.write(b"".join(cell or bytes(_BYTES) for cell in part))
            n += len(part)
        file.flush()
        return cls(file, np.arange(n, dtype=np.int32))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        rows = self.rows[part]
        found = np.empty((len(rows), *_SHAPE), dtype=np.uint8)
        # Rows that follow each other are read at once.
        starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        for start, stop in itertools.pairwise([*starts.tolist(), len(rows)]):
            self.file.seek(int(rows[start]) * _BYTES)
            self.file.readinto(found[start:stop].data)  # type: ignore[attr-defined]
        return found

    def take(self, rows: np.ndarray, axis: int = 0) -> HeldThumbnails:
        """Those of some rows, none read yet."""
        assert axis == 0
        return HeldThumbnails(self.file, self.rows[rows])


Thumbnails = np.ndarray | HeldThumbnails
"""In memory, or in a file."""
