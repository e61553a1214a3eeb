"""Layers of an ONNX graph, with shapes inferred for one image of the declared size."""

from __future__ import annotations

import math
from dataclasses import replace

import onnx

from auditor.models.architecture import ArchitectureFacts, describe, flops_of
from auditor.models.layers import Layer, Role
from auditor.models.onnx_graph import OnnxGraph, attribute
from auditor.models.onnx_parameters import parameter_count
from auditor.models.onnx_run import OnnxRun, follow_graph
from auditor.models.onnx_unsteady import onnx_unsteady
from auditor.models.quantize import is_quantised
from auditor.spec import InputSpec

_ROLES: dict[Role, frozenset[str]] = {
    "convolution": frozenset({"Conv", "ConvInteger", "ConvTranspose", "QLinearConv"}),
    "linear": frozenset({"Gemm", "MatMul", "MatMulInteger", "QGemm", "QLinearMatMul"}),
    "pooling": frozenset(
        {"AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool",
         "QLinearAveragePool", "QLinearGlobalAveragePool"}
    ),
    "normalisation": frozenset(
        {"BatchNormalization", "GroupNormalization", "InstanceNormalization", "LRN",
         "LayerNormalization", "RMSNormalization"}
    ),
    "activation": frozenset(
        {"Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "LogSoftmax",
         "Mish", "PRelu", "Relu", "Selu", "Sigmoid", "Softmax", "Softplus", "Swish", "Tanh",
         "ThresholdedRelu"}
    ),
    "add": frozenset({"Add", "QLinearAdd", "Sum"}),
    "concat": frozenset({"Concat", "QLinearConcat"}),
    "pointwise": frozenset(
        {"Abs", "Cast", "DequantizeLinear", "Div", "Dropout", "Exp", "Expand", "Gather", "Identity",
         "Mod", "Mul", "Neg", "Not", "Pad", "Pow", "QLinearMul", "QuantizeLinear", "Reciprocal",
         "ScatterND", "Split", "Sqrt", "Sub", "Tile", "Where"}
    ),
    "reshape": frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"}),
    "transpose": frozenset({"Transpose"}),
    "reduction": frozenset({"ReduceMax", "ReduceMean"}),
    "statistic": frozenset({"ReduceL1", "ReduceL2", "ReduceSum", "ReduceSumSquare"}),
    "mixing": frozenset({"Attention", "Einsum"}),
}  # fmt: skip

_UNCOUNTED = frozenset({"DeformConv", "GRU", "LSTM", "Loop", "RNN", "Scan", "If"})
"""Operators that hold products whose number is not worked out here; so do those of runtimes."""

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


def onnx_architecture(graph: OnnxGraph, *, input: InputSpec) -> ArchitectureFacts:
    """What the network is made of; FLOPs are None where a shape cannot be inferred."""
    run = follow_graph(graph, input=input)
    layers = [_layer(run, node) for node in run.nodes if run.moving.intersection(node.output)]
    return describe(
        layers,
        n_parameters=parameter_count(run),
        flops=flops_of(layers),
        input=input,
        quantised=is_quantised(graph),
        unsteady=onnx_unsteady(graph.model),
    )


def _layer(run: OnnxRun, node: onnx.NodeProto) -> Layer:
    role = _role(node)
    moving = tuple(name for name in node.input if name in run.moving)
    linear = role == "linear"
    if linear and len({*_operands(node)} & run.moving) > 1:
        role = "mixing"
    if role == "add" and len(moving) < 2:
        role = "pointwise"
    main = moving[0] if moving else ""
    plain = Layer(
        op=node.op_type,
        role=role,
        inputs=moving,
        outputs=tuple(name for name in node.output if name),
        macs=_macs(run, node, role),
        given=run.shape(main),
        made=run.shape(node.output[0]),
    )
    if role in ("convolution", "pooling"):
        return _windowed(run, node, plain)
    rank = len(plain.given or ())
    if role == "linear" and rank:
        first = main == _operands(node)[0]
        turned = bool((attribute(node, "transA" if first else "transB") or (0,))[0])
        return replace(plain, over=(rank - 1 if first != turned else max(rank - 2, 0),))
    if role == "transpose":
        order = attribute(node, "perm") or tuple(reversed(range(rank)))
        return replace(plain, order=order)
    if role in ("reduction", "statistic") and rank:
        return replace(plain, over=_axes(run, node, rank))
    if node.op_type == "Slice":
        return _sliced(run, node, plain)
    return plain


