"""Estimates: small frozen values that hold sufficient statistics.

Value, interval, bound and p-value are functions of an estimate (:mod:`auditor.stats.inference`),
so that an audit can be judged again, at another level or against another limit, from its record.

Counts are *effective* counts when the units are clusters (``x / deff``, ``n / deff``; see
:mod:`auditor.stats.clusters`), hence may be fractional; ``df`` is then the degrees of freedom
that the design effect was estimated with, and None means a normal quantile.

No estimate can hold NaN, infinity, or a count of nothing: where there is no observation there
is no estimate, and a constructor raises ValueError.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_LOWER_HALF = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04,
    0.05, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45,
)  # fmt: skip

GRID: tuple[float, ...] = (
    *_LOWER_HALF,
    0.5,
    *(round(1 - p, 4) for p in reversed(_LOWER_HALF)),
)
"""Probabilities at which :class:`Draws` keeps quantiles. Fixed: records are read years later."""

ENDLESS = 1000.0
"""Where the range of a ratio ends that has no end: draws hold finite numbers only."""


@dataclass(frozen=True)
class Exact:
    """A value without sampling error (a size in bytes, a count over everything there is)."""

    value: float

    def __post_init__(self) -> None:
        _require_finite("Exact", value=self.value)


@dataclass(frozen=True)
class Rate:
    """A proportion, `x` of `n`; in [0, 1]."""

    x: float
    n: float
    df: float | None = None

    def __post_init__(self) -> None:
        _require_counts("Rate", x=self.x, n=self.n)
        _require_df("Rate", self.df)


@dataclass(frozen=True)
class RateDifference:
    """A group's proportion minus the rest's, ``x / n - x_rest / n_rest``; in [-1, 1]."""

    x: float
    n: float
    x_rest: float
    n_rest: float
    df: float | None = None

    def __post_init__(self) -> None:
        _require_counts("RateDifference", x=self.x, n=self.n)
        _require_counts("RateDifference", x=self.x_rest, n=self.n_rest, suffix="_rest")
        _require_df("RateDifference", self.df)


@dataclass(frozen=True)
class RateRatio:
    """A group's proportion over the rest's, ``(x / n) / (x_rest / n_rest)``.

    The value is infinite where ``x_rest`` is 0. A ratio of nothing to nothing (both counts 0)
    is refused: there is no such ratio.
    """

    x: float
    n: float
    x_rest: float
    n_rest: float
    df: float | None = None

    def __post_init__(self) -> None:
        _require_counts("RateRatio", x=self.x, n=self.n)
        _require_counts("RateRatio", x=self.x_rest, n=self.n_rest, suffix="_rest")
        _require_df("RateRatio", self.df)
        if self.x + self.x_rest == 0:
            raise ValueError(
                f"RateRatio: found no event in {self.n:g} and none in {self.n_rest:g}, expected "
                "at least one; report the ratio as unmeasured"
            )


@dataclass(frozen=True)
class PairedDifference:
    """A difference of two proportions over the same `n` items, ``(gained - lost) / n``.

    `gained` counts items that succeed only after, `lost` those that succeed only before.
    """

    gained: float
    lost: float
    n: float
    df: float | None = None

    def __post_init__(self) -> None:
        _require_finite("PairedDifference", gained=self.gained, lost=self.lost, n=self.n)
        # Effective counts are divided one by one, so their sum may exceed n by a rounding.
        if self.n <= 0 or min(self.gained, self.lost) < 0 or not self._fits():
            raise ValueError(
                f"PairedDifference: found gained={self.gained:g}, lost={self.lost:g}, "
                f"n={self.n:g}, expected counts from 0 with gained + lost <= n and n > 0"
            )
        _require_df("PairedDifference", self.df)

    def _fits(self) -> bool:
        return self.gained + self.lost <= self.n * (1 + 1e-12)


@dataclass(frozen=True)
class Normal:
    """A value with a standard error; `df` makes it a t statistic, None a normal one."""

    value: float
    se: float
    df: float | None = None

    def __post_init__(self) -> None:
        _require_finite("Normal", value=self.value, se=self.se)
        if self.se < 0:
            raise ValueError(f"Normal: found se={self.se:g}, expected a standard error from 0")
        _require_df("Normal", self.df)


@dataclass(frozen=True)
class Draws:
    """A value with the quantiles of its sampling distribution, at the probabilities of `GRID`."""

    value: float
    quantiles: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_finite("Draws", value=self.value)
        if len(self.quantiles) != len(GRID):
            raise ValueError(
                f"Draws: found {len(self.quantiles)} quantiles, expected {len(GRID)}, one for "
                "each probability of GRID"
            )
        if not all(math.isfinite(q) for q in self.quantiles):
            raise ValueError("Draws: found a quantile that is not finite, expected finite ones")
        if any(a > b for a, b in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise ValueError("Draws: found quantiles out of order, expected them ascending")


Estimate = Exact | Rate | RateDifference | RateRatio | PairedDifference | Normal | Draws


def _require_finite(kind: str, **values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{kind}: found {name}={value}, expected a finite number")


def _require_counts(kind: str, *, x: float, n: float, suffix: str = "") -> None:
    _require_finite(kind, **{f"x{suffix}": x, f"n{suffix}": n})
    if n <= 0 or not 0 <= x <= n:
        raise ValueError(
            f"{kind}: found x{suffix}={x:g} of n{suffix}={n:g}, expected n{suffix} > 0 and "
            f"0 <= x{suffix} <= n{suffix}"
        )


def _require_df(kind: str, df: float | None) -> None:
    if df is not None and not (math.isfinite(df) and df > 0):
        raise ValueError(f"{kind}: found df={df}, expected a positive number, or None for normal")
