"""Principal components of more rows than should be held at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.row_blocks import ManyNumbers, row_blocks, summed
from auditor.stats.two_samples import COMPONENTS, pooled_components

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components (n, k) of `values` (n, d), made when rows of them are asked for.

    Of columns under the mask `kept` (d,), less `mean` and over `spread`, times `vectors`.
    """

    values: ManyNumbers
    kept: Mask
    mean: Floats
    spread: Floats
    vectors: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and components."""
        return self.values.shape[0], self.vectors.shape[1]

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Floats:
        found: Floats = self.standard(rows) @ self.vectors
        return found

    def standard(self, rows: NDArray[np.int64] | slice) -> Floats:
        """The columns of some rows, standardised."""
        part = np.asarray(self.values[rows], dtype=np.float64)[:, self.kept]
        found: Floats = (part - self.mean) / self.spread
        return found


def components(values: ManyNumbers, *, most: int = COMPONENTS) -> Floats | Components | None:
    """As `pooled_components` of the columns of `values` (n, d) that hold numbers alone.

    In blocks where rows are more than fit into one.
    """
    n, width = values.shape
    parts = list(row_blocks(n, width=width))
    finite = np.ones(width, dtype=bool)
    for part in parts:
        finite &= np.isfinite(values[part]).all(axis=0)
    if not finite.any():
        return None
    if len(parts) == 1 or n < width:
        every = np.asarray(values[:], dtype=np.float64)
        return pooled_components(every[:, finite], most=most)

    def total(of: Callable[[Floats], Floats]) -> Floats:
        return summed(of(np.asarray(values[p], dtype=np.float64)[:, finite]) for p in parts)

    mean = total(lambda part: part) / n
    # Less the mean's rounding, as the spread of what is centred is.
    rest = total(lambda part: part - mean) / n
    spread = np.sqrt(total(lambda part: (part - mean - rest) ** 2) / n)
    varies = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-12)
    if not varies.any():
        return None
    kept = np.flatnonzero(finite)[varies]
    plain = Components(values, np.isin(np.arange(width), kept), mean[varies], spread[varies],
                       np.eye(len(kept)))  # fmt: skip
    return _turned(plain, most=most)


def _turned(plain: Components, *, most: int) -> Components:
    """Standardised columns as their principal components."""
    from scipy.linalg import eigh

    n, width = plain.shape
    gram = np.zeros((width, width))
    for part in row_blocks(n, width=plain.values.shape[1]):
        standard = plain.standard(part)
        gram += standard.T @ standard
    top = min(most, width)
    eigenvalues, vectors = eigh(gram, subset_by_index=[width - top, width - 1])
    large = eigenvalues > 1e-9 * eigenvalues[-1]
    turned = np.ascontiguousarray(vectors[:, large][:, ::-1])
    return Components(plain.values, plain.kept, plain.mean, plain.spread, turned)
