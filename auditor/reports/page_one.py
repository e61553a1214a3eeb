"""Page one: what a dean must know, in a dean's words, each line short enough for one page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.findings import Finding, LimitResult, Verdict
from auditor.judging.reasons import is_share
from auditor.judging.verdicts import is_by_group
from auditor.record import AuditRecord
from auditor.reports.finding_view import needed
from auditor.reports.ordering import Ordered, is_about_people
from auditor.reports.titles import action, group_text, short_name, title, topic
from auditor.reports.wording import (
    AUDIT_WORDS,
    date_text,
    limit_text,
    listed,
    shortened,
    value_text,
)
from auditor.scoring.comparison import percent
from auditor.stats import value

RANGE_NOTE = "Brackets hold the range in which the true figure plausibly lies."
NEVER_TESTED = ("who watches it in use", "what happens when it fails")
"""What this version has no check for; page one says so in every report."""


@dataclass(frozen=True)
class Harm:
    """Who is hurt: what goes wrong, and for whom how often."""

    what: str
    figures: str


@dataclass(frozen=True)
class Question:
    """One of the four questions, with the numbers of the findings that its answer rests on."""

    question: str
    answer: str
    why: str
    findings: str


@dataclass(frozen=True)
class PageOne:
    """The lines of page one, top to bottom; an empty text is a line left out."""

    heading: str
    verdict: str
    word: str
    policy: str
    why: str
    headline: tuple[str, ...]
    harms: tuple[Harm, ...]
    questions: tuple[Question, ...]
    worst: tuple[str, ...]
    before_release: tuple[str, ...]
    not_decided: tuple[str, ...]
    not_tested: str
    notes: tuple[str, ...]


def page_one(record: AuditRecord, order: Ordered) -> PageOne:
    """The lines of page one, from a record alone."""
    policy = record.policy.parsed
    return PageOne(
        heading=f"{shortened(record.title, 90)} – audit of {date_text(record.provenance.started)}",
        verdict=record.verdict.value,
        word=AUDIT_WORDS[record.verdict],
        policy=shortened(f"“{policy['id']}” version {policy['version']}", 60),
        why=shortened(why(record, order), 230),
        headline=_headline(record),
        harms=_harms(record, order),
        questions=_questions(record, order),
        worst=_worst(order),
        before_release=_before_release(record, order),
        not_decided=_not_decided(order, _unit_noun(record)),
        not_tested=_not_tested(record, order),
        notes=_notes(record),
    )


def why(record: AuditRecord, order: Ordered) -> str:
    """One sentence that says why the verdict is what it is."""
    failed = [r for r in order.limits if _stops(r)]
    if record.verdict is Verdict.FAIL:
        return _claim_sentence(record, order) or _failure_sentence(order, failed)
    decided = [r for r in order.limits if r.verdict is Verdict.PASS]
    if record.verdict in (Verdict.PASS, Verdict.PASS_WITH_WAIVERS):
        waived = [r for r in order.limits if r.waived_by]
        kept = f"{len(decided)} of {len(order.limits)} limits are met"
        return f"{kept}; {len(waived)} failed and are waived." if waived else f"{kept}."
    lacking = [r for r in order.limits if r.limit["required"] and r.verdict is not Verdict.PASS]
    if not lacking:
        return "No limit was met, so nothing was decided."
    names = listed([_limit_name(r, order) for r in lacking], most=3)
    return (
        f"No limit is shown to be broken, but {len(lacking)} of {len(order.limits)} could not be "
        f"decided: {names}."
    )


def _stops(result: LimitResult) -> bool:
    """Whether a limit alone makes the audit fail."""
    blocking = result.limit["severity"] == "blocking"
    return blocking and result.verdict is Verdict.FAIL and result.waived_by is None


def _claim_sentence(record: AuditRecord, order: Ordered) -> str:
    for result in order.limits:
        name = str(result.limit["id"])
        stated = result.limit.get("at_least")
        if not _stops(result) or not name.startswith("claim:") or stated is None:
            continue
        measured = next((f.measure for f in order.of(result.findings) if f.measure), None)
        as_given = order.of(i for i in _findings_of(order, f"{name}:as-given"))
        given = next((f.measure for f in as_given if f.measure), None)
        if measured is None:
            continue
        claimed = f"{100 * float(stated):.3g}%" if is_share(measured) else f"{float(stated):g}"
        if given is not None and value(given.estimate) >= float(stated) > value(measured.estimate):
            return f"The claimed {claimed} rests on {_unsound(record)}."
        return f"The claimed {claimed} does not hold: measured {value_text(measured)}."
    return ""


def _findings_of(order: Ordered, limit: str) -> Sequence[str]:
    return next((r.findings for r in order.limits if r.limit["id"] == limit), ())


def _unsound(record: AuditRecord) -> str:
    """What the sound part lacks, named by the commonest reason."""
    test = record.dataset("test")
    reasons = {part.reason: part.n for part in test.set_apart} if test else {}
    commonest = max(reasons, key=lambda name: reasons[name], default="")
    if "leak" in commonest or "seen" in commonest:
        return "images that the model had already seen"
    if "duplic" in commonest:
        return "images that are in the test data more than once"
    return "images that should not be in the test data"


def _failure_sentence(order: Ordered, failed: Sequence[LimitResult]) -> str:
    worst = next(f for f in order.findings if f.limit in {r.limit["id"] for r in failed})
    limit = limit_text(order.limit_of(worst), worst.measure)
    count = f"{len(failed)} of {len(order.limits)} limits are not met"
    exact = bool(order.limit_of(worst).get("exact"))
    figure = value_text(worst.measure, exact=exact) if worst.measure else "not measured"
    start = f"{count}. Worst" if len(failed) > 1 else "One limit is not met"
    return f"{start}: {title(worst)}: {figure}; the limit is {limit}."


def _limit_name(result: LimitResult, order: Ordered) -> str:
    found = next(iter(order.of(result.findings)), None)
    if found is not None:
        return short_name(found) if len(result.findings) == 1 else topic(found.check)
    measure = str(result.limit.get("measure", result.limit["id"]))
    return topic(measure.partition(":")[0])


def _headline(record: AuditRecord) -> tuple[str, ...]:
    """The accuracy that counts, per unit where there are units, beside always guessing."""
    measures = {(check, m.name, m.subject.split): m for check, m in record.measures()
                if not m.subject.keys and m.subject.variant in (None, "as-given")}  # fmt: skip
    lines = []
    overall = measures.get(("performance/overall", "accuracy", "test"))
    if overall is not None:
        unseen = measures.get(("data/leakage", "seen-share", "test")) is not None
        which = "images that it had not seen" if unseen else "the test images"
        lines.append(f"On {which}: {value_text(overall)} right, {overall.n:,} images.")
    unit = measures.get(("performance/unit-decision", "unit-accuracy", "test"))
    if unit is not None and unit.n_units:
        noun = _unit_noun(record)
        lines.append(f"Per {noun}: {value_text(unit)} right, {unit.n_units:,} {noun}s.")
    gain = measures.get(("performance/baseline", "gain", "test"))
    if gain is not None and "rest" in gain.details:
        always = f"{percent(float(gain.details['rest']['value']))}%"
        answer = shortened(str(gain.details.get("commonest", "")), 40)
        named = f"class {answer}" if answer.isdigit() else f"“{answer}”"
        lines.append(f"Always answering {named} would give {always}.")
    return tuple(lines) or ("Accuracy was not measured.",)


def _unit_noun(record: AuditRecord) -> str:
    """What a unit is called: the manifest's column, where that is a plain word."""
    columns = record.spec.parsed["data"]["columns"]
    name = str(columns.get("unit") or "unit").removesuffix("_id").lower()
    return name if name.isalpha() and name.isascii() and not name.endswith("s") else "unit"


