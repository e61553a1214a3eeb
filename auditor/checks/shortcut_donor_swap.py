"""shortcut/donor-swap: which component of the picture carries the answer, by exchanging each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from auditor.checks.exchanges import Donors, Exchanged
from auditor.checks.shortcut_grades import COLUMNS, MARGIN, Grade, grade, graded_cells
from auditor.contract import (
    Available,
    Check,
    ClassScores,
    Evidence,
    Need,
    Pass,
    Truth,
    Unmet,
    Words,
)
from auditor.contract.numbers import points
from auditor.contract.words import EITHER_WAY
from auditor.data.components import COMPONENTS, CellFromDonor, ComponentFromDonor
from auditor.data.views import View
from auditor.findings import Axis, Cell, Figure, Measure, Measured, Result, Subject, Table
from auditor.stats import bound, value

PART_OF_WHOLE = 0.5
"""A cell of the border is named in its stead where it is shown to be worth this share of it."""


@dataclass(frozen=True)
class ExchangedComponents(Need):
    """A sample of the test images with each component from a donor of either kind."""

    def unmet(self, available: Available) -> Unmet | None:
        found = ClassScores().unmet(available) or Truth().unmet(available)
        if found is None and len(np.unique(available.datasets["test"].labels)) < 2:
            return Unmet(
                reason="All labelled test images are of one class: none has a donor of another.",
                remedy="Label test images of at least two classes.",
            )
        return found

    def passes(self, available: Available) -> tuple[Pass, ...]:
        asked = DonorSwap.asked(available.spec)
        return tuple(Pass("test", view=view, sample=asked.sample) for view in asked.views)

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        return ("test",)


@dataclass(frozen=True)
class DonorSwap(Check):
    """Which component of a picture carries the answer: each is exchanged, all else stays.

    What it measures
    ----------------
    One component of each image of a sample is taken from another unit's image, once of the *same*
    class and once of *another*: a cell of a grid, the border, the colour cast with the brightness,
    the sharpness (fine detail), the coarse pattern (amplitudes of long waves). `accuracy-worth` is
    the accuracy with the first minus that with the second, over the same images: what the content
    of that component is worth, near 0 when the model decides by the rest. Edges and strange content
    cost both alike. Each pass takes another cell of each image, so that every cell is looked at in
    a part of the sample. `accuracy-without` is, for the component that carries most, the accuracy
    where it comes from an image of any class. Images that share a donor or a unit count as
    dependent. It knows nothing of the pictures, and needs no artefact to be named.

    Why it matters
    --------------
    A model that reads a marker in the corner, the cast of one clinic's lamp or the blur of one
    phone scores well wherever these go with the label. Exchanging one thing at a time shows which
    of them the model follows, also when nobody thought of it, and however strongly it goes with the
    label in the test data.

    How it can mislead
    ------------------
    Worth is not guilt: the colour of a rash, the border of a lawn tell their class by right, and
    models without any shortcut lean on them by some points (30 small nets trained without one, on
    average: border 14, colour 7, corner 2, sharpness 1). So only corners have a limit of their own;
    state one on a component that should carry no weight, or name it under `shortcuts`. An artefact
    at changing places, or spread over many cells, is worth little in each. A cell that holds a part
    of the object is worth what that part is. Where the whole picture is blurred or tinted, cells
    carry a little of it too. What the model reads twice, from two components, can look worthless in
    each.
    """

    id: ClassVar[str] = "shortcut/donor-swap"
    topic: ClassVar[str] = "which part of the picture decides"
    shown: ClassVar[Literal["folded", "open", "told"]] = "open"
    needs: ClassVar[tuple[Need, ...]] = (ClassScores(), Truth(), ExchangedComponents())
    cannot_see: ClassVar[str] = (
        "An artefact that appears at changing places, a rare one, and what the model reads from "
        "several components at once."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Xiao, Engstrom, Ilyas & Madry (2021), arXiv:2006.09994 (exchange within and across class)",
        "Yang & Soatto (2020), doi:10.1109/CVPR42600.2020.00414 (exchange of amplitudes)",
        "Cameron, Gelbach & Miller (2011), doi:10.1198/jbes.2010.07136 (units and donors)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "accuracy-worth": Words(
            title="Accuracy that rests on the {component}",
            span=EITHER_WAY,
            short="worth of the {component}",
            sentence=(
                "Accuracy with the {component} of an image of the same class {this}; of another "
                "class {other}; {gap}.",
                "Of all components exchanged it carries most{carries_most:if}.",
            ),
            hundred="Of 100 images with the {component} of an image of the same class it answers "
            "{here} rightly; with that of another class, {there}.",
            sides=("Same class", "Another class"),
            action="look at what the {component} holds; if it should not decide, train without it "
            "and test again",
        ),
        "accuracy-without": Words(
            title="Accuracy where the {component} says nothing",
            short="right without the {component}",
            sentence="With the {component} of an image of any class it answers {value} of {n} "
            "images rightly.",
            action="train with images in which the {component} does not go with the class",
        ),
    }

    sample: Annotated[
        int, "Test images of a sample, taken by unit: each is answered with every component."
    ] = 600
    grid: Annotated[int, "Cells on each side of the grid."] = 4
    turns: Annotated[
        int,
        "Cells that are exchanged of each image, two passes each; with fewer than the grid has, "
        "every cell is looked at in a part of the images.",
    ] = 7
    margin: Annotated[float, "Worth from which on the table calls a component relied upon."] = (
        MARGIN
    )

    @property
    def cell_views(self) -> tuple[tuple[CellFromDonor, CellFromDonor], ...]:
        """The views of the grid, with a donor of the same class and of another."""
        turns = range(min(self.turns, self.grid**2))
        return tuple(
            (CellFromDonor(self.grid, t, "same-class"), CellFromDonor(self.grid, t, "other-class"))
            for t in turns
        )

    @property
    def component_views(self) -> tuple[tuple[ComponentFromDonor, ComponentFromDonor], ...]:
        """The views of each component, with a donor of the same class and of another."""
        return tuple(
            (ComponentFromDonor(name, "same-class"), ComponentFromDonor(name, "other-class"))
            for name in COMPONENTS
        )

    @property
    def views(self) -> tuple[View, ...]:
        """All views, a pass each."""
        cells = [view for both in self.cell_views for view in both]
        return (*cells, *(view for both in self.component_views for view in both))

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found = [(part, _worth(part)) for part in self._parts(evidence)]
        found.sort(key=lambda one: -_value(one[1]))
        chief = _chief([(p, m) for p, m in found if isinstance(m, Measure)])
        for part, worth in found:
            if part is not chief or not isinstance(worth, Measure):
                yield worth
            elif grade(None, worth.estimate, margin=self.margin) is Grade.RELIANCE:
                yield _worth(part, carries_most=True)
                yield part.both.with_any("accuracy-without", part.subject)
            else:
                yield worth
        measured = [(p, m) for p, m in found if isinstance(m, Measure)]
        if measured:
            yield self._table(measured)
            yield from _map([(p, m) for p, m in measured if p.cell is not None], self.grid)

    def _parts(self, evidence: Evidence) -> Iterator[_Part]:
        """Every cell, over all images of which some pass took it, then every component."""
        donors = Donors.of(evidence, "same-class"), Donors.of(evidence, "other-class")

        def exchanged(views: tuple[View, View]) -> Exchanged:
            same, other = (evidence.scored("test", view=v, sample=self.sample) for v in views)
            return Exchanged.of(same, other, donors=donors)

        turns = []
        for views in self.cell_views:
            both = exchanged(views)
            cells = [views[0].cell(str(i), seed=evidence.spec.audit.seed) for i in both.image_ids]
            turns.append((both, np.array(cells, dtype=np.int64)))
        for cell in range(self.grid**2):
            held = Exchanged.joined([both.take(cells == cell) for both, cells in turns])
            yield _Part(*_named(cell, self.grid), held, cell)
        for same, other in self.component_views:
            yield _Part(same.component, "whole", exchanged((same, other)))

    def _table(self, measured: Sequence[tuple[_Part, Measure]]) -> Table:
        order = sorted(measured, key=lambda found: -value(found[1].estimate))
        return Table(
            id="shortcut/donor-swap:components",
            title="What each component of the picture is worth to the model",
            columns=COLUMNS,
            rows=tuple(
                graded_cells(
                    part.name, part.where, opportunity=None, reliance=worth.estimate,
                    margin=self.margin,
                )
                for part, worth in order
            ),
        )  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """A component with the images that it was exchanged in; `cell` is its place in the grid."""

    name: str
    kind: str
    both: Exchanged
    cell: int | None = None

    @property
    def subject(self) -> Subject:
        return Subject.of(split="test", component=self.name, placed=self.kind)

    @property
    def where(self) -> str:
        return "whole picture" if self.cell is None and self.name != "border" else self.name


_ACROSS, _DOWN = ("left", "right"), ("upper", "lower")


def _named(cell: int, grid: int) -> tuple[str, str]:
    """A cell's name for a reader, and what kind of place it has: corner, edge, or inner."""
    row, column = divmod(cell, grid)
    at_side = [row in (0, grid - 1), column in (0, grid - 1)]
    if all(at_side) and grid > 1:
        return f"{_DOWN[row > 0]} {_ACROSS[column > 0]} corner", "corner"
    name = f"cell in row {row + 1}, column {column + 1} of {grid}"
    return name, "edge" if any(at_side) else "inner"


