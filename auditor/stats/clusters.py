"""Estimates from arrays of outcomes, with units (rooms, persons, videos) respected.

Images of one unit resemble each other, so a thousand images of twenty rooms say less than a
thousand rooms. The variance is linearised and summed by unit (Kish & Frankel 1974,
doi:10.1111/j.2517-6161.1974.tb00981.x), its ratio to the variance of as many independent images
is the design effect, and counts are divided by it (Rao & Scott 1992, doi:10.2307/2532311)::

    p = sum(y) / n,   z_c = sum of (y_i - p) / n over the images of unit c
    deff = [E / (E - 1) * sum(z_c ** 2)] / [p (1 - p) / (n - 1)],  at least 1

E is the number of units where all are of one size; of unequal ones it is the number of equal
units that would tell as much (`effective_units`).

For a comparison z_c holds both sides, so a unit that spans group and rest brings its covariance,
and one common design effect scales the counts of both.

- A design effect below 1 is taken as 1: with few units it is nearly always noise, and it would
  claim that images know more than as many independent ones.
- Where the outcomes do not vary it cannot be estimated; it is then the one of units whose images
  are all alike, ``sum(m_c ** 2) / n`` for units of m_c images (for equal units: n becomes C).
- ``unit=None``: every image is its own unit, nothing is scaled, and `df` is None. Else `df` is
  E - 1; for a comparison, Satterthwaite's (1946, doi:10.2307/3002019).

Simulated with images of one unit correlated at 0.1 to 0.5, 10 to 200 units, equal or of very
unequal sizes: intervals hold at least 90%, wrong FAILs stay under 5%, and wrong PASSes of a rate
near 1 reach 7% to 9% at 10 or 20 units, since a lucky sample of few units also shows too little
of their spread.

Every builder raises ValueError where there is nothing to estimate from: no observation on a
side, a NaN, or fewer than two units on a side when `unit` is given. Outcomes named `success`,
`before` and `after` in the builders of rates are 0 or 1 (bool, int or float).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.codes import codes_of, distinct
from auditor.stats.effective import effective_units, floored
from auditor.stats.estimates import Normal, PairedDifference, Rate, RateDifference, RateRatio

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effective:
    """How much a clustered sample is worth: divide counts by `deff`, use t with `df`."""

    deff: float
    df: float | None


def rate(success: ArrayLike, *, unit: ArrayLike | None = None) -> Rate:
    """The proportion of successes, (n,) 0 or 1, in effective counts.

    Examples
    --------
    >>> rate([1, 1, 0, 1])
    Rate(x=3.0, n=4.0, df=None)
    """
    y = _outcomes("success", success)
    worth = design_effect(y - y.mean(), unit=unit)
    return Rate(float(y.sum()) / worth.deff, len(y) / worth.deff, worth.df)


def rate_difference(
    success: ArrayLike, *, member: ArrayLike, unit: ArrayLike | None = None
) -> RateDifference:
    """The proportion among members of a group minus the rest's.

    Parameters
    ----------
    success : (n,) 0 or 1.
    member : (n,) bool, True in the group.
    unit : (n,) labels; a unit may have images on both sides.
    """
    y, inside = _outcomes("success", success), _mask(member, success)
    worth = _contrast(y, inside, unit=unit, rest_weight=1.0)
    return RateDifference(*_counts(y, inside, worth), worth.df)


def rate_ratio(
    success: ArrayLike, *, member: ArrayLike, unit: ArrayLike | None = None
) -> RateRatio:
    """The proportion among members of a group over the rest's; arguments as `rate_difference`.

    Raises ValueError also where neither side has a success: there is no such ratio.
    """
    y, inside = _outcomes("success", success), _mask(member, success)
    rest = y[~inside].mean() if not inside.all() else 0.0
    ratio = y[inside].mean() / rest if rest and inside.any() else 1.0
    worth = _contrast(y, inside, unit=unit, rest_weight=ratio)
    return RateRatio(*_counts(y, inside, worth), worth.df)


def two_sample_difference(
    success_a: ArrayLike,
    success_b: ArrayLike,
    *,
    unit_a: ArrayLike | None = None,
    unit_b: ArrayLike | None = None,
) -> RateDifference:
    """The proportion in sample a minus the one in sample b, drawn independently.

    Units of the same name in both samples count as different ones, which is the cautious
    reading: a shared unit would make the difference less variable. Units are given for both
    samples or for neither.
    """
    y, inside = _stacked(success_a, success_b)
    unit = _stacked_units(unit_a, unit_b)
    return rate_difference(y, member=inside, unit=unit)


def paired_difference(
    before: ArrayLike, after: ArrayLike, *, unit: ArrayLike | None = None
) -> PairedDifference:
    """The proportion after minus before, over the same images (or other items) in order."""
    first, second = _outcomes("before", before), _outcomes("after", after)
    _require_same_length(first, second)
    change = second - first
    worth = design_effect(change - change.mean(), unit=unit)
    gained, lost = float((change > 0).sum()), float((change < 0).sum())
    return PairedDifference(
        gained / worth.deff, lost / worth.deff, len(change) / worth.deff, worth.df
    )


def mean(
    values: ArrayLike, *, unit: ArrayLike | None = None, imagined: Sequence[float] = ()
) -> Normal:
    """The mean of (n,) numbers with its standard error, as a t statistic; n from 2.

    `imagined` values count in the spread alone. They are for numbers of which the telling ones
    are rare (errors, costs): a sample that happens to hold few would otherwise claim that few
    will come. With none in the sample the bound is then near the rule of three (Hanley &
    Lippman-Hand 1983, doi:10.1001/jama.1983.03330370053031). With units each stands for a whole
    unit, of as many images as an effective unit has: errors come by the room, and simulated at
    20 units of ten images (correlated at 0.3) single imagined images let 18% of wrong PASSes
    through, whole units under 1%.
    """
    y = _numbers("values", values)
    if len(y) < 2:
        raise ValueError("mean: found one value, expected two or more for a standard error")
    worth = design_effect(y - y.mean(), unit=unit)
    in_a_unit = 1 if worth.df is None else round(len(y) / (worth.df + 1))
    spread = np.append(y, np.tile(imagined, in_a_unit)).var(ddof=1)
    se = math.sqrt(worth.deff * spread / len(y))
    return Normal(float(y.mean()), se, len(y) - 1 if worth.df is None else worth.df)


def mean_difference(
    values: ArrayLike, *, member: ArrayLike, unit: ArrayLike | None = None
) -> Normal:
    """The mean of a group's members minus the rest's; arguments as `rate_difference`."""
    y, inside = _numbers("values", values), _mask(member, values)
    owners: ArrayLike = np.arange(len(y)) if unit is None else unit
    worth = _contrast(y, inside, unit=owners, rest_weight=1.0)
    variance = _side_variance(y[inside]) + _side_variance(y[~inside])
    difference = float(y[inside].mean() - y[~inside].mean())
    return Normal(difference, math.sqrt(worth.deff * variance), worth.df)


def paired_mean_difference(
    before: ArrayLike, after: ArrayLike, *, unit: ArrayLike | None = None
) -> Normal:
    """The mean of ``after - before`` over the same images in order, as a t statistic."""
    first, second = _numbers("before", before), _numbers("after", after)
    _require_same_length(first, second)
    return mean(second - first, unit=unit)


def auc(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    *,
    unit_a: ArrayLike | None = None,
    unit_b: ArrayLike | None = None,
) -> Normal:
    """P(a < b) + P(a = b) / 2 for a score of each sample; 0.5 where a score tells nothing.

    Standard error by DeLong, DeLong & Clarke-Pearson (1988), doi:10.2307/2531595, summed by
    unit as in Obuchowski (1997), doi:10.2307/2533958. Near 0 and 1, where it falls to 0 and
    would claim certainty, it is at least Hanley & McNeil's (1982,
    doi:10.1148/radiology.143.1.7063747) at ``2 / units`` from the end, units being those of the
    smaller sample. Two scores (units) a sample or more.
    """
    a, b = _numbers("scores_a", scores_a), _numbers("scores_b", scores_b)
    # Placements: for each score, the share of the other sample that it beats.
    above_a, below_b = 1 - _placements(a, among=b), _placements(b, among=a)
    area = float(below_b.mean())
    owner_a, owner_b = _auc_units(a, unit_a), _auc_units(b, unit_b)
    placements, inside = _stacked(below_b, above_a)
    worth = _contrast(placements, inside, unit=_stacked_units(owner_b, owner_a), rest_weight=-1.0)
    variance = worth.deff * (_side_variance(below_b) + _side_variance(above_a))
    floor = _auc_floor(area, distinct(owner_a), distinct(owner_b))
    return Normal(area, math.sqrt(max(variance, floor)), worth.df)


def design_effect(centred: Floats, *, unit: ArrayLike | None) -> Effective:
    """The design effect of a mean from its (n,) residuals; formula in the module's docstring."""
    if unit is None:
        return Effective(1.0, None)
    owner = _units(unit, len(centred))
    sizes = np.bincount(owner).astype(np.float64)
    _require_units(len(sizes))
    sums = np.bincount(owner, weights=centred)
    independent = float(centred @ centred) * len(centred) / (len(centred) - 1)
    worth = effective_units(sizes, spread=float(sums @ sums), independent=independent)
    clustered = worth / (worth - 1) * float(sums @ sums)
    return Effective(floored(clustered, independent, sizes), worth - 1)


