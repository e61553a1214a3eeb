"""What `bias/coverage` shows beside its measures: the table of what cannot be said, figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from auditor.bias.detectable_gap import GroupGap
from auditor.bias.group_cells import Decidable
from auditor.contract.numbers import points
from auditor.findings import Axis, Cell, Column, Figure, Table, Unmeasured
from auditor.scoring.comparison import MIN_UNITS

Row = tuple[Cell, ...]


def cannot_say_rows(
    split: str,
    measured: str,
    gaps: Sequence[GroupGap | Unmeasured],
    by_group: Sequence[Decidable],
    by_label: Sequence[Decidable],
    pairs: Sequence[Decidable],
    *,
    gap: float,
) -> Iterator[Row]:
    """Groups and cells that could not have shown even a gap of `gap`; what each would need."""
    for rows in (
        _group_rows(gaps, by_group, gap, measured),
        (row for d in by_label for row in _cell_rows(d, "label", gap)),
        (row for d in pairs for row in _cell_rows(d, "group", gap)),
    ):
        yield from ((*row, split) for row in sorted(rows, key=_units))


def cannot_say(rows: Sequence[Row], *, noun: str) -> Table:
    names = ("it cannot say", "for", "and", noun, "units", "why", "more units", "data")
    return Table(
        id="bias/coverage:cannot-say",
        title="What this audit cannot say",
        columns=tuple(Column(name) for name in names),
        rows=tuple(rows),
    )


def _units(row: Row) -> float:
    found = row[4]
    return float(found) if isinstance(found, int) else 0.0


def _group_rows(
    gaps: Sequence[GroupGap | Unmeasured], by_group: Sequence[Decidable], gap: float, measured: str
) -> Iterator[Row]:
    shown = {g.named: g for g in gaps if isinstance(g, GroupGap)}
    for found in by_group:
        attribute = found.cells.rows.column
        for i, group in enumerate(found.cells.rows.names):
            named = f"{group} ({attribute})"
            head = (f"whether its {measured} is lower than all others'", named, None,
                    int(found.cells.images[i, 0]), int(found.cells.units[i, 0]))  # fmt: skip
            each = shown.get(named)
            if each is None:
                yield (*head, _cell_why(found, i, 0, gap), _more(found, i, 0))
            elif each.gap > gap:
                needed = each.units_to_show
                yield (*head, _why(each.gap), None if needed is None else needed - each.n_units)


def _more(found: Decidable, i: int, j: int) -> int | None:
    return int(found.more[i, j]) if math.isfinite(found.more[i, j]) else None


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


def bars(
    gaps: Sequence[GroupGap | Unmeasured], *, split: str, limit: float, measured: str
) -> Iterator[Figure]:
    """The smallest gap of every group that has one."""
    shown = [g for g in gaps if isinstance(g, GroupGap) and math.isfinite(g.gap)]
    if not shown:
        return
    worst = max(shown, key=lambda g: g.gap)
    yield Figure(
        id=f"bias/coverage:smallest-gap{_of(split)}",
        kind="bars",
        title=f"The smallest gap that the {split} data could have shown",
        caption=f"How much lower a group's {measured} would have to be than all others' to "
        f"be shown, four times in five, to be beyond {points(limit)} points. Smaller is better.",
        alt=f"Smallest gaps of {len(shown)} groups; the largest is that of {worst.named}, "
        f"{points(worst.gap)} points.",
        x=Axis("smallest gap", "share"),
        y=Axis("group"),
        rows=tuple({"label": g.named, "value": g.gap} for g in shown),
    )


def _of(split: str) -> str:
    return "" if split == "test" else f"@{split}"


def heat(found: Decidable, *, split: str, gap: float, noun: str) -> Figure:
    """Label by group: how much of what is needed is there."""
    rows, columns, units = found.cells.rows, found.cells.columns, found.cells.units
    there = np.where(found.enough, 1.0, units / np.maximum(units + found.more, 1))
    lacking = int((~found.enough).sum())
    return Figure(
        id=f"bias/coverage:{rows.column}{_of(split)}",
        kind="heat",
        title=f"{split.capitalize()} {noun} by {rows.column} and label",
        caption=f"{noun.capitalize()} of each cell; the shade is the part of the units that a gap "
        f"of {points(gap)} points needs to be shown, 1 where there are enough.",
        alt=f"{lacking} of {found.enough.size} cells of {rows.column} and label have too few.",
        x=Axis("label"),
        y=Axis(rows.column),
        rows=tuple(
            {"row": row, "column": column, "value": float(there[i, j]),
             "text": str(int(found.cells.images[i, j]))}
            for i, row in enumerate(rows.names)
            for j, column in enumerate(columns.names)
        ),
    )  # fmt: skip
