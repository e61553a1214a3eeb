"""Which network of torchvision or timm a file's weights belong to, by names and shapes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from auditor.models.checkpoints import Checkpoint, fitted
from auditor.models.timm_networks import PREFIX, stated_network, timm_network
from auditor.models.torchvision_ops import import_torchvision

_NAME_KEYS = ("arch", "architecture", "model_name", "model_type", "backbone", "encoder", "name")
"""Keys under which training scripts note the network's name beside the weights."""

_MOST_DIFFERING = 2
"""Tensors that may have another number of outputs: the last layer's weight and bias."""


@dataclass(frozen=True)
class GuessedArchitecture:
    """A network's name, and the number of outputs that its last layer has in the file."""

    name: str
    n_outputs: int

    @property
    def called(self) -> str:
        """The network's name with the library that has it, for a reader."""
        library = "timm" if self.name.startswith(PREFIX) else "torchvision"
        return f"{library}'s {self.name.removeprefix(PREFIX)}"


class Unfilled(TorchFunctionMode):
    """Weights are made without their numbers, so that a large network costs nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.empty:
            given["device"] = "meta"
        return func(*args, **given)


def guess_architecture(
    checkpoint: Checkpoint, *, file: Path, n_outputs: int | None
) -> GuessedArchitecture | None:
    """The first network whose every tensor the file has, in shape too; None where there is none.

    Networks that the checkpoint or the file's name mentions are tried first; one of timm only where
    it is named. The number of outputs may be another than `n_outputs`.
    """
    if not checkpoint.tensors:
        return None
    others: set[str] = set()
    for name in _in_order(mentioned(checkpoint.beside, file)):
        family = re.split(r"[\d_]", name)[0]
        if family in others:
            continue
        own = _state_of(name, n_outputs or 2)
        first = next(iter(own))
        if not any(held == first or held.endswith(f".{first}") for held in checkpoint.tensors):
            # A family's networks differ in what comes after: its first layer is called alike.
            others.add(family)
            continue
        found = _outputs_of(fitted(checkpoint, own).tensors, own, assumed=n_outputs or 2)
        if found is not None:
            return GuessedArchitecture(name, found)
    return _of_timm(checkpoint, file=file, n_outputs=n_outputs)


def _of_timm(
    checkpoint: Checkpoint, *, file: Path, n_outputs: int | None
) -> GuessedArchitecture | None:
    """The network of timm that the file, or one beside it, names, where its tensors are there."""
    name = stated_network(checkpoint.beside, file)
    if name is None:
        return None
    with torch.device("meta"):
        own = timm_network(name, n_outputs=n_outputs or 2).state_dict()
    found = _outputs_of(fitted(checkpoint, own).tensors, own, assumed=n_outputs or 2)
    return None if found is None else GuessedArchitecture(PREFIX + name, found)


def mentioned(beside: Mapping[str, Any], file: Path) -> str:
    parts = [str(beside[key]) for key in _NAME_KEYS if isinstance(beside.get(key), str)]
    return " ".join([*parts, file.stem]).lower()


def _in_order(mentioned: str) -> Iterator[str]:
    models = import_torchvision().models
    # The longest name first: densenet121 is no densenet12, and resnext50 no resnet.
    names = sorted(models.list_models(module=models), key=lambda name: (-len(name), name))
    named = [name for name in names if name in mentioned]
    yield from named
    yield from (name for name in sorted(names, key=len) if name not in named)


def _state_of(name: str, n_outputs: int) -> Mapping[str, torch.Tensor]:
    models = import_torchvision().models
    with warnings.catch_warnings(), Unfilled():
        warnings.simplefilter("ignore")  # of initial values, and there are none
        module: torch.nn.Module = models.get_model(name, weights=None, num_classes=n_outputs)
    return module.state_dict()


def _outputs_of(
    found: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], *, assumed: int
) -> int | None:
    """Outputs in the file, where its tensors are the network's but for their number."""
    if found.keys() != own.keys():
        return None
    other = [k for k in own if found[k].shape != own[k].shape]
    widths = {found[k].shape[0] for k in other if found[k].ndim and own[k].shape[0] == assumed}
    alike = all(found[k].shape[1:] == own[k].shape[1:] for k in other)
    if not other:
        return assumed
    return widths.pop() if alike and len(widths) == 1 and len(other) <= _MOST_DIFFERING else None
