"""Comparisons of a group with the rest among images alike in another respect: by stratum.

Within each stratum (a building, a kind of light) the group is compared with the rest, and the
strata are weighted as Mantel & Haenszel (1959, doi:10.1093/jnci/22.4.719) do::

    w_k = n_k m_k / (n_k + m_k)    n_k images of the group in stratum k, m_k of the rest
    difference = sum of w_k (p_k - q_k) / sum of w_k
    ratio      = sum of w_k p_k / sum of w_k q_k

Strata without both sides compare nothing and are left out. Few large strata and many small ones
are both in order: the variances are those of Sato (1989, doi:10.2307/2531784) for a difference
and of Greenland & Robins (1985, doi:10.2307/2530643) for the logarithm of a ratio. Units are
respected as in :mod:`auditor.stats.clusters`: those variances are multiplied by a design effect,
the variance of the linearised comparison summed by unit over that of independent images. With
one stratum it is the one of `rate_difference` and `rate_ratio`; each further stratum takes a
degree of freedom, shared between the two sides as their images are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.codes import Codes, codes_of
from auditor.stats.effective import effective_units, floored
from auditor.stats.estimates import Normal
from auditor.stats.intervals import Interval
from auditor.stats.mantel_haenszel import (
    Cells,
    greenland_robins_variance,
    sato_variance,
    stratified_newcombe,
)
from auditor.stats.scores import two_sided_critical

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Adjusted:
    """A comparison within strata, beside the same comparison over all.

    `value` and `interval` are a difference or a ratio, as asked. `estimate` is what tests rest
    on: the difference, or the natural logarithm of the ratio. `change` is the comparison over
    all strata together minus `estimate`, on the same scale: what goes when like is compared
    with like. `n` and `n_rest` are the images compared, `strata` how many strata hold both.
    """

    value: float
    interval: Interval
    estimate: Normal
    change: Normal
    n: int
    n_rest: int
    strata: int


def comparable(member: ArrayLike, *, stratum: ArrayLike) -> NDArray[np.bool_]:
    """The images, a mask (n,), whose stratum holds members of the group and others."""
    inside, codes = _mask(member), codes_of(stratum)
    size = int(codes.max(initial=-1)) + 1
    both = (np.bincount(codes[inside], minlength=size) > 0) & (
        np.bincount(codes[~inside], minlength=size) > 0
    )
    return both[codes]


def stratified_difference(
    success: ArrayLike,
    *,
    member: ArrayLike,
    stratum: ArrayLike,
    unit: ArrayLike | None = None,
    level: float = 0.95,
) -> Adjusted:
    """The Mantel-Haenszel difference of proportions, the group's minus the rest's.

    The interval is Newcombe's for strata (Yan & Su 2010, doi:10.1198/sbr.2009.0049) with the
    same weights, on effective counts and t quantiles where units are given; with one stratum it
    is Newcombe's own. It keeps a width where every outcome is alike.

    Parameters
    ----------
    success : (n,) 0 or 1.
    member : (n,) bool, True in the group.
    stratum : (n,) labels.
    unit : (n,) labels; a unit may have images on both sides and in several strata.

    Raises
    ------
    ValueError
        If no stratum holds both sides, or the outcomes are not 0 and 1.
    """
    data = _Data.of(success, member=member, stratum=stratum, unit=unit, binary=True)
    influence = _difference_influence(data)
    worth = _worth(data, influence, binary=True)
    value, z = data.cells.difference, two_sided_critical(level, df=worth.df)
    se = math.sqrt(worth.deff * sato_variance(data.cells))
    return _adjusted(
        data,
        value=value,
        interval=stratified_newcombe(data.cells, z=z, deff=worth.deff),
        estimate=Normal(value, se, worth.df),
        crude=_crude_difference(data),
        influence=influence,
    )


def stratified_mean_difference(
    values: ArrayLike,
    *,
    member: ArrayLike,
    stratum: ArrayLike,
    unit: ArrayLike | None = None,
    level: float = 0.95,
) -> Adjusted:
    """The difference of means, the group's minus the rest's, with the same weights.

    It is the coefficient of the group in a regression on group and stratum; its standard error
    is the sandwich's, summed by unit. `values` (n,) are finite numbers; the rest as
    `stratified_difference`.
    """
    data = _Data.of(values, member=member, stratum=stratum, unit=unit, binary=False)
    influence = _difference_influence(data)
    worth = _worth(data, influence, binary=False)
    estimate = Normal(data.cells.difference, math.sqrt(worth.deff * worth.variance), worth.df)
    half = two_sided_critical(level, df=estimate.df) * estimate.se
    return _adjusted(
        data,
        value=estimate.value,
        interval=Interval(estimate.value - half, estimate.value + half),
        estimate=estimate,
        crude=_crude_difference(data),
        influence=influence,
    )


def stratified_ratio(
    success: ArrayLike,
    *,
    member: ArrayLike,
    stratum: ArrayLike,
    unit: ArrayLike | None = None,
    level: float = 0.95,
) -> Adjusted | None:
    """The Mantel-Haenszel ratio of proportions, the group's over the rest's.

    None where one side has no success among the images compared: the ratio would be 0, endless,
    or none, and has no standard error. Arguments and errors as `stratified_difference`.
    """
    data = _Data.of(success, member=member, stratum=stratum, unit=unit, binary=True)
    cells = data.cells
    own, rest = float(cells.weight @ cells.p), float(cells.weight @ cells.q)
    if own <= 0 or rest <= 0:
        return None
    influence = _ratio_influence(data, ratio=own / rest) / own
    worth = _worth(data, influence, binary=True)
    se = math.sqrt(worth.deff * greenland_robins_variance(cells))
    estimate = Normal(math.log(own / rest), se, worth.df)
    half = two_sided_critical(level, df=worth.df) * se
    return _adjusted(
        data,
        value=own / rest,
        interval=Interval(math.exp(estimate.value - half), math.exp(estimate.value + half)),
        estimate=estimate,
        crude=_crude_log_ratio(data),
        influence=influence,
    )


@dataclass(frozen=True)
class _Data:
    """All images, and those compared: `kept` (n,) marks them, `code` (m,) is their stratum."""

    y: Floats
    inside: NDArray[np.bool_]
    owner: Codes | None
    kept: NDArray[np.bool_]
    code: Codes
    cells: Cells

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        *,
        member: ArrayLike,
        stratum: ArrayLike,
        unit: ArrayLike | None,
        binary: bool,
    ) -> _Data:
        y, inside = _values(values, binary=binary), _mask(member)
        kept = comparable(inside, stratum=stratum)
        owner = None if unit is None else codes_of(unit)
        if not len(y) == len(inside) == len(kept) or (owner is not None and len(owner) != len(y)):
            raise ValueError("strata: found arrays of different lengths, expected (n,) for each")
        if not kept.any():
            raise ValueError(
                "strata: found no stratum with members of the group and others; ask `comparable`"
            )
        code = codes_of(np.asarray(stratum)[kept])
        return cls(y, inside, owner, kept, code, _counted(y[kept], inside[kept], code))

    @property
    def own(self) -> NDArray[np.bool_]:
        """Members of the group among the images compared, (m,)."""
        return self.inside[self.kept]

    @property
    def outcomes(self) -> Floats:
        """Values of the images compared, (m,)."""
        return self.y[self.kept]


@dataclass(frozen=True)
class _Worth:
    """The design effect, its degrees of freedom, and the variance of independent images."""

    deff: float
    df: float | None
    variance: float


def _counted(y: Floats, inside: NDArray[np.bool_], code: Codes) -> Cells:
    size = int(code.max()) + 1

    def sums(side: NDArray[np.bool_], weights: Floats | None) -> Floats:
        found: Floats = np.bincount(code[side], weights=weights, minlength=size).astype(np.float64)
        return found

    return Cells(
        sums(inside, y[inside]), sums(inside, None), sums(~inside, y[~inside]), sums(~inside, None)
    )


def _difference_influence(data: _Data) -> Floats:
    """What each image compared adds to the difference's error, (m,).

    The residual of a regression on group and stratum times the group's indicator less its share
    in the stratum, over the sum of the weights.
    """
    cells, code = data.cells, data.code
    centred = data.own - (cells.n / cells.total)[code]
    means = ((cells.x + cells.x_rest) / cells.total)[code]
    residual = data.outcomes - means - cells.difference * centred
    influence: Floats = centred * residual / cells.weight.sum()
    return influence


def _ratio_influence(data: _Data, *, ratio: float) -> Floats:
    """Likewise for ``sum of w_k (p_k - ratio q_k)``, residuals under the common ratio."""
    cells, code = data.cells, data.code
    base = (cells.x + cells.x_rest) / (ratio * cells.n + cells.n_rest)
    own = (cells.n_rest / cells.total)[code] * (data.outcomes - ratio * base[code])
    rest = -ratio * (cells.n / cells.total)[code] * (data.outcomes - base[code])
    return np.where(data.own, own, rest)


def _worth(data: _Data, influence: Floats, *, binary: bool) -> _Worth:
    """How much the images compared are worth: `df` None for independent 0 and 1."""
    if binary and data.owner is None:
        return _Worth(1.0, None, math.nan)
    images = _sides(data, influence)
    independent = images[0].variance + images[1].variance
    if data.owner is None:
        return _Worth(1.0, _satterthwaite(*images, most=len(influence) - 1), independent)
    owner = codes_of(data.owner[data.kept])
    units = _sides_by_unit(data, influence, owner=owner, images=images)
    summed = units[0].sums + units[1].sums
    sizes = np.bincount(owner).astype(np.float64)
    deff = floored(float(summed @ summed), independent, sizes)
    return _Worth(deff, _satterthwaite(*units, most=len(summed) - 1), independent)


@dataclass(frozen=True)
class _Side:
    """One side's influence summed by unit, corrected for what the fit took, and its df."""

    sums: Floats
    df: float

    @classmethod
    def of(cls, sums: Floats, *, parts: float, lost: float) -> _Side:
        df = max(parts - lost, 1.0)
        return cls(sums * math.sqrt(parts / df), df)

    @property
    def variance(self) -> float:
        return float(self.sums @ self.sums)


