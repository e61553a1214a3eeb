"""How a quantity differs between test and deployment images, one number an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.interval_row import interval_row
from auditor.findings import Axis, Cell, Figure, Measure, Subject
from auditor.shift.sides import Sides
from auditor.stats import Normal, auc, interval, value
from auditor.stats.distribution_test import distribution_test
from auditor.stats.resampling import whole_units
from auditor.stats.two_samples import TwoSamples

_BINS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shifted:
    """A quantity compared, of images here and there.

    `area` is P(here < there), ties half; `p` the Kolmogorov-Smirnov test's, whole units being dealt
    anew; `adjusted` allows for all quantities compared with it, and for all looks. `robust_shift`
    is the medians' difference in robust standard deviations of the images here, None where these
    do not vary.
    """

    split: str
    area: Normal
    p: float
    adjusted: float
    medians: tuple[float, float]
    robust_shift: float | None
    n: tuple[int, int]
    n_units: int

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "ks_p": self.p,
            "ks_p_adjusted": self.adjusted,
            "median_test": self.medians[0],
            f"median_{self.split}": self.medians[1],
            "robust_shift": self.robust_shift,
            "n_test": self.n[0],
            f"n_{self.split}": self.n[1],
        }

    def measure(self, keys: Mapping[str, str], *, name: str = "auc", **facts: str) -> Measure:
        """The area as a measure of the split that is compared with test, about `keys`."""
        return Measure(
            name=name,
            subject=Subject.about(keys, split=self.split),
            estimate=self.area,
            scale="share",
            neutral=0.5,
            better="none",
            n=self.n[1],
            n_units=self.n_units,
            facts=self.facts | facts,
        )

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Area, its interval, p-values, medians and robust shift, for a table."""
        return (*_area(self.area), self.p, self.adjusted, *self.medians, self.robust_shift)


def cell_names(split: str = "deployment") -> tuple[str, ...]:
    """What `Shifted.cells` are called where `split` is compared with test."""
    return ("area", "low", "high", "KS p", "KS p (adjusted)", "median test", f"median {split}",
            "robust shift")  # fmt: skip


def shifted(
    here: Mapping[str, Floats],
    there: Mapping[str, Floats],
    *,
    sides: Sides,
    looks: int,
    rng: np.random.Generator,
) -> dict[str, Shifted]:
    """Compare quantities by name, (n,) each; NaN are left out. Two units a side have a value.

    AUC as effect (P(X < Y), Mann & Whitney 1947, doi:10.1214/aoms/1177730491), clustered
    standard error as in `auditor.stats.auc`; Kolmogorov-Smirnov as test of any difference
    (`auditor.stats.distribution_test`), its adjusted p-values multiplied by `looks`.
    """
    at = tuple(
        whole_units(np.arange(len(side.unit)), unit=side.unit, most=MOST_TESTED, rng=rng)
        for side in (sides.here, sides.there)
    )
    values = [
        np.concatenate([here[name][at[0]], there[name][at[1]]]).astype(np.float64) for name in here
    ]
    samples = TwoSamples.of(sides.here.unit[at[0]], sides.there.unit[at[1]])
    tested = distribution_test(np.column_stack(values), samples, rng=rng)
    return {
        name: _shifted(here[name], there[name], sides, p=float(p), adjusted=min(1.0, looks * q))
        for name, p, q in zip(here, tested.p_value, tested.adjusted.tolist(), strict=True)
    }


MOST_TESTED = 2000
"""Images a side that the tests use at most, in whole units drawn at random."""


def _shifted(here: Floats, there: Floats, sides: Sides, *, p: float, adjusted: float) -> Shifted:
    has, had = np.isfinite(here), np.isfinite(there)
    units: dict[str, Any] = {}
    if sides.clustered:
        units = {"unit_a": sides.here.unit[has], "unit_b": sides.there.unit[had]}
    medians = (float(np.median(here[has])), float(np.median(there[had])))
    return Shifted(
        split=sides.there.split,
        area=auc(here[has], there[had], **units),
        p=p,
        adjusted=adjusted,
        medians=medians,
        robust_shift=_robust_shift(here[has], medians),
        n=(int(has.sum()), int(had.sum())),
        n_units=sides.there.units(had),
    )


def _area(area: Normal) -> tuple[float, float, float]:
    ends = interval(area)
    return value(area), max(ends.low, 0.0), min(ends.high, 1.0)


HIGHER = "of a deployment image is higher than in a test image in {value} of pairs"
"""Ends the sentence of an area, after what is compared; 50% is no difference."""


def forest_of_areas(id: str, *, title: str, rows: Mapping[str, Shifted], quantity: str) -> Figure:
    """Areas with their intervals, 0.5 being no difference."""
    entries = [interval_row(name, one.area, n=sum(one.n)) for name, one in rows.items()]
    farthest = max(rows, key=lambda name: abs(value(rows[name].area) - 0.5))
    split = rows[farthest].split
    return Figure(
        id=id,
        kind="forest",
        title=title,
        caption=f"How often {_A[split]} image has a higher {quantity} than a test image, over "
        "all pairs, with 95% intervals. 50% is no difference.",
        alt=f"Intervals for {len(entries)} rows; farthest from 50%: {farthest} at "
        f"{100 * value(rows[farthest].area):.0f}%.",
        x=Axis(f"pairs where {_A[split]} image has more", "share"),
        y=Axis(quantity),
        rows=tuple(entries),
    )


_A = {"deployment": "a deployment", "train": "a training"}


def histogram_rows(test: Floats, deployment: Floats) -> tuple[dict[str, Cell], ...]:
    """Shares of both samples in common bins; the outer bins take the outermost half per cent."""
    both = np.concatenate([test[np.isfinite(test)], deployment[np.isfinite(deployment)]])
    low, high = np.quantile(both, [0.005, 0.995])
    if low == high:
        low, high = both.min(), both.max()
    edges = np.linspace(low, high, _BINS + 1)
    rows: list[dict[str, Cell]] = []
    for series, values in (("test", test), ("deployment", deployment)):
        finite = values[np.isfinite(values)]
        share = np.histogram(np.clip(finite, low, high), bins=edges)[0] / len(finite)
        rows += [
            {"left": float(a), "right": float(b), "value": float(v), "series": series}
            for a, b, v in zip(edges, edges[1:], share, strict=False)
        ]
    return tuple(rows)


def _robust_shift(test: Floats, medians: tuple[float, float]) -> float | None:
    spread = 1.4826 * float(np.median(np.abs(test - medians[0])))
    if spread == 0:
        spread = float(test.std())
    if not spread > 0 or not math.isfinite(spread):
        return None
    return (medians[1] - medians[0]) / spread
