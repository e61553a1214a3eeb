"""An ONNX classifier behind the `Predictor` protocol; the importer of onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as binding

from auditor.errors import ModelError
from auditor.findings import ModelFacts, TensorFacts
from auditor.models.architecture import ArchitectureFacts
from auditor.models.fit import only_input, require_fit
from auditor.models.identity import cpu_features, digest_of
from auditor.models.inputs import InputBuffers
from auditor.models.onnx_graph import (
    OnnxFile,
    OnnxGraph,
    dequantisation_of,
    ending_of,
    read_onnx,
    serialised,
    tensor_facts,
)
from auditor.models.onnx_layers import onnx_architecture
from auditor.models.outputs import OutputReading, class_output, output_widths, reading_for
from auditor.models.penultimate import Penultimate, as_vectors, find_penultimate, named_penultimate
from auditor.models.predictor import Prediction
from auditor.models.probe import probe_frames
from auditor.models.stated import require_classifier
from auditor.models.steps import no_answers, predict_in_steps
from auditor.spec import InputSpec, ModelSpec

# onnxruntime's own errors share no parent but Exception.
_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(e for e in vars(binding).values() if isinstance(e, type) and issubclass(e, Exception)),
)

_OPTIMISATION = "all optimisations, one thread"


@dataclass(frozen=True)
class _Plan:
    """What is fixed about a model before it runs: names, reading, embedding, facts."""

    input: TensorFacts
    output: str
    reading: OutputReading
    penultimate: Penultimate | None
    architecture: ArchitectureFacts
    facts: ModelFacts


class OnnxPredictor:
    """One shared session; a fixed batch is driven in that size, a free one takes what is given."""

    def __init__(
        self, plan: _Plan, *, session: onnxruntime.InferenceSession, input: InputSpec
    ) -> None:
        self._plan = plan
        self._input = input
        self._buffers = InputBuffers()
        self._session = session
        self._step = plan.input.shape[0]
        self._width = 0
        self._try_out()

    @property
    def facts(self) -> ModelFacts:
        return self._plan.facts

    @property
    def architecture(self) -> ArchitectureFacts:
        return self._plan.architecture

    @property
    def digest(self) -> str:
        plan = self._plan
        return digest_of(
            plan.facts.digest,
            ["onnxruntime", onnxruntime.__version__, self._session.get_providers()],
            _OPTIMISATION,
            cpu_features(),
            [plan.output, asdict(plan.reading), self._step],
            None if plan.penultimate is None else asdict(plan.penultimate),
        )

    def predict(
        self, frames: np.ndarray, *, input: InputSpec | None = None, embedding: bool = False
    ) -> Prediction:
        """Answer for frames (see `Predictor`); safe from several threads."""
        if embedding and self._plan.penultimate is None:
            raise ModelError(
                "No penultimate activation was found in the model's graph. Name the tensor under "
                "`model.embedding`."
            )
        if not len(frames):
            return no_answers(
                self._plan.reading.n_classes, width=self._width if embedding else None
            )
        given = input or self._input
        return predict_in_steps(
            frames, step=self._step, answer=lambda batch: self._answer(batch, given, embedding)
        )

    def gradients(self, frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
        raise ModelError(
            "An ONNX model gives no gradients. Audit the PyTorch weights (`model.path` with "
            "`model.architecture`)."
        )

    def _answer(self, frames: np.ndarray, given: InputSpec, embedding: bool) -> Prediction:
        names, penultimate = [self._plan.output], self._plan.penultimate
        if embedding and penultimate is not None:
            names.append(penultimate.tensor)
        tensor = self._buffers.fill(frames, input=given)
        with _told("run"):
            found = self._session.run(names, {self._plan.input.name: tensor})
        n = len(frames)
        probabilities = self._plan.reading.read(found[0], n=n)
        if not embedding or penultimate is None:
            return Prediction(probabilities, None)
        return Prediction(probabilities, as_vectors(found[1], features=penultimate.features, n=n))

    def _try_out(self) -> None:
        """One image, then two: a graph may declare a free batch and fix it inside."""
        frames = probe_frames(self._input, n=2)
        first = self.predict(frames[:1], embedding=self._plan.penultimate is not None)
        if first.embedding is not None:
            self._width = first.embedding.shape[1]
        if self._step is not None:
            return
        try:
            self.predict(frames)
        except ModelError:
            self._step = 1


def open_onnx(path: Path, *, model: ModelSpec, classes: tuple[str, ...]) -> OnnxPredictor:
    """Load an ONNX classifier; raises ModelError for whatever does not fit the spec."""
    file = read_onnx(path)
    graph = OnnxGraph(file.model)
    given = only_input(graph)
    require_fit(given, model.input)
    plan = _plan_of(path, file, graph, given, model=model, classes=classes)
    extra = None if plan.penultimate is None else plan.penultimate.tensor
    session = _open_session(serialised(file.model, extra_output=extra), _provider(model.device))
    return OnnxPredictor(plan, session=session, input=model.input)


def _plan_of(
    path: Path,
    file: OnnxFile,
    graph: OnnxGraph,
    given: TensorFacts,
    *,
    model: ModelSpec,
    classes: tuple[str, ...],
) -> _Plan:
    spec = model.output_spec
    outputs = tuple(tensor_facts(each) for each in graph.outputs)
    output = class_output(outputs, widths=output_widths(spec, len(classes)), name=model.output_name)
    stated = file.stated(path)
    require_classifier(stated, path.name)
    penultimate = _penultimate(graph, output, wanted=model.embedding)
    architecture = onnx_architecture(graph, input=model.input)
    return _Plan(
        input=given,
        output=output,
        reading=reading_for(
            spec,
            n_classes=len(classes),
            ending=ending_of(graph, output),
            dequantisation=dequantisation_of(graph, output),
        ),
        penultimate=penultimate,
        architecture=architecture,
        facts=ModelFacts(
            task=model.task,
            format="onnx",
            digest=file.digest,
            file_bytes=file.file_bytes,
            inputs=(given,),
            outputs=outputs,
            classes=classes,
            n_parameters=architecture.n_parameters,
            flops=architecture.flops,
            opset=graph.opset,
            differentiable=False,
            embedding=None if penultimate is None else penultimate.tensor,
            quantised=architecture.quantised,
            notes=tuple(filter(None, [stated.note(classes, background=spec.background)])),
            listed_classes=stated.order_of(classes, background=spec.background),
        ),
    )


def _penultimate(graph: OnnxGraph, output: str, *, wanted: str | None) -> Penultimate | None:
    if wanted is None:
        return None
    return find_penultimate(graph, output) if wanted == "auto" else named_penultimate(graph, wanted)


def _provider(device: str) -> str:
    wanted = "CUDAExecutionProvider" if device.startswith("cuda") else "CPUExecutionProvider"
    return wanted if wanted in onnxruntime.get_available_providers() else "CPUExecutionProvider"


def _open_session(content: bytes, provider: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # The engine runs one thread an image; more within a call would only fight over the cores.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    with _told("loaded"):
        return onnxruntime.InferenceSession(content, options, providers=[provider])


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn onnxruntime's errors into ModelError; `what` could not be done with the model."""
    try:
        yield
    except _ERRORS as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ModelError(
            f"onnxruntime says that the model cannot be {what}: {first} Export it again, with an "
            "opset and operators that onnxruntime supports."
        ) from error
