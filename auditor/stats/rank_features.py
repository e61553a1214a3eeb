"""Numbers of any scale as features of a linear model: their ranks."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.stats.row_blocks import row_blocks, summed

_MANY = 100_000
"""Rows from which ranks lie in files: of a million they are 4 MB a column."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]


def rank_features(values: Floats, *, squares: bool = True) -> Floats:
    """Pooled ranks of each column in [-1, 1] and their squares, standardised, (n, 2 d).

    As `RankFeatures`, of `values` (n, d).
    """
    return RankFeatures.of(values.T, squares=squares)[:]


@dataclass(frozen=True, eq=False)
class RankFeatures:
    """Pooled ranks of columns in [-1, 1] and their squares, standardised, (n, 2 d).

    Without `squares` (n, d), for columns so many that their own spread tells little. Indexed by
    rows, as an array of them is: of a million images the features would be some hundred megabytes.

    Ranks bound the pull of a single odd image; squares let a change of spread show. NaN gets
    the middle rank. Computed on both samples together, which keeps them exchangeable when they
    are alike. `sums` (n,) of each column are how many values are below each plus how many up to it,
    of `known` (d,) values that are finite. Those of many rows lie in files, of which the memory
    holds what is asked for while it is used (`files`).
    """

    sums: tuple[NDArray[np.int32], ...]
    known: Floats
    squares: bool = True
    files: tuple[mmap.mmap, ...] = ()

    @classmethod
    def of(cls, columns: Iterable[Floats], *, squares: bool = True) -> RankFeatures:
        """Of columns (n,) each, one held at a time."""
        sums, known, files = [], [], []
        for column in columns:
            counted, size = _counted(column)
            known.append(size)
            if len(counted) >= _MANY:
                files.append(_file_of(counted))
                counted = np.frombuffer(files[-1], dtype=np.int32)
            sums.append(counted)
        return cls(tuple(sums), np.array(known, dtype=np.float64), squares, tuple(files))

    def __len__(self) -> int:
        return len(self.sums[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        return len(self), (2 if self.squares else 1) * len(self.sums)

    def __getitem__(self, rows: Codes | Mask | slice) -> Floats:
        found = self._ranks(rows)
        found -= self._mean
        found /= self._spread
        return found

    def _ranks(self, rows: Codes | Mask | slice) -> Floats:
        """Ranks and squares as they are, (rows, features)."""
        ranks: Floats = np.stack([sums[rows] for sums in self.sums], axis=1) / self.known
        ranks -= 1
        for file in (f for f in self.files if hasattr(f, "madvise")):
            file.madvise(mmap.MADV_DONTNEED)
        if not self.squares:
            return ranks
        both = np.empty((len(ranks), 2 * ranks.shape[1]))
        both[:, ::2] = ranks
        np.square(ranks, out=both[:, 1::2])
        return both

    @cached_property
    def _mean(self) -> Floats:
        return summed(self._parts()) / len(self)

    @cached_property
    def _spread(self) -> Floats:
        spread = np.sqrt(summed((part - self._mean) ** 2 for part in self._parts()) / len(self))
        return np.where(spread > 0, spread, 1)

    def _parts(self) -> Iterator[Floats]:
        for part in row_blocks(len(self), width=self.shape[1]):
            yield self._ranks(part)


def _file_of(counted: NDArray[np.int32]) -> mmap.mmap:
    with tempfile.TemporaryFile() as file:
        file.write(counted.data)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _counted(column: Floats) -> tuple[NDArray[np.int32], int]:
    """Of each value how many are below it plus how many up to it, (n,), and how many there are."""
    known = np.isfinite(column)
    ordered = np.sort(column[known])
    size = max(len(ordered), 1)
    sums = np.full(len(column), size, dtype=np.int32)
    below = np.searchsorted(ordered, column[known], side="left")
    sums[known] = below + np.searchsorted(ordered, column[known], side="right")
    return sums, size
