"""`auditor compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

REGRESSED = 1


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Output folder or audit.json.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Output folder or audit.json.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option("--out", metavar="DIR", help="Write changes.html and changes.txt there."),
    ] = None,
) -> None:
    """Say what changed between two audits; exit with 1 when a finding regressed.

    A change of a number is called one only where it is shown: on the images that both audits have,
    answer by answer, else as of two samples. OLD is never judged by its own policy alone: its
    numbers are judged by the new one, too, so that a moved limit is not taken for a worse model.

    Example:  auditor compare audit-old audit-new --out changes
    """
    from auditor.changes.compare import compare as compared
    from auditor.reports.changes_text import text_lines

    changes = compared(old, new)
    lines = text_lines(changes)
    for line in lines:
        typer.echo(line)
    if out is not None:
        from auditor.rendering import render_changes

        typer.echo(f"Report: {render_changes(changes, lines, out)}")
    raise typer.Exit(REGRESSED if changes.regressed else 0)
