"""Numbers of two audits on the images that both have: the same images, answered twice.

A record does not say how a check made a number from rows. So quantities over the kept rows are
tried, and one is taken for a measure only where it gives the value and the number of rows that the
record of *either* audit holds. What cannot be made again in this way is compared as two samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from auditor.comparing.pairs import Pair
from auditor.engine.row_files import RunRows
from auditor.findings import Measure, RowKind, Scale
from auditor.scoring.quantities import (
    Quantity,
    amount,
    calls,
    false_negatives,
    false_positives,
    flag,
    headline,
    precision,
    recall,
)
from auditor.scoring.rows import Rows
from auditor.stats import Estimate, mean, paired_difference, sign_flips, value

MIN_SHARED = 10
"""Shared units below which nothing is compared image by image."""

_BY_CLASS = (recall, precision, false_positives, false_negatives, calls)
_CLOSE = 1e-9


@dataclass(frozen=True)
class Shared:
    """The rows of one split and kind that two audits share, and how many images each has.

    `relabelled` counts shared rows whose truth differs.
    """

    before: RunRows
    after: RunRows
    pair: Pair

    @classmethod
    def of(cls, before: RunRows, after: RunRows) -> Shared:
        """Rows are shared where the image has the same id and the same bytes in both."""
        there = {*zip(after.rows.image_ids, after.digests, strict=True)}
        here = zip(before.rows.image_ids, before.digests, strict=True)
        kept = np.array([image in there for image in here], dtype=bool)
        return cls(before, after, Pair.of(before.rows.take(kept), after.rows))

    @cached_property
    def n_units(self) -> int:
        units = self.pair.units
        return len(self.pair) if units is None else len(np.unique(units))

    @property
    def share(self) -> float:
        """The shared rows as a share of those of the audit that has more."""
        return len(self.pair) / max(len(self.before.rows), len(self.after.rows), 1)

    @cached_property
    def relabelled(self) -> int:
        differs = np.zeros(len(self.pair), dtype=bool)
        for label in self.pair.first.classes:
            if label in self.pair.second.classes:
                differs |= self.pair.first.present(label) != self.pair.second.present(label)
        return int(differs.sum())


@dataclass(frozen=True)
class PairedChange:
    """A change on shared rows, after minus before: p-value, rows and units that it rests on.

    `estimate` is of that difference, None for a ratio; `turned` counts the rows whose part in it is
    not 0.
    """

    p: float
    n: int
    n_units: int | None
    turned: int
    estimate: Estimate | None


def paired_change(before: Measure, after: Measure, shared: Shared) -> PairedChange | None:
    """The change of a measure on shared rows; None where it cannot be made from them."""
    if shared.n_units < MIN_SHARED:
        return None
    recipe = _recipe(before, after, shared)
    if recipe is None:
        return None
    first, second = (recipe.over(rows) for rows in (shared.pair.first, shared.pair.second))
    if first is None or second is None:
        return None
    return _change(first, second, shared.pair)


@dataclass(frozen=True)
class _Recipe:
    """How a measure is made from rows: a quantity's place in `_quantities`, and of whom."""

    place: int
    label: str | None
    groups: Mapping[str, str]
    scale: Scale

    def over(self, rows: Rows) -> _Made | None:
        quantities = list(_quantities(rows, self.label))
        member = _member(rows, self.groups)
        if self.place >= len(quantities) or member is None:
            return None
        return _Made.of(quantities[self.place], member, scale=self.scale)


@dataclass(frozen=True)
class _Made:
    """A measure made from rows: values (n,), who counts on this side and on the other, (n,) bool.

    `rest` is None where there is one side.
    """

    name: str
    values: np.ndarray
    here: np.ndarray
    rest: np.ndarray | None
    scale: Scale
    is_rate: bool

    @classmethod
    def of(cls, quantity: Quantity, member: _Member, *, scale: Scale) -> _Made | None:
        risk = np.ones(len(quantity.values), dtype=bool)
        risk = risk if quantity.at_risk is None else quantity.at_risk
        here, rest = risk & member.here, risk & member.rest
        two = scale in ("difference", "ratio")
        if not here.any() or (two and not rest.any()):
            return None
        values = quantity.values.astype(np.float64)
        made = cls(quantity.name, values, here, rest if two else None, scale, quantity.is_rate)
        usable = scale != "ratio" or made.mean(rest) > 0
        return made if usable else None

    def mean(self, side: np.ndarray) -> float:
        return float(self.values[side].mean())

    @property
    def value(self) -> float:
        here = self.mean(self.here)
        if self.rest is None:
            return here
        rest = self.mean(self.rest)
        return here / rest if self.scale == "ratio" else here - rest

    def fits(self, measure: Measure) -> bool:
        """Whether this is the number that the record holds."""
        stated = value(measure.estimate)
        same = math.isclose(self.value, stated, rel_tol=_CLOSE, abs_tol=_CLOSE)
        return same and measure.n == int(self.here.sum())


