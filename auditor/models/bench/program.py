"""The program: answers one request of the auditor, or measures a device and writes bench.json.

``REQUEST`` is what the auditor writes under it: None for the program that the auditor runs itself
(``python bench.py REQUEST.json``), else what to measure on the device and the nonce of the audit.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.models.bench.parts import bench, utc_now

REQUEST: Mapping[str, Any] | None = None

FORMAT = "auditor/bench/v1"

COLD_STARTS = 10
"""Fresh processes whose start and memory are measured."""

PHOTOS = 32
"""Photos of ``--photos`` that are decoded, at most."""


def main(arguments: Sequence[str]) -> int:
    """Answer the request in the file named, or measure this device; 0 when that was written."""
    if REQUEST is not None:
        return _measure_device(REQUEST, arguments)
    try:
        answer = bench(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    except Exception as error:  # noqa: BLE001 - the other process reads the reason as JSON
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps(answer))
    return 0


def seal(body: Mapping[str, Any], nonce: str) -> str:
    """The keyed digest (HMAC-SHA-256, RFC 2104) of a result under the audit's nonce.

    Whoever has the program has the nonce: this tells a result of this audit, whole as it was
    written, from another's and from one that was edited; not an honest device from a dishonest.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hmac.new(nonce.encode(), text.encode(), hashlib.sha256).hexdigest()


def nonce_name(nonce: str) -> str:
    """What a nonce is called where it must stay unknown."""
    return hashlib.sha256(nonce.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _measure_device(request: Mapping[str, Any], arguments: Sequence[str]) -> int:
    asked = _arguments(arguments)
    if not asked.model.is_file():
        return _refuse(f"there is no file {asked.model}. Copy the audited model to this machine.")
    digest = file_digest(asked.model)
    if digest != request["model_sha256"]:
        return _refuse(
            f"{asked.model} is another file than the audited model (its SHA-256 begins "
            f"{digest[:12]}, expected {request['model_sha256'][:12]}). Copy that one here."
        )
    try:
        if asked.cold:
            print(json.dumps(_cold(request, asked)))
            return 0
        body = _body(request, asked)
    except (RuntimeError, OSError, ImportError, ValueError) as error:
        return _refuse(f"{type(error).__name__}: {error}")
    sealed = {**body, "seal": seal(body, request["nonce"])}
    asked.out.write_text(json.dumps(sealed, allow_nan=False), encoding="utf-8")
    print(f"Written: {asked.out}. Name it in the audit spec: target: {{bench: {asked.out.name}}}")
    return 0


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the audited model on this machine.")
    parser.add_argument("model", type=Path, help="the audited model file (.onnx)")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where to write")
    parser.add_argument("--photos", type=Path, help="a folder of photos to decode (needs Pillow)")
    parser.add_argument("--minutes", type=float, default=0.0, help="go on so long, to see heat")
    parser.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _refuse(said: str) -> int:
    print(f"bench.py: {said}", file=sys.stderr)
    return 2


def _bench_request(
    request: Mapping[str, Any], asked: argparse.Namespace, **changes: Any
) -> dict[str, Any]:
    models = [{"path": str(asked.model), "format": "onnx"}]
    return {**request["bench"], "models": models, **changes}


def _cold(request: Mapping[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    return bench(_bench_request(request, asked, parts=[], arena=not asked.minutes))


def _body(request: Mapping[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    started = utc_now()
    files = sorted(p for p in asked.photos.iterdir() if p.is_file()) if asked.photos else []
    photos = [str(p) for p in files[:PHOTOS]]
    wanted = [p for p in request["bench"]["parts"] if p != "photos" or photos]
    wanted += ["sustained"] if asked.minutes else []
    print(f"Starting the model {COLD_STARTS} times ...", flush=True)
    cold = [_started_anew(asked) for _ in range(COLD_STARTS)]
    print(f"Timing it ({', '.join(wanted)}) ...", flush=True)
    timed = bench(
        _bench_request(request, asked, parts=wanted, photos=photos, sustained_s=60 * asked.minutes)
    )
    return {
        "format": FORMAT,
        "nonce_name": nonce_name(request["nonce"]),
        "model_sha256": request["model_sha256"],
        "target": request["target"],
        "started": started,
        "finished": utc_now(),
        "timed": timed,
        "cold": cold,
    }


def _started_anew(asked: argparse.Namespace) -> dict[str, Any]:
    """What a fresh process of this program says of starting the model."""
    command = [sys.executable, str(Path(sys.argv[0]).resolve()), str(asked.model), "--cold"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or "a fresh process of the model ended at once")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
