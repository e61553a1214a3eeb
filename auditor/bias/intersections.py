"""bias/intersections: whether those who belong to two groups at once are answered worse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.bias.crossing import Crossing
from auditor.bias.interaction import BeyondParents, beyond_parents
from auditor.bias.shrinkage import shrunk
from auditor.comparing.adjustment import adjusted_difference, adjusted_table
from auditor.comparing.against_rest import against_rest
from auditor.comparing.by_group import measure_cells, side_cells
from auditor.comparing.groups import condition_codes
from auditor.contract import Available, Check, Evidence, LabelledSplits, Need, Unmet, Words
from auditor.contract.numbers import percent
from auditor.contract.quantity_words import NAMINGS, title_of
from auditor.contract.words import EITHER_WAY
from auditor.data.dataset import Attribute
from auditor.errors import SpecError
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Question,
    Result,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS
from auditor.scoring.quantities import headline
from auditor.scoring.rows import Rows
from auditor.stats import interval, rate_difference, value

MAX_SHOWN = 12
"""Cells that the figure shows."""


_EXPECTED = (
    "Too few {rows} of {groups} apart to say what each by itself would explain{too_few_apart:if}.",
    "What {groups}, without all together, would lead one to expect is {expects:percent}; the "
    "difference from that may be luck{may_be_luck:if}.",
    "What {groups}, without all together, would lead one to expect is {expects:percent}: together "
    "they are {together:worse than that|better than that}.",
)


def _words(name: str, short: str, hundred: str, harm: str) -> tuple[Words, ...]:
    title = title_of(name)
    return (
        Words(
            title=f"{title} for {{group}}{{in_where}}, against all others",
            span=EITHER_WAY,
            short=f"{{group}}: {short}",
            sentence=(
                f"{title}{{in_where}}, {{group}}: {{this}}; all others {{other}}; {{gap}}.",
                *_EXPECTED,
            ),
            hundred=f"Of 100 {{rows}} of {{group}} {hundred}; of 100 others, {{there}}.",
            harm=harm,
        ),
        Words(
            title=f"{title} where groups of {{crossing}} meet{{in_where}}",
            short="too few {rows} where {crossing} meet",
        ),
    )


@dataclass(frozen=True)
class TwoAttributes(Need):
    """At least two declared attributes."""

    def unmet(self, available: Available) -> Unmet | None:
        dataset = available.datasets.get("test")
        found = () if dataset is None else (*dataset.attributes, *dataset.object_attributes)
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
    ``order: 3``), in the test data and in labelled deployment data: accuracy of the cell's
    images minus that of all other images with a value of both. Beside it, what the two groups by
    themselves would lead one to expect, had their effects added up (additive interaction): old
    elsewhere plus dark elsewhere minus neither. Cells that are the whole of one of their groups
    are left to bias/subgroup-gap. Of a detector the share of objects found stands for accuracy,
    and objects' own groups (small, occluded) are combined too; of a segmenter, the share of images
    that overlap the truth by half or more (IoU). A cell that is shown to be worse is compared also
    among images alike in each other condition (not where small cells are pooled: counts by three
    attributes would give them away). For the ranking, not for a verdict, the accuracy of small
    cells is shrunken towards the mean of all cells of their pair (empirical Bayes).

    Why it matters
    --------------
    A model can serve old buildings well and dark photos well, and still fail on dark photos of
    old buildings. Neither group's own number shows it.

    How it can mislead
    ------------------
    There are many cells, and the worst of many looks bad by luck: ``family`` says how many were
    compared, the limit allows for all of them, and the ranking is by shrunken rates. A cell that
    is far below the rest may be so only because one of its groups is: read what its groups would
    lead one to expect. Whether effects "add up" depends on the scale; on that of ratios another
    cell may stand out. Cells with fewer than ten units are counted, not measured, and those are
    often the people who matter.
    """

    id: ClassVar[str] = "bias/intersections"
    topic: ClassVar[str] = "accuracy where two groups meet"
    question: ClassVar[Question | None] = Question.MEASURED
    needs: ClassVar[tuple[Need, ...]] = (LabelledSplits(), TwoAttributes())
    sources: ClassVar[tuple[str, ...]] = (
        "Crenshaw (1989), chicagounbound.uchicago.edu/uclf/vol1989/iss1/8 (intersectionality)",
        "Kearns, Neel, Roth & Wu (2018), arXiv:1711.05144 (fairness gerrymandering)",
        "Kleinman (1973), doi:10.1080/01621459.1973.10481332 (shrinkage)",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (adjusted gaps)",
        "VanderWeele & Knol (2014), doi:10.1515/em-2013-0005 (additive interaction)",
        "Zou, Huang & Zhang (2009), doi:10.1016/j.csda.2008.09.033 (interval of the interaction)",
    )
    words: ClassVar = {
        "accuracy": _words(
            "accuracy", "right answers", "it answers {here} rightly", "fewer right answers"
        ),
        **{
            name: _words(name, named.short, named.hundred, named.harm)
            for name in ("objects-found", "images-overlapping")
            for named in [NAMINGS[name]]
        },
    }

    order: Annotated[int, "How many attributes are combined at most: 2, or 3 on demand."] = 2
    attributes: Annotated[
        tuple[str, ...], "Names of the attributes to combine; all where none is named."
    ] = ()

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found: list[Measure] = []
        for split in evidence.labelled_splits():
            cells: list[Measure] = []
            for crossing in self._crossings(evidence.scored(split).with_truth):
                cells.extend(_cells(crossing))
                yield from _too_small(crossing)
            cells.sort(key=lambda m: m.facts["shrunk"][0])
            ranked = [
                replace(m, facts={"rank": rank, "family": len(cells), **m.facts})
                for rank, m in enumerate(cells, start=1)
            ]
            yield from ranked
            if ranked:
                yield _forest(ranked, split)
            found += ranked
        if found:
            yield _table(found)
        yield from adjusted_table(self.id, found)

    def _crossings(self, rows: Rows) -> Iterator[Crossing]:
        if self.order not in (2, 3):
            raise SpecError(
                f"bias/intersections: found order {self.order}, expected 2 or 3. Cells of more "
                "attributes have too few images to say anything."
            )
        chosen = self._chosen(rows)
        # Of all attributes or of none: `data.smallest_cell` is one number.
        pooled = any(a.smallest is not None for a in chosen)
        if self.order > 2 and pooled:
            raise SpecError(
                "bias/intersections: found order 3 beside data.smallest_cell, expected order 2. "
                "Cells of three attributes would give small cells of two away."
            )
        conditions = {} if pooled else condition_codes(rows)
        for size in range(2, self.order + 1):
            for attributes in combinations(chosen, size):
                own = rows if size > 2 else rows.crossed(*(a.name for a in attributes))
                crossed = tuple(own.dataset.attribute(a.name) for a in attributes)
                yield Crossing.of_attributes(own, crossed, conditions)

    def _chosen(self, rows: Rows) -> tuple[Attribute, ...]:
        names = [a.name for a in rows.attributes]
        unknown = sorted(set(self.attributes) - set(names))
        # Deployment data may declare fewer attributes than test data.
        if unknown and rows.split == "test":
            raise SpecError(
                f"bias/intersections: found attribute {unknown[0]!r}, expected one of "
                f"{', '.join(names)}. Correct `attributes` of this check."
            )
        return tuple(
            a for a in rows.attributes if not self.attributes or a.name in self.attributes
        )  # fmt: skip


