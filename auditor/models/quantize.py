"""An INT8 form of an ONNX classifier: static quantization, calibrated on images.

QDQ format, unsigned 8-bit activations, signed 8-bit weights with a scale for each channel,
ranges from the least and greatest activation seen (MinMax). Of the forms that onnxruntime
offers this one is the fast one on x86; signed activations and dynamic quantization run no
faster than float there (Krishnamoorthi 2018, arXiv:1806.08342, on the scheme).
"""

from __future__ import annotations

import json
import platform
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter

from auditor.errors import ModelError
from auditor.models.inputs import InputBuffers
from auditor.models.onnx_graph import OnnxGraph, read_onnx, serialised, tensor_facts
from auditor.spec import InputSpec

QUANTIZER_VERSION = 1
"""Changes when the same model and images would give another file; enters store keys."""

MIN_OPSET = 13
"""The first opset whose DequantizeLinear takes a scale for each channel."""

_NOTES_KEY = "auditor.int8"
_QUANTISED_OPS = frozenset(
    {"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
)
_WEIGHTED_OPS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_EXPORT = (
    "Quantise it with the framework that it will ship with, and audit that file as a model of "
    "its own (`model.path`)."
)


def quantize_int8(model_path: Path, *, calibration: np.ndarray, input: InputSpec) -> bytes:
    """The INT8 form of an ONNX model, as a file's content; same arguments, same bytes.

    Parses and runs the model in this process: `auditor.models.contained.int8_form` contains it.

    Parameters
    ----------
    model_path : an ONNX file with one input, float32, float16 or uint8.
    calibration : (n, h, w, 3) uint8 RGB frames at the size of `input`, n from 1.

    Raises
    ------
    ModelError
        If the file is no ONNX model, is quantised already, has no layer to quantise, or is one
        that onnxruntime cannot quantise.
    """
    if not len(calibration):
        raise ModelError(
            "INT8 calibration: found no image, expected one or more. Give readable training or "
            "test images."
        )
    graph = OnnxGraph(read_onnx(model_path).model)
    _refuse_what_cannot_be_quantised(graph, model_path)
    reduced = needs_reduced_range(_cpu_flags(), machine=platform.machine())
    with tempfile.TemporaryDirectory(prefix="auditor-int8-") as folder:
        made = _quantise(
            _at_least_opset(graph, MIN_OPSET),
            _Feeds(calibration, input=input, graph=graph),
            folder=Path(folder),
            reduced=reduced,
        )
    if not is_quantised(OnnxGraph(made)):
        raise ModelError(
            f"{model_path.name}: onnxruntime quantised no layer of it, expected at least one. "
            f"{_EXPORT}"
        )
    notes = _notes(len(calibration), opset=graph.opset, reduced=reduced)
    onnx.helper.set_model_props(made, {_NOTES_KEY: json.dumps(notes)})
    return bytes(made.SerializeToString(deterministic=True))


def quantization_notes(path: Path) -> tuple[str, ...]:
    """How an INT8 file of `quantize_int8` was made; empty for a file of another maker."""
    model = onnx.load(path, load_external_data=False)
    stored = [p.value for p in model.metadata_props if p.key == _NOTES_KEY]
    return tuple(json.loads(stored[0])) if stored else ()


def is_quantised(graph: OnnxGraph) -> bool:
    """Whether any weight is stored in, or rounded to, integers (activations do not count)."""
    return any(
        node.op_type in _QUANTISED_OPS
        or (node.op_type == "DequantizeLinear" and node.input[0] in graph.constants)
        for node in graph.nodes
    )


def needs_reduced_range(cpu_flags: frozenset[str], *, machine: str) -> bool:
    """Whether weights must be kept to 7 bits so that 16-bit sums do not overflow.

    They must on x86 without VNNI instructions (onnxruntime issue 12072).
    """
    x86 = machine.lower() in ("x86_64", "amd64", "i386", "i686")
    return x86 and not {"avx512_vnni", "avx_vnni"} & cpu_flags


def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())


