"""Findings by limit: what is not met, what is open, what is met, each with its number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditor.findings import Finding, LimitResult, Measure, Verdict
from auditor.reports.ordering import Ordered
from auditor.reports.titles import title, topic
from auditor.reports.wording import (
    VERDICT_WORDS,
    limit_text,
    size_text,
    symbol,
    value_text,
    verdict_word,
)

CARDS = 2
"""Undecided findings of a limit that are told at length; the others are rows of a table."""

FAILURES = {"blocking": 12, "advisory": 3}
"""Failures of a limit that are told at length, by the limit's severity."""

ROWS = 16


@dataclass(frozen=True)
class Mark:
    """A verdict as it is printed: a sign, a word, and the name of its style."""

    sign: str
    word: str
    style: str


@dataclass(frozen=True)
class FindingView:
    number: int
    id: str
    title: str
    mark: Mark
    value: str
    size: str
    reason: str
    remedy: str
    examples: tuple[str, ...]
    waived_by: str


@dataclass(frozen=True)
class LimitView:
    """A limit with its findings: `cards` at length, `rows` in short, `more` left out."""

    id: str
    title: str
    mark: Mark
    severity: str
    stated: str
    why: str
    reason: str
    clauses: tuple[str, ...]
    waived_by: str
    cards: tuple[FindingView, ...]
    rows: tuple[FindingView, ...]
    more: int


@dataclass(frozen=True)
class GlanceRow:
    severity: str
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Glance:
    """How many limits of each severity have each verdict; `marks` heads the columns."""

    marks: tuple[Mark, ...]
    rows: tuple[GlanceRow, ...]


def mark(verdict: Verdict | None, word: str | None = None) -> Mark:
    """The printed form of a verdict; None where no limit applies."""
    if verdict is None:
        return Mark(symbol(None), word or "no limit", "none")
    return Mark(symbol(verdict), word or VERDICT_WORDS[verdict], verdict.value.lower())


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


def finding_view(finding: Finding, order: Ordered) -> FindingView:
    """A finding in the words of the report."""
    measure = finding.measure
    exact = bool(order.limit_of(finding).get("exact"))
    return FindingView(
        number=order.numbers[finding.id],
        id=finding.id,
        title=title(finding),
        mark=mark(finding.verdict, verdict_word(finding)),
        value=value_text(measure, exact=exact) if measure else "",
        size=size_text(measure) if measure else "",
        reason=finding.reason,
        remedy=finding.remedy,
        examples=measure.examples if measure else (),
        waived_by=finding.waived_by or "",
    )


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
    told = _told(findings, str(result.limit["severity"]))
    rest = tuple(f for f in findings if f not in told)
    word = f"{VERDICT_WORDS[result.verdict]}, waived" if result.waived_by else None
    return LimitView(
        id=str(result.limit["id"]),
        title=_limit_title(result.limit, findings),
        mark=mark(result.verdict, word),
        severity=str(result.limit["severity"]),
        stated=stated(result.limit, findings),
        why=str(result.limit.get("why", "")),
        reason=result.reason,
        clauses=tuple(str(c) for c in result.limit.get("clauses", ())),
        waived_by=result.waived_by or "",
        cards=tuple(finding_view(f, order) for f in told),
        rows=tuple(finding_view(f, order) for f in rest[:ROWS]),
        more=max(len(rest) - ROWS, 0),
    )


def stated(limit: Mapping[str, Any], findings: tuple[Finding, ...]) -> str:
    """The bound in the unit of what it met."""
    measure: Measure | None = next((f.measure for f in findings if f.measure), None)
    return limit_text(limit, measure)


def _told(findings: tuple[Finding, ...], severity: str) -> tuple[Finding, ...]:
    """The worst failures, and what is open up to `CARDS`; what passed is told in a row."""
    urgent = [f for f in findings if f.verdict is Verdict.FAIL or f.leaning == "worse"]
    undecided = [f for f in findings if f.verdict is Verdict.INCONCLUSIVE and f not in urgent]
    return (*urgent[: FAILURES[severity]], *undecided[: max(CARDS - len(urgent), 0)])


def _limit_title(limit: Mapping[str, Any], findings: tuple[Finding, ...]) -> str:
    """What a limit is about: its only finding's title, else the topic of its check."""
    if len(findings) == 1:
        return title(findings[0])
    measure = str(limit.get("measure", ""))
    check, _, name = measure.partition(":")
    if not name:
        return str(limit.get("why", limit["id"]))
    about = f"{topic(check)}: {name.replace('-', ' ')}"
    return about[:1].upper() + about[1:]
