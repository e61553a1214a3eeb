"""Page one: what a dean must know, in a dean's words, each line short enough for one page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.contract import Words
from auditor.findings import Finding, Verdict
from auditor.record import AuditRecord
from auditor.record.files import record_digest
from auditor.reports.action_plan import action_plan, steps
from auditor.reports.answers import answer_text
from auditor.reports.five_worst import five_worst
from auditor.reports.harms import Harm, harms, of_everyone
from auditor.reports.ordering import Ordered
from auditor.reports.reasons import is_within_reach, needed_text
from auditor.reports.references import Ref, references
from auditor.reports.telling import SPLIT_WORDS
from auditor.reports.why import asks_nothing, stops, why
from auditor.reports.wording import (
    ALTERED,
    AUDIT_WORDS,
    date_text,
    left_out_text,
    listed,
    shortened,
)

RANGE_NOTE = (
    "Brackets hold the range in which the true figure plausibly lies; what leans worse is shown to "
    "be worse, though not by how much."
)
NEVER_TESTED = ("who watches it in use", "what happens when it fails")
"""What this version has no check for; page one says so in every report."""

CLASSES = 3
"""Classes without an image that are named; more are counted."""

ID_LENGTH = 12
"""Figures of the record's digest that name an audit in print."""

STEPS = 4
"""Steps before release, and limits of a list, that page one has room for."""


@dataclass(frozen=True)
class QuestionLine:
    """One of the four questions, with the findings that its answer rests on.

    `declared` is what somebody stated that decides the answer, with who did.
    """

    question: str
    answer: str
    why: str
    declared: str
    refs: tuple[Ref, ...]


@dataclass(frozen=True)
class PageOne:
    """The lines of page one, top to bottom; an empty text is a line left out.

    `more_steps` and `more_open` count what of `before_release` and `not_decided` only the action
    plan has.
    """

    heading: str
    audit_id: str
    verdict: str
    word: str
    policy: str
    counts: str
    altered: str
    scope: str
    why: str
    weakened: str
    headline: tuple[str, ...]
    left_out: tuple[str, ...]
    harms: tuple[Harm, ...]
    questions: tuple[QuestionLine, ...]
    worst: tuple[str, ...]
    before_release: tuple[str, ...]
    more_steps: int
    not_decided: tuple[str, ...]
    more_open: int
    not_tested: str
    notes: tuple[str, ...]


def page_one(record: AuditRecord, order: Ordered) -> PageOne:
    """The lines of page one, from a record alone."""
    policy = record.policy.parsed
    asked = _before_release(record, order)
    undecided = _not_decided(order)
    return PageOne(
        heading=f"{shortened(record.title, 90)} – audit of {date_text(record.provenance.started)}",
        audit_id=audit_id(record),
        verdict=record.verdict.value,
        word=AUDIT_WORDS[record.verdict],
        policy=shortened(f"“{policy['id']}” version {policy['version']}", 60),
        counts=counts(order),
        altered=ALTERED if record.altered else "",
        scope=_scope(record, order),
        why=shortened(why(record, order), 230),
        weakened=weakened_text(record),
        headline=headline(order),
        left_out=left_out(order),
        harms=harms(order),
        questions=_questions(order),
        worst=five_worst(order),
        before_release=asked[:STEPS],
        more_steps=max(len(asked) - STEPS, 0),
        not_decided=undecided[:3],
        more_open=max(len(undecided) - 3, 0),
        not_tested=_not_tested(record, order),
        notes=_notes(record, order),
    )


def audit_id(record: AuditRecord) -> str:
    """What names an audit in print: the first figures of its record's digest."""
    return record_digest(record)[:ID_LENGTH]