def _harms(record: AuditRecord, order: Ordered) -> tuple[Harm, ...]:
    """At most three: groups shown to be served worse, and adverse answers over everyone."""
    hurt = [f for f in order.findings if is_by_group(f.check) and f.measure
            and (f.verdict is Verdict.FAIL or f.leaning == "worse")]  # fmt: skip
    hurt.sort(key=lambda f: (f.check != "bias/error-rates", not is_about_people(f, record)))
    harms = [_group_harm(f, order.limit_of(f)) for f in hurt[:2]]
    if not hurt:
        harms.append(_nobody_shown(order))
    about = (m for check, m in record.measures() if check == "performance/consequences")
    missed = next((m for m in about if m.name == "missed-adverse-rate"), None)
    if missed is not None:
        label = shortened(str(missed.subject.get("class")), 40)
        harms.append(Harm(f"“{label}” missed", f"{value_text(missed)} of {missed.n:,} images"))
    return tuple(harms)


def _group_harm(finding: Finding, limit: Mapping[str, Any]) -> Harm:
    measure = finding.measure
    if measure is None:
        raise ValueError(f"finding {finding.id} has no measure")
    # The first sentence says whom it hurts; what it stays so among is for the finding.
    said = str(measure.details.get("sentence") or value_text(measure))
    sentence = shortened(re.split(r"\.\s+(?=[A-Z])", said)[0], 190)
    allowed = limit_text(limit, measure)
    bound = f"; the limit is {allowed}" if allowed else ""
    what = measure.details.get("what") or _LESS.get(measure.name, short_name(finding))
    return Harm(shortened(str(what), 50), f"{sentence.rstrip('.')}{bound}")


