"""The five worst findings, as page one lists them: each group and kind of error once."""

from __future__ import annotations

from auditor.findings import Finding, Verdict
from auditor.reports.ordering import Ordered
from auditor.reports.wording import shortened

FIVE = 5
_LENGTH = 48
"""Letters that a finding has in the list, so that five of them fit into its lines."""

_ASPECTS = {"part", "kind"}
"""Keys of a subject that say how something was counted, not of whom or of what it is told."""


def five_worst(order: Ordered) -> tuple[str, ...]:
    """What failed, or is open and blocking, worst first; nothing that is waived or passed.

    Of findings on the same group (or class, or artefact) and kind of error the first stands for
    all, whichever data, form of the model or measure shows it.
    """
    told: list[Finding] = []
    names: dict[str, None] = {}
    for finding in order.findings:
        if len(names) == FIVE:
            break
        if _is_urgent(finding) and not any(_is_twin(finding, one, order) for one in told):
            told.append(finding)
            names.setdefault(_name(finding, order))
    return tuple(names)


def _is_urgent(finding: Finding) -> bool:
    if finding.verdict in (None, Verdict.PASS) or finding.waived_by:
        return False
    return finding.verdict is Verdict.FAIL or finding.severity == "blocking"


def _is_twin(one: Finding, other: Finding, order: Ordered) -> bool:
    """Whether two findings say the same of the same, as the reader of a list takes them."""
    return _whom(one, order) == _whom(other, order) and _kind(one, order) == _kind(other, order)


def _whom(finding: Finding, order: Ordered) -> frozenset[tuple[str, str]]:
    return frozenset(key for key in order.result(finding).subject.keys if key[0] not in _ASPECTS)


def _kind(finding: Finding, order: Ordered) -> tuple[str, str]:
    """What goes wrong: as the words call it, else what the check is about.

    Forms of the model have several checks; what they answer is told in shares, what they cost not.
    """
    if _form(finding, order):
        measure = order.measure(finding)
        is_answered = measure is None or measure.scale in ("share", "difference")
        return "form", "answers" if is_answered else "cost"
    harm = order.filled(order.words(finding).harm, finding)
    return ("harm", harm) if harm else ("check", finding.check)


def _form(finding: Finding, order: Ordered) -> str:
    """The form of the model that a finding is about; empty for the model as given."""
    variant = order.result(finding).subject.variant
    return "" if variant in (None, "as-given") else str(variant)


def _name(finding: Finding, order: Ordered) -> str:
    """A finding in a few words, which name the form that it is of."""
    text, form = order.short(finding), _form(finding, order)
    name = shortened(text, _LENGTH)
    if form in name:
        return name
    told = f", {form} form"
    return f"{shortened(text, max(_LENGTH - len(told), _LENGTH // 2))}{told}"
