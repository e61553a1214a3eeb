"""The command line: thin over `auditor.engine.run`, with errors that say what to do."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer

from auditor import __version__
from auditor.cli_compare import compare
from auditor.cli_explain import checks, explain
from auditor.cli_options import (
    Only,
    Out,
    PolicyName,
    Quiet,
    RecordPath,
    SharedStore,
    SpecPath,
    TrustCode,
)
from auditor.cli_ray import On, Patience, Workers, given, on_ray
from auditor.errors import AuditorError, SpecError
from auditor.evidence_commands import COMMANDS
from auditor.opening import FULL, shown_line
from auditor.spec.bounds import path_problem
from auditor.stopping import Done, stop_as_by_hand
from auditor.store_command import store as shared_store

if TYPE_CHECKING:
    from auditor.engine.kept import Asked, LastRun
    from auditor.record import AuditRecord

USAGE_ERROR = 2
NOT_DECIDED = 3
INTERNAL_ERROR = 4
INTERRUPTED = 130
EXIT_CODES = {
    "PASS": 0,
    "PASS_WITH_WAIVERS": 0,
    "FAIL": 1,
    "INCONCLUSIVE": NOT_DECIDED,
    "NOT_RUN": NOT_DECIDED,
}

_WITH_PATHS = ("--out", "--images", "--train", "--deployment", "--emit", "--store", "--policy",
               "--declarations", "--key", "--pub")  # fmt: skip

app = typer.Typer(
    name="auditor",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Decide whether a vision model may go live, and prove why.\n\n"
    "Exit codes: 0 meets the policy, 1 does not, 2 usage or input error, 3 not decided, "
    "4 internal error, 130 stopped.\n\n"
    "Begin with:  auditor init model.onnx photos/  then  auditor run audit.yaml",
)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"auditor {__version__}")
        raise typer.Exit


@app.callback()
def auditor(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Say the version."),
    ] = False,
) -> None: ...


@app.command()
def init(
    model: Annotated[Path, typer.Argument(help="The model file.")],
    data: Annotated[Path, typer.Argument(help="A manifest (CSV, Parquet) or an image folder.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write.")] = Path("audit.yaml"),
    images: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
        given("--images", "Image folder of a manifest, when not beside it.", metavar="DIR"),
    ] = None,
    image: Annotated[Optional[str], given("--image", "Column of images.")] = None,  # noqa: UP045
    label: Annotated[Optional[str], given("--label", "Column of labels.")] = None,  # noqa: UP045
    unit: Annotated[Optional[str], given("--unit", "Column of units.")] = None,  # noqa: UP045
    train: Annotated[
        Optional[Path],  # noqa: UP045
        given("--train", "Training data: a manifest or a folder.", metavar="PATH"),
    ] = None,
    deployment: Annotated[
        Optional[Path],  # noqa: UP045
        given("--deployment", "Data from where it will run.", metavar="PATH"),
    ] = None,
    output_name: Annotated[
        Optional[str],  # noqa: UP045
        given("--output-name", "Which output holds the class scores.", metavar="NAME"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Look at a model and its data and write a working audit.yaml.

    Example:  auditor init model.onnx photos/ --out audit.yaml
    """
    from auditor.data.column_guesses import GivenColumns
    from auditor.init import write_spec

    for line in write_spec(
        model,
        data,
        out=out,
        images=images,
        columns=GivenColumns(image, label, unit),
        train=train,
        deployment=deployment,
        output_name=output_name,
        force=force,
    ):
        typer.echo(line)


@app.command()
def plan(
    spec: SpecPath,
    only: Only = None,
    trust_code: TrustCode = False,
    on: On = None,
    workers: Workers = None,
) -> None:
    """Print what will run, what will not and why, and how long it may take.

    Example:  auditor plan audit.yaml
    """
    from auditor.engine import run as engine

    ray = on_ray(on, workers=workers)
    for line in engine.plan(spec, only=only or (), trust_code=trust_code, on=ray):
        typer.echo(shown_line(line))


@app.command()
def run(
    spec: SpecPath,
    out: Out = Path("audit-out"),
    only: Only = None,
    policy: PolicyName = None,
    trust_code: TrustCode = False,
    again: Annotated[
        bool, typer.Option("--again", help="Measure anew, also where nothing has changed.")
    ] = False,
    on: On = None,
    workers: Workers = None,
    patience: Patience = 600.0,
    store: SharedStore = None,
    quiet: Quiet = False,
) -> None:
    """Run the audit: measure, judge, write the record, render the report.

    Killed and started again, it computes only what is missing. Where nothing that it read has
    changed since the last run, that one's record is kept.

    Example:  auditor run audit.yaml --out audit-out
    """
    from auditor.engine.kept import Asked, kept_run
    from auditor.engine.output import output_folder
    from auditor.progress import progress

    done, where = Done(), on_ray(on, workers=workers, patience=patience)
    asked = Asked.of(spec, only=only or (), policy=policy, trust_code=trust_code)
    try:
        with output_folder(out) as folder:
            kept = None if again else kept_run(folder, asked)
            if kept is not None:
                _finish_kept(kept, folder)
            from auditor.engine import run as engine

            with progress(quiet=quiet) as show:
                record = engine.audit_into(
                    folder,
                    spec=spec,
                    only=only or (),
                    policy=policy,
                    trust_code=trust_code,
                    on=where,
                    store=store,
                    report=done.beside(show),
                )
            _render_and_finish(record, folder, asked=asked)
    except KeyboardInterrupt:
        typer.echo(f"auditor: stopped. {done.kept(out)}", err=True)
        raise typer.Exit(INTERRUPTED) from None


