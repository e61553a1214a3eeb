"""The start of a table as texts: shares in per cent, numbers with three figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.contract.numbers import minus
from auditor.findings import Cell, Column
from auditor.record import KeptTable
from auditor.record.tables import table_file_name
from auditor.reports.shown_figure import shown_words
from auditor.reports.telling import Telling

ROWS = 10
COLUMNS = 10


@dataclass(frozen=True)
class TableView:
    """The first rows and columns of a table; `file` is its name under ``tables/``."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int
    all_columns: int
    file: str

    @property
    def more_columns(self) -> int:
        return self.all_columns - len(self.columns)


def table_view(table: KeptTable, telling: Telling) -> TableView:
    """A table's first `ROWS` rows and `COLUMNS` columns, with names as readers are shown them."""
    columns = table.columns[:COLUMNS]
    return TableView(
        title=shown_words(table.title, telling),
        columns=tuple(shown_words(_heading(column), telling) for column in columns),
        rows=tuple(
            tuple(shown_words(cell, telling) for cell in _row(row[:COLUMNS], columns))
            for row in table.rows[:ROWS]
        ),
        total=table.total,
        all_columns=len(table.columns),
        file=table_file_name(table.id),
    )


def _heading(column: Column) -> str:
    unit = "%" if column.unit == "share" else column.unit
    return f"{column.name} ({unit})" if unit and unit not in column.name else column.name


def _row(row: Sequence[Cell], columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(cell_text(cell, column) for cell, column in zip(row, columns, strict=True))


def cell_text(cell: Cell, column: Column) -> str:
    """A cell as it is printed: shares in per cent, numbers with three figures, a dash for None."""
    if cell is None or cell == "":
        return "–"
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
