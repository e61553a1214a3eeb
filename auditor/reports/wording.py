"""Words as a reader sees them: verdicts, lists, dates."""

from __future__ import annotations

import re
from datetime import datetime

from auditor.findings import Finding, Verdict

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
SET_APART = {
    "unreadable": "images that cannot be read",
    "duplicate": "images that are in the data more than once",
    "conflicting_label": "images that are there with two labels",
    "in_test": "images that are also test images",
    "seen_image": "images that the model had already seen",
    "seen_unit": "{units} that the model had already seen",
}
"""What was set apart, by the reason that the record names."""
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


def set_apart_text(reason: str, units: str) -> str:
    """What was set apart for a reason; `units` is what the audit calls several units."""
    return SET_APART.get(reason, reason.replace("_", " ")).format(units=units)


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