def counts(order: Ordered) -> str:
    """How many blocking limits are not met, not decided and not measured: ``12 of 17 ...``."""
    blocking = [r for r in order.limits if r.limit["severity"] == "blocking"]
    if not blocking:
        return "the policy has no blocking limit"
    failed = sum(r.verdict is Verdict.FAIL for r in blocking)
    undecided = sum(r.verdict is Verdict.INCONCLUSIVE for r in blocking)
    unmeasured = sum(r.verdict is Verdict.NOT_RUN for r in blocking)
    waived = sum(r.verdict is Verdict.FAIL and r.waived_by is not None for r in blocking)
    limits = f"{len(blocking)} blocking limit{'s' if len(blocking) > 1 else ''}"
    said = [
        f"{failed} of {limits} not met" if failed else f"none of {limits} shown to be broken",
        f"{waived} of them waived" if waived else "",
        f"{undecided} not decided" if undecided else "",
        f"{unmeasured} not measured" if unmeasured else "",
    ]
    return ", ".join(part for part in said if part)


def _scope(record: AuditRecord, order: Ordered) -> str:
    """What was looked at: images of each split that was measured on, and which model file."""
    parts = []
    for data in record.datasets:
        of = f" of {data.n:,}" if data.n_sound != data.n else ""
        parts.append(f"{data.n_sound:,}{of} {SPLIT_WORDS.get(data.split, data.split)} images")
    name = str(record.spec.parsed["model"].get("path") or "the model").rpartition("/")[2]
    parts.append(f"model file {shortened(name, 40)}, SHA-256 {record.model.digest[:ID_LENGTH]}")
    return f"Scope: {'; '.join(parts)}."


def weakened_text(record: AuditRecord) -> str:
    """What the policy asks less of than one that it extends; empty where of nothing."""
    gone = [change.limit for change in record.weakened if not change.after]
    other = [change.limit for change in record.weakened if change.after]
    told = [
        f"{len(ids):,} {words} ({shortened(listed(ids, most=3), 110)})"
        for ids, words in ((gone, "left out"), (other, "looser or asked otherwise"))
        if ids
    ]
    if not told:
        return ""
    base = shortened(f"“{record.policy.parsed.get('extends')}”", 40)
    return f"The policy asks less than {base}, which it extends: of its limits {', '.join(told)}."


def headline(order: Ordered) -> tuple[str, ...]:
    """The numbers that count, where the model will run first, beside always guessing.

    Of the data that do not lead only how often it is right is told.
    """
    lines: list[tuple[bool, int, str]] = []
    for check, measure in of_everyone(order):
        words = order.telling.words(check, measure)
        text = order.telling.filled(words.headline, measure)
        if text:
            lines.append((measure.subject.split == "test", words.headline_rank, text))
    lines.sort(key=lambda line: line[:2])
    told = tuple(
        text
        for is_test, rank, text in lines
        if is_test == lines[0][0] or rank == Words.headline_rank
    )
    return told or (f"How often it is right was not measured. {_no_headline(order)}".strip(),)


def _no_headline(order: Ordered) -> str:
    """Why a number that would stand here has no value; empty where no check asked for one."""
    for result in order.record.results:
        for each in result.unmeasured:
            if order.telling.words(result.check, each).headline:
                return each.reason
    return ""


def left_out(order: Ordered) -> tuple[str, ...]:
    """What was left out of each split, and why."""
    told = (left_out_text(d, order.telling.units) for d in order.record.datasets)
    return tuple(shortened(text, 260) for text in told if text)


def _questions(order: Ordered) -> tuple[QuestionLine, ...]:
    return tuple(
        QuestionLine(
            question=answer.question.value,
            answer=shortened(told.answer, 160),
            why=shortened(told.why, 260),
            declared=shortened(told.declared, 260),
            refs=references((*answer.findings, *answer.undecided), order),
        )
        for answer in order.record.answers
        for told in [answer_text(answer, order)]
    )


def _before_release(record: AuditRecord, order: Ordered) -> tuple[str, ...]:
    """What the action plan says of the blocking failures that nobody waived, each step once."""
    failed = {str(r.limit["id"]) for r in order.limits if stops(r)}
    tasks = (t for t in action_plan(order) if t.limit in failed and t.is_failure)
    asked = steps([task.findings for task in tasks], order)
    if asked:
        return tuple(shortened(step, 150) for step in asked)
    if record.verdict is Verdict.INCONCLUSIVE:
        if asks_nothing(record):
            return ("state what the model must meet: a limit that is blocking and required",)
        return ("decide what is not decided",)
    return ("nothing that the policy asks for",)


