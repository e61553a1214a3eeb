"""Why a finding has its verdict, and what to do about it: sentences from what the record holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from auditor.contract import Words
from auditor.contract.numbers import minus, number_text, number_texts, with_unit
from auditor.findings import (
    Finding,
    LimitResult,
    Measure,
    Needed,
    Scale,
    Subject,
    Unmeasured,
    Verdict,
)
from auditor.judging.floor import Floor, floor_of
from auditor.judging.needed import MIN_UNITS, counted, size
from auditor.record.audit_record import NotPlannedCheck
from auditor.reports.ordering import Ordered
from auditor.reports.shown_figure import shown_words
from auditor.reports.telling import Telling
from auditor.stats import Exact, bound

_WORDS = {
    "at_least": "at least",
    "at_most": "at most",
    "above": "more than",
    "below": "less than",
}
_LEAST = ("at_least", "above")
MILLION = 1_000_000


def bound_of(limit: Mapping[str, Any]) -> tuple[str, float] | None:
    """The kind and the value of a stated limit's bound; None where it states none."""
    kind = next((k for k in _WORDS if limit.get(k) is not None), None)
    return None if kind is None else (kind, float(limit[kind]))


def limit_text(limit: Mapping[str, Any], measure: Measure | Words) -> str:
    """The bound of a limit in the measure's unit, unrounded: ``at most 1.25 times``.

    With its floor: ``at most 1.25 times, or at most 2.5 points more``. Where nothing was measured,
    in the scale and the unit of the words.
    """
    stated = bound_of(limit)
    if stated is None:
        return ""
    kind, number = stated
    scale = measure.scale if isinstance(measure, Measure) else measure.told_scale
    if _is_below(kind, number, scale):
        return f"at most {_unrounded(-number, scale, measure.unit)} lower"
    return f"{_WORDS[kind]} {_unrounded(number, scale, measure.unit)}{_floor_text(limit, measure)}"


def _floor_text(limit: Mapping[str, Any], measure: Measure | Words) -> str:
    if isinstance(measure, Measure):
        floor = floor_in(limit, measure)
        return f", or at most {_apart_text(floor.at, floor, measure)}" if floor else ""
    most = limit.get("and_difference_above")
    return f", or at most {100 * float(most):g} points apart" if most else ""


def floor_in(limit: Mapping[str, Any], measure: Measure) -> Floor | None:
    """The floor of a stated limit for a measure; None where it has none."""
    stated, most = bound_of(limit), limit.get("and_difference_above")
    if stated is None or most is None:
        return None
    exceeds: Literal["above", "below"] = "below" if stated[0] in _LEAST else "above"
    return floor_of(measure, most=float(most), ratio=stated[1], exceeds=exceeds)


def _apart_text(difference: float, floor: Floor, measure: Measure) -> str:
    """A difference of the sides of a ratio, as ``2.5 points more``, ``120 EUR less``."""
    side = measure.sides[0] if measure.sides else None
    scale: Scale = "amount" if side is not None and side.scale == "amount" else "difference"
    less = floor.at < 0
    size = max(-difference if less else difference, 0.0)
    stated = difference == floor.at and scale == "difference"
    text = f"{100 * size:.3g}" if stated else number_texts([size], scale)[0]
    unit = side.unit if side is not None else ""
    return f"{with_unit(text, scale, unit)} {'less' if less else 'more'}"


def _unrounded(number: float, scale: Scale, unit: str) -> str:
    shown = 100 * number if scale in ("share", "difference") else number
    return with_unit(minus(f"{shown:g}"), scale, unit)


def _is_below(kind: str, number: float, scale: Scale) -> bool:
    """Whether a bound is told as so many points below the rest."""
    return scale == "difference" and kind == "at_least" and number < 0


def reason(finding: Finding, order: Ordered) -> str:
    """Why a finding has its verdict, beginning with what was measured."""
    result = order.result(finding)
    if isinstance(result, Unmeasured):
        return shown_words(result.reason, order.telling)
    said = order.telling.sentence(finding.check, result)
    return " ".join(filter(None, (said, judgement(finding, order))))


def judgement(finding: Finding, order: Ordered) -> str:
    """What a finding's limit makes of its measure; empty where no limit applies."""
    result, limit = order.result(finding), order.limit_of(finding)
    if isinstance(result, Unmeasured) or finding.verdict is None or not limit:
        return ""
    if finding.verdict is Verdict.NOT_RUN:
        have = how_many(size(result), counted(result), order.telling)
        return f"Only {have}: fewer than {MIN_UNITS} are not judged."
    if finding.gating is not None:
        return _gate_sentence(finding, order)
    stated = f"The limit is {limit_text(limit, result)}."
    if finding.meant and finding.verdict is Verdict.INCONCLUSIVE:
        better = "more" if finding.meant == "at_least" else "less"
        return f"{stated} The worst value would keep it: of this measure {better} is better."
    if result.unlabelled and finding.verdict is Verdict.INCONCLUSIVE:
        return f"{stated} An estimate without labels meets no limit."
    return f"{stated} {_verdict_sentence(finding, result, limit)}"


