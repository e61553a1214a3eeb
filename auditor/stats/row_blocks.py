"""Many rows a block at a time: of a million images a copy of them is some hundred megabytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NUMBERS, _LEAST = 1 << 18, 1 << 10


class ManyNumbers(Protocol):
    """Numbers (n, d), of which some rows are made, or read, when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        ...

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        """Rows at positions, under a mask, or of a slice."""
        ...


def row_blocks(n: int, *, width: int) -> Iterator[slice]:
    """Slices that follow each other over `n` rows of `width` numbers, 2 MB each."""
    step = max(_NUMBERS // max(width, 1), _LEAST)
    yield from (slice(start, start + step) for start in range(0, n, step))


def summed(parts: Iterable[Floats]) -> Floats:
    """The sum of all rows, (d,), added in the order in which one sum over all of them adds."""
    total: Floats | None = None
    for part in parts:
        together = part if total is None else np.concatenate([total[None], part])
        total = together.sum(axis=0)
    assert total is not None
    return total
