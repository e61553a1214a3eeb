"""Layers of a TorchScript module, from its graph with the weights frozen into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from auditor.models.architecture import Layer, Unsteady
from auditor.models.torch_layers import TorchNetwork, function_role

_NO_LAYERS = frozenset({"__getitem__", "detach"})
_CONVOLUTIONS = frozenset({"_convolution", "conv1d", "conv2d", "conv3d"})
_POOLINGS = frozenset({"avg_pool2d", "max_pool2d"})

# torch leaves these without types.
_freeze: Any = torch.jit.freeze


def scripted_network(module: torch.jit.ScriptModule) -> TorchNetwork:
    """Layers and links of `module`; unlinked where control flow hides which layers run."""
    try:
        graph = _freeze(module, optimize_numerics=False).inlined_graph
    except RuntimeError:
        graph = module.inlined_graph
    nodes = list(graph.nodes())
    layers = [_layer(node) for node in nodes if _is_layer(node)]
    # Checks of shapes are control flow too, but no tensor comes out of them.
    hidden = any(list(node.blocks()) and _makes_tensor(node) for node in nodes)
    return TorchNetwork(tuple(layers), linked=not hidden, unsteady=_unsteady(module))


def _unsteady(module: torch.jit.ScriptModule) -> Unsteady:
    """Operators that draw or take the batch's mean, on any way through the program."""
    random, batch = [], []
    for node in _all_nodes(module.inlined_graph):
        family, _, name = str(node.kind()).partition("::")
        if family != "aten":
            continue
        given = [value.toIValue() for value in node.inputs()]
        if _is_random(name) and not _is_idle(name, given):
            random.append(name)
        elif "batch_norm" in name and given[5] is True:
            batch.append(name)
    return Unsteady(tuple(random), tuple(batch))


def _all_nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _all_nodes(inner)


def _is_random(name: str) -> bool:
    packet = getattr(torch.ops.aten, name, None)
    overloads = [] if packet is None else [getattr(packet, o) for o in packet.overloads()]
    return any(torch.Tag.nondeterministic_seeded in o.tags for o in overloads)


def _is_idle(name: str, given: list[Any]) -> bool:
    """Whether an operator that may draw does not: out of training, or with a share of 0.

    What is no constant is a flag of the module, which is in evaluation mode.
    """
    if "dropout" in name:
        return given[2] is not True or given[1] == 0
    if name == "scaled_dot_product_attention":
        return not given[4:5] or not given[4]
    return name.startswith("rrelu") and not any(each is True for each in given[3:6])


def _is_layer(node: Any) -> bool:
    family, _, name = str(node.kind()).partition("::")
    return family == "aten" and name not in _NO_LAYERS and _makes_tensor(node)


def _makes_tensor(node: Any) -> bool:
    return any(_is_tensor(value) for value in node.outputs())


def _layer(node: Any) -> Layer:
    name = str(node.kind()).partition("::")[2]
    inputs = tuple(v.debugName() for v in _tensors(node) if _moves(v))
    role = function_role(name, n_inputs=len(inputs))
    kernel = _window(node, name)
    strides, dilations = (2, 4) if role == "pooling" else (3, 5)
    return Layer(
        op=name,
        role=role,
        inputs=inputs,
        outputs=tuple(v.debugName() for v in node.outputs()),
        kernel=kernel,
        stride=_numbers(node, strides, len(kernel)),
        dilation=_numbers(node, dilations, len(kernel)) if name != "avg_pool2d" else (1, 1),
        depthwise=bool(kernel) and role == "convolution" and _is_depthwise(node, name),
        local=bool(kernel) or role in ("normalisation", "activation", "add", "concat", "pointwise"),
    )


def _tensors(node: Any) -> list[Any]:
    """Tensors among a node's inputs; those of a list that it reads are taken out of the list."""
    found: list[Any] = []
    for value in node.inputs():
        if value.node().kind() == "prim::ListConstruct":
            found.extend(v for v in value.node().inputs() if _is_tensor(v))
        elif _is_tensor(value):
            found.append(value)
    return found


def _is_tensor(value: Any) -> bool:
    return bool(value.type().isSubtypeOf(torch._C.TensorType.get()))


def _moves(value: Any) -> bool:
    return value.node().kind() not in ("prim::Constant", "prim::GetAttr")


def _window(node: Any, name: str) -> tuple[int, ...]:
    if name in _POOLINGS:
        return _numbers(node, 1, 2)
    weight = node.inputsAt(1).toIValue() if name in _CONVOLUTIONS else None
    return tuple(weight.shape[2:]) if torch.is_tensor(weight) else ()


def _numbers(node: Any, place: int, axes: int) -> tuple[int, ...]:
    held = node.inputsAt(place).toIValue() if node.inputsSize() > place else None
    if not isinstance(held, list) or not held:
        return (1,) * axes
    return tuple(held) if len(held) == axes else (held[0],) * axes


def _is_depthwise(node: Any, name: str) -> bool:
    groups = node.inputsAt(8 if name == "_convolution" else 6).toIValue()
    weight = node.inputsAt(1).toIValue()
    return isinstance(groups, int) and groups > 1 and weight.shape[1] == 1