@dataclass(frozen=True)
class _Member:
    here: np.ndarray
    rest: np.ndarray


def _member(rows: Rows, groups: Mapping[str, str]) -> _Member | None:
    """Who is of all the groups, and who of others; None where an attribute is not there."""
    here = known = np.ones(len(rows), dtype=bool)
    for name, group in groups.items():
        if name not in {a.name for a in rows.attributes}:
            return None
        of = rows.groups(name)
        here, known = here & (of == group), known & (of != "")
    return _Member(here, known & ~here)


def _quantities(rows: Rows, label: str | None) -> Iterator[Quantity]:
    """What may be behind a measure, in an order that is the same for all rows of a kind."""
    if label is not None:
        yield from (of(rows, label) for of in _BY_CLASS)
        return
    yield headline(rows)
    yield from (flag(rows, name) for name in sorted(rows.flags))
    yield from (amount(rows, name) for name in sorted(rows.amounts))


def _recipe(before: Measure, after: Measure, shared: Shared) -> _Recipe | None:
    """The one recipe that gives both records' numbers; None where none does, or several would."""
    rows = (shared.before.rows, shared.after.rows)
    label = before.subject.get("class")
    if label is not None and any(label not in each.classes for each in rows):
        return None
    names = {a.name for a in rows[0].attributes}
    groups = {key: said for key, said in before.subject.keys if key in names}
    if before.scale in ("difference", "ratio") and not groups:
        return None
    first = _Recipe(0, label, groups, before.scale)
    fitting = []
    for place, _ in enumerate(_quantities(rows[0], label)):
        recipe = replace(first, place=place)
        made = [recipe.over(each) for each in rows]
        if all(m and m.fits(x) for m, x in zip(made, (before, after), strict=True)):
            fitting.append((recipe, made[0]))
    return _one_of(fitting, before.name)


def _one_of(fitting: list[tuple[_Recipe, _Made | None]], name: str) -> _Recipe | None:
    if len(fitting) > 1:
        # Two quantities that happen to agree: the measure's own name decides, or nothing does.
        fitting = [
            f for f in fitting if f[1] is not None and f"{name}-".startswith(f"{f[1].name}-")
        ]
    return fitting[0][0] if len(fitting) == 1 else None


def _change(first: _Made, second: _Made, pair: Pair) -> PairedChange | None:
    parts = _parts(first, second, first.here, second.here)
    if first.rest is not None and second.rest is not None:
        others = _parts(first, second, first.rest, second.rest)
        parts = None if parts is None or others is None else parts - others
    if parts is None:
        return None
    counted = first.here | second.here
    n = int(counted.sum())
    units = None if pair.units is None else len(np.unique(pair.units[counted]))
    turned = int((np.abs(parts) > 1e-12).sum())
    p = sign_flips(parts, unit=pair.units)
    return PairedChange(p, n, units, turned, _estimate(first, second, parts, pair))


def _parts(first: _Made, second: _Made, here: np.ndarray, there: np.ndarray) -> np.ndarray | None:
    """What each row adds to the difference of the two means of a side, (n,).

    About the middle of both, so that a row that only one of them counts adds what it differs by.
    Of a ratio's side in parts of that middle: the difference of logarithms, linearised.
    """
    if not here.any() or not there.any():
        return None
    middle = (first.mean(here) + second.mean(there)) / 2
    scale = middle if first.scale == "ratio" else 1.0
    if scale <= 0:
        return None
    after = np.where(there, second.values - middle, 0.0) / there.sum()
    before = np.where(here, first.values - middle, 0.0) / here.sum()
    found: np.ndarray = (after - before) / scale
    return found


def _estimate(first: _Made, second: _Made, parts: np.ndarray, pair: Pair) -> Estimate | None:
    """The difference, with what its range is computed from; None for a ratio."""
    if first.scale == "ratio":
        return None
    if first.rest is None and first.is_rate and (first.here == second.here).all():
        units = None if pair.units is None else pair.units[first.here]
        before, after = (made.values[first.here] for made in (first, second))
        return paired_difference(before, after, unit=units)
    return mean(parts * len(parts), unit=pair.units)


RowsByKind = Mapping[tuple[str, RowKind], Shared]
