"""A whole audit: load, sweep, measure, judge, write. The engine's front door."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from auditor.clauses.coverage import AtHand, clause_table
from auditor.contract import Pass
from auditor.data.dataset import Dataset
from auditor.data.scan import PROPERTY_NAMES
from auditor.data.views import AS_SHOT
from auditor.engine.gather import CostEstimate, Loaded, cost_of, gather, load, pass_size
from auditor.engine.kept import Asked, kept_run, note_run
from auditor.engine.ledger import attempt_of, begin, begin_judging, end
from auditor.engine.measure import run_checks
from auditor.engine.named_files import (
    can_be_kept,
    footprint_of_named,
    judged_until,
    marks_of_texts,
    untimed,
    with_images,
)
from auditor.engine.output import output_folder
from auditor.engine.pictures import regions_to_blur, with_pictures
from auditor.engine.privacy import require_names_allowed, under_pseudonyms
from auditor.engine.recording import (
    check_texts,
    dataset_summaries,
    input_digests,
    pass_facts,
    plan_summary,
)
from auditor.engine.row_files import write_rows
from auditor.engine.store import Store
from auditor.engine.sweep import Progress
from auditor.errors import DataError
from auditor.judging.judged_record import (
    make_record,
    policy_of,
    read_record,
    record_place,
    rejudge,
    spec_of,
)
from auditor.judging.known_names import KnownNames, require_known_names
from auditor.judging.policy_file import PolicyFile, load_policy, require_sensible_claims
from auditor.record import AuditRecord
from auditor.record.clauses import ClauseTable
from auditor.record.files import write_record
from auditor.record.history import Past
from auditor.record.provenance import collect_provenance
from auditor.record.reasons import set_apart_text
from auditor.record.tables import write_tables
from auditor.spec import AuditSpec, Document, ModelSpec
from auditor.spec.declarations import read_declarations, require_basis, require_picture_basis
from auditor.spec.spec_file import read_spec

Show = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""


def run(
    spec: str | Path,
    *,
    out: str | Path,
    only: Sequence[str] = (),
    policy: str | None = None,
    trust_code: bool = False,
    again: bool = False,
    report: Show = _silent,
) -> AuditRecord:
    """Audit what `spec` says; write ``audit.json`` and ``tables/`` under `out`.

    `only` names checks to run (all when empty); limits of checks left out are then not decided.
    `policy` overrides the spec's. Where the same was asked for before, and nothing has changed
    since, that record is kept; `again` measures anew. Raises AuditorError for whatever the user can
    correct.
    """
    asked = Asked.of(spec, only=only, policy=policy, trust_code=trust_code)
    with output_folder(Path(out)) as folder:
        if not again and kept_run(folder, asked) is not None:
            return read_record(folder / "audit.json")
        return audit_into(
            folder, spec=spec, only=only, policy=policy, trust_code=trust_code, report=report
        )


def audit_into(
    folder: Path,
    *,
    spec: str | Path,
    only: Sequence[str] = (),
    policy: str | None = None,
    trust_code: bool = False,
    report: Show = _silent,
) -> AuditRecord:
    """As `run`, anew, into a folder that the caller holds (`auditor.engine.output`)."""
    started = datetime.now(UTC)
    texts = marks_of_texts(Path(spec), policy=policy)
    file = read_spec(Path(spec))
    policy_file = _policy(policy, file.spec)
    require_sensible_claims(file, policy_file.policy)
    declarations = _declarations(file.spec)
    footprint = footprint_of_named(file.spec, texts=texts, out=folder)
    loaded = load(file.spec, only=only, trust_code=trust_code)
    private = under_pseudonyms(loaded, file, declarations, out=folder, as_of=started.date())
    loaded, spec_file = private.loaded, private.file
    require_known_names(policy_file, _known_names(loaded), file)
    blur = regions_to_blur(file.spec)
    past = _note_attempt(folder, loaded, policy=policy_file, started=started)
    store = Store(folder / "store")
    store.remove_partial()
    gathered = gather(loaded, store=store, report=_as_show(report))
    runs = run_checks(loaded.plan.checks, gathered, report=report)
    provenance = collect_provenance(
        seed=file.spec.audit.seed,
        started=started,
        finished=datetime.now(UTC),
        inputs=input_digests(loaded, gathered),
        trusted_code=loaded.predictor.facts.trusted_code,
        contained_by=loaded.predictor.contained_by,
    )
    record = make_record(
        spec=spec_file,
        policy=policy_file,
        provenance=provenance,
        model=loaded.predictor.facts,
        datasets=dataset_summaries(gathered, declarations),
        plan=plan_summary(loaded),
        passes=pass_facts(loaded),
        results=tuple(each.results for each in runs),
        check_texts=check_texts(loaded.plan.checks),
        declarations=declarations,
        past=past,
    )
    pictured = with_pictures(record, gathered, folder, blur=blur)
    record = pictured.record
    write_rows(record, gathered)
    tables = write_tables([table for each in runs for table in each.tables], folder / "tables")
    written = (write_record(record, folder / "audit.json"), *tables, *pictured.files)
    end(folder, record)
    if can_be_kept(record, file.spec, footprint):
        note_run(
            folder,
            Asked.of(spec, only=only, policy=policy, trust_code=trust_code),
            footprint=with_images(footprint, gathered),
            started=record.provenance.started,
            until=judged_until(record),
            untimed=untimed(record),
            written=written,
        )
    return record


def _note_attempt(folder: Path, loaded: Loaded, *, policy: PolicyFile, started: datetime) -> Past:
    """Note policy, model and data in the ledger before anything is measured."""
    attempt = attempt_of(
        kind="run",
        started=started.isoformat(timespec="seconds"),
        spec=loaded.spec,
        policy=policy,
        model_digest=loaded.predictor.facts.digest,
        data_digest=loaded.available.datasets["test"].digest,
    )
    return begin(folder, attempt)


def judge_again(
    record: str | Path,
    *,
    policy: str | None = None,
    declarations: str | Path | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> AuditRecord:
    """Judge the record in an ``audit.json``, or in a folder that has one, without model or data.

    By another policy, with other declarations, or both; what is left out stays as it was. With
    `out`, the new record is written there as ``audit.json``; `force` lets it take the place of the
    record that it was judged from. Raises AuditorError for what cannot be read, or does not fit.
    """
    place = record_place(record)
    if out is not None and not force and Path(out).resolve() == place.parent.resolve():
        raise DataError(
            f"--out {out} holds the record that is judged, which would be lost. Give another "
            "--out, or say --force."
        )
    found = read_record(place)
    policy_file = policy_of(found) if policy is None else load_policy(policy)
    spec = spec_of(found)
    require_known_names(policy_file, KnownNames.of_record(found, spec), None)
    stated = None
    if declarations is not None:
        stated = read_declarations(Path(declarations))
        today = datetime.now(UTC).date()
        require_basis(spec, stated, as_of=today)
        require_picture_basis(spec, stated, as_of=today)
        require_names_allowed(found, stated, as_of=today)
    if out is None:
        return rejudge(found, policy=policy_file, declarations=stated)
    with output_folder(Path(out)) as folder:
        past = begin_judging(folder, found, spec=spec, policy=policy_file)
        judged = rejudge(found, policy=policy_file, declarations=stated, past=past)
        write_record(judged, folder / "audit.json")
        end(folder, judged)
    return judged


def _declarations(spec: AuditSpec) -> Document | None:
    """The declarations, with a basis for sensitive attributes and pictures (SpecError without)."""
    declared, today = spec.declarations, datetime.now(UTC).date()
    found = None if declared is None else read_declarations(spec.resolve(declared))
    require_basis(spec, found, as_of=today)
    require_picture_basis(spec, found, as_of=today)
    return found


def _policy(given: str | None, spec: AuditSpec) -> PolicyFile:
    """The policy named on the command line (relative to here), else the spec's own."""
    return load_policy(spec.policy, folder=spec.folder) if given is None else load_policy(given)


