"""Plain words for what checks measure: titles, short names, topics, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.findings import Finding, Measure, Subject, Unmeasured
from auditor.judging.questions import PROPERTY_WORDS
from auditor.reports.vocabulary import ACTIONS, ACTIONS_TOO_MUCH, OTHERWISE, TOO_MUCH, TOPICS, WORDS
from auditor.reports.wording import subject_text
from auditor.stats import value


def title(finding: Finding) -> str:
    """A finding's heading in plain words."""
    return _said(finding, "title")


def short_name(finding: Finding) -> str:
    """A finding in a few words, for a list."""
    return _said(finding, "short")


def topic(check: str) -> str:
    """What a check is about, in a few words; its id where it has no words here."""
    return TOPICS.get(check, check.partition("/")[2].replace("-", " ") or check)


def action(finding: Finding) -> str:
    """What to do before release about a failure, in a few words."""
    known = ACTIONS | (ACTIONS_TOO_MUCH if _is_too_much(finding) else {})
    text = _filled(known.get(finding.check, "\0"), finding)
    return f"mend and measure again: {short_name(finding)}" if "\0" in text else text


def _said(finding: Finding, part: str) -> str:
    result = _result(finding)
    key = f"{finding.check}:{result.name}"
    first = TOO_MUCH if _is_too_much(finding) else {}
    for words in filter(None, (first.get(key), WORDS.get(key), OTHERWISE.get(key))):
        text = _filled(getattr(words, part), finding)
        if "\0" not in text:
            return text
    plain = result.name.replace("-", " ")
    about = subject_text(result.subject)
    name = topic(finding.check) if result.name == "check" else f"{topic(finding.check)}, {plain}"
    if part == "title":
        name = name[:1].upper() + name[1:]
    return name if about == "all images" else f"{name}: {about}"


def _is_too_much(finding: Finding) -> bool:
    """Whether a share exceeds the share that is due: too many there, not too few."""
    measure = finding.measure
    return measure is not None and measure.name == "share-ratio" and value(measure.estimate) > 1


def _filled(template: str, finding: Finding) -> str:
    result = _result(finding)
    subject = result.subject
    fields = dict(subject.keys) | {
        "split": subject.split or "test",
        "variant": subject.variant or "as-given",
        "group": (group := group_text(subject, check=finding.check)) or "\0",
        "of_group": f", {group}" if group else "",
    }
    if "property" in fields:
        fields["property"] = PROPERTY_WORDS.get(fields["property"], fields["property"])
    if "part" in fields:
        fields["part"] = {"sound": "without unsound images"}.get(fields["part"], "as given")
    if "{short}" in template:
        fields["short"] = short_name(finding)
    return template.format_map(_Fields(fields))


class _Fields(dict[str, str]):
    """Fields of a template; one that a subject lacks marks the text as unfit."""

    def __missing__(self, key: str) -> str:
        return "\0"


_NOT_GROUPS = frozenset(
    {"class", "classes", "claim", "part", "coverage", "kind", "property", "artefact", "attribute",
     "by", "input", "threshold"}
)  # fmt: skip


_NOT_GROUPS_OF_BIAS = frozenset({"class", "classes", "annotator", "attribute"})


def group_keys(subject: Subject, *, check: str) -> Mapping[str, str]:
    """The attributes and groups that a check's subject is about; empty for all images."""
    # A column of the manifest may be called "kind" or "part": checks of groups have no such keys.
    others = _NOT_GROUPS_OF_BIAS if check.startswith("bias/") else _NOT_GROUPS
    if check == "deployment/quantization" and subject.get("kind") not in ("harmful", None):
        others = others - {"kind"}
    return {key: said for key, said in subject.keys if key not in others}


def group_text(subject: Subject, *, check: str) -> str:
    """The group of a subject as ``accessible (household)``; empty for all images."""
    return ", ".join(f"{said} ({key})" for key, said in group_keys(subject, check=check).items())


def _result(finding: Finding) -> Measure | Unmeasured:
    found = finding.measure or finding.unmeasured
    if found is None:
        raise ValueError(f"finding {finding.id} has neither a measure nor a reason")
    return found
