"""One picture an attribute: its groups against all others, a panel a measure, limits drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.findings import Axis, Figure, Finding, Measure, Verdict
from auditor.reports.group_results import GroupColumn, GroupResults, GroupTable
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import bound_of
from auditor.stats import value

NOTE = (
    "Each line is a 95% interval, cut with an arrow where it leaves the picture. Dashed: the "
    "limit. Dotted: as for all others (shares: as due)."
)
"""How to read the pictures; their captions say only what is their own."""

WORST_NOTE = (
    "each line is the range in which the true figure plausibly lies; dashed: the limit; dotted: as "
    "for all others."
)

PANELS = 4
GROUPS = 16
WORST = 4
"""Groups in the picture of page one."""

WORST_ID = "worst-served"


@dataclass(frozen=True)
class PanelRow:
    """A value with its 95% interval in the panel's scale; an end may be infinite."""

    value: float
    low: float
    high: float
    style: str


@dataclass(frozen=True)
class Panel:
    """A measure of all groups; a row is None where a group has none.

    `neutral` is where a group is served as all others are; ratios are drawn on a logarithmic
    axis.
    """

    title: str
    unit: str
    ratio: bool
    neutral: float | None
    limit: float | None
    rows: tuple[PanelRow | None, ...]


@dataclass(frozen=True)
class GroupForest:
    """The panels of an attribute; `groups` labels their rows, `more_groups` are not drawn.

    `is_worse` says that a group fails, or leans worse, in some measure.
    """

    id: str
    attribute: str
    role: str
    groups: tuple[str, ...]
    panels: tuple[Panel, ...]
    more_groups: int
    is_worse: bool

    @property
    def figure(self) -> Figure:
        """Title, caption and description, with the numbers drawn as rows."""
        drawn = [
            (group, panel, row)
            for panel in self.panels
            for group, row in zip(self.groups, panel.rows, strict=True)
            if row is not None
        ]
        return Figure(
            id=self.id,
            kind="forest",
            title=f"Groups of {self.attribute} against all others"
            if self.id != WORST_ID
            else "Groups served worst, against all others",
            caption=f"{self.more_groups} more groups in findings.csv." if self.more_groups else "",
            alt=self._alt(),
            x=Axis("against all others"),
            y=Axis(self.attribute),
            rows=tuple(
                {"label": group, "series": panel.title, "value": row.value, "low": row.low,
                 "high": row.high, "limit": panel.limit}
                for group, panel, row in drawn
            ),
        )  # fmt: skip

    def _alt(self) -> str:
        failed = [
            f"{group}, {panel.title}"
            for panel in self.panels
            for group, row in zip(self.groups, panel.rows, strict=True)
            if row is not None and row.style == "fail"
        ]
        names = ", ".join(panel.title for panel in self.panels)
        said = f"Beyond the limit: {'; '.join(failed)}." if failed else "None beyond a limit."
        groups = f"{len(self.groups)} group{'s' * (len(self.groups) > 1)}"
        return f"Intervals of {names} for {groups} of {self.attribute}. {said}"


def group_forests(results: GroupResults, order: Ordered) -> tuple[GroupForest, ...]:
    """A picture for each attribute of which at least one comparison was measured."""
    found = (_forest(table, results.columns, order) for table in results.tables)
    return tuple(forest for forest in found if forest.panels)


