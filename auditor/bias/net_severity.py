"""How severely an annotator grades a group: net shares graded up, compared among like images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats import Normal
from auditor.stats.effective import UnitSizes, effective_units

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SeverityScale:
    """How severe each class is, (classes,), and what a more severe label is, in words."""

    severity: Floats
    meaning: str


def scale_of(
    classes: Sequence[str], *, adverse: Sequence[str], ordinal: bool
) -> SeverityScale | None:
    """The scale of severity of classes; None where nothing says which is worse.

    Declared grades rise in the order of the classes, or fall where the first class is adverse and
    the last is not. Else an adverse class is more severe than any other.
    """
    harms = np.array([name in adverse for name in classes])
    if ordinal:
        rising = bool(harms[-1] or not harms[0])
        order = np.arange(len(classes), dtype=np.float64)
        first, last = (classes[0], classes[-1]) if rising else (classes[-1], classes[0])
        return SeverityScale(
            order if rising else -order, f"a grade nearer to {last} than to {first}"
        )
    if harms.any() and not harms.all():
        named = " or ".join(name for name in classes if name in adverse)
        return SeverityScale(harms.astype(np.float64), f"{named} in place of another class")
    return None


@dataclass(frozen=True)
class Compared:
    """A group's net share graded up minus the rest's, and the images (n,) it was taken from."""

    estimate: Normal
    taken: Mask


def comparable(member: Mask, stratum: Codes) -> Mask:
    """Images (n,) of strata that hold images of the group and of the rest."""
    size = int(stratum.max(initial=0)) + 1
    inside = np.bincount(stratum[member], minlength=size)
    rest = np.bincount(stratum[~member], minlength=size)
    both: Mask = ((inside > 0) & (rest > 0))[stratum]
    return both


def net_difference(
    up: Floats, down: Floats, *, member: Mask, stratum: Codes, unit: Codes | None
) -> Compared:
    """Share graded up less share graded down, of the group minus of the rest, within strata.

    Where the reference's own grade is a stratum, annotators who err alike everywhere show no
    difference between groups of other composition: who stands on the highest grade cannot be
    graded up. Strata are weighed as Mantel & Haenszel (1959, doi:10.1093/jnci/22.4.719) weigh
    them; images without a counterpart are left out. The standard error is that of Bonett & Price
    (2012, doi:10.3102/1076998611411915) for a net share, with one image more on either side, so
    that no sample without a disagreement claims certainty; counts are effective ones of weights
    and units (as in `auditor.stats.clusters`), degrees of freedom Satterthwaite's.

    Parameters
    ----------
    up, down : (n,) 0 to 1, how far the image was graded up and down.
    member : (n,) bool, True in the group; two units or more on either side.
    stratum : (n,) codes; images are compared with those of the same one.
    unit : (n,) whole numbers from 0, None where every image is its own.
    """
    taken = comparable(member, stratum)
    owner = np.arange(len(up)) if unit is None else unit
    weight = _weights(member[taken], stratum[taken])
    sides = [
        _Side.of(
            up[taken], down[taken], weight=np.where(inside, weight, 0.0), inside=inside,
            stratum=stratum[taken], owner=owner[taken],
        )
        for inside in (member[taken], ~member[taken])
    ]  # fmt: skip
    group, rest = sides
    deff = 1.0 if unit is None else _design_effect(group, rest, weight, owner[taken])
    parts = [side.variance(deff) for side in sides]
    df = sum(parts) ** 2 / sum(
        part**2 / (side.units - 1) for part, side in zip(parts, sides, strict=True)
    )
    return Compared(Normal(group.net - rest.net, math.sqrt(sum(parts)), df), taken)


def _weights(member: Mask, stratum: Codes) -> Floats:
    """Weight of each image, so that those of either side sum to 1."""
    size = int(stratum.max()) + 1
    inside = np.bincount(stratum[member], minlength=size)
    rest = np.bincount(stratum[~member], minlength=size)
    shared = inside * rest / np.maximum(inside + rest, 1)
    own = np.where(member, inside[stratum], rest[stratum])
    weights: Floats = shared[stratum] / own / shared.sum()
    return weights


@dataclass(frozen=True)
class _Side:
    """One side: net, up and down shares, Kish's size, effective units, residuals by image."""

    up: float
    down: float
    size: float
    units: float
    residual: Floats

    @classmethod
    def of(
        cls, up: Floats, down: Floats, *, weight: Floats, inside: Mask, stratum: Codes,
        owner: Codes,
    ) -> _Side:  # fmt: skip
        net = up - down
        count = np.maximum(np.bincount(stratum[inside], minlength=int(stratum.max()) + 1), 1)
        mean = np.bincount(stratum[inside], weights=net[inside], minlength=len(count)) / count
        residual = weight * (net - mean[stratum])
        sums, images = np.bincount(owner, weights=residual), np.bincount(owner[inside])
        units = effective_units(
            UnitSizes.of(images),
            spread=float(sums @ sums),
            independent=float(residual @ residual),
        )
        return cls(
            up=min(float(weight @ up), 1.0),
            down=min(float(weight @ down), 1.0),
            size=float(1 / (weight @ weight)),
            units=units,
            residual=residual,
        )

    @property
    def net(self) -> float:
        return self.up - self.down

    def variance(self, deff: float) -> float:
        n = self.size / deff
        up, down = ((share * n + 1) / (n + 2) for share in (self.up, self.down))
        return (up + down - (up - down) ** 2) / (n + 2)


def _design_effect(group: _Side, rest: _Side, weight: Floats, owner: Codes) -> float:
    sums = [
        math.sqrt(side.units / (side.units - 1)) * np.bincount(owner, weights=side.residual)
        for side in (group, rest)
    ]
    independent = float(group.residual @ group.residual + rest.residual @ rest.residual)
    # Residuals of a constant are roundings, not variation: then units are taken as all alike.
    if independent <= 1e-24:
        by_unit = np.bincount(owner, weights=weight)
        return max(1.0, float(by_unit @ by_unit) / float(weight @ weight))
    clustered = sums[0] - sums[1]
    return max(1.0, float(clustered @ clustered) / independent)
