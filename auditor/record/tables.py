"""Tables as CSV files that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from auditor.findings import Cell, Table
from auditor.opening import write_whole

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Header and rows as CSV; empty cells for None.

    Text that a spreadsheet would take for a formula gets a leading apostrophe (OWASP, "CSV
    Injection"): group names and file names come from others.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def table_csv(table: Table) -> str:
    """A whole table as CSV; units stand in the header in brackets."""
    header = [f"{c.name} [{c.unit}]" if c.unit else c.name for c in table.columns]
    return csv_text(header, table.rows)


def table_digest(table: Table) -> str:
    """SHA-256 of the table's CSV file."""
    return hashlib.sha256(_bytes(table_csv(table))).hexdigest()


def table_file_name(table_id: str) -> str:
    """The file name of a table under ``tables/``: its id without slashes and colons."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in table_id) + ".csv"


def write_tables(tables: Iterable[Table], folder: Path) -> tuple[Path, ...]:
    """Write each table whole under `folder`, each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(write_whole(folder / table_file_name(t.id), _bytes(table_csv(t))) for t in tables)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")


def _cell(value: Cell) -> Cell:
    if not isinstance(value, str):
        return value
    # The writer leaves a lone carriage return unquoted, which readers take for the end of a row.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
