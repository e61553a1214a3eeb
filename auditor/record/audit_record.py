"""The record of an audit as plain frozen values: all that a judgement or a renderer sees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from auditor.findings import (
    Cell,
    Column,
    Figure,
    Finding,
    LimitResult,
    Measure,
    Measured,
    ModelFacts,
    Question,
    Table,
    Unmeasured,
    Verdict,
    finding_id,
)
from auditor.record.clauses import ClauseTable
from auditor.record.codec import encode, text_of
from auditor.record.history import EarlierRun, LimitChange
from auditor.record.pictures import PictureSet
from auditor.record.provenance import Provenance
from auditor.spec import Document

SCHEMA = "auditor/audit/v2"
AnswerKind = Literal[
    "yes", "no", "not decided", "not tested", "unequal", "equal", "not judged", "stated",
    "not stated",
]  # fmt: skip
TABLE_ROWS = 20
"""Rows of a table that the record keeps; `tables/*.csv` has all."""


@dataclass(frozen=True)
class GroupCount:
    """A group (or class): its images as given and in the clean subset."""

    name: str
    n: int
    n_sound: int


@dataclass(frozen=True)
class AttributeSummary:
    """An attribute of a split: counts of its groups, of images without a value, population.

    `basis` says on what declared ground it is used, and who declared it. `smallest_cell` is the
    least number of units of a group; `pooled` maps a group that stands for smaller ones, which
    cannot be told apart, to their names. Counts by label may be of still fewer groups.
    """

    name: str
    role: str
    groups: tuple[GroupCount, ...]
    missing: int = 0
    population: Mapping[str, float] | None = None
    numeric: bool = False
    special_category: bool = False
    basis: str | None = None
    smallest_cell: int | None = None
    pooled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SetApart:
    """How many rows or images of a split were left out, why, and what the cause may be."""

    reason: str
    n: int
    cause: str = ""


@dataclass(frozen=True)
class DatasetSummary:
    """A split's images: `n` as given, `n_sound` in the clean subset, `n_units` None without units.

    Of the `n_rows` that the manifest (or folder) has for the split, `left_out` are no images of
    it; `set_apart` are images that are not in the clean subset.
    `labels` counts the labelled images by class; `digest` is that of the manifest's rows,
    `images_digest` that of the images' bytes in order of their ids (None where not taken).
    """

    split: str
    n: int
    n_sound: int
    n_units: int | None
    has_labels: bool
    labels: tuple[GroupCount, ...]
    attributes: tuple[AttributeSummary, ...]
    set_apart: tuple[SetApart, ...]
    digest: str
    images_digest: str | None = None
    n_rows: int | None = None
    left_out: tuple[SetApart, ...] = ()


@dataclass(frozen=True)
class NotPlannedCheck:
    """A check that was not run, why, and what would make it run.

    `applies` is False where it has no meaning for such a model.
    """

    check: str
    reason: str
    remedy: str
    applies: bool = True


@dataclass(frozen=True)
class PlanSummary:
    """Ids of the checks that ran, the checks that did not, and the passes they asked for."""

    checks: tuple[str, ...]
    not_run: tuple[NotPlannedCheck, ...] = ()
    passes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassFacts:
    """A pass that was run: images answered, and seconds (volatile; None where not timed)."""

    name: str
    images: int
    seconds: float | None = None


@dataclass(frozen=True)
class KeptTable:
    """A table with its first rows; `total` counts all, `digest` is the SHA-256 of its CSV file."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    digest: str | None = None


@dataclass(frozen=True)
class CheckResults:
    """What one check yielded; `traceback` is set when it crashed."""

    check: str
    measures: tuple[Measure, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[KeptTable, ...] = ()
    traceback: str | None = None

    @property
    def measured(self) -> tuple[Measured, ...]:
        """Measures, then the reasons why there are none."""
        return (*self.measures, *self.unmeasured)


@dataclass(frozen=True)
class CheckText:
    """What a check said of itself when it ran: its documentation and parameters.

    `sections` holds the docstring's sections in order (title, text), `question` which of the four
    questions its findings answer, `cannot_see` what none of its results could show.
    """

    id: str
    summary: str
    sections: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Any]
    sources: tuple[str, ...]
    question: Question | None = None
    cannot_see: str = ""


