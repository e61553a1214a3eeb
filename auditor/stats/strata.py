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

from auditor.stats.bounded import Span
from auditor.stats.clusters import mean_difference
from auditor.stats.codes import Codes, gapped_codes_of
from auditor.stats.effective import UnitSizes, effective_units, floored
from auditor.stats.estimates import Normal
from auditor.stats.intervals import Interval
from auditor.stats.mantel_haenszel import (
    Cells,
    greenland_robins_variance,
    sato_variance,
    stratified_newcombe,
)
from auditor.stats.scores import two_sided_critical
from auditor.stats.stratum_influence import (
    Influence,
    Stratified,
    crude_difference,
    crude_log_ratio,
    difference_influence,
    holds_both,
    images_by_side,
    member_mask,
    ratio_influence,
)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_EMPTY = 8
"""A table by stratum and unit may have so many places an image; beyond that it is sorted for."""


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


def comparable(member: ArrayLike, *, stratum: ArrayLike) -> Mask:
    """The images, a mask (n,), whose stratum holds members of the group and others."""
    inside, codes = member_mask(member), gapped_codes_of(stratum)
    return holds_both(images_by_side(codes, inside))[codes]


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
    data = Stratified.of(success, member=member, stratum=stratum, unit=unit, binary=True)
    influence = difference_influence(data)
    worth = _worth(data, influence, binary=True)
    value, z = data.cells.difference, two_sided_critical(level, df=worth.df)
    se = math.sqrt(worth.deff * sato_variance(data.cells))
    return _adjusted(
        data,
        value=value,
        interval=stratified_newcombe(data.cells, z=z, deff=worth.deff),
        estimate=Normal(value, se, worth.df),
        crude=crude_difference(data),
        influence=influence,
        units=worth.units,
    )


