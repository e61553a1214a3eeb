"""Who loses more under corruptions: each group's loss beside that of all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from auditor.comparing.by_group import measure_cells, side_cells
from auditor.comparing.groups import Grouping, groupings, too_few_units
from auditor.comparing.two_sides import two_means
from auditor.findings import Cell, Column, Measure, Measured, Result, Side, Table, Unmeasured
from auditor.shift.corruption_tables import Curve
from auditor.stats import holm, p_value

_NAME = "lost-more"
_SHOWN = 0.05


def lost_by_group(curves: Mapping[str, Curve]) -> Iterator[Result]:
    """Of every group what it loses on average beyond the others; under a kind where that is shown.

    What is shown is tested among all groups and kinds together (Holm), and a table has all.
    """
    rows = next(iter(next(iter(curves.values())).losses.values())).pair.first
    means = np.mean([curve.mean for curve in curves.values()], axis=0)
    everything, by_kind = _Averaged("all", means), [
        _Averaged(curve.kind, curve.mean, tuple(curve.losses)) for curve in curves.values()
    ]  # fmt: skip
    title = next(iter(next(iter(curves.values())).losses.values())).title
    lines: list[tuple[Cell, ...]] = []
    tested: list[Measure] = []
    for grouping in groupings(rows):
        if grouping.attribute.role == "nuisance" or grouping.single is not None:
            continue
        for group in grouping.groups:
            found = _measured(grouping, group, everything, title)
            yield found
            if isinstance(found, Measure):
                own = [_kind_measured(grouping, group, kind, title) for kind in by_kind]
                tested += own
                lines += [_line(grouping, group, m) for m in (found, *own)]
    yield from _shown(tested)
    if lines:
        yield _table(lines)


@dataclass(frozen=True)
class _Averaged:
    """What each row loses under a kind, on average over severities; or under all kinds."""

    kind: str
    values: np.ndarray
    severities: tuple[int, ...] = ()


def _measured(grouping: Grouping, group: str, of: _Averaged, title: str) -> Measured:
    subject = grouping.subject(group)
    few: Unmeasured | None = too_few_units(grouping, group, name=_NAME, subject=subject)
    return few if few is not None else _difference(grouping, group, of, title)


def _kind_measured(grouping: Grouping, group: str, of: _Averaged, title: str) -> Measure:
    found = _difference(grouping, group, of, title)
    said = {**found.facts, "severities": ", ".join(map(str, of.severities))}
    subject = grouping.subject(group, {"corruption": of.kind})
    return replace(found, subject=subject, facts=said)


def _difference(grouping: Grouping, group: str, of: _Averaged, title: str) -> Measure:
    inside = grouping.members(group)
    sides = two_means(
        of.values[grouping.at], member=inside, unit=grouping.unit, span=(-1.0, 1.0)
    )  # fmt: skip
    return Measure(
        name=_NAME,
        subject=grouping.subject(group),
        estimate=sides.difference(),
        scale="difference",
        neutral=0.0,
        better="lower",
        n=int(inside.sum()),
        n_units=grouping.units_of(group),
        sides=(
            Side(sides.group, int(inside.sum()), "difference"),
            Side(sides.rest, int((~inside).sum()), "difference"),
        ),
        facts={"quantity": title},
        of=grouping.rows.of,
    )


def _shown(tested: list[Measure]) -> Iterator[Measure]:
    adjusted = holm([p_value(m.estimate, limit=0.0, exceeds="above") for m in tested])
    for measure, p in zip(tested, adjusted, strict=True):
        if p <= _SHOWN:
            yield replace(measure, facts={**measure.facts, "compared": len(tested)})


def _line(grouping: Grouping, group: str, found: Measure) -> tuple[Cell, ...]:
    assert found.sides is not None
    kind = found.subject.get("corruption") or "all"
    sides = (cell for side in found.sides for cell in side_cells(side))
    return (
        grouping.attribute.name, group, kind, found.n, found.n_units, *sides, *measure_cells(found),
    )  # fmt: skip


def _table(lines: list[tuple[Cell, ...]]) -> Table:
    head = ("attribute", "group", "corruption", "rows", "units")
    ends = tuple(f"{name}{end}" for name in ("lost", "lost by others", "lost more")
                 for end in ("", " low", " high"))  # fmt: skip
    columns = (*(Column(h) for h in head), *(Column(e, "share") for e in ends))
    title = "What every group loses under each corruption, against all others"
    return Table("shift/corruptions:groups", title, columns, tuple(lines))
