"""What `bias/coverage` shows beside its measures: the table of what cannot be said, figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from auditor.bias.group_cells import Decidable
from auditor.bias.detectable_gap import GroupGap
from auditor.findings import Axis, Cell, Column, Figure, Table, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, points

Row = tuple[Cell, ...]


def cannot_say(
    gaps: Sequence[GroupGap | Unmeasured],
    by_group: Sequence[Decidable],
    by_label: Sequence[Decidable],
    pairs: Sequence[Decidable],
    *,
    gap: float,
) -> Table:
    """Groups and cells that could not have shown even a gap of `gap`; what each would need."""
    rows = [
        *sorted(_group_rows(gaps, by_group, gap), key=_units),
        *sorted((row for d in by_label for row in _cell_rows(d, "label", gap)), key=_units),
        *sorted((row for d in pairs for row in _cell_rows(d, "group", gap)), key=_units),
    ]
    return Table(
        id="bias/coverage:cannot-say",
        title="What this audit cannot say",
        columns=tuple(
            Column(name)
            for name in ("it cannot say", "for", "and", "images", "units", "why", "more units")
        ),
        rows=tuple(rows),
    )


def _units(row: Row) -> float:
    found = row[4]
    return float(found) if isinstance(found, int) else 0.0


def _group_rows(
    gaps: Sequence[GroupGap | Unmeasured], by_group: Sequence[Decidable], gap: float
) -> Iterator[Row]:
    shown = {(g.grouping.attribute.name, g.group): g for g in gaps if isinstance(g, GroupGap)}
    for found in by_group:
        attribute = found.cells.rows.column
        for i, group in enumerate(found.cells.rows.names):
            head = (_ACCURACY, f"{group} ({attribute})", None,
                    int(found.cells.images[i, 0]), int(found.cells.units[i, 0]))  # fmt: skip
            each = shown.get((attribute, group))
            if each is None:
                yield (*head, _cell_why(found, i, 0, gap), _more(found, i, 0))
            elif each.gap > gap:
                needed = each.units_to_show
                yield (*head, _why(each.gap), None if needed is None else needed - each.n_units)


def _more(found: Decidable, i: int, j: int) -> int | None:
    return int(found.more[i, j]) if math.isfinite(found.more[i, j]) else None


_ACCURACY = "whether its accuracy is lower than all others'"


def _why(gap: float) -> str:
    if math.isinf(gap):
        return "no gap, however large, would have been shown"
    return f"a gap under {points(gap)} points would not have been shown"


def _cell_rows(found: Decidable, kind: str, gap: float) -> Iterator[Row]:
    rows, columns = found.cells.rows, found.cells.columns
    for i, j in np.argwhere(~found.enough):
        name = columns.names[j]
        yield (
            f"whether {name} is found as often as for all others"
            if kind == "label"
            else "whether both together are answered worse than all others",
            f"{rows.names[i]} ({rows.column})",
            f"label {name}" if kind == "label" else f"{name} ({columns.column})",
            int(found.cells.images[i, j]),
            int(found.cells.units[i, j]),
            _cell_why(found, int(i), int(j), gap),
            _more(found, int(i), int(j)),
        )


def _cell_why(found: Decidable, i: int, j: int, gap: float) -> str:
    if not found.cells.images[i, j]:
        return "no image"
    if found.cells.units[i, j] < MIN_UNITS:
        return f"fewer than {MIN_UNITS} units"
    if math.isinf(found.more[i, j]):
        return "too few others to compare with"
    return f"a gap of {points(gap)} points would not have been shown"


def bars(gaps: Sequence[GroupGap | Unmeasured], *, limit: float) -> Figure | None:
    """The smallest gap of every group that has one; None where none has."""
    shown = [g for g in gaps if isinstance(g, GroupGap) and math.isfinite(g.gap)]
    if not shown:
        return None
    worst = max(shown, key=lambda g: g.gap)
    return Figure(
        id="bias/coverage:smallest-gap",
        kind="bars",
        title="The smallest gap that this test set could have seen",
        caption=f"How much lower a group's accuracy would have to be than all others' to be shown, "
        f"four times in five, to be beyond {points(limit)} points. Smaller is better.",
        alt=f"Smallest gaps of {len(shown)} groups; the largest is that of "
        f"{worst.grouping.named(worst.group)}, {points(worst.gap)} points.",
        x=Axis("smallest gap", "share"),
        y=Axis("group"),
        rows=tuple({"label": g.grouping.named(g.group), "value": g.gap} for g in shown),
    )


def heat(found: Decidable, *, gap: float) -> Figure:
    """Label by group: how much of what is needed is there."""
    rows, columns = found.cells.rows, found.cells.columns
    units = found.cells.units
    there = np.where(found.enough, 1.0, units / np.maximum(units + found.more, 1))
    lacking = int((~found.enough).sum())
    return Figure(
        id=f"bias/coverage:{rows.column}",
        kind="heat",
        title=f"Test images by {rows.column} and label",
        caption="Images of each cell; the shade is the part of the units that a gap of "
        f"{points(gap)} points needs to be shown, 1 where there are enough.",
        alt=f"{lacking} of {found.enough.size} cells of {rows.column} and label have too few.",
        x=Axis("label"),
        y=Axis(rows.column),
        rows=tuple(
            {
                "row": rows.names[i],
                "column": columns.names[j],
                "value": float(there[i, j]),
                "text": str(int(found.cells.images[i, j])),
            }
            for i in range(len(rows.names))
            for j in range(len(columns.names))
        ),
    )
