"""Layers of an ONNX graph, with shapes inferred for one image of the declared size."""

from __future__ import annotations

import math

import numpy as np
import onnx

from auditor.models.architecture import ArchitectureFacts, Layer, Role, describe, flops_of
from auditor.models.inputs import tensor_shape
from auditor.models.onnx_graph import OnnxGraph, attribute
from auditor.models.onnx_unsteady import onnx_unsteady
from auditor.models.quantize import is_quantised
from auditor.spec import InputSpec

_LARGE = 4096
"""Constants with more numbers than this hold weights, never a shape to be computed with."""

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
        {"Cast", "DequantizeLinear", "Div", "Dropout", "Identity", "Mul", "Pad", "Pow",
         "QuantizeLinear", "Sqrt", "Sub", "Transpose"}
    ),
}  # fmt: skip

_UNSEEN = frozenset({"Constant", "Shape"})


def onnx_architecture(graph: OnnxGraph, *, input: InputSpec) -> ArchitectureFacts:
    """What the network is made of; FLOPs are None where a shape cannot be inferred."""
    shapes = inferred_shapes(graph, input=input)
    layers = [
        _layer(graph, node, shapes)
        for node in graph.nodes
        if node.op_type not in _UNSEEN and not graph.constants.issuperset(node.output)
    ]
    return describe(
        layers,
        n_parameters=parameter_count(graph),
        flops=flops_of(layers),
        input=input,
        quantised=is_quantised(graph),
        unsteady=onnx_unsteady(graph.model),
    )


def parameter_count(graph: OnnxGraph) -> int:
    """Numbers in the constants that weighted and normalising layers read (scales left out)."""
    stores: set[str] = set()
    weighing = _ROLES["convolution"] | _ROLES["linear"] | _ROLES["normalisation"] | {"PRelu"}
    for node in graph.nodes:
        if node.op_type in weighing:
            stores |= {_origin(graph, name) for name in _weights_of(node)}
        elif node.op_type in ("Add", "Mul", "Gather") and not graph.constants.issuperset(
            node.output
        ):
            stores |= {_origin(graph, name) for name in node.input}
    stores &= graph.constants
    return sum(math.prod(graph.shape_of_constant(name) or ()) for name in sorted(stores))


def _weights_of(node: onnx.NodeProto) -> list[str]:
    if node.op_type == "QLinearConv":
        return [node.input[3], *node.input[8:9]]
    if node.op_type in ("ConvInteger", "MatMulInteger"):
        return list(node.input[:2])
    if node.op_type in ("QLinearMatMul", "QGemm"):
        return [node.input[3], *(node.input[6:7] if node.op_type == "QGemm" else ())]
    return list(node.input)


def _origin(graph: OnnxGraph, name: str) -> str:
    """The stored tensor behind a constant that is only moved or dequantised."""
    while name in graph.constants and (node := graph.producers.get(name)) is not None:
        if node.op_type == "Constant" or not node.input:
            return name
        name = node.input[0]
    return name


