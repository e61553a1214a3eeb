"""The PDF in a process of its own: a crash or an endless layout costs the PDF, not the report."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict

from auditor.errors import MissingLibraryError, RenderingError
from auditor.own_folder import own_folder
from auditor.record import AuditRecord
from auditor.record.files import record_digest, to_json
from auditor.reports.pdf import Enclosed, MadePdf
from auditor.reports.pdf_child import LACKING, write

SECONDS = 180
"""Of computing; a report of 2,000 findings takes 12."""

MEMORY_BYTES = 3 * 10**9
"""Of private memory; a report of 2,000 findings takes a tenth."""

_WAIT = 5
"""Times as long may pass as may be computed: other work may hold the processors."""

_PROGRAM = """
import sys
sys.path[:] = {path!r}
from auditor.reports.pdf_child import in_child
sys.exit(in_child(sys.argv[1], seconds={seconds}, memory_bytes={memory}))
"""


def enclosed(record: AuditRecord) -> Enclosed:
    """What a PDF of a record carries."""
    return Enclosed(to_json(record), record_digest(record), record.provenance.started)


def pdf_apart(
    html: str, record: AuditRecord, *, seconds: int = SECONDS, memory_bytes: int = MEMORY_BYTES
) -> MadePdf:
    """`made_pdf` in a process of its own that may compute so long and take so much memory.

    Raises
    ------
    MissingLibraryError
        When Pango or HarfBuzz are not installed.
    RenderingError
        When the process crashed, or went beyond what it may use.
    """
    with own_folder("auditor-pdf-") as folder:
        write(folder / "page.html", html)
        write(folder / "enclosed.json", json.dumps(asdict(enclosed(record))))
        path = [os.path.abspath(entry) for entry in sys.path]
        program = _PROGRAM.format(path=path, seconds=seconds, memory=memory_bytes)
        try:
            # -P: files of the folder it is started in must not hide modules.
            done = subprocess.run(
                [sys.executable, "-P", "-c", program, str(folder)],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_WAIT * seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _refusal(_too_long(seconds)) from error
        if done.returncode == LACKING:
            raise MissingLibraryError((folder / "lacking.txt").read_text(encoding="utf-8"))
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", errors="replace")
            raise _refusal(_why(done.returncode, said, seconds, memory_bytes))
        missing = json.loads((folder / "missing.json").read_text(encoding="utf-8"))
        return MadePdf((folder / "report.pdf").read_bytes(), tuple(missing))


def _why(status: int, said: str, seconds: int, memory_bytes: int) -> str:
    ended_by = -status if status < 0 else 0
    if sys.platform != "win32" and ended_by in (signal.SIGXCPU, signal.SIGKILL):
        return _too_long(seconds)
    last = said.strip().splitlines()[-1] if said.strip() else ""
    # What a library of C could not get is told by the number of the system's error.
    if last.startswith("MemoryError") or f"[Errno {errno.ENOMEM}]" in last:
        return f"laying it out needed more than {memory_bytes / 1e9:g} GB of memory"
    return f"laying it out failed ({last or f'it ended with status {status}'})"


def _too_long(seconds: int) -> str:
    return f"laying it out took more than {seconds} seconds of computing"


def _refusal(why: str) -> RenderingError:
    return RenderingError(
        f"report.pdf was not made: {why}. report.html is written and holds all of it: print that, "
        "or make the audit smaller (fewer groups) and run `auditor report` again."
    )
