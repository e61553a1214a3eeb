"""What runs in the process of a PDF; it imports nothing that the making of one does not need."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from auditor.errors import MissingLibraryError
from auditor.reports.pdf import Enclosed, made_pdf

LACKING = 3
"""The status with which the process says that a library is missing."""


def in_child(name: str, *, seconds: int, memory_bytes: int) -> int:
    """Make the PDF of what lies in a folder, and leave it there; the status to end with."""
    _bound(seconds, memory_bytes)
    folder = Path(name)
    # What is written beside goes with the folder, also where this process is killed.
    tempfile.tempdir = name
    carried = Enclosed(**json.loads((folder / "enclosed.json").read_text(encoding="utf-8")))
    try:
        made = made_pdf((folder / "page.html").read_text(encoding="utf-8"), carried)
    except MissingLibraryError as error:
        write(folder / "lacking.txt", str(error))
        return LACKING
    (folder / "report.pdf").write_bytes(made.data)
    write(folder / "missing.json", json.dumps(made.missing))
    return 0


def _bound(seconds: int, memory_bytes: int) -> None:
    """Have the system end this process where it goes beyond; not on Windows, which cannot."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def write(path: Path, text: str) -> None:
    """Write a text as UTF-8, whatever it holds."""
    path.write_bytes(text.encode("utf-8", errors="backslashreplace"))