def inferred_shapes(graph: OnnxGraph, *, input: InputSpec) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor whose shape follows from one image of the declared size."""
    light = _without_weights(graph)
    for info in light.graph.input:
        if info.name == graph.inputs[0].name:
            _set_shape(info, (1, *tensor_shape(input)))
    # A declared output shape, with its free batch, would contradict the batch of one.
    for info in light.graph.output:
        info.type.tensor_type.ClearField("shape")
    del light.graph.value_info[:]
    try:
        inferred = onnx.shape_inference.infer_shapes(light, data_prop=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError):
        inferred = light
    infos = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    found = {info.name: _shape(info) for info in infos}
    for name in graph.constants:
        found.setdefault(name, graph.shape_of_constant(name))
    return {name: shape for name, shape in found.items() if shape is not None}


def _without_weights(graph: OnnxGraph) -> onnx.ModelProto:
    """The model with large constants as inputs of the same type: small, whatever its weights."""
    source = graph.model
    light = onnx.ModelProto(ir_version=source.ir_version)
    light.opset_import.extend(source.opset_import)
    light.functions.extend(source.functions)
    light.graph.name = source.graph.name or "graph"
    light.graph.node.extend(source.graph.node)
    light.graph.output.extend(source.graph.output)
    light.graph.input.extend(graph.inputs)
    for tensor in source.graph.initializer:
        if math.prod(tensor.dims) <= _LARGE:
            light.graph.initializer.append(tensor)
        else:
            info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            light.graph.input.append(info)
    return light


def _set_shape(info: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    dims = info.type.tensor_type.shape
    del dims.dim[:]
    for length in shape:
        dims.dim.add().dim_value = length


def _shape(info: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    dims = [d.dim_value for d in tensor.shape.dim]
    known = all(d.HasField("dim_value") for d in tensor.shape.dim)
    return tuple(dims) if known else None


def _layer(graph: OnnxGraph, node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> Layer:
    role = _role(node)
    moving = tuple(name for name in node.input if name and name not in graph.constants)
    if role == "linear" and len(moving) > 1:
        role = "other"  # two activations multiplied, as attention does: no weights
    window = _window(graph, node, shapes) if role in ("convolution", "pooling") else ()
    plain = node.op_type != "ConvTranspose"
    return Layer(
        op=node.op_type,
        role=role,
        inputs=moving,
        outputs=tuple(name for name in node.output if name),
        macs=_macs(node, role, shapes, graph),
        kernel=window,
        stride=_per_axis(node, "strides", len(window)),
        dilation=_per_axis(node, "dilations", len(window)),
        depthwise=role == "convolution" and _is_depthwise(node, shapes),
        local=plain and role not in ("other", "linear") and bool(window or role != "pooling"),
    )


def _role(node: onnx.NodeProto) -> Role:
    return next((role for role, ops in _ROLES.items() if node.op_type in ops), "other")


def _weight_name(node: onnx.NodeProto) -> str:
    return str(node.input[3] if node.op_type == "QLinearConv" else node.input[1])


def _window(
    graph: OnnxGraph, node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]
) -> tuple[int, ...]:
    declared = attribute(node, "kernel_shape")
    if declared is not None or _role(node) != "convolution":
        return declared or ()
    return shapes.get(_weight_name(node), ())[2:]


def _per_axis(node: onnx.NodeProto, name: str, axes: int) -> tuple[int, ...]:
    return (attribute(node, name) or (1,) * axes) if axes else ()


def _is_depthwise(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> bool:
    groups = (attribute(node, "group") or (1,))[0]
    weight = shapes.get(_weight_name(node), ())
    return groups > 1 and len(weight) > 1 and weight[1] == 1


def _macs(
    node: onnx.NodeProto, role: Role, shapes: dict[str, tuple[int, ...]], graph: OnnxGraph
) -> int | None:
    """Multiply-adds for one image; 0 for what neither convolves nor multiplies matrices."""
    multiplies = node.op_type in _ROLES["linear"]
    if role != "convolution" and not multiplies:
        return 0
    made = shapes.get(node.output[0])
    if role == "convolution":
        weight = shapes.get(_weight_name(node))
        basis = shapes.get(node.input[0]) if node.op_type == "ConvTranspose" else made
        return None if weight is None or basis is None else _conv_macs(basis, weight)
    inner = _inner_length(node, shapes)
    return None if made is None or inner is None else int(np.prod(made, dtype=np.int64)) * inner


def _conv_macs(basis: tuple[int, ...], weight: tuple[int, ...]) -> int:
    return math.prod(basis) * math.prod(weight[1:])


def _inner_length(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int | None:
    shape = shapes.get(node.input[0])
    if not shape:
        return None
    transposed = node.op_type == "Gemm" and (attribute(node, "transA") or (0,))[0]
    return shape[0] if transposed else shape[-1]
