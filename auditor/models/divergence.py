"""Where two forms of a network part: the outputs of their layers on the same images, side by side.

Runs both graphs in this process: `auditor.models.contained.layers_apart` contains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from auditor.errors import ModelError
from auditor.models.form_facts import MOST_NOISE, LayerApart, OneForm
from auditor.models.inputs import InputBuffers
from auditor.models.onnx_graph import OnnxGraph, read_onnx, serialised, tensor_facts
from auditor.models.onnx_model import open_session

_PASSING = frozenset(
    {"Cast", "Constant", "DequantizeLinear", "Dropout", "Flatten", "Identity", "QuantizeLinear",
     "Reshape", "Shape", "Squeeze", "Transpose", "Unsqueeze"}
)  # fmt: skip
"""Operators that make no new numbers, or only round them: no layer of its own."""
_WEIGHTED = frozenset(
    {"Conv", "ConvInteger", "ConvTranspose", "FusedConv", "FusedMatMul", "Gemm", "MatMul",
     "MatMulInteger", "QGemm", "QLinearConv", "QLinearMatMul"}
)  # fmt: skip
_KINDS = {"ConvInteger": "Conv", "FusedConv": "Conv", "QLinearConv": "Conv",
          "FusedMatMul": "MatMul", "MatMulInteger": "MatMul", "QLinearMatMul": "MatMul",
          "QGemm": "Gemm"}  # fmt: skip


def layers_apart(one: OneForm, other: OneForm, frames: np.ndarray) -> tuple[LayerApart, ...]:
    """Layers that both forms have, in the first one's order, with what lies between their outputs.

    A layer is an operator that makes new numbers. Two are the same where their output tensors have
    one name; where the forms share no name, the weighted layers are matched by order, if there are
    as many of the same kinds. Empty where nothing can be matched.

    Parameters
    ----------
    frames : (n, h, w, 3) uint8 RGB, fed to both; one image at a time lies in memory.

    Raises
    ------
    ModelError
        If a file is no ONNX model, has more than one input, or cannot be run.
    """
    graphs = [OnnxGraph(read_onnx(form.path).model) for form in (one, other)]
    pairs = _matched(*graphs)
    if not pairs:
        return ()
    runs = [
        _outputs(graph, form, frames, tensors)
        for graph, form, tensors in zip(
            graphs, (one, other), zip(*((p.first, p.second) for p in pairs), strict=True),
            strict=True,
        )
    ]  # fmt: skip
    sums = np.zeros((3, len(pairs)))
    counts = np.zeros(len(pairs))
    for found in zip(*runs, strict=True):
        for i, (here, there) in enumerate(zip(*found, strict=True)):
            if here.shape != there.shape:
                counts[i] = np.nan
                continue
            counts[i] += here.size
            sums[:, i] += ((here - there) ** 2).sum(), here.sum(), (here**2).sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = sums[2] / counts - (sums[1] / counts) ** 2
        noise = sums[0] / counts / variance
    known = np.isfinite(counts) & (counts > 0) & ((variance > 0) | (sums[0] > 0))
    return tuple(
        LayerApart(pair.name, pair.op, float(min(noise[i], MOST_NOISE)), pair.kept)
        for i, pair in enumerate(pairs)
        if known[i]
    )


@dataclass(frozen=True)
class _Pair:
    name: str
    op: str
    first: str
    second: str
    kept: bool


def _matched(one: OnnxGraph, other: OnnxGraph) -> list[_Pair]:
    theirs = {name for node in other.nodes for name in node.output}
    layers = [node for node in one.nodes if _is_layer(node, one)]
    rounded, rounded_there = _rounded(one), _rounded(other)
    named = [
        _Pair(node.name or name, node.op_type, rounded.get(name, name),
              rounded_there.get(name, name), True)
        for node in layers
        for name in node.output[:1]
        if name in theirs and name not in other.constants
    ]  # fmt: skip
    if named:
        return named
    weighted = [[n for n in graph.nodes if _is_weighted(n, graph)] for graph in (one, other)]
    kinds = [[_KINDS.get(n.op_type, n.op_type) for n in nodes] for nodes in weighted]
    if kinds[0] != kinds[1]:
        return []
    return [
        _Pair(a.name or a.output[0], a.op_type, rounded.get(a.output[0], a.output[0]),
              rounded_there.get(b.output[0], b.output[0]), False)
        for a, b in zip(*weighted, strict=True)
    ]  # fmt: skip


def _rounded(graph: OnnxGraph) -> dict[str, str]:
    """For a tensor that is quantised and turned back, what the layers after it read.

    Quantising also does what an activation did that was merged into it.
    """
    quantised = {n.output[0]: n.input[0] for n in graph.nodes if n.op_type == "QuantizeLinear"}
    return {
        quantised[node.input[0]]: node.output[0]
        for node in graph.nodes
        if node.op_type == "DequantizeLinear" and node.input[0] in quantised
    }


def _is_layer(node: onnx.NodeProto, graph: OnnxGraph) -> bool:
    return node.op_type not in _PASSING and not graph.constants.intersection(node.output)


def _is_weighted(node: onnx.NodeProto, graph: OnnxGraph) -> bool:
    return node.op_type in _WEIGHTED and _is_layer(node, graph)


def _outputs(
    graph: OnnxGraph, form: OneForm, frames: np.ndarray, tensors: Sequence[str]
) -> Iterator[list[np.ndarray]]:
    """The tensors named, image by image, as float64."""
    if len(graph.inputs) != 1:
        found = ", ".join(i.name for i in graph.inputs) or "none"
        raise ModelError(
            f"{form.path.name}: found inputs {found}, expected one, the image. Export it again."
        )
    facts = tensor_facts(graph.inputs[0])
    session = open_session(_with_outputs(graph, tensors), form.runtime)
    alone = len(facts.shape) == 3
    batch = 1 if alone else facts.shape[0] or 1
    buffers = InputBuffers()
    for frame in frames:
        fed = buffers.fill(np.repeat(frame[None], batch, axis=0), input=form.input)
        made = session.run(list(tensors), {facts.name: fed[0] if alone else fed})
        yield [np.asarray(each, dtype=np.float64) for each in made]


def _with_outputs(graph: OnnxGraph, tensors: Sequence[str]) -> bytes:
    known = {o.name for o in graph.outputs}
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    model.graph.output.extend(onnx.ValueInfoProto(name=t) for t in tensors if t not in known)
    return serialised(model)
