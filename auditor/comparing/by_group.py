"""What was measured of every group, collected: reasons told once, one table, one picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.comparing.adjustment import adjusted_table
from auditor.comparing.against_rest import AgainstRest, against_rest
from auditor.comparing.groups import Grouping, let_go
from auditor.comparing.interval_row import interval_row
from auditor.contract.numbers import percent
from auditor.contract.quantity_words import NAMINGS, called
from auditor.contract.words import mid_sentence
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Measured,
    Scale,
    Side,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS
from auditor.scoring.quantities import Quantity
from auditor.scoring.set_values import EmptySetError
from auditor.stats import ENDLESS, value


@dataclass(frozen=True)
class ByGroup:
    """A quantity of every group of an attribute: its results by group, in the groups' order."""

    compared: AgainstRest
    results: Mapping[str, tuple[Measured, ...]]

    @property
    def measures(self) -> list[Measure]:
        return [m for found in self.results.values() for m in found if isinstance(m, Measure)]

    def sides(self, group: str) -> tuple[Side, Side] | None:
        """Both sides of a group's first comparison; of the quantity itself where none was asked.

        None where a side has too few units.
        """
        results = self.results[group]
        found = next((m.sides for m in results if isinstance(m, Measure) and m.sides), None)
        if results or self.compared.too_few(group, "") is not None:
            return found
        inside = self.compared.grouping.members(group)
        try:
            return self.compared.side(inside), self.compared.side(~inside)
        except EmptySetError:
            return None


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


def told(found: Sequence[ByGroup], *, always: Sequence[str] | None = ()) -> Iterator[Measured]:
    """All results; of classes not among `always`, those too rare in a group share one reason.

    Of several measures of a rare class the last stands for all. None: each has its own.
    """
    rare: dict[tuple[Subject, str], list[tuple[ByGroup, Unmeasured]]] = {}
    for one in found:
        label = one.compared.quantity.keys.get("class")
        for group, results in one.results.items():
            last = results[-1] if results else None
            alone = label is None or always is None or label in always
            if alone or not isinstance(last, Unmeasured):
                yield from results
            else:
                subject = one.compared.grouping.subject(group)
                rare.setdefault((subject, last.name), []).append((one, last))
    for (subject, name), lacking in rare.items():
        yield _rare(subject, name, lacking)


def _rare(subject: Subject, name: str, lacking: Sequence[tuple[ByGroup, Unmeasured]]) -> Unmeasured:
    ((attribute, group),) = subject.keys
    named = f"{group} ({attribute})"
    among = ", ".join(one.compared.quantity.among.strip() for one, _ in lacking)
    return Unmeasured(
        name=name,
        subject=subject,
        reason=f"{named} or the rest has fewer than {MIN_UNITS} units {among}.",
        remedy=f"Collect at least {MIN_UNITS} units of {named}, and of the others, {among}.",
    )


def displayed(
    check: str,
    found: Sequence[ByGroup],
    *,
    title: str,
    caption: str = "",
    pictured: Sequence[ByGroup] | None = None,
    facts: Sequence[str] = (),
) -> Iterator[Figure | Table]:
    """A picture for each attribute, a table of all groups, a table of what was adjusted.

    `title` says what is shown of every group ("Accuracy"), and `caption` in a sentence without
    its stop, where that is not enough; `pictured` (all, where None) are drawn. Each of the
    measures' `facts` named gets a column.
    """
    drawn = found if pictured is None else pictured
    yield from group_pictures(check, drawn, title=title, caption=caption)
    if found:
        heading = f"{title} of every group, against all others"
        yield group_table(check, found, title=heading, facts=facts)
    yield from adjusted_table(check, [m for one in found for m in one.measures])
    let_go(one.compared.grouping for one in found)


def group_table(
    check: str, found: Sequence[ByGroup], *, title: str, facts: Sequence[str] = ()
) -> Table:
    """One line a group and quantity: its own value and the others', each measure, `facts`."""
    measures = {m.name: m for one in found for m in one.measures}
    quantities = [one.compared.quantity for one in found]
    names = {r.name for one in found for results in one.results.values() for r in results}
    ordered = [*measures, *sorted(names - {*measures})]
    nouns = {one.compared.grouping.rows.noun for one in found}
    counted = nouns.pop() if len(nouns) == 1 else "rows"
    first = ("attribute", "role", "data", "class", "group", "quantity", counted, "units")
    alike = {(q.scale, q.unit) for q in quantities}
    own = _column_unit(*alike.pop()) if len(alike) == 1 else ""
    units = {"value": own, "others": own} | {
        name: _column_unit(m.scale, m.unit) for name, m in measures.items()
    }
    columns = [Column(name) for name in first]
    for name in ("value", "others", *ordered):
        head = called(name) if name in NAMINGS else name
        columns += [Column(f"{head}{end}", units.get(name, "")) for end in ("", " low", " high")]
    columns += [Column(fact.replace("_", "-")) for fact in facts]
    rows = tuple(line for one in found for line in _lines(one, ordered, facts))
    return Table(f"{check}:groups", title, tuple(columns), rows)