def _sides(data: _Data, influence: Floats) -> tuple[_Side, _Side]:
    """Both sides, each image by itself."""
    own, rest = (
        _Side.of(influence[side], parts=int(side.sum()), lost=lost)
        for side, lost in zip((data.own, ~data.own), _losses(data.cells), strict=True)
    )
    return own, rest


def _sides_by_unit(
    data: _Data, influence: Floats, *, owner: Codes, images: tuple[_Side, _Side]
) -> tuple[_Side, _Side]:
    """Likewise by unit; `images` are the sides as `_sides` gives them."""
    units, strata = int(owner.max()) + 1, len(data.cells.n)
    found = []
    sides = zip((data.own, ~data.own), _losses(data.cells), images, strict=True)
    for side, lost, independent in sides:
        sums = np.bincount(owner[side], weights=influence[side], minlength=units)
        # A unit in two strata is a part of each: both means rest on it.
        sizes = np.bincount(codes_of(owner[side] * strata + data.code[side])).astype(np.float64)
        parts = effective_units(sizes, spread=float(sums @ sums), independent=independent.variance)
        found.append(_Side.of(sums.astype(np.float64), parts=parts, lost=lost))
    return found[0], found[1]


def _losses(cells: Cells) -> tuple[float, float]:
    """Degrees of freedom that the strata's means and the comparison take from each side.

    The leverages of that regression, summed: one from each side with one stratum, one more in
    all for each further stratum.
    """
    share = cells.n / cells.total
    weight = cells.weight / cells.weight.sum()
    return (
        float(share.sum() + weight @ (1 - share)),
        float((1 - share).sum() + weight @ share),
    )


