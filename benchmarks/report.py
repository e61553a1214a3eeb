"""What rendering a record costs: CPU seconds and bytes of the HTML, and of the PDF.

    python benchmarks/report.py [audit.json ...]

Without a record it makes one of the digits world. The PDF is laid out in a process of its own,
whose CPU seconds, imports included, are counted.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import auditor

HERE = Path(__file__).parent
AIMS = {"html": (None, 1.5e6), "pdf": (15, 3e6)}
"""CPU seconds and bytes to stay under, for a record as large as that of the housing lab."""


def digits_record(folder: Path) -> auditor.AuditRecord:
    digits = HERE.parent / "examples" / "digits"
    if not (digits / "world" / "audit.yaml").exists():
        subprocess.run([sys.executable, digits / "build.py"], check=True, capture_output=True)
    return auditor.run(digits / "world" / "audit.yaml", out=folder)


def cpu_seconds() -> float:
    """Of this process and of those it started and saw ending."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(record: auditor.AuditRecord, folder: Path) -> None:
    figures = sum(len(result.figures) for result in record.results)
    print(f"{record.title}: {len(record.findings)} findings, {figures} figures")
    for kind, (seconds, size) in AIMS.items():
        start = cpu_seconds()
        (written,) = auditor.render(record, folder, formats=(kind,))
        spent, size_now = cpu_seconds() - start, written.stat().st_size
        aim = f"under {seconds} s and {size / 1e6:g} MB" if seconds else f"under {size / 1e6:g} MB"
        print(f"  {kind}: {spent:.1f} CPU seconds, {size_now / 1e6:.2f} MB (aim {aim})")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = [auditor.read_record(path) for path in sys.argv[1:]]
        for place, record in enumerate(records or [digits_record(folder / "audit")]):
            measure(record, folder / str(place))


if __name__ == "__main__":
    main()
