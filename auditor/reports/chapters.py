"""Chapters by family: what each check measured, with its pictures and the start of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.findings import Cell, Column, Figure
from auditor.record import AuditRecord, CheckResults, KeptTable
from auditor.reports.limits_section import FindingView, finding_view
from auditor.reports.ordering import Ordered
from auditor.reports.svg import figure_file_name, svg_data_uri
from auditor.reports.titles import FAMILY_TITLES, topic
from auditor.reports.wording import minus
from auditor.tables import table_file_name

TABLE_ROWS = 12
MEASURE_ROWS = 12
TABLE_COLUMNS = 10
FIGURES = 6


@dataclass(frozen=True)
class FigureView:
    """A picture with its words; `address` holds the picture itself, `file` names it on disk."""

    title: str
    caption: str
    alt: str
    address: str
    file: str


@dataclass(frozen=True)
class TableView:
    """The first rows and columns of a table; `file` is its name under ``tables/``."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int
    more_columns: int
    file: str


@dataclass(frozen=True)
class CheckView:
    """A check's results: `findings` in short, `more` of them left to findings.csv."""

    id: str
    title: str
    summary: str
    findings: tuple[FindingView, ...]
    more: int
    figures: tuple[FigureView, ...]
    more_figures: int
    tables: tuple[TableView, ...]
    crashed: bool


@dataclass(frozen=True)
class Chapter:
    key: str
    title: str
    checks: tuple[CheckView, ...]


def chapters(
    record: AuditRecord, order: Ordered, *, pictures: Mapping[str, str]
) -> tuple[Chapter, ...]:
    """Chapters in order; families without results have none. `pictures` maps ids to SVG."""
    families = dict.fromkeys([*FAMILY_TITLES, *(r.check.split("/")[0] for r in record.results)])
    found = []
    for family in families:
        results = [r for r in record.results if r.check.startswith(f"{family}/")]
        if results:
            checks = tuple(_check_view(r, record, order, pictures) for r in results)
            name = FAMILY_TITLES.get(family, family.capitalize())
            found.append(Chapter(key=family, title=name, checks=checks))
    return tuple(found)


def _check_view(
    result: CheckResults, record: AuditRecord, order: Ordered, pictures: Mapping[str, str]
) -> CheckView:
    text = next((t for t in record.check_texts if t.id == result.check), None)
    findings = [f for f in order.findings if f.check == result.check]
    name = topic(result.check)
    return CheckView(
        id=result.check,
        title=name[:1].upper() + name[1:],
        summary=text.summary if text else "",
        findings=tuple(finding_view(f, order) for f in findings[:MEASURE_ROWS]),
        more=max(len(findings) - MEASURE_ROWS, 0),
        figures=tuple(_figure_view(f, pictures) for f in result.figures[:FIGURES]),
        more_figures=max(len(result.figures) - FIGURES, 0),
        tables=tuple(_table_view(table) for table in result.tables),
        crashed=result.traceback is not None,
    )


def _figure_view(figure: Figure, pictures: Mapping[str, str]) -> FigureView:
    return FigureView(
        title=figure.title,
        caption=figure.caption,
        alt=figure.alt,
        address=svg_data_uri(pictures[figure.id]),
        file=figure_file_name(figure.id),
    )


def _table_view(table: KeptTable) -> TableView:
    columns = table.columns[:TABLE_COLUMNS]
    return TableView(
        title=table.title,
        columns=tuple(_heading(column) for column in columns),
        rows=tuple(_row(row[:TABLE_COLUMNS], columns) for row in table.rows[:TABLE_ROWS]),
        total=table.total,
        more_columns=len(table.columns) - len(columns),
        file=table_file_name(table.id),
    )


def _heading(column: Column) -> str:
    unit = "%" if column.unit == "share" else column.unit
    return f"{column.name} ({unit})" if unit else column.name


def _row(row: Sequence[Cell], columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(cell_text(cell, column) for cell, column in zip(row, columns, strict=True))


def cell_text(cell: Cell, column: Column) -> str:
    """A cell as it is printed: shares in per cent, numbers with three figures, nothing for None."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return minus(f"{cell:,}")
    if isinstance(cell, float):
        return minus(_number(cell, column))
    return cell


def _number(cell: float, column: Column) -> str:
    if column.unit == "share":
        return f"{100 * cell:.1f}"
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
