"""Checks by group: one table an attribute, a sign and a figure in each cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from auditor.findings import Finding, Measure, Subject, Verdict
from auditor.record import AuditRecord
from auditor.reports.limits_section import Mark, mark
from auditor.reports.ordering import Ordered
from auditor.reports.titles import group_keys
from auditor.reports.wording import shortened, value_text, verdict_word
from auditor.scoring.comparison import percent
from auditor.verdicts import is_by_group

COLUMNS = 6
GROUPS = 24

_COLUMN_WORDS = {
    "bias/subgroup-gap:accuracy": "right answers",
    "bias/subgroup-gap:recall": "“{class}” found",
    "bias/error-rates:false-positive-ratio": "wrongly called “{class}”",
    "bias/error-rates:false-negative-ratio": "“{class}” missed",
    "bias/error-rates:false-positive-difference": "wrongly called “{class}” (points)",
    "bias/error-rates:false-negative-difference": "“{class}” missed (points)",
    "bias/selection-rate:selection-ratio": "called “{class}”",
    "deployment/quantization:accuracy-lost": "lost in {variant}",
}


@dataclass(frozen=True)
class MatrixCell:
    """A verdict with the figure it rests on; `n` is the images counted, 0 where none were."""

    mark: Mark
    figure: str
    n: int
    number: int


@dataclass(frozen=True)
class MatrixRow:
    group: str
    images: int | None
    cells: tuple[MatrixCell | None, ...]


@dataclass(frozen=True)
class Matrix:
    """Groups of an attribute by what was measured of them, the worst groups first."""

    attribute: str
    role: str
    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    more_groups: int
    more_columns: int


def matrices(record: AuditRecord, order: Ordered) -> tuple[Matrix, ...]:
    """A matrix for each attribute of the test data of which anything was measured by group."""
    test = record.dataset("test")
    attributes = test.attributes if test else ()
    found = []
    for attribute in attributes:
        cells = dict(_cells(attribute.name, order))
        if cells:
            sizes = {group.name: group.n_sound for group in attribute.groups}
            found.append(_matrix(attribute.name, attribute.role, cells=cells, sizes=sizes))
    return tuple(found)


_Cells = Mapping[tuple[str, str], MatrixCell]


def _cells(attribute: str, order: Ordered) -> Iterator[tuple[tuple[str, str], MatrixCell]]:
    """Cells by (group, column); of two findings on one measure the worse one counts."""
    seen: set[tuple[str, str]] = set()
    for finding in order.findings:
        result = finding.measure or finding.unmeasured
        if result is None or set(group_keys(result.subject, check=finding.check)) != {attribute}:
            continue
        if finding.check.startswith("bias/") and not is_by_group(finding.check):
            continue
        column = _column(finding.check, result.name, result.subject)
        place = (str(result.subject.get(attribute)), column)
        if column and place not in seen:
            seen.add(place)
            yield place, _cell(finding, order)


def _column(check: str, name: str, subject: Subject) -> str:
    """A column's heading, empty where the subject lacks what the heading names."""
    template = _COLUMN_WORDS.get(f"{check}:{name}", name.replace("-", " "))
    fields = dict(subject.keys) | {"variant": subject.variant or ""}
    if "{class}" in template and "class" not in fields:
        return ""
    return template.format_map(fields)


def _cell(finding: Finding, order: Ordered) -> MatrixCell:
    measure = finding.measure
    word = verdict_word(finding)
    number = order.numbers[finding.id]
    if measure is None:
        word = "too few" if finding.verdict is Verdict.NOT_RUN else "not measured"
        return MatrixCell(mark(finding.verdict, word), "", 0, number)
    return MatrixCell(mark(finding.verdict, word), _figure(measure), measure.n, number)


def _figure(measure: Measure) -> str:
    """The group's own rate where there is one, else the value without its range."""
    own = measure.details.get("rate")
    if own:
        return f"{percent(float(own['value']))}%"
    return value_text(measure).partition(" [")[0]


def _matrix(attribute: str, role: str, *, cells: _Cells, sizes: Mapping[str, int]) -> Matrix:
    columns = _worst_first(_known_first(c for _, c in cells), cells, place=1)
    groups = _worst_first((g for g, _ in cells), cells, place=0)
    shown = columns[:COLUMNS]
    rows = tuple(
        MatrixRow(
            group=shortened(group, 60),
            images=sizes.get(group),
            cells=tuple(cells.get((group, column)) for column in shown),
        )
        for group in groups[:GROUPS]
    )
    return Matrix(
        attribute=attribute,
        role=role,
        columns=tuple(shown),
        rows=rows,
        more_groups=max(len(groups) - GROUPS, 0),
        more_columns=max(len(columns) - COLUMNS, 0),
    )


def _worst_first(names: Iterable[str], cells: _Cells, *, place: int) -> list[str]:
    """Names once each; those with failures first, else in the order of appearance."""
    once = list(dict.fromkeys(names))
    failed = {key[place] for key, cell in cells.items() if cell.mark.style == "fail"}
    return sorted(once, key=lambda name: name not in failed)


def _known_first(columns: Iterable[str]) -> list[str]:
    """Columns in one order for all attributes: right answers first, then by name."""
    first = _COLUMN_WORDS["bias/subgroup-gap:accuracy"]
    return sorted(columns, key=lambda column: (column != first, column))
