"""Findings and tables as CSV files, for those who go on with a spreadsheet or a script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from auditor.findings import Cell, EvidenceStatus, Finding, Measure, Table
from auditor.record import AuditRecord
from auditor.record.files import record_digest
from auditor.record.tables import csv_text
from auditor.reports.action_plan import PLAN_COLUMNS, plan_rows
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.reasons import reason, remedy
from auditor.reports.telling import counted_as
from auditor.stats import value

BOM = "\ufeff"
"""Begins a CSV file in UTF-8: without it, Excel takes the file for one in the system's encoding."""

_COLUMNS = (
    "number", "kind", "id", "title", "verdict", "leaning", "severity", "limit", "bound",
    "bound value", "value", "low", "high", "unit", "n", "counted", "units", "reason", "remedy",
    "examples", "clauses", "waived by", "record sha256",
)  # fmt: skip
_MEASURED = (EvidenceStatus.MEASURED, EvidenceStatus.DERIVED)
_BOUNDS = ("at_least", "at_most", "above", "below")


def findings_csv(record: AuditRecord) -> str:
    """Every finding in one row, as a report numbers them; numbers as they are in the record.

    `kind` tells verdicts from mere facts, which met no limit and come last. `low` and `high` are
    the two-sided 95% interval; `n` is how many were counted and `counted` what they are (images,
    objects, answers, timed runs), `units` how many units they are of; cells are empty where there
    is no number. `clauses` are those that
    the limit cites; where it cites none, those of the record's clause table that the check's
    results may serve. Every row ends with the
    digest of the record that it is from, so that a row copied elsewhere can still be traced.
    """
    order, digest = ordered(record), record_digest(record)
    clauses = measure_clauses(record)
    return csv_text(_COLUMNS, ((*_row(f, order, clauses), digest) for f in order.reading))


def action_plan_csv(record: AuditRecord) -> str:
    """The action plan, a row for each finding that asks for something, with its remedy."""
    return csv_text(PLAN_COLUMNS, plan_rows(ordered(record), record_digest(record)))


def measure_clauses(record: AuditRecord) -> Mapping[str, tuple[str, ...]]:
    """The clauses of the record's table that each check serves as evidence, by its id."""
    found: dict[str, list[str]] = {}
    for instrument in record.clauses.instruments if record.clauses else ():
        for row in instrument.rows:
            for part in row.parts:
                for name in part.names:
                    check = name.partition(":")[0]
                    if part.status in _MEASURED and row.id not in found.setdefault(check, []):
                        found[check].append(row.id)
    return {check: tuple(clauses) for check, clauses in found.items()}


def whole_tables(record: AuditRecord) -> Iterator[Table]:
    """The tables of which the record holds every row; longer ones were written by the audit."""
    for result in record.results:
        for kept in result.tables:
            if kept.total == len(kept.rows):
                yield Table(kept.id, kept.title, kept.columns, kept.rows)


def _row(
    finding: Finding, order: Ordered, clauses: Mapping[str, tuple[str, ...]]
) -> tuple[Cell, ...]:
    measure = order.measure(finding)
    limit = order.limit_of(finding)
    bound = next((name for name in _BOUNDS if limit.get(name) is not None), None)
    return (
        order.numbers[finding.id],
        "fact" if finding.verdict is None else "verdict",
        finding.id,
        order.title(finding),
        finding.verdict,
        finding.leaning,
        finding.severity,
        finding.limit,
        bound,
        _bound_value(limit, bound),
        *_numbers(measure),
        (measure.unit or measure.scale) if measure else None,
        measure.n if measure else None,
        counted_as(measure, 2) if measure else None,
        measure.n_units if measure else None,
        reason(finding, order),
        remedy(finding, order),
        "; ".join(measure.examples) if measure else None,
        "; ".join(finding.clauses or clauses.get(finding.check, ())) or None,
        finding.waived_by,
    )


def _bound_value(limit: Mapping[str, Any], bound: str | None) -> float | None:
    return None if bound is None else float(limit[bound])


def _numbers(measure: Measure | None) -> tuple[Cell, ...]:
    """Value and interval, empty where they are not finite."""
    if measure is None:
        return (None, None, None)
    ends = measure.interval
    numbers = (value(measure.estimate), ends.low, ends.high)
    return tuple(float(n) if math.isfinite(n) else None for n in numbers)
