"""The record of an audit: `audit.json`, all that a judgement or a renderer sees.

Plain frozen values and their reading and writing. Equal records give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from auditor.answers import Answer, answer_all
from auditor.codec import CodecError, decode, dumps, schema_of
from auditor.errors import DataError
from auditor.findings import (
    Cell,
    Column,
    Figure,
    Finding,
    LimitResult,
    Measure,
    ModelFacts,
    Table,
    Unmeasured,
    Verdict,
)
from auditor.judge import judge
from auditor.policy import Policy, PolicyFile, limits_of
from auditor.provenance import Provenance
from auditor.spec import AuditSpec
from auditor.spec_file import SpecFile
from auditor.verdicts import not_applicable, overall

SCHEMA = "auditor/audit/v1"
TABLE_ROWS = 1000
"""Rows of a table that the record keeps; `tables/*.csv` has all."""


@dataclass(frozen=True)
class Document:
    """A file as it was read: its text, the SHA-256 of its bytes, and what was understood.

    `name` is the file's name without its folder, or the name of a built-in policy.
    """

    name: str
    text: str
    digest: str
    parsed: Mapping[str, Any]


@dataclass(frozen=True)
class GroupCount:
    """A group (or class): its images as given and in the sound part."""

    name: str
    n: int
    n_sound: int


@dataclass(frozen=True)
class AttributeSummary:
    """An attribute of a role: counts of its groups, of images without a value, population.

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
    """How many images of a role were set apart from the sound part, and why."""

    reason: str
    n: int


@dataclass(frozen=True)
class DatasetSummary:
    """A role's images: `n` as given, `n_sound` in the sound part, `n_units` None without units.

    `labels` counts the labelled images by class; `digest` is that of the manifest's rows,
    `images_digest` that of the images' bytes in order of their ids (None where not taken).
    """

    role: str
    n: int
    n_sound: int
    n_units: int | None
    has_labels: bool
    labels: tuple[GroupCount, ...]
    attributes: tuple[AttributeSummary, ...]
    set_apart: tuple[SetApart, ...]
    digest: str
    images_digest: str | None = None


@dataclass(frozen=True)
class NotPlannedCheck:
    """A check that was not run, why, and what would make it run."""

    check: str
    reason: str
    remedy: str


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


@dataclass(frozen=True)
class CheckText:
    """What a check said of itself when it ran: its documentation and parameters.

    `sections` holds the docstring's sections in order (title, text).
    """

    id: str
    summary: str
    sections: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Any]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class AuditRecord:
    """A whole audit; see the fields' own classes."""

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
    schema: str = field(default=SCHEMA)

    @property
    def title(self) -> str:
        return str(self.spec.parsed["audit"]["title"])

    @property
    def digest(self) -> str:
        """SHA-256 of the record's bytes in `audit.json`."""
        return hashlib.sha256(_bytes(to_json(self))).hexdigest()

    def dataset(self, role: str) -> DatasetSummary | None:
        return next((d for d in self.datasets if d.role == role), None)

    def measures(self) -> Iterator[tuple[str, Measure]]:
        """Every measure with the id of its check."""
        return ((r.check, measure) for r in self.results for measure in r.measures)

    def finding(self, identifier: str) -> Finding | None:
        return next((f for f in self.findings if f.id == identifier), None)


def make_record(
    *,
    spec: SpecFile,
    policy: PolicyFile,
    provenance: Provenance,
    model: ModelFacts,
    datasets: tuple[DatasetSummary, ...],
    plan: PlanSummary,
    passes: tuple[PassFacts, ...],
    results: tuple[CheckResults, ...],
    check_texts: tuple[CheckText, ...] = (),
    declarations: Document | None = None,
    warnings: tuple[str, ...] = (),
    as_of: date | None = None,
) -> AuditRecord:
    """Judge results and put the record together.

    `as_of` is the day on which waivers must hold, the day of ``provenance.started`` by default.
    `warnings` are the run's own; those on waivers are added.
    """
    measured = AuditRecord(
        provenance=provenance,
        spec=Document(spec.name, spec.text, spec.digest, spec.spec.model_dump(mode="json")),
        policy=_policy_document(policy),
        model=model,
        datasets=datasets,
        plan=plan,
        passes=passes,
        results=results,
        findings=(),
        limit_results=(),
        verdict=Verdict.NOT_RUN,
        answers=(),
        check_texts=check_texts,
        declarations=declarations,
        run_warnings=warnings,
    )
    return _judged(measured, spec=spec.spec, policy=policy.policy, as_of=as_of)


