"""Some rows of an array in a file: the memory holds what is asked for, while it is used."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class StoredRows:
    """The rows `kept` (n,) of a memory map (m, d); indexed as an array of them is."""

    array: np.ndarray
    kept: np.ndarray

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.kept), *self.array.shape[1:])

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        found: np.ndarray = np.array(self.array[self.kept[rows]])
        let_go(self.array)
        return found


def let_go(array: np.ndarray) -> None:
    """Keep none of the file that an array is a view of in memory, where it is of one.

    It is read again where it is asked for: of a million images all of it is gigabytes.
    """
    mapped: Any = array
    while mapped is not None and not isinstance(mapped, mmap.mmap):
        mapped = getattr(mapped, "base", None)
    if mapped is not None and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)