def _cells(crossing: Crossing) -> Iterator[Measure]:
    """The measurable cells of a crossing, their rates shrunken towards each other's."""
    cells = crossing.measurable
    if not cells:
        return
    compared = against_rest(headline(crossing.rows), crossing)
    right, unit = compared.values, crossing.unit
    gaps = [rate_difference(right, member=crossing.of == cell, unit=unit) for cell in cells]
    shrunken = shrunk([gap.x for gap in gaps], n=[gap.n for gap in gaps])
    for cell, gap, drawn in zip(cells, gaps, shrunken, strict=True):
        contrast = crossing.contrast(str(cell))
        # Only what is shown to be worse is compared again.
        if interval(gap).high >= 0:
            contrast = replace(contrast, controls={})
        parents = beyond_parents(right, members=crossing.parents(cell), unit=unit)
        yield compared.measure(
            str(cell), compared.quantity.name, gap, "difference",
            adjusted=adjusted_difference(contrast, right, gap=gap),
            facts={
                "groups": list(crossing.groups_of(cell)),
                "shrunk": [drawn.value, drawn.low, drawn.high],
                **_expected(parents, below=value(gap) < 0),
            },
        )  # fmt: skip


def _expected(found: BeyondParents | None, *, below: bool) -> dict[str, Any]:
    """What the groups by themselves would lead one to expect; in words of a cell below the rest.

    Where one cell is bad, all others of a table differ from what adding up gives; to say so of
    cells that are well served would only confuse.
    """
    if found is None:
        return {"expected": None, "beyond_parents": None, "too_few_apart": below}
    beyond = [found.beyond, found.low, found.high]
    luck = found.low <= 0 <= found.high
    return {
        "expected": found.expected,
        "beyond_parents": beyond,
        "expects": min(max(found.expected, 0.0), 1.0) if below else None,
        "may_be_luck": luck,
        "together": None if luck else beyond,
    }


