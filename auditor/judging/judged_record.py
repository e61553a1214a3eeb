"""From measures to a judged record, and judging one again; reading one that makes sense."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from pydantic import ValidationError

from auditor.clauses.coverage import AtHand, clause_table
from auditor.errors import DataError
from auditor.findings import ModelFacts, Question, Verdict
from auditor.judging.judge import judge
from auditor.judging.policy import Policy, conditions_of, limits_of
from auditor.judging.policy_file import PolicyFile
from auditor.judging.questions import answer_all
from auditor.judging.verdicts import overall
from auditor.opening import require_file
from auditor.record.audit_record import (
    AttributeSummary,
    AuditRecord,
    CheckResults,
    CheckText,
    DatasetSummary,
    PassFacts,
    PlanSummary,
)
from auditor.record.clauses import ClauseTable
from auditor.record.files import parse_record, record_digest
from auditor.record.history import Past
from auditor.record.provenance import Provenance
from auditor.spec import AuditSpec, Document
from auditor.spec.declarations import basis_of, basis_text, not_applicable
from auditor.spec.spec_file import SpecFile

NO_PAST = Past()
MOST_BYTES = 500_000_000
"""Size of a record; that of a large audit has some ten megabytes."""


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
    past: Past = NO_PAST,
    as_of: date | None = None,
) -> AuditRecord:
    """Judge results and put the record together.

    `as_of` is the day on which waivers must hold, the day of ``provenance.started`` by default.
    `warnings` are the run's own; those on waivers, and on the `past` runs, are added.
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
        run_warnings=(*warnings, *past.warnings),
        earlier=past.earlier,
        limit_changes=past.limit_changes,
        weakened=policy.weakened,
    )
    return _judged(measured, spec=spec.spec, policy=policy.policy, as_of=as_of)


def spec_of(record: AuditRecord) -> AuditSpec:
    """The spec that an audit was run by."""
    return AuditSpec.model_validate_json(json.dumps(record.spec.parsed))


def policy_of(record: AuditRecord) -> PolicyFile:
    """The policy that a record was judged by."""
    stated = record.policy
    policy = Policy.model_validate_json(json.dumps(stated.parsed))
    return PolicyFile(policy, stated.name, stated.text, stated.digest, weakened=record.weakened)


def _with_declarations(record: AuditRecord, declarations: Document) -> AuditRecord:
    """The record with other declarations, and what it says of each attribute's basis."""

    def based(attribute: AttributeSummary) -> AttributeSummary:
        basis = basis_of(declarations, attribute.name)
        return replace(attribute, basis=None if basis is None else basis_text(basis))

    datasets = tuple(replace(d, attributes=tuple(map(based, d.attributes)))
                     for d in record.datasets)  # fmt: skip
    return replace(record, declarations=declarations, datasets=datasets)


def rejudge(
    record: AuditRecord,
    *,
    policy: PolicyFile,
    declarations: Document | None = None,
    past: Past = NO_PAST,
    as_of: date | None = None,
) -> AuditRecord:
    """The record judged by another policy, from its own measures; nothing is measured again.

    ``provenance.previous`` becomes the digest of `record`. `declarations` take the place of its
    own where they are given. `past` and `as_of` as in `make_record`.
    """
    renewed = replace(
        record if declarations is None else _with_declarations(record, declarations),
        policy=_policy_document(policy),
        provenance=replace(record.provenance, previous=record_digest(record)),
        run_warnings=tuple(dict.fromkeys((*record.run_warnings, *past.warnings))),
        earlier=past.earlier,
        limit_changes=past.limit_changes,
        weakened=policy.weakened,
    )
    return _judged(renewed, spec=spec_of(record), policy=policy.policy, as_of=as_of)


def _policy_document(file: PolicyFile) -> Document:
    parsed = file.policy.model_dump(mode="json", by_alias=True)
    return Document(file.name, file.text, file.digest, parsed)


def _judged(
    record: AuditRecord, *, spec: AuditSpec, policy: Policy, as_of: date | None
) -> AuditRecord:
    day = as_of or datetime.fromisoformat(record.provenance.started).date()
    judgement = judge(
        record.results,
        limits=(
            *limits_of(spec, policy),
            *conditions_of(policy, ran={result.check for result in record.results}),
        ),
        as_of=day,
        waivers=policy.waivers,
        attributes={name: stated.role for name, stated in spec.data.attributes.items()},
        not_run=record.plan.not_run,
        by_group={t.id for t in record.check_texts if t.question is Question.MEASURED},
        required_attributes=policy.required_attributes,
        not_applicable=not_applicable(record.declarations, as_of=day),
    )
    judged = replace(
        record,
        findings=judgement.findings,
        limit_results=judgement.limit_results,
        verdict=judgement.verdict,
        warnings=(*record.run_warnings, *judgement.warnings),
    )
    return replace(
        judged, answers=answer_all(judged, spec=spec), clauses=_clauses(judged, as_of=day)
    )


def _clauses(record: AuditRecord, *, as_of: date) -> ClauseTable:
    """What the audit has for each clause of the shipped table."""
    measured = frozenset(f"{check}:{measure.name}" for check, measure in record.measures())
    return clause_table(
        AtHand(
            measured=measured,
            spec=record.spec.parsed,
            policy=record.policy.parsed,
            declarations=record.declarations,
            as_of=as_of,
        )
    )


def from_json(text: str, *, name: str = "audit.json") -> AuditRecord:
    """The record that `to_json` wrote, exactly; raises DataError for any that cannot be one."""
    record = parse_record(text, name=name)
    _require_sense(record, name=name)
    return record


def record_place(path: str | Path) -> Path:
    """Where the record lies: `path` itself, or ``audit.json`` in it where it is a folder."""
    path = Path(path)
    return path / "audit.json" if path.is_dir() else path


def read_record(path: str | Path) -> AuditRecord:
    """Read an `audit.json`, or that of a folder; DataError as `from_json`, and where none is."""
    path = record_place(path)
    remedy = "Give the audit.json in the folder that `auditor run --out` wrote."
    require_file(path, what="the record", at_most=MOST_BYTES, error=DataError, remedy=remedy)
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a record: {error}.") from error
    return from_json(text, name=path.name)


def _require_sense(record: AuditRecord, *, name: str) -> None:
    """Raise DataError for a spec that is none, or a verdict that its limits do not give."""
    try:
        spec_of(record)
        follows = overall(record.limit_results, findings=record.findings)
    except (ValidationError, KeyError) as error:
        raise DataError(
            f"{name} is not a record of an audit: its spec or its limits are not whole. Was it "
            "edited by hand? Run the audit again."
        ) from error
    lacking = _named_but_not_there(record)
    if lacking:
        raise DataError(
            f"{name} is not a record of an audit: {lacking}. Was it edited by hand? Run the audit "
            "again."
        )
    if follows is not record.verdict:
        raise DataError(
            f"{name} says {record.verdict}, but its limits give {follows}. Was it edited by hand? "
            "Run the audit again, or judge an unedited record by another policy."
        )


def _named_but_not_there(record: AuditRecord) -> str:
    """The first thing that a part of the record names and that is not in it; empty for none."""
    known = {finding.id for finding in record.findings}
    for finding in record.findings:
        if finding.result not in record.results_by_id:
            return f"the finding {finding.id!r} is on a measure that is not among its results"
    for limit in record.limit_results:
        for identifier in limit.findings:
            if identifier not in known:
                named = f"names a finding {identifier!r}, which is not there"
                return f"the limit {limit.limit.get('id')!r} {named}"
    return ""
