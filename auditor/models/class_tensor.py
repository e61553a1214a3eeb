"""Which of the tensors that a PyTorch module gives holds the class scores."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import torch

from auditor.errors import ModelError
from auditor.findings import TensorFacts
from auditor.models.outputs import class_output, width_of

_USUAL = ("logits", "out")
"""Names under which Hugging Face and torchvision give class scores beside other tensors."""


def class_tensor_name(made: Any, *, widths: Set[int], wanted: str | None = None) -> str | None:
    """The name or position of the class scores in what a module gives; None for a tensor alone.

    Raises ModelError where there is no tensor, and as `class_output` does.
    """
    if torch.is_tensor(made) and wanted is None:
        return None
    found = _tensors(made)
    if not found:
        raise ModelError(
            f"The model gives a {type(made).__name__}, expected a tensor of class scores. Name an "
            "image classifier, or wrap it in a module that returns its scores."
        )
    outputs = [TensorFacts(n, tuple(t.shape), str(t.dtype)) for n, t in found.items()]
    usual = next((name for name in _USUAL if name in found), None)
    # Where none is as wide as the classes, the usual one is what the width is then said of.
    fits = any(width_of(each) in widths for each in outputs)
    return class_output(outputs, widths=widths, name=wanted if fits else wanted or usual)


def class_tensor(made: Any, name: str | None) -> torch.Tensor:
    """The tensor that `class_tensor_name` chose; raises ModelError where it is not given now."""
    tensor = made if name is None else _tensors(made).get(name)
    if not torch.is_tensor(tensor):
        raise ModelError(
            f"The model gives a {type(made).__name__} without the tensor of class scores "
            f"{'' if name is None else repr(name)} that it gave first. Export one that always "
            "gives the same outputs."
        )
    return tensor


def raw_tensors(made: Any) -> dict[str, torch.Tensor]:
    """All tensors that a detector or a segmenter gives for a batch, by name, field or position.

    Torchvision's detectors give a list of mappings, one an image, scripted ones beside their
    losses; of these one image is read at a time. Raises ModelError where there is no tensor.
    """
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], list):
        made = made[1]
    if isinstance(made, list) and len(made) == 1 and isinstance(made[0], Mapping):
        made = made[0]
    named = getattr(made, "__dict__", None)
    found = _tensors(made) if named is None or isinstance(made, Mapping) else _tensors(named)
    if not found:
        raise ModelError(
            f"The model gives a {type(made).__name__} without tensors. Wrap it in a module that "
            "returns its outputs."
        )
    return found


def _tensors(made: Any) -> dict[str, torch.Tensor]:
    """Tensors by key, by field, or by position as text."""
    if isinstance(made, Mapping):
        named = {str(k): v for k, v in made.items()}
    elif isinstance(made, tuple | list):
        named = dict(zip(getattr(made, "_fields", map(str, range(len(made)))), made, strict=True))
    elif torch.is_tensor(made):
        named = {"0": made}
    else:
        named = {name: getattr(made, name) for name in _USUAL if hasattr(made, name)}
    return {name: each for name, each in named.items() if torch.is_tensor(each)}
