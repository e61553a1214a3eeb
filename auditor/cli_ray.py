"""Options of the command line: where the sweeps of a run are driven, and plain ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from auditor.errors import SpecError

if TYPE_CHECKING:
    from auditor.engine.ray_cluster import OnRay

On = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option(
        "--on",
        metavar="ray|ray://HOST:PORT",
        help="Have Ray run the sweeps: a cluster of this machine's own, or the one at RAY_ADDRESS "
        "or HOST:PORT. Results are the same.",
    ),
]
Workers = Annotated[
    Optional[int],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option("--workers", metavar="N", help="With --on: workers; default one a processor."),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience", metavar="SECONDS", help="With --on: give up when nothing has got on so long."
    ),
]


def given(option: str, text: str, *, metavar: str = "COLUMN") -> Any:
    """An option of one line of help."""
    return typer.Option(option, metavar=metavar, help=text)


def on_ray(on: str | None, *, workers: int | None, patience: float = 600.0) -> OnRay | None:
    """What the options say, None for threads of this machine; SpecError for what cannot be."""
    if on is None:
        if workers is not None:
            raise SpecError("--workers goes with --on: add `--on ray`, or leave it out.")
        return None
    from auditor.engine.ray_cluster import OnRay

    return OnRay.of(on, workers=workers, patience=patience)
