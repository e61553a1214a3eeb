"""An ONNX graph followed for one image without running it: shapes, and what the image changes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from auditor.errors import ModelError
from auditor.models.inputs import tensor_shape
from auditor.models.layers import Shape
from auditor.models.onnx_graph import OnnxGraph
from auditor.spec import InputSpec

_LARGE = 4096
"""Constants with more numbers than this hold weights, never a shape to be computed with."""

_OF_SHAPE = frozenset({"Shape", "Size"})

_ERRORS = (
    RuntimeError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    onnx.shape_inference.InferenceError,
    onnx.checker.ValidationError,
)
"""What reading a node of any maker raises; its result is then unknown."""


@dataclass
class OnnxRun:
    """The nodes in their order, branches that are taken in the place of their condition.

    `moving` are the tensors whose numbers an image changes; `stored` the constants of the file;
    `makers` the node that makes each tensor.
    """

    opsets: list[onnx.OperatorSetIdProto]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    moving: set[str] = field(default_factory=set)
    stored: dict[str, onnx.TensorProto] = field(default_factory=dict)
    makers: dict[str, onnx.NodeProto] = field(default_factory=dict)
    types: dict[str, onnx.TypeProto] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)

    def shape(self, name: str) -> Shape | None:
        """Shape of a tensor for one image; None where it is unknown."""
        kind = self.types.get(name)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        dims = kind.tensor_type.shape.dim
        known = all(d.HasField("dim_value") for d in dims)
        return tuple(d.dim_value for d in dims) if known else None

    def shapes(self) -> dict[str, Shape]:
        """All shapes that are known."""
        found = {name: self.shape(name) for name in self.types}
        return {name: shape for name, shape in found.items() if shape is not None}


def follow_graph(graph: OnnxGraph, *, input: InputSpec) -> OnnxRun:
    """Follow `graph` for one image of the declared size."""
    model = graph.model
    if model.functions:
        model = _inlined(model)
    run = OnnxRun(list(model.opset_import))
    _store(run, model.graph.initializer)
    for info in graph.inputs:
        shape = (1, *tensor_shape(input)) if info.name == graph.inputs[0].name else None
        kind = info.type
        if shape is not None:
            kind = onnx.helper.make_tensor_type_proto(info.type.tensor_type.elem_type, shape)
        run.types[info.name] = kind
        run.moving.add(info.name)
    waiting = deque(model.graph.node)
    while waiting:
        node = waiting.popleft()
        branch = _branch_taken(run, node)
        if branch is not None:
            _store(run, branch.initializer)
            waiting.extendleft(reversed([*branch.node, *_handed_out(branch, node)]))
        else:
            _step(run, node)
    return run


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its functions written out where they are called; ModelError where none end."""
    try:
        return onnx.inliner.inline_local_functions(model)
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        said = (str(error).strip() or "no reason").splitlines()[0][:200].rstrip(".")
        raise ModelError(
            f"The model's functions cannot be written out ({said}). Export it without functions of "
            "its own."
        ) from error


def _store(run: OnnxRun, tensors: Iterable[onnx.TensorProto]) -> None:
    for tensor in tensors:
        run.stored[tensor.name] = tensor
        run.types[tensor.name] = onnx.helper.make_tensor_type_proto(
            tensor.data_type, list(tensor.dims)
        )
        if math.prod(tensor.dims) <= _LARGE:
            run.values[tensor.name] = np.asarray(numpy_helper.to_array(tensor))


def _branch_taken(run: OnnxRun, node: onnx.NodeProto) -> onnx.GraphProto | None:
    """The branch of an If whose condition the image does not change."""
    if node.op_type != "If" or node.input[0] not in run.values:
        return None
    wanted = "then_branch" if bool(run.values[node.input[0]].all()) else "else_branch"
    return next((a.g for a in node.attribute if a.name == wanted), None)


