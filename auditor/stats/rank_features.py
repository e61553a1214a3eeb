"""Numbers of any scale as features of a linear model: their ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.stats.row_blocks import row_blocks, summed

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
    of `known` (d,) values that are finite.
    """

    sums: tuple[NDArray[np.int32], ...]
    known: Floats
    squares: bool = True

    @classmethod
    def of(cls, columns: Iterable[Floats], *, squares: bool = True) -> RankFeatures:
        """Of columns (n,) each, one held at a time."""
        counted = [_counted(column) for column in columns]
        known = np.array([size for _, size in counted], dtype=np.float64)
        return cls(tuple(sums for sums, _ in counted), known, squares)

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
        ranks: Floats = np.stack([sums[rows] for sums in self.sums], axis=1) / self.known - 1
        if not self.squares:
            return ranks
        both = np.empty((len(ranks), 2 * ranks.shape[1]))
        both[:, ::2] = ranks
        both[:, 1::2] = ranks**2
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


def _counted(column: Floats) -> tuple[NDArray[np.int32], int]:
    """Of each value how many are below it plus how many up to it, (n,), and how many there are."""
    known = np.isfinite(column)
    ordered = np.sort(column[known])
    size = max(len(ordered), 1)
    sums = np.full(len(column), size, dtype=np.int32)
    below = np.searchsorted(ordered, column[known], side="left")
    sums[known] = below + np.searchsorted(ordered, column[known], side="right")
    return sums, size
