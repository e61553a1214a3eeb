"""The program that measures the audited model on another machine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from auditor.checks.device_request import device_request
from auditor.checks.target_runs import Audited
from auditor.engine.gather import load
from auditor.errors import DataError
from auditor.models.bench_file import NONCES, emit_program
from auditor.models.elsewhere import with_models
from auditor.remote.urls import name_of
from auditor.spec import AuditSpec
from auditor.spec.spec_file import read_spec


def emit(spec: str | Path, *, into: str | Path, force: bool = False) -> list[str]:
    """Write the program for the target of an audit; lines that tell what to do with it.

    Raises AuditorError for whatever the user can correct, an existing file without `force` too.
    """
    place = Path(into)
    if place.exists() and not force:
        raise DataError(f"{place} exists. Give another name, or say --force.")
    with with_models(read_spec(Path(spec)).spec) as read:
        _require_place(place, (Path(spec), read.resolve(read.model.path), read.folder / NONCES))
        without = read.model_copy(
            update={"target": read.target and read.target.model_copy(update={"bench": None})}
        )
        return _written(without, place)


def _written(without: AuditSpec, place: Path) -> list[str]:
    loaded = load(without, only=("deployment",))
    audited = Audited(without, loaded.predictor.facts, loaded.model_path)
    if without.target is None:
        raise DataError("The audit spec names no target. Say under `target` where it will run.")
    held = emit_program(without, device_request(audited, without.checks), into=place)
    model = name_of(without.model.path)
    # As YAML within braces would need it, whatever the name holds.
    name = json.dumps(without.target.name, ensure_ascii=False)
    return [
        f"Written: {place}, for {without.target.name}. Its nonce is kept in {held}.",
        f"Copy {place.name} and {model} there (Python, numpy and onnxruntime are all it needs):",
        f"  python {shlex.quote(place.name)} {shlex.quote(model)}",
        "Then name the bench.json that it writes in the audit spec, and audit again:",
        f"  target: {{name: {name}, bench: bench.json, ...}}",
    ]


def _require_place(place: Path, inputs: tuple[Path, ...]) -> None:
    """A program may replace an older one (`--force`), and nothing that the audit is made of."""
    if place.is_dir():
        raise DataError(f"--emit {place} is a folder. Give the name of a file, such as bench.py.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"--emit {place} cannot be written ({error.strerror}). Give another name."
        ) from error
    if place.resolve() in {path.resolve() for path in inputs}:
        raise DataError(f"--emit {place} is a file of the audit. Give another name.")
