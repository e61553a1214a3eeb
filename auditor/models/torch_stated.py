"""What a PyTorch file, and the files beside it, state of classes and input."""

from __future__ import annotations

from pathlib import Path

from auditor.models.checkpoints import Checkpoint
from auditor.models.stated import Stated, stated_by, torchscript_metadata


def stated_by_torch(path: Path, format: str, checkpoint: Checkpoint) -> Stated:
    """What the file, beside its weights, and its neighbours say of classes and input."""
    if format == "torchscript":
        found = torchscript_metadata(path)
        return stated_by(path, found, source=f"The metadata of {path.name}")
    return stated_by(path, checkpoint.beside, source=f"The checkpoint {path.name}")
