"""What two runs on the same inputs must agree in: a record without its timings."""

from __future__ import annotations

from dataclasses import replace

from auditor.findings import Finding, LimitResult
from auditor.judging.verdicts import overall
from auditor.record import AuditRecord, CheckResults


def volatile_free(record: AuditRecord) -> AuditRecord:
    """The record without times, timed measures and what follows from them.

    Two runs on the same inputs agree in it byte for byte.
    """
    findings = tuple(f for f in record.findings if not _is_timed_finding(f))
    kept = {f.id for f in findings}
    limit_results = tuple(
        r
        for r in record.limit_results
        if not _is_timed(*_limit_measure(r)) and kept >= {*r.findings}
    )
    return replace(
        record,
        provenance=replace(record.provenance, started="", duration_s=0.0, previous=None),
        passes=tuple(replace(p, seconds=None) for p in record.passes),
        results=tuple(_without_timings(r) for r in record.results),
        findings=findings,
        limit_results=limit_results,
        verdict=overall(limit_results, findings=findings),
    )


_TIMED_CHECKS = frozenset(
    f"deployment/{name}" for name in ("cold-start", "frame-rate", "latency", "memory", "throughput")
)
_TIMED_MEASURES = frozenset({("deployment/quantization", "speed-ratio")})
# By name, since a timing that could not be taken has no measure to be marked volatile.


def _is_timed(check: str, name: str) -> bool:
    return check in _TIMED_CHECKS or (check, name) in _TIMED_MEASURES


def _is_timed_finding(finding: Finding) -> bool:
    if finding.measure is not None and finding.measure.volatile:
        return True
    found = finding.measure or finding.unmeasured
    return _is_timed(finding.check, found.name if found else "")


def _limit_measure(result: LimitResult) -> tuple[str, str]:
    check, _, name = str(result.limit.get("measure", "")).partition(":")
    return check, name


def _without_timings(results: CheckResults) -> CheckResults:
    if results.check in _TIMED_CHECKS:
        return CheckResults(results.check)
    return replace(
        results,
        measures=tuple(
            m for m in results.measures if not (m.volatile or _is_timed(results.check, m.name))
        ),
        unmeasured=tuple(u for u in results.unmeasured if not _is_timed(results.check, u.name)),
    )
