"""One picture an attribute: its groups against all others, a panel a measure, limits drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.findings import Axis, Figure, Finding, Measure, Verdict
from auditor.judging.reasons import is_share
from auditor.judging.verdicts import is_by_group
from auditor.reports.group_results import GroupColumn, GroupResults, GroupTable
from auditor.reports.ordering import Ordered
from auditor.stats import PairedDifference, RateDifference, interval, value

NOTE = (
    "Each line is a 95% interval, cut with an arrow where it leaves the picture. Dashed: the "
    "limit. Dotted: as for all others (shares: as due)."
)
"""How to read the pictures; their captions say only what is their own."""

PANELS = 4
GROUPS = 16
_ALWAYS = (
    "bias/subgroup-gap:accuracy",
    "bias/error-rates:false-positive-ratio",
    "bias/error-rates:false-negative-ratio",
)
"""What is drawn beside the judged measures, where there is room."""

_BOUNDS = ("at_least", "at_most", "above", "below")


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
    """The panels of an attribute; `groups` labels their rows, `more_groups` are not drawn."""

    attribute: str
    role: str
    groups: tuple[str, ...]
    panels: tuple[Panel, ...]
    more_groups: int

    @property
    def id(self) -> str:
        return f"groups:{self.attribute}"

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
            title=f"Groups of {self.attribute} against all others",
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
        return f"Intervals of {names} for {len(self.groups)} groups of {self.attribute}. {said}"


def group_forests(results: GroupResults, order: Ordered) -> tuple[GroupForest, ...]:
    """A picture for each attribute of which at least one comparison was measured."""
    found = (_forest(table, results.columns, order) for table in results.tables)
    return tuple(forest for forest in found if forest.panels)


def _forest(table: GroupTable, columns: Sequence[GroupColumn], order: Ordered) -> GroupForest:
    chosen = [c for c in _chosen(table, columns) if _has_rows(table, c)][:PANELS]
    drawn = [c for c in columns if c in chosen]
    groups = [
        group
        for group in table.groups
        if any(_measure(table, group, column) is not None for column in drawn)
    ]
    sizes = {group.name: group.n_sound for group in table.attribute.groups}
    shown = groups[:GROUPS]
    return GroupForest(
        attribute=table.attribute.name,
        role=table.attribute.role,
        groups=tuple(f"{group} ({sizes[group]:,})" if group in sizes else group for group in shown),
        panels=tuple(_panel(table, column, shown, order) for column in drawn),
        more_groups=len(groups) - len(shown),
    )


def _chosen(table: GroupTable, columns: Sequence[GroupColumn]) -> list[GroupColumn]:
    """Judged columns, those of the model's answers and those with failures first; then the rest."""

    def rank(column: GroupColumn) -> tuple[bool, bool, bool]:
        served = is_by_group(column.key.partition(":")[0])
        return (not column.judged, not served, not table.failed(column))

    wanted = [c for c in columns if c.judged or c.key.partition("|")[0] in _ALWAYS]
    return sorted(wanted, key=rank)


def _has_rows(table: GroupTable, column: GroupColumn) -> bool:
    return any(_measure(table, group, column) is not None for group in table.groups)


def _measure(table: GroupTable, group: str, column: GroupColumn) -> Measure | None:
    finding = table.findings.get((group, column.key))
    measure = finding.measure if finding else None
    return measure if measure is not None and math.isfinite(value(measure.estimate)) else None


def _panel(table: GroupTable, column: GroupColumn, groups: Sequence[str], order: Ordered) -> Panel:
    found = [table.findings.get((group, column.key)) for group in groups]
    first = next(m for g in table.groups if (m := _measure(table, g, column)) is not None)
    ratio = first.unit == "ratio"
    times = 1.0 if ratio or not _is_of_shares(first) else 100.0
    limit = next((_bound(f, order) for f in found if f is not None and f.limit), None)
    return Panel(
        title=column.heading,
        unit=_unit(first, ratio),
        ratio=ratio,
        neutral=1.0 if ratio else 0.0,
        limit=None if limit is None else limit * times,
        rows=tuple(None if f is None else _row(f, times) for f in found),
    )


def _is_of_shares(measure: Measure) -> bool:
    return isinstance(measure.estimate, RateDifference | PairedDifference) or is_share(measure)


def _unit(measure: Measure, ratio: bool) -> str:
    if ratio:
        return "times"
    return "points" if _is_of_shares(measure) else measure.unit


def _bound(finding: Finding, order: Ordered) -> float | None:
    limit = order.limit_of(finding)
    kind = next((k for k in _BOUNDS if limit.get(k) is not None), None)
    return None if kind is None else float(limit[kind])


def _row(finding: Finding, times: float) -> PanelRow | None:
    measure = finding.measure
    if measure is None or not math.isfinite(value(measure.estimate)):
        return None
    ends = interval(measure.estimate)
    verdict = finding.verdict
    style = "none" if verdict is None else verdict.value.lower()
    if verdict is Verdict.NOT_RUN:
        style = "inconclusive"
    return PanelRow(value(measure.estimate) * times, ends.low * times, ends.high * times, style)