def _contrast(
    y: Floats, inside: NDArray[np.bool_], *, unit: ArrayLike | None, rest_weight: float
) -> Effective:
    """The design effect of ``mean inside - rest_weight * mean outside``."""
    if not inside.any() or inside.all():
        raise ValueError(
            f"comparison: found {int(inside.sum())} in the group and {int((~inside).sum())} in "
            "the rest, expected at least one in each"
        )
    if unit is None:
        return Effective(1.0, None)
    owner = _units(unit, len(y))
    group = _Side.of(y, inside, owner)
    rest = _Side.of(rest_weight * y, ~inside, owner)
    # Each side is corrected for its own number of units, or the smaller one would be
    # understated.
    z = group.correction * group.sums - rest.correction * rest.sums
    sizes = np.bincount(owner).astype(np.float64)
    deff = floored(float(z @ z), group.independent + rest.independent, sizes)
    return Effective(deff, _satterthwaite(group, rest, total=len(group.sums)))


@dataclass(frozen=True)
class _Side:
    """One side of a comparison: its linearised residuals summed by unit, and what they are worth.

    `units` is the effective number of units, `independent` the variance of independent images.
    """

    sums: Floats
    units: float
    independent: float

    @classmethod
    def of(cls, y: Floats, inside: NDArray[np.bool_], owner: NDArray[np.int64]) -> _Side:
        size = int(owner.max()) + 1
        own = y[inside]
        images = np.bincount(owner[inside], minlength=size).astype(np.float64)
        sizes = images[images > 0]
        _require_units(len(sizes))
        sums = np.bincount(owner[inside], weights=(own - own.mean()) / len(own), minlength=size)
        independent = _side_variance(own)
        units = effective_units(sizes, spread=float(sums @ sums), independent=independent)
        return cls(sums.astype(np.float64), units, independent)

    @property
    def correction(self) -> float:
        return math.sqrt(self.units / (self.units - 1))

    @property
    def variance(self) -> float:
        return self.correction**2 * float(self.sums @ self.sums)


