"""The layer of a PyTorch module whose input (or output) is the embedding, and how it is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from auditor.errors import ModelError
from auditor.models.penultimate import Features

_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass(frozen=True)
class Head:
    """A layer by name; the embedding is what it reads, or, where `made`, what it makes."""

    name: str
    features: Features
    made: bool = False

    @property
    def label(self) -> str:
        return self.name if self.made else f"input of {self.name}"


def find_head(module: nn.Module, example: torch.Tensor, *, width: int) -> Head | None:
    """The last convolution or linear layer that ran, if it gives one number a class.

    None where it does not, and where no other one ran before it: the embedding would be the
    image.
    """
    ran: list[tuple[str, torch.Tensor]] = []
    layers = [(n, m) for n, m in module.named_modules() if isinstance(m, _WEIGHTED)]
    handles = [
        layer.register_forward_hook(lambda m, given, made, name=name: ran.append((name, made)))
        for name, layer in layers
    ]
    try:
        with torch.no_grad():
            module(example)
    finally:
        for handle in handles:
            handle.remove()
    if len(ran) < 2:
        return None
    name, made = ran[-1]
    linear = isinstance(dict(layers)[name], nn.Linear)
    outputs = made.shape[-1] if linear else made.shape[1]
    return Head(name, "last" if linear else "first") if outputs == width else None


def named_head(module: nn.Module, name: str) -> Head:
    """The module that the spec names, by its output; ModelError when there is none of that name."""
    known = dict(module.named_modules())
    if name not in known:
        near = get_close_matches(name, [k for k in known if k], n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        raise ModelError(
            f"model.embedding names {name!r}, which is no module of the network.{hint} Set "
            "`model.embedding: auto` to have it looked for."
        )
    linear = isinstance(known[name], nn.Linear)
    return Head(name, "last" if linear else "first", made=True)


class HeadTap:
    """Reads a head's activation during a call, on the calling thread alone."""

    def __init__(self, module: nn.Module, head: Head) -> None:
        self.head = head
        self._seen = threading.local()
        layer = dict(module.named_modules())[head.name]
        if head.made:
            layer.register_forward_hook(lambda m, given, made: self._take(made))
        else:
            layer.register_forward_pre_hook(lambda m, given: self._take(given[0]))

    @contextmanager
    def reading(self) -> Iterator[HeadTap]:
        self._seen.wanted, self._seen.found = True, None
        try:
            yield self
        finally:
            self._seen.wanted, self._seen.found = False, None

    @property
    def found(self) -> torch.Tensor:
        """The activation of the last call; raises ModelError where the layer did not run."""
        held: Any = getattr(self._seen, "found", None)
        if not torch.is_tensor(held):
            raise ModelError(
                f"model.embedding: the module {self.head.name!r} gave no tensor when the model "
                "ran. Name another, or set `model.embedding: null`."
            )
        return held

    def _take(self, activation: Any) -> None:
        if getattr(self._seen, "wanted", False):
            self._seen.found = activation