def _axes(run: OnnxRun, node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    held = attribute(node, "axes")
    if held is None and len(node.input) > 1 and node.input[1] in run.values:
        held = tuple(int(v) for v in run.values[node.input[1]].reshape(-1))
    return tuple(axis % rank for axis in held or range(rank))


def _sliced(run: OnnxRun, node: onnx.NodeProto, plain: Layer) -> Layer:
    steps = run.values.get(node.input[4]) if len(node.input) > 4 else None
    axes = run.values.get(node.input[3]) if len(node.input) > 3 else None
    if steps is None or axes is None or len(plain.given or ()) == 0:
        return replace(plain, role="pointwise")
    rank = len(plain.given or ())
    over = tuple(int(a) % rank for a in axes.reshape(-1))
    stride = tuple(max(int(s), 1) for s in steps.reshape(-1))
    return replace(plain, role="pointwise", over=over, stride=stride)


def _windowed(run: OnnxRun, node: onnx.NodeProto, plain: Layer) -> Layer:
    convolves = plain.role == "convolution"
    weight = (run.shape(_weight_name(node)) or ()) if convolves else ()
    window = () if node.op_type == "ConvTranspose" else attribute(node, "kernel_shape")
    window = weight[2:] if window is None else window
    groups = (attribute(node, "group") or (1,))[0]
    return replace(
        plain,
        kernel=window,
        stride=_per_axis(node, "strides", len(window)),
        dilation=_per_axis(node, "dilations", len(window)),
        depthwise=convolves and groups > 1 and weight[1:2] == (1,),
    )


def _role(node: onnx.NodeProto) -> Role:
    return next((role for role, ops in _ROLES.items() if node.op_type in ops), "other")


def _weight_name(node: onnx.NodeProto) -> str:
    return str(node.input[3] if node.op_type == "QLinearConv" else node.input[1])


def _per_axis(node: onnx.NodeProto, name: str, axes: int) -> tuple[int, ...]:
    return (attribute(node, name) or (1,) * axes) if axes else ()


def _operands(node: onnx.NodeProto) -> list[str]:
    """The two factors of a product of matrices, scales and zero points left out."""
    return [node.input[0], node.input[3 if node.op_type in ("QLinearMatMul", "QGemm") else 1]]


def _macs(run: OnnxRun, node: onnx.NodeProto, role: Role) -> int | None:
    """Multiply-adds for one image; 0 for what neither convolves nor multiplies matrices."""
    if node.op_type in _UNCOUNTED or (role == "other" and node.domain not in _DOMAINS):
        return None
    if node.op_type == "Einsum":
        return _einsum_macs(run, node)
    if node.op_type == "Attention":
        return _attention_macs(run, node)
    if role == "convolution":
        weight = run.shape(_weight_name(node))
        basis = run.shape(node.input[0] if node.op_type == "ConvTranspose" else node.output[0])
        return None if not weight or basis is None else math.prod(basis) * math.prod(weight[1:])
    if node.op_type not in _ROLES["linear"]:
        return 0
    made, left = run.shape(node.output[0]), run.shape(node.input[0])
    if made is None or not left:
        return None
    transposed = node.op_type in ("Gemm", "QGemm") and (attribute(node, "transA") or (0,))[0]
    return math.prod(made) * (left[0] if transposed else left[-1])


def _einsum_macs(run: OnnxRun, node: onnx.NodeProto) -> int | None:
    """The product of the lengths of all indices, which each multiply-add runs over once."""
    equation = next((a.s.decode() for a in node.attribute if a.name == "equation"), "")
    terms = [t.strip() for t in equation.partition("->")[0].split(",")]
    shapes = [run.shape(name) for name in node.input]
    if "." in equation or [len(t) for t in terms] != [len(s or ()) for s in shapes]:
        return None
    lengths = dict(zip("".join(terms), (n for s in shapes for n in s or ()), strict=True))
    return math.prod(lengths.values()) if len(terms) > 1 else 0


def _attention_macs(run: OnnxRun, node: onnx.NodeProto) -> int | None:
    """Scores and their use: queries x keys, over the width of keys and then of values."""
    shapes = [run.shape(name) for name in node.input[:3]]
    made = run.shape(node.output[0])
    if any(s is None for s in shapes) or made is None:
        return None
    query, key, _ = (s or () for s in shapes)
    return (math.prod(query) + math.prod(made)) * key[-2]