def rejudge(record: AuditRecord, *, policy: PolicyFile, as_of: date | None = None) -> AuditRecord:
    """The record judged by another policy, from its own measures; nothing is measured again.

    ``provenance.previous`` becomes the digest of `record`. `as_of` as in `make_record`.
    """
    renewed = replace(
        record,
        policy=_policy_document(policy),
        provenance=replace(record.provenance, previous=record.digest),
    )
    spec = AuditSpec.model_validate_json(json.dumps(record.spec.parsed))
    return _judged(renewed, spec=spec, policy=policy.policy, as_of=as_of)


def _policy_document(file: PolicyFile) -> Document:
    parsed = file.policy.model_dump(mode="json", by_alias=True)
    return Document(file.name, file.text, file.digest, parsed)


def _judged(
    record: AuditRecord, *, spec: AuditSpec, policy: Policy, as_of: date | None
) -> AuditRecord:
    day = as_of or datetime.fromisoformat(record.provenance.started).date()
    judgement = judge(
        record.results,
        limits=limits_of(spec, policy),
        as_of=day,
        waivers=policy.waivers,
        attributes={name: stated.role for name, stated in spec.data.attributes.items()},
        not_run=record.plan.not_run,
        required_attributes=policy.required_attributes,
        not_applicable=not_applicable(record.declarations, as_of=day),
    )
    return replace(
        record,
        findings=judgement.findings,
        limit_results=judgement.limit_results,
        verdict=judgement.verdict,
        answers=answer_all(
            judgement.findings, spec=spec, datasets=record.datasets, not_run=record.plan.not_run
        ),
        warnings=(*record.run_warnings, *judgement.warnings),
    )


def keep_table(table: Table, *, digest: str | None = None) -> KeptTable:
    """What the record keeps of a table; `digest` is that of the CSV file with all its rows."""
    rows = table.rows[:TABLE_ROWS]
    return KeptTable(table.id, table.title, table.columns, rows, len(table.rows), digest)


def to_json(record: AuditRecord) -> str:
    """The record as canonical JSON; raises CodecError where a value is NaN or no JSON value."""
    return dumps(record)


def from_json(text: str, *, name: str = "audit.json") -> AuditRecord:
    """The record that `to_json` wrote, exactly.

    Raises
    ------
    DataError
        When the text is not JSON, of another schema, or not a record.
    """
    try:
        stored = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name} is not JSON ({error}). Give the audit.json that `auditor run` wrote."
        ) from error
    found = stored.get("schema") if isinstance(stored, dict) else None
    if found != SCHEMA:
        raise DataError(
            f"{name} has the schema {found!r}; this version reads {SCHEMA!r}. Use the version of "
            "auditor that wrote it, or run the audit again."
        )
    try:
        record: AuditRecord = decode(AuditRecord, stored)
    except CodecError as error:
        raise DataError(
            f"{name} is not a record of an audit: {error}. Was it edited by hand? Run the audit "
            "again."
        ) from error
    _require_sense(record, name=name)
    return record


def _require_sense(record: AuditRecord, *, name: str) -> None:
    """Raise DataError for a spec that is none, or a verdict that its limits do not give."""
    try:
        AuditSpec.model_validate_json(json.dumps(record.spec.parsed))
        follows = overall(record.limit_results, findings=record.findings)
    except (ValidationError, KeyError) as error:
        raise DataError(
            f"{name} is not a record of an audit: its spec or its limits are not whole. Was it "
            "edited by hand? Run the audit again."
        ) from error
    if follows is not record.verdict:
        raise DataError(
            f"{name} says {record.verdict}, but its limits give {follows}. Was it edited by hand? "
            "Run the audit again, or judge an unedited record by another policy."
        )


def write_record(record: AuditRecord, path: Path) -> Path:
    """Write `path` whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(_bytes(to_json(record)))
    os.replace(part, path)
    return path


def read_record(path: str | Path) -> AuditRecord:
    """Read an `audit.json`; raises DataError as `from_json`, and when there is no such file."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise DataError(
            f"{path} does not exist. Give the audit.json in the folder that `auditor run --out` "
            "wrote."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a record: {error}.") from error
    return from_json(text, name=path.name)


def record_schema() -> dict[str, Any]:
    """The published JSON Schema of `audit.json`."""
    schema = schema_of(AuditRecord, title="Record of an audit", identifier=SCHEMA)
    schema["$defs"]["AuditRecord"]["properties"]["schema"] = {"const": SCHEMA}
    return schema


def schema_text() -> str:
    """`record_schema` as the text of ``docs/audit.schema.json``."""
    return dumps(record_schema())


def _bytes(text: str) -> bytes:
    # A lone surrogate (a file name that is not UTF-8) becomes the JSON escape of itself.
    return text.encode("utf-8", errors="backslashreplace")