def plan(spec: str | Path, *, only: Sequence[str] = (), trust_code: bool = False) -> list[str]:
    """What `run` would do: lines for a reader. Loads model and manifests, decodes a few images."""
    file = read_spec(Path(spec))
    policy_file = _policy(None, file.spec)
    require_sensible_claims(file, policy_file.policy)
    _declarations(file.spec)
    loaded = load(file.spec, only=only, trust_code=trust_code)
    require_known_names(policy_file, _known_names(loaded), file)
    notes = [f"Model: {note}" for note in loaded.predictor.facts.notes]
    lines = [
        *_head_lines(loaded.spec.model),
        *_row_lines(loaded),
        *_check_lines(loaded),
        "",
        *_pass_lines(loaded, cost_of(loaded)),
    ]
    return [*notes, *lines]


def clauses_before(spec: str | Path, *, trust_code: bool = False) -> ClauseTable:
    """What an audit would have for each clause, and what is missing; nothing is measured.

    Loads model and manifests, as `plan` does.
    """
    file = read_spec(Path(spec))
    declarations = _declarations(file.spec)
    loaded = load(file.spec, only=(), trust_code=trust_code)
    policy = _policy(None, file.spec).policy
    return clause_table(
        AtHand(
            measured=frozenset(),
            spec=file.spec.model_dump(mode="json"),
            policy=policy.model_dump(mode="json", by_alias=True),
            declarations=declarations,
            as_of=datetime.now(UTC).date(),
            planned=frozenset(check.id for check in loaded.plan.checks),
        )
    )


