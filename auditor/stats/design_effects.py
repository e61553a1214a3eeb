"""How much a sample of units is worth beside as many independent images: design effects.

The formulas stand in :mod:`auditor.stats.clusters`, whose estimates they scale. Sums are taken by
unit in as few passes over the images as will do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.codes import gapped_codes_of
from auditor.stats.effective import UnitSizes, effective_units, floored

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Effective:
    """How much a clustered sample is worth: divide counts by `deff`, use t with `df`."""

    deff: float
    df: float | None


def design_effect(centred: Floats, *, unit: ArrayLike | None) -> Effective:
    """The design effect of a mean from its (n,) residuals."""
    if unit is None:
        return Effective(1.0, None)
    owner = unit_codes_of(unit, len(centred))
    sizes = UnitSizes.of(np.bincount(owner))
    _require_units(sizes.total)
    sums = np.bincount(owner, weights=centred)
    independent = float(centred @ centred) * len(centred) / (len(centred) - 1)
    return _worth_of(sizes, spread=float(sums @ sums), independent=independent)


def rate_effect(y: Mask, unit: ArrayLike | None) -> Effective:
    """`design_effect` of outcomes 0 and 1 less their mean, in fewer passes."""
    if unit is None:
        return Effective(1.0, None)
    owner = unit_codes_of(unit, len(y))
    return _effect_of_counts(np.bincount(owner, weights=y), np.bincount(owner))


def side_effects(
    y: Mask, inside: Mask, *, unit: ArrayLike | None
) -> tuple[tuple[int, int, Effective], tuple[int, int, Effective]]:
    """Successes, images and `rate_effect` of the images `inside`, and of the others."""
    if unit is None:
        n, x = int(inside.sum()), int((y & inside).sum())
        alone = Effective(1.0, None)
        return (x, n, alone), (int(y.sum()) - x, len(y) - n, alone)
    owner = unit_codes_of(unit, len(y))
    units = int(owner.max()) + 1
    side = owner + units * inside
    images = np.bincount(side, minlength=2 * units).reshape(2, units)
    found = np.bincount(side, weights=y, minlength=2 * units).reshape(2, units)
    rest, group = (
        (int(x.sum()), int(n.sum()), _effect_of_counts(x, n))
        for x, n in zip(found, images, strict=True)
    )
    return group, rest


def _effect_of_counts(successes: NDArray[Any], images: NDArray[np.int64]) -> Effective:
    """From the successes and the images of each unit, (units,)."""
    sizes = UnitSizes.of(images)
    _require_units(sizes.total)
    n = int(images.sum())
    p = float(successes.sum()) / n
    sums = successes - p * images
    return _worth_of(sizes, spread=float(sums @ sums), independent=n * p * (1 - p) * n / (n - 1))


def _worth_of(sizes: UnitSizes, *, spread: float, independent: float) -> Effective:
    worth = effective_units(sizes, spread=spread, independent=independent)
    clustered = worth / (worth - 1) * spread
    return Effective(floored(clustered, independent, sizes), worth - 1)


def contrast_effect(
    y: Floats | Mask,
    inside: Mask,
    *,
    unit: ArrayLike | None,
    rest_weight: float,
    pooled: bool = False,
) -> Effective:
    """The design effect of ``mean inside - rest_weight * mean outside``.

    With `pooled` it is at least the one that the images of both sides together show
    (`_pooled_effect`): few units that err, as a ratio has them, tell too little of how alike
    the images of a unit are.
    """
    if not inside.any() or inside.all():
        raise ValueError(
            f"comparison: found {int(inside.sum())} in the group and {int((~inside).sum())} in "
            "the rest, expected at least one in each"
        )
    if unit is None:
        return Effective(1.0, None)
    owner = unit_codes_of(unit, len(y))
    # The rest's units, then the group's: one pass sums both sides.
    units = int(owner.max()) + 1
    side = owner + units * inside
    images = np.bincount(side, minlength=2 * units).reshape(2, units)
    sums, independent = _residual_sums(y, inside, side, images)
    return _contrast(sums, images, independent, rest_weight=rest_weight, pooled=pooled)


def counted_contrast(successes: Floats, images: NDArray[np.int64]) -> Effective:
    """`contrast_effect` of a difference of rates, from what is counted by side and unit.

    Both (2, units): of the rest, then of the group.
    """
    sums, independent = _residuals_of_counts(successes, images)
    return _contrast(sums, images, independent, rest_weight=1.0, pooled=False)


def _contrast(
    sums: Floats, images: NDArray[np.int64], independent: Floats, *, rest_weight: float,
    pooled: bool,
) -> Effective:  # fmt: skip
    rest, group = (
        _Side.of(*one, weight=weight)
        for *one, weight in zip(sums, images, independent.tolist(), (rest_weight, 1.0), strict=True)
    )
    # Each side is corrected for its own number of units, or the smaller one would be
    # understated.
    z = group.correction * group.sums - rest.correction * rest.sums
    sizes = UnitSizes.of(images[0] + images[1])
    deff = floored(float(z @ z), group.independent + rest.independent, sizes)
    if pooled and group.independent + rest.independent > 0:
        weights = np.array([-rest_weight, 1.0])
        unbiased = sums * np.array([[rest.correction], [group.correction]])
        deff = max(deff, _pooled_effect(unbiased, images, independent, weights))
    return Effective(deff, _satterthwaite(group, rest, total=sizes.total))


def _pooled_effect(
    sums: Floats, images: NDArray[np.int64], independent: Floats, weights: Floats
) -> float:
    """The design effect of a contrast if images were equally alike in the units of both sides.

    `sums` and `images` (2, units), `independent` and `weights` (2,): residuals over a side's size
    by unit, numbers of images, variances of the sides' means, and their part in the contrast. The
    correlation is the moment estimate from squared sums by unit; images of one unit on both
    sides are as alike as those on one.
    """
    n = images.sum(axis=1)
    counted, variance = sums * n[:, None], independent * n
    # What a unit adds whose images are all alike, on either side.
    alike = np.sqrt(variance)[:, None] * images
    apart = float(n @ variance)
    most = float((alike.sum(axis=0) ** 2).sum()) - apart
    if most <= 1e-9 * apart:
        return 1.0
    shown = float((counted.sum(axis=0) ** 2).sum()) - apart
    correlation = min(max(shown / most, 0.0), 1.0)
    whole = (weights / n) @ alike
    return 1 - correlation + correlation * float(whole @ whole) / float(weights**2 @ independent)


def _residual_sums(
    y: Floats | Mask, inside: Mask, side: NDArray[np.int64], images: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Residuals of each side's mean over its size, summed by unit (2, units); their variances."""
    n = images.sum(axis=1)

    def summed(values: Floats | Mask) -> Floats:
        found = np.bincount(side, weights=values, minlength=images.size)
        return np.asarray(found, dtype=np.float64).reshape(images.shape)

    if y.dtype == np.bool_:
        return _residuals_of_counts(summed(y), images)
    values = np.asarray(y, dtype=np.float64)
    # One side after the other, and in place: of a million images each array is much memory.
    rest, own = (
        (one.mean(), side_variance(one)) for one in (values[side] for side in (~inside, inside))
    )
    found = values - np.where(inside, own[0], rest[0])
    found *= np.where(inside, *(1 / n)[::-1])
    return summed(found), np.array([rest[1], own[1]])


