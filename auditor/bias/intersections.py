"""bias/intersections: whether those who belong to two groups at once are answered worse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, ClassVar

import numpy as np

from auditor.bias.adjustment import Adjustment, adjusted_difference, adjusted_table
from auditor.bias.crossing import Crossing
from auditor.bias.groups import Contrast, condition_codes
from auditor.bias.interaction import BeyondParents, beyond_parents
from auditor.bias.shrinkage import Shrunk, shrunk
from auditor.contract import Available, Check, Evidence, Need, Predictions, Truth, Unmet
from auditor.data.dataset import Attribute
from auditor.errors import SpecError
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import (
    MIN_UNITS,
    count_units,
    percent,
    points,
    points_text,
    rate_details,
    rate_text,
    unit_codes,
    worst_first,
)
from auditor.scoring.outcomes import Outcomes
from auditor.stats import RateDifference, interval, rate, rate_difference, value

MAX_SHOWN = 12
"""Cells that the figure shows."""


@dataclass(frozen=True)
class TwoAttributes(Need):
    """At least two declared attributes."""

    def unmet(self, available: Available) -> Unmet | None:
        dataset = available.datasets.get("test")
        found = () if dataset is None else dataset.attributes
        if len(found) >= 2:
            return None
        named = f"only one attribute, {found[0].name}" if found else "no attribute"
        return Unmet(
            reason=f"The test data declare {named}: there are no two to combine.",
            remedy="Declare at least two columns that group the images under `data.attributes`.",
        )


@dataclass(frozen=True)
class Intersections(Check):
    """Accuracy of those in two groups at once (old and dark) against all other images.

    What it measures
    ----------------
    For every pair of declared attributes and every cell of the two (and of three, with
    ``order: 3``): accuracy of the cell's images minus that of all other images with a value of
    both. Beside it, what the two groups by themselves would lead one to expect, had their
    effects added up: old elsewhere plus dark elsewhere minus neither. Cells that are the whole
    of one of their groups are left to bias/subgroup-gap. A cell that is shown to be worse is
    compared also among images alike in each other condition (not where small cells are pooled:
    counts by three attributes would give them away). For the ranking, not for a verdict, small
    cells are drawn towards the mean of all cells of their pair (empirical Bayes).

    Why it matters
    --------------
    A model can serve old buildings well and dark photos well, and still fail on dark photos of
    old buildings. Neither group's own number shows it.

    How it can mislead
    ------------------
    There are many cells, and the worst of many looks bad by luck: ``family`` in the details
    says how many were compared, the limit allows for all of them, and the ranking is by drawn-in
    rates. A cell that is far below the rest may be so only because one of its groups is: read
    what its groups would lead one to expect. Whether effects "add up" depends on the scale; on
    that of ratios another cell may stand out. Cells with fewer than ten units are counted, not
    measured, and those are often the people who matter.
    """

    id: ClassVar[str] = "bias/intersections"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), TwoAttributes())
    sources: ClassVar[tuple[str, ...]] = (
        "Crenshaw (1989), chicagounbound.uchicago.edu/uclf/vol1989/iss1/8 (intersectionality)",
        "Kearns, Neel, Roth & Wu (2018), arXiv:1711.05144 (fairness gerrymandering)",
        "Kleinman (1973), doi:10.1080/01621459.1973.10481332 (shrinkage)",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (adjusted gaps)",
        "VanderWeele & Knol (2014), doi:10.1515/em-2013-0005 (additive interaction)",
        "Zou, Huang & Zhang (2009), doi:10.1016/j.csda.2008.09.033 (interval of the interaction)",
    )

    order: Annotated[int, "How many attributes are combined at most: 2, or 3 on demand."] = 2
    attributes: Annotated[
        tuple[str, ...], "Names of the attributes to combine; all where none is named."
    ] = ()

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.outcomes().with_labels()
        found: list[_Compared] = []
        for crossing in self._crossings(outcomes):
            found.extend(_compared(crossing))
            small = _too_small(crossing)
            if small is not None:
                yield small
        found.sort(key=lambda one: one.shrunk.value)
        measures = [_measure(one, rank, family=len(found)) for rank, one in enumerate(found, 1)]
        yield from measures
        if found:
            yield _table(found)
            yield _forest(found)
        yield from adjusted_table(self.id, measures)

    def _crossings(self, outcomes: Outcomes) -> Iterator[Crossing]:
        if self.order not in (2, 3):
            raise SpecError(
                f"bias/intersections: found order {self.order}, expected 2 or 3. Cells of more "
                "attributes have too few images to say anything."
            )
        chosen = _chosen(outcomes.attributes, self.attributes)
        # Of all attributes or of none: `data.smallest_cell` is one number.
        pooled = any(a.smallest is not None for a in chosen)
        if self.order > 2 and pooled:
            raise SpecError(
                "bias/intersections: found order 3 beside data.smallest_cell, expected order 2. "
                "Cells of three attributes would give small cells of two away."
            )
        # Codes once: comparing names, once a cell, would take most of the time.
        unit = None if outcomes.units is None else unit_codes(outcomes.units)
        conditions = {} if pooled else condition_codes(outcomes)
        for size in range(2, self.order + 1):
            for attributes in combinations(chosen, size):
                own = outcomes if size > 2 else outcomes.crossed(*(a.name for a in attributes))
                crossed = tuple(own.dataset.attribute(a.name) for a in attributes)
                yield Crossing.of(own, crossed, unit, conditions)


def _chosen(declared: tuple[Attribute, ...], names: tuple[str, ...]) -> tuple[Attribute, ...]:
    unknown = sorted(set(names) - {a.name for a in declared})
    if unknown:
        raise SpecError(
            f"bias/intersections: found attribute {unknown[0]!r}, expected one of "
            f"{', '.join(a.name for a in declared)}. Correct `attributes` of this check."
        )
    return tuple(a for a in declared if not names or a.name in names)


@dataclass(frozen=True)
class _Compared:
    """A cell beside all other images; `shrunk` is for ranking and display."""

    crossing: Crossing
    cell: int
    estimate: RateDifference
    parents: BeyondParents | None
    shrunk: Shrunk

    @property
    def inside(self) -> np.ndarray:
        mask: np.ndarray = self.crossing.cell == self.cell
        return mask

    @property
    def adjusted(self) -> Adjustment:
        """The gap of a cell that is shown to be worse, among images alike in another condition."""
        shown = interval(self.estimate).high < 0
        crossing = self.crossing
        contrast = Contrast(self.inside, crossing.unit, crossing.controls if shown else {})
        return adjusted_difference(contrast, crossing.outcomes.correct, gap=self.estimate)

    @property
    def keys(self) -> dict[str, str]:
        names = (a.name for a in self.crossing.attributes)
        return dict(zip(names, self.crossing.groups_of(self.cell), strict=True))

    @property
    def said(self) -> str:
        return " and ".join(f"{group} ({name})" for name, group in self.keys.items())


def _compared(crossing: Crossing) -> list[_Compared]:
    """The measurable cells of a crossing, their rates drawn towards each other's."""
    right, unit, cells = crossing.outcomes.correct, crossing.unit, crossing.measurable
    if not cells:
        return []
    gaps = [rate_difference(right, member=crossing.cell == cell, unit=unit) for cell in cells]
    drawn = shrunk([gap.x for gap in gaps], n=[gap.n for gap in gaps])
    parents = [beyond_parents(right, members=crossing.members(cell), unit=unit) for cell in cells]
    found = zip(cells, gaps, parents, drawn, strict=True)
    return [_Compared(crossing, *one) for one in found]


