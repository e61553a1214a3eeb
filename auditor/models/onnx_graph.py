"""An ONNX file read without running it: its graph, its constants, how it ends."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]
from onnx import external_data_helper, numpy_helper

from auditor.errors import ModelError
from auditor.findings import TensorFacts
from auditor.models.formats import LARGEST_FILE
from auditor.models.outputs import Dequantisation, Ending
from auditor.models.stated import Stated, stated_by
from auditor.opening import require_file, shown_bytes

RESHAPING = frozenset(
    {"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators that move numbers and change none."""

REQUANTISING = frozenset({"DequantizeLinear", "QuantizeLinear"})

_DERIVING = RESHAPING | REQUANTISING
_KEEPING = frozenset({"Clip", "Gather", "Slice"})
"""Operators after which numbers from 0 to 1 are still these."""

_SOFTMAX = frozenset({"Softmax", "QLinearSoftmax"})
_SIGMOID = frozenset({"Sigmoid", "QLinearSigmoid"})

_WHOLE_BYTES = {
    kind: onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize
    for kind in (
        onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE,
        onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT32,
        onnx.TensorProto.INT64, onnx.TensorProto.BOOL,
    )
}  # fmt: skip
"""Bytes that a number takes in a file, of types that take whole ones."""

_BESIDE = (
    "Put the file that was exported with it in the same folder (a plain file, no link), or export "
    "the model again."
)


@dataclass(frozen=True)
class OnnxFile:
    """A model file with its external data read in; `digest` is the SHA-256 of all its bytes.

    Without external data that is the SHA-256 of the file itself.
    """

    model: onnx.ModelProto
    digest: str
    file_bytes: int

    def stated(self, path: Path) -> Stated:
        """What the file's metadata, and the files beside it, say of classes and input."""
        found = {each.key: each.value for each in self.model.metadata_props}
        return stated_by(path, found, source=f"The metadata of {path.name}")


def read_onnx(path: Path) -> OnnxFile:
    """Read an ONNX file; raises ModelError when it, or its external data, cannot be had."""
    shell = _shell(path)
    if not shell.graph.node:
        raise ModelError(f"{path.name} holds an ONNX model without a single operator. Export it.")
    _require_sound(shell.graph, path)
    names = _external_files(shell, path)
    if not names:
        _require_whole(shell, path)
        return OnnxFile(shell, _digest([path]), path.stat().st_size)
    try:
        # onnx refuses links; onnxruntime follows hard links.
        model = onnx.load(str(path))
    except (onnx.checker.ValidationError, OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path.name} keeps its weights in {', '.join(names)}, which cannot be read: "
            f"{_first_line(error)}. {_BESIDE}"
        ) from error
    _require_whole(model, path)
    files = [path, *(path.parent / name for name in names)]
    return OnnxFile(model, _digest(files), sum(f.stat().st_size for f in files))


def _shell(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise ModelError(
            f"{path.name} is not an ONNX model ({_first_line(error)}). Give a file written by an "
            "ONNX exporter."
        ) from error


def external_names(path: Path) -> list[str]:
    """What an ONNX file calls the files that hold its weights; none of them is looked at."""
    stated = (
        entry.value
        for tensor in external_data_helper._get_all_tensors(_shell(path))
        if external_data_helper.uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    )
    return sorted(set(stated))


def _require_sound(graph: onnx.GraphProto, path: Path) -> None:
    """Raise ModelError for what would be followed without end, or read where nothing is."""
    wrong = None
    if not graph.output:
        wrong = "a graph without an output, expected class scores"
    elif odd := [o.name for o in graph.output if not o.type.HasField("tensor_type")]:
        wrong = f"the output {odd[0]!r} that is no tensor, expected class scores"
    elif bare := [n for n in graph.node if n.op_type in REQUANTISING and len(n.input) < 2]:
        wrong = f"a {bare[0].op_type} without a scale, expected a tensor and its scale"
    else:
        makers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
        reads = {
            i: {makers[name] for name in node.input if name in makers}
            for i, node in enumerate(graph.node)
        }
        try:
            TopologicalSorter(reads).prepare()
        except CycleError as error:
            at = graph.node[error.args[1][0]]
            wrong = f"a graph that runs in a circle at {at.op_type} {at.name!r}, expected an end"
    if wrong is not None:
        raise ModelError(f"{path.name} holds {wrong}. Export the model again.")


def _require_whole(model: onnx.ModelProto, path: Path) -> None:
    """Raise ModelError for weights of which the file does not hold as many numbers as it states."""
    for tensor in external_data_helper._get_all_tensors(model):
        if tensor.data_type not in _WHOLE_BYTES:
            continue
        if tensor.HasField("raw_data"):
            held = len(tensor.raw_data) / _WHOLE_BYTES[tensor.data_type]
        else:
            held = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type)))
        if min(tensor.dims, default=0) < 0 or math.prod(tensor.dims) != held:
            raise ModelError(
                f"{path.name} holds {held:,g} numbers of the weights {tensor.name[:60]!r}, "
                f"expected those of the shape {list(tensor.dims)[:8]}. Copy the file again, with "
                "those beside it, or export the model again."
            )


