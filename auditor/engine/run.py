"""A whole audit: load, sweep, measure, judge, write. The engine's front door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from auditor.clauses.coverage import AtHand, clause_table
from auditor.data.scan import PROPERTY_NAMES
from auditor.engine.driving import driven
from auditor.engine.footprint import Footprint
from auditor.engine.gather import Loaded, gather, load
from auditor.engine.gathered import Gathered
from auditor.engine.kept import Asked, kept_run, note_run
from auditor.engine.ledger import attempt_of, begin, begin_judging, end
from auditor.engine.linear_algebra import one_blas_thread
from auditor.engine.measure import CheckRun, run_checks
from auditor.engine.named_files import (
    can_be_kept,
    footprint_of_named,
    judged_until,
    marks_of_texts,
    untimed,
    with_images,
)
from auditor.engine.output import output_folder
from auditor.engine.pictures import regions_to_blur, require_own_folders, with_pictures
from auditor.engine.plan_lines import plan_lines
from auditor.engine.privacy import require_names_allowed, under_pseudonyms
from auditor.engine.ray_cluster import OnRay
from auditor.engine.recording import (
    check_texts,
    dataset_summaries,
    input_digests,
    pass_facts,
    plan_summary,
)
from auditor.engine.row_files import write_rows
from auditor.engine.runner import Progress
from auditor.engine.store import Store
from auditor.engine.used_files import note_used
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
from auditor.models.elsewhere import with_models
from auditor.record import AuditRecord
from auditor.record.clauses import ClauseTable
from auditor.record.files import write_record
from auditor.record.history import Past
from auditor.record.provenance import collect_provenance
from auditor.record.tables import write_tables
from auditor.remote.cache import forget_unmarked
from auditor.remote.places import Place, place_at
from auditor.remote.urls import is_url
from auditor.spec import AuditSpec, Document
from auditor.spec.declarations import read_declarations, require_basis, require_picture_basis
from auditor.spec.named_urls import named_urls
from auditor.spec.spec_file import SpecFile, read_spec

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
    on: OnRay | None = None,
    store: str | None = None,
    report: Show = _silent,
) -> AuditRecord:
    """Audit what `spec` says; write ``audit.json`` and ``tables/`` under `out`.

    `only` names checks to run (all when empty); limits of checks left out are then not decided.
    `policy` overrides the spec's. `store` is the folder, or the URL, of a store that several runs
    share; what it has is not computed. Where the same was asked for before, and nothing has changed
    since, that record is kept; `again` measures anew. `on` has Ray run the sweeps, with the same
    results. Raises AuditorError for whatever the user can correct.
    """
    asked = Asked.of(spec, only=only, policy=policy, trust_code=trust_code)
    with output_folder(Path(out)) as folder:
        if not again and kept_run(folder, asked) is not None:
            return read_record(folder / "audit.json")
        return audit_into(
            folder, spec=spec, only=only, policy=policy, trust_code=trust_code, on=on, store=store,
            report=report,
        )  # fmt: skip


def audit_into(
    folder: Path,
    *,
    spec: str | Path,
    only: Sequence[str] = (),
    policy: str | None = None,
    trust_code: bool = False,
    on: OnRay | None = None,
    store: str | None = None,
    report: Show = _silent,
) -> AuditRecord:
    """As `run`, anew, into a folder that the caller holds (`auditor.engine.output`)."""
    started = datetime.now(UTC)
    shared = None if store is None else place_at(store, named="--store")
    texts = marks_of_texts(Path(spec), policy=policy)
    file = read_spec(Path(spec))
    policy_file = _policy(policy, file.spec)
    require_sensible_claims(file, policy_file.policy)
    declarations = _declarations(file.spec)
    with with_models(file.spec) as own:
        footprint = footprint_of_named(own, texts=texts, out=folder)
        loaded = load(own, only=only, trust_code=trust_code)
        private = under_pseudonyms(loaded, file, declarations, out=folder, as_of=started.date())
        loaded, spec_file = private.loaded, private.file
        require_known_names(policy_file, _known_names(loaded), file)
        require_own_folders(own, folder)
        blur = regions_to_blur(own)
        past = _note_attempt(folder, loaded, policy=policy_file, started=started)
        held = Store(folder / "store", shared)
        held.remove_partial()
        with one_blas_thread(), driven(loaded, on) as runner:
            gathered = gather(loaded, store=held, report=_as_show(report), runner=runner)
        runs = run_checks(loaded.plan.checks, gathered, report=report, quoted=not private.written)
        record = _record_of(
            loaded, gathered, runs, spec=spec_file, policy=policy_file, declarations=declarations,
            past=past, started=started, remote=_remote(spec_file.spec, shared),
        )  # fmt: skip
        pictured = with_pictures(record, gathered, folder, blur=blur)
        record = pictured.record
        write_rows(record, gathered)
        gathered.let_go_of_rows()
        note_used(record, gathered)
        tables = write_tables([table for each in runs for table in each.tables], folder / "tables")
        written = (write_record(record, folder / "audit.json"), *tables, *pictured.files,
                   *private.written)  # fmt: skip
        end(folder, record)
        if can_be_kept(record, own, footprint):
            asked = Asked.of(spec, only=only, policy=policy, trust_code=trust_code)
            _note_run(folder, asked, record, with_images(footprint, gathered), written)
        return record


def _note_run(
    folder: Path, asked: Asked, record: AuditRecord, footprint: Footprint, written: Sequence[Path]
) -> None:
    """Note what the record rests on, so that the same, asked for again, is kept."""
    note_run(
        folder,
        asked,
        footprint=footprint,
        started=record.provenance.started,
        until=judged_until(record),
        untimed=untimed(record),
        written=written,
    )


def _record_of(
    loaded: Loaded,
    gathered: Gathered,
    runs: Sequence[CheckRun],
    *,
    spec: SpecFile,
    policy: PolicyFile,
    declarations: Document | None,
    past: Past,
    started: datetime,
    remote: dict[str, str],
) -> AuditRecord:
    provenance = collect_provenance(
        seed=loaded.spec.audit.seed,
        started=started,
        finished=datetime.now(UTC),
        inputs=input_digests(loaded, gathered),
        trusted_code=loaded.predictor.facts.trusted_code,
        contained_by=loaded.predictor.contained_by,
        remote=remote,
    )
    return make_record(
        spec=spec,
        policy=policy,
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


def _remote(spec: AuditSpec, shared: Place | None) -> dict[str, str]:
    """What was read over the network, and the store where it lies elsewhere."""
    elsewhere = shared is not None and is_url(shared.shown)
    return {**dict(named_urls(spec)), **({"store": shared.shown} if shared and elsewhere else {})}


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


def plan(
    spec: str | Path,
    *,
    only: Sequence[str] = (),
    trust_code: bool = False,
    on: OnRay | None = None,
) -> list[str]:
    """What `run` would do: lines for a reader. Loads model and manifests, decodes a few images."""
    forget_unmarked()
    file = read_spec(Path(spec))
    policy_file = _policy(None, file.spec)
    require_sensible_claims(file, policy_file.policy)
    _declarations(file.spec)
    with with_models(file.spec) as own:
        loaded = load(own, only=only, trust_code=trust_code)
        require_known_names(policy_file, _known_names(loaded), file)
        return plan_lines(loaded, on=on)


def clauses_before(spec: str | Path, *, trust_code: bool = False) -> ClauseTable:
    """What an audit would have for each clause, and what is missing; nothing is measured.

    Loads model and manifests, as `plan` does.
    """
    file = read_spec(Path(spec))
    declarations = _declarations(file.spec)
    with with_models(file.spec) as own:
        checks = load(own, only=(), trust_code=trust_code).plan.checks
    policy = _policy(None, file.spec).policy
    return clause_table(
        AtHand(
            measured=frozenset(),
            spec=file.spec.model_dump(mode="json"),
            policy=policy.model_dump(mode="json", by_alias=True),
            declarations=declarations,
            as_of=datetime.now(UTC).date(),
            planned=frozenset(check.id for check in checks),
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
