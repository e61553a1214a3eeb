"""What each image adds to the error of a comparison within strata; see `auditor.stats.strata`.

An image's part depends on its stratum, its side and its value alone, and linearly on the value:
it is worked out once a stratum and side, and looked up for the images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.codes import Codes, gapped_codes_of
from auditor.stats.mantel_haenszel import Cells

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Stratified:
    """All images, and in what strata they are.

    `stratum` (n,) are codes from 0, `place` (n,) is ``2 * stratum``, plus 1 for members of the
    group, `key` (n,) the place, or for outcomes of 0 and 1 (`y` (n,) is bool) ``2 * place``, plus
    1 for outcomes of 1. `sizes` (strata, 2) are images of each place (the rest's, the group's),
    `sums` of their values. `shared` (strata,) says which strata hold both sides.
    """

    y: Floats | Mask
    inside: Mask
    owner: Codes | None
    stratum: Codes
    place: Codes
    key: Codes
    sizes: Codes
    sums: Floats
    shared: Mask

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        *,
        member: ArrayLike,
        stratum: ArrayLike,
        unit: ArrayLike | None,
        binary: bool,
    ) -> Stratified:
        y, inside = _values(values, binary=binary), member_mask(member)
        code, owner = gapped_codes_of(stratum), None if unit is None else gapped_codes_of(unit)
        if not len(y) == len(inside) == len(code) or (owner is not None and len(owner) != len(y)):
            raise ValueError("strata: found arrays of different lengths, expected (n,) for each")
        place = 2 * code + inside
        key = np.asarray(2 * place + y, dtype=np.int64) if y.dtype == np.bool_ else place
        sizes, sums = _summed(y, key, strata=int(code.max(initial=-1)) + 1)
        shared = holds_both(sizes)
        if not shared.any():
            raise ValueError(
                "strata: found no stratum with members of the group and others; ask `comparable`"
            )
        return cls(y, inside, owner, code, place, key, sizes, sums, shared)

    @cached_property
    def cells(self) -> Cells:
        """Of the strata that hold both sides."""
        sums, n = self.sums[self.shared], self.sizes[self.shared].astype(np.float64)
        return Cells(sums[:, 1], n[:, 1], sums[:, 0], n[:, 0])

    def everywhere(self, own: Floats, rest: Floats) -> Floats:
        """Numbers of the shared strata, 0 in the others, by place: (strata, 2)."""
        found = np.zeros(self.sizes.shape)
        found[self.shared, 0], found[self.shared, 1] = rest, own
        return found


@dataclass(frozen=True)
class Influence:
    """What each image adds to a comparison's error: ``slope * (value - base)`` of its place.

    Both (strata, 2); a slope of 0 is that of images which are not compared.
    """

    slope: Floats
    base: Floats

    def of_images(self, data: Stratified, *, less: Influence | None = None) -> Floats:
        """Of each image, (n,), `less` another one."""
        if data.y.dtype == np.bool_:
            by_value = self._by_value if less is None else self._by_value - less._by_value
            found: Floats = by_value.ravel()[data.key]
            return found
        found = self.slope.ravel()[data.place] * (data.y - self.base.ravel()[data.place])
        return found if less is None else found - less.of_images(data)

    def squares(self, data: Stratified, images: Floats) -> Floats:
        """Sums of squares over the rest and over the group, (2,); `images` as of `of_images`."""
        if data.y.dtype == np.bool_:
            n = np.stack([data.sizes - data.sums, data.sums], axis=-1)
            return np.asarray((n * self._by_value**2).sum(axis=(0, 2)))
        found = np.bincount(data.inside, weights=images**2, minlength=2)
        return found.astype(np.float64)

    @cached_property
    def _by_value(self) -> Floats:
        """Of an outcome of 0 and of 1 in each place, (strata, 2, 2)."""
        return np.stack([-self.slope * self.base, self.slope * (1 - self.base)], axis=-1)


def _summed(y: Floats | Mask, key: Codes, *, strata: int) -> tuple[Codes, Floats]:
    """`sizes` and `sums` of `Stratified`; of outcomes 0 and 1 in one pass."""
    if y.dtype == np.bool_:
        counts = np.bincount(key, minlength=4 * strata).reshape(strata, 2, 2)
        return counts.sum(axis=2), counts[..., 1].astype(np.float64)
    sizes = np.bincount(key, minlength=2 * strata)
    sums = np.bincount(key, weights=y, minlength=2 * strata).astype(np.float64)
    return sizes.reshape(strata, 2), sums.reshape(strata, 2)


def images_by_side(code: Codes, inside: Mask) -> Codes:
    """Images of the rest and of the group in each stratum, (strata, 2)."""
    size = int(code.max(initial=-1)) + 1
    found: Codes = np.bincount(2 * code + inside, minlength=2 * size).reshape(size, 2)
    return found


def holds_both(sizes: Codes) -> Mask:
    return np.asarray((sizes > 0).all(axis=1))


def difference_influence(data: Stratified) -> Influence:
    """Of the difference within strata.

    The residual of a regression on group and stratum times the group's indicator less its share
    in the stratum, over the sum of the weights.
    """
    cells = data.cells
    share, means = cells.n / cells.total, (cells.x + cells.x_rest) / cells.total
    total, gap = cells.weight.sum(), cells.difference
    return Influence(
        slope=data.everywhere(own=(1 - share) / total, rest=-share / total),
        base=data.everywhere(own=means + gap * (1 - share), rest=means - gap * share),
    )


def ratio_influence(data: Stratified, *, ratio: float, own: float) -> Influence:
    """Likewise of ``sum of w_k (p_k - ratio q_k) / own``, residuals under the common ratio."""
    cells = data.cells
    base = (cells.x + cells.x_rest) / (ratio * cells.n + cells.n_rest)
    return Influence(
        slope=data.everywhere(
            own=cells.n_rest / cells.total / own, rest=-ratio * cells.n / cells.total / own
        ),
        base=data.everywhere(own=ratio * base, rest=base),
    )


def crude_difference(data: Stratified) -> tuple[float, Influence]:
    """The difference over all images, and what each adds to its error."""
    n, (q, p) = data.sizes.sum(axis=0), _means(data)
    return p - q, _alike(data, slope=(-1 / n[0], 1 / n[1]), base=(q, p))


def crude_log_ratio(data: Stratified) -> tuple[float, Influence]:
    n, (q, p) = data.sizes.sum(axis=0), _means(data)
    return math.log(p / q), _alike(data, slope=(-1 / (n[0] * q), 1 / (n[1] * p)), base=(q, p))


def _means(data: Stratified) -> tuple[float, float]:
    """The mean of the rest, and the group's, over all strata."""
    rest, own = data.sums.sum(axis=0) / data.sizes.sum(axis=0)
    return float(rest), float(own)


def _alike(data: Stratified, *, slope: tuple[float, float], base: tuple[float, float]) -> Influence:
    """The same in every stratum, of the rest and of the group."""
    shape = data.sizes.shape
    return Influence(np.broadcast_to(slope, shape), np.broadcast_to(base, shape))


def _values(values: ArrayLike, *, binary: bool) -> Floats | Mask:
    given = np.asarray(values)
    if binary and given.dtype == np.bool_ and given.ndim == 1:
        return given
    array = np.asarray(given, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"strata: found values of shape {array.shape}, expected (n,) finite ones")
    if not binary:
        return array
    found: Mask = array == 1
    if not (found | (array == 0)).all():
        raise ValueError("strata: found values other than 0 and 1; use the difference of means")
    return found


def member_mask(member: ArrayLike) -> Mask:
    mask = np.asarray(member)
    if mask.dtype != np.bool_ or mask.ndim != 1:
        raise ValueError(f"member: found {mask.dtype} of shape {mask.shape}, expected (n,) bool")
    return mask
