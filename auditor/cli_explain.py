"""`auditor explain` and `auditor checks`."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    check: Annotated[str, typer.Argument(metavar="CHECK", help="Such as bias/subgroup-gap.")],
) -> None:
    """Say what a check measures, why it matters and how it can mislead.

    Example:  auditor explain bias/subgroup-gap
    """
    from auditor.catalogue import explain as explanation

    typer.echo(explanation(check))


def checks() -> None:
    """List all checks, one line each.

    Example:  auditor checks
    """
    from auditor.catalogue import summaries

    for line in summaries():
        typer.echo(line)
