"""A finding in the words of the report: its numbers side by side, a plain sentence, a way out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.contract import Words
from auditor.contract.numbers import number_texts, percent, points, side_text, times, value_text
from auditor.findings import Finding, Measure, Verdict
from auditor.reports.alike import alike_clause, alike_gap
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import could_show_text, judgement, needed_text, reason, remedy
from auditor.reports.telling import Telling, data_of
from auditor.reports.wording import VERDICT_WORDS, symbol, verdict_word
from auditor.stats import value


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

    `plain` is a sentence of hundreds, `judged` the reason without the numbers of a comparison,
    which stand in its boxes; `needed` what would decide, `could_show` the smallest
    excess that the sample would have shown, `adjusted` the value among images alike in other
    attributes where `judged` does not tell it. `examples` are worst first where they are `ranked`.
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
    judged: str
    remedy: str
    needed: str
    could_show: str
    examples: tuple[str, ...]
    ranked: bool
    waived_by: str


def mark(verdict: Verdict | None, word: str | None = None) -> Mark:
    """The printed form of a verdict; None where no limit applies."""
    if verdict is None:
        return Mark(symbol(None), word or "no limit", "none")
    return Mark(symbol(verdict), word or VERDICT_WORDS[verdict], verdict.value.lower())


def finding_view(finding: Finding, order: Ordered) -> FindingView:
    """A finding in the words of the report."""
    measure = order.measure(finding)
    exact = bool(order.limit_of(finding).get("exact"))
    undecided = finding.verdict is Verdict.INCONCLUSIVE
    return FindingView(
        number=order.numbers[finding.id],
        id=finding.id,
        title=order.title(finding),
        subject=_subject(finding, order),
        mark=mark(finding.verdict, verdict_word(finding)),
        value=value_text(measure, exact=exact) if measure else "",
        size=size_text(measure, order.telling) if measure else "",
        plain=order.filled(order.words(finding).hundred, finding),
        comparison=_comparison(measure, order.words(finding)) if measure else None,
        adjusted=tuple(_adjusted(measure, order.words(finding), order.telling)) if measure else (),
        reason=reason(finding, order),
        judged=_judged(finding, measure, order),
        remedy=remedy(finding, order),
        needed=needed_text(finding.needed, order.telling) if undecided else "",
        could_show=could_show_text(finding, order),
        examples=tuple(dict.fromkeys(measure.examples)) if measure else (),
        ranked=measure is None or measure.ranked,
        waived_by=finding.waived_by or "",
    )


def _judged(finding: Finding, measure: Measure | None, order: Ordered) -> str:
    """The reason of a finding, less what the boxes of its comparison say."""
    if measure is None or measure.sides is None:
        return reason(finding, order)
    words = order.words(finding)
    more = () if isinstance(words.sentence, str) else words.sentence[1:]
    said = order.filled(more, finding)
    alike = alike_clause(measure, order.telling.shown, gap=words.gap)
    return " ".join(filter(None, (said, alike, judgement(finding, order))))


def size_text(measure: Measure, telling: Telling) -> str:
    """How many images (and units) a measure rests on."""
    return telling.size(measure).removeprefix("from ")


def _subject(finding: Finding, order: Ordered) -> str:
    """Whom or what a finding is about, as ``accessible (household)``, and whose labels.

    Without a group what tells it from others of its title, else its title.
    """
    subject, group = order.result(finding).subject, order.group(finding)
    if not group:
        return order.telling.about(subject) if subject.keys else order.title(finding)
    label, annotator = subject.get("class"), subject.get("annotator")
    shown = order.telling.shown
    return "".join(
        [
            f"{shown(annotator)}: " if annotator else "",
            group,
            f", “{shown(label)}”" if label is not None else "",
            f", {data_of(subject.split)}" if subject.split not in (None, "test") else "",
        ]
    )


def _comparison(measure: Measure, words: Words) -> Comparison | None:
    """The two sides of a comparison, None where a measure has none."""
    if measure.sides is None:
        return None
    here, there = (side_text(side, finely=measure.scale == "ratio") for side in measure.sides)
    kind = words.compared or _kind(measure)
    return Comparison(words.sides[0], here, words.sides[1], there, kind=kind)


def _kind(measure: Measure) -> str:
    """What a value makes of its sides; says so where a reader who redoes it gets another."""
    kind = "Ratio" if measure.scale == "ratio" else "Difference"
    if measure.sides is None or any(side.scale != "share" for side in measure.sides):
        return kind
    exact = [value(side.estimate) for side in measure.sides]
    if not _made_of(exact, measure):
        return f"{kind}, adjusted"
    printed = [percent(share, finely=measure.scale == "ratio") for share in exact]
    shown = [float(text.replace("−", "-")) / 100 for text in printed]
    return kind if _made_of(shown, measure) else f"{kind} before rounding"


def _made_of(sides: Sequence[float], measure: Measure) -> bool:
    """Whether the difference, or ratio, of two sides is printed as the value is."""
    (here, there), point = sides, value(measure.estimate)
    if measure.scale == "ratio":
        same = here / there if there else math.inf
        return times(same) == times(point)
    return points(abs(here - there)) == points(abs(point))


def _adjusted(measure: Measure, words: Words, telling: Telling) -> Iterator[str]:
    """The value among images alike in another attribute, as ``building 3.6 [1.9, 6.8]``."""
    told = alike_clause(measure, telling.shown, gap=words.gap)
    for alike in measure.adjusted:
        if alike.value is None or alike.low is None or alike.high is None:
            continue
        if alike_gap(alike, measure, words.gap) not in told:
            numbers = (alike.value, alike.low, alike.high)
            text, low, high = number_texts(numbers, measure.scale)
            yield f"{telling.shown(alike.condition)} {text} [{low}, {high}]"