@app.command()
def judge(
    record: RecordPath,
    policy: PolicyName = None,
    declarations: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option("--declarations", metavar="FILE", help="Declarations in place of its own."),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option("--out", metavar="DIR", help="Write record and report there."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Let --out be the folder of the record itself.")
    ] = False,
) -> None:
    """Judge a record again, by another policy or with other declarations, without model or data.

    Example:  auditor judge audit-out --policy strict --out judged-strict
    """
    from auditor.engine import run as engine

    judged = engine.judge_again(
        record, policy=policy, declarations=declarations, out=out, force=force
    )
    _render_and_finish(judged, out, beside=record if record.is_dir() else record.parent)


@app.command()
def report(
    record: RecordPath,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option("--out", metavar="DIR", help="Default: the record's own folder."),
    ] = None,
) -> None:
    """Render report, model card and tables again from a record alone.

    Example:  auditor report audit-out/audit.json
    """
    from auditor.engine.output import output_folder
    from auditor.judging.judged_record import read_record, record_place
    from auditor.rendering import render

    found, place = read_record(record), record_place(record).parent
    with output_folder(out or place) as folder:
        for path in render(found, folder, beside=place):
            typer.echo(path)


@app.command()
def bench(
    spec: SpecPath,
    emit: Annotated[
        Path, typer.Option("--emit", metavar="FILE", help="Where to write the program.")
    ] = Path("bench.py"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write one file that measures the audited model on the target, where the audit cannot run.

    It needs Python, numpy and onnxruntime there; `target.bench` takes what it writes.

    Example:  auditor bench audit.yaml --emit bench.py
    """
    from auditor.engine.bench import emit as emitted

    for line in emitted(spec, into=emit, force=force):
        typer.echo(line)


for command in (compare, explain, checks, shared_store, *COMMANDS):
    app.command()(command)


def _finish_kept(kept: LastRun, folder: Path) -> NoReturn:
    """Say again what the last run said, of its record as it is."""
    typer.echo(kept.notice)
    if kept.reported is None:
        from auditor.judging.judged_record import read_record

        _render_and_finish(read_record(folder / "audit.json"), folder, asked=kept.asked)
    for line in kept.reported.lines:
        typer.echo(line)
    raise typer.Exit(kept.reported.status)


def _render_and_finish(
    record: AuditRecord,
    out: Path | None,
    *,
    asked: Asked | None = None,
    beside: Path | None = None,
) -> NoReturn:
    """Render, say the verdict, and note both where the record is that of a run (`asked`)."""
    from auditor.reports.summary import summary_lines

    rendered: tuple[Path, ...] = ()
    problem = ""
    if out is not None:
        from auditor.errors import MissingLibraryError, RenderingError
        from auditor.rendering import render

        try:
            rendered = render(record, out, beside=beside)
        except (MissingLibraryError, RenderingError) as error:
            # The HTML is written before the PDF is tried: the verdict is not lost.
            problem = str(error)
    shown = [path for path in rendered if path.suffix in (".html", ".pdf")]
    lines = [*summary_lines(record), *(f"Report: {path}" for path in shown)]
    for line in lines:
        typer.echo(line)
    # What was changed by hand may fail, but never passes.
    code = EXIT_CODES[str(record.verdict)]
    code = NOT_DECIDED if record.altered and code == 0 else code
    if problem:
        typer.echo(f"auditor: {problem}", err=True)
    elif asked is not None and out is not None:
        from auditor.engine.kept import note_report

        note_report(out, asked, rendered=rendered, lines=lines, status=code)
    raise typer.Exit(code)


def main() -> None:
    """Run the command line; what a user can correct is printed without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal of Latin-1 has no sign for some of what a report says.
            stream.reconfigure(errors="replace")
    stop_as_by_hand()
    try:
        _require_paths(sys.argv)
        app()
    except AuditorError as error:
        typer.echo(f"auditor: {error}", err=True)
        sys.exit(USAGE_ERROR)
    except OSError as error:
        if error.errno not in FULL:
            _say_internal_error()
        # What is left to say cannot be said either, and would be tried at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        typer.echo(
            f"auditor: the output cannot be written ({error.strerror}). Make room for it.", err=True
        )
        sys.exit(USAGE_ERROR)
    except Exception:  # noqa: BLE001 - the outermost frame: say that the fault is ours
        _say_internal_error()


def _require_paths(arguments: Sequence[str]) -> None:
    """Raise SpecError for what can be no path; an empty one would be the folder that one is in."""
    for before, argument in pairwise(arguments):
        is_path = before in _WITH_PATHS or not before.startswith("-")
        problem = path_problem(argument) if argument or is_path else ""
        if problem:
            raise SpecError(f"{problem}.")


def _say_internal_error() -> NoReturn:
    traceback.print_exc()
    typer.echo(
        "auditor: internal error; the traceback above is for its maintainers. What was "
        "computed is kept: the same command goes on from there.",
        err=True,
    )
    sys.exit(INTERNAL_ERROR)


if __name__ == "__main__":
    main()
