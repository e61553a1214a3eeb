"""Page one: what a dean must know, in a dean's words, each line short enough for one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.contract import Words
from auditor.contract.numbers import value_text
from auditor.findings import Finding, LimitResult, Measure, Question, Verdict
from auditor.judging.verdicts import could_fail
from auditor.record import AuditRecord
from auditor.record.reasons import set_apart_text
from auditor.reports.answers import answer_text
from auditor.reports.ordering import Ordered, is_about_people
from auditor.reports.reasons import action, is_within_reach, limit_text, needed_text
from auditor.reports.wording import (
    ALTERED,
    AUDIT_WORDS,
    date_text,
    left_out_text,
    listed,
    shortened,
)
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
class QuestionLine:
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
    altered: str
    why: str
    headline: tuple[str, ...]
    left_out: tuple[str, ...]
    harms: tuple[Harm, ...]
    questions: tuple[QuestionLine, ...]
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
        altered=ALTERED if record.altered else "",
        why=shortened(why(record, order), 230),
        headline=headline(order),
        left_out=left_out(order),
        harms=_harms(order),
        questions=_questions(order),
        worst=_worst(order),
        before_release=_before_release(record, order),
        not_decided=_not_decided(order),
        not_tested=_not_tested(record, order),
        notes=_notes(record, order),
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
    if _asks_nothing(record):
        return (
            f"The policy asks nothing of the model: of its {len(order.limits)} limits none is "
            "blocking, required and could have failed."
        )
    lacking = [r for r in order.limits if r.limit["required"] and r.verdict is not Verdict.PASS]
    names = listed([_limit_name(r, order) for r in lacking], most=3)
    return (
        f"No limit is shown to be broken, but {len(lacking)} of {len(order.limits)} could not be "
        f"decided: {names}."
    )


def _asks_nothing(record: AuditRecord) -> bool:
    """Whether nothing stands open, and yet no limit had to be met and could have failed."""
    if any(r.limit["required"] and r.verdict is not Verdict.PASS for r in record.limit_results):
        return False
    known = {finding.id: finding for finding in record.findings}
    return not any(could_fail(r, known) for r in record.limit_results)


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
        measured = _first_measure(order, result.findings)
        given = _first_measure(order, _findings_of(order, f"{name}:as-given"))
        if measured is None:
            continue
        claimed = f"{100 * float(stated):.3g}%" if measured.scale == "share" else f"{stated:g}"
        if given is not None and value(given.estimate) >= float(stated) > value(measured.estimate):
            return f"The claimed {claimed} rests on {_set_apart(record, order)}."
        return f"The claimed {claimed} does not hold: measured {value_text(measured)}."
    return ""


def _first_measure(order: Ordered, identifiers: Sequence[str]) -> Measure | None:
    return next((m for f in order.of(identifiers) if (m := order.measure(f))), None)


def _findings_of(order: Ordered, limit: str) -> Sequence[str]:
    return next((r.findings for r in order.limits if r.limit["id"] == limit), ())


def _set_apart(record: AuditRecord, order: Ordered) -> str:
    """What the clean subset lacks, named by the commonest reason."""
    test = record.dataset("test")
    commonest = max(test.set_apart, key=lambda part: part.n) if test and test.set_apart else None
    if commonest is None:
        return "images that should not be in the test data"
    return set_apart_text(commonest.reason, order.telling.units)


def _failure_sentence(order: Ordered, failed: Sequence[LimitResult]) -> str:
    worst = next(f for f in order.findings if f.limit in {r.limit["id"] for r in failed})
    measure = order.measure(worst)
    limit = limit_text(order.limit_of(worst), measure)
    count = f"{len(failed)} of {len(order.limits)} limits are not met"
    exact = bool(order.limit_of(worst).get("exact"))
    figure = value_text(measure, exact=exact) if measure else "not measured"
    start = f"{count}. Worst" if len(failed) > 1 else "One limit is not met"
    return f"{start}: {order.title(worst)}: {figure}; the limit is {limit}."


def _limit_name(result: LimitResult, order: Ordered) -> str:
    found = next(iter(order.of(result.findings)), None)
    if found is not None:
        several = len(result.findings) > 1
        return order.telling.topic(found.check) if several else order.short(found)
    measure = str(result.limit.get("measure", result.limit["id"]))
    return order.telling.topic(measure.partition(":")[0])


def headline(order: Ordered) -> tuple[str, ...]:
    """The numbers that count, where the model will run first, beside always guessing.

    Of the data that do not lead only how often it is right is told.
    """
    lines: list[tuple[bool, int, str]] = []
    for check, measure in _of_everyone(order):
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
    return told or ("How often it is right was not measured.",)


def left_out(order: Ordered) -> tuple[str, ...]:
    """What was left out of each split, and why."""
    told = (left_out_text(d, order.telling.units) for d in order.record.datasets)
    return tuple(shortened(text, 260) for text in told if text)


def _of_everyone(order: Ordered) -> Iterator[tuple[str, Measure]]:
    """Measures of all images that it was not trained on, and of the model as given."""
    for check, measure in order.record.measures():
        subject = measure.subject
        of_all = not order.telling.group_keys(subject) and subject.split != "train"
        if of_all and subject.variant in (None, "as-given"):
            yield check, measure


def _harms(order: Ordered) -> tuple[Harm, ...]:
    """At most four: groups shown to be served worse, and adverse answers over everyone.

    Where the model will run comes before the test data.
    """
    hurt = [
        f
        for f in order.findings
        if order.answers(f, Question.MEASURED)
        and order.measure(f) is not None
        and (f.verdict is Verdict.FAIL or f.leaning == "worse")
    ]
    hurt.sort(key=lambda f: (order.words(f).harm_rank, not is_about_people(f, order.record)))
    harms = [_group_harm(f, order) for f in _each_once(hurt, order)[:2]]
    if not hurt:
        harms.append(_nobody_shown(order))
    everyone = [
        (words, m)
        for check, m in _of_everyone(order)
        if (words := order.telling.words(check, m)).harm
        and order.questions.get(check) is not Question.MEASURED
        and not m.sides
    ]
    everyone.sort(key=lambda pair: (pair[0].harm_rank, pair[1].subject.split == "test"))
    for words, measure in everyone[:2]:
        what = order.telling.filled(words.harm, measure) or ""
        where = order.telling.place(measure.subject.split)
        rows = where if measure.of == "image" else f"{measure.of}s in {where}"
        harms.append(Harm(shortened(what, 50), f"{value_text(measure)} of {measure.n:,} {rows}"))
    return tuple(harms)


def _each_once(hurt: Sequence[Finding], order: Ordered) -> list[Finding]:
    """The first finding of each harm to each group: a gap may fail as a ratio and as points."""
    first: dict[object, Finding] = {}
    for finding in hurt:
        what = order.filled(order.words(finding).harm, finding) or finding.id
        first.setdefault((what, order.result(finding).subject), finding)
    return list(first.values())


def _group_harm(finding: Finding, order: Ordered) -> Harm:
    measure = order.measure(finding)
    if measure is None:
        raise ValueError(f"finding {finding.id} has no measure")
    words = order.words(finding)
    what = order.filled(words.harm, finding)
    sides = order.filled("{this};", finding), order.filled("{other}; {gap}", finding)
    if what and all(sides) and order.group(finding):
        whom = f"{shortened(order.group(finding), 60)}{order.filled('{in_where}', finding)}"
        said = f"{whom}: {sides[0]} {words.sides[1].lower()} {sides[1]}"
    else:
        # The first sentence says whom it hurts; what it stays so among is for the finding.
        said = order.filled(words.sentence, finding) or value_text(measure)
    allowed = limit_text(order.limit_of(finding), measure)
    bound = f"; the limit is {allowed}" if allowed else ""
    what = what or order.short(finding)
    return Harm(shortened(what, 50), f"{shortened(said, 190).rstrip('.')}{bound}")


def _nobody_shown(order: Ordered) -> Harm:
    tested = [f for f in order.findings
              if order.answers(f, Question.MEASURED) and order.measure(f)]  # fmt: skip
    if not tested:
        return Harm("Not tested", "no result by group of people or of circumstances")
    open_ones = sum(f.verdict is Verdict.INCONCLUSIVE for f in tested)
    said = f"{len(tested)} comparisons of groups; none shown to be worse than the limits allow"
    return Harm("No group shown", f"{said}, {open_ones} not decided" if open_ones else said)


def _questions(order: Ordered) -> tuple[QuestionLine, ...]:
    return tuple(
        QuestionLine(
            question=answer.question.value,
            answer=shortened(told.answer, 80),
            why=shortened(told.why, 190),
            findings=_numbers((*answer.findings, *answer.undecided), order),
        )
        for answer in order.record.answers
        for told in [answer_text(answer, order)]
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
    names = dict.fromkeys(shortened(order.short(f), 48) for f in shown)
    return tuple(names)[:5]


def _before_release(record: AuditRecord, order: Ordered) -> tuple[str, ...]:
    failed = {r.limit["id"] for r in order.limits if _stops(r)}
    actions = dict.fromkeys(
        shortened(action(f, order), 110)
        for f in order.findings
        if f.limit in failed and f.verdict is Verdict.FAIL
    )
    # "fix for A" says nothing beside "fix for A; a person reviews".
    steps = tuple(a for a in actions if not any(b != a and b.startswith(a) for b in actions))[:4]
    if steps:
        return steps
    if record.verdict is Verdict.INCONCLUSIVE:
        if _asks_nothing(record):
            return ("state what the model must meet: a limit that is blocking and required",)
        return ("decide what is not decided",)
    return ("nothing that the policy asks for",)


def _not_decided(order: Ordered) -> tuple[str, ...]:
    undecided = [f for f in order.findings if f.verdict is Verdict.INCONCLUSIVE]
    undecided.sort(key=lambda f: (f.leaning != "worse", not is_within_reach(f)))
    lines = [
        f"{shortened(order.short(f), 70)}{', leaning worse' if f.leaning == 'worse' else ''}: "
        f"{needed_text(f.needed, order.telling)}{' would decide' if is_within_reach(f) else ''}"
        for f in undecided[:3]
    ]
    more = len(undecided) - len(lines)
    return (*lines, f"and {more} more") if more > 0 else tuple(lines)


def _not_tested(record: AuditRecord, order: Ordered) -> str:
    lacking = [f for f in order.findings if f.verdict is Verdict.NOT_RUN]
    by_group = [f for f in lacking if order.measure(f) is None and order.group(f)]
    groups = [shortened(order.group(f), 30) for f in by_group]
    names = [shortened(order.short(f), 48) for f in lacking if f not in by_group]
    names += [order.telling.topic(n.check) for n in record.plan.not_run if n.applies]
    small = [f"too few images of {listed(groups, most=3)}"] if groups else []
    return "; ".join([*([listed(names, most=6)] if names else []), *small, *NEVER_TESTED])


def _notes(record: AuditRecord, order: Ordered) -> tuple[str, ...]:
    notes = []
    if record.provenance.trusted_code or record.model.trusted_code:
        notes.append("The model authors’ own code was run during this audit.")
    if any(f.limit and (m := order.measure(f)) and m.volatile for f in record.findings):
        notes.append("Times hold for the machine that is named beside them, and for it alone.")
    if record.policy.parsed.get("approved") is None:
        notes.append("The policy names no approval.")
    return tuple(notes)
