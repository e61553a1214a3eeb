"""An INT8 form of an ONNX model: static quantization, calibrated on images.

QDQ format, unsigned 8-bit activations, signed 8-bit weights with a scale for each channel. Of the
forms that onnxruntime offers this one is the fast one on x86; signed activations and dynamic
quantization run no faster than float there (Krishnamoorthi 2018, arXiv:1806.08342, on the scheme).

Ranges of activations are tried by several calibrators, for a choice of one can cost tens of points
of accuracy (`CALIBRATORS`). The form is kept whose outputs lie nearest those of the model as given,
on images that it was not calibrated with; no label is looked at.
"""

from __future__ import annotations

import contextlib
import io
import json
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter

from auditor.errors import ModelError
from auditor.models.form_facts import MOST_NOISE, Calibrator, QuantizationNotes
from auditor.models.inputs import InputBuffers
from auditor.models.onnx_graph import OnnxGraph, read_onnx, serialised, tensor_facts
from auditor.record.codec import decode, encode
from auditor.spec import InputSpec

QUANTIZER_VERSION = 2
"""Changes when the same model and images would give another file; enters store keys."""

MIN_OPSET = 13
"""The first opset whose DequantizeLinear takes a scale for each channel."""

CALIBRATORS = ("MinMax", "Percentile")
"""MinMax: the least and greatest activation seen. Percentile: the `PERCENTILE` of them."""

PERCENTILE = 99.99
"""Share of activations, in percent, that lie within the range; half of the rest at each end."""

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

    Every second image is held out to choose among `CALIBRATORS`; of one image there is no choice
    but on itself.

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
    reduced = needs_reduced_range(cpu_flags(), machine=platform.machine())
    fit, held = calibration[::2], calibration[1::2] if len(calibration) > 1 else calibration
    forms, tried = _forms(graph, fit, held, input=input, reduced=reduced)
    best = _best(tried)
    if not is_quantised(OnnxGraph(forms[best.name])):
        raise ModelError(
            f"{model_path.name}: onnxruntime quantised no layer of it, expected at least one. "
            f"{_EXPORT}"
        )
    notes = QuantizationNotes(
        said=_notes(tried, best, len(fit), len(held), opset=graph.opset, reduced=reduced),
        calibrators=tuple(replace(t, chosen=t is best) for t in tried),
        calibrated=len(fit),
        held_out=len(held),
    )
    onnx.helper.set_model_props(forms[best.name], {_NOTES_KEY: json.dumps(encode(notes))})
    return bytes(forms[best.name].SerializeToString(deterministic=True))


def _forms(
    graph: OnnxGraph, fit: np.ndarray, held: np.ndarray, *, input: InputSpec, reduced: bool
) -> tuple[dict[str, onnx.ModelProto], list[Calibrator]]:
    """The form that each calibrator gives, by its name, and how far off its outputs are."""
    forms: dict[str, onnx.ModelProto] = {}
    tried = []
    with tempfile.TemporaryDirectory(prefix="auditor-int8-") as folder:
        prepared = Path(folder) / "prepared.onnx"
        with _told():
            _fold(_at_least_opset(graph, MIN_OPSET), prepared)
        reference = _outputs(prepared.read_bytes(), _Feeds(held, input=input, graph=graph))
        for name in CALIBRATORS:
            feeds = _Feeds(fit, input=input, graph=graph)
            try:
                made = _quantise(prepared, feeds, calibrator=name, reduced=reduced)
                found = _outputs(made.SerializeToString(), _Feeds(held, input=input, graph=graph))
            except ModelError as error:
                tried.append(Calibrator(name, None, failed=str(error)))
                continue
            forms[name] = made
            tried.append(Calibrator(name, noise_of(found, reference)))
    return forms, tried


def _best(tried: list[Calibrator]) -> Calibrator:
    """The first of the least noise; the first one's error where no form was made."""
    made = [t for t in tried if t.noise is not None]
    if not made:
        raise ModelError(tried[0].failed)
    return min(made, key=lambda t: t.noise if t.noise is not None else np.inf)


