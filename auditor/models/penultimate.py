"""Which tensor of an ONNX graph is the penultimate activation, and how it becomes a vector."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np
import onnx

from auditor.errors import ModelError
from auditor.models.onnx_graph import REQUANTISING, RESHAPING, OnnxGraph

_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul", "QLinearConv", "QGemm"})
_POOLING = frozenset(
    {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean", "ReduceMax",
     "QLinearAveragePool", "QLinearGlobalAveragePool"}
)  # fmt: skip
_ELEMENTWISE = frozenset(
    {"Add", "BatchNormalization", "Clip", "Div", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu",
     "LogSoftmax", "Mul", "Relu", "Sigmoid", "Softmax", "Sub", "QLinearAdd", "QLinearSoftmax"}
)  # fmt: skip
_PASSED = RESHAPING | REQUANTISING | _POOLING | _ELEMENTWISE

Features = Literal["first", "last"]
"""Which axis of an activation counts features: the one after the batch, or the last."""


@dataclass(frozen=True)
class Penultimate:
    """Name of the tensor that the last weighted layer reads, and where its features lie."""

    tensor: str
    features: Features


def find_penultimate(graph: OnnxGraph, output: str) -> Penultimate | None:
    """Walk back from `output` to the last layer with constant weights, and take what it reads.

    None where the walk meets anything else (detectors, control flow), and where no weighted
    layer lies before the last one: the penultimate activation would be the image.
    """
    for node in graph.back_from(output):
        if _is_weighted(graph, node):
            return _read_by(graph, node)
        if node.op_type not in _PASSED:
            return None
    return None


def named_penultimate(graph: OnnxGraph, name: str) -> Penultimate:
    """The tensor that the spec names; raises ModelError when the graph has none of that name."""
    if name not in graph.producers:
        near = get_close_matches(name, list(graph.producers), n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        raise ModelError(
            f"model.embedding names {name!r}, which is no tensor of the graph.{hint} Set "
            "`model.embedding: auto` to have it looked for."
        )
    readers = [n for n in graph.nodes if name in n.input]
    linear = any(n.op_type in ("Gemm", "MatMul", "QGemm") for n in readers)
    return Penultimate(name, "last" if linear else "first")


def as_vectors(activation: np.ndarray, *, features: Features, n: int) -> np.ndarray:
    """Activations as (n, d) float32: maps and tokens are averaged over all but the features.

    Raises ModelError when the activation does not have `n` rows.
    """
    if activation.ndim < 2 or activation.shape[0] != n:
        raise ModelError(
            f"model.embedding: the tensor has shape {tuple(activation.shape)} for {n} images, "
            "expected one row an image. Name another tensor, or set `model.embedding: null`."
        )
    axis = 1 if features == "first" else activation.ndim - 1
    others = tuple(a for a in range(1, activation.ndim) if a != axis)
    values = activation.astype(np.float32)
    return values.mean(axis=others) if others else values


def _is_weighted(graph: OnnxGraph, node: onnx.NodeProto) -> bool:
    return node.op_type in _WEIGHTED and graph.data_input(node) is not None


def _read_by(graph: OnnxGraph, node: onnx.NodeProto) -> Penultimate | None:
    tensor = graph.data_input(node)
    if tensor is None or not _has_weights_before(graph, tensor):
        return None
    return Penultimate(tensor, "first" if "Conv" in node.op_type else "last")


def _has_weights_before(graph: OnnxGraph, tensor: str) -> bool:
    waiting, seen = [tensor], set[str]()
    while waiting:
        node = graph.producers.get(waiting.pop())
        if node is None:
            continue
        if node.op_type in _WEIGHTED:
            return True
        fresh = {name for name in node.input if name} - seen
        seen |= fresh
        waiting.extend(fresh)
    return False
