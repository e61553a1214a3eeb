"""A model of the same layers whose weights are exchanged among themselves: it has learnt nothing.

Within each tensor of weights (two dimensions and more) the numbers change places, so that their
distribution, and with it the scale of what the layers give, stays. Source: Adebayo et al. (2018),
arXiv:1810.03292.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from auditor.models.formats import detect_format
from auditor.models.onnx_graph import read_onnx

_WEIGHTS = frozenset(
    {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE,
     onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
)  # fmt: skip
_LEAST = 16
"""Numbers in a tensor of weights; smaller ones are sizes, scales and means."""

Exchange = Callable[[np.ndarray], np.ndarray]


def randomised(path: Path, *, seed: int, part: str | None = None) -> bytes:
    """The file of the model in `path` with its weights exchanged; empty where none can be.

    That is so of TorchScript and exported programs, and of a graph without stored weights. `part`
    names the weights of a checkpoint, as `model.weights` does. Raises ModelError where the file
    cannot be read.
    """
    rng = np.random.default_rng([seed, 0xADE])

    def exchanged(values: np.ndarray) -> np.ndarray:
        return rng.permutation(values.reshape(-1)).reshape(values.shape)

    kind = detect_format(path)
    if kind == "onnx":
        return _onnx(path, exchanged)
    if kind in ("torch-weights", "safetensors"):
        return _weights(path, exchanged, safetensors=kind == "safetensors", part=part)
    return b""


def _onnx(path: Path, exchanged: Exchange) -> bytes:
    model = read_onnx(path).model
    stored = list(model.graph.initializer)
    stored += [a.t for node in model.graph.node if node.op_type == "Constant"
               for a in node.attribute if a.name == "value"]  # fmt: skip
    learnt = [t for t in stored if t.data_type in _WEIGHTS and _is_large(tuple(t.dims))]
    for tensor in learnt:
        values = exchanged(numpy_helper.to_array(tensor))
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model.SerializeToString() if learnt else b""


def _weights(path: Path, exchanged: Exchange, *, safetensors: bool, part: str | None) -> bytes:
    import torch

    from auditor.models.checkpoints import read_checkpoint

    tensors = dict(read_checkpoint(path, safetensors=safetensors, part=part).tensors)
    for name, value in tensors.items():
        if value.is_floating_point() and _is_large(tuple(value.shape)):
            order = torch.from_numpy(exchanged(np.arange(value.numel())))
            tensors[name] = value.reshape(-1)[order].reshape(value.shape)
    out = io.BytesIO()
    torch.save(tensors, out)
    return out.getvalue()


def _is_large(shape: tuple[int, ...]) -> bool:
    return len(shape) >= 2 and math.prod(shape) >= _LEAST