@dataclass(frozen=True)
class Answer:
    """One of the four questions with a short answer; what it rests on is told from `findings`.

    `findings` are ids, those that decide the answer first; empty where it rests on counts,
    declarations or on nothing. `undecided` are ids of findings named beside them.
    """

    question: Question
    answer: AnswerKind
    findings: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class AuditRecord:
    """A whole audit; see the fields' own classes.

    `altered` says that the file this was read from, or one that it was judged from, did not fit
    its digest: somebody changed it after the audit had written it. `clauses` is None in records of
    versions that shipped none. `earlier` are runs of the same audit before this one, the oldest
    first; `limit_changes` say how the policy's limits differ from those of the last of them, and
    `weakened` what it asks less of than a policy that it extends.
    `pictures` are thumbnails beside the record, None where none were asked for.
    """

    provenance: Provenance
    spec: Document
    policy: Document
    model: ModelFacts
    datasets: tuple[DatasetSummary, ...]
    plan: PlanSummary
    passes: tuple[PassFacts, ...]
    results: tuple[CheckResults, ...]
    findings: tuple[Finding, ...]
    limit_results: tuple[LimitResult, ...]
    verdict: Verdict
    answers: tuple[Answer, ...]
    warnings: tuple[str, ...] = ()
    run_warnings: tuple[str, ...] = ()
    check_texts: tuple[CheckText, ...] = ()
    declarations: Document | None = None
    altered: bool = False
    clauses: ClauseTable | None = None
    earlier: tuple[EarlierRun, ...] = ()
    limit_changes: tuple[LimitChange, ...] = ()
    weakened: tuple[LimitChange, ...] = ()
    pictures: PictureSet | None = None

    def __repr__(self) -> str:
        """One line: of thousands of values nobody reads all."""
        n = sum(len(result.measures) for result in self.results)
        return (
            f"<AuditRecord {self.title!r}: {self.verdict}, policy {self.policy.parsed['id']!r}, "
            f"{n} measures, {len(self.findings)} findings>"
        )

    @property
    def title(self) -> str:
        return str(self.spec.parsed["audit"]["title"])

    @cached_property
    def canonical(self) -> str:
        """The record as canonical JSON, made once: four digests and a file are taken of it."""
        stored = {"schema": SCHEMA} | encode(self)
        return text_of(stored | {"digest": content_digest(stored)})

    def dataset(self, split: str) -> DatasetSummary | None:
        return next((d for d in self.datasets if d.split == split), None)

    def measures(self) -> Iterator[tuple[str, Measure]]:
        """Every measure with the id of its check."""
        return ((r.check, measure) for r in self.results for measure in r.measures)

    @cached_property
    def results_by_id(self) -> Mapping[str, Measured]:
        """Every measure, and every reason why there is none, by the id that findings name."""
        return {
            finding_id(each.check, one.name, one.subject): one
            for each in self.results
            for one in each.measured
        }

    def result(self, finding: Finding) -> Measured:
        """The measure of a finding, or the reason why there is none."""
        return self.results_by_id[finding.result]

    def measure(self, finding: Finding) -> Measure | None:
        """The measure of a finding; None where there is none."""
        found = self.result(finding)
        return found if isinstance(found, Measure) else None

    def finding(self, identifier: str) -> Finding | None:
        return next((f for f in self.findings if f.id == identifier), None)


def content_digest(stored: Mapping[str, Any]) -> str:
    """SHA-256 of an ``audit.json`` without its ``digest``, however the file is laid out.

    Of its UTF-8 text with sorted keys and no spaces.
    """
    text = json.dumps(stored, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()


def keep_table(table: Table, *, digest: str | None = None) -> KeptTable:
    """What the record keeps of a table; `digest` is that of the CSV file with all its rows."""
    rows = table.rows[:TABLE_ROWS]
    return KeptTable(table.id, table.title, table.columns, rows, len(table.rows), digest)
