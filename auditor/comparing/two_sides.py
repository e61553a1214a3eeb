"""A group's number beside the rest's, with the covariance of the two where units span both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from auditor.stats import ENDLESS, GRID, Draws, Normal, mean
from auditor.stats.codes import distinct, gapped_codes_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TwoSides:
    """An estimate of a group and one of the rest, and their covariance.

    `units` is how many independent units both sides have together.
    """

    group: Normal
    rest: Normal
    covariance: float
    units: int

    def difference(self) -> Normal:
        """The group's value minus the rest's, as a t statistic."""
        variance = self.group.se**2 + self.rest.se**2 - 2 * self.covariance
        gap = self.group.value - self.rest.value
        least, most = _ends(self.group, self.rest)
        df = self._df(rest_weight=1.0)
        return Normal(gap, math.sqrt(max(variance, 0.0)), df, least, most)

    def ratio(self) -> Draws:
        """The group's value over the rest's; `ENDLESS` stands for more than can be told.

        Both values from 0, the rest's above it. Quantiles are the ratios r at which the t
        statistic of ``group - r * rest`` equals that quantile (Fieller 1954,
        doi:10.1111/j.2517-6161.1954.tb00159.x), so that the p-value against any limit is that of
        the difference ``group - limit * rest``. Ratios beyond `ENDLESS` are cut to it.

        Simulated with costs of 4,000 for 5% and 50,000 for 10% of errors, 30 to 1,000 images in
        the group and with units of 3 or 10 images correlated at 0.3 or 0.5: at true ratios of
        1.25 and 3 that are the limit, wrong FAILs and wrong PASSes are at most 6% each, and the
        same for the difference; with few or rare errors they are far below.

        Raises
        ------
        ValueError
            If a value is below 0 or the rest's is 0.
        """
        group, rest = self.group.value, self.rest.value
        if group < 0 or rest <= 0:
            raise ValueError(f"ratio: found {group:g} to {rest:g}, expected 0 or more to above 0")
        point = min(group / rest, ENDLESS)
        return Draws(point, tuple(float(q) for q in self._ratio_quantiles(point)))

    def _ratio_quantiles(self, point: float) -> Floats:
        grid = np.array(GRID)
        t = stdtrit(self._df(rest_weight=point), grid)
        low, high = np.zeros(len(grid)), np.full(len(grid), math.atan(ENDLESS))
        # The statistic falls as the ratio rises; sixty halvings reach double precision.
        for _ in range(60):
            angle = (low + high) / 2
            beyond = self._statistic(angle) > -t
            low, high = np.where(beyond, angle, low), np.where(beyond, high, angle)
        found: Floats = np.maximum.accumulate(np.tan((low + high) / 2))
        # A thousand comes back from its angle with a rounding.
        return np.where(found > 0.999 * ENDLESS, ENDLESS, found)

    def _statistic(self, angle: Floats) -> Floats:
        """Student's t of ``group - tan(angle) * rest``, finite at any angle."""
        a, b = np.cos(angle), np.sin(angle)
        variance = (a * self.group.se) ** 2 + (b * self.rest.se) ** 2 - 2 * a * b * self.covariance
        excess: Floats = a * self.group.value - b * self.rest.value
        return excess / np.sqrt(np.maximum(variance, 1e-300))

    def _df(self, *, rest_weight: float) -> float:
        """Satterthwaite (1946), doi:10.2307/3002019; units that span both sides count once."""
        sides = ((self.group, 1.0), (self.rest, rest_weight**2))
        total = sum(weight * side.se**2 for side, weight in sides)
        parts = sum((w * s.se**2) ** 2 / s.df for s, w in sides if s.df is not None)
        df = total**2 / parts if parts else min(s.df for s, _ in sides if s.df is not None)
        return min(df, self.units - 1)


def _ends(group: Normal, rest: Normal) -> tuple[float | None, float | None]:
    """Between which ends the group's value minus the rest's can be."""
    if group.least is None or group.most is None or rest.least is None or rest.most is None:
        return None, None
    return group.least - rest.most, group.most - rest.least


def two_means(
    values: np.ndarray,
    *,
    member: np.ndarray,
    unit: np.ndarray | None,
    span: tuple[float, float] | None,
) -> TwoSides:
    """The mean of a group's values and the rest's; `span` as in `auditor.stats.mean`.

    `member` (n,) bool is True in the group. Two units a side or more.
    """
    y = np.asarray(values, dtype=np.float64)
    influence = _influence(y, member) + _influence(y, ~member)
    return TwoSides(
        group=mean(y[member], unit=_of(unit, member), span=span),
        rest=mean(y[~member], unit=_of(unit, ~member), span=span),
        covariance=covariance(influence, member=member, unit=unit),
        units=len(y) if unit is None else distinct(unit),
    )


def paired_means(first: np.ndarray, second: np.ndarray, *, unit: np.ndarray) -> TwoSides:
    """The means of two numbers of the same rows (n,), whose errors go together.

    Sums by unit of what each row adds to either error give both variances and the covariance, with
    a factor of k / (k - 1) for k units (linearised; Woodruff 1971,
    doi:10.1080/01621459.1971.10482279). Two units or more.
    """
    both = np.stack([first, second], axis=1).astype(np.float64)
    owner = gapped_codes_of(unit)
    influence = (both - both.mean(axis=0)) / len(both)
    sums = np.stack([np.bincount(owner, weights=column) for column in influence.T])
    k = distinct(unit)
    spread = k / (k - 1) * (sums @ sums.T)
    one, other = (Normal(float(both[:, i].mean()), math.sqrt(spread[i, i]), k - 1) for i in (0, 1))
    return TwoSides(one, other, float(spread[0, 1]), k)


def covariance(influence: np.ndarray, *, member: np.ndarray, unit: np.ndarray | None) -> float:
    """Covariance of a group's estimate and the rest's from what each image adds to its own.

    `influence` (n,) is an image's linearised part in the error of the side that it is of; both
    sums over the images of a unit are multiplied. 0 where every image is a unit of its own.
    """
    if unit is None:
        return 0.0
    owner = gapped_codes_of(unit)
    shape = (2, int(owner.max()) + 1)
    side = owner + shape[1] * member
    units = np.count_nonzero(np.bincount(side, minlength=2 * shape[1]).reshape(shape), axis=1)
    sums = np.bincount(side, weights=influence, minlength=2 * shape[1]).reshape(shape)
    return math.sqrt(np.prod(units / (units - 1))) * float(sums[0] @ sums[1])


def _influence(y: Floats, side: np.ndarray) -> Floats:
    """Each image's part in the error of its side's mean, (n,); 0 outside the side."""
    part: Floats = np.where(side, y - y[side].mean(), 0.0) / side.sum()
    return part


def _of(unit: np.ndarray | None, side: np.ndarray) -> np.ndarray | None:
    return None if unit is None else unit[side]