def _worth(part: _Part, *, carries_most: bool = False) -> Measured:
    few = part.both.too_few("accuracy-worth", part.subject)
    if few is not None:
        return few
    return part.both.worth(
        "accuracy-worth", part.subject, facts={"carries_most": True} if carries_most else {}
    )


def _value(worth: Measured) -> float:
    """The worth, to be told in order; what could not be measured comes last."""
    return value(worth.estimate) if isinstance(worth, Measure) else -math.inf


def _chief(measured: Sequence[tuple[_Part, Measure]]) -> _Part | None:
    """The component that is worth most; of the border the cell that is shown to be worth half."""
    if not measured:
        return None
    part, worth = max(measured, key=lambda found: value(found[1].estimate))
    if part.name != "border":
        return part
    sides = [(p, m) for p, m in measured if p.kind in ("corner", "edge")]
    best = max(sides, key=lambda found: value(found[1].estimate), default=None)
    if best and bound(best[1].estimate, side="low") >= PART_OF_WHOLE * value(worth.estimate):
        return best[0]
    return part


def _map(cells: Sequence[tuple[_Part, Measure]], grid: int) -> Iterator[Figure]:
    if not cells:
        return
    best = max(cells, key=lambda found: value(found[1].estimate))
    rows: tuple[Mapping[str, Cell], ...] = tuple(
        {
            "row": f"row {part.cell // grid + 1}",
            "column": f"column {part.cell % grid + 1}",
            "value": max(value(worth.estimate), 0.0),
            "text": points(value(worth.estimate)),
        }
        for part, worth in sorted(cells, key=lambda found: found[0].cell or 0)
        if part.cell is not None
    )
    low = bound(best[1].estimate, side="low")
    yield Figure(
        id="shortcut/donor-swap:map",
        kind="heat",
        title="Where in the picture the answer is read",
        caption="Points of accuracy that each cell of the picture is worth: with that of an image "
        "of the same class minus with that of another. The frame as the model sees it.",
        alt=f"The {best[0].name} is worth most, {points(value(best[1].estimate))} points, at least "
        f"{points(low)}.",
        x=Axis("left to right"),
        y=Axis("top to bottom"),
        rows=rows,
    )