def _column_unit(scale: Scale, unit: str) -> str:
    return unit if scale == "amount" else "" if scale == "ratio" else "share"


def _lines(one: ByGroup, names: Sequence[str], facts: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    compared = one.compared
    grouping, quantity = compared.grouping, compared.quantity
    both = {group: one.sides(group) for group in one.results}
    for group, results in one.results.items():
        inside, sides = grouping.members(group), both[group]
        measures = {m.name: m for m in results if isinstance(m, Measure)}
        shown: tuple[Cell, ...] = (None,) * 6
        if sides is not None:
            shown = (*side_cells(sides[0]), *side_cells(sides[1]))
        elif quantity.is_rate and inside.any():
            shown = (float(compared.values[inside].mean()), *shown[1:])
        yield (
            grouping.attribute.name,
            grouping.attribute.role,
            grouping.rows.split,
            quantity.keys.get("class"),
            group,
            quantity.title or called(quantity.name),
            grouping.images_of(group),
            grouping.units_of(group),
            *shown,
            *(cell for name in names for cell in measure_cells(measures.get(name))),
            *(_fact(measures, fact) for fact in facts),
        )


def _fact(measures: Mapping[str, Measure], name: str) -> Cell:
    """A fact of the first measure that has it."""
    found: Cell = next((m.facts[name] for m in measures.values() if name in m.facts), None)
    return found


def side_cells(side: Side) -> tuple[Cell, Cell, Cell]:
    """Value and interval of a side for a table."""
    ends = side.interval
    return value(side.estimate), ends.low, ends.high


def measure_cells(measure: Measure | None) -> tuple[Cell, Cell, Cell]:
    """Value and interval for a table, None where there is none or it has no end."""
    if measure is None:
        return None, None, None
    ends = measure.interval
    most = ENDLESS if measure.scale == "ratio" else math.inf
    numbers = (value(measure.estimate), ends.low, ends.high)
    point, low, high = (float(n) if abs(n) < most else None for n in numbers)
    return point, low, high


def group_pictures(
    check: str, found: Sequence[ByGroup], *, title: str, caption: str = ""
) -> Iterator[Figure]:
    """For each attribute the groups' own values with their intervals, a series a quantity."""
    attributes = dict.fromkeys(one.compared.grouping.attribute.name for one in found)
    for attribute in attributes:
        own = [one for one in found if one.compared.grouping.attribute.name == attribute]
        yield _picture(check, attribute, own, title, caption)


def _picture(
    check: str, attribute: str, found: Sequence[ByGroup], title: str, caption: str
) -> Figure:
    entries = [entry for one in found for entry in _entries(one)]
    missing = max((one.compared.grouping.missing for one in found), default=0)
    quantity, noun = found[0].compared.quantity, found[0].compared.grouping.rows.noun
    shown = "; ".join(f"{e['label']}{_series(e)} {_told_value(e, quantity)}" for e in entries[:20])
    return Figure(
        id=f"{check}:{attribute}",
        kind="forest",
        title=f"{title} by {attribute}",
        caption=f"{caption or f'{title} of each group'}, with its 95% interval. {missing} {noun} "
        f"have no value of {attribute}. Groups with fewer than {MIN_UNITS} units are left out.",
        alt=f"Intervals: {shown}." if entries else "No group has enough units.",
        x=Axis(mid_sentence(title), quantity.unit if quantity.scale == "amount" else "share"),
        y=Axis(attribute),
        rows=tuple(entries),
    )


def _entries(one: ByGroup) -> Iterator[dict[str, Cell]]:
    quantity, split = one.compared.quantity, one.compared.grouping.rows.split
    named = [quantity.title] if quantity.title else []
    series = ", ".join([*named, *([] if split == "test" else [f"{split} data"])])
    shown = {group: sides[0] for group in one.results if (sides := one.sides(group))}
    if shown:
        everyone = one.compared.side(np.ones(len(one.compared.grouping), dtype=bool))
        shown = {f"all {one.compared.grouping.rows.noun}": everyone} | shown
    for label, side in shown.items():
        yield interval_row(label, side.estimate, n=side.n, series=series)


def _series(entry: Mapping[str, Cell]) -> str:
    return f" ({entry['series']})" if entry.get("series") else ""


def _told_value(entry: Mapping[str, Cell], quantity: Quantity) -> str:
    number = float(entry["value"] or 0.0)
    return f"{number:,.3g}" if quantity.scale == "amount" else f"{percent(number)}%"