def _as_show(report: Show) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        report(progress.stage, progress.done, progress.total)

    return show


def _known_names(loaded: Loaded) -> KnownNames:
    groups: dict[str, set[str]] = {}
    seen: dict[str, set[str]] = {}
    for dataset in loaded.available.datasets.values():
        for attribute in dataset.attributes:
            groups.setdefault(attribute.name, set()).update(attribute.groups)
            seen.setdefault(attribute.name, set()).update(dataset.groups(attribute.name))
    classes = loaded.available.datasets["test"].classes
    return KnownNames(loaded.spec, classes, groups, seen, others=PROPERTY_NAMES)


def _head_lines(model: ModelSpec) -> list[str]:
    """How a detector's or segmenter's outputs are read, defaults included."""
    if model.head is None:
        return []
    stated = model.head.model_dump(mode="json")
    told = ", ".join(f"{key}: {json.dumps(v)}" for key, v in stated.items() if v not in ({}, ""))
    lines = [f"Output ({model.task}): {told}"]
    if model.gives_boxes:
        point = model.point
        lines.append(
            f"Operating point: boxes count from a score of {point.confidence:g}, and are right "
            f"from an overlap (IoU) of {point.overlap:g}"
        )
    return lines


def _row_lines(loaded: Loaded) -> Iterator[str]:
    """The rows of each split, and those that are left out by reason, as far as reading tells."""
    for split, report in loaded.manifest_reports.items():
        images = len(loaded.available.datasets[split])
        yield f"{split}: {report.n_rows:,} rows, {images:,} images"
        for one in report.counts.left_out:
            cause = f" ({one.cause})" if one.cause else ""
            yield f"  left out: {one.n:,} {set_apart_text(one.reason)}{cause}"
    yield ""


def _check_lines(loaded: Loaded) -> list[str]:
    plan = loaded.plan
    lines = [f"Will run ({len(plan.checks)}):"]
    lines += [f"  {check.id}" for check in plan.checks]
    lines += ["", f"Will not run ({len(plan.not_run)}):"]
    for left_out in plan.not_run:
        lines += [f"  {left_out.check}: {left_out.reason}", f"      {left_out.remedy}"]
    return lines


_FEW_VIEWS = 8
"""Views of one sample that are told one by one; of more their number."""


def _told_passes(passes: Sequence[Pass], datasets: Mapping[str, Dataset]) -> Iterator[str]:
    """A line for each pass; one for many views of the same sample."""
    alike: dict[Pass, list[Pass]] = {}
    for one in passes:
        alike.setdefault(replace(one, view=AS_SHOT), []).append(one)
    for group in alike.values():
        if len(group) <= _FEW_VIEWS:
            yield from (f"{one}: {pass_size(one, datasets)} images" for one in group)
        else:
            images = sum(pass_size(one, datasets) for one in group)
            yield f"{group[0]} and {len(group) - 1} other views: {images:,} images in all"


def _pass_lines(loaded: Loaded, cost: CostEstimate) -> list[str]:
    datasets = loaded.available.datasets
    lines = [f"Passes ({len(loaded.plan.passes)}):"]
    lines += [f"  {line}" for line in _told_passes(loaded.plan.passes, datasets)]
    minutes = cost.seconds / 60
    about = f"{minutes:.1f} minutes" if minutes >= 1.5 else f"{max(cost.seconds, 1):.0f} seconds"
    lines += [
        "",
        f"{cost.decodes} images to decode, {cost.inferences} to put through the model: about "
        f"{about} of sweeping on this machine, without what an earlier run has kept; the checks "
        "on the target hardware come on top.",
    ]
    return lines
