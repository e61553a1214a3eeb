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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.codes import distinct
from auditor.stats.design_effects import (
    Effective,
    contrast_effect,
    design_effect,
    rate_effect,
    side_variance,
    unit_codes_of,
)
from auditor.stats.estimates import Normal, PairedDifference, Rate, RateDifference, RateRatio

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def rate(success: ArrayLike, *, unit: ArrayLike | None = None) -> Rate:
    """The proportion of successes, (n,) 0 or 1, in effective counts.

    Examples
    --------
    >>> rate([1, 1, 0, 1])
    Rate(x=3.0, n=4.0, df=None)
    """
    y = _outcomes("success", success)
    worth = rate_effect(y, unit)
    return Rate(int(y.sum()) / worth.deff, len(y) / worth.deff, worth.df)


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
    worth = contrast_effect(y, inside, unit=unit, rest_weight=1.0)
    return RateDifference(*_counts(y, inside, worth), worth.df)


def rate_ratio(
    success: ArrayLike, *, member: ArrayLike, unit: ArrayLike | None = None
) -> RateRatio:
    """The proportion among members of a group over the rest's; arguments as `rate_difference`.

    Raises ValueError also where neither side has a success: there is no such ratio.
    """
    y, inside = _outcomes("success", success), _mask(member, success)
    rest = y[~inside].mean() if not inside.all() else 0.0
    ratio = float(y[inside].mean() / rest) if rest and inside.any() else 1.0
    worth = contrast_effect(y, inside, unit=unit, rest_weight=ratio)
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
    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    change = second.astype(np.float64) - first
    worth = design_effect(change - (gained - lost) / len(change), unit=unit)
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
    worth = contrast_effect(y, inside, unit=owners, rest_weight=1.0)
    variance = side_variance(y[inside]) + side_variance(y[~inside])
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
    worth = contrast_effect(
        placements, inside, unit=_stacked_units(owner_b, owner_a), rest_weight=-1.0
    )
    variance = worth.deff * (side_variance(below_b) + side_variance(above_a))
    floor = _auc_floor(area, distinct(owner_a), distinct(owner_b))
    return Normal(area, math.sqrt(max(variance, floor)), worth.df)


def _counts(y: Mask, inside: Mask, worth: Effective) -> tuple[float, float, float, float]:
    n, x = int(inside.sum()), int((y & inside).sum())
    x_rest, n_rest = int(y.sum()) - x, len(y) - n
    return x / worth.deff, n / worth.deff, x_rest / worth.deff, n_rest / worth.deff


def _placements(scores: Floats, *, among: Floats) -> Floats:
    ranked = np.sort(among)
    below = np.searchsorted(ranked, scores, side="left")
    up_to = np.searchsorted(ranked, scores, side="right")
    share: Floats = (below + up_to) / (2 * len(among))
    return share


def _auc_units(scores: Floats, unit: ArrayLike | None) -> NDArray[np.int64]:
    return np.arange(len(scores)) if unit is None else unit_codes_of(unit, len(scores))


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


def _outcomes(name: str, values: ArrayLike) -> Mask:
    given = np.asarray(values)
    if given.dtype == np.bool_ and given.ndim == 1 and given.size:
        return given
    array = _numbers(name, values)
    found: Mask = array == 1
    if not (found | (array == 0)).all():
        raise ValueError(f"{name}: found values other than 0 and 1; use `mean` for those")
    return found


def _mask(member: ArrayLike, values: ArrayLike) -> NDArray[np.bool_]:
    mask = np.asarray(member)
    if mask.dtype != np.bool_ or mask.shape != np.shape(values):
        raise ValueError(
            f"member: found {mask.dtype} of shape {mask.shape}, expected bool of shape "
            f"{np.shape(values)}"
        )
    return mask


def _require_same_length(first: NDArray[Any], second: NDArray[Any]) -> None:
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
    first, second = unit_codes_of(a, len(a)), unit_codes_of(b, len(b))
    return np.concatenate([first, second + int(first.max(initial=-1)) + 1])