def _external_files(model: onnx.ModelProto, path: Path) -> list[str]:
    """Files beside `path` that hold tensors of `model`; every tensor lies inside of its file."""
    sizes: dict[str, int] = {}
    for tensor in external_data_helper._get_all_tensors(model):
        if not external_data_helper.uses_external_data(tensor):
            continue
        stored = {entry.key: entry.value for entry in tensor.external_data}
        name = stored.get("location", "")
        if name not in sizes:
            sizes[name] = require_file(
                path.parent / name,
                what=f"{path.name} keeps its weights in another file, which cannot be read",
                at_most=LARGEST_FILE,
                within=path.parent,
                error=ModelError,
                remedy=_BESIDE,
            )
        _require_inside(stored, tensor, sizes[name])
    if sum(sizes.values()) > LARGEST_FILE:
        raise ModelError(
            f"{path.name} keeps {shown_bytes(sum(sizes.values()))} of weights in other files, "
            f"expected at most {shown_bytes(LARGEST_FILE)}. Export it in float16."
        )
    return sorted(sizes)


def _require_inside(stored: Mapping[str, str], tensor: onnx.TensorProto, size: int) -> None:
    numbers = [stored.get(key, "0") for key in ("offset", "length")]
    if (
        not all(n.isascii() and n.isdigit() and len(n) < 20 for n in numbers)
        or sum(map(int, numbers)) > size
    ):
        raise ModelError(
            f"the weights {tensor.name!r} are said to lie at byte {numbers[0]} for {numbers[1]} "
            f"bytes of a file of {size}, expected a place inside of it. {_BESIDE}"
        )


