"""An ONNX model behind the `Predictor` protocol; the importer of onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

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
from auditor.models.operator_lists import operators_of
from auditor.models.outputs import class_output, output_widths, reading_for
from auditor.models.penultimate import Penultimate, as_vectors, find_penultimate, named_penultimate
from auditor.models.predictor import Prediction
from auditor.models.probe import probe_frames
from auditor.models.readings import ClassReading, HeadReading, OwnDecoder, Reading
from auditor.models.sparsity import onnx_weights, sparsity_of
from auditor.models.stated import require_task
from auditor.models.steps import no_answers, predict_in_steps
from auditor.spec import InputSpec, ModelSpec, OutputKeys, RuntimeSpec
from auditor.spec.spec_file import audited_classes

# onnxruntime's own errors share no parent but Exception.
_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(e for e in vars(binding).values() if isinstance(e, type) and issubclass(e, Exception)),
)

_SOURCE = "/onnxruntime_src/"
"""How places in onnxruntime's source begin, which its errors name before their reason."""

_LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


@dataclass(frozen=True)
class _Plan:
    """What is fixed about a model before it runs: names, reading, embedding, facts."""

    input: TensorFacts
    reading: Reading
    penultimate: Penultimate | None
    architecture: ArchitectureFacts
    facts: ModelFacts


