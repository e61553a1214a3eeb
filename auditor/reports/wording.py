"""Words and numbers as a reader sees them: verdicts, values with their range, dates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from auditor.findings import Finding, Measure, Subject, Verdict
from auditor.judging.reasons import is_share, printed_range
from auditor.scoring.comparison import percent, points
from auditor.stats import Exact, PairedDifference, RateDifference, RateRatio, value

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

_BOUND_WORDS = {
    "at_least": "at least",
    "at_most": "at most",
    "above": "more than",
    "below": "less than",
}


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


def value_text(measure: Measure, *, exact: bool = False) -> str:
    """The value with its 95% range, as ``78% [75, 81]`` or ``-12 points [-17, -7]``.

    With `exact` the range is left out: the measure counts all that there is.
    """
    point = value(measure.estimate)
    if exact or isinstance(measure.estimate, Exact):
        return _with_unit(figures(point, measure), measure)
    ends = printed_range(measure)
    low, high = figures(ends.low, measure), figures(ends.high, measure)
    if math.isinf(point):
        return f"never among the others [at least {low} times]"
    return f"{_with_unit(figures(point, measure), measure)} [{low}, {high}]"


def _with_unit(number: str, measure: Measure) -> str:
    if isinstance(measure.estimate, RateDifference | PairedDifference):
        return f"{number} point{'' if number in ('1', '−1') else 's'}"
    if isinstance(measure.estimate, RateRatio):
        return f"{number} times"
    if is_share(measure):
        return f"{number}%"
    return f"{number} {measure.unit}".rstrip() if measure.unit != "ratio" else number


def figures(number: float, measure: Measure) -> str:
    """A number in the scale in which the measure is printed, without its unit."""
    if math.isinf(number):
        return "no end"
    if isinstance(measure.estimate, RateDifference | PairedDifference):
        return minus(points(number))
    if is_share(measure):
        return minus(percent(number))
    return minus(_plain_number(number))


def _plain_number(number: float) -> str:
    if number == int(number) and abs(number) < 1e15:
        return f"{number:,.0f}"
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    text = f"{number:.2g}" if abs(number) < 10 else f"{number:.3g}"
    return "0" if float(text) == 0 else text


def minus(text: str) -> str:
    """A number's text with a real minus sign."""
    return text.replace("-", "−", 1) if text.startswith("-") else text


def limit_text(limit: Mapping[str, Any], measure: Measure | None) -> str:
    """The bound of a limit in the measure's unit, unrounded: ``at most 1.25 times``."""
    kind = next((k for k in _BOUND_WORDS if limit.get(k) is not None), None)
    if kind is None:
        return ""
    number = float(limit[kind])
    if measure is None:
        return f"{_BOUND_WORDS[kind]} {minus(f'{number:g}')}"
    if isinstance(measure.estimate, RateDifference | PairedDifference):
        if kind == "at_least" and number < 0:
            return f"at most {_with_unit(f'{-100 * number:g}', measure)} lower"
        return f"{_BOUND_WORDS[kind]} {_with_unit(minus(f'{100 * number:g}'), measure)}"
    stated = minus(f"{100 * number if is_share(measure) else number:g}")
    return f"{_BOUND_WORDS[kind]} {_with_unit(stated, measure)}"


def size_text(measure: Measure) -> str:
    """How many images (and units) a measure rests on."""
    what = "runs" if measure.volatile else "images"
    images = f"{measure.n:,} {what}"
    return images if measure.n_units is None else f"{images}, {measure.n_units:,} units"


def subject_text(subject: Subject) -> str:
    """What a measure is about, in a few words: ``household: accessible; class: serious``."""
    parts = [f"{key}: {said}" for key, said in subject.keys]
    if subject.split not in (None, "test"):
        parts.append(f"{subject.split} data")
    if subject.variant not in (None, "as-given"):
        parts.append(f"{subject.variant} version")
    return "; ".join(parts) or "all images"


def shortened(text: str, length: int) -> str:
    """`text` in one line of at most `length` characters, cut at a word."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    cut = line[: length - 1]
    return f"{re.sub(r'[ ,;:]+[^ ]*$', '', cut) if ' ' in cut[length // 2 :] else cut}…"


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
