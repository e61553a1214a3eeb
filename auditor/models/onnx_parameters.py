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
_NOT_TRAINED = frozenset(
    {"And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Shape",
     "Size", "Xor"}
)  # fmt: skip
"""Operators through whose results nothing is learned: comparisons and sizes."""


def parameter_count(run: OnnxRun) -> int:
    """Numbers in the constants that layers read; scales, statistics, masks left out.

    What an exporter has merged into other numbers (a normalisation into its convolution) is
    counted as it is stored; a table of relative positions that it has spread out, as the table.
    """
    stores: set[str] = set()
    heads: dict[str, int] = {}
    for node in run.nodes:
        if run.moving.intersection(node.output) and node.op_type not in _NO_WEIGHTS:
            still = [name for name in _weights_of(node) if name and name not in run.moving]
            integers = node.op_type in _FROM_INTEGERS
            stores |= _origins(run, still, integers=integers)
            heads |= _heads_of_biases(run, still)
    return sum(_numbers(run, name, heads=heads.get(name)) for name in sorted(stores))


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

    An Identity counts as a tensor of its own: exporters keep equal parameters once. What is only
    compared, or is one number written into parts of a tensor, makes a mask, and was not trained.
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
        elif maker is not None and maker.op_type not in _NOT_TRAINED:
            dequantises = maker.op_type == "DequantizeLinear"
            given = maker.input[:1] if dequantises else maker.input
            if maker.op_type == "ScatterND":
                given = [n for n in given if not _is_one_number(run, n)]
            reads = [n for n in given if n not in seen]
            seen.update(reads)
            waiting += [(read, quantised or dequantises) for read in reads]
    return found


def _is_one_number(run: OnnxRun, name: str) -> bool:
    """Whether a stored tensor holds one number over and over."""
    values = run.values.get(name) if name in run.stored else None
    return values is not None and len(np.unique(values)) == 1


def _heads_of_biases(run: OnnxRun, names: list[str]) -> dict[str, int]:
    """The stored tensors that constants between pairs of positions are, with the heads of each.

    Such a constant is read as (1, heads, n, n); some exporters store it with one row a pair, and
    turn it where it is read.
    """
    found: dict[str, int] = {}
    for name in names:
        shape = run.shape(name) or ()
        square = len(shape) > 2 and shape[-1] == shape[-2] > 1 and math.prod(shape[:-3]) == 1
        of = _origins(run, [name], integers=False) if square else set()
        if len(of) == 1 and math.prod(run.shape(next(iter(of))) or ()) == math.prod(shape):
            found[of.pop()] = shape[-3]
    return found


def _numbers(run: OnnxRun, name: str, *, heads: int | None) -> int:
    shape = run.shape(name) or ()
    if math.prod(shape) < 2:
        return 0
    if heads is None or name not in run.stored:
        return math.prod(shape)
    return _of_pairs(np.asarray(numpy_helper.to_array(run.stored[name])), heads=heads)


def _of_pairs(bias: np.ndarray, *, heads: int) -> int:
    """Numbers behind a bias between pairs of positions; a mask, of two values, is none."""
    if len(np.unique(bias)) <= 2:
        return 0
    # With as many heads as positions more than one axis may be theirs: one gives the table.
    by_head = (np.moveaxis(bias, axis, 0).reshape(heads, -1)
               for axis, size in enumerate(bias.shape) if size == heads)  # fmt: skip
    distinct = (int(np.unique(rows, axis=1).shape[1]) for rows in by_head)
    return heads * min(distinct, default=bias.size // heads)
