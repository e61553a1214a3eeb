"""Time of rendering a record with 40 findings: HTML, and HTML with PDF; CPU seconds.

    python benchmarks/report.py [audit.json]

Without a record it makes one: the digits world, whose judged findings are cut to 40.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import auditor
from auditor.judging.verdicts import worst

HERE = Path(__file__).parent
FINDINGS = 40


def digits_record(folder: Path) -> auditor.AuditRecord:
    digits = HERE.parent / "examples" / "digits"
    if not (digits / "world" / "audit.yaml").exists():
        subprocess.run([sys.executable, digits / "build.py"], check=True, capture_output=True)
    return auditor.run(digits / "world" / "audit.yaml", out=folder)


def cut(record: auditor.AuditRecord) -> auditor.AuditRecord:
    """The record with the findings to read first, and no others."""
    return dataclasses.replace(record, findings=worst(record, k=FINDINGS))


def cpu(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = sys.argv[1:]
        record = auditor.read_record(given[0]) if given else digits_record(folder)
        record = cut(record)
        figures = sum(len(result.figures) for result in record.results)
        html = cpu(lambda: auditor.render(record, folder / "html", formats=("html",)))
        both = cpu(lambda: auditor.render(record, folder / "both", formats=("html", "pdf")))
    print(f"{len(record.findings)} findings, {figures} figures")
    print(f"HTML: {html:.1f} CPU seconds (imports included)")
    print(f"HTML and PDF: {both:.1f} CPU seconds (aim under 12)")


if __name__ == "__main__":
    main()