class OnnxPredictor:
    """One shared session; a fixed batch is driven in that size, a free one takes what is given."""

    def __init__(
        self,
        plan: _Plan,
        *,
        session: onnxruntime.InferenceSession,
        input: InputSpec,
        runtime: RuntimeSpec,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._input = input
        self._buffers = InputBuffers()
        self._session = session
        self._step = plan.reading.step or plan.input.shape[0]
        # An export for one image may have no axis of images.
        self._alone = len(plan.input.shape) == 3
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
            [self._runtime.optimisation, self._runtime.threads],
            cpu_features(),
            [plan.reading.key(), self._step],
            None if plan.penultimate is None else asdict(plan.penultimate),
        )

    def predict(
        self,
        frames: np.ndarray,
        *,
        input: InputSpec | None = None,
        embedding: bool = False,
        output: OutputKeys = (),
    ) -> Prediction:
        """Answer for frames (see `Predictor`); safe from several threads."""
        if embedding and self._plan.penultimate is None:
            raise ModelError(
                "No penultimate activation was found in the model's graph. Name the tensor under "
                "`model.embedding`."
            )
        if not len(frames):
            width = self._width if embedding else None
            return no_answers(self._plan.reading.n_scores, width=width)
        given = input or self._input
        return predict_in_steps(
            frames,
            step=self._step,
            answer=lambda batch: self._answer(batch, given, embedding=embedding, output=output),
        )

    def gradients(self, frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
        raise ModelError(
            "An ONNX model gives no gradients. Audit the PyTorch weights (`model.path` with "
            "`model.architecture`)."
        )

    def _answer(
        self, frames: np.ndarray, given: InputSpec, *, embedding: bool, output: OutputKeys
    ) -> Prediction:
        reading, penultimate = self._plan.reading, self._plan.penultimate
        names = list(reading.outputs or (each.name for each in self._plan.facts.outputs))
        wanted = [penultimate.tensor] if embedding and penultimate is not None else []
        tensor = self._buffers.fill(frames, input=given)
        fed = {self._plan.input.name: tensor[0] if self._alone else tensor}
        with _told("run"):
            found = self._session.run(names + wanted, fed)
        n = len(frames)
        raw = dict(zip(names, found, strict=False))
        tried = output if output or given != self._input else None
        prediction = reading.read(raw, n=n, size=given.size, tried=tried)
        if not wanted or penultimate is None:
            return prediction
        vectors = as_vectors(found[-1], features=penultimate.features, n=n)
        return replace(prediction, embedding=vectors)

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


def open_onnx(
    path: Path,
    *,
    model: ModelSpec,
    classes: tuple[str, ...],
    renamed: Mapping[str, str | None] = MappingProxyType({}),
    own: OwnDecoder | None = None,
    runtime: RuntimeSpec | None = None,
) -> OnnxPredictor:
    """Load an ONNX model; raises ModelError for whatever does not fit the spec.

    `renamed` is what the audit calls some of the `classes` (`data.classes.map`), `own` the user's
    decoder where the spec names one, `runtime` another way to run it than the audit's own.
    """
    file = read_onnx(path)
    graph = OnnxGraph(file.model)
    given = only_input(graph)
    require_fit(given, model.input, alone=model.head is not None)
    reading = (
        _class_reading(graph, model, classes)
        if model.head is None
        else HeadReading.of(model.head, classes, renamed, own)
    )
    stated = file.stated(path)
    require_task(stated, path.name, task=model.task)
    plan = _plan_of(file, graph, given, reading, model=model)
    background = None if model.head is not None else model.output_spec.background
    facts = replace(
        plan.facts,
        classes=audited_classes(classes, renamed),
        notes=tuple(filter(None, [stated.note(classes, background=background)])),
        listed_classes=stated.order_of(classes, background=background),
        trusted_code=own is not None,
    )
    plan = replace(plan, facts=facts)
    extra = None if plan.penultimate is None else plan.penultimate.tensor
    run = RuntimeSpec(providers=(_provider(model.device),)) if runtime is None else runtime
    session = open_session(serialised(file.model, extra_output=extra), run)
    return OnnxPredictor(plan, session=session, input=model.input, runtime=run)


def _class_reading(graph: OnnxGraph, model: ModelSpec, classes: tuple[str, ...]) -> ClassReading:
    spec = model.output_spec
    outputs = tuple(tensor_facts(each) for each in graph.outputs)
    output = class_output(outputs, widths=output_widths(spec, len(classes)), name=model.output_name)
    reading = reading_for(
        spec,
        n_classes=len(classes),
        ending=ending_of(graph, output),
        dequantisation=dequantisation_of(graph, output),
    )
    return ClassReading(output, reading)


def _plan_of(
    file: OnnxFile, graph: OnnxGraph, given: TensorFacts, reading: Reading, *, model: ModelSpec
) -> _Plan:
    outputs = tuple(tensor_facts(each) for each in graph.outputs)
    first = (*reading.outputs, outputs[0].name)[0]
    penultimate = _penultimate(graph, first, wanted=model.embedding)
    architecture = onnx_architecture(graph, input=model.input)
    return _Plan(
        input=given,
        reading=reading,
        penultimate=penultimate,
        architecture=architecture,
        facts=ModelFacts(
            task=model.task,
            format="onnx",
            digest=file.digest,
            file_bytes=file.file_bytes,
            inputs=(given,),
            outputs=outputs,
            classes=(),
            n_parameters=architecture.n_parameters,
            flops=architecture.flops,
            opset=graph.opset,
            differentiable=False,
            embedding=None if penultimate is None else penultimate.tensor,
            quantised=architecture.quantised,
            sparsity=sparsity_of(onnx_weights(graph)),
            operators=operators_of(graph.model.graph),
        ),
    )


def _penultimate(graph: OnnxGraph, output: str, *, wanted: str | None) -> Penultimate | None:
    if wanted is None:
        return None
    return find_penultimate(graph, output) if wanted == "auto" else named_penultimate(graph, wanted)


def _provider(device: str) -> str:
    wanted = "CUDAExecutionProvider" if device.startswith("cuda") else "CPUExecutionProvider"
    return wanted if wanted in onnxruntime.get_available_providers() else "CPUExecutionProvider"


def open_session(content: bytes, runtime: RuntimeSpec) -> onnxruntime.InferenceSession:
    """A session of a model's bytes; raises ModelError for what cannot be loaded or run so."""
    has = onnxruntime.get_available_providers()
    missing = sorted(set(runtime.providers) - set(has))
    if missing:
        raise ModelError(
            f"found no {', '.join(missing)} in this onnxruntime, expected every one of "
            f"`runtime.providers`; it has {', '.join(has)}. Install the onnxruntime that has it, "
            "or audit on the machine that does."
        )
    options = onnxruntime.SessionOptions()
    # The engine runs one thread an image; more within a call would only fight over the cores.
    options.intra_op_num_threads = runtime.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = _LEVELS[runtime.optimisation]
    options.log_severity_level = 4
    with _told("loaded"):
        return onnxruntime.InferenceSession(content, options, providers=list(runtime.providers))


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn onnxruntime's errors into ModelError; `what` could not be done with the model."""
    try:
        yield
    except _ERRORS as error:
        raise ModelError(
            f"onnxruntime says that the model cannot be {what}: {_without_place(str(error))}. "
            "Export it again, with an opset and operators that onnxruntime supports."
        ) from error


def _without_place(said: str) -> str:
    """The first line of an error of onnxruntime, without where in its source it was raised."""
    line = (said.strip() or "no reason").splitlines()[0]
    before, place, after = line.partition(_SOURCE)
    if not place:
        return line[:300].rstrip(".")
    # The place is a file, a line and a function's signature, parentheses and all.
    end = after.find("(") + 1
    while after.count("(", 0, end) > after.count(")", 0, end) and end < len(after):
        end += 1
    reason = after[end:].removeprefix(" const").strip()
    return f"{before}{reason}"[:300].rstrip(".")
