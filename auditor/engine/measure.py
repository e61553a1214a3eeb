"""Run the planned checks on the evidence; a check that crashes is a reason, not a silence."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from auditor.contract import Check, NotMeasurableError
from auditor.engine.evidence import CheckEvidence
from auditor.engine.gathered import Gathered
from auditor.engine.linear_algebra import one_blas_thread
from auditor.findings import Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.freed_memory import return_freed_memory, what_stands_set_apart
from auditor.record import CheckResults, keep_table
from auditor.record.codec import encode
from auditor.record.tables import table_digest

_MANY = 50_000
"""Images from which what is held only by each other takes more memory than time to look for."""

DIGITS = 6
"""Figures that numbers of pictures and tables, and of comparisons among images alike, keep."""


@dataclass(frozen=True)
class CheckRun:
    """What one check yielded, and its tables whole (the record keeps their first rows)."""

    results: CheckResults
    tables: tuple[Table, ...]


def run_checks(
    checks: tuple[Check, ...],
    gathered: Gathered,
    *,
    report: Callable[[str, int, int], None],
    quoted: bool = True,
) -> tuple[CheckRun, ...]:
    """Run checks one after the other, linear algebra on one thread so that results agree.

    `quoted` says that a record may hold what an error says: that may name an image or a person.
    """
    runs = []
    images = sum(map(len, gathered.available.datasets.values()))
    many = images >= _MANY
    with one_blas_thread(), what_stands_set_apart() if many else nullcontext():
        for i, check in enumerate(checks):
            report("checks", i, len(checks))
            runs.append(_run(check, CheckEvidence(check, gathered), quoted=quoted))
            gathered.let_go()
            return_freed_memory(images=images, with_cycles=many)
    report("checks", len(checks), len(checks))
    return tuple(runs)


def _run(check: Check, evidence: CheckEvidence, *, quoted: bool) -> CheckRun:
    results: list[Result] = []
    crash: str | None = None
    try:
        for result in check.run(evidence):
            # What JSON cannot hold is this check's fault, not a reason to lose the whole record.
            encode(result)
            _require_words(check, result)
            results.append(_short(result))
    except NotMeasurableError as error:
        results = [Unmeasured("check", Subject(), error.reason, error.remedy)]
    except Exception as error:  # noqa: BLE001 - the engine alone turns a crash into NOT_RUN
        said = f"{type(error).__name__}: {error}" if quoted else type(error).__name__
        crash = traceback.format_exc() if quoted else _places(error)
        reason = f"The check crashed: {said}"
        remedy = "Report this with the traceback that the record keeps; the check measured nothing."
        results = [Unmeasured("check", Subject(), reason, remedy)]
    if not any(isinstance(r, Measure | Unmeasured) for r in results):
        reason = "The check ended without a measure and without a reason."
        results.append(
            Unmeasured("check", Subject(), reason, "Report this as a fault of the check.")
        )
    tables = tuple(r for r in results if isinstance(r, Table))
    kept = CheckResults(
        check=check.id,
        measures=tuple(r for r in results if isinstance(r, Measure)),
        unmeasured=tuple(r for r in results if isinstance(r, Unmeasured)),
        figures=tuple(r for r in results if isinstance(r, Figure)),
        tables=tuple(keep_table(table, digest=table_digest(table)) for table in tables),
        traceback=crash,
    )
    return CheckRun(kept, tables)


def _places(error: Exception) -> str:
    """Where an error was raised and what kind it is, without what it and its causes say."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{frames}{type(error).__name__} (what it says may name images or people)\n"


def _short(result: Result) -> Result:
    """A result with `DIGITS` figures in what is only shown; estimates, and facts, stay whole."""
    if isinstance(result, Figure):
        return replace(
            result, rows=tuple({k: _rounded(v) for k, v in row.items()} for row in result.rows)
        )
    if isinstance(result, Table):
        return replace(result, rows=tuple(tuple(map(_rounded, row)) for row in result.rows))
    if isinstance(result, Measure):
        alike = (
            replace(a, value=_rounded(a.value), low=_rounded(a.low), high=_rounded(a.high))
            for a in result.adjusted
        )
        return replace(result, adjusted=tuple(alike))
    return result


def _rounded(cell: Any) -> Any:
    return float(f"{cell:.{DIGITS}g}") if isinstance(cell, float) else cell


def _require_words(check: Check, result: Result) -> None:
    """Raise where a check yields what it has no words for: a report could not speak of it."""
    if isinstance(result, Measure | Unmeasured) and result.name not in check.words:
        raise RuntimeError(f"{check.id} yields {result.name!r}, which its words lack")
