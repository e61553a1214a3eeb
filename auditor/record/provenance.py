"""Where a record comes from: versions, hardware, seed, times. No host names and no paths."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """What ran, on what, when.

    `started` is UTC in ISO 8601 to the second; it and `duration_s` are volatile. `packages` maps
    every installed distribution to its version, `packages_digest` is the SHA-256 of that list.
    `inputs` maps what was read (``model``, ``data.test``, ...) to its SHA-256. `previous` is the
    digest of the record that this one was judged again from, or follows.
    """

    auditor_version: str
    seed: int
    started: str
    duration_s: float
    python: str
    packages: Mapping[str, str]
    packages_digest: str
    os: str
    cpu: str
    cores: int
    memory_bytes: int | None = None
    accelerator: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    trusted_code: bool = False
    previous: str | None = None
    contained_by: tuple[str, ...] | None = None
    """By what the model's process was contained (``seccomp``, ``landlock``, ``memory``); what the
    system lacks is missing. None where the record does not say."""
    remote: Mapping[str, str] = field(default_factory=dict)
    """What was read over the network: the URL, which holds no credentials, by its key in the
    spec."""


def collect_provenance(
    *,
    seed: int,
    started: datetime,
    finished: datetime,
    inputs: Mapping[str, str] | None = None,
    trusted_code: bool = False,
    accelerator: str | None = None,
    previous: str | None = None,
    contained_by: tuple[str, ...] | None = None,
    remote: Mapping[str, str] | None = None,
) -> Provenance:
    """The provenance of this process; `started` and `finished` must carry a time zone."""
    from auditor import __version__

    packages = installed_packages()
    lines = "".join(f"{name}=={version}\n" for name, version in packages.items())
    return Provenance(
        auditor_version=__version__,
        seed=seed,
        started=started.astimezone(UTC).isoformat(timespec="seconds"),
        duration_s=round((finished - started).total_seconds(), 3),
        python=platform.python_version(),
        packages=packages,
        packages_digest=hashlib.sha256(lines.encode()).hexdigest(),
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_model(),
        cores=usable_cores(),
        memory_bytes=_memory_bytes(),
        accelerator=accelerator,
        inputs=dict(inputs or {}),
        trusted_code=trusted_code,
        previous=previous,
        contained_by=contained_by,
        remote=dict(remote or {}),
    )


def installed_packages() -> dict[str, str]:
    """Every installed distribution with its version, by normalised name, sorted."""
    return dict(_installed_in(tuple(_folders())))


def _folders() -> Iterator[tuple[str, int]]:
    """Where distributions are looked for; what is installed or removed changes a folder's time."""
    for entry in sys.path:
        try:
            yield entry, os.stat(entry or ".").st_mtime_ns
        except OSError:
            yield entry, 0


@lru_cache(maxsize=1)
def _installed_in(folders: tuple[tuple[str, int], ...]) -> Mapping[str, str]:
    stated = (each.metadata for each in metadata.distributions(path=[e for e, _ in folders]))
    found = {
        re.sub(r"[-_.]+", "-", name).lower(): each["Version"]
        for each in stated
        if (name := each["Name"])
    }
    return dict(sorted(found.items()))


def cpu_model() -> str:
    """The processor's name as the system gives it; the architecture where it gives none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    named = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return named.group(1).strip() if named else platform.machine()


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None