def _handed_out(branch: onnx.GraphProto, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    for inner, outer in zip(branch.output, node.output, strict=True):
        yield onnx.helper.make_node("Identity", [inner.name], [outer])


def _step(run: OnnxRun, node: onnx.NodeProto) -> None:
    run.nodes.append(node)
    run.makers.update(dict.fromkeys(filter(None, node.output), node))
    read = {*node.input, *_captured(node)}
    if node.op_type == "Constant":
        held = [a.t for a in node.attribute if a.name == "value"]
        if held:
            tensor = onnx.TensorProto()
            tensor.CopyFrom(held[0])
            tensor.name = node.output[0]
            _store(run, [tensor])
            return
    if node.op_type in _OF_SHAPE:
        shape = run.shape(node.input[0])
        if shape is not None:
            ends = {each.name: each.i for each in node.attribute}
            part = shape[ends.get("start") : ends.get("end")]
            found = np.asarray(part if node.op_type == "Shape" else math.prod(shape), np.int64)
            _keep(run, node.output[0], found)
            return
    elif read & run.moving:
        run.moving.update(filter(None, node.output))
    run.types.update(_inferred(run, node))
    if not read & run.moving:
        _evaluate(run, node)


def _captured(node: onnx.NodeProto) -> Iterator[str]:
    """Tensors that the graphs inside of a node read from outside of them."""
    for held in node.attribute:
        for inner in ([held.g] if held.HasField("g") else []) + list(held.graphs):
            for each in inner.node:
                yield from (*each.input, *_captured(each))


def _keep(run: OnnxRun, name: str, found: np.ndarray) -> None:
    kind = onnx.helper.np_dtype_to_tensor_dtype(found.dtype)
    run.types[name] = onnx.helper.make_tensor_type_proto(kind, found.shape)
    if found.size <= _LARGE:
        run.values[name] = found


def _evaluate(run: OnnxRun, node: onnx.NodeProto) -> None:
    """Work out what a node makes of small constants, such as a shape, where that is small."""
    given = {name: run.values.get(name) for name in node.input if name}
    shapes = [run.shape(name) for name in node.output if name]
    small = all(shape is not None and math.prod(shape) <= _LARGE for shape in shapes)
    known = all(v is not None for v in given.values()) and not any(map(bool, _captured(node)))
    if not known or not (small or _short_range(node, given)):
        return
    try:
        opsets = {each.domain: each.version for each in run.opsets}
        made: Any = ReferenceEvaluator(node, opsets=opsets).run(None, given)
        found = [np.asarray(each) for each in made]
    except _ERRORS:
        return
    for name, each in zip(node.output, found, strict=False):
        _keep(run, name, each)


def _short_range(node: onnx.NodeProto, given: dict[str, np.ndarray | None]) -> bool:
    """Whether it counts up to a known end: shape inference leaves the length of that open."""
    ends = [each for each in given.values() if each is not None and each.size == 1]
    if node.op_type not in ("Range", "NonZero"):
        return False
    return node.op_type == "NonZero" or all(abs(float(e.reshape(()))) <= _LARGE for e in ends)


def _inferred(run: OnnxRun, node: onnx.NodeProto) -> dict[str, onnx.TypeProto]:
    read = {name for name in node.input if name}
    if not read <= run.types.keys():
        return {}
    versions = {each.domain or "ai.onnx": each.version for each in run.opsets}
    domain = "" if node.domain in ("", "ai.onnx") else node.domain
    try:
        schema = onnx.defs.get_schema(node.op_type, versions.get(domain or "ai.onnx", 1), domain)
        found: dict[str, Any] = onnx.shape_inference.infer_node_outputs(
            schema,
            node,
            {name: run.types[name] for name in read},
            {n: numpy_helper.from_array(run.values[n], n) for n in read if n in run.values},
            opset_imports=run.opsets,
        )
    except (*_ERRORS, onnx.defs.SchemaError):
        return {}
    return found
