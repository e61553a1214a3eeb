"""What was measured of each declared group, by column: the data of the matrix and the forests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.findings import Finding, Subject, Verdict
from auditor.record import AttributeSummary, AuditRecord
from auditor.reports.ordering import Ordered
from auditor.reports.titles import group_keys
from auditor.reports.wording import shortened

COLUMN_WORDS = {
    "bias/subgroup-gap:accuracy": "right answers",
    "bias/error-rates:false-positive-ratio": "wrongly called “{class}”",
    "bias/error-rates:false-negative-ratio": "“{class}” missed",
    "bias/selection-rate:selection-ratio": "called “{class}”",
    "bias/harm:cost-ratio": "cost of errors",
    "bias/representation:share-ratio": "share in {split} data",
    "bias/label-agreement:severity": "{annotator}’s severity",
    "bias/label-errors:label-error": "wrong labels",
    "bias/calibration:overconfidence-difference": "too sure",
    "bias/amplification:widening": "gap in “{class}” widened",
    "bias/label-agreement:agreement": "annotators agree",
    "bias/calibration:auc-difference": "“{class}” ranked",
    "deployment/quantization:accuracy-lost": "lost in {variant}",
    "bias/subgroup-gap:recall": "“{class}” found",
    "bias/error-rates:false-positive-difference": "wrongly called “{class}” (points)",
    "bias/error-rates:false-negative-difference": "“{class}” missed (points)",
}
"""Columns in the order in which they stand where no limit is on them."""

_OTHERWISE = {"bias/label-agreement:severity": "severity of labels"}


@dataclass(frozen=True)
class GroupColumn:
    """A measure of groups: its key, its heading, and whether a limit is on it."""

    key: str
    heading: str
    judged: bool


@dataclass(frozen=True)
class GroupTable:
    """An attribute's findings by (group, column); groups with failures first."""

    attribute: AttributeSummary
    groups: tuple[str, ...]
    findings: Mapping[tuple[str, str], Finding]

    def failed(self, column: GroupColumn) -> bool:
        """Whether any group fails in a column."""
        found = (self.findings.get((group, column.key)) for group in self.groups)
        return any(f is not None and f.verdict is Verdict.FAIL for f in found)


@dataclass(frozen=True)
class GroupResults:
    """All attributes with the columns that they share, judged columns first."""

    columns: tuple[GroupColumn, ...]
    tables: tuple[GroupTable, ...]


def group_results(record: AuditRecord, order: Ordered) -> GroupResults:
    """What was measured of the groups of the test data's attributes.

    Judged measures are always columns; of the others those that `COLUMN_WORDS` names, of the
    test data (of the training data for shares), and of adverse classes alone.
    """
    test = record.dataset("test")
    attributes = {a.name: a for a in test.attributes} if test else {}
    adverse = set((record.spec.parsed.get("consequences") or {}).get("adverse") or ())
    columns: dict[str, GroupColumn] = {}
    found: dict[str, dict[tuple[str, str], Finding]] = {}
    for finding in order.findings:
        place = _place(finding)
        if place is None or place[0] not in attributes:
            continue
        column = _column(finding, adverse=adverse)
        if column is None:
            continue
        known = columns.get(column.key)
        if known is None or column.judged:
            columns[column.key] = column
        found.setdefault(place[0], {}).setdefault((place[1], column.key), finding)
    tables = tuple(
        GroupTable(attributes[name], tuple(_worst_first(found[name])), found[name])
        for name in attributes
        if name in found
    )
    return GroupResults(tuple(_sorted(columns.values())), tables)


def _place(finding: Finding) -> tuple[str, str] | None:
    """Attribute and group of a finding about one group, None for any other."""
    result = finding.measure or finding.unmeasured
    if result is None or finding.check == "bias/intersections":
        return None
    keys = group_keys(result.subject, check=finding.check)
    return next(iter(keys.items())) if len(keys) == 1 else None


def _column(finding: Finding, *, adverse: set[str]) -> GroupColumn | None:
    result = finding.measure or finding.unmeasured
    if result is None:
        return None
    subject, name = result.subject, f"{finding.check}:{result.name}"
    judged = finding.limit is not None and finding.measure is not None
    if not judged and not _is_shown(name, subject, adverse):
        return None
    keys = {key: said for key, said in subject.keys if key in ("class", "annotator")}
    split = subject.split if finding.check == "bias/representation" else ""
    key = "|".join([name, *(f"{k}={v}" for k, v in keys.items()), split or ""])
    fields = keys | {"split": split or "test", "variant": subject.variant or ""}
    return GroupColumn(key, _heading(name, fields), judged)


def _is_shown(name: str, subject: Subject, adverse: set[str]) -> bool:
    split = "train" if name.startswith("bias/representation") else "test"
    label = subject.get("class")
    return (
        name in COLUMN_WORDS
        and subject.split in (None, split)
        and (label is None or label in adverse)
    )


def _heading(name: str, fields: Mapping[str, str]) -> str:
    for template in filter(None, (COLUMN_WORDS.get(name), _OTHERWISE.get(name))):
        if all(f"{{{field}}}" not in template or value for field, value in fields.items()):
            try:
                return shortened(template.format_map(fields), 40)
            except KeyError:
                continue
    return shortened(name.partition(":")[2].replace("-", " "), 40)


def _sorted(columns: Iterable[GroupColumn]) -> list[GroupColumn]:
    """Judged columns first, else in the order of `COLUMN_WORDS`."""
    places = {name: place for place, name in enumerate(COLUMN_WORDS)}

    def rank(column: GroupColumn) -> tuple[bool, int, str]:
        return (not column.judged, places.get(column.key.partition("|")[0], 99), column.key)

    return sorted(columns, key=rank)


def _worst_first(found: Mapping[tuple[str, str], Finding]) -> list[str]:
    """Groups once each; those with failures first, then those leaning worse, else as they come."""
    once = dict.fromkeys(group for group, _ in found)
    failed = {g for (g, _), f in found.items() if f.verdict is Verdict.FAIL}
    leaning = {g for (g, _), f in found.items() if f.leaning == "worse"}
    return sorted(once, key=lambda g: (g not in failed, g not in leaning))
