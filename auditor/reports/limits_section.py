"""Findings by limit: what is not met, what is open, what is met, each with its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from auditor.contract import Words
from auditor.contract.quantity_words import called
from auditor.findings import Finding, LimitResult, Verdict
from auditor.reports.clauses_section import clause_name
from auditor.reports.finding_view import FindingView, Mark, finding_view, mark
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import limit_text, summary
from auditor.reports.telling import Telling
from auditor.reports.wording import VERDICT_WORDS


@dataclass(frozen=True)
class Room:
    """How many findings of a limit are told, the others are counted.

    `failures` at length, by the limit's severity (of those that lean worse, too, where `leaning`);
    `rows` that are neither told at length nor passed, in a table; `passed` by name.
    """

    failures: Mapping[str, int]
    leaning: bool
    rows: int
    passed: int


BROWSED = Room({"blocking": 12, "advisory": 3}, leaning=True, rows=40, passed=60)
PRINTED = Room({"blocking": 4, "advisory": 2}, leaning=False, rows=3, passed=0)


@dataclass(frozen=True)
class LimitView:
    """A limit with its findings: `cards` at length, `rows` in short, `passed` folded.

    `more` and `more_passed` count what is left to findings.csv; `sides` heads the columns of the
    rows that compare two sides; `alone` says that the limit met one finding, told under its name,
    of `value`. `anchor` is the place of the limit in a page, `numbers` those of its first findings.
    """

    id: str
    anchor: str
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
    value: str
    numbers: str

    @property
    def told(self) -> frozenset[int]:
        """The numbers of the findings that have a place of their own."""
        shown = (*self.cards, *self.rows, *self.passed)
        return frozenset(view.number for view in shown)


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


def limit_views(order: Ordered, room: Room = BROWSED) -> tuple[LimitView, ...]:
    """Every limit that is not met although something was measured, blocking ones first."""
    open_ones = [r for r in order.limits if r.verdict is not Verdict.PASS and r.findings]
    return tuple(limit_view(result, order, room) for result in open_ones)


def bare_views(order: Ordered) -> tuple[LimitView, ...]:
    """Every limit of which nothing was measured at all."""
    bare = [r for r in order.limits if r.verdict is not Verdict.PASS and not r.findings]
    return tuple(limit_view(result, order, BROWSED) for result in bare)


def met_views(order: Ordered) -> tuple[LimitView, ...]:
    """Every limit that is met, each in a row that tells none of its findings apart."""
    met = [r for r in order.limits if r.verdict is Verdict.PASS]
    return tuple(limit_view(result, order, PRINTED) for result in met)


def limit_view(result: LimitResult, order: Ordered, room: Room) -> LimitView:
    """A limit with its findings as they are read, so many told as there is room for."""
    findings = tuple(sorted(order.of(result.findings), key=lambda f: order.numbers[f.id]))
    passed = [f for f in findings if f.verdict is Verdict.PASS]
    told = _told(findings, str(result.limit["severity"]), room)
    named = {f.id for f in (*told, *passed)}
    rest = [f for f in findings if f.id not in named]
    word = f"{VERDICT_WORDS[result.verdict]}, waived" if result.waived_by else None
    several = len({_label(f, order) for f in findings} - {""}) > 1
    rows = tuple(_row(f, order, several=several) for f in rest[: room.rows])
    sides = next((f.comparison for f in rows if f.comparison), None)
    return LimitView(
        id=str(result.limit["id"]),
        anchor=f"limit-{order.limits.index(result) + 1}",
        title=limit_title(result.limit, findings, order),
        mark=mark(result.verdict, word),
        severity=str(result.limit["severity"]),
        stated=stated(result.limit, findings, order),
        why=str(result.limit.get("why", "")).rstrip("."),
        counted=_counted(findings),
        reason=summary(result, order),
        clauses=tuple(clause_name(str(c), order.record) for c in result.limit.get("clauses", ())),
        waived_by=result.waived_by or "",
        cards=tuple(finding_view(f, order) for f in told),
        rows=rows,
        more=max(len(rest) - room.rows, 0),
        sides=(sides.here_name, sides.there_name) if sides else None,
        passed=tuple(_row(f, order, several=several) for f in passed[: room.passed]),
        more_passed=max(len(passed) - room.passed, 0),
        alone=len(findings) == 1,
        value=finding_view(findings[0], order).value if len(findings) == 1 else "",
        numbers=number_range([order.numbers[f.id] for f in findings]),
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
    return limit_text(limit, measure or first_words(str(limit["measure"]), order.telling))


def first_words(measure: str, telling: Telling) -> Words:
    """The first words of what a limit names as ``check:measure``, whatever was measured."""
    check, _, name = measure.partition(":")
    known = telling.checks.get(check)
    # A measure that this version lacks has its number as it stands in the policy.
    stated = known.words.get(name) if known else None
    words = stated if isinstance(stated, Words) else next(iter(stated or ()), None)
    return words or Words(title="", short="", scale="amount")


def _told(findings: tuple[Finding, ...], severity: str, room: Room) -> tuple[Finding, ...]:
    """What failed, or leans worse, the worst first; all that a limit met where that is one."""
    urgent = [f for f in findings if f.verdict is Verdict.FAIL
              or (room.leaning and f.leaning == "worse")]  # fmt: skip
    if len(findings) == 1 and findings[0].verdict is not Verdict.PASS:
        return findings
    return tuple(urgent[: room.failures[severity]])


def number_range(numbers: Sequence[int]) -> str:
    """Numbers that follow each other, as ``12`` or ``12–48``; empty for none.

    Examples
    --------
    >>> number_range([7]), number_range([7, 8, 9]), number_range([])
    ('7', '7–9', '')
    """
    if not numbers:
        return ""
    first, last = min(numbers), max(numbers)
    return str(first) if first == last else f"{first}–{last}"


def limit_title(limit: Mapping[str, Any], findings: tuple[Finding, ...], order: Ordered) -> str:
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
