"""Parameters of an ONNX network: the stored numbers that its layers were trained in."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import numpy_helper

from auditor.models.onnx_run import OnnxRun

_FLOATS = frozenset(
    {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16,
     onnx.TensorProto.DOUBLE}
)  # fmt: skip
_FROM_INTEGERS = frozenset(
    {"ConvInteger", "MatMulInteger", "QGemm", "QLinearConv", "QLinearMatMul"}
)
_NO_WEIGHTS = frozenset({"Clip", "Max", "Min", "Pad", "QuantizeLinear", "Resize"})
"""Operators whose constants are bounds, scales and sizes."""


def parameter_count(run: OnnxRun) -> int:
    """Numbers in the constants that layers read; scales, statistics, masks left out.

    What an exporter has merged into other numbers (a normalisation into its convolution) is
    counted as it is stored; a table of relative positions that it has spread out, as the table.
    """
    stores: set[str] = set()
    for node in run.nodes:
        if run.moving.intersection(node.output) and node.op_type not in _NO_WEIGHTS:
            still = [name for name in _weights_of(node) if name and name not in run.moving]
            stores |= _origins(run, still, integers=node.op_type in _FROM_INTEGERS)
    return sum(_numbers(run, name) for name in sorted(stores))


def _weights_of(node: onnx.NodeProto) -> list[str]:
    """Inputs that may be weights: no scale, no zero point, no mean and variance of a batch."""
    if node.op_type == "QLinearConv":
        return [node.input[3], *node.input[8:9]]
    if node.op_type in ("ConvInteger", "MatMulInteger"):
        return list(node.input[:2])
    if node.op_type in ("QLinearMatMul", "QGemm"):
        return [node.input[3], *(node.input[6:7] if node.op_type == "QGemm" else ())]
    if node.op_type == "BatchNormalization":
        return list(node.input[1:3])
    return [] if node.domain == "com.microsoft" and "QLinear" in node.op_type else list(node.input)


def _origins(run: OnnxRun, names: list[str], *, integers: bool) -> set[str]:
    """The stored tensors that constants are worked out from.

    An Identity counts as a tensor of its own: exporters keep equal parameters once.
    """
    found: set[str] = set()
    waiting, seen = [(name, integers) for name in names], set(names)
    while waiting:
        name, quantised = waiting.pop()
        maker = run.makers.get(name)
        kind = run.types[name].tensor_type.elem_type if name in run.types else 0
        if name in run.stored or (maker is not None and maker.op_type == "Identity"):
            if (kind in _FLOATS) != quantised:
                found.add(name)
        elif maker is not None and maker.op_type not in ("Shape", "Size"):
            dequantises = maker.op_type == "DequantizeLinear"
            reads = [n for n in (maker.input[:1] if dequantises else maker.input) if n not in seen]
            seen.update(reads)
            waiting += [(read, quantised or dequantises) for read in reads]
    return found


def _numbers(run: OnnxRun, name: str) -> int:
    shape = run.shape(name) or ()
    if math.prod(shape) < 2:
        return 0
    square = len(shape) > 2 and shape[-1] == shape[-2] > 1 and math.prod(shape[:-3]) == 1
    if not square or name not in run.stored:
        return math.prod(shape)
    return _of_pairs(np.asarray(numpy_helper.to_array(run.stored[name])), heads=shape[-3])


def _of_pairs(bias: np.ndarray, *, heads: int) -> int:
    """Numbers behind a bias between pairs of positions; a mask, of two values, is none."""
    if len(np.unique(bias)) <= 2:
        return 0
    return heads * int(np.unique(bias.reshape(heads, -1), axis=1).shape[1])
