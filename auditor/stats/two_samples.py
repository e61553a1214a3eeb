"""Two samples of images, each image one of a unit, and their sides dealt out anew at random.

What the tests of two samples share (`auditor.stats.kernel_test`,
`auditor.stats.classifier_test`): units, which side each is of, and principal components of both
samples together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.codes import codes_of
from auditor.stats.row_blocks import ManyNumbers, row_blocks

Floats = NDArray[np.float64]

PERMUTATIONS = 999
"""Deals of the units to the two sides; p-values reach 0.001."""

COMPONENTS = 64


@dataclass(frozen=True)
class TwoSamples:
    """Two samples as one list of n images.

    `other` (n,) bool marks the images of the second sample, `unit` (n,) codes from 0 without
    gaps. Every unit is of one sample: those of both must be told apart by their codes.
    """

    other: NDArray[np.bool_]
    unit: NDArray[np.int64]

    @classmethod
    def of(cls, unit_a: ArrayLike, unit_b: ArrayLike) -> TwoSamples:
        """From the units of each sample; of equal names in both samples each is its own."""
        a, b = codes_of(unit_a), codes_of(unit_b)
        other = np.arange(len(a) + len(b)) >= len(a)
        return cls(other, np.concatenate([a, b + int(a.max(initial=-1)) + 1]))

    def __len__(self) -> int:
        return len(self.unit)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Images of each unit, (units,)."""
        return np.bincount(self.unit)

    @cached_property
    def side(self) -> NDArray[np.bool_]:
        """Whether each unit is of the second sample, (units,)."""
        found = np.zeros(len(self.sizes), dtype=bool)
        found[self.unit] = self.other
        return found

    @property
    def weight(self) -> Floats:
        """One over the images of its unit, of each image, (n,): units weigh the same."""
        weight: Floats = 1.0 / self.sizes[self.unit]
        return weight

    def means(self, values: ManyNumbers) -> Floats:
        """The mean of `values` (n, d) in each unit, (units, d)."""
        if not isinstance(values, np.ndarray):
            return self._means_by_block(values)
        if len(self.sizes) == len(self.unit):
            found = np.empty(values.shape)
            found[self.unit] = values
            return found
        order = np.argsort(self.unit, kind="stable")
        starts = np.cumsum(self.sizes) - self.sizes
        sums: Floats = np.add.reduceat(values[order].astype(np.float64), starts, axis=0)
        return sums / self.sizes[:, None]

    def _means_by_block(self, values: ManyNumbers) -> Floats:
        n, width = values.shape
        sums = np.zeros((width, len(self.sizes)))
        for part in row_blocks(n, width=width):
            block = np.asarray(values[part], dtype=np.float64)
            for column, numbers in zip(sums, block.T, strict=True):
                np.add.at(column, self.unit[part], numbers)
        sums /= self.sizes
        return np.ascontiguousarray(sums.T)

    def deals(self, *, rng: np.random.Generator, permutations: int) -> NDArray[np.bool_]:
        """Sides of the units, (units, permutations + 1): as they are first, then dealt anew."""
        repeated = np.repeat(self.side[:, None], permutations + 1, axis=1)
        repeated[:, 1:] = rng.permuted(repeated[:, 1:], axis=0)
        return repeated


def p_of(statistics: Floats, *, rounding: float = 1e-6) -> float:
    """``(1 + k) / (m + 1)``: `k` of the `m` dealt anew are as large as the first, or larger.

    Never 0 (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585). What differs by less than
    `rounding` of the range are ties.
    """
    slack = rounding * float(np.abs(statistics - statistics.mean()).max(initial=0.0))
    return float((statistics >= statistics[0] - slack).sum()) / len(statistics)


def pooled_components(values: NDArray[np.floating], *, most: int = COMPONENTS) -> Floats | None:
    """Principal components of standardised columns, (n, at most `most`); None where none varies.

    `values` (n, d) are of both samples together: components learned from one of them would fit
    it better, and alarm on samples of one source (14% instead of 5%, 100 images a side).
    """
    from scipy.linalg import eigh

    centred = np.asarray(values, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    spread = centred.std(axis=0)
    # What varies by roundings alone does not vary.
    kept = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-12)
    if not kept.any():
        return None
    standard = centred[:, kept] / spread[kept]
    n, d = standard.shape
    gram = standard.T @ standard if d <= n else standard @ standard.T
    top = min(most, len(gram))
    eigenvalues, vectors = eigh(gram, subset_by_index=[len(gram) - top, len(gram) - 1])
    large = eigenvalues > 1e-9 * eigenvalues[-1]
    found: Floats = (
        standard @ vectors if d <= n else vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    )
    return found[:, large][:, ::-1]
