"""Cells of two columns (group by label, group by group) and whether they hold enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from auditor.scoring.comparison import MIN_UNITS

_MOST = 1e9
"""No number of images is looked for beyond this."""


@dataclass(frozen=True)
class Named:
    """A column and the names that it has."""

    column: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Coded(Named):
    """A column as places in `names`, (n,) whole numbers, -1 where an image has no value."""

    codes: np.ndarray

    def take(self, at: np.ndarray) -> Coded:
        """The images at the positions `at`."""
        return Coded(self.column, self.names, self.codes[at])


@dataclass(frozen=True)
class Cells:
    """Images and units of every cell of two columns, (rows, columns) int64 each.

    `clustered` says that units hold several images; else they are the images.
    """

    rows: Named
    columns: Named
    images: np.ndarray
    units: np.ndarray
    clustered: bool


def cells(rows: Coded, columns: Coded, *, unit: np.ndarray | None) -> Cells:
    """Count the images that have both; `unit` (n,) int64 codes, None where images are units."""
    shape = (len(rows.names), len(columns.names))
    known = (rows.codes >= 0) & (columns.codes >= 0)
    cell = rows.codes[known].astype(np.int64) * shape[1] + columns.codes[known]
    images = np.bincount(cell, minlength=shape[0] * shape[1])
    units = images
    if unit is not None and len(cell):
        size = int(unit.max()) + 1
        # Sorting beats np.unique, which hashes, ten times over where nearly all are distinct.
        cell *= size
        cell += unit[known]
        cell.sort()
        first = np.append(True, cell[1:] != cell[:-1])
        units = np.bincount(cell[first] // size, minlength=shape[0] * shape[1])
    named, across = (Named(of.column, of.names) for of in (rows, columns))
    return Cells(
        named, across, images.reshape(shape), units.reshape(shape), clustered=unit is not None
    )


@dataclass(frozen=True)
class Wanted:
    """What a cell must be able to show: a gap of `gap`, beyond the `limit`, with power 80%.

    One-sided at 5% over `comparisons`, the shares of right answers being near `rate`. Numbers
    are effective counts; `df_each` are the degrees of freedom that each of them brings where
    units are clusters, None where they are not.
    """

    limit: float
    gap: float
    rate: np.ndarray | float
    comparisons: int = 1

    def shown_by(
        self, n: np.ndarray, n_rest: np.ndarray, *, df_each: np.ndarray | None = None
    ) -> np.ndarray:
        """Whether so many in a cell, and in the rest, would show it; as `smallest_excess`."""
        z_alpha, z_power = (
            ndtri(p) if df_each is None else stdtrit(np.maximum(df_each * n, 1.0), p)
            for p in (1 - 0.05 / self.comparisons, 0.8)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            rest = _variance(self.rate) / n_rest
            at_limit = np.sqrt(_variance(self.rate - self.limit) / n + rest)
            at_gap = np.sqrt(_variance(self.rate - self.gap) / n + rest)
            needed = z_alpha * at_limit + z_power * at_gap
        shown: np.ndarray = (n > 0) & (n_rest > 0) & (needed <= self.gap - self.limit)
        return shown

    def least(self, n_rest: np.ndarray, *, df_each: np.ndarray | None = None) -> np.ndarray:
        """The least in a cell that would show it beside such a rest; inf where none would."""
        low, high = np.zeros(n_rest.shape), np.full(n_rest.shape, _MOST)
        found = self.shown_by(high, n_rest, df_each=df_each)
        for _ in range(60):
            middle = (low + high) / 2
            enough = self.shown_by(middle, n_rest, df_each=df_each)
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(found, high, np.inf)


def _variance(p: np.ndarray | float) -> np.ndarray:
    inside = np.clip(p, 0.0, 1.0)
    variance: np.ndarray = np.asarray(inside * (1 - inside))
    return variance


@dataclass(frozen=True)
class Decidable:
    """Which cells could decide, all (rows, columns): `enough`, and how many `more` units would.

    `more` is infinite where the rest is too small for any number to decide, and 0 where there
    is enough.
    """

    cells: Cells
    enough: np.ndarray
    more: np.ndarray

    @property
    def empty(self) -> np.ndarray:
        found: np.ndarray = self.cells.images == 0
        return found


def decidable(counted: Cells, *, rest_over: int | None, wanted: Wanted, deff: float) -> Decidable:
    """Which cells are large enough to be compared with the rest.

    Parameters
    ----------
    rest_over : the axis whose sum a cell's rest is of (0: the other rows of its column), None
        for all other cells.
    deff : images to one independent image (design effect); a unit counts as one at least.
    """
    images, units = counted.images, counted.units
    effective = np.maximum(units, images / deff)
    keep = rest_over is not None
    rest = effective.sum(axis=rest_over, keepdims=keep) - effective
    units_rest = units.sum(axis=rest_over, keepdims=keep) - units
    # An empty cell's images are taken to come as all others do, so many to a unit.
    as_others = max(float(effective.sum()), 1.0) / max(int(units.sum()), 1)
    per_unit = np.where(units > 0, effective / np.maximum(units, 1), as_others)
    df_each = 1 / per_unit if counted.clustered else None
    comparable = (units >= MIN_UNITS) & (units_rest >= MIN_UNITS)
    enough = wanted.shown_by(effective, rest, df_each=df_each) & comparable
    least = wanted.least(rest, df_each=df_each) / per_unit
    more = np.maximum(np.maximum(np.ceil(least - 1e-9), MIN_UNITS) - units, 0.0)
    more = np.where(units_rest < MIN_UNITS, np.inf, np.where(enough, 0.0, more))
    return Decidable(counted, enough, more)
