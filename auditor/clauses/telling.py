"""Clauses and their coverage as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.clauses.coverage import not_tested, still_missing
from auditor.clauses.table import Clause, shipped_clauses
from auditor.record.clauses import ClauseRow, ClauseTable

NO_CONFORMITY = "Evidence that may serve these clauses; no line says that a duty is met."
MOST = 4
"""Names that are printed of one status."""


def table_lines() -> Iterator[str]:
    """The shipped clauses: what can be measured, and what a person must state."""
    table = shipped_clauses()
    yield NO_CONFORMITY
    for instrument in table.instruments:
        yield from ("", f"{instrument.name}", f"  text version {instrument.text_version}, looked "
                    f"up on {instrument.verified_on}")  # fmt: skip
        for clause in table.clauses:
            if clause.instrument == instrument.id:
                yield from _clause_lines(clause)
    yield from ("", "auditor clauses audit.yaml  says which of these an audit would have.")


def _clause_lines(clause: Clause) -> Iterator[str]:
    yield f"  {clause.id}  [{clause.coverage}]  {clause.paraphrase}"
    for name, found in (
        ("measured by", clause.measured_by),
        ("derived by", clause.derived_by),
        ("declared as", clause.declared_by),
    ):
        if found:
            yield f"      {name}: {', '.join(found)}"


def coverage_lines(table: ClauseTable) -> Iterator[str]:
    """What there is for each clause, then what is still missing."""
    yield NO_CONFORMITY
    for instrument in table.instruments:
        yield from ("", instrument.name)
        for row in instrument.rows:
            yield from _row_lines(row)
    yield from _missing_lines(table)


def _row_lines(row: ClauseRow) -> Iterator[str]:
    yield f"  {row.id}  [{row.coverage}]"
    for part in row.parts:
        names = ", ".join(part.names[:MOST])
        more = f" and {len(part.names) - MOST} more" if len(part.names) > MOST else ""
        text = f" ({part.text})" if names and part.text else part.text
        yield f"      {part.status}: {names}{more}{text}"


def _counted(clauses: tuple[str, ...]) -> str:
    return f"{len(clauses)} clause{'s' if len(clauses) > 1 else ''}"


def _missing_lines(table: ClauseTable) -> Iterator[str]:
    missing, lacking = still_missing(table), not_tested(table)
    yield from ("", f"Still missing: {len(missing)} statements. Each belongs in the declarations "
                "file, with owner and date:")  # fmt: skip
    for key, clauses in missing.items():
        yield f"  {key}: {table.asks[key]}  ({_counted(clauses)})"
    if lacking:
        yield from ("", "Not to be measured as the audit is specified (`auditor plan` says why):")
        for check, clauses in lacking.items():
            yield f"  {check}  ({_counted(clauses)})"
    yield from ("", "A clause that does not apply is declared under  not-applicable:ID  with a "
                "reason and an owner.")  # fmt: skip
