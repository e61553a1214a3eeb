"""Gradients of a class's logit by the input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from auditor.models.outputs import OutputReading
from auditor.spec import InputSpec

_SMALLEST = 1e-12


def input_gradients(
    scores: Callable[[torch.Tensor], torch.Tensor],
    tensor: torch.Tensor,
    classes: np.ndarray,
    *,
    reading: OutputReading,
    input: InputSpec,
) -> np.ndarray:
    """Gradient of logit[class] by the input of each image, (n, 3, h, w) float32 in RGB order.

    Parameters
    ----------
    scores : the model, from an input tensor to its raw output.
    tensor : (n, ...) the model's input, of a float type; it is not written to.
    classes : (n,) class index of each image.
    """
    varied = tensor.detach().clone().requires_grad_(True)
    wanted = torch.as_tensor(np.asarray(classes, dtype=np.int64), device=tensor.device)
    logits = class_logits(scores(varied).flatten(1).float(), wanted, reading=reading)
    # Images do not meet in evaluation mode, so the gradient of the sum is each one's own.
    (gradient,) = torch.autograd.grad(logits.sum(), varied)
    return _as_rgb_planes(gradient.float().cpu().numpy(), input)


def class_logits(
    rows: torch.Tensor, classes: torch.Tensor, *, reading: OutputReading
) -> torch.Tensor:
    """The logit of each row's class, (n,), from raw outputs (n, numbers)."""
    if rows.shape[1] == 1 and reading.n_classes == 2:
        return _logit(rows[:, 0], reading) * (2 * classes - 1)
    at = classes
    if reading.background is not None:
        at = classes + (classes >= reading.background)
    return _logit(rows.gather(1, at[:, None])[:, 0], reading)


def _logit(score: torch.Tensor, reading: OutputReading) -> torch.Tensor:
    if reading.kind == "logits" or (reading.kind == "sigmoid" and reading.ending != "sigmoid"):
        return score
    if reading.kind == "sigmoid":
        return torch.logit(score, eps=_SMALLEST)
    return score.clamp(min=_SMALLEST).log()


def _as_rgb_planes(gradient: np.ndarray, input: InputSpec) -> np.ndarray:
    planes = gradient if input.layout == "nchw" else gradient.transpose(0, 3, 1, 2)
    if input.channels == "grey":
        return np.repeat(planes / 3, 3, axis=1)
    return np.ascontiguousarray(planes[:, ::-1] if input.channels == "bgr" else planes)