def _measure(one: _Compared, rank: int, *, family: int) -> Measure:
    outcomes, unit, inside = one.crossing.outcomes, one.crossing.unit, one.inside
    own, rest = (
        rate(outcomes.correct[side], unit=None if unit is None else unit[side])
        for side in (inside, ~inside)
    )
    n, n_rest = int(inside.sum()), int((~inside).sum())
    adjusted = one.adjusted
    return Measure(
        name="accuracy",
        subject=Subject.about(one.keys, split="test"),
        estimate=one.estimate,
        unit="share",
        better="higher",
        n=n,
        n_units=None if unit is None else count_units(inside, unit),
        examples=worst_first(
            outcomes.image_ids, badness=outcomes.confidence, among=inside & ~outcomes.correct
        ),
        details={
            "rate": rate_details(own, n=n),
            "rest": rate_details(rest, n=n_rest),
            "expected": None if one.parents is None else one.parents.expected,
            "beyond_parents": None
            if one.parents is None
            else {"value": one.parents.beyond, "low": one.parents.low, "high": one.parents.high},
            "shrunk": {"value": one.shrunk.value, "low": one.shrunk.low, "high": one.shrunk.high},
            "rank": rank,
            "family": family,
            "adjusted": list(adjusted.entries),
            "sentence": f"Accuracy, {one.said}: {rate_text(own, n=n)}; all others "
            f"{rate_text(rest, n=n_rest)}; {points_text(one.estimate)}.{_parents_text(one)}"
            f"{adjusted.clause}",
        },
    )