def quantization_notes(path: Path) -> QuantizationNotes:
    """How an INT8 file was made, as far as it says so."""
    model = onnx.load(path, load_external_data=False)
    stored = [p.value for p in model.metadata_props if p.key == _NOTES_KEY]
    if not stored:
        return QuantizationNotes()
    found: QuantizationNotes = decode(QuantizationNotes, json.loads(stored[0]))
    return found


def noise_of(found: list[np.ndarray], reference: list[np.ndarray]) -> float:
    """Mean square error of outputs over the variance that images make in them, mean over outputs.

    Each (n, ...) for n images, float64; `MOST_NOISE` where a number is not finite. An output that
    no image changes does not count; of one image its own mean square stands for the variance.
    """
    shares = []
    for here, there in zip(found, reference, strict=True):
        centre = there.mean(axis=0) if len(there) > 1 else 0.0
        signal = float(((there - centre) ** 2).mean())
        if signal > 0:
            shares.append(float(((here - there) ** 2).mean()) / signal)
    mean = float(np.mean(shares)) if shares else 0.0
    return min(mean, MOST_NOISE) if np.isfinite(mean) else MOST_NOISE


def _outputs(content: bytes, feeds: _Feeds) -> list[np.ndarray]:
    """Each output over all feeds, (n, ...) float64, of outputs whose size does not change."""
    import onnxruntime

    with _told():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        runs = [session.run(None, feed) for feed in feeds]
    together = [[np.asarray(run[i], dtype=np.float64) for run in runs] for i in range(len(runs[0]))]
    return [np.stack(parts) for parts in together if len({p.shape for p in parts}) == 1]


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


def cpu_flags() -> frozenset[str]:
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
        alone = len(facts.shape) == 3
        # With a free batch axis one image at a time, so that memory does not grow with `frames`.
        batch = (facts.shape[0] if facts.shape and not alone else None) or 1
        rows = np.arange(len(frames))
        # The last batch of a model with a fixed one is filled up with its own images.
        batches = (
            frames[np.resize(rows[at : at + batch], batch)] for at in range(0, len(rows), batch)
        )
        buffers = InputBuffers()
        self._batches = list(batches)
        self._feed = lambda some: {facts.name: buffers.fill(some, input=input)[0 if alone else ...]}
        self.set_range(0, len(self._batches))

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return map(self._feed, self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Feed the batches from `start_index` to before `end_index` next."""
        self._next = map(self._feed, self._batches[start_index:end_index])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._next, None)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn whatever onnxruntime raises of a model into ModelError; print nothing meanwhile."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"onnxruntime cannot quantise this model ({type(error).__name__}: {error}). {_EXPORT}"
        ) from error


def _quantise(prepared: Path, feeds: _Feeds, *, calibrator: str, reduced: bool) -> onnx.ModelProto:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    CalibrationDataReader.register(_Feeds)
    quantised = prepared.with_name(f"{calibrator}.onnx")
    # One batch at a time: else every activation of every image would lie in memory at once.
    by_percentile = {"CalibPercentile": PERCENTILE, "CalibStridedMinMax": 1}
    with _told():
        quantize_static(
            prepared,
            quantised,
            feeds,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduced,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[calibrator],
            extra_options={} if calibrator == "MinMax" else by_percentile,
        )
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


def _notes(
    tried: list[Calibrator], best: Calibrator, fit: int, held: int, *, opset: int, reduced: bool
) -> tuple[str, ...]:
    from onnxruntime import __version__ as runtime

    notes = [
        f"Static quantization by onnxruntime {runtime}: unsigned 8-bit activations, signed "
        f"{7 if reduced else 8}-bit weights with a scale for each channel, quantise and "
        "dequantise nodes (QDQ).",
        f"Activation ranges from {fit} calibration images by {best.name}"
        + (f" ({PERCENTILE}% of the activations)" if best.name == "Percentile" else "")
        + f", chosen among {', '.join(t.name for t in tried)} as the one whose outputs lie nearest "
        f"those of the model as given on {held} images"
        + (" that no range was taken from; no label was looked at." if held > 1 else "."),
    ]
    if reduced:
        notes.append(
            "Weights are kept to 7 bits because this machine has no VNNI instructions; where the "
            "target has them, 8 bits lose less accuracy."
        )
    if opset < MIN_OPSET:
        notes.append(f"The graph was first converted from opset {opset} to {MIN_OPSET}.")
    return tuple(notes)
