"""Checks by group: one table over all attributes, a sign and a figure in each cell."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.contract.numbers import percent, value_text
from auditor.findings import Finding, Measure, Verdict
from auditor.reports.finding_view import Mark, mark
from auditor.reports.group_results import GroupColumn, GroupResults, GroupTable
from auditor.reports.ordering import Ordered
from auditor.reports.wording import shortened, verdict_word
from auditor.stats import value

COLUMNS = 10
GROUPS = 24


@dataclass(frozen=True)
class MatrixCell:
    """A verdict with the figure it rests on; `n` is the images counted, 0 where none were."""

    mark: Mark
    figure: str
    n: int
    number: int


@dataclass(frozen=True)
class MatrixRow:
    group: str
    images: int
    cells: tuple[MatrixCell | None, ...]


@dataclass(frozen=True)
class MatrixBlock:
    """An attribute's groups, the worst first; `more_groups` are left to findings.csv."""

    attribute: str
    role: str
    rows: tuple[MatrixRow, ...]
    more_groups: int


@dataclass(frozen=True)
class Matrix:
    """All groups by what was measured of them; `more_columns` are left to findings.csv."""

    columns: tuple[str, ...]
    blocks: tuple[MatrixBlock, ...]
    more_columns: int


def matrix(results: GroupResults, order: Ordered) -> Matrix | None:
    """The matrix of checks by group; None where nothing was measured by group."""
    if not results.tables:
        return None
    shown = results.columns[:COLUMNS]
    return Matrix(
        columns=tuple(column.heading for column in shown),
        blocks=tuple(_block(table, shown, order) for table in results.tables),
        more_columns=len(results.columns) - len(shown),
    )


def _block(table: GroupTable, shown: tuple[GroupColumn, ...], order: Ordered) -> MatrixBlock:
    sizes = {group.name: group.n_sound for group in table.attribute.groups}
    rows = tuple(
        MatrixRow(
            group=shortened(order.telling.shown_of(table.attribute.name, group), 60),
            images=sizes.get(group, 0),
            cells=tuple(_cell(table.findings.get((group, c.key)), order) for c in shown),
        )
        for group in table.groups[:GROUPS]
    )
    return MatrixBlock(
        attribute=order.telling.shown(table.attribute.name),
        role=table.attribute.role,
        rows=rows,
        more_groups=max(len(table.groups) - GROUPS, 0),
    )


def _cell(finding: Finding | None, order: Ordered) -> MatrixCell | None:
    if finding is None:
        return None
    measure, number = order.measure(finding), order.numbers[finding.id]
    if measure is None:
        word = "too few" if finding.verdict is Verdict.NOT_RUN else "not measured"
        return MatrixCell(mark(finding.verdict, word), "", 0, number)
    found = mark(finding.verdict, verdict_word(finding))
    return MatrixCell(found, _figure(measure), measure.n, number)


def _figure(measure: Measure) -> str:
    """The group's own share where there is one, else the value without its range."""
    own = measure.sides[0] if measure.sides else None
    if own is not None and own.scale == "share":
        return f"{percent(value(own.estimate))}%"
    return value_text(measure).partition(" [")[0]
