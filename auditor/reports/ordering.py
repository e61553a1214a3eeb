"""The order in which findings are read, and the numbers that pages refer to them by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from auditor.contract import Words
from auditor.contract.words import Text
from auditor.findings import Finding, LimitResult, Measure, Measured, Question, Verdict
from auditor.judging.verdicts import worst
from auditor.record import AuditRecord
from auditor.reports.families import CHAPTERS
from auditor.reports.record_words import telling
from auditor.reports.shown_figure import shown_words
from auditor.reports.telling import Telling


@dataclass(frozen=True)
class Ordered:
    """Findings worst first: what failed, what is open, what passed, the rest.

    Of one limit and verdict, groups of people come before circumstances. `telling` has the words
    for them. They are numbered as they are read (`reading`).
    """

    record: AuditRecord
    telling: Telling
    findings: tuple[Finding, ...]
    limits: tuple[LimitResult, ...]

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The number of each finding by its id, from 1 in the order of `reading`."""
        return {finding.id: n for n, finding in enumerate(self.reading, start=1)}

    @cached_property
    def reading(self) -> tuple[Finding, ...]:
        """Findings as a report tells them: limit by limit, then those of no limit by chapter."""
        limits = {str(result.limit["id"]): place for place, result in enumerate(self.limits)}
        families = {family: place for place, family in enumerate(CHAPTERS)}

        def place(finding: Finding) -> tuple[int, int]:
            if finding.limit in limits:
                return limits[finding.limit], urgency(finding)
            family = finding.check.partition("/")[0]
            return len(limits), families.get(family, len(families))

        return tuple(sorted(self.findings, key=place))

    @cached_property
    def by_id(self) -> Mapping[str, Finding]:
        return {finding.id: finding for finding in self.findings}

    @cached_property
    def stated(self) -> Mapping[str, Mapping[str, Any]]:
        """Each limit as the policy states it, by its id."""
        return {str(result.limit["id"]): result.limit for result in self.limits}

    def limit_of(self, finding: Finding) -> Mapping[str, Any]:
        """The limit that a finding met; empty where it met none."""
        return self.stated.get(finding.limit or "", {})

    def result(self, finding: Finding) -> Measured:
        """The measure of a finding, or the reason why there is none."""
        return self.record.result(finding)

    def measure(self, finding: Finding) -> Measure | None:
        """The measure of a finding, None where there is none."""
        return self.record.measure(finding)

    def words(self, finding: Finding) -> Words:
        """The words of a finding's measure."""
        return self.telling.words(finding.check, self.result(finding))

    def title(self, finding: Finding) -> str:
        """A finding's heading in plain words."""
        text = self.telling.title(finding.check, self.result(finding))
        return shown_words(text, self.telling)

    def short(self, finding: Finding) -> str:
        """A finding in a few words, for a list."""
        text = self.telling.short(finding.check, self.result(finding))
        return shown_words(text, self.telling)

    def filled(self, text: Text, finding: Finding) -> str:
        """A template of a finding's words filled; empty where a field is lacking."""
        return self.telling.filled(text, self.result(finding), gap=self.words(finding).gap) or ""

    def filled_for(self, text: Text, finding: Finding, *, group: str) -> str:
        """As `filled`, said of another group, or of several at once."""
        result, gap = self.result(finding), self.words(finding).gap
        return self.telling.filled(text, result, gap=gap, group=group) or ""

    def group(self, finding: Finding) -> str:
        """The group that a finding is about, empty for all images."""
        return self.telling.group(self.result(finding).subject)

    def answers(self, finding: Finding, question: Question) -> bool:
        """Whether a finding is of a check that answers a question."""
        return self.questions.get(finding.check) is question

    @cached_property
    def questions(self) -> Mapping[str, Question | None]:
        """Which question each check answers, as it said when it ran."""
        return {text.id: text.question for text in self.record.check_texts}

    def of(self, identifiers: Iterable[str]) -> tuple[Finding, ...]:
        """The findings of these ids, worst first."""
        wanted = set(identifiers)
        return tuple(finding for finding in self.findings if finding.id in wanted)


def urgency(finding: Finding) -> int:
    """0 for what failed, 1 for what leans worse, 2 for what else is open, 3 for what passed."""
    if finding.verdict is Verdict.FAIL:
        return 0
    if finding.verdict is Verdict.PASS:
        return 3
    return 1 if finding.leaning == "worse" else 2


def ordered(record: AuditRecord) -> Ordered:
    """A record's findings in reading order; limits worst first."""
    urgent = worst(record, k=max(len(record.findings), 1))
    met = tuple(f for f in record.findings if f.verdict is Verdict.PASS)
    plain = tuple(f for f in record.findings if f.verdict is None)
    findings = (*_people_first(urgent, record), *met, *plain)
    first = {finding.limit: place for place, finding in reversed(list(enumerate(findings)))}
    limits = sorted(
        record.limit_results, key=lambda r: (_rank(r), first.get(str(r.limit["id"]), 0))
    )
    return Ordered(record, telling(record), findings, tuple(limits))


def is_about_people(finding: Finding, record: AuditRecord) -> bool:
    """Whether a finding is about a group of a sensitive attribute."""
    stated = record.spec.parsed["data"]["attributes"]
    keys = record.result(finding).subject.keys
    return any(stated.get(name, {}).get("role") == "sensitive" for name, _ in keys)


def _people_first(urgent: Sequence[Finding], record: AuditRecord) -> list[Finding]:
    """Findings in their order, the places of each limit and verdict given to people first."""
    places: dict[tuple[object, ...], list[int]] = {}
    for place, finding in enumerate(urgent):
        key = (finding.limit, finding.verdict, finding.leaning)
        places.setdefault(key, []).append(place)
    found = list(urgent)
    for same in places.values():
        members = sorted((urgent[i] for i in same), key=lambda f: not is_about_people(f, record))
        for place, finding in zip(same, members, strict=True):
            found[place] = finding
    return found


_RANKS = {
    Verdict.FAIL: 0,
    Verdict.INCONCLUSIVE: 1,
    Verdict.NOT_RUN: 2,
    Verdict.PASS_WITH_WAIVERS: 3,
    Verdict.PASS: 3,
}


def _rank(result: LimitResult) -> tuple[int, bool, int]:
    """Passed limits last; before them blocking ones first."""
    rank = _RANKS[result.verdict]
    return (rank == 3, result.limit["severity"] != "blocking", rank)
