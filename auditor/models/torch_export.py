"""A PyTorch network as an ONNX file, and the threads that torch runs one with."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from auditor.errors import ModelError
from auditor.spec import RuntimeSpec

OPSET = 17
"""The opset written: late enough for a scale a channel, early enough for most runtimes."""

Tensors = Callable[[Any], Mapping[str, torch.Tensor]]


class _Named(nn.Module):
    """A network whose answer is a tuple of the tensors that are read of it."""

    def __init__(self, network: nn.Module, tensors: Tensors) -> None:
        super().__init__()
        self.network = network
        self._tensors = tensors

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self._tensors(self.network(image)).values())


def exported(network: nn.Module, example: torch.Tensor, *, tensors: Tensors) -> bytes:
    """The ONNX file of a network, by tracing it on `example` (1, ...); its batch is free.

    `tensors` names the tensors of the network's answer that become outputs, in order; of
    TorchScript, which is not traced again, all of them do. Raises ModelError where torch cannot
    write one.
    """
    content = io.BytesIO()
    # torch writes to files that are open, too, and does not say so.
    write: Any = torch.onnx.export
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            # Tracing tells of every branch that it takes; the answers are compared afterwards.
            warnings.simplefilter("ignore")
            scripted = isinstance(network, torch.jit.ScriptModule)
            found = _all_of(network(example)) if scripted else tensors(network(example))
            names = [name or "output" for name in found]
            write(
                network if scripted else _Named(network, tensors).eval(),
                (example,),
                content,
                input_names=["image"],
                output_names=names,
                dynamic_axes={name: {0: "n"} for name in ("image", *names)},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"torch cannot write this network as ONNX ({type(error).__name__}: {said}). Export it "
            "as it will ship, and name that file under `variants` or as `model.path`."
        ) from error
    return content.getvalue()


def _all_of(made: Any) -> Mapping[str, torch.Tensor]:
    if isinstance(made, torch.Tensor):
        return {"output": made}
    return {f"output_{i}": each for i, each in enumerate(made)}


def take_threads(runtime: RuntimeSpec) -> None:
    """Give torch the threads of a form's `runtime`; ModelError for what is onnxruntime's alone."""
    if runtime != RuntimeSpec(threads=runtime.threads):
        raise ModelError(
            "found `providers` or `optimisation` under `runtime` of a PyTorch file, expected "
            "`threads` alone: the others are onnxruntime's. Export the model to ONNX and name that "
            "file as `path`."
        )
    torch.set_num_threads(runtime.threads)


def float_weights(network: nn.Module) -> list[torch.Tensor]:
    """The weights of a network's layers: tensors of numbers with an axis of outputs and others."""
    stored = network.state_dict().values()
    tensors = [each for each in stored if isinstance(each, torch.Tensor)]
    return [each for each in tensors if each.is_floating_point() and each.ndim > 1]
