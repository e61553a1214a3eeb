"""A finding in the words of the report: its numbers side by side, a plain sentence, a way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.findings import Finding, Measure, Verdict
from auditor.reports.ordering import Ordered
from auditor.reports.sentences import hundred_sentence, share_of
from auditor.reports.titles import action, group_text, title
from auditor.reports.wording import (
    VERDICT_WORDS,
    figures,
    shortened,
    size_text,
    subject_text,
    symbol,
    value_text,
    verdict_word,
)
from auditor.scoring.comparison import percent

_GENERIC = re.compile(r"^Mend what causes it and measure again, (before release|or accept [^.]*)\.")
_SIDES = {
    "bias/representation": ("Share found", "Share due"),
    "shift/accuracy": ("Test data", "Where it will run"),
    "performance/overfitting": ("Training images", "Test images"),
    "shortcut/metadata": ("Goes with the label", "Disagrees with it"),
    "shortcut/toggle": ("Same class", "Another class"),
    "deployment/quantization": ("This version", "As given"),
}


@dataclass(frozen=True)
class Mark:
    """A verdict as it is printed: a sign, a word, and the name of its style."""

    sign: str
    word: str
    style: str


@dataclass(frozen=True)
class Comparison:
    """Two sides of a measure: what each is called, and its rate with range and images.

    `kind` says what the measure makes of them: a difference or a ratio.
    """

    here_name: str
    here: str
    there_name: str
    there: str
    kind: str


@dataclass(frozen=True)
class FindingView:
    """A finding as texts; one that does not apply is empty.

    `plain` is a sentence of hundreds, `needed` what would decide, `could_show` the smallest
    excess that the sample would have shown, `adjusted` the value among images alike in other
    attributes.
    """

    number: int
    id: str
    title: str
    subject: str
    mark: Mark
    value: str
    size: str
    plain: str
    comparison: Comparison | None
    adjusted: tuple[str, ...]
    reason: str
    remedy: str
    needed: str
    could_show: str
    examples: tuple[str, ...]
    waived_by: str


def mark(verdict: Verdict | None, word: str | None = None) -> Mark:
    """The printed form of a verdict; None where no limit applies."""
    if verdict is None:
        return Mark(symbol(None), word or "no limit", "none")
    return Mark(symbol(verdict), word or VERDICT_WORDS[verdict], verdict.value.lower())


def finding_view(finding: Finding, order: Ordered) -> FindingView:
    """A finding in the words of the report."""
    measure = finding.measure
    exact = bool(order.limit_of(finding).get("exact"))
    return FindingView(
        number=order.numbers[finding.id],
        id=finding.id,
        title=title(finding),
        subject=_subject(finding),
        mark=mark(finding.verdict, verdict_word(finding)),
        value=value_text(measure, exact=exact) if measure else "",
        size=size_text(measure) if measure else "",
        plain=hundred_sentence(measure, check=finding.check) if measure else "",
        comparison=_comparison(measure, finding.check) if measure else None,
        adjusted=tuple(_adjusted(measure)) if measure else (),
        reason=finding.reason,
        remedy=_remedy(finding),
        needed=needed(finding) if finding.verdict is Verdict.INCONCLUSIVE else "",
        could_show=_could_show(finding.reason),
        examples=measure.examples if measure else (),
        waived_by=finding.waived_by or "",
    )


def _subject(finding: Finding) -> str:
    """Whom or what a finding is about, as ``accessible (household)``, and whose labels.

    Without a group its title, or where the title is the same for all, what tells it from others.
    """
    found = finding.measure or finding.unmeasured
    if found is None:
        return ""
    said = group_text(found.subject, check=finding.check)
    if not said:
        return subject_text(found.subject) if found.subject.keys else title(finding)
    label, hand = found.subject.get("class"), found.subject.get("annotator")
    return "".join([f"{hand}: " if hand else "", said, f", “{label}”" if label is not None else ""])


def needed(finding: Finding, unit: str = "unit") -> str:
    """What would decide a finding, in a few words; `unit` is what a unit is called."""
    found = re.match(r"(About [\d,]+ more|A few more|More than a million) (\w+)", finding.remedy)
    if found is None:
        short = finding.remedy.partition(": ")[0].rstrip(".")
        return shortened(f"{short[:1].lower()}{short[1:]}", 110)
    counted = f"{unit}s" if found[2] == "units" else found[2]
    return f"{found[1][:1].lower()}{found[1][1:]} {counted}"


def _could_show(reason: str) -> str:
    found = re.search(r"would have shown an excess from (.+?) on\.", reason)
    return found[1] if found else ""


def _remedy(finding: Finding) -> str:
    """The remedy, with what to do for such a finding where the judgement knew no better.

    Why the limit stands is said once, above its findings.
    """
    if finding.verdict is Verdict.FAIL and _GENERIC.match(finding.remedy):
        said = action(finding)
        return f"{said[:1].upper()}{said[1:]}."
    return finding.remedy.partition(" Why the limit stands: ")[0]


def _comparison(measure: Measure, check: str) -> Comparison | None:
    """The two sides of a measure of groups, or of another that names its sides; else None."""
    by_group = check.startswith("bias/") and check not in _SIDES
    if not (by_group or check in _SIDES) or share_of(measure.details, "rest") is None:
        return _costs(measure)
    if share_of(measure.details, "rate") is None:
        return None
    here_name, there_name = _SIDES.get(check, ("This group", "All others"))
    rate, rest = measure.details["rate"], measure.details["rest"]
    return Comparison(
        here_name, _share_text(rate), there_name, _share_text(rest), kind=_kind(measure)
    )


def _share_text(rate: Mapping[str, Any]) -> str:
    """A rate as ``13% [8, 20] of 110``; one that is stated, not measured, has no range."""
    said = f"{percent(float(rate['value']))}%"
    if rate.get("n") is None:
        return said
    low, high = percent(float(rate["low"])), percent(float(rate["high"]))
    return f"{said} [{low}, {high}] of {rate['n']:,}"


def _costs(measure: Measure) -> Comparison | None:
    sides = [measure.details.get(name) for name in ("cost", "cost_rest")]
    texts = [
        f"{side['value']:,.0f} [{side['low']:,.0f}, {side['high']:,.0f}] of {side['n']:,}"
        for side in sides
        if isinstance(side, Mapping) and side.get("n")
    ]
    if len(texts) < len(sides):
        return None
    return Comparison("This group", texts[0], "All others", texts[1], kind=_kind(measure))


def _kind(measure: Measure) -> str:
    return "Ratio" if measure.unit == "ratio" else "Difference"


def _adjusted(measure: Measure) -> Sequence[str]:
    """The value among images alike in another attribute, as ``building 3.6 [1.9, 6.8]``."""
    return [
        f"{entry['for']} {figures(entry['value'], measure)} "
        f"[{figures(entry['low'], measure)}, {figures(entry['high'], measure)}]"
        for entry in measure.details.get("adjusted", ())
        if None not in (entry.get("value"), entry.get("low"), entry.get("high"))
    ]