def _parents_text(one: _Compared) -> str:
    """What the groups by themselves would lead one to expect, of a cell below the rest.

    Where one cell is bad, all others of a table differ from what adding up gives; to say so of
    cells that are well served would only confuse.
    """
    if value(one.estimate) >= 0:
        return ""
    groups = one.crossing.groups_of(one.cell)
    listed = f"{', '.join(groups[:-1])} and {groups[-1]}"
    found = one.parents
    if found is None:
        return f" Too few images of {listed} apart to say what each by itself would explain."
    expected = percent(min(max(found.expected, 0.0), 1.0))
    each = "each by itself" if len(groups) == 2 else "each and every two of them"
    start = f" What {listed}, {each}, would lead one to expect is {expected}%"
    if found.low <= 0 <= found.high:
        return f"{start}; the difference from that may be luck."
    worse = found.beyond < 0
    ends = (-found.high, -found.low) if worse else (found.low, found.high)
    said = "worse" if worse else "better"
    return (
        f"{start}: together they are {points(abs(found.beyond))} points {said} than that "
        f"[{points(ends[0])}, {points(ends[1])}]."
    )


def _too_small(crossing: Crossing) -> Unmeasured | None:
    """One reason for all cells of a crossing with too few units; None where there are none."""
    units = crossing.units_in()
    cells, small = len(units), int((units < MIN_UNITS).sum())
    if not small:
        return None
    empty = int((units == 0).sum())
    names = " and ".join(a.name for a in crossing.attributes)
    noun = "images" if crossing.unit is None else "units"
    without = f", {empty} of them without any image" if empty else ""
    most = [crossing.groups_of(int(c)) for c in np.argsort(-units, kind="stable")
            if 0 < units[c] < MIN_UNITS][:3]  # fmt: skip
    such = f" (such as {'; '.join(' and '.join(groups) for groups in most)})" if most else ""
    return Unmeasured(
        name="accuracy",
        subject=Subject.of(split="test", crossing=" x ".join(a.name for a in crossing.attributes)),
        reason=f"{small} of {cells} combinations of {names} have fewer than {MIN_UNITS} "
        f"{noun}{such}{without}: nothing can be said of them.",
        remedy=f"Collect at least {MIN_UNITS} {noun} of each combination that occurs where the "
        "model will run; a verdict will need more than that.",
    )


def _table(found: list[_Compared]) -> Table:
    names = ("rank", "cell", "images", "units", "accuracy", "low", "high", "difference",
             "difference low", "difference high", "expected from its groups", "beyond that",
             "beyond low", "beyond high", "drawn-in accuracy")  # fmt: skip
    return Table(
        id="bias/intersections:cells",
        title="Accuracy of every combination of groups, lowest drawn-in accuracy first",
        columns=tuple(Column(n, "" if n in names[:4] else "share") for n in names),
        rows=tuple(_row(rank, one) for rank, one in enumerate(found, start=1)),
    )


def _row(rank: int, one: _Compared) -> tuple[Cell, ...]:
    inside, unit, parents = one.inside, one.crossing.unit, one.parents
    own = rate(one.crossing.outcomes.correct[inside], unit=None if unit is None else unit[inside])
    ends, gap = interval(own), interval(one.estimate)
    expected: tuple[Cell, ...] = (None, None, None, None)
    if parents is not None:
        expected = (parents.expected, parents.beyond, parents.low, parents.high)
    return (
        rank,
        ", ".join(f"{name}={group}" for name, group in one.keys.items()),
        int(inside.sum()),
        None if unit is None else count_units(inside, unit),
        value(own),
        ends.low,
        ends.high,
        value(one.estimate),
        gap.low,
        gap.high,
        *expected,
        one.shrunk.value,
    )


def _forest(found: list[_Compared]) -> Figure:
    worst = found[:MAX_SHOWN]
    rows: list[dict[str, Cell]] = []
    for one in worst:
        label = ", ".join(one.crossing.groups_of(one.cell))
        n = int(one.inside.sum())
        drawn = one.shrunk
        rows.append(
            {"label": label, "value": drawn.value, "low": drawn.low, "high": drawn.high, "n": n}
        )
    return Figure(
        id="bias/intersections:lowest",
        kind="forest",
        title="Combinations of groups that rank lowest",
        caption=f"Accuracy of the {len(worst)} lowest of {len(found)} combinations, drawn towards "
        "the mean of its pair so that small ones do not lead by luck, with the middle 95%. For "
        "the ranking only; the differences that count are in the table.",
        alt=f"Lowest: {worst[0].said}, {percent(worst[0].shrunk.value)}%; highest shown: "
        f"{worst[-1].said}, {percent(worst[-1].shrunk.value)}%.",
        x=Axis("accuracy, drawn in", "share"),
        y=Axis("combination"),
        rows=tuple(rows),
    )
