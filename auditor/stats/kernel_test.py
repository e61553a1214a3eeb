"""Whether two samples are of one source: maximum mean discrepancy, dealt anew many times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.two_samples import PERMUTATIONS, TwoSamples, p_of

_BLOCK = 2048
_LOOKED_AT = 1000
"""Images that the bandwidth is taken from."""

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KernelTest:
    """`statistic` estimates the squared discrepancy without bias: it may fall below 0.

    `null` (permutations,) are those of the deals.
    """

    statistic: float
    p_value: float
    null: Floats


def kernel_test(
    features: NDArray[np.floating],
    samples: TwoSamples,
    *,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> KernelTest:
    """Squared maximum mean discrepancy of two samples of units, with a permutation test.

    Gretton et al. (2012), jmlr.org/papers/v13/gretton12a.html: Gaussian kernel, its bandwidth the
    median distance in both samples together; the unbiased statistic. A unit weighs as much as any
    other, and the similarity of two units is the mean over their images; images of one unit are
    never compared, so that a burst of near-copies counts once. Whole units are dealt to the sides.

    All deals are one product of matrices with the kernel, which is made in blocks and never held:
    what is compared is an indicator matrix of deals, (units, permutations + 1). Single precision
    in products, double in sums.

    Parameters
    ----------
    features : (n, d), in the order of `samples`, with two units or more on each side.

    Raises
    ------
    ValueError
        If a side has fewer than two units, or all features are equal.
    """
    sides = samples.deals(rng=rng, permutations=permutations)
    there = int(samples.side.sum())
    here = len(samples.side) - there
    if min(here, there) < 2:
        raise ValueError(f"kernel test: found {here} and {there} units, expected two or more each")
    order = np.argsort(samples.unit, kind="stable")
    weight = samples.weight[order].astype(np.float32)
    owner = samples.unit[order]
    kernel = _Kernel.of(np.asarray(features)[order], rng=rng)
    own = _within_units(kernel, owner, samples.sizes, weight)
    dealt = sides[owner] * weight[:, None]
    inside, sums = _products(kernel, dealt, weight)
    # `inside`: over all pairs of the second side, those within units too; `sums`: each image's
    # similarity to all images.
    total = float(sums @ weight)
    across = sums @ dealt - inside
    outside = total - inside - 2 * across
    own_inside = own @ sides
    second = (inside - own_inside) / (there * (there - 1))
    first = (outside - (own.sum() - own_inside)) / (here * (here - 1))
    found: Floats = first + second - 2 * across / (here * there)
    return KernelTest(float(found[0]), p_of(found), found[1:])


@dataclass(frozen=True)
class _Kernel:
    """A Gaussian kernel of images: `points` (n, d), `norms` (n,) their squared lengths."""

    points: Singles
    norms: Singles
    rate: float

    @classmethod
    def of(cls, features: NDArray[np.floating], *, rng: np.random.Generator) -> _Kernel:
        points = (features - features.mean(axis=0)).astype(np.float32)
        norms = np.einsum("ij,ij->i", points, points)
        some = rng.permutation(len(points))[:_LOOKED_AT]
        distances = _squared(points[some], points[some], norms[some], norms[some])
        pairs = distances[np.triu_indices(len(some), k=1)]
        middle = float(np.median(pairs))
        # More than half of the images may be copies of one: then the median says nothing.
        usual = middle if middle > 1e-6 * float(pairs.mean()) else float(pairs.mean())
        if not usual > 0:
            raise ValueError("kernel test: found features all equal, expected some that differ")
        return cls(points, norms, 1.0 / usual)

    def between(self, rows: slice, columns: slice) -> Singles:
        found = _squared(
            self.points[rows], self.points[columns], self.norms[rows], self.norms[columns]
        )
        found *= -self.rate
        return np.exp(found, out=found)


def _squared(a: Singles, b: Singles, norms_a: Singles, norms_b: Singles) -> Singles:
    """Squared distances (a, b), from 0."""
    found: Singles = a @ b.T
    found *= -2
    found += norms_a[:, None]
    found += norms_b
    np.maximum(found, 0, out=found)
    return found


def _within_units(
    kernel: _Kernel, owner: NDArray[np.int64], sizes: NDArray[np.int64], weight: Singles
) -> Floats:
    """The mean similarity of each unit's images to each other, themselves among them, (units,)."""
    own = np.ones(len(sizes)) / sizes
    starts = np.cumsum(sizes) - sizes
    for place in np.flatnonzero(sizes > 1):
        rows = slice(int(starts[place]), int(starts[place] + sizes[place]))
        own[place] = float(kernel.between(rows, rows).mean(dtype=np.float64))
    return own


def _products(kernel: _Kernel, dealt: Singles, weight: Singles) -> tuple[Floats, Floats]:
    """``dealt' K dealt``'s diagonal, (deals,), and ``K weight``, (n,), of the kernel matrix K.

    Blocks above the diagonal stand for those below, too.
    """
    n = len(weight)
    blocks = [slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
    inside, sums = np.zeros(dealt.shape[1]), np.zeros(n)
    for at, rows in enumerate(blocks):
        reached = np.zeros((rows.stop - rows.start, dealt.shape[1]), dtype=np.float32)
        for columns in blocks[at:]:
            block = kernel.between(rows, columns)
            sums[rows] += block @ weight[columns]
            if columns is not rows:
                sums[columns] += weight[rows] @ block
            product = block @ dealt[columns]
            reached += product if columns is rows else 2 * product
        inside += np.einsum("ij,ij->j", dealt[rows], reached, dtype=np.float64)
    return inside, sums
