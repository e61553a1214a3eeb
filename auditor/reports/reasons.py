"""The plain sentences of a judgement: what was found, what the limit is, what would decide it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from auditor.findings import Finding, Measure, Subject, Verdict
from auditor.judging.policy import Bound, Limit
from auditor.stats import (
    Exact,
    Interval,
    PairedDifference,
    RateDifference,
    RateRatio,
    bound,
    interval,
    sample_needed,
    smallest_excess,
    value,
)
from auditor.stats.inference import Side

MIN_UNITS = 10
"""Fewer units than this are not judged."""

_SHARES = ("share", "probability", "fraction")
_SIGNED = (
    "gain",
    "gap",
    "lost",
    "worth",
    "saved",
    "difference",
    "confidence",
    "change",
    "widening",
    "severity",
    "excess",
)
"""Last words of names of measures that may be below zero."""

_PARTS = {"as-given": "as given", "sound": "sound part"}
_BOUND_WORDS = {
    "at_least": "at least",
    "at_most": "at most",
    "above": "more than",
    "below": "less than",
}


def good_side(limit: Bound) -> Side:
    """The side of the one-sided bound that must be inside the limit for a PASS."""
    return "low" if limit.exceeds == "below" else "high"


def noun(measure: Measure) -> str:
    """What more of would decide a measure."""
    if measure.volatile:
        return "timed runs"
    return "images" if measure.n_units is None else "units"


def size(measure: Measure) -> int:
    return measure.n if measure.n_units is None else measure.n_units


def is_share(measure: Measure) -> bool:
    """Whether a measure is printed in per cent: a share or probability, not a difference."""
    if isinstance(measure.estimate, RateDifference | PairedDifference | RateRatio):
        return False
    return measure.unit.startswith(_SHARES)


def printed_range(measure: Measure) -> Interval:
    """The 95% range as it is printed: never where the quantity cannot be.

    A normal approximation or draws may reach beyond 100% or below 0; verdicts use the estimate
    itself, not this. Signed shares (a gain, a gap) end at -1 and 1.
    """
    ends = interval(measure.estimate)
    return Interval(*(_printable(end, measure) for end in (ends.low, ends.high)))


def _printable(number: float, measure: Measure) -> float:
    signed = measure.name.endswith(_SIGNED)
    if is_share(measure):
        return min(max(number, -1.0 if signed else 0.0), 1.0)
    return max(number, 0.0) if "cost" in measure.name and not signed else number


def subject_words(subject: Subject) -> str:
    """``building=old, deployment data, int8``; empty for the whole test set."""
    parts = [_key_words(key, said) for key, said in subject.keys]
    if subject.split not in (None, "test"):
        parts.append(f"{subject.split} data")
    if subject.variant not in (None, "as-given"):
        parts.append(str(subject.variant))
    return ", ".join(parts)


def _key_words(key: str, said: str) -> str:
    if key == "claim":
        return f"claim {said}"
    return _PARTS.get(said, said) if key == "part" else f"{key}={said}"


def amount(number: float, measure: Measure) -> str:
    """A number in the words of the measure's unit: ``78%``, ``12 points``, ``3.2 times``."""
    figures, word = _scaled(number, measure)
    return f"{figures}{word}"


def _scaled(number: float, measure: Measure) -> tuple[str, str]:
    if isinstance(measure.estimate, RateDifference | PairedDifference):
        said = _figures(100 * number)
        return said, " point" if said in ("1", "−1") else " points"
    if isinstance(measure.estimate, RateRatio):
        return _figures(number), " times"
    if is_share(measure):
        return _figures(100 * number), "%"
    return _figures(number), f" {measure.unit}" if measure.unit not in ("", "ratio") else ""


def _figures(number: float) -> str:
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    text = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return "0" if float(text.replace(",", "")) == 0 else minus_signs(text)


def minus_signs(text: str) -> str:
    """Real minus signs before numbers; hyphens in names such as ``run-1`` stay.

    Examples
    --------
    >>> minus_signs("run-1: -2 points [-12, -0.5]")
    'run-1: −2 points [−12, −0.5]'
    """
    return re.sub(r"(?<![^\s\[(])-(?=[\d.∞])", "−", text)


def measured(measure: Measure) -> str:
    """One sentence with value, interval and size; the check's own where it wrote one."""
    own = str(measure.details.get("sentence", "")).strip()
    if own:
        return minus_signs(own if own.endswith((".", "!", "?")) else f"{own}.")
    name = measure.name.replace("-", " ").capitalize()
    about = subject_words(measure.subject)
    of = f" of {about}" if about else ""
    said = f"{name}{of} is {amount(value(measure.estimate), measure)}"
    if isinstance(measure.estimate, Exact):
        return f"{said}."
    ends = printed_range(measure)
    low, high = (_scaled(end, measure)[0] for end in (ends.low, ends.high))
    return f"{said} [{low}, {high}], from {size(measure)} {noun(measure)}."


def limit_words(limit: Bound, measure: Measure) -> str:
    """The bound as a sentence, such as ``The limit is at most 5 points.``."""
    return f"The limit is {_bounded(limit.kind, limit.value, measure)}."


def _bounded(kind: str, number: float, measure: Measure) -> str:
    if _below(kind, number, measure):
        return f"at most {amount(-number, measure)} below"
    return f"{_BOUND_WORDS[kind]} {amount(number, measure)}"


