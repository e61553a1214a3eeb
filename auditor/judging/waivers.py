"""Waivers: a named person accepts a failure for a stated time. A waiver never makes a PASS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

from pydantic import model_validator

from auditor.findings import Finding, Verdict
from auditor.judging.names import has_letters, same_name
from auditor.spec import SpecPart

LONGEST_DAYS = 366


class Waiver(SpecPart):
    """Accepts the failures of a limit, or one finding, until a date.

    `limit` is a limit's id, `finding` a finding's id; exactly one is given. Dates are ISO 8601
    (2026-12-31); a waiver holds on both of its days.
    """

    id: str
    limit: str | None = None
    finding: str | None = None
    reason: str
    compensating: str | None = None
    """What is done meanwhile in place of meeting the limit."""
    owner: str
    approved_by: str
    issued: str
    expires: str

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        if (self.limit is None) == (self.finding is None):
            raise ValueError("a waiver names exactly one of limit and finding")
        for key in ("id", "reason", "owner", "approved_by"):
            stated = getattr(self, key)
            if not has_letters(stated):
                raise ValueError(f"{key} is {stated!r}; a waiver states its {key} in letters")
        if same_name(self.owner, self.approved_by):
            raise ValueError(
                f"owner and approved_by are both {self.owner!r}; someone else must approve a waiver"
            )
        days = (_day(self.expires, "expires") - _day(self.issued, "issued")).days
        if not 0 <= days <= LONGEST_DAYS:
            raise ValueError(
                f"issued {self.issued}, expires {self.expires}: a waiver ends after it begins and "
                "within one year; renew it instead"
            )
        return self

    def holds(self, as_of: date) -> bool:
        return _day(self.issued, "issued") <= as_of <= _day(self.expires, "expires")

    def covers(self, finding: Finding) -> bool:
        """Whether the waiver is about this failure; there is nothing to waive in other verdicts."""
        if finding.verdict is not Verdict.FAIL:
            return False
        return finding.limit == self.limit if self.limit else finding.id == self.finding


@dataclass(frozen=True)
class Waived:
    """Findings with `waived_by` set where a waiver holds, and what to say of the waivers."""

    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]


def apply_waivers(findings: Iterable[Finding], *, waivers: Sequence[Waiver], as_of: date) -> Waived:
    """Mark the failures that a waiver covers; the first of several waivers counts.

    An expired or future waiver changes nothing; it and one that covers nothing are reported.
    """
    holding = [waiver for waiver in waivers if waiver.holds(as_of)]
    marked = tuple(_marked(finding, holding) for finding in findings)
    warnings = [_warning(waiver, marked, as_of) for waiver in waivers]
    return Waived(marked, tuple(text for text in warnings if text))


def _marked(finding: Finding, waivers: Sequence[Waiver]) -> Finding:
    found = next((waiver.id for waiver in waivers if waiver.covers(finding)), None)
    return replace(finding, waived_by=found) if found else finding


def _warning(waiver: Waiver, findings: Sequence[Finding], as_of: date) -> str:
    about = f"limit {waiver.limit}" if waiver.limit else f"finding {waiver.finding}"
    if as_of > _day(waiver.expires, "expires"):
        return (
            f"Waiver {waiver.id} of {about} expired on {waiver.expires} and was ignored. Mend what "
            "it waived, or have it renewed."
        )
    if as_of < _day(waiver.issued, "issued"):
        return f"Waiver {waiver.id} of {about} begins on {waiver.issued} and was ignored."
    if not any(waiver.covers(finding) for finding in findings):
        return (
            f"Waiver {waiver.id} of {about} waived nothing: no such failure was found. Check its "
            "id, or drop the waiver."
        )
    return ""


def _day(text: str, key: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{key} is {text!r}; give a date as 2026-12-31") from None