def _verdict_sentence(finding: Finding, measure: Measure, limit: Mapping[str, Any]) -> str:
    if limit.get("exact") or isinstance(measure.estimate, Exact):
        met = "met" if finding.verdict is Verdict.PASS else "not met"
        if measure.searched:
            return f"It is {met} by what was found: a search can have missed changed copies."
        return f"It is {met}: this counts all there is."
    if finding.verdict is Verdict.FAIL:
        n = finding.compared
        among = f", allowing for luck in {n} comparisons" if n > 1 else ""
        both = " on both counts" if floor_in(limit, measure) else ""
        return f"It is shown to be beyond the limit{both}{among}."
    kind, _ = bound_of(limit) or ("at_most", 0.0)
    side: Literal["low", "high"] = "low" if kind in _LEAST else "high"
    end = min(max(bound(measure.estimate, side=side), measure.span[0]), measure.span[1])
    apart, floored = "", floor_in(limit, measure)
    if floored:
        far = bound(floored.difference, side=side)
        apart = _apart_text(far, floored, measure)
        if finding.verdict is Verdict.PASS and floored.is_met_by(far):
            return f"It is shown to be within: at most {apart}, with 95% confidence."
    if finding.verdict is Verdict.PASS:
        word = "at least" if side == "low" else "at most"
        shown = f"{word} {number_text(end, measure)}"
        if _is_below("at_least" if side == "low" else "at_most", end, measure.scale):
            shown = f"at most {number_text(-end, measure)} lower"
        return f"It is shown to be within: {shown}, with 95% confidence."
    reach = _reach(kind, end, limit, measure) + (apart and f" and {apart}")
    show = _could_show(finding, kind, limit, measure)
    return f"Not decided: the truth may be as far as {reach}; {show}."


def _reach(kind: str, number: float, limit: Mapping[str, Any], measure: Measure) -> str:
    """How far a value may be, in the words that `limit_text` has for the limit."""
    if _is_below(kind, float(limit[kind]), measure.scale) and number < 0:
        return f"{number_text(-number, measure)} lower"
    return number_text(number, measure)


def _could_show(finding: Finding, kind: str, limit: Mapping[str, Any], measure: Measure) -> str:
    if finding.could_show is None:
        return "a sample of this size could not have shown it to be beyond the limit"
    level = _reach(kind, finding.could_show, limit, measure)
    return f"a sample of this size would have shown it to be beyond the limit at {level} or worse"


def could_show_text(finding: Finding, order: Ordered) -> str:
    """The value from which on the sample would have shown an excess; empty where from none."""
    measure, limit = order.measure(finding), order.limit_of(finding)
    stated = bound_of(limit)
    if measure is None or stated is None or finding.could_show is None:
        return ""
    return _reach(stated[0], finding.could_show, limit, measure)


def _gate_sentence(finding: Finding, order: Ordered) -> str:
    found, gate = _gate(finding, order), order.limit_of(finding).get("when") or {}
    if isinstance(found, Unmeasured | NotPlannedCheck):
        return f"Whether the limit applies is not known. {found.reason}"
    if finding.gating is None or found is None:
        return "Whether the limit applies is not known. It was not measured."
    check = str(gate.get("measure", "")).partition(":")[0]
    said = f"{order.telling.sentence(check, found)} The limit applies where this is shown to be "
    said += limit_text(gate, found)
    state = "it is shown not to be" if finding.gating.state == "shut" else "this is not decided"
    return f"{said}; {state}."


def _gate(finding: Finding, order: Ordered) -> Measure | Unmeasured | NotPlannedCheck | None:
    """What decides whether the limit of a finding applies, or why there is none."""
    found = order.record.results_by_id.get((finding.gating and finding.gating.measure) or "")
    if isinstance(found, Measure | Unmeasured):
        return found
    check = str((order.limit_of(finding).get("when") or {}).get("measure", "")).partition(":")[0]
    return next((n for n in order.record.plan.not_run if n.check == check), None)


def how_many(n: int, counted: str, telling: Telling) -> str:
    """So many units, images or timed runs, as ``12 rooms``."""
    if counted == "units":
        return telling.counted(n)
    return f"{n:,} {counted.removesuffix('s') if n == 1 else counted}"


def needed_text(needed: Needed | None, telling: Telling) -> str:
    """What would decide a finding, in a few words: ``about 60 more rooms``."""
    if needed is None:
        return ""
    if needed.more is None or needed.more > MILLION:
        return "the value lies at the limit"
    what = telling.units if needed.counted == "units" else needed.counted
    return f"a few more {what}" if needed.more < 5 else f"about {_rounded(needed.more)} more {what}"


def _rounded(count: int) -> str:
    """Two leading figures, upwards."""
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // step) * step:,}"