def _satterthwaite(group: _Side, rest: _Side, *, total: int) -> float:
    g, r = group.variance, rest.variance
    if g + r == 0:
        return min(group.units, rest.units) - 1
    df = (g + r) ** 2 / (g**2 / (group.units - 1) + r**2 / (rest.units - 1))
    # Units that span both sides are fewer than their sum.
    return min(df, total - 1)


def _counts(
    y: Floats, inside: NDArray[np.bool_], worth: Effective
) -> tuple[float, float, float, float]:
    n = int(inside.sum())
    x, x_rest = float(y[inside].sum()), float(y[~inside].sum())
    return x / worth.deff, n / worth.deff, x_rest / worth.deff, (len(y) - n) / worth.deff


def _side_variance(y: Floats) -> float:
    return float(y.var(ddof=1)) / len(y) if len(y) > 1 else 0.0


def _placements(scores: Floats, *, among: Floats) -> Floats:
    ranked = np.sort(among)
    below = np.searchsorted(ranked, scores, side="left")
    up_to = np.searchsorted(ranked, scores, side="right")
    share: Floats = (below + up_to) / (2 * len(among))
    return share


def _auc_units(scores: Floats, unit: ArrayLike | None) -> NDArray[np.int64]:
    return np.arange(len(scores)) if unit is None else _units(unit, len(scores))