_LESS = {"accuracy": "fewer right answers", "recall": "fewer found"}


def _nobody_shown(order: Ordered) -> Harm:
    tested = [f for f in order.findings if is_by_group(f.check) and f.measure]
    if not tested:
        return Harm("Not tested", "no result by group of people or of circumstances")
    open_ones = sum(f.verdict is Verdict.INCONCLUSIVE for f in tested)
    said = f"{len(tested)} comparisons of groups; none shown to be worse than the limits allow"
    return Harm("No group shown", f"{said}, {open_ones} not decided" if open_ones else said)


def _questions(record: AuditRecord, order: Ordered) -> tuple[Question, ...]:
    return tuple(
        Question(
            question=answer.question,
            answer=shortened(answer.answer, 80),
            why=shortened(answer.why, 190),
            findings=_numbers(answer.findings, order),
        )
        for answer in record.answers
    )


def _numbers(identifiers: Sequence[str], order: Ordered) -> str:
    """References such as ``→ findings 4, 7``; at most four numbers."""
    numbers = sorted(order.numbers[i] for i in identifiers if i in order.numbers)
    if not numbers:
        return ""
    word = "finding" if len(numbers) == 1 else "findings"
    return f"→ {word} {listed([str(n) for n in numbers], most=4)}"


def _worst(order: Ordered) -> tuple[str, ...]:
    """The five worst, each named once; passes and plain information are never among them."""
    urgent = [f for f in order.findings if f.verdict not in (None, Verdict.PASS)
              and not f.waived_by]  # fmt: skip
    shown = [f for f in urgent if f.verdict is Verdict.FAIL or f.severity == "blocking"]
    names = dict.fromkeys(shortened(short_name(f), 48) for f in shown)
    return tuple(names)[:5]


def _before_release(record: AuditRecord, order: Ordered) -> tuple[str, ...]:
    failed = {r.limit["id"] for r in order.limits if _stops(r)}
    actions = dict.fromkeys(
        shortened(action(f), 110)
        for f in order.findings
        if f.limit in failed and f.verdict is Verdict.FAIL
    )
    # "mend for A" says nothing beside "mend for A; a person reviews".
    steps = tuple(a for a in actions if not any(b != a and b.startswith(a) for b in actions))[:4]
    if steps:
        return steps
    if record.verdict is Verdict.INCONCLUSIVE:
        return ("decide what is not decided",)
    return ("nothing that the policy asks for",)


def _not_decided(order: Ordered, unit: str) -> tuple[str, ...]:
    undecided = [f for f in order.findings if f.verdict is Verdict.INCONCLUSIVE]
    undecided.sort(key=lambda f: (f.leaning != "worse", not _is_within_reach(f)))
    lines = [
        f"{shortened(short_name(f), 70)}{', leaning worse' if f.leaning == 'worse' else ''}: "
        f"{needed(f, unit)}{' would decide' if _is_within_reach(f) else ''}"
        for f in undecided[:3]
    ]
    more = len(undecided) - len(lines)
    return (*lines, f"and {more} more") if more > 0 else tuple(lines)


def _is_within_reach(finding: Finding) -> bool:
    """Whether a number of further images that someone may collect would decide a finding."""
    return re.match(r"(About [\d,]+|A few) more ", finding.remedy) is not None


def _not_tested(record: AuditRecord, order: Ordered) -> str:
    lacking = [f for f in order.findings if f.verdict is Verdict.NOT_RUN]
    groups = [shortened(text, 30) for f in lacking if (text := _group(f))]
    names = [shortened(short_name(f), 48) for f in lacking if not _group(f)]
    names += [topic(n.check) for n in record.plan.not_run]
    small = [f"too few images of {listed(groups, most=3)}"] if groups else []
    return "; ".join([*([listed(names, most=6)] if names else []), *small, *NEVER_TESTED])


def _group(finding: Finding) -> str:
    if finding.unmeasured is None:
        return ""
    return group_text(finding.unmeasured.subject, check=finding.check)


def _notes(record: AuditRecord) -> tuple[str, ...]:
    notes = []
    if record.provenance.trusted_code or record.model.trusted_code:
        notes.append("The model authors’ own code was run during this audit.")
    timed = {f.limit for f in record.findings if f.measure and f.measure.volatile and f.limit}
    if timed:
        notes.append("Times were measured on the machine named in the annex and hold for it alone.")
    if record.policy.parsed.get("approved") is None:
        notes.append("The policy names no approval.")
    return tuple(notes)
