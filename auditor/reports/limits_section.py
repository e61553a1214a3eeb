"""Findings by limit: what is not met, what is open, what is met, each with its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from auditor.contract.quantity_words import called
from auditor.findings import Finding, LimitResult, Verdict
from auditor.reports.finding_view import FindingView, Mark, finding_view, mark
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import limit_text, summary
from auditor.reports.wording import VERDICT_WORDS

FAILURES = {"blocking": 12, "advisory": 3}
"""Failures of a limit that are told at length, by the limit's severity."""

OPEN_ROWS = 40
"""Findings of a limit that are neither told at length nor passed, as rows of a table."""

PASSED_ROWS = 60
"""Passed findings of a limit that are named; the others are counted."""


@dataclass(frozen=True)
class LimitView:
    """A limit with its findings: `cards` at length, `rows` in short, `passed` folded.

    `more` and `more_passed` count what is left to findings.csv; `sides` heads the columns of the
    rows that compare two sides; `alone` says that the limit met one finding, told under its name.
    """

    id: str
    title: str
    mark: Mark
    severity: str
    stated: str
    why: str
    counted: str
    reason: str
    clauses: tuple[str, ...]
    waived_by: str
    cards: tuple[FindingView, ...]
    rows: tuple[FindingView, ...]
    more: int
    sides: tuple[str, str] | None
    passed: tuple[FindingView, ...]
    more_passed: int
    alone: bool


@dataclass(frozen=True)
class GlanceRow:
    severity: str
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Glance:
    """How many limits of each severity have each verdict; `marks` heads the columns."""

    marks: tuple[Mark, ...]
    rows: tuple[GlanceRow, ...]


def glance(order: Ordered) -> Glance:
    """Limits counted by severity and verdict."""
    verdicts = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_RUN, Verdict.PASS)
    rows = tuple(
        GlanceRow(
            severity=severity,
            counts=tuple(
                sum(r.limit["severity"] == severity and r.verdict is verdict for r in order.limits)
                for verdict in verdicts
            ),
        )
        for severity in ("blocking", "advisory")
    )
    return Glance(marks=tuple(mark(verdict) for verdict in verdicts), rows=rows)


def limit_views(order: Ordered) -> tuple[LimitView, ...]:
    """Every limit that is not met although something was measured, blocking ones first."""
    open_ones = [r for r in order.limits if r.verdict is not Verdict.PASS and r.findings]
    return tuple(limit_view(result, order) for result in open_ones)


def bare_views(order: Ordered) -> tuple[LimitView, ...]:
    """Every limit of which nothing was measured at all."""
    bare = [r for r in order.limits if r.verdict is not Verdict.PASS and not r.findings]
    return tuple(limit_view(result, order) for result in bare)


def met_views(order: Ordered) -> tuple[LimitView, ...]:
    """Every limit that is met."""
    met = [r for r in order.limits if r.verdict is Verdict.PASS]
    return tuple(limit_view(result, order) for result in met)


def limit_view(result: LimitResult, order: Ordered) -> LimitView:
    """A limit with its findings, worst first."""
    findings = order.of(result.findings)
    passed = [f for f in findings if f.verdict is Verdict.PASS]
    told = _told(findings, str(result.limit["severity"]))
    named = {f.id for f in (*told, *passed)}
    rest = [f for f in findings if f.id not in named]
    word = f"{VERDICT_WORDS[result.verdict]}, waived" if result.waived_by else None
    several = len({_label(f, order) for f in findings} - {""}) > 1
    rows = tuple(_row(f, order, several=several) for f in rest[:OPEN_ROWS])
    sides = next((f.comparison for f in rows if f.comparison), None)
    return LimitView(
        id=str(result.limit["id"]),
        title=_limit_title(result.limit, findings, order),
        mark=mark(result.verdict, word),
        severity=str(result.limit["severity"]),
        stated=stated(result.limit, findings, order),
        why=str(result.limit.get("why", "")).rstrip("."),
        counted=_counted(findings),
        reason=summary(result, order),
        clauses=tuple(str(c) for c in result.limit.get("clauses", ())),
        waived_by=result.waived_by or "",
        cards=tuple(finding_view(f, order) for f in told),
        rows=rows,
        more=max(len(rest) - OPEN_ROWS, 0),
        sides=(sides.here_name, sides.there_name) if sides else None,
        passed=tuple(_row(f, order, several=several) for f in passed[:PASSED_ROWS]),
        more_passed=max(len(passed) - PASSED_ROWS, 0),
        alone=len(findings) == 1,
    )


def _label(finding: Finding, order: Ordered) -> str:
    return order.result(finding).subject.get("class") or ""


def _row(finding: Finding, order: Ordered, *, several: bool) -> FindingView:
    """A finding in short; its class is named where the limit is on several."""
    view, label = finding_view(finding, order), _label(finding, order)
    if not (several and label) or f"“{label}”" in view.subject:
        return view
    return replace(view, subject=f"{view.subject}, “{label}”")


def _counted(findings: Sequence[Finding]) -> str:
    """How many findings of a limit have each verdict, in words."""
    counts = {v: sum(f.verdict is v for f in findings) for v in Verdict}
    parts = [f"{n} {VERDICT_WORDS[verdict]}" for verdict, n in counts.items() if n]
    return f"Of {len(findings)}: {', '.join(parts)}."


def stated(limit: Mapping[str, Any], findings: tuple[Finding, ...], order: Ordered) -> str:
    """The bound in the unit of what it met."""
    measure = next((m for f in findings if (m := order.measure(f))), None)
    return limit_text(limit, measure)


def _told(findings: tuple[Finding, ...], severity: str) -> tuple[Finding, ...]:
    """What failed or leans worse, the worst first; all that a limit met where that is one."""
    urgent = [f for f in findings if f.verdict is Verdict.FAIL or f.leaning == "worse"]
    if len(findings) == 1 and findings[0].verdict is not Verdict.PASS:
        return findings
    return tuple(urgent[: FAILURES[severity]])


def _limit_title(limit: Mapping[str, Any], findings: tuple[Finding, ...], order: Ordered) -> str:
    """What a limit is about: its only finding's title, else the topic of its check."""
    if len(findings) == 1:
        return order.title(findings[0])
    measure = str(limit.get("measure", ""))
    check, _, name = measure.partition(":")
    if not name:
        return str(limit.get("why", limit["id"]))
    # One column is one thing that is measured; classes have a column each.
    columns = {order.filled(order.words(f).column, f) for f in findings if order.measure(f)}
    told = columns.pop() if len(columns) == 1 else ""
    about = f"{order.telling.topic(check)}: {told or called(name)}"
    return about[:1].upper() + about[1:]