def _satterthwaite(group: _Side, rest: _Side, *, most: float) -> float:
    g, r = group.variance, rest.variance
    least = min(group.df, rest.df)
    df = (g + r) ** 2 / (g**2 / group.df + r**2 / rest.df) if g + r > 0 else least
    return max(min(df, most), 1.0)


def _crude_difference(data: _Data) -> tuple[float, Floats]:
    """The difference over all images, and what each adds to its error, (n,)."""
    inside, y = data.inside, data.y
    p, q = float(y[inside].mean()), float(y[~inside].mean())
    influence = np.where(inside, (y - p) / inside.sum(), -(y - q) / (~inside).sum())
    return p - q, influence


def _crude_log_ratio(data: _Data) -> tuple[float, Floats]:
    inside, y = data.inside, data.y
    p, q = float(y[inside].mean()), float(y[~inside].mean())
    influence = np.where(inside, (y - p) / (inside.sum() * p), -(y - q) / ((~inside).sum() * q))
    return math.log(p / q), influence


def _adjusted(
    data: _Data,
    *,
    value: float,
    interval: Interval,
    estimate: Normal,
    crude: tuple[float, Floats],
    influence: Floats,
) -> Adjusted:
    over_all, moved = crude[0], crude[1].copy()
    moved[data.kept] -= influence
    owner = np.arange(len(moved)) if data.owner is None else data.owner
    sums = np.bincount(owner, weights=moved)
    units = len(sums)
    se = math.sqrt(float(sums @ sums) * units / max(units - 1, 1))
    change = over_all - estimate.value
    # One stratum, or a group spread evenly over all: what is left is rounding.
    if abs(change) < 1e-12 and se < 1e-9:
        change = se = 0.0
    own = data.own
    return Adjusted(
        value=value,
        interval=interval,
        estimate=estimate,
        change=Normal(change, se, estimate.df),
        n=int(own.sum()),
        n_rest=int((~own).sum()),
        strata=len(data.cells.n),
    )


def _values(values: ArrayLike, *, binary: bool) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"strata: found values of shape {array.shape}, expected (n,) finite ones")
    if binary and not ((array == 0) | (array == 1)).all():
        raise ValueError("strata: found values other than 0 and 1; use the difference of means")
    return array


def _mask(member: ArrayLike) -> NDArray[np.bool_]:
    mask = np.asarray(member)
    if mask.dtype != np.bool_ or mask.ndim != 1:
        raise ValueError(f"member: found {mask.dtype} of shape {mask.shape}, expected (n,) bool")
    return mask
