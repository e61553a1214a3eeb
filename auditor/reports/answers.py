"""The four answers in words, from what they rest on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from auditor.contract.numbers import percent
from auditor.findings import Finding, Measure, Question, Unmeasured
from auditor.judging.questions import REPRESENTED, under_represented
from auditor.record import Answer
from auditor.reports.ordering import Ordered
from auditor.spec.declarations import declarations_of
from auditor.stats import value

OVERSIGHT = "oversight"
"""The declaration that says who looks at an answer before it takes effect."""

NAMES = 3
"""Groups, classes or measures that an answer names at most."""

FEW = 0.01
"""Images without a group that an answer need not tell of, as a share: as of rows left out."""

_COMPARED = ("equal", "unequal", "not decided", "not judged")

_SHORT = {
    "yes": "Yes",
    "no": "No",
    "not decided": "Not decided",
    "not tested": "Not tested",
    "unequal": "Yes, and it is unequal",
    "equal": "Yes, and it is equal within the limits",
    "not judged": "Yes, but not judged",
    "not stated": "Not stated",
}
_OTHERWISE = {
    (Question.MEASURED, "not decided"): "Yes, but not decided for all",
    (Question.MATCHES, "not judged"): "Measured, but not judged",
    (Question.REPRESENTS, "not judged"): "Measured, but not judged",
}


@dataclass(frozen=True)
class AnswerText:
    """An answer in a few words, a plain sentence or two why, and what is declared of it."""

    answer: str
    why: str
    declared: str = ""


def answer_text(answer: Answer, order: Ordered) -> AnswerText:
    """One of the four answers in words."""
    kind = answer.answer
    short = _OTHERWISE.get((answer.question, kind)) or _SHORT.get(kind, "")
    if answer.question is Question.WRONG:
        stated = order.record.spec.parsed["consequences"].get("when_wrong")
        return AnswerText(stated or "Not stated", _wrong(answer, order), _oversight(order))
    why = _why(answer, order)
    if answer.question is Question.MEASURED and kind in _COMPARED:
        why = " ".join([why, *_in_no_group(order)])
    return AnswerText(short, why)


def _in_no_group(order: Ordered) -> Iterator[str]:
    """How many images of a split with labels no group of an attribute holds, where many."""
    found = [
        f"{order.telling.shown(attribute.name)}: {attribute.missing:,} of {dataset.n:,} "
        f"{dataset.split} images"
        for dataset in order.record.datasets
        if dataset.has_labels and dataset.split != "train"
        for attribute in dataset.attributes
        if attribute.missing > FEW * dataset.n
    ]
    if found:
        more = f"; and {len(found) - NAMES} more" if len(found) > NAMES else ""
        yield f"Compared with none, being in no group of {'; of '.join(found[:NAMES])}{more}."


def _why(answer: Answer, order: Ordered) -> str:
    findings = order.of(answer.findings)
    match answer.answer:
        case "no" if answer.question is not Question.MEASURED:
            return _broken(answer.question, findings, order)
        case "unequal":
            return f"Worse for {names(findings, order)}."
        case "not decided":
            return _open(findings, order.of(answer.undecided), order)
        case "equal":
            return "No group is served worse than the limits allow."
        case "not judged":
            return "The policy sets no limit on it."
        case "yes":
            return _YES[answer.question] if findings else _share_text(order)
    return _not_measured(answer, order)


_YES = {
    Question.MATCHES: "No difference beyond the limits was found.",
    Question.REPRESENTS: "No group has less than the allowed part of its share.",
}


def _share_text(order: Ordered) -> str:
    train = order.record.dataset("train")
    stated = (
        [order.telling.shown(a.name) for a in train.attributes if a.population] if train else []
    )
    return f"By {', '.join(stated)}, every group has about its share."


def _broken(question: Question, findings: Sequence[Finding], order: Ordered) -> str:
    """What the failed findings say, each as its own words answer; else what they are about."""
    if not findings:
        few = ", ".join(_under_represented(order))
        part = f"{percent(REPRESENTED)}% of what is due"
        return f"No limit decides it; counted, these have less than {part}: {few}."
    parts: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: order.words(f).answer_rank):
        parts.setdefault(order.filled(order.words(finding).answer, finding), []).append(finding)
    said = [text for text in parts if text]
    rest = parts.get("", [])
    if question is Question.REPRESENTS:
        return _shares(findings, order)
    if rest and not said:
        said.append(f"they differ in {names(rest, order)}")
    more = len(said) - NAMES
    text = "; ".join(said[:NAMES]) + (f"; and {more} more" if more > 0 else "")
    return f"{text[:1].upper()}{text[1:]}."


def _shares(findings: Sequence[Finding], order: Ordered) -> str:
    """Whom there are too few of, and whom too many: a limit may bound a share on either side."""
    few: list[Finding] = []
    many: list[Finding] = []
    for finding in findings:
        measure = order.measure(finding)
        if measure is not None and measure.neutral is not None:
            (few if value(measure.estimate) < measure.neutral else many).append(finding)
    # The worst first: whose share is the smallest, or the largest, part of what is due.
    few.sort(key=lambda f: _part_of_due(f, order))
    many.sort(key=lambda f: -_part_of_due(f, order))
    parts = [("Too few of", few), ("Too many of", many)]
    return " ".join(f"{words}: {_listed_shares(some, order)}." for words, some in parts if some)


def _part_of_due(finding: Finding, order: Ordered) -> float:
    measure = order.measure(finding)
    if measure is None or measure.sides is None:
        return 1.0
    found, due = (value(side.estimate) for side in measure.sides)
    return found / due if due else math.inf


def _listed_shares(findings: Sequence[Finding], order: Ordered) -> str:
    parts = []
    for finding in findings[:NAMES]:
        measure = order.measure(finding)
        if measure is not None and measure.sides is not None:
            found, due = (percent(value(side.estimate)) for side in measure.sides)
            parts.append(f"{order.group(finding)}: {found}% where {due}% are due")
    more = len(findings) - NAMES
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _under_represented(order: Ordered) -> Iterator[str]:
    train = order.record.dataset("train")
    few = under_represented(train) if train else ()
    # Fewest first: a record read back has its groups in another order.
    for one in sorted(few, key=lambda one: (one.found / one.due, one.group)):
        shares = f"{percent(one.found)}% of training images where {percent(one.due)}% are due"
        yield f"{order.telling.shown_of(one.attribute, one.group)} ({shares})"


def _open(findings: Sequence[Finding], rest: Sequence[Finding], order: Ordered) -> str:
    leaning = [f for f in findings if f.leaning == "worse"]
    others = [*(f for f in findings if f.leaning != "worse"), *rest]
    parts = [f"Leaning worse: {names(leaning, order)}."] if leaning else []
    few = [f for f in others if f.needed is not None]
    parts += [f"Too few images to decide for {names(few, order)}."] if few else []
    more = [f for f in others if f.needed is None]
    parts += [f"Not decided, whatever the number of images: {names(more, order)}."] if more else []
    return " ".join(parts)


def _wrong(answer: Answer, order: Ordered) -> str:
    stated = order.record.spec.parsed["consequences"]
    parts = []
    if stated.get("borne_by"):
        # By class: a record read back has its keys in another order.
        bearers = dict.fromkeys(who for _, who in sorted(stated["borne_by"].items()))
        parts.append(f"Borne by: {', '.join(bearers)}.")
    # Where it will run first: what an error costs there is what it costs.
    for finding in sorted(order.of(answer.findings), key=lambda f: _is_of_test(f, order)):
        text = order.filled(order.words(finding).answer, finding)
        if text:
            parts.append(f"{text[:1].upper()}{text[1:]}.")
            break
    parts.append(f"Way to object: {(stated.get('appeal') or 'not stated').rstrip('.')}.")
    return " ".join(parts)


def _is_of_test(finding: Finding, order: Ordered) -> bool:
    return order.result(finding).subject.split in (None, "test")


def _oversight(order: Ordered) -> str:
    """Whether a person looks before an answer takes effect, as far as somebody declares it."""
    stated = [d for d in declarations_of(order.record.declarations) if d.key == OVERSIGHT]
    if not stated:
        return ""
    latest = max(stated, key=lambda d: d.date)
    day = datetime.fromisoformat(order.record.provenance.started).date()
    late = ", out of date" if latest.is_expired(as_of=day) else ""
    statement = " ".join(latest.statement.split())
    return f"{statement} ({latest.owner.name}, {latest.date}{late})"


def _not_measured(answer: Answer, order: Ordered) -> str:
    """Why nothing was measured: what the checks said themselves, else what they lacked.

    The text of an error is for the finding, not for this answer.
    """
    if answer.question is Question.REPRESENTS and order.record.dataset("train") is None:
        return "The spec names no training data."
    said = [r for f in order.of(answer.findings) if isinstance(r := order.result(f), Unmeasured)]
    if any(r.name == "check" for r in said):
        return "It could not be measured: see the finding."
    lacked = [
        n.reason
        for n in order.record.plan.not_run
        if order.telling.question(n.check) is answer.question
    ]
    return next(iter([*(r.reason for r in said), *lacked]), "No such check was run.")


def names(findings: Sequence[Finding], order: Ordered) -> str:
    """What findings are about, each named once: groups with their attribute, classes, measures."""
    found = list(dict.fromkeys(name for f in findings for name in _named(f, order)))
    shown = found[:NAMES]
    by = dict.fromkeys(attribute for attribute, _ in shown)
    parts = [
        ", ".join(said for key, said in shown if key == a) + (f" ({a})" if a else "") for a in by
    ]
    more = len(found) - len(shown)
    return ", ".join(parts) + (f" and {more} more" if more else "")


def _named(finding: Finding, order: Ordered) -> list[tuple[str, str]]:
    """Attribute and value of each group of a finding; an empty attribute with other names."""
    result, telling = order.result(finding), order.telling
    groups = telling.named_groups(result.subject)
    if groups:
        return groups
    if not isinstance(result, Measure):
        return [("", telling.topic(finding.check))]
    return [("", order.short(finding))]
