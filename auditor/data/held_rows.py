"""Rows of numbers in a file: the memory holds what is asked for, while it is used."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

_WINDOW = 16 << 20
"""Bytes of the file that the memory holds at most while rows are copied out of it."""


@dataclass(frozen=True)
class HeldRows:
    """Rows (n, d), a memory map; indexed as an array of them is, along its first axis."""

    mapped: np.ndarray

    @classmethod
    def written(cls, parts: Iterable[np.ndarray], file: IO[bytes], *, width: int) -> HeldRows:
        """Append parts (k, width) float32 to a file that is open to be read, too."""
        start = file.seek(0, 2)
        n = 0
        for part in parts:
            # Anew each time: parts may be made of what lies in the file.
            file.seek(0, 2)
            file.write(np.ascontiguousarray(part, dtype=np.float32).data)
            n += len(part)
        file.flush()
        return cls(np.memmap(file, np.float32, mode="r", offset=start, shape=(n, width)))

    def __len__(self) -> int:
        return len(self.mapped)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return rows_of(self.mapped, rows)


def rows_of(mapped: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows at the positions `rows` (m,) of a memory map (n, d), in their order."""
    # As they lie in the file: in any other order all of it would be in memory.
    order = np.argsort(rows)
    found = np.empty((len(rows), mapped.shape[1]), dtype=mapped.dtype)
    step = max(1, _WINDOW // max(1, mapped.itemsize * mapped.shape[1]))
    ends = np.searchsorted(rows, np.arange(0, len(mapped) + step, step), sorter=order)
    for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        if start < stop:
            some = order[start:stop]
            found[some] = mapped[rows[some]]
            let_go(mapped)
    return found


def let_go(*arrays: np.ndarray) -> None:
    """Keep none of the files that arrays are views of in memory, where they are of any.

    They are read again where they are asked for: of a million images all of it is gigabytes.
    """
    maps = (_map_of(array) for array in arrays)
    for mapped in {id(found): found for found in maps if found is not None}.values():
        mapped.madvise(mmap.MADV_DONTNEED)


def _map_of(array: np.ndarray) -> mmap.mmap | None:
    """The map that an array is a view of; None for one in memory."""
    held: Any = array
    while held is not None and not isinstance(held, mmap.mmap):
        held = getattr(held, "base", None)
    return held if hasattr(held, "madvise") else None
