"""What the last digits of an answer depend on beside model and image."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path


def digest_of(*parts: object) -> str:
    """SHA-256 of JSON values, in their order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def cpu_features() -> str:
    """The processor's kind and instruction sets: kernels are chosen by them, and round apart."""
    return f"{platform.machine()} {' '.join(_instruction_sets())}".strip()


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
