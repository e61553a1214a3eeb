"""Decide whether a vision model may go live, and prove why.

import auditor
record = auditor.run("audit.yaml", out="audit-out")
record.verdict, [f.id for f in record.findings if f.verdict == "FAIL"]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.contract import Check as Check
    from auditor.engine.run import judge_again as judge_again
    from auditor.engine.run import plan as plan
    from auditor.engine.run import run as run
    from auditor.errors import AuditorError as AuditorError
    from auditor.findings import Verdict as Verdict
    from auditor.judging.judged_record import read_record as read_record
    from auditor.record import AuditRecord as AuditRecord
    from auditor.rendering import render as render

_HOMES = {
    "AuditRecord": "auditor.record",
    "AuditorError": "auditor.errors",
    "Check": "auditor.contract",
    "Verdict": "auditor.findings",
    "judge_again": "auditor.engine.run",
    "plan": "auditor.engine.run",
    "read_record": "auditor.judging.judged_record",
    "render": "auditor.rendering",
    "run": "auditor.engine.run",
}

__all__ = [
    "AuditRecord",
    "AuditorError",
    "Check",
    "Verdict",
    "judge_again",
    "plan",
    "read_record",
    "render",
    "run",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Public names load on first use, so that `import auditor` stays light.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'auditor' has no attribute {name!r}")