def _residuals_of_counts(successes: Floats, images: NDArray[np.int64]) -> tuple[Floats, Floats]:
    n = images.sum(axis=1)
    p = successes.sum(axis=1) / n
    return (successes - p[:, None] * images) / n[:, None], p * (1 - p) / np.maximum(n - 1, 1)


@dataclass(frozen=True)
class _Side:
    """One side of a comparison: its linearised residuals summed by unit, and what they are worth.

    `units` is the effective number of units, `independent` the variance of independent images.
    """

    sums: Floats
    units: float
    independent: float

    @classmethod
    def of(
        cls, sums: Floats, images: NDArray[np.int64], independent: float, *, weight: float
    ) -> _Side:
        """From sums and numbers of images by unit, (units,); the side's values times `weight`."""
        sizes = UnitSizes.of(images)
        _require_units(sizes.total)
        sums, independent = weight * sums, weight**2 * independent
        units = effective_units(sizes, spread=float(sums @ sums), independent=independent)
        return cls(sums, units, independent)

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


def side_variance(y: Floats) -> float:
    return float(y.var(ddof=1)) / len(y) if len(y) > 1 else 0.0


def unit_codes_of(unit: ArrayLike, n: int) -> NDArray[np.int64]:
    labels: NDArray[Any] = np.asarray(unit)
    if labels.shape != (n,):
        raise ValueError(f"unit: found shape {labels.shape}, expected ({n},)")
    return gapped_codes_of(labels)


def _require_units(found: int) -> None:
    if found < 2:
        raise ValueError(
            f"unit: found {found} unit on a side, expected two or more for a variance; collect "
            "more units, or leave `unit` out where images are independent"
        )
