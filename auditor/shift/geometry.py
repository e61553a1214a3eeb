"""shift/geometry: whether answers hang on where in the picture a thing stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from auditor.comparing.by_group import measure_cells, side_cells
from auditor.comparing.chief_loss import Chief, ChiefLoss, nothing_there
from auditor.comparing.interval_row import interval_row
from auditor.contract import (
    Available,
    Check,
    Evidence,
    Need,
    Pass,
    Predictions,
    Truth,
    Unmet,
    Words,
)
from auditor.contract.words import EITHER_WAY
from auditor.data.views import Moved
from auditor.findings import Axis, Cell, Column, Figure, Measure, Measured, Result, Subject, Table
from auditor.scoring.set_values import EmptySetError

Move = Literal["shift", "turn", "smaller", "crop", "mirror"]

MOVES: Mapping[str, tuple[float, ...]] = {
    "shift": (1, 4), "turn": (5,), "smaller": (0.9,), "crop": (0.9,), "mirror": (1,)
}  # fmt: skip
"""By how much each move goes: pixels of the model's frame, degrees, shares of its sides."""


@dataclass(frozen=True)
class MovedAnswers(Need):
    """Answers to a sample of the test images that are moved a little."""

    def unmet(self, available: Available) -> Unmet | None:
        return Predictions().unmet(available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        asked = Geometry.asked(available.spec)
        return tuple(Pass("test", view=view, sample=asked.sample) for view in asked.views)


@dataclass(frozen=True)
class Geometry(Check):
    """How many answers stay, and what is lost, when the same pictures are moved a little.

    What it measures
    ----------------
    A sample of the test images is shifted by one and by four pixels of the model's frame, turned
    by five degrees, made smaller, and cut to a window of nine tenths of its sides; the truth
    moves along, and objects of which less than half is left no longer count. `consistency` is the
    share of images (of objects) that are called the same as before, `lost` what is lost of the
    accuracy (of objects found, of mean overlap), on the same images.

    Why it matters
    --------------
    A net whose layers step over pixels can answer otherwise when a thing stands two pixels
    further, which no accuracy shows and which every hand-held camera brings.

    How it can mislead
    ------------------
    What comes into the picture at its edges is drawn out from the edge, and is new to the model. A
    box of a turned object is guessed from the ellipse within it, and a long thin object turned by
    five degrees has another box. Of class maps only what is left in view counts, so that a loss at
    the border is a loss of other pixels, too. Things cut off may be what told the class. A mirrored
    digit or traffic sign is another one: `mirror` is drawn only where the spec asks for it.
    """

    id: ClassVar[str] = "shift/geometry"
    topic: ClassVar[str] = "where in the picture things stand"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), MovedAnswers())
    sources: ClassVar[tuple[str, ...]] = (
        "Azulay & Weiss (2019), arXiv:1805.12177 (answers under shifts of a pixel)",
        "Zhang (2019), arXiv:1904.11486 (consistency)",
        "Kalra et al. (2021), doi:10.1109/ICCV48922.2021.00351 (boxes of turned objects)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "consistency": Words(
            title="Answers that stay under a move ({moved})",
            short="answers that stay ({moved})",
            sentence="{value} of {n} test {rows} are called the same after a move ({moved}).",
            action="train with moved images, or smooth before each step of the net",
        ),
        "lost": Words(
            title="Lost under a move ({moved})",
            span=EITHER_WAY,
            short="lost under a move ({moved})",
            sentence="{quantity}: as shot {this}; moved ({moved}) {other}; {value} lost.",
            sides=("As shot", "Moved"),
            action="train with moved images, or smooth before each step of the net",
        ),
    }

    moves: Annotated[tuple[Move, ...], "Which moves are made."] = (
        "shift", "turn", "smaller", "crop",
    )  # fmt: skip
    sample: Annotated[int, "Test images of a sample, taken by unit."] = 200

    @property
    def views(self) -> tuple[Moved, ...]:
        """The moves as views, in order."""
        return tuple(Moved(move, by) for move in self.moves for by in MOVES[move])

    def run(self, evidence: Evidence) -> Iterator[Result]:
        shot = Chief.of(evidence)
        measured: dict[Moved, tuple[Measured, Measured]] = {}
        for view in self.views:
            subject = Subject.of(split="test", moved=_called(view))
            try:
                there = Chief.of(evidence, view=view, sample=self.sample)
                loss = ChiefLoss.between(shot, there)
            except EmptySetError as empty:
                yield nothing_there("lost", subject, empty)
                continue
            measured[view] = (_kept(loss, subject), loss.measure("lost", subject, among=_AMONG))
            yield from measured[view]
        lines = [_line(view, *found) for view, found in measured.items()]
        if any(line[1] is not None for line in lines):
            yield _table(lines)
            yield _figure(measured)


_AMONG = "the sample of test images"


def _called(view: Moved) -> str:
    return {
        "shift": f"shifted by {view.by:g} pixel{'' if view.by == 1 else 's'}",
        "turn": f"turned by {view.by:g} degrees",
        "smaller": f"{view.by:.0%} as large",
        "crop": f"cut to {view.by:.0%}",
        "mirror": "mirrored",
    }[view.move]


def _kept(loss: ChiefLoss, subject: Subject) -> Measured:
    few = loss.pair.too_few("consistency", subject, among=_AMONG)
    return few or loss.pair.share("consistency", subject, ~loss.changed, better="higher")


def _line(view: Moved, kept: Measured, lost: Measured) -> tuple[Cell, ...]:
    if not isinstance(kept, Measure) or not isinstance(lost, Measure) or lost.sides is None:
        return (_called(view), *(None,) * 14)
    sides = (cell for side in lost.sides for cell in side_cells(side))
    return (_called(view), kept.n, kept.n_units, *measure_cells(kept), *sides, *measure_cells(lost))


def _table(lines: list[tuple[Cell, ...]]) -> Table:
    ends = tuple(f"{name}{end}" for name in ("answers that stay", "as shot", "moved", "lost")
                 for end in ("", " low", " high"))  # fmt: skip
    columns = (*(Column(h) for h in ("move", "rows", "units")), *(Column(e, "share") for e in ends))
    title = "Answers that stay, and what is lost, under small moves"
    return Table("shift/geometry:moves", title, columns, tuple(lines))


def _figure(measured: Mapping[Moved, tuple[Measured, Measured]]) -> Figure:
    rows: list[dict[str, Cell]] = []
    for view, (kept, _) in measured.items():
        if isinstance(kept, Measure):
            rows.append(interval_row(_called(view), kept.estimate, n=kept.n))
    told = "; ".join(f"{row['label']} {float(row['value'] or 0):.0%}" for row in rows)
    return Figure(
        id="shift/geometry:moves",
        kind="forest",
        title="Answers that stay under small moves",
        caption="The share that is called the same after the picture was moved, with its 95% "
        "interval.",
        alt=f"Intervals: {told}.",
        x=Axis("answers that stay", "share"),
        y=Axis("move"),
        rows=tuple(rows),
    )
