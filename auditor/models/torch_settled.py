"""A PyTorch module as it will run: where, in which mode, in which numbers."""

from __future__ import annotations

import torch
from torch import nn

from auditor.spec import InputSpec


def mode_note(module: nn.Module) -> str:
    """What a file that was saved in training mode asks of whoever runs it; empty for others."""
    if not any(part.training for part in module.modules()):
        return ""
    return (
        "The file was saved in training mode and is measured in evaluation mode. Where it runs, "
        "call `eval()` after loading it: without that it may drop and normalise as in training."
    )


def settled(module: nn.Module, input: InputSpec, *, device: str, exported: bool) -> nn.Module:
    """The module as it will run: on its device, evaluating, its weights without gradients."""
    if not exported:  # exported programs refuse it: their mode was fixed at export
        module.eval()
    if input.dtype in ("float16", "float64"):
        module = module.half() if input.dtype == "float16" else module.double()
    for parameter in module.parameters():  # not all at once: TorchScript does not offer that
        parameter.requires_grad_(False)
    return module.to(device)


def device_of(wanted: str) -> str:
    """The device that is asked for where there is one, else the processor."""
    if wanted.startswith("cuda") and torch.cuda.is_available():
        return wanted
    return "cpu"
