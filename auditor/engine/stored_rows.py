"""Some rows of an array in a file: the memory holds what is asked for, while it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.data.held_rows import rows_of


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
        return rows_of(self.array, self.kept[rows])
