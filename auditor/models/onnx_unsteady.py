"""Operators of an ONNX file that draw at random, or answer an image by its batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from auditor.models.architecture import Unsteady

_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
     "RandomUniformLike"}
)  # fmt: skip
_TRAINING_INPUT = {"Dropout": 2, "BitmaskDropout": 2, "BiasDropout": 4, "BitmaskBiasDropout": 4}
_DOMAINS = ("", "ai.onnx", "com.microsoft")
_TRAINING_BY_INPUT = 12
"""The opset from which dropout is told by an input that it is in training; before, by `is_test`
up to opset 6, and not at all in between."""


def onnx_unsteady(model: onnx.ModelProto) -> Unsteady:
    """What is drawn, and what leans on the batch, in graphs within graphs and functions too."""
    nodes = list(_nodes(model.graph))
    for function in model.functions:
        nodes += _all_of(function.node)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    known = _constants(model.graph, nodes)
    named = [node for node in nodes if node.domain in _DOMAINS]
    random = [n.op_type for n in named if n.op_type in _RANDOM or _drops(n, known, opset)]
    batch = [n.op_type for n in named if n.op_type == "BatchNormalization" and _trains(n)]
    return Unsteady(tuple(random), tuple(batch))


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    yield from _all_of(graph.node)


def _all_of(nodes: object) -> Iterator[onnx.NodeProto]:
    for node in nodes:  # type: ignore[attr-defined]
        yield node
        for held in node.attribute:
            for graph in (*held.graphs, *([held.g] if held.HasField("g") else [])):
                yield from _nodes(graph)


def _constants(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> dict[str, np.ndarray]:
    """Single numbers by name; larger constants say nothing about a mode or a ratio."""
    small = [t for t in graph.initializer if not t.dims or list(t.dims) == [1]]
    found = {t.name: onnx.numpy_helper.to_array(t) for t in small if not t.external_data}
    for node in nodes:
        for held in node.attribute:
            if node.op_type == "Constant" and held.name == "value":
                if not held.t.dims or list(held.t.dims) == [1]:
                    found[node.output[0]] = onnx.numpy_helper.to_array(held.t)
            elif node.op_type == "Constant" and held.name == "value_float":
                found[node.output[0]] = np.array(held.f)
    return found


def _drops(node: onnx.NodeProto, known: dict[str, np.ndarray], opset: int) -> bool:
    """Whether a dropout drops: in training mode, or in one that only running would tell."""
    at = _TRAINING_INPUT.get(node.op_type)
    if at is None:
        return False
    if node.domain != "com.microsoft" and opset < _TRAINING_BY_INPUT:
        return opset < 7 and _attribute(node, "is_test") != 1
    names = [*node.input, *[""] * (at + 1)]
    mode, ratio = known.get(names[at]), known.get(names[at - 1])
    trains = bool(names[at]) and (mode is None or bool(mode.reshape(-1)[0]))
    return trains and (ratio is None or float(ratio.reshape(-1)[0]) > 0)


def _trains(node: onnx.NodeProto) -> bool:
    # Before opset 14 further outputs (the batch's mean and variance) stood for the mode.
    return _attribute(node, "training_mode") == 1 or sum(map(bool, node.output)) > 1


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((int(held.i) for held in node.attribute if held.name == name), 0)