def stratified_mean_difference(
    values: ArrayLike,
    *,
    member: ArrayLike,
    stratum: ArrayLike,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    span: Span | None = None,
) -> Adjusted:
    """The difference of means, the group's minus the rest's, with the same weights.

    It is the coefficient of the group in a regression on group and stratum; its standard error
    is the sandwich's, summed by unit. Where no value varies within a stratum it is, with `span`,
    that of `auditor.stats.mean_difference` over all images. `values` (n,) are finite
    numbers; the rest as `stratified_difference`.
    """
    data = Stratified.of(values, member=member, stratum=stratum, unit=unit, binary=False)
    influence = difference_influence(data)
    worth = _worth(data, influence, binary=False)
    se = math.sqrt(worth.deff * worth.variance)
    if span is not None and se <= 1e-12 * (span[1] - span[0]):
        se = mean_difference(data.y, member=data.inside, unit=data.owner, span=span).se
    estimate = Normal(data.cells.difference, se, worth.df)
    half = two_sided_critical(level, df=estimate.df) * estimate.se
    return _adjusted(
        data,
        value=estimate.value,
        interval=Interval(estimate.value - half, estimate.value + half),
        estimate=estimate,
        crude=crude_difference(data),
        influence=influence,
        units=worth.units,
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
    data = Stratified.of(success, member=member, stratum=stratum, unit=unit, binary=True)
    cells = data.cells
    own, rest = float(cells.weight @ cells.p), float(cells.weight @ cells.q)
    if own <= 0 or rest <= 0:
        return None
    influence = ratio_influence(data, ratio=own / rest, own=own)
    worth = _worth(data, influence, binary=True)
    se = math.sqrt(worth.deff * greenland_robins_variance(cells))
    estimate = Normal(math.log(own / rest), se, worth.df)
    half = two_sided_critical(level, df=worth.df) * se
    return _adjusted(
        data,
        value=own / rest,
        interval=Interval(math.exp(estimate.value - half), math.exp(estimate.value + half)),
        estimate=estimate,
        crude=crude_log_ratio(data),
        influence=influence,
        units=worth.units,
    )


@dataclass(frozen=True)
class _Worth:
    """The design effect, its degrees of freedom, and the variance of independent images.

    `units` are all units, also those of strata in which nothing is compared.
    """

    deff: float
    df: float | None
    variance: float
    units: int


def _worth(data: Stratified, influence: Influence, *, binary: bool) -> _Worth:
    """How much the images compared are worth: `df` None for independent 0 and 1."""
    if binary and data.owner is None:
        return _Worth(1.0, None, math.nan, len(data.y))
    cells, lost = data.cells, _losses(data.cells)
    of_images = influence.of_images(data)
    rest, own = influence.squares(data, of_images).tolist()
    images = [
        _Side.of(squares, parts=float(n.sum()), lost=taken)
        for squares, n, taken in zip((own, rest), (cells.n, cells.n_rest), lost, strict=True)
    ]
    independent = images[0].variance + images[1].variance
    if data.owner is None:
        df = _satterthwaite(*images, most=float(cells.total.sum()) - 1)
        return _Worth(1.0, df, independent, len(data.y))
    n = int(data.owner.max()) + 1
    sizes = _Sizes.of(data, data.owner, n)
    summed, units = np.zeros(n), []
    by_side = np.bincount(data.owner + n * data.inside, weights=of_images, minlength=2 * n)
    for sums, of_side, taken, alone in zip(
        by_side.reshape(2, n)[::-1], sizes.sides, lost, images, strict=True
    ):
        spread = float(sums @ sums)
        parts = effective_units(of_side, spread=spread, independent=alone.variance)
        units.append(_Side.of(spread, parts=parts, lost=taken))
        summed += math.sqrt(units[-1].correction) * sums
    deff = floored(float(summed @ summed), independent, sizes.units)
    df = _satterthwaite(*units, most=sizes.units.total - 1)
    return _Worth(deff, df, independent, sizes.every)


@dataclass(frozen=True)
class _Side:
    """The variance of one side's influence, corrected for what the fit took, and its df."""

    variance: float
    df: float
    correction: float

    @classmethod
    def of(cls, spread: float, *, parts: float, lost: float) -> _Side:
        df = max(parts - lost, 1.0)
        return cls(spread * parts / df, df, parts / df)


@dataclass(frozen=True)
class _Sizes:
    """Images compared by unit and stratum, of the group and of the rest; and by unit alone.

    A unit in two strata is a part of each: both means rest on it. `every` are all units,
    compared or not.
    """

    sides: tuple[UnitSizes, UnitSizes]
    units: UnitSizes
    every: int

    @classmethod
    def of(cls, data: Stratified, owner: Codes, n: int) -> _Sizes:
        """Of units with codes below `n`."""
        whole = units = UnitSizes.of(np.bincount(owner))
        if not data.shared.all():
            units = UnitSizes.of(np.bincount(owner[data.shared[data.stratum]]))
        strata = len(data.shared)
        key = (data.stratum + strata * data.inside) * n + owner
        if 2 * strata * n <= _MOST_EMPTY * len(owner):
            images = np.bincount(key, minlength=2 * strata * n)
            images.reshape(2, strata, n)[:, ~data.shared] = 0
            rest, own = images.reshape(2, -1)
        else:
            seen, counts = np.unique(key[data.shared[data.stratum]], return_counts=True)
            own, rest = (counts[(seen >= strata * n) == side] for side in (True, False))
        return cls((UnitSizes.of(own), UnitSizes.of(rest)), units, whole.total)


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


def _adjusted(
    data: Stratified,
    *,
    value: float,
    interval: Interval,
    estimate: Normal,
    crude: tuple[float, Influence],
    influence: Influence,
    units: int,
) -> Adjusted:
    moved = crude[1].of_images(data, less=influence)
    if data.owner is not None:
        moved = np.bincount(data.owner, weights=moved).astype(np.float64)
    se = math.sqrt(float(moved @ moved) * units / max(units - 1, 1))
    change = crude[0] - estimate.value
    # One stratum, or a group spread evenly over all: what is left is rounding.
    if abs(change) < 1e-12 and se < 1e-9:
        change = se = 0.0
    return Adjusted(
        value=value,
        interval=interval,
        estimate=estimate,
        change=Normal(change, se, estimate.df),
        n=int(data.cells.n.sum()),
        n_rest=int(data.cells.n_rest.sum()),
        strata=len(data.cells.n),
    )