def worst_served(results: GroupResults, order: Ordered) -> tuple[GroupForest, ...]:
    """The groups shown to be served worst, of all attributes, in one picture; none where none is.

    Its panels are the two measures of how groups are served of which most failed.
    """
    places = {finding.id: place for place, finding in enumerate(order.findings)}
    hurt = [
        (table, group, column.key, finding)
        for column in results.columns
        if column.served and column.judged
        for table in results.tables
        for group in table.groups
        if (finding := table.findings.get((group, column.key))) is not None
        and (finding.verdict is Verdict.FAIL or finding.leaning == "worse")
        and order.measure(finding) is not None
    ]
    hurt.sort(key=lambda one: (one[3].verdict is not Verdict.FAIL, places[one[3].id]))
    rows = list(dict.fromkeys((table.attribute.name, group) for table, group, _, _ in hurt))
    counts = Counter(key for _, _, key, _ in hurt)
    columns = [c for c in results.columns if counts[c.key]]
    columns = sorted(columns, key=lambda c: (-counts[c.key], c.rank))[:2]
    tables = {table.attribute.name: table for table in results.tables}
    findings = {
        (f"{attribute}={group}", column.key): finding
        for attribute, group in rows[:WORST]
        for column in columns
        if (finding := tables[attribute].findings.get((group, column.key))) is not None
    }
    measures = {
        place: measure
        for place, finding in findings.items()
        if (measure := order.measure(finding)) is not None
        and math.isfinite(value(measure.estimate))
    }
    shown = [f"{attribute}={group}" for attribute, group in rows[:WORST]]
    drawn = [c for c in columns if any((g, c.key) in measures for g in shown)]
    if not drawn:
        return ()
    names = (order.telling.named(attribute, group) for attribute, group in rows[:WORST])
    return (
        GroupForest(
            id=WORST_ID,
            attribute="all attributes",
            role="",
            groups=tuple(names),
            panels=tuple(_panel(findings, c, shown, measures, order) for c in drawn),
            more_groups=max(len(rows) - WORST, 0),
            is_worse=True,
        ),
    )


def _forest(table: GroupTable, columns: Sequence[GroupColumn], order: Ordered) -> GroupForest:
    measures = {
        place: measure
        for place, finding in table.findings.items()
        if (measure := order.measure(finding)) is not None
        and math.isfinite(value(measure.estimate))
    }
    filled = {key for _, key in measures}
    chosen = [c for c in _chosen(table, columns) if c.key in filled][:PANELS]
    drawn = [c for c in columns if c in chosen]
    groups = [g for g in table.groups if any((g, c.key) in measures for c in drawn)]
    sizes = {group.name: group.n_sound for group in table.attribute.groups}
    shown, attribute = groups[:GROUPS], table.attribute.name
    name, named = order.telling.shown, order.telling.shown_of
    labels = [
        f"{named(attribute, g)} ({sizes[g]:,})" if g in sizes else named(attribute, g)
        for g in shown
    ]
    return GroupForest(
        id=f"groups:{name(attribute)}",
        attribute=name(attribute),
        role=table.attribute.role,
        groups=tuple(labels),
        panels=tuple(_panel(table.findings, column, shown, measures, order) for column in drawn),
        more_groups=len(groups) - len(shown),
        is_worse=table.is_worse_somewhere,
    )


def _chosen(table: GroupTable, columns: Sequence[GroupColumn]) -> list[GroupColumn]:
    """Judged columns, those of the model's answers and those with failures first; then the rest."""

    def rank(column: GroupColumn) -> tuple[bool, bool, bool, int]:
        return (not column.judged, not column.served, not table.failed(column), column.rank)

    return sorted(columns, key=rank)


def _panel(
    found: Mapping[tuple[str, str], Finding],
    column: GroupColumn,
    groups: Sequence[str],
    measures: Mapping[tuple[str, str], Measure],
    order: Ordered,
) -> Panel:
    findings = [found.get((group, column.key)) for group in groups]
    first = next(m for (_, key), m in measures.items() if key == column.key)
    times = 100.0 if first.scale in ("share", "difference") else 1.0
    limit = next((bound_of(order.limit_of(f)) for f in findings if f is not None and f.limit), None)
    return Panel(
        title=column.heading,
        unit={"ratio": "times", "amount": first.unit}.get(first.scale, "points"),
        ratio=first.scale == "ratio",
        neutral=first.neutral if first.neutral is None else first.neutral * times,
        limit=None if limit is None else limit[1] * times,
        rows=tuple(
            None if f is None or (g, column.key) not in measures
            else _row(f, measures[g, column.key], times)
            for g, f in zip(groups, findings, strict=True)
        ),
    )  # fmt: skip


def _row(finding: Finding, measure: Measure, times: float) -> PanelRow:
    ends, verdict = measure.interval, finding.verdict
    style = "none" if verdict is None else verdict.value.lower()
    if verdict is Verdict.NOT_RUN:
        style = "inconclusive"
    return PanelRow(value(measure.estimate) * times, ends.low * times, ends.high * times, style)