def _below(kind: str, number: float, measure: Measure) -> bool:
    """Whether a number is said as so many points below the rest."""
    difference = isinstance(measure.estimate, RateDifference | PairedDifference)
    return difference and kind == "at_least" and number < 0


def reason(limit: Limit, measure: Measure, *, verdict: Verdict, compared: int = 1) -> str:
    """Why a measure has its verdict against a limit; `compared` measures share the limit."""
    start = f"{measured(measure)} {limit_words(limit, measure)}"
    if limit.exact or isinstance(measure.estimate, Exact):
        said = "met" if verdict is Verdict.PASS else "not met"
        return f"{start} It is {said}: this counts all there is."
    if verdict is Verdict.FAIL:
        among = f", {compared} comparisons allowed for" if compared > 1 else ""
        return f"{start} It is shown to be beyond the limit{among}."
    end = bound(measure.estimate, side=good_side(limit))
    if verdict is Verdict.PASS:
        kind = "at_least" if limit.exceeds == "below" else "at_most"
        shown = _bounded(kind, _printable(end, measure), measure)
        return f"{start} It is shown to be within: {shown}, with 95% confidence."
    far = _reach(limit, _printable(end, measure), measure)
    return f"{start} Not decided: the truth may be as far as {far}; {_could_show(limit, measure)}."


def _reach(limit: Bound, number: float, measure: Measure) -> str:
    """How far a value may be, in the words that `limit_words` has for the limit."""
    if _below(limit.kind, number, measure):
        return f"{amount(-number, measure)} below"
    return amount(number, measure)


def _could_show(limit: Limit, measure: Measure) -> str:
    """The smallest excess over the limit that this sample would have shown, as a level."""
    excess = smallest_excess(measure.estimate, limit=limit.value, exceeds=limit.exceeds)
    if math.isinf(excess):
        return "a sample of this size could not have shown any excess over the limit"
    level = limit.value + (excess if limit.exceeds == "above" else -excess)
    return (
        f"a sample of this size would have shown an excess from {_reach(limit, level, measure)} on"
    )


def what_would_decide(limit: Limit, measure: Measure, *, compared: int = 1) -> str:
    """How many more units (images, runs) would decide a limit, if the truth is as observed."""
    times = _times_needed(limit, measure, compared)
    if math.isinf(times):
        return "The value lies at the limit: no number of images decides it. Set another limit."
    of, what = _of_whom(measure), noun(measure)
    if times * size(measure) > 1_000_000:
        return f"More than a million {what}{of} would be needed: the value is too near the limit."
    more = math.ceil(size(measure) * times) - size(measure)
    count = "A few" if more < 5 else f"About {_rounded(more)}"
    rest = isinstance(measure.estimate, RateDifference | RateRatio)
    alike = ", and the rest in proportion," if rest else ""
    return f"{count} more {what}{of}{alike} would decide it, if what was seen holds."


def _of_whom(measure: Measure) -> str:
    """Whose units are too few: of what the measure is about, or of all, where it is their share."""
    subject = measure.subject
    if measure.details.get("of_all"):
        subject = replace(subject, keys=())
    about = subject_words(subject)
    return f" of {about}" if about else ""


def _times_needed(limit: Limit, measure: Measure, compared: int) -> float:
    """By how much the sample would have to grow; infinite where no growth decides."""
    try:
        needed = sample_needed(
            measure.estimate, limit=limit.value, exceeds=limit.exceeds, comparisons=compared
        )
    except OverflowError:
        # The value differs from the limit by nothing but a rounding.
        return math.inf
    return math.inf if needed is None else needed.times


def _rounded(count: int) -> str:
    """Two leading figures, upwards."""
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{math.ceil(count / step) * step:,}"


def too_few(measure: Measure) -> str:
    what = noun(measure)
    return (
        f"{measured(measure)} Only {size(measure)} {what}: fewer than {MIN_UNITS} are not judged."
    )


def add_more(measure: Measure) -> str:
    missing = MIN_UNITS - size(measure)
    what = noun(measure) if missing > 1 else noun(measure).removesuffix("s")
    return f"Add at least {missing} more {what}{_of_whom(measure)}."


def beyond(limit: Limit) -> str:
    """What to do about a failure, where the check gives no advice of its own."""
    act = "before release" if limit.severity == "blocking" else "or accept it knowingly"
    why = limit.why.rstrip(".")
    return f"Mend what causes it and measure again, {act}. Why the limit stands: {why}."


def summary(limit: Limit, findings: Sequence[Finding], *, verdict: Verdict) -> str:
    """One sentence on a limit over all that it met."""
    by = {v: [_about(f) for f in findings if f.verdict is v] for v in Verdict}
    total = len(findings)
    if verdict is Verdict.PASS:
        return "It is met." if total == 1 else f"All {total} measures meet it."
    if total == 1:
        return findings[0].reason
    parts = [
        f"{len(by[v])} of {total} {words} ({_listed(by[v])})"
        for v, words in (
            (Verdict.FAIL, "shown to be beyond the limit"),
            (Verdict.INCONCLUSIVE, "not decided"),
            (Verdict.NOT_RUN, "not measured"),
        )
        if by[v]
    ]
    return f"{'; '.join(parts)}."


def _about(finding: Finding) -> str:
    found = finding.measure or finding.unmeasured
    return (found and subject_words(found.subject).replace(", ", " ")) or "all images"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 4
    return ", ".join(names[:4]) + (f" and {more} more" if more > 0 else "")