def _too_small(crossing: Crossing) -> Iterator[Unmeasured]:
    """One reason for all cells of a crossing with too few units."""
    units = crossing.units_in()
    small = int((units < MIN_UNITS).sum())
    if not small:
        return
    empty = int((units == 0).sum())
    names = [a.name for a in crossing.attributes]
    noun = crossing.rows.noun if crossing.unit is None else "units"
    without = f", {empty} of them without any {crossing.rows.of}" if empty else ""
    most = [crossing.groups_of(int(c)) for c in np.argsort(-units, kind="stable")
            if 0 < units[c] < MIN_UNITS][:3]  # fmt: skip
    such = f" (such as {'; '.join(' and '.join(groups) for groups in most)})" if most else ""
    yield Unmeasured(
        name=crossing.rows.headline,
        subject=Subject.of(split=crossing.rows.split, crossing=" x ".join(names)),
        reason=f"{small} of {len(units)} combinations of {' and '.join(names)} have fewer than "
        f"{MIN_UNITS} {noun}{such}{without}: nothing can be said of them.",
        remedy=f"Collect at least {MIN_UNITS} {noun} of each combination that occurs where the "
        "model will run; a verdict will need more than that.",
    )


def _table(found: Sequence[Measure]) -> Table:
    measured = title_of(found[0].name).lower()
    shares = (measured, "low", "high", "difference", "difference low", "difference high",
              "expected from its groups", "beyond that", "beyond low", "beyond high",
              f"shrunken {measured}")  # fmt: skip
    names = ("rank", "data", "cell", f"{found[0].of}s", "units", *shares)
    return Table(
        id="bias/intersections:cells",
        title=f"{title_of(found[0].name)} of every combination of groups, lowest shrunken share "
        "first",
        columns=tuple(Column(n, "share" if n in shares else "") for n in names),
        rows=tuple(_row(m) for m in found),
    )


def _row(measure: Measure) -> tuple[Cell, ...]:
    facts, sides = measure.facts, measure.sides
    return (
        facts["rank"],
        measure.subject.split,
        ", ".join(f"{name}={group}" for name, group in measure.subject.keys),
        measure.n,
        measure.n_units,
        *(side_cells(sides[0]) if sides else (None, None, None)),
        *measure_cells(measure),
        facts["expected"],
        *(facts["beyond_parents"] or (None, None, None)),
        facts["shrunk"][0],
    )


def _forest(ranked: Sequence[Measure], split: str) -> Figure:
    worst = ranked[:MAX_SHOWN]
    ends = [
        " and ".join(f"{group} ({name})" for name, group in m.subject.keys)
        + f", {percent(m.facts['shrunk'][0])}%"
        for m in (worst[0], worst[-1])
    ]
    of_test, title = split == "test", title_of(worst[0].name)
    return Figure(
        id="bias/intersections:lowest" + ("" if of_test else f"-{split}"),
        kind="forest",
        title="Combinations of groups that rank lowest" + ("" if of_test else f", {split} data"),
        caption=f"{title} of the {len(worst)} lowest of {len(ranked)} combinations, shrunken "
        "towards the mean of its pair so that small ones do not lead by luck, with the middle "
        "95%. For the ranking only; the differences that count are in the table.",
        alt=f"Lowest: {ends[0]}; highest shown: {ends[1]}.",
        x=Axis(f"shrunken {title.lower()}", "share"),
        y=Axis("combination"),
        rows=tuple(
            dict(zip(("label", "value", "low", "high", "n"),
                     (", ".join(m.facts["groups"]), *m.facts["shrunk"], m.n), strict=True))
            for m in worst
        ),
    )  # fmt: skip
