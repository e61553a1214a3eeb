"""What was measured of each declared group, by column: the data of the matrix and the forests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.contract.quantity_words import called
from auditor.findings import Finding, Measure, Question, Verdict
from auditor.record import AttributeSummary
from auditor.reports.ordering import Ordered
from auditor.reports.wording import shortened


@dataclass(frozen=True)
class GroupColumn:
    """A measure of groups: its key, its heading, and whether a limit is on it.

    `served` says that it is about how the model serves them, `rank` how grave it is (0 first).
    """

    key: str
    heading: str
    judged: bool
    served: bool
    rank: int


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

    @property
    def is_worse_somewhere(self) -> bool:
        """Whether any group fails, or leans worse, in any column."""
        return any(
            f.verdict is Verdict.FAIL or f.leaning == "worse" for f in self.findings.values()
        )


@dataclass(frozen=True)
class GroupResults:
    """All attributes with the columns that they share, judged columns first."""

    columns: tuple[GroupColumn, ...]
    tables: tuple[GroupTable, ...]


def group_results(order: Ordered) -> GroupResults:
    """What was measured of the groups of the test data's attributes.

    Judged measures are always columns; of the others those whose words name a column, of the
    test data (of the training data where a check asks whom they represent), and of adverse
    classes alone.
    """
    record = order.record
    test = record.dataset("test")
    attributes = {a.name: a for a in test.attributes} if test else {}
    adverse = set((record.spec.parsed.get("consequences") or {}).get("adverse") or ())
    columns: dict[str, GroupColumn] = {}
    found: dict[str, dict[tuple[str, str], Finding]] = {}
    for finding in order.findings:
        place = _place(finding, order)
        column = None if place is None else _column(finding, order, adverse=adverse)
        if place is None or column is None or place[0] not in attributes:
            continue
        known = columns.get(column.key)
        if known is None or (column.judged and not known.judged):
            columns[column.key] = column
        found.setdefault(place[0], {}).setdefault((place[1], column.key), finding)
    tables = tuple(
        GroupTable(attributes[name], tuple(_worst_first(found[name])), found[name])
        for name in attributes
        if name in found
    )
    shown = sorted(columns.values(), key=lambda c: (not c.judged, c.rank, not c.served))
    return GroupResults(tuple(shown), tables)


def _place(finding: Finding, order: Ordered) -> tuple[str, str] | None:
    """Attribute and group of a finding about one group, None for any other."""
    keys = order.telling.group_keys(order.result(finding).subject)
    return next(iter(keys.items())) if len(keys) == 1 else None


def _column(finding: Finding, order: Ordered, *, adverse: set[str]) -> GroupColumn | None:
    result, words = order.result(finding), order.words(finding)
    subject = result.subject
    judged = finding.limit is not None and isinstance(result, Measure)
    of_training = order.answers(finding, Question.REPRESENTS)
    usual = (None, "train" if of_training else "test")
    label = subject.get("class")
    if not judged and not (
        words.column and subject.split in usual and (label is None or label in adverse)
    ):
        return None
    others = {k: v for k, v in subject.keys if k not in order.telling.attributes}
    keys = (f"{k}={v}" for k, v in others.items())
    key = "|".join([f"{finding.check}:{result.name}", *keys, subject.split or ""])
    text = order.filled(words.column, finding) or called(result.name)
    where = "" if subject.split in (*usual, "train") else f", {subject.split}"
    return GroupColumn(
        key, shortened(f"{text}{where}", 40), judged,
        order.answers(finding, Question.MEASURED), words.harm_rank,
    )  # fmt: skip


def _worst_first(found: Mapping[tuple[str, str], Finding]) -> list[str]:
    """Groups once each; those with failures first, then those leaning worse, else as they come."""
    once = dict.fromkeys(group for group, _ in found)
    failed = {g for (g, _), f in found.items() if f.verdict is Verdict.FAIL}
    leaning = {g for (g, _), f in found.items() if f.leaning == "worse"}
    return sorted(once, key=lambda g: (g not in failed, g not in leaning))
