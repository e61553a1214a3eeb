"""Chapters by family: what each check measured, with its pictures and the start of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.findings import Cell, Column, Figure, Finding
from auditor.record import AuditRecord, CheckResults, KeptTable
from auditor.reports.limits_section import FindingView, finding_view
from auditor.reports.ordering import Ordered
from auditor.reports.svg import figure_file_name, svg_data_uri
from auditor.reports.titles import FAMILY_TITLES, topic
from auditor.reports.wording import minus
from auditor.stats import Exact, Rate, value
from auditor.tables import table_file_name

TABLE_ROWS = 10
MEASURE_ROWS = 10
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
    rows = tuple(_rows(findings, order))
    return CheckView(
        id=result.check,
        title=name[:1].upper() + name[1:],
        summary=text.summary if text else "",
        findings=rows[:MEASURE_ROWS],
        more=max(len(rows) - MEASURE_ROWS, 0),
        figures=tuple(_figure_view(f, pictures) for f in result.figures[:FIGURES]),
        more_figures=max(len(result.figures) - FIGURES, 0),
        tables=tuple(_table_view(table) for table in result.tables),
        crashed=result.traceback is not None,
    )


def _rows(findings: Sequence[Finding], order: Ordered) -> Iterator[FindingView]:
    """Findings in short; information that is zero in several kinds is one row."""
    zero = [f for f in findings if _is_zero_information(f)]
    for finding in findings:
        same = [f for f in zero if _measure_name(f) == _measure_name(finding)]
        if finding not in zero or len(same) < 2:
            yield finding_view(finding, order)
        elif finding is same[0]:
            yield _none_found(same, order)


def _is_zero_information(finding: Finding) -> bool:
    measure = finding.measure
    return (
        finding.verdict is None
        and measure is not None
        and isinstance(measure.estimate, Exact | Rate)
        and measure.unit.startswith("share")
        and value(measure.estimate) == 0
    )


def _measure_name(finding: Finding) -> str:
    return finding.measure.name if finding.measure else ""


def _none_found(findings: Sequence[Finding], order: Ordered) -> FindingView:
    """One row for many findings that counted nothing."""
    first = finding_view(findings[0], order)
    what = f"{topic(findings[0].check)}, {_measure_name(findings[0]).replace('-', ' ')}"
    title = f"{what[:1].upper()}{what[1:]}: {len(findings)} more kinds, none found"
    return replace(first, title=title, value="0%", size="", examples=())


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
