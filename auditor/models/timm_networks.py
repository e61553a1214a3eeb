"""Networks of timm by name, as ``timm:vit_tiny_patch16_224``: built here, their weights read."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from torch import nn

from auditor.errors import MissingLibraryError, ModelError
from auditor.models.stated import neighbours
from auditor.models.torchvision_ops import import_torchvision

PREFIX = "timm:"


def timm_network(name: str, *, n_outputs: int) -> nn.Module:
    """The network of that name, untrained; a tag behind it (``.a1_in1k``) names weights only.

    Nothing is downloaded. Raises ModelError for an unknown name, MissingLibraryError without timm.
    """
    timm = import_timm()
    plain = name.removeprefix(PREFIX).rpartition("/")[2].partition(".")[0]
    known = timm.list_models()
    if plain not in known:
        near = get_close_matches(plain.lower(), known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(PREFIX + each for each in near)}?" if near else ""
        raise ModelError(
            f"model.architecture is {name!r}, which is no network of timm {timm.__version__}.{hint}"
            " `timm.list_models()` names all."
        )
    module: nn.Module = timm.create_model(plain, pretrained=False, num_classes=n_outputs)
    return module


def import_timm() -> ModuleType:
    """timm, which imports torchvision; raises MissingLibraryError where it cannot be imported."""
    import_torchvision()
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise MissingLibraryError(
            f"timm cannot be imported ({error}). `model.architecture: {PREFIX}NAME` needs it: "
            "`pip install 'auditor[timm]'`."
        ) from error


def stated_network(beside: Mapping[str, object], file: Path) -> str | None:
    """The network that a checkpoint, or timm's ``config.json`` beside the file, says to be of.

    None where they name none, or timm is not installed or does not know it.
    """
    named = [beside.get("arch"), beside.get("architecture"), beside.get("model_name")]
    named += [config.get("architecture") for _, config in neighbours(file)]
    try:
        known = import_timm().list_models()
    except MissingLibraryError:
        return None
    plain = (name.partition(".")[0] for name in named if isinstance(name, str))
    return next((name for name in plain if name in known), None)
