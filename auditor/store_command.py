"""`auditor store`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from auditor.remote.places import Place


def store(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A store, its URL, or an output folder.")
    ],
    usage: Annotated[bool, typer.Option("--usage", help="Say what it holds.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what may go.")] = False,
    older_than: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option("--older-than", metavar="AGE", help="Only what was written before: 30d, 12h."),
    ] = None,
    keep_records: Annotated[
        Optional[list[Path]],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(
            "--keep-records",
            metavar="AUDIT",
            help="A record whose files stay; may be given several times.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what --prune would remove, and remove nothing.")
    ] = False,
) -> None:
    """Say what a store holds, or make it smaller: it is a cache, and computed anew when asked for.

    Example:  auditor store audit-out --prune --older-than 30d --keep-records audit-2026-03
    """
    from auditor.engine import prune as pruning
    from auditor.errors import SpecError

    if usage == prune:
        raise SpecError(
            "auditor store: say either --usage, what the store holds, or --prune, to make it "
            "smaller."
        )
    place = pruning.store_at(folder)
    if usage:
        _say(pruning.usage_lines(place))
        return
    if older_than is None and not keep_records:
        raise SpecError(
            "--prune would remove all of the store. Say --older-than 30d, or --keep-records "
            "AUDIT.JSON for each record whose files are to stay; or delete the folder yourself."
        )
    age = None if older_than is None else pruning.age_of(older_than)
    with _held(place):
        going = pruning.pruning(place, older_than=age, keep=keep_records or [])
        if not dry_run:
            pruning.prune(place, going)
    _say(pruning.pruning_lines(going, done=not dry_run))


def _held(place: Place) -> AbstractContextManager[Any]:
    """No run may go by an output folder's own store while it is made smaller.

    Of a shared one runs have copies of all that they go by.
    """
    from auditor.engine.output import output_folder
    from auditor.remote.places import FolderPlace

    if isinstance(place, FolderPlace) and (place.folder.parent / "runs.jsonl").is_file():
        return output_folder(place.folder.parent)
    return nullcontext()


def _say(lines: Any) -> None:
    for line in lines:
        typer.echo(line)
