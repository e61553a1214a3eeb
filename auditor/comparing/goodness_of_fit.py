"""Goodness of fit: whether a whole composition fits declared shares, or another split's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc

from auditor.comparing.composition import Composition
from auditor.stats import g_test


@dataclass(frozen=True)
class GoodnessOfFit:
    """A test of a whole composition: likelihood-ratio statistic, degrees of freedom, p-value.

    Where images of one unit resemble each other, statistic and degrees of freedom are those
    after correction for it.
    """

    statistic: float
    df: float
    p_value: float


def fit_to_shares(here: Composition, shares: Mapping[str, float]) -> GoodnessOfFit | None:
    """G-test of a composition against shares; None with fewer than two groups, or no image.

    Groups without a share above 0 are left out. With units that span groups, Rao & Scott's
    second-order correction (1984, doi:10.1214/aos/1176346391) with Thomas & Rao's F reference
    (1987, J. Am. Stat. Assoc. 82, 630-636).
    """
    named = [g for g in here.groups if shares.get(g, 0) > 0]
    kept = np.isin(here.codes, [here.groups.index(g) for g in named])
    if len(named) < 2 or not kept.any():
        return None
    expected = np.array([shares[g] for g in named])
    expected = expected / expected.sum()
    counts = np.array([here.counts[here.groups.index(g)] for g in named])
    found = g_test(counts, expected=expected)
    if here.unit is None:
        return GoodnessOfFit(found.statistic, found.df, found.p_value)
    spread = _spread(here, named, kept)
    return _corrected(found.statistic, spread, expected, per=1 / int(kept.sum()))


def fit_of_splits(here: Composition, there: Composition) -> GoodnessOfFit | None:
    """G-test that two splits have one composition; corrections as `fit_to_shares`."""
    tables = np.stack([here.counts, there.counts])
    seen = tables.sum(axis=0) > 0
    if seen.sum() < 2 or not tables.any(axis=1).all():
        return None
    tables = tables[:, seen]
    found = g_test(tables)
    if here.unit is None and there.unit is None:
        return GoodnessOfFit(found.statistic, found.df, found.p_value)
    named = [g for g, there_is in zip(here.groups, seen, strict=True) if there_is]
    spreads = [_spread(c, named, np.ones(c.n, dtype=bool)) for c in (here, there)]
    pooled = tables.sum(axis=0) / tables.sum()
    both = _Spread(spreads[0].covariance + spreads[1].covariance, min(s.units for s in spreads))
    return _corrected(found.statistic, both, pooled, per=1 / here.n + 1 / there.n)


@dataclass(frozen=True)
class _Spread:
    """Covariance (k - 1, k - 1) of the shares of all groups but the last, from `units` units."""

    covariance: np.ndarray
    units: int


def _spread(here: Composition, named: Sequence[str], kept: np.ndarray) -> _Spread:
    codes = here.codes[kept]
    units = (
        np.arange(len(codes))
        if here.unit is None
        else np.unique(here.unit[kept], return_inverse=True)[1]
    )
    size = int(units.max()) + 1
    residuals = np.empty((size, len(named) - 1))
    for column, group in enumerate(named[:-1]):
        inside = codes == here.groups.index(group)
        residuals[:, column] = np.bincount(units, weights=inside - inside.mean(), minlength=size)
    scale = size / max(size - 1, 1) / len(codes) ** 2
    return _Spread(scale * residuals.T @ residuals, size)


def _corrected(
    statistic: float, spread: _Spread, shares: np.ndarray, *, per: float
) -> GoodnessOfFit:
    """Rao-Scott's second-order correction of a statistic that took images for independent."""
    first = shares[:-1]
    independent = per * (np.diag(first) - np.outer(first, first))
    effects = np.linalg.eigvals(np.linalg.solve(independent, spread.covariance)).real
    mean = float(effects.mean())
    if mean <= 0:
        return GoodnessOfFit(statistic, len(first), float(chdtrc(len(first), statistic)))
    df = float(effects.sum() ** 2 / (effects**2).sum())
    # As the builders of rates do: a design effect below 1 is taken for luck.
    corrected = statistic / max(mean, 1.0) * df / len(first)
    return GoodnessOfFit(corrected, df, float(fdtrc(df, df * (spread.units - 1), corrected / df)))
