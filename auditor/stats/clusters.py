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
and one common design effect scales the counts of both. That of a ratio is at least the one with
the correlation that both sides show together.

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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from auditor.stats.bounded import Reach, Span, reach
from auditor.stats.design_effects import (
    Effective,
    contrast_effect,
    design_effect,
    rate_effect,
    side_effects,
    side_variance,
    unit_codes_of,
)
from auditor.stats.estimates import Normal, PairedDifference, Rate, RateDifference, RateRatio
from auditor.stats.scores import critical

_TELLING = 20
"""So many values away from the others by a tenth of their scale show how often such come."""

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


def side_rates(
    success: ArrayLike, *, member: ArrayLike, unit: ArrayLike | None = None
) -> tuple[Rate, Rate]:
    """`rate` among the members of a group, and among the rest; arguments as `rate_difference`."""
    y, inside = _outcomes("success", success), _mask(member, success)
    group, rest = (
        Rate(x / worth.deff, n / worth.deff, worth.df)
        for x, n, worth in side_effects(y, inside, unit=unit)
    )
    return group, rest


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
    x, n, x_rest, n_rest = _counts(y, inside, Effective(1.0, None))
    rest = x_rest / n_rest if n_rest else 0.0
    ratio = x / n / rest if rest and n else 1.0
    worth = contrast_effect(y, inside, unit=unit, rest_weight=ratio, pooled=True)
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


def mean(values: ArrayLike, *, unit: ArrayLike | None = None, span: Span | None = None) -> Normal:
    """The mean of (n,) numbers with its standard error, as a t statistic; n from 2.

    `span` are the ends of the scale that every number is on, where it has ends. A sample that
    happens to hold few of the telling numbers (errors, costs) would otherwise claim that few
    will come: below twenty of them (effective ones, a tenth of the scale from the median) the
    standard error is at least the one with which the one-sided 95% bounds are those of
    `auditor.stats.bounded.reach`. Enumerated for 0 and 1, a bound lies beyond the truth in at
    most 6% of samples of 10 to 50, and in at most 9% of 200, as a t statistic does.
    """
    y = _numbers("values", values)
    if len(y) < 2:
        raise ValueError("mean: found one value, expected two or more for a standard error")
    worth = design_effect(y - y.mean(), unit=unit)
    se = math.sqrt(worth.deff * y.var(ddof=1) / len(y))
    df = len(y) - 1 if worth.df is None else worth.df
    if span is None:
        return Normal(float(y.mean()), se, df)
    missed = _reach(y, worth, span)
    se = max(se, max(missed.below, missed.above) / critical(0.95, df=df))
    return Normal(float(y.mean()), se, df, *span)


def _reach(y: Floats, worth: Effective, span: Span) -> Reach:
    far = np.abs(y - np.median(y)) > 0.1 * (span[1] - span[0])
    if far.sum() / worth.deff >= _TELLING:
        return Reach(0.0, 0.0)
    # Few units: the level of a t quantile, as a rate's bounds have it.
    alpha = 0.05 if worth.df is None else float(ndtr(-critical(0.95, df=worth.df)))
    n = len(y) / worth.deff
    further = 1.0 if worth.df is None else max(1.0, n / (worth.df + 1))
    return reach(y, n=n, span=span, alpha=alpha, further=further)


def mean_difference(
    values: ArrayLike,
    *,
    member: ArrayLike,
    unit: ArrayLike | None = None,
    span: Span | None = None,
) -> Normal:
    """The mean of a group's members minus the rest's; arguments as `rate_difference` and `mean`.

    With `span` the bounds of both sides are combined as Newcombe (1998) does it for proportions
    and Zou & Donner (2008, doi:10.1002/sim.3095) for any parameters.
    """
    y, inside = _numbers("values", values), _mask(member, values)
    owners: ArrayLike = np.arange(len(y)) if unit is None else unit
    worth = contrast_effect(y, inside, unit=owners, rest_weight=1.0)
    variance = side_variance(y[inside]) + side_variance(y[~inside])
    difference = float(y[inside].mean() - y[~inside].mean())
    se = math.sqrt(worth.deff * variance)
    if span is None:
        return Normal(difference, se, worth.df)
    known = worth if unit is not None else Effective(1.0, None)
    far = _apart(_reach(y[inside], known, span), _reach(y[~inside], known, span))
    width = span[1] - span[0]
    return Normal(difference, max(se, far / critical(0.95, df=worth.df)), worth.df, -width, width)


def _apart(a: Reach, b: Reach) -> float:
    """How far ``a - b`` may lie from what was seen, to the farther side."""
    return max(math.hypot(a.above, b.below), math.hypot(a.below, b.above))


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
    unit as in Obuchowski (1997), doi:10.2307/2533958. Where scores are told apart without an
    error, or are all equal, it would fall to 0 and claim certainty: where more than half of a
    sample's scores beat equally many of the other's, it is at least the one with which the
    one-sided 95% bounds are those of that share as a mean (`auditor.stats.bounded.reach`).
    Two scores (units) a sample or more.
    """
    a, b = _numbers("scores_a", scores_a), _numbers("scores_b", scores_b)
    # Placements: for each score, the share of the other sample that it beats.
    above_a, below_b = 1 - placements(a, among=b), placements(b, among=a)
    area = float(below_b.mean())
    owner_a, owner_b = _auc_units(a, unit_a), _auc_units(b, unit_b)
    placed, inside = _stacked(below_b, above_a)
    owner = _stacked_units(owner_b, owner_a)
    worth = contrast_effect(placed, inside, unit=owner, rest_weight=-1.0)
    variance = worth.deff * (side_variance(below_b) + side_variance(above_a))
    known = Effective(1.0, None) if unit_a is None and unit_b is None else worth
    far = max(_unseen(side, known) for side in (below_b, above_a))
    return Normal(area, max(math.sqrt(variance), far / critical(0.95, df=worth.df)), worth.df, 0, 1)


def _unseen(placements: Floats, worth: Effective) -> float:
    """How far an area may lie from what was seen; 0 where placements vary, and tell it."""
    if np.unique(placements, return_counts=True)[1].max() <= len(placements) / 2:
        return 0.0
    found = _reach(placements, worth, (0.0, 1.0))
    return max(found.below, found.above)


def _counts(y: Mask, inside: Mask, worth: Effective) -> tuple[float, float, float, float]:
    n, x = int(inside.sum()), int((y & inside).sum())
    x_rest, n_rest = int(y.sum()) - x, len(y) - n
    return x / worth.deff, n / worth.deff, x_rest / worth.deff, n_rest / worth.deff


def placements(scores: Floats, *, among: Floats) -> Floats:
    """The share of `among` that each score exceeds, equals counting half; (n,)."""
    ranked, order = np.sort(among), np.argsort(scores)
    # Asked for in order: each look-up is then beside the last one.
    asked = scores[order]
    below = np.searchsorted(ranked, asked, side="left")
    up_to = np.searchsorted(ranked, asked, side="right")
    share = np.empty(len(scores))
    share[order] = (below + up_to) / (2 * len(among))
    return share


def _auc_units(scores: Floats, unit: ArrayLike | None) -> NDArray[np.int64]:
    return np.arange(len(scores)) if unit is None else unit_codes_of(unit, len(scores))


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
