"""The four questions of page one, answered from findings, counts and declarations alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.findings import Finding, Measure, Question, Unmeasured, Verdict
from auditor.record import Answer, AttributeSummary, AuditRecord, DatasetSummary
from auditor.record.audit_record import AnswerKind
from auditor.spec import AuditSpec

REPRESENTED = 0.8
"""A group is under-represented below this part of its share of the population.

The four-fifths convention of 29 CFR 1607.4(D), borrowed from selection rates.
"""


def answer_all(record: AuditRecord, *, spec: AuditSpec) -> tuple[Answer, ...]:
    """The four answers, in order, for a record whose findings are judged."""
    about = _by_question(record)
    return (
        _decided(Question.MATCHES, about[Question.MATCHES], record),
        _represents(about[Question.REPRESENTS], record),
        _measured(about[Question.MEASURED], record),
        _wrong(about[Question.WRONG], record, spec),
    )


def _by_question(record: AuditRecord) -> Mapping[Question, list[Finding]]:
    asked = {text.id: text.question for text in record.check_texts}
    return {q: [f for f in record.findings if asked.get(f.check) is q] for q in Question}


def _of(findings: Sequence[Finding], verdict: Verdict) -> list[Finding]:
    return [f for f in findings if f.verdict is verdict]


def _decided(question: Question, findings: Sequence[Finding], record: AuditRecord) -> Answer:
    """No where something failed, else not decided, else yes where something passed.

    Not judged where all that was measured has no limit; not tested where nothing was measured.
    """
    kinds: tuple[tuple[AnswerKind, Verdict], ...] = (
        ("no", Verdict.FAIL), ("not decided", Verdict.INCONCLUSIVE), ("yes", Verdict.PASS)
    )  # fmt: skip
    for kind, verdict in kinds:
        found = _of(findings, verdict)
        if found:
            return _answer(question, kind, found)
    lacking = _of(findings, Verdict.NOT_RUN)
    measured = [f for f in findings if isinstance(record.result(f), Measure)]
    if measured and not lacking:
        return _answer(question, "not judged", measured)
    return _answer(question, "not tested", lacking or findings)


def _represents(findings: Sequence[Finding], record: AuditRecord) -> Answer:
    train = record.dataset("train")
    about = [f for f in findings if record.result(f).subject.split == "train"]
    if train is None:
        return Answer(Question.REPRESENTS, "not tested")
    found = _decided(Question.REPRESENTS, about, record)
    if found.answer not in ("not tested", "not judged") or not any(
        a.population for a in train.attributes
    ):
        return found
    lacking = any(True for _ in under_represented(train))
    return Answer(Question.REPRESENTS, "no" if lacking else "yes")


@dataclass(frozen=True)
class UnderRepresented:
    """A group with less than `REPRESENTED` of its share: the share found, and the one due."""

    attribute: str
    group: str
    found: float
    due: float


def under_represented(train: DatasetSummary) -> Iterator[UnderRepresented]:
    """Groups of the training images with too small a share of the declared population, by count."""
    for attribute in train.attributes:
        yield from _lacking(attribute)


def _lacking(attribute: AttributeSummary) -> Iterator[UnderRepresented]:
    counts = {group.name: group.n for group in attribute.groups}
    total = sum(counts.values())
    for group, share in (attribute.population or {}).items():
        found = counts.get(group, 0) / total if total else 0.0
        if found < REPRESENTED * share:
            yield UnderRepresented(attribute.name, group, found, share)


def _measured(findings: Sequence[Finding], record: AuditRecord) -> Answer:
    groups = [f for f in findings if isinstance(record.result(f), Measure)]
    if not groups:
        lacking = [f for f in findings if isinstance(record.result(f), Unmeasured)]
        return _answer(Question.MEASURED, "no", lacking)
    broken, undecided = _of(groups, Verdict.FAIL), _of(groups, Verdict.INCONCLUSIVE)
    leaning = [f for f in undecided if f.leaning == "worse"]
    if broken:
        return _answer(Question.MEASURED, "unequal", [*broken, *leaning])
    if undecided:
        rest = [f for f in undecided if f not in leaning]
        return _answer(Question.MEASURED, "not decided", leaning, undecided=rest)
    judged = _of(groups, Verdict.PASS)
    return _answer(Question.MEASURED, "equal" if judged else "not judged", groups)


def _wrong(findings: Sequence[Finding], record: AuditRecord, spec: AuditSpec) -> Answer:
    about = [f for f in findings if isinstance(record.result(f), Measure)]
    stated = spec.consequences.when_wrong
    return _answer(Question.WRONG, "stated" if stated else "not stated", about)


def _answer(
    question: Question,
    answer: AnswerKind,
    findings: Sequence[Finding],
    *,
    undecided: Sequence[Finding] = (),
) -> Answer:
    ids = (tuple(f.id for f in some) for some in (findings, undecided))
    return Answer(question, answer, *ids)
