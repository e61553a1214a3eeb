"""What the emitted program wrote on a device: nonces issued, and results taken in or refused."""

from __future__ import annotations

import datetime
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import DataError, ModelError
from auditor.models.bench.program import FORMAT, file_digest, nonce_name, seal
from auditor.models.bench_program import device_program
from auditor.models.latency import BenchRequest
from auditor.models.timings import BenchResult, result_of
from auditor.opening import require_file, write_whole
from auditor.spec import AuditSpec

NONCES = "bench-nonces.json"
"""The file beside the spec that holds the nonces of the programs that were emitted for it."""

_MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class BenchFile:
    """A result of another machine that was taken in.

    `cold` are fresh processes that loaded the model and answered once.
    """

    name: str
    target: str
    started: str
    timed: BenchResult
    cold: tuple[BenchResult, ...]


def emit_program(spec: AuditSpec, request: BenchRequest, *, into: Path) -> Path:
    """Write the program that measures the audited model on the target; its nonce is kept.

    Raises
    ------
    ModelError
        If the model is no ONNX file, which is all that the program's packages can run.
    DataError
        If the spec names no target.
    """
    if spec.target is None:
        raise DataError(
            "The audit spec names no target. Say under `target` where the model will run "
            "(name, threads), then emit the program for it."
        )
    model = spec.resolve(spec.model.path)
    if model.suffix.lower() != ".onnx":
        raise ModelError(
            f"{spec.model.path} is no ONNX file, and the program runs with Python, numpy and "
            "onnxruntime alone. Export the model to ONNX, the form that will ship, and audit that."
        )
    issued = {
        "nonce": secrets.token_hex(32),
        "model_sha256": file_digest(model),
        "target": spec.target.name,
        "issued": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    known = [*_issued(spec), issued]
    bench = {k: v for k, v in json.loads(request.as_json()).items() if k != "models"}
    into.parent.mkdir(parents=True, exist_ok=True)
    write_whole(into, device_program({**issued, "bench": bench}).encode("utf-8"))
    held = spec.folder / NONCES
    write_whole(held, json.dumps({"issued": known}, indent=1).encode("utf-8"))
    return held


def _issued(spec: AuditSpec) -> list[dict[str, str]]:
    held = spec.folder / NONCES
    if not held.exists():
        return []
    try:
        issued = json.loads(held.read_text(encoding="utf-8"))["issued"]
        return [{**one, "nonce": str(one["nonce"])} for one in issued]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{held} cannot be read ({type(error).__name__}); it holds the nonces of the emitted "
            "programs. Restore it, or remove it and emit a new program with `auditor bench`."
        ) from error


def read_bench(spec: AuditSpec) -> BenchFile | None:
    """The result that ``target.bench`` names; None where it names none.

    Raises
    ------
    DataError
        Where it is no result, or one for another audit, another model or another target, or was
        changed since the program wrote it. The sentence says which.
    """
    target = spec.target
    if target is None or target.bench is None:
        return None
    body = _body(spec.resolve(target.bench), shown=target.bench)
    stated = body.pop("seal", None)
    found = [n for n in _issued(spec) if nonce_name(n["nonce"]) == body.get("nonce_name")]
    if not found:
        raise _refused(
            target.bench,
            f"was written by a program of another audit (its nonce is none of those in {NONCES})",
        )
    if not hmac.compare_digest(seal(body, found[0]["nonce"]), str(stated)):
        raise _refused(target.bench, "was changed after the program wrote it")
    if body["model_sha256"] != file_digest(spec.resolve(spec.model.path)):
        raise _refused(target.bench, f"is of another model file than {spec.model.path}")
    if body["target"] != target.name:
        raise _refused(
            target.bench, f"is of {body['target']!r}, and the spec's target is {target.name!r}"
        )
    return _bench_file(body, shown=target.bench)


def _refused(shown: str, why: str) -> DataError:
    return DataError(
        f"target.bench: {shown} {why}, so it is not taken as evidence. Run `auditor bench "
        "AUDIT.YAML --emit bench.py`, run that program on the target, and name what it writes."
    )


def _body(path: Path, *, shown: str) -> dict[str, Any]:
    require_file(
        path, what="target.bench", at_most=_MOST_BYTES, error=DataError,
        remedy="Name the bench.json that the emitted program wrote on the target.",
    )  # fmt: skip
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise _refused(shown, "is not what the program writes (no JSON)") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _refused(shown, f"is not what the program writes (no {FORMAT})")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _bench_file(body: Mapping[str, Any], *, shown: str) -> BenchFile:
    try:
        return BenchFile(
            name=shown,
            target=str(body["target"]),
            started=str(body["started"]),
            timed=result_of(body["timed"]),
            cold=tuple(result_of(each) for each in body["cold"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _refused(shown, f"lacks what the program writes ({error})") from error
