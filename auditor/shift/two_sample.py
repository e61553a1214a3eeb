"""How a quantity differs between test and deployment images, one number an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.contract import Evidence
from auditor.data.dataset import Dataset
from auditor.findings import Axis, Cell, Figure, Measure, Subject, Unmeasured
from auditor.stats import Normal, auc, holm, interval, value

MIN_UNITS = 30
"""Fewer independent units than this a side, and samples of one source differ by luck."""

MOST_COPIES = 0.05
"""Share of the deployment images that may be changed copies of test images."""

_BINS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sampled:
    """The images of one side: unit codes (n,), and one image of each unit, drawn at random.

    Where the manifest names no unit every image is its own.
    """

    unit: NDArray[np.int64]
    has_units: bool
    one_a_unit: NDArray[np.bool_]

    @classmethod
    def of(cls, dataset: Dataset, *, rng: np.random.Generator) -> Sampled:
        names = dataset.units
        n = len(dataset)
        if names is None:
            return cls(np.arange(n), False, np.ones(n, dtype=bool))
        unit = np.unique(names.astype(str), return_inverse=True)[1]
        shuffled = rng.permutation(n)
        first = np.unique(unit[shuffled], return_index=True)[1]
        chosen = np.zeros(n, dtype=bool)
        chosen[shuffled[first]] = True
        return cls(unit, True, chosen)

    def units(self, keep: NDArray[np.bool_] | None = None) -> int:
        return len(np.unique(self.unit if keep is None else self.unit[keep]))


@dataclass(frozen=True)
class Sides:
    """Both samples, images in the order of their values."""

    test: Sampled
    deployment: Sampled

    @classmethod
    def of(cls, test: Dataset, deployment: Dataset, *, rng: np.random.Generator) -> Sides:
        return cls(Sampled.of(test, rng=rng), Sampled.of(deployment, rng=rng))

    @property
    def noun(self) -> str:
        return "units" if self.test.has_units or self.deployment.has_units else "images"

    @property
    def has_units(self) -> bool:
        return self.test.has_units or self.deployment.has_units

    def too_few(
        self,
        name: str,
        subject: Subject,
        *,
        among: str = "",
        test: NDArray[np.bool_] | None = None,
        deployment: NDArray[np.bool_] | None = None,
    ) -> Unmeasured | None:
        """Why there is no comparison, when a side (under its mask) has too few units."""
        found = {"test": self.test.units(test), "deployment": self.deployment.units(deployment)}
        short = {side: n for side, n in found.items() if n < MIN_UNITS}
        if not short:
            return None
        had = " and ".join(f"{n} {side} {self.noun}" for side, n in short.items())
        more = " and ".join(f"{MIN_UNITS - n} more {side} {self.noun}" for side, n in short.items())
        return Unmeasured(
            name=name,
            subject=subject,
            reason=f"Only {had}{among}: fewer than {MIN_UNITS} differ from any others by luck.",
            remedy=f"Add at least {more}.",
        )


def same_images(evidence: Evidence, name: str) -> Unmeasured | None:
    """Why there is no comparison, when deployment images are copies of test images."""
    soundness = evidence.soundness()
    test, deployment = (soundness.photographs[s][soundness.keep(s)] for s in ("test", "deployment"))
    copies = int(np.isin(deployment, test).sum())
    if copies <= MOST_COPIES * len(deployment):
        return None
    return Unmeasured(
        name=name,
        subject=Subject(split="deployment"),
        reason=f"{copies} of {len(deployment)} deployment images are changed copies of test "
        "images: they cannot show how deployment differs.",
        remedy="Give images from where it will run that are not test images, or set copies "
        "apart with `data.duplicates: {near: set-apart}`.",
    )


@dataclass(frozen=True)
class Shifted:
    """A quantity compared.

    `area` is P(test < deployment), ties half; `p` the Kolmogorov-Smirnov test's on one image a
    unit, `adjusted` after Holm (set by `adjust`); `robust_shift` the medians' difference in
    robust standard deviations of the test images, None where these do not vary.
    """

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
            "ks_p_holm": self.adjusted,
            "median_test": self.medians[0],
            "median_deployment": self.medians[1],
            "robust_shift": self.robust_shift,
            "n_test": self.n[0],
            "n_deployment": self.n[1],
        }

    def measure(self, keys: Mapping[str, str], **facts: str) -> Measure:
        """The area as a measure of deployment, about `keys`."""
        return Measure(
            name="auc",
            subject=Subject.about(keys, split="deployment"),
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


CELL_NAMES = ("area", "low", "high", "KS p", "KS p (Holm)", "median test", "median deployment",
              "robust shift")  # fmt: skip


def shifted(test: Floats, deployment: Floats, *, sides: Sides) -> Shifted:
    """Compare one quantity; NaN are left out. Each side needs two units with a value, or more.

    AUC as effect (P(X < Y), Mann & Whitney 1947, doi:10.1214/aoms/1177730491), clustered
    standard error as in `auditor.stats.auc`; Kolmogorov-Smirnov as test of any difference, on
    one image a unit, since bursts of near-copies make it reject every time.
    """
    from scipy.stats import ks_2samp

    has, had = np.isfinite(test), np.isfinite(deployment)
    units: dict[str, Any] = {}
    if sides.has_units:
        units = {"unit_a": sides.test.unit[has], "unit_b": sides.deployment.unit[had]}
    area = auc(test[has], deployment[had], **units)
    single, singles = has & sides.test.one_a_unit, had & sides.deployment.one_a_unit
    # The exact null distribution is slow, and its calculation may fail, from some thousand on.
    p = float(ks_2samp(test[single], deployment[singles], method="asymp").pvalue)
    medians = (float(np.median(test[has])), float(np.median(deployment[had])))
    return Shifted(
        area=area,
        p=p,
        adjusted=p,
        medians=medians,
        robust_shift=_robust_shift(test[has], medians),
        n=(int(has.sum()), int(had.sum())),
        n_units=sides.deployment.units(had),
    )


def adjust(found: Mapping[str, Shifted]) -> dict[str, Shifted]:
    """The same with Holm-adjusted p-values over all of them."""
    adjusted = holm([s.p for s in found.values()])
    return {
        name: replace(s, adjusted=p) for (name, s), p in zip(found.items(), adjusted, strict=True)
    }


def _area(area: Normal) -> tuple[float, float, float]:
    ends = interval(area)
    return value(area), max(ends.low, 0.0), min(ends.high, 1.0)


HIGHER = "of a deployment image is higher than in a test image in {value} of pairs"
"""Ends the sentence of an area, after what is compared; 50% is no difference."""


def forest_of_areas(id: str, *, title: str, rows: Mapping[str, Shifted], quantity: str) -> Figure:
    """Areas with their intervals, 0.5 being no difference."""
    entries: list[dict[str, Cell]] = []
    for name, one in rows.items():
        point, low, high = _area(one.area)
        entries.append({"label": name, "value": point, "low": low, "high": high, "n": sum(one.n)})
    farthest = max(rows, key=lambda name: abs(value(rows[name].area) - 0.5))
    return Figure(
        id=id,
        kind="forest",
        title=title,
        caption=f"How often a deployment image has a higher {quantity} than a test image, over "
        "all pairs, with 95% intervals. 50% is no difference.",
        alt=f"Intervals for {len(entries)} rows; farthest from 50%: {farthest} at "
        f"{100 * value(rows[farthest].area):.0f}%.",
        x=Axis("P(test < deployment)", "probability"),
        y=Axis(quantity),
        rows=tuple(entries),
    )


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
