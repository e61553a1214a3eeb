"""Words as a reader sees them: verdicts, lists, dates."""

from __future__ import annotations

import re
from datetime import datetime

from auditor.data.left_out import ELSEWHERE
from auditor.findings import Finding, Verdict
from auditor.record import DatasetSummary
from auditor.record.reasons import set_apart_text

AUDIT_WORDS = {
    Verdict.PASS: "Meets",
    Verdict.PASS_WITH_WAIVERS: "Meets, with waivers,",
    Verdict.FAIL: "Does not meet",
    Verdict.INCONCLUSIVE: "Not decided against",
    Verdict.NOT_RUN: "Not decided against",
}
VERDICT_WORDS = {
    Verdict.PASS: "met",
    Verdict.PASS_WITH_WAIVERS: "met, with waivers",
    Verdict.FAIL: "not met",
    Verdict.INCONCLUSIVE: "not decided",
    Verdict.NOT_RUN: "not measured",
}
SYMBOLS = {
    Verdict.PASS: "✓",
    Verdict.PASS_WITH_WAIVERS: "✓",
    Verdict.FAIL: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_RUN: "–",
}
NO_LIMIT = "no limit"
ALTERED = (
    "The record of this audit was changed after it had been written: nothing here counts as "
    "measured. Run the audit again."
)


def verdict_word(finding: Finding) -> str:
    """A finding's verdict in words; `leaning` and waivers are said."""
    if finding.verdict is None:
        return NO_LIMIT
    word = VERDICT_WORDS[finding.verdict]
    if finding.waived_by:
        return f"{word}, waived"
    return f"{word}, leaning worse" if finding.leaning == "worse" else word


def symbol(verdict: Verdict | None) -> str:
    """One sign for a verdict, so that colour is never alone in telling."""
    return "·" if verdict is None else SYMBOLS[verdict]


def shortened(text: str, length: int) -> str:
    """`text` in one line of at most `length` characters, cut at a word."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    cut = line[: length - 1]
    return f"{re.sub(r'[ ,;:]+[^ ]*$', '', cut) if ' ' in cut[length // 2 :] else cut}…"


def left_out_text(dataset: DatasetSummary, units: str) -> str:
    """What was left out of a split, by reason with the likely cause; empty where nothing was.

    Rows of its manifest that no split takes are none of its own.
    """
    parts = sorted((s for s in (*dataset.left_out, *dataset.set_apart) if s.n), key=lambda s: -s.n)
    if not parts:
        return ""
    told: dict[bool, list[str]] = {True: [], False: []}
    for part in parts:
        cause = f" ({part.cause})" if part.cause else ""
        text = f"{part.n:,} {set_apart_text(part.reason, units)}{cause}"
        told[part.reason == ELSEWHERE].append(text)
    rows = f"{dataset.n if dataset.n_rows is None else dataset.n_rows:,} {dataset.split} rows"
    inside = f"Left out of {rows}: {'; '.join(told[False])}." if told[False] else ""
    beside = f"Beside the {rows}: {'; '.join(told[True])}." if told[True] else ""
    return f"{inside} {beside}".strip()


def listed(names: list[str], *, most: int, join: str = ", ") -> str:
    """Names in one line, at most `most` of them, each once."""
    once = list(dict.fromkeys(names))
    more = len(once) - most
    return join.join(once[:most]) + (f" and {more} more" if more > 0 else "")


def date_text(started: str) -> str:
    """A date as ``22 November 2026``, from ISO 8601."""
    when = datetime.fromisoformat(started)
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


# Not strftime: a record renders to the same bytes under every locale.
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
