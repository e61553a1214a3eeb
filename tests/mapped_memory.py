"""How much of mapped files is in this process's memory, as Linux tells it."""

from __future__ import annotations

from pathlib import Path


def mapped_kb() -> int:
    """Kilobytes; files on a disk of memory (tmpfs) are counted apart, and here as well."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return sum(int(status.split(n)[1].split()[0]) for n in ("RssFile:", "RssShmem:"))