def _auc_floor(area: float, units_a: int, units_b: int) -> float:
    end = min(0.5, 2 / min(units_a, units_b))
    if end <= area <= 1 - end:
        return 0.0
    theta = max(1 - end, 0.5)
    q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
    spread = theta * (1 - theta) + (units_a - 1) * (q1 - theta**2) + (units_b - 1) * (q2 - theta**2)
    return spread / (units_a * units_b)


def _numbers(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"{name}: found shape {array.shape} with {int((~np.isfinite(array)).sum())} values "
            "not finite, expected (n,) finite numbers, n from 1"
        )
    return array


def _outcomes(name: str, values: ArrayLike) -> Floats:
    array = _numbers(name, values)
    if not ((array == 0) | (array == 1)).all():
        raise ValueError(f"{name}: found values other than 0 and 1; use `mean` for those")
    return array


def _mask(member: ArrayLike, values: ArrayLike) -> NDArray[np.bool_]:
    mask = np.asarray(member)
    if mask.dtype != np.bool_ or mask.shape != np.shape(values):
        raise ValueError(
            f"member: found {mask.dtype} of shape {mask.shape}, expected bool of shape "
            f"{np.shape(values)}"
        )
    return mask


def _units(unit: ArrayLike, n: int) -> NDArray[np.int64]:
    labels: NDArray[Any] = np.asarray(unit)
    if labels.shape != (n,):
        raise ValueError(f"unit: found shape {labels.shape}, expected ({n},)")
    return codes_of(labels)


def _require_units(found: int) -> None:
    if found < 2:
        raise ValueError(
            f"unit: found {found} unit on a side, expected two or more for a variance; collect "
            "more units, or leave `unit` out where images are independent"
        )


def _require_same_length(first: Floats, second: Floats) -> None:
    if len(first) != len(second):
        raise ValueError(
            f"pairs: found {len(first)} before and {len(second)} after, expected the same items"
        )


def _stacked(a: ArrayLike, b: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    first, second = _numbers("first sample", a), _numbers("second sample", b)
    return np.concatenate([first, second]), np.arange(len(first) + len(second)) < len(first)


def _stacked_units(unit_a: ArrayLike | None, unit_b: ArrayLike | None) -> ArrayLike | None:
    if unit_a is None and unit_b is None:
        return None
    if unit_a is None or unit_b is None:
        raise ValueError("unit: found units for one sample, expected them for both or neither")
    a, b = np.asarray(unit_a), np.asarray(unit_b)
    return np.concatenate([_units(a, len(a)), _units(b, len(b)) + len(a)])
