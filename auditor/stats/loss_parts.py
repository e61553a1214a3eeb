"""What of a loss between two samples goes with another mix, with other images, and with neither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.resampling import unit_draws

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LEAST_UNITS = 10
"""Units of each sample that a stratum must hold for rates in it to be compared."""


@dataclass(frozen=True)
class Cells:
    """Rows of one sample: the class, the stratum, the unit and whether it is right, (n,) each."""

    label: Codes
    stratum: Codes
    unit: Codes
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class LossParts:
    """Parts of a loss, ``(1 + draws,)`` each, the value first; they sum to ``total``.

    `mix` is lost with other shares of the classes, `images` with other shares of the strata within
    them, `alike` in strata that both samples have. `overlap` is the share of both samples in these
    strata, 0-1: twice the sum of p q / (p + q).
    """

    total: Floats
    mix: Floats
    images: Floats
    alike: Floats
    overlap: float


def loss_parts(
    here: Cells, there: Cells, *, rng: np.random.Generator, draws: int = 1000
) -> LossParts:
    """The loss from one sample to another in three parts, with a bootstrap over whole units.

    As Cai, Namkoong & Yadlowsky (2025), doi:10.1287/opre.2023.0217, over strata: rates are compared
    under the distribution that both samples share, in proportion to p q / (p + q), where p are the
    shares of the strata here once its classes are weighed to be as common as there. A stratum with
    fewer than `LEAST_UNITS` units of a sample is not shared. Where none is, `alike` is NaN, and so
    is `images`. Each class of `there` occurs `here`.
    """
    shape = (
        int(max(here.label.max(), there.label.max())) + 1,
        int(max(here.stratum.max(), there.stratum.max())) + 1,
    )
    shared = np.minimum(_units(here, shape[1]), _units(there, shape[1])) >= LEAST_UNITS
    n, right = _tables(here, shape, rng, draws)
    n_there, right_there = _tables(there, shape, rng, draws)
    share = n_there.sum(axis=2) / n_there.sum(axis=(1, 2))[:, None]
    own = n.sum(axis=2) / n.sum(axis=(1, 2))[:, None]
    weight = np.divide(share, own, out=np.zeros_like(share), where=own > 0)[:, :, None]
    p, a = _by_stratum(n * weight, right * weight)
    q, b = _by_stratum(n_there, right_there)
    before = right.sum(axis=(1, 2)) / n.sum(axis=(1, 2))
    after = right_there.sum(axis=(1, 2)) / n_there.sum(axis=(1, 2))
    mixed = (p * a).sum(axis=1)
    both = np.where(shared, p * q / np.maximum(p + q, 1e-12), 0.0)
    mass = both.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = (both * (a - b)).sum(axis=1) / mass
    total = before - after
    return LossParts(total, before - mixed, mixed - after - alike, alike, float(2 * mass[0]))


def _units(cells: Cells, strata: int) -> Codes:
    """Independent units in each stratum, (strata,)."""
    width = int(cells.unit.max()) + 1
    pairs = np.unique(cells.stratum * width + cells.unit)
    found: Codes = np.bincount(pairs // width, minlength=strata)
    return found


def _tables(
    cells: Cells, shape: tuple[int, int], rng: np.random.Generator, draws: int
) -> tuple[Floats, Floats]:
    """Rows, and right ones, (1 + draws, classes, strata); the sample itself first."""
    units, unit = np.unique(cells.unit, return_inverse=True)
    width = shape[0] * shape[1]
    at = unit * width + cells.label * shape[1] + cells.stratum
    counts = np.bincount(at, minlength=len(units) * width).reshape(-1, width)
    hits = np.bincount(at, weights=cells.right, minlength=len(units) * width).reshape(-1, width)
    n = len(units)
    both = np.hstack([counts, hits])
    drawn = [times @ both for times in unit_draws(n, draws=draws, rng=rng)]
    summed = np.vstack([both.sum(axis=0), *drawn])
    rows, right = (part.reshape(-1, *shape) for part in np.hsplit(summed, 2))
    return rows, right


def _by_stratum(n: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Shares of the strata and the rate in each, (draws, strata); a rate of nothing is 0."""
    of, hits = n.sum(axis=1), right.sum(axis=1)
    rate = np.divide(hits, of, out=np.zeros_like(hits), where=of > 0)
    return of / of.sum(axis=1, keepdims=True), rate