def _refuse_what_cannot_be_quantised(graph: OnnxGraph, path: Path) -> None:
    if is_quantised(graph):
        raise ModelError(
            f"{path.name}: found a model whose weights are quantised already, expected one in "
            "floating point; quantising it again would make it slower and no smaller. Audit it "
            "as it is, or give the floating-point file."
        )
    if not any(node.op_type in _WEIGHTED_OPS for node in graph.nodes):
        raise ModelError(
            f"{path.name}: found no convolution or matrix product, expected at least one to "
            f"quantise. {_EXPORT}"
        )
    if len(graph.inputs) != 1:
        found = ", ".join(i.name for i in graph.inputs) or "none"
        raise ModelError(f"{path.name}: found inputs {found}, expected one, the image. {_EXPORT}")


def _at_least_opset(graph: OnnxGraph, least: int) -> onnx.ModelProto:
    if graph.opset >= least:
        return graph.model
    try:
        return version_converter.convert_version(graph.model, least)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"found opset {graph.opset}, expected {least} or later, and the conversion failed "
            f"({error}). Export the model again with opset {least} or later."
        ) from error


class _Feeds:
    """Calibration inputs one batch at a time, as onnxruntime's quantizer reads them."""

    def __init__(self, frames: np.ndarray, *, input: InputSpec, graph: OnnxGraph) -> None:
        facts = tensor_facts(graph.inputs[0])
        # With a free batch axis one image at a time, so that memory does not grow with `frames`.
        batch = (facts.shape[0] if facts.shape else None) or 1
        rows = np.arange(len(frames))
        # The last batch of a model with a fixed one is filled up with its own images.
        batches = (
            frames[np.resize(rows[at : at + batch], batch)] for at in range(0, len(rows), batch)
        )
        buffers = InputBuffers()
        self._feeds = ({facts.name: buffers.fill(some, input=input)} for some in batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _quantise(
    model: onnx.ModelProto, feeds: _Feeds, *, folder: Path, reduced: bool
) -> onnx.ModelProto:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    CalibrationDataReader.register(_Feeds)
    prepared, quantised = folder / "prepared.onnx", folder / "int8.onnx"
    try:
        _fold(model, prepared)
        quantize_static(
            prepared,
            quantised,
            feeds,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduced,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
    except Exception as error:
        raise ModelError(
            f"onnxruntime cannot quantise this model ({type(error).__name__}: {error}). {_EXPORT}"
        ) from error
    return onnx.load(quantised)


def _fold(model: onnx.ModelProto, out: Path) -> None:
    """Write the graph with its batch normalisation folded into convolutions.

    Left beside them it would stay in float. onnxruntime's own `quant_pre_process` does the same,
    but loses constants of graphs that were quantised once and turned back to float.
    """
    import onnxruntime

    if any(i.data_type == onnx.TensorProto.FLOAT16 for i in model.graph.initializer):
        # Here onnxruntime would compute in float32 and keep the weights as they are.
        onnx.save(model, out)
        return
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    onnxruntime.InferenceSession(serialised(model), options, providers=["CPUExecutionProvider"])


def _notes(n_images: int, *, opset: int, reduced: bool) -> tuple[str, ...]:
    from onnxruntime import __version__ as runtime

    notes = [
        f"Static quantization by onnxruntime {runtime}: unsigned 8-bit activations, signed "
        f"{7 if reduced else 8}-bit weights with a scale for each channel, quantise and "
        "dequantise nodes (QDQ).",
        f"Activation ranges are the least and greatest values over {n_images} "
        "calibration images (MinMax).",
    ]
    if reduced:
        notes.append(
            "Weights are kept to 7 bits because this machine has no VNNI instructions; where the "
            "target has them, 8 bits lose less accuracy."
        )
    if opset < MIN_OPSET:
        notes.append(f"The graph was first converted from opset {opset} to {MIN_OPSET}.")
    return tuple(notes)
