"""Zeros among a network's weights: single ones, whole channels, and two in every four."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx

from auditor.models.onnx_graph import OnnxGraph, attribute

_WEIGHTS = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "QLinearConv": 3,
            "QLinearMatMul": 3, "ConvInteger": 1, "MatMulInteger": 1}  # fmt: skip
"""Where an operator's weights are among its inputs."""
_COUNTS = ("weights", "zeros", "channels", "zero_channels", "layers", "two_in_four")
_ZERO_POINTS = {"QLinearConv": 5, "QLinearMatMul": 5, "ConvInteger": 3, "MatMulInteger": 3}


def sparsity_of(weights: Iterable[np.ndarray]) -> dict[str, int]:
    """Zeros among weights, each (outputs, ...) with what makes one output in its row.

    `weights` and `zeros` among them; `channels` (rows) and `zero_channels`, which hold nothing
    else; `layers`, and those with `two_in_four` zeros.

    A row is a channel. Two in four are zeros of a layer where every four weights in a row, one
    after the other along its inputs, hold two or more (the pattern that some accelerators skip:
    Mishra et al. 2021, arXiv:2104.08378); positions of a convolution each for themselves.
    """
    counts = np.zeros(6, dtype=np.int64)
    for weight in weights:
        zero = weight == 0
        rows = zero.reshape(len(zero), -1)
        counts += (zero.size, zero.sum(), len(rows), rows.all(axis=1).sum(), 1, _two_in_four(zero))
    return dict(zip(_COUNTS, counts.tolist(), strict=True))


def _two_in_four(zero: np.ndarray) -> bool:
    along = np.moveaxis(zero, 1, -1)
    whole = along.shape[-1] // 4 * 4
    if not whole:
        return False
    fours = along[..., :whole].reshape(*along.shape[:-1], -1, 4)
    return bool((fours.sum(axis=-1) >= 2).all())


def onnx_weights(graph: OnnxGraph) -> Iterator[np.ndarray]:
    """The weights of convolutions and products that the file stores, (outputs, inputs, ...)."""
    seen: set[str] = set()
    for node in graph.nodes:
        at = _WEIGHTS.get(node.op_type)
        if at is None or len(node.input) <= at or node.input[at] in seen:
            continue
        seen.add(node.input[at])
        weight = _numbers(graph, node, at)
        if weight is not None and weight.ndim >= 2:
            yield _outputs_first(node, weight)


def _numbers(graph: OnnxGraph, node: onnx.NodeProto, at: int) -> np.ndarray | None:
    """The weights, integer ones less what stands for 0; None where the file stores none."""
    zero_at = _ZERO_POINTS.get(node.op_type)
    weight = graph.value(node.input[at])
    if weight is not None:
        has = zero_at is not None and len(node.input) > zero_at and bool(node.input[zero_at])
        return _less(weight, graph.value(node.input[zero_at]) if has and zero_at else None, axis=0)
    maker = graph.producers.get(node.input[at])
    if maker is None or maker.op_type != "DequantizeLinear":
        return None
    weight = graph.value(maker.input[0])
    zero = graph.value(maker.input[2]) if len(maker.input) > 2 and maker.input[2] else None
    axis = (attribute(maker, "axis") or (1,))[0]
    return None if weight is None else _less(weight, zero, axis=axis)


def _less(weight: np.ndarray, zero: np.ndarray | None, *, axis: int) -> np.ndarray:
    if zero is None:
        return weight
    plain = weight.astype(np.int64) if weight.dtype.kind in "iu" else weight
    if zero.size == 1:
        return np.asarray(plain - zero.reshape(()).astype(plain.dtype))
    shape = [1] * weight.ndim
    shape[axis] = zero.size
    return np.asarray(plain - zero.astype(plain.dtype).reshape(shape))


def _outputs_first(node: onnx.NodeProto, weight: np.ndarray) -> np.ndarray:
    if node.op_type.startswith("MatMul") or node.op_type == "QLinearMatMul":
        return np.asarray(np.moveaxis(weight, -1, 0))
    by_inputs = node.op_type == "ConvTranspose" or (
        node.op_type == "Gemm" and not (attribute(node, "transB") or (0,))[0]
    )
    return np.asarray(np.swapaxes(weight, 0, 1)) if by_inputs else weight
