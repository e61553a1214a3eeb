"""Tables and the picture of what artefacts are worth."""

from __future__ import annotations

from auditor.checks.shortcut_grades import COLUMNS
from auditor.comparing.by_group import measure_cells
from auditor.contract.numbers import points
from auditor.findings import Axis, Cell, Column, Figure, Measure, Table


def grade_table(rows: list[tuple[Cell, ...]]) -> Table:
    """What the data offer and what the model uses, a row an artefact."""
    return Table(
        id="shortcut/toggle:grades",
        title="Artefacts: what the data offer, and what the model uses",
        columns=COLUMNS,
        rows=tuple(rows),
    )


def measure_row(artefact: str, measure: Measure) -> tuple[Cell, ...]:
    numbers = measure_cells(measure)
    return (artefact, measure.name, measure.subject.get("class"), measure.n, *numbers)


def artefact_table(rows: list[tuple[Cell, ...]]) -> Table:
    names = ("artefact", "measure", "class", "images", "value", "low", "high")
    return Table(
        id="shortcut/toggle:artefacts",
        title="What known artefacts are worth to the model",
        columns=tuple(Column(n, "share" if n in ("value", "low", "high") else "") for n in names),
        rows=tuple(rows),
    )


def artefact_forest(rows: list[tuple[Cell, ...]], *, lost: str) -> Figure:
    """What known artefacts are worth; `lost` is what falls, as ``accuracy``."""
    shown = [row for row in rows if row[1] in ("accuracy-worth", "accuracy-lost")]
    label = {"accuracy-worth": "region exchanged", "accuracy-lost": "artefact added"}
    return Figure(
        id="shortcut/toggle:worth",
        kind="forest",
        title=f"What artefacts are worth in {lost}",
        caption=f"Points by which {lost} falls when an artefact's region comes from another class "
        "rather than its own, and when the artefact is added to every image; 95% intervals.",
        alt="; ".join(
            f"{r[0]}, {label[str(r[1])]}: {points(float(r[4] or 0))} points" for r in shown
        ),
        x=Axis(f"fall in {lost}", "share"),
        y=Axis("artefact"),
        rows=tuple(
            {
                "label": f"{r[0]}, {label[str(r[1])]}",
                "value": r[4],
                "low": r[5],
                "high": r[6],
                "n": r[3],
            }
            for r in shown
        ),
    )
