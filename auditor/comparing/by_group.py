"""What was measured of every group, collected: reasons told once, one table, one picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.comparing.adjustment import adjusted_table
from auditor.comparing.against_rest import AgainstRest, against_rest
from auditor.comparing.groups import Grouping, rates_by_group
from auditor.contract.numbers import percent
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Measured,
    Side,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS
from auditor.scoring.quantities import Quantity
from auditor.stats import value


@dataclass(frozen=True)
class ByGroup:
    """A quantity of every group of an attribute: its results by group, in the groups' order."""

    compared: AgainstRest
    results: Mapping[str, tuple[Measured, ...]]

    @property
    def measures(self) -> list[Measure]:
        return [m for found in self.results.values() for m in found if isinstance(m, Measure)]


def by_group(
    quantity: Quantity,
    grouping: Grouping,
    measure: Callable[[AgainstRest, str], Iterable[Measured]],
    *,
    groups: Sequence[str] | None = None,
) -> ByGroup:
    """A quantity of each of `groups` (all, where None), `measure` giving the results of one."""
    compared = against_rest(quantity, grouping)
    chosen = grouping.groups if groups is None else groups
    return ByGroup(compared, {group: tuple(measure(compared, group)) for group in chosen})


def told(found: Sequence[ByGroup], *, always: Sequence[str] = ()) -> Iterator[Measured]:
    """All results; of classes not among `always`, those too rare in a group share one reason.

    Of several measures of a rare class the last stands for all.
    """
    rare: dict[tuple[str, str], list[tuple[ByGroup, Unmeasured]]] = {}
    for one in found:
        label = one.compared.quantity.keys.get("class")
        for group, results in one.results.items():
            last = results[-1] if results else None
            if label is None or label in always or not isinstance(last, Unmeasured):
                yield from results
            else:
                rare.setdefault((group, last.name), []).append((one, last))
    for (group, name), lacking in rare.items():
        yield _rare(group, name, lacking)


def _rare(group: str, name: str, lacking: Sequence[tuple[ByGroup, Unmeasured]]) -> Unmeasured:
    grouping = lacking[0][0].compared.grouping
    named = grouping.named(group)
    among = ", ".join(one.compared.quantity.among.strip() for one, _ in lacking)
    return Unmeasured(
        name=name,
        subject=grouping.subject(group),
        reason=f"{named} or the rest has fewer than {MIN_UNITS} units {among}.",
        remedy=f"Collect at least {MIN_UNITS} units of {named}, and of the others, {among}.",
    )


def displayed(
    check: str, found: Sequence[ByGroup], *, title: str, pictured: Sequence[ByGroup] | None = None
) -> Iterator[Figure | Table]:
    """A picture for each attribute, a table of all groups, a table of what was adjusted.

    `title` says what is shown of every group ("Accuracy"); `pictured` (all, where None) are drawn.
    """
    yield from group_pictures(check, found if pictured is None else pictured, title=title)
    if found:
        yield group_table(check, found, title=f"{title} of every group, against all others")
    yield from adjusted_table(check, [m for one in found for m in one.measures])


def group_table(check: str, found: Sequence[ByGroup], *, title: str) -> Table:
    """One line a group and quantity: its own value, then each measure with its interval."""
    names = list(dict.fromkeys(r.name for one in found for rs in one.results.values() for r in rs))
    head = ("attribute", "role", "data", "class", "group", "quantity", "images", "units", "value",
            "low", "high")  # fmt: skip
    measured = [f"{name}{end}" for name in names for end in ("", " low", " high")]
    rows = tuple(line for one in found for line in _lines(one, names))
    return Table(f"{check}:groups", title, tuple(Column(n) for n in (*head, *measured)), rows)


def _lines(one: ByGroup, names: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    compared = one.compared
    grouping, quantity = compared.grouping, compared.quantity
    rates = rates_by_group(grouping, compared.values) if quantity.is_rate else None
    for group, results in one.results.items():
        inside = grouping.members(group)
        measures = {m.name: m for m in results if isinstance(m, Measure)}
        side = next((m.sides[0] for m in measures.values() if m.sides), None)
        own = (None, None, None) if side is None else side_cells(side)
        if side is None and rates is not None and inside.any():
            own = (float(rates[group]), None, None)
        yield (
            grouping.attribute.name,
            grouping.attribute.role,
            grouping.rows.split,
            quantity.keys.get("class"),
            group,
            quantity.name,
            int(inside.sum()),
            grouping.units_of(group),
            *own,
            *(cell for name in names for cell in measure_cells(measures.get(name))),
        )


def side_cells(side: Side) -> tuple[Cell, Cell, Cell]:
    """Value and interval of a side for a table."""
    ends = side.interval
    return value(side.estimate), ends.low, ends.high


def measure_cells(measure: Measure | None) -> tuple[Cell, Cell, Cell]:
    """Value and interval for a table, None where there is none or it has no end."""
    if measure is None:
        return None, None, None
    ends = measure.interval
    numbers = (value(measure.estimate), ends.low, ends.high)
    point, low, high = (float(n) if math.isfinite(n) else None for n in numbers)
    return point, low, high


def group_pictures(check: str, found: Sequence[ByGroup], *, title: str) -> Iterator[Figure]:
    """For each attribute the groups' own values with their intervals, a series a quantity."""
    attributes = dict.fromkeys(one.compared.grouping.attribute.name for one in found)
    for attribute in attributes:
        own = [one for one in found if one.compared.grouping.attribute.name == attribute]
        yield _picture(check, attribute, own, title)


def _picture(check: str, attribute: str, found: Sequence[ByGroup], title: str) -> Figure:
    entries = [entry for one in found for entry in _entries(one)]
    missing = max((one.compared.grouping.missing for one in found), default=0)
    quantity = found[0].compared.quantity
    shown = "; ".join(f"{e['label']}{_series(e)} {_told_value(e, quantity)}" for e in entries[:20])
    return Figure(
        id=f"{check}:{attribute}",
        kind="forest",
        title=f"{title} by {attribute}",
        caption=f"{title} of each group with its 95% interval. {missing} images have no value of "
        f"{attribute}. Groups with fewer than {MIN_UNITS} units are left out.",
        alt=f"Intervals: {shown}." if entries else "No group has enough units.",
        x=Axis(title.lower(), "share" if quantity.scale == "share" else quantity.unit),
        y=Axis(attribute),
        rows=tuple(entries),
    )


def _entries(one: ByGroup) -> Iterator[dict[str, Cell]]:
    split = one.compared.grouping.rows.split
    series = ", ".join(
        [*one.compared.quantity.keys.values(), *([] if split == "test" else [f"{split} data"])]
    )
    everyone = np.ones(len(one.compared.grouping), dtype=bool)
    sides = {"all images": one.compared.side(everyone)} if one.measures else {}
    for group, results in one.results.items():
        side = next((m.sides[0] for m in results if isinstance(m, Measure) and m.sides), None)
        if side is not None:
            sides[group] = side
    for label, side in sides.items():
        point, low, high = side_cells(side)
        entry: dict[str, Cell] = {"label": label, "value": point, "low": low, "high": high}
        yield entry | {"n": side.n} | ({"series": series} if series else {})


def _series(entry: Mapping[str, Cell]) -> str:
    return f" ({entry['series']})" if entry.get("series") else ""


def _told_value(entry: Mapping[str, Cell], quantity: Quantity) -> str:
    number = float(entry["value"] or 0.0)
    return f"{percent(number)}%" if quantity.scale == "share" else f"{number:.3g}"
