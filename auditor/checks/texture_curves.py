"""What is left of a model's chief quantity as a picture loses shape, texture, colour: shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.comparing.by_group import measure_cells, side_cells
from auditor.comparing.chief_loss import ChiefLoss
from auditor.contract.numbers import percent
from auditor.contract.words import mid_sentence
from auditor.findings import Axis, Cell, Column, Figure, Measure, Measured, Side, Table

Line = tuple[str, str, tuple[Measured, Measured], ChiefLoss]
"""What is taken away, by what; what is lost and what survives; the rows."""

_SERIES = {
    "shape": "shape taken (patches shuffled)",
    "texture": "texture taken (blurred)",
    "shading": "shading taken (edges alone)",
    "colour": "colour taken (grey)",
    "surface": "surface taken (silhouettes)",
}


def curve_table(lines: Sequence[Line]) -> Iterator[Table]:
    """One line a change; none where nothing was measured."""
    rows = [cells for line in lines if (cells := _cells(line)) is not None]
    if rows:
        ends = tuple(f"{name}{end}" for name in ("as shot", "changed", "lost")
                     for end in ("", " low", " high"))  # fmt: skip
        left = ("left of what it was", "left, low", "left, high")
        columns = (Column("without"), Column("by"), Column("rows"),
                   *(Column(e, "share") for e in ends), *(Column(e) for e in left))  # fmt: skip
        title = "What is lost and what is left without shape, texture, shading, colour"
        yield Table("shortcut/texture:changes", title, columns, tuple(rows))


def _cells(line: Line) -> tuple[Cell, ...] | None:
    without, by, (lost, left), _ = line
    if not isinstance(lost, Measure) or lost.sides is None:
        return None
    sides = (cell for side in lost.sides for cell in side_cells(side))
    survives = measure_cells(left) if isinstance(left, Measure) else (None, None, None)
    return (without, by, lost.n, *sides, *measure_cells(lost), *survives)


def curve_figure(lines: Sequence[Line]) -> Iterator[Figure]:
    """The quantity over steps, a line for each kind of information that is taken away."""
    rows: list[dict[str, Cell]] = []
    told: list[str] = []
    step: dict[str, int] = {}
    guessing: Cell = None
    for without, by, (lost, left), _ in lines:
        if not isinstance(lost, Measure) or lost.sides is None:
            continue
        series = _SERIES[without]
        if without not in step:
            rows.append(_point(0, lost.sides[0], series))
        step[without] = step.get(without, 0) + 1
        rows.append(_point(step[without], lost.sides[1], series))
        told.append(f"{by} {percent(float(side_cells(lost.sides[1])[0] or 0))}%")
        if isinstance(left, Measure):
            guessing = left.facts["guess"]
    if not rows:
        return
    if guessing is not None:
        rows += [
            {"x": float(at), "y": guessing, "low": guessing, "high": guessing,
             "series": "always answering the commonest class"}
            for at in (0, max(step.values()))
        ]  # fmt: skip
    title = lines[0][3].title
    yield Figure(
        id="shortcut/texture:curves",
        kind="line",
        title=f"{title} without shape, without texture, without colour",
        caption=f"{title} on the same images as shot (step 0) and with more and more taken away, "
        f"each with its 95% interval: {_steps(lines)}.",
        alt=f"{title}: {', '.join(told)}.",
        x=Axis("step"),
        y=Axis(mid_sentence(title), "share"),
        rows=tuple(rows),
    )


def _point(at: int, side: Side, series: str) -> dict[str, Cell]:
    y, low, high = side_cells(side)
    return {"x": float(at), "y": y, "low": low, "high": high, "series": series}


def _steps(lines: Sequence[Line]) -> str:
    by: dict[str, list[str]] = {}
    for without, how, _, _ in lines:
        by.setdefault(without, []).append(how)
    return "; ".join(f"{without} by {', then '.join(how)}" for without, how in by.items())
