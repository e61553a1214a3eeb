"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

SpecPath = Annotated[Path, typer.Argument(metavar="AUDIT.YAML", help="The audit spec.")]
RecordPath = Annotated[
    Path, typer.Argument(metavar="AUDIT.JSON", help="The record of an audit, or its folder.")
]
Only = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option(
        "--only",
        metavar="ID|FAMILY",
        help="Run only this check, or this family of checks (bias); may be given several times.",
    ),
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Run the model author's own code (module:function architectures, .pt2 files). "
        "The record and page one say so.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for all outputs.")]
PolicyName = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option("--policy", metavar="NAME|FILE", help="default, strict, or a policy of yours."),
]
SharedStore = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option("--store", metavar="DIR|URL", help="A store that several runs share."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
