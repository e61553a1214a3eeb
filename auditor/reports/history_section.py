"""The short section on earlier runs: whether the limits stood before the test (Article 9(8))."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from auditor.findings import Verdict
from auditor.record import AuditRecord
from auditor.record.history import EarlierRun, LimitChange
from auditor.reports.wording import AUDIT_WORDS, date_text, listed, shortened

RUNS = 30
"""Earlier runs that are printed; all are in audit.json."""
CHANGES = 6
NOTE = (
    "From runs.jsonl in the folder of this report, in which each line holds the digest of the line "
    "before. Runs into other folders, and a ledger that was deleted, cannot be seen from here."
)
NOT_BEFOREHAND = "the limits were not approved before the test (Article 9(8) asks for that)"


@dataclass(frozen=True)
class RunView:
    started: str
    kind: str
    policy: str
    policy_digest: str
    model_digest: str
    verdict: str
    changes: str


@dataclass(frozen=True)
class HistoryView:
    approval: str
    lines: tuple[str, ...]
    runs: tuple[RunView, ...]
    more: int
    note: str = NOTE


def history_view(record: AuditRecord) -> HistoryView:
    """When the policy was approved, what was run before, and which limits changed since."""
    return HistoryView(
        approval=approval_text(record),
        lines=tuple(_lines(record)),
        runs=tuple(_run(one) for one in record.earlier[-RUNS:]),
        more=max(len(record.earlier) - RUNS, 0),
    )


def approval_text(record: AuditRecord) -> str:
    """Whether somebody approved the policy before the run began."""
    approved = record.policy.parsed.get("approved")
    if approved is None:
        return (
            "The policy does not say who approved its limits, or when: whether they were set "
            "before the test is not shown."
        )
    who = f"The policy was approved by {approved['by']} on {approved['on']}"
    try:
        day = date.fromisoformat(str(approved["on"])[:10])
    except ValueError:
        return f"{who}, which is no date: whether its limits stood before the test is not shown."
    if day.isoformat() > record.provenance.started[:10]:
        return f"{who}, after this run began: {NOT_BEFOREHAND}."
    return f"{who}, not after the day of this run, by its own statement."


def _lines(record: AuditRecord) -> Iterator[str]:
    if record.weakened:
        yield f"What the policy asks less of than one that it extends: {_told(record.weakened)}."
    if record.provenance.previous is not None:
        yield (
            "This record was judged again: its limits were applied when the results were known "
            "(Article 9(8) asks for limits that are set before)."
        )
    if not record.earlier:
        yield "The ledger of this folder holds no earlier run of this audit."
        return
    same = sum(one.policy_digest == record.policy.digest for one in record.earlier)
    unended = sum(one.verdict is None for one in record.earlier)
    n = len(record.earlier)
    yield (
        f"This is run {n + 1:,} of this audit that the ledger holds. Of the {n:,} before it, "
        f"{same:,} used the policy of this one, {n - same:,} another, and {unended:,} did not end."
    )
    changed = [*_all_changes(record.earlier), *record.limit_changes]
    if record.limit_changes:
        yield f"Changed in the limits since the run before: {_told(record.limit_changes)}."
    elif changed:
        yield "The limits are those of the run before; they changed earlier, as the table says."
    else:
        yield "The limits were the same in all of them."


def _all_changes(runs: Sequence[EarlierRun]) -> list[LimitChange]:
    return [change for one in runs for change in one.limit_changes]


def _told(changes: Sequence[LimitChange]) -> str:
    first = sorted(changes, key=lambda one: not (one.before and one.after))
    return listed([_change(one) for one in first], most=CHANGES, join="; ")


def _change(one: LimitChange) -> str:
    if not one.before:
        return f"{one.limit} was added ({one.after})"
    if not one.after:
        return f"{one.limit} was dropped ({one.before})"
    return f"{one.limit} was {one.before}, and is {one.after}"


def _run(one: EarlierRun) -> RunView:
    word = "did not end" if one.verdict is None else AUDIT_WORDS[Verdict(one.verdict)]
    return RunView(
        started=f"{date_text(one.started)} {one.started[11:16]}",
        kind="run" if one.kind == "run" else "judged again",
        policy=shortened(one.policy, 40),
        policy_digest=one.policy_digest[:12],
        model_digest=one.model_digest[:12],
        verdict=word.rstrip(","),
        changes=_told(one.limit_changes) or "none",
    )
