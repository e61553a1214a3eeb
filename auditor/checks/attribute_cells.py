"""Cells of an attribute and the label: the worst of them, their table, and their picture."""

from __future__ import annotations

from typing import Any

from auditor.checks.association import Association
from auditor.checks.labelled_rows import LabelledRows
from auditor.data.dataset import Attribute
from auditor.findings import Axis, Cell, Column, Figure, Table
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.stats import Rate, interval, rate, value


def worst_cell(found: Association, known: LabelledRows) -> dict[str, Any]:
    """The cell of group and label with the fewest right, of those of ten units or more.

    Its interval is Wilson's at the level 0.95 ** (1 / cells) (Šidák 1967,
    doi:10.1080/01621459.1967.10482935): the least of many cells is low by luck alone.
    """
    told: list[tuple[float, int, int, Rate, int]] = []
    for g in range(len(found.group_names)):
        for c in range(len(found.label_names)):
            inside = (found.groups == g) & (found.labels == c)
            if count_units(inside, known.units) < MIN_UNITS:
                continue
            unit = None if known.units is None else known.units[inside]
            share = rate(known.success[inside], unit=unit)
            told.append((value(share), g, c, share, int(inside.sum())))
    if len(told) < 2:
        return {}
    _, g, c, share, n = min(told, key=lambda cell: cell[0])
    ends = interval(share, level=0.95 ** (1 / len(told)))
    worst = {"group": found.group_names[g], "label": known.named(found.label_names[c]),
             "share": value(share), "low": ends.low, "high": ends.high, "n": n}  # fmt: skip
    return {"cells": len(told), "worst": worst}


def cell_rows(
    found: Association, known: LabelledRows, attribute: Attribute
) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for g, group in enumerate(found.group_names):
        for c, label in enumerate(found.label_names):
            inside = (found.groups == g) & (found.labels == c)
            n = int(inside.sum())
            right = float(known.success[inside].mean()) if n else None
            expected = float(found.expected[g, c])
            rows.append((attribute.name, group, known.named(label), n, expected, right))
    return rows


_TABLES = {
    "image": ("cells", "Images and accuracy by nuisance attribute and label", "images", "accuracy"),
    "object": ("objects", "Objects and how many are found by nuisance attribute and class",
               "objects", "found"),
    "presence": ("presence", "Images with and without a class by nuisance attribute, and how "
                 "often the model is right about it", "images", "right"),
}  # fmt: skip
"""Of each kind of rows: the table's id and title, what is counted, what the share is called."""


def cell_table(kind: str, rows: list[tuple[Cell, ...]]) -> Table:
    name, title, counted, share = _TABLES[kind]
    return Table(
        id=f"shortcut/metadata:{name}",
        title=title,
        columns=(Column("attribute"), Column("group"), Column("label"), Column(counted),
                 Column(f"{counted} if unrelated"), Column(share, "share")),
        rows=tuple(rows),
    )  # fmt: skip


def heat(found: Association, known: LabelledRows, attribute: Attribute) -> Figure:
    """Share of each group's images by label: equal rows mean no association."""
    rows: list[dict[str, Cell]] = []
    for g, group in enumerate(found.group_names):
        of_group = found.groups == g
        for c, label in enumerate(found.label_names):
            n = int((of_group & (found.labels == c)).sum())
            share = n / int(of_group.sum())
            rows.append(
                {"row": group, "column": known.named(label), "value": share, "text": str(n)}
            )
    return Figure(
        id=f"shortcut/metadata:{attribute.name}",
        kind="heat",
        title=f"Labels by {attribute.name}",
        caption=f"Share of the {known.of}s of each {attribute.name} with each label; numbers are "
        f"{known.of}s. Rows that are alike mean that the two do not go together.",
        alt=f"Cramér's V of {attribute.name} and label: {value(found.strength):.2f}.",
        x=Axis("label"),
        y=Axis(attribute.name),
        rows=tuple(rows),
    )
