"""What two runs on the same inputs must agree in: a record without its timings."""

from __future__ import annotations

from dataclasses import replace

from auditor.judging.verdicts import overall
from auditor.record import AuditRecord, CheckResults


def volatile_free(record: AuditRecord) -> AuditRecord:
    """The record without times, timed measures, what follows from them, and earlier runs.

    Two runs on the same inputs agree in it byte for byte.
    """
    timed = {name for name, result in record.results_by_id.items() if result.volatile}
    findings = tuple(f for f in record.findings if f.result not in timed)
    kept = {f.id for f in findings}
    limit_results = tuple(r for r in record.limit_results if kept >= {*r.findings})
    return replace(
        record,
        provenance=replace(record.provenance, started="", duration_s=0.0, previous=None),
        passes=tuple(replace(p, seconds=None) for p in record.passes),
        results=tuple(_without_timings(r) for r in record.results),
        findings=findings,
        limit_results=limit_results,
        verdict=overall(limit_results, findings=findings),
        clauses=None,
        earlier=(),
        limit_changes=(),
    )


def _without_timings(results: CheckResults) -> CheckResults:
    """The results without timings; of a check that took any, without pictures and tables too."""
    timed = any(r.volatile for r in results.measured)
    return replace(
        results,
        measures=tuple(m for m in results.measures if not m.volatile),
        unmeasured=tuple(u for u in results.unmeasured if not u.volatile),
        figures=() if timed else results.figures,
        tables=() if timed else results.tables,
    )
