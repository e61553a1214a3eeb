"""What the last digits of an answer depend on beside model and image."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

from auditor.spec import ModelSpec


def digest_of(*parts: object) -> str:
    """SHA-256 of JSON values, in their order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def cpu_features() -> str:
    """The processor's kind and instruction sets: kernels are chosen by them, and round apart."""
    return f"{platform.machine()} {' '.join(_instruction_sets())}".strip()


def integer_kernels() -> str:
    """The processor's kind and what of its instructions INT8 kernels are chosen by, for readers."""
    has = set(_instruction_sets())
    wide: list[str] = [
        name for name in ("avx2", "avx512f", "neon", "asimd", "asimddp", "i8mm") if name in has
    ]
    vnni: list[str] = sorted(
        name for name in ("avx_vnni", "avx512_vnni", "amx_int8") if name in has
    )
    machine = platform.machine()
    parts: list[str] = [*wide, *vnni]
    if machine.lower() in ("x86_64", "amd64") and not vnni:
        parts.append("no VNNI")
    return f"{machine} ({', '.join(parts)})" if parts else machine


def machine_facts(format: str) -> dict[str, str]:
    """What the answers of a form rest on beside its file: the runtime, and the processor."""
    library = "onnxruntime" if format == "onnx" else "torch"
    return {"runtime": f"{library} {version(library)}", "kernels": integer_kernels()}


def _instruction_sets() -> list[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return [platform.processor()]
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return sorted(set(value.split()))
    return []


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(model: ModelSpec, folder: Path) -> str:
    """What names network and weights beside the file's bytes.

    The architecture's name, its file's digest where it lies in `folder`, and which of the
    weights in the file are meant.
    """
    name = model.architecture or ""
    file = folder / Path(*name.partition(":")[0].split(".")).with_suffix(".py")
    found = ":" in name and file.is_file()
    return f"{name} {file_digest(file) if found else ''} {model.weights or ''}".rstrip()