def _not_decided(order: Ordered) -> tuple[str, ...]:
    undecided = [f for f in order.findings if f.verdict is Verdict.INCONCLUSIVE]
    undecided.sort(key=lambda f: (f.leaning != "worse", not is_within_reach(f)))
    return tuple(_open_text(finding, order) for finding in undecided)


def _open_text(finding: Finding, order: Ordered) -> str:
    leaning = ", leaning worse" if finding.leaning == "worse" else ""
    needed = needed_text(finding.needed, order.telling)
    decides = f": {needed}{' would decide' if is_within_reach(finding) else ''}" if needed else ""
    return f"{shortened(order.short(finding), 70)}{leaning}{decides}"


def _not_tested(record: AuditRecord, order: Ordered) -> str:
    return "; ".join([*not_tested(record, order, most=6), *NEVER_TESTED])


def not_tested(record: AuditRecord, order: Ordered, *, most: int) -> list[str]:
    """What was asked for and has no number, and which groups are too small, `most` by name."""
    lacking = [f for f in order.findings if f.verdict is Verdict.NOT_RUN]
    by_group = [f for f in lacking if order.measure(f) is None and order.group(f)]
    groups = [shortened(order.group(f), 60) for f in by_group]
    names = [shortened(order.short(f), 48) for f in lacking if f not in by_group]
    names += [order.telling.topic(n.check) for n in record.plan.not_run if n.applies]
    small = [f"too few to tell: {listed(groups, most=3)}"] if groups else []
    # What is not tested is told with commas ("who labelled, and how"): they do not part it.
    found = [listed(names, most=most, join="; ")] if names else []
    return [*_classes_without_images(record, order), *found, *small]


def _classes_without_images(record: AuditRecord, order: Ordered) -> Iterator[str]:
    """The classes that no labelled image of test or deployment is of: nothing is known of them."""
    held = [d for d in record.datasets if d.split != "train" and d.has_labels]
    seen = {label.name for dataset in held for label in dataset.labels if label.n_sound}
    known = dict.fromkeys(label.name for dataset in held for label in dataset.labels)
    lacking = [
        f"“{shortened(order.telling.shown(name), 30)}”" for name in known if name not in seen
    ]
    if len(lacking) > CLASSES:
        yield f"{len(lacking):,} of {len(known):,} classes (no labelled image to test them on)"
    elif lacking:
        them = "es" if len(lacking) > 1 else ""
        whom = "them" if them else "it"
        yield f"class{them} {', '.join(lacking)} (no labelled image to test {whom} on)"


def _machine(record: AuditRecord) -> str:
    """Which machine was timed, and who says that it stands for the target."""
    timed = [m for _, m in record.measures() if m.volatile and m.facts.get("processor")]
    target = record.spec.parsed.get("target") or {}
    if not timed:
        return "Times hold for the machine that is named beside them, and for it alone."
    machines = listed(sorted({str(m.facts["processor"]) for m in timed}), most=2, join=" and ")
    said = f"Times were taken on {machines}, and hold for it alone"
    who, name = target.get("said_by"), target.get("name")
    if target.get("this_machine") and name:
        said += f"; {who or 'the spec'} declares that it stands for {name}"
    return f"{shortened(said, 260)}."


def _notes(record: AuditRecord, order: Ordered) -> tuple[str, ...]:
    notes = []
    if record.provenance.trusted_code or record.model.trusted_code:
        notes.append("The model authors’ own code was run during this audit.")
    if any(f.limit and (m := order.measure(f)) and m.volatile for f in record.findings):
        notes.append(_machine(record))
    if record.policy.parsed.get("approved") is None:
        notes.append("The policy does not say who approved its limits, or when.")
    return tuple(notes)