def is_within_reach(finding: Finding) -> bool:
    """Whether a number of further images that someone may collect would decide a finding."""
    needed = finding.needed
    return needed is not None and needed.more is not None and needed.more <= MILLION


def what_would_decide(finding: Finding, order: Ordered) -> str:
    """What would decide a finding, in a sentence."""
    needed = finding.needed
    gate = _gate(finding, order) if finding.gating else None
    if isinstance(gate, Unmeasured | NotPlannedCheck):
        return gate.remedy
    if finding.meant:
        return f"State in the policy what it must keep: a limit with `{finding.meant}`."
    if isinstance(gate, Measure) and gate.subject.split == "deployment":
        return "More labelled images from where it will run would decide whether the limit applies."
    if finding.gating is None and needed is None:
        return "Labels of the images that are listed would decide."
    if finding.gating is not None or needed is None:
        return "More images, chosen so that attribute and label disagree, would decide."
    if not is_within_reach(finding):
        return (
            "The value lies at the limit: no number of images that anyone can collect decides it. "
            "Set another limit, or accept that it stays open."
        )
    text = needed_text(needed, order.telling)
    group = "" if needed.of_all else order.group(finding)
    text = of_group(text, group)
    among = order.filled(order.words(finding).among, finding)
    rows = f"{',' if group else ''} with {among}" if among else ""
    alike = ", and the rest in proportion," if needed.both_sides else "," if group and among else ""
    return f"{text[:1].upper()}{text[1:]}{rows}{alike} would decide it, if what was seen holds."


def of_group(counted: str, group: str) -> str:
    """A number of units of a group; one that is called as they are says so once.

    Examples
    --------
    >>> of_group("12 more rooms", "rooms with dense hangings"), of_group("12 more rooms", "day")
    ('12 more rooms with dense hangings', '12 more rooms of day')
    """
    noun = counted.rpartition(" ")[2]
    if group.startswith(f"{noun} "):
        return f"{counted}{group.removeprefix(noun)}"
    return f"{counted} of {group}" if group else counted


@dataclass(frozen=True)
class More:
    """What more of a group would decide: the words that groups share, and those of the group."""

    kind: str
    of_group: str


def more_of(finding: Finding, order: Ordered) -> More | None:
    """What more of its group would decide a finding; None where that is not what decides it."""
    needed, group = finding.needed, order.group(finding)
    reached = is_within_reach(finding) and finding.gating is None and finding.verdict
    if needed is None or needed.of_all or not group or reached is not Verdict.INCONCLUSIVE:
        return None
    number, _, what = needed_text(needed, order.telling).partition(" more ")
    among = order.filled(order.words(finding).among, finding)
    rows = f" with {among}" if among else ""
    alike = ", and of the rest in proportion," if needed.both_sides else ""
    kind = f"More {what}{rows}{alike} would decide, if what was seen holds"
    return More(kind, f"{number} of {group}{order.filled('{in_where}', finding)}")


def remedy(finding: Finding, order: Ordered) -> str:
    """What to do about a finding; empty where nothing is asked."""
    result = order.result(finding)
    if isinstance(result, Unmeasured):
        return shown_words(result.remedy, order.telling)
    match finding.verdict:
        case Verdict.FAIL:
            return sentence(action(finding, order))
        case Verdict.INCONCLUSIVE:
            return what_would_decide(finding, order)
        case Verdict.NOT_RUN:
            more = how_many(MIN_UNITS - size(result), counted(result), order.telling)
            group = order.group(finding)
            return f"Add at least {of_group(more, group)}."
    return ""


def sentence(text: str) -> str:
    """A text as a sentence: its first letter large, a stop at its end; an empty one stays so."""
    text = text.strip()
    if not text:
        return ""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


CORRECT = "correct the claim"
"""What can always be done about a claim that does not hold."""


def action(finding: Finding, order: Ordered) -> str:
    """What to do before release about a failure, in a few words."""
    text = order.filled(order.words(finding).action, finding)
    text = text or f"fix and measure again: {order.short(finding)}"
    claimed = str(finding.limit).startswith("claim:") and not text.startswith(CORRECT)
    return f"{CORRECT}, or {text}" if claimed else text


def summary(result: LimitResult, order: Ordered) -> str:
    """One sentence on a limit over all that it met."""
    findings = order.of(result.findings)
    total = len(findings)
    if not findings:
        return result.reason
    if result.verdict is Verdict.PASS:
        return "It is met." if total == 1 else f"All {total} measures meet it."
    if total == 1:
        return reason(findings[0], order)
    by = {v: [_about(f, order) for f in findings if f.verdict is v] for v in Verdict}
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


def _about(finding: Finding, order: Ordered) -> str:
    subject: Subject = order.result(finding).subject
    return order.telling.about(subject) or "all images"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 4
    return "; ".join(names[:4]) + (f" and {more} more" if more > 0 else "")


def figures(number: float, measure: Measure) -> str:
    """A number in the scale in which a measure is printed, without its unit."""
    (text,) = number_texts([number], measure.scale)
    return text