def _digest(files: list[Path]) -> str:
    if len(files) == 1:
        return _sha256(files[0])
    return hashlib.sha256("".join(_sha256(f) for f in files).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """The top level of a model's graph, to walk in both directions."""

    model: onnx.ModelProto

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        return list(self.model.graph.node)

    @cached_property
    def initializers(self) -> dict[str, onnx.TensorProto]:
        return {each.name: each for each in self.model.graph.initializer}

    @cached_property
    def producers(self) -> dict[str, onnx.NodeProto]:
        return {name: node for node in self.model.graph.node for name in node.output if name}

    @cached_property
    def inputs(self) -> tuple[onnx.ValueInfoProto, ...]:
        """Inputs that a caller must give: old files list their weights among the inputs too."""
        return tuple(i for i in self.model.graph.input if i.name not in self.initializers)

    @property
    def outputs(self) -> tuple[onnx.ValueInfoProto, ...]:
        return tuple(self.model.graph.output)

    @property
    def opset(self) -> int:
        versions = [o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")]
        return int(max(versions, default=1))

    @cached_property
    def constants(self) -> frozenset[str]:
        """Tensors that no image changes: initialisers and whatever is computed from them alone."""
        found = set(self.initializers)
        for node in self.model.graph.node:
            given = [name for name in node.input if name]
            if node.op_type == "Constant" or (given and found.issuperset(given)):
                found.update(node.output)
        return frozenset(found)

    def value(self, name: str) -> np.ndarray | None:
        """Numbers of an initialiser or Constant; None where the tensor is neither."""
        if name in self.initializers:
            return np.asarray(numpy_helper.to_array(self.initializers[name]))
        node = self.producers.get(name)
        if node is None:
            return None
        if node.op_type == "Constant":
            held = [a.t for a in node.attribute if a.name == "value"]
            return np.asarray(numpy_helper.to_array(held[0])) if held else None
        return self.value(node.input[0]) if node.op_type == "Identity" else None

    def shape_of_constant(self, name: str) -> tuple[int, ...] | None:
        """Shape of a constant, followed through operators that keep it; None where unknown."""
        if name in self.initializers:
            return tuple(self.initializers[name].dims)
        found = self.value(name)
        if found is not None:
            return found.shape
        node = self.producers.get(name)
        if node is None or not node.input or node.op_type not in _DERIVING - {"Reshape", "Flatten"}:
            return None
        shape = self.shape_of_constant(node.input[0])
        if shape is None or node.op_type != "Transpose":
            return shape
        order = attribute(node, "perm") or tuple(reversed(range(len(shape))))
        return tuple(shape[axis] for axis in order)

    def data_input(self, node: onnx.NodeProto) -> str | None:
        """The node's only input that an image changes; None where there are several."""
        moving = [name for name in node.input if name and name not in self.constants]
        return moving[0] if len(moving) == 1 else None

    def back_from(self, name: str) -> Iterator[onnx.NodeProto]:
        """Nodes from the one that makes `name` towards the input, while each has one data input."""
        at: str | None = name
        while at is not None and (node := self.producers.get(at)) is not None:
            yield node
            at = self.data_input(node)


def attribute(node: onnx.NodeProto, name: str) -> tuple[int, ...] | None:
    """An attribute of integers; None where the node does not have it."""
    for each in node.attribute:
        if each.name == name:
            return tuple(each.ints) if each.type == onnx.AttributeProto.INTS else (each.i,)
    return None


def tensor_facts(info: onnx.ValueInfoProto) -> TensorFacts:
    """Name, shape and element type of a graph's input or output."""
    tensor = info.type.tensor_type
    shape = tuple(
        int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None
        for d in tensor.shape.dim
    )
    return TensorFacts(info.name, shape, _TYPE_NAMES.get(tensor.elem_type, "not a tensor"))


_TYPE_NAMES = {
    onnx.TensorProto.FLOAT: "tensor(float)",
    onnx.TensorProto.FLOAT16: "tensor(float16)",
    onnx.TensorProto.DOUBLE: "tensor(double)",
    onnx.TensorProto.UINT8: "tensor(uint8)",
    onnx.TensorProto.INT8: "tensor(int8)",
    onnx.TensorProto.INT32: "tensor(int32)",
    onnx.TensorProto.INT64: "tensor(int64)",
    onnx.TensorProto.BOOL: "tensor(bool)",
    onnx.TensorProto.STRING: "tensor(string)",
}


def ending_of(graph: OnnxGraph, output: str) -> Ending:
    """What the graph's last operator that changes numbers is, for the output of that name."""
    for node in graph.back_from(output):
        if node.op_type in _SOFTMAX and attribute(node, "axis") != (0,):
            return "softmax"
        if _divides_by_its_sum(graph, node):
            return "softmax"
        if node.op_type in _SIGMOID:
            return "sigmoid"
        if node.op_type not in _DERIVING | _KEEPING:
            return "none"
    return "none"


def _divides_by_its_sum(graph: OnnxGraph, node: onnx.NodeProto) -> bool:
    """Whether a node is the end of a softmax written out: exponentials divided by their sum.

    The sum is over the classes; over the images of a batch, or all at once, it is none.
    """
    if node.op_type != "Div":
        return False
    above, below = (graph.producers.get(name) for name in node.input[:2])
    if above is None or below is None or (above.op_type, below.op_type) != ("Exp", "ReduceSum"):
        return False
    axes = attribute(below, "axes")
    if axes is None and len(below.input) > 1:
        found = graph.value(below.input[1])
        axes = None if found is None else tuple(int(axis) for axis in found.ravel())
    return below.input[0] == node.input[0] and axes in ((1,), (-1,))


def dequantisation_of(graph: OnnxGraph, output: str) -> Dequantisation | None:
    """Scale and zero point of an integer output that a QuantizeLinear makes; None elsewhere."""
    for node in graph.back_from(output):
        if node.op_type == "QuantizeLinear":
            return _scale_of(graph, node)
        if node.op_type not in RESHAPING:
            return None
    return None


def _scale_of(graph: OnnxGraph, node: onnx.NodeProto) -> Dequantisation | None:
    scale = graph.value(node.input[1])
    zero = graph.value(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    if scale is None or zero is None or scale.size != 1:
        return None
    return Dequantisation(float(scale.item()), int(zero.item()))


def serialised(model: onnx.ModelProto, *, extra_output: str | None = None) -> bytes:
    """The model's bytes, with one more graph output where asked for.

    The output is left untyped, which onnxruntime accepts, because its shape need not be known.
    Raises ModelError above protobuf's limit of 2 GB.
    """
    known = {o.name for o in model.graph.output}
    try:
        if extra_output is None or extra_output in known:
            content: bytes = model.SerializeToString()
            return content
        model.graph.output.append(onnx.ValueInfoProto(name=extra_output))
        try:
            content = model.SerializeToString()
        finally:
            model.graph.output.pop()
    except (EncodeError, ValueError) as error:
        raise ModelError(
            "The model is larger than 2 GB, which is more than can be loaded. Export it in "
            "float16, or audit a smaller form."
        ) from error
    return content
