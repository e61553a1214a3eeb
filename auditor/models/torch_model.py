"""A PyTorch model behind the `Predictor` protocol, with gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from auditor.errors import ModelError
from auditor.findings import ModelFacts, TensorFacts
from auditor.models.architecture import ArchitectureFacts
from auditor.models.checkpoints import Checkpoint, read_checkpoint
from auditor.models.class_tensor import class_tensor, class_tensor_name, raw_tensors
from auditor.models.fit import inputs_alike, not_taken
from auditor.models.heads.tensors import Raw
from auditor.models.identity import code_digest, cpu_features, digest_of, file_digest
from auditor.models.inputs import InputBuffers, tensor_shape
from auditor.models.outputs import output_widths, reading_for
from auditor.models.penultimate import as_vectors
from auditor.models.predictor import Prediction
from auditor.models.probe import probe_frames
from auditor.models.readings import ClassReading, HeadReading, OwnDecoder, Reading
from auditor.models.sparsity import sparsity_of
from auditor.models.stated import require_task
from auditor.models.steps import no_answers, predict_in_steps
from auditor.models.torch_export import exported, float_weights
from auditor.models.torch_gradients import input_gradients
from auditor.models.torch_head import Head, HeadTap, find_head, named_head
from auditor.models.torch_layers import ending_of_layers, torch_architecture, trace
from auditor.models.torch_settled import device_of, mode_note, settled
from auditor.models.torch_stated import stated_by_torch
from auditor.models.torch_weights import (
    load_exported_program,
    load_torchscript,
    module_with_weights,
)
from auditor.spec import InputSpec, ModelSpec, OutputKeys
from auditor.spec.spec_file import audited_classes

TorchFormat = Literal["torchscript", "torch-weights", "safetensors", "pt2"]

# What a module's forward, which may be anybody's code, raises on an input that it cannot take.
_ERRORS = (
    torch.jit.Error,
    RuntimeError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    KeyError,
    AssertionError,
)


@dataclass(frozen=True)
class _Plan:
    """What is fixed about a module before it runs on images."""

    reading: Reading
    head: Head | None
    architecture: ArchitectureFacts
    facts: ModelFacts
    device: str
    output: str | None
    code: str


class TorchPredictor:
    """One shared module in evaluation mode; calls are safe from several threads."""

    def __init__(self, module: nn.Module, plan: _Plan, *, input: InputSpec) -> None:
        self._module = module
        self._plan = plan
        self._input = input
        self._buffers = InputBuffers()
        self._tap = None if plan.head is None else HeadTap(module, plan.head)
        self._step: int | None = plan.reading.step
        self._width = 0
        self._try_out()

    @property
    def facts(self) -> ModelFacts:
        return self._plan.facts

    @property
    def architecture(self) -> ArchitectureFacts:
        return self._plan.architecture

    @property
    def device(self) -> str:
        """Where it runs: the spec's device, or the CPU where that is absent."""
        return self._plan.device

    @property
    def digest(self) -> str:
        plan = self._plan
        return digest_of(
            plan.facts.digest,
            plan.code,
            ["torch", torch.__version__, plan.device, torch.get_num_threads()],
            cpu_features(),
            [plan.reading.key(), self._step],
            None if plan.head is None else asdict(plan.head),
            plan.output,
        )

    def export(self) -> bytes:
        """The network as an ONNX file with a free batch; ModelError where torch cannot write it."""
        tensors = partial(_tensors, reading=self._plan.reading, output=self._plan.output)
        return exported(self._module, _example(self._input, "cpu"), tensors=tensors)

    def predict(
        self,
        frames: np.ndarray,
        *,
        input: InputSpec | None = None,
        embedding: bool = False,
        output: OutputKeys = (),
    ) -> Prediction:
        """Answer for frames (see `Predictor`); safe from several threads."""
        if embedding and self._tap is None:
            raise ModelError(
                "No penultimate layer was found in the network. Name the module under "
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
        """See `Predictor`: by the model's own input values, channels turned to RGB.

        Probabilities are turned back into logits first. A grey model's gradient is shared
        equally among the three channels.
        """
        if not self.facts.differentiable:
            raise ModelError(
                f"This {self.facts.format} model gives no gradients. Audit the PyTorch weights "
                "(`model.path` with `model.architecture`) with a float32 input."
            )
        reading = self._plan.reading
        assert isinstance(reading, ClassReading)
        tensor = self._tensor(frames, self._input)
        return input_gradients(
            lambda x: class_tensor(_called(self._module, x), self._plan.output),
            tensor,
            classes,
            reading=reading.reading,
            input=self._input,
        )

    def _tensor(self, frames: np.ndarray, given: InputSpec) -> torch.Tensor:
        return torch.from_numpy(self._buffers.fill(frames, input=given)).to(self._plan.device)

    def _answer(
        self, frames: np.ndarray, given: InputSpec, *, embedding: bool, output: OutputKeys
    ) -> Prediction:
        tensor, n, plan = self._tensor(frames, given), len(frames), self._plan
        tried = output if output or given != self._input else None
        with torch.inference_mode():
            if not embedding or self._tap is None:
                raw = _raw(_called(self._module, tensor), plan.reading, plan.output)
                return plan.reading.read(raw, n=n, size=given.size, tried=tried)
            with self._tap.reading() as tap:
                raw = _raw(_called(self._module, tensor), plan.reading, plan.output)
                vectors = as_vectors(_array(tap.found), features=tap.head.features, n=n)
        found = plan.reading.read(raw, n=n, size=given.size, tried=tried)
        return replace(found, embedding=vectors)

    def _try_out(self) -> None:
        """One image, then two: an exported program may have its batch fixed."""
        frames = probe_frames(self._input, n=2)
        first = self.predict(frames[:1], embedding=self._tap is not None)
        if first.embedding is not None:
            self._width = first.embedding.shape[1]
        if self._step is not None:
            return
        try:
            self.predict(frames)
        except ModelError:
            self._step = 1


def open_torch(
    path: Path,
    *,
    format: TorchFormat,
    model: ModelSpec,
    classes: tuple[str, ...],
    renamed: Mapping[str, str | None] = MappingProxyType({}),
    folder: Path,
    trust_code: bool,
) -> TorchPredictor:
    """Load a PyTorch model; raises ModelError for whatever does not fit the spec.

    `renamed` is what the audit calls some of the `classes` (`data.classes.map`); `folder` is where
    code named by ``model.architecture`` is looked for.
    """
    checkpoint = Checkpoint({})
    if format == "torchscript":
        module: nn.Module = load_torchscript(path, trust_code=trust_code)
    elif format == "pt2":
        module = load_exported_program(path, trust_code=trust_code)
    else:
        safetensors = format == "safetensors"
        checkpoint = read_checkpoint(path, safetensors=safetensors, part=model.weights)
        widths = (
            output_widths(model.output_spec, len(classes))
            if model.head is None
            else model.head.widths(len(classes))
        )
        module, notes = module_with_weights(
            checkpoint, model.architecture, widths=widths, folder=folder, trust_code=trust_code
        )
        checkpoint = replace(checkpoint, notes=notes)
    stated = stated_by_torch(path, format, checkpoint)
    device = device_of(model.device)
    as_saved = mode_note(module) if format == "torchscript" else ""
    module = settled(module, model.input, device=device, exported=format == "pt2")
    require_task(stated, path.name, task=model.task)
    plan = _plan_of(
        path, module, format=format, model=model, classes=classes, renamed=renamed,
        own=OwnDecoder.of(model.head, classes, folder, trust_code=trust_code), device=device,
    )  # fmt: skip
    background = None if model.head is not None else model.output_spec.background
    told = (as_saved, stated.note(classes, background=background))
    facts = replace(
        plan.facts,
        classes=audited_classes(classes, renamed),
        notes=(*checkpoint.notes, *filter(None, told)),
        listed_classes=stated.order_of(classes, background=background),
    )
    code = code_digest(model, folder) if format not in ("torchscript", "pt2") else ""
    return TorchPredictor(module, replace(plan, facts=facts, code=code), input=model.input)


def _plan_of(
    path: Path,
    module: nn.Module,
    *,
    format: TorchFormat,
    model: ModelSpec,
    classes: tuple[str, ...],
    renamed: Mapping[str, str | None],
    own: OwnDecoder | None,
    device: str,
) -> _Plan:
    example = _example(model.input, device)
    made = _first_answer(module, example, model.input)
    with _told():
        network = trace(module, example)
    output, width = None, 0
    if model.head is not None:
        reading: Reading = HeadReading.of(model.head, classes, renamed, own)
        outputs = raw_tensors(made)
    else:
        spec = model.output_spec
        widths = output_widths(spec, len(classes))
        output = class_tensor_name(made, widths=widths, wanted=model.output_name)
        raw = class_tensor(made, output)
        outputs, width = {"output": raw}, raw.numel()
        ending = ending_of_layers(network.layers)
        reading = ClassReading("", reading_for(spec, n_classes=len(classes), ending=ending))
    head = _head(module, example, wanted=model.embedding, width=width)
    architecture = torch_architecture(network, module=module, example=example, input=model.input)
    facts = ModelFacts(
        task=model.task,
        format="torchscript" if format == "torchscript" else "torch",
        digest=file_digest(path),
        file_bytes=path.stat().st_size,
        inputs=(_facts("image", (None, *tensor_shape(model.input)), example),),
        outputs=tuple(_facts(n, (None, *t.shape[1:]), t) for n, t in outputs.items()),
        classes=(),
        n_parameters=architecture.n_parameters,
        flops=architecture.flops,
        opset=None,
        differentiable=model.head is None and _is_differentiable(module, example, output),
        embedding=None if head is None else head.label,
        quantised=architecture.quantised,
        sparsity=sparsity_of(map(_array, float_weights(module))),
        trusted_code=format == "pt2" or ":" in (model.architecture or "") or own is not None,
    )
    return _Plan(reading, head, architecture, facts, device, output, code="")


def _example(input: InputSpec, device: str) -> torch.Tensor:
    return torch.from_numpy(InputBuffers().fill(probe_frames(input, n=1), input=input)).to(device)


def _first_answer(module: nn.Module, example: torch.Tensor, input: InputSpec) -> Any:
    """What the module gives for one image; raises ModelError that names an input that it takes."""
    with torch.inference_mode():
        try:
            return module(example)
        except _ERRORS as error:
            device = str(example.device)
            tried = inputs_alike(input)
            cure = next((told for told, other in tried if _runs(module, other, device)), None)
            raise not_taken(input, cure, said=_said_by(error)) from error


def _runs(module: nn.Module, input: InputSpec, device: str) -> bool:
    try:
        module(_example(input, device))
    except _ERRORS:
        return False
    return True


def _said_by(error: BaseException) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    # TorchScript tells what was raised in the last line, below its own traceback.
    last = isinstance(error, torch.jit.Error) or "TorchScript" in lines[0]
    said = lines[-1 if last else 0].removeprefix("RuntimeError: ")[:300]
    return f"{type(error).__name__}: {said}"


def _head(
    module: nn.Module, example: torch.Tensor, *, wanted: str | None, width: int
) -> Head | None:
    # The layers inside of TorchScript call no hooks.
    scripted = isinstance(module, torch.jit.ScriptModule)
    if wanted is None or (wanted == "auto" and (scripted or not width)):
        return None
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            "model.embedding cannot be read from a TorchScript model. Set `model.embedding: auto`, "
            "or audit the weights (`model.architecture`) or an ONNX export."
        )
    if wanted != "auto":
        return named_head(module, wanted)
    return find_head(module, example, width=width)


def _is_differentiable(module: nn.Module, example: torch.Tensor, output: str | None) -> bool:
    if not example.is_floating_point():
        return False
    varied = example.clone().requires_grad_(True)
    try:
        made = class_tensor(_called(module, varied), output)
        (gradient,) = torch.autograd.grad(made.float().sum(), varied)
    except (ModelError, RuntimeError):
        return False
    return bool(torch.isfinite(gradient).all())


def _raw(made: Any, reading: Reading, output: str | None) -> Raw:
    """The tensors that a reading reads, as arrays."""
    return {name: _array(tensor) for name, tensor in _tensors(made, reading, output).items()}


def _tensors(made: Any, reading: Reading, output: str | None) -> Mapping[str, torch.Tensor]:
    if isinstance(reading, ClassReading):
        return {reading.output: class_tensor(made, output)}
    return raw_tensors(made)


def _called(module: nn.Module, tensor: torch.Tensor) -> Any:
    with _told():
        return module(tensor)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise ModelError(
            f"The model fails on an image of the declared input ({_said_by(error)}). Correct "
            "`model.input` (size, channels, layout, dtype), or export the model again."
        ) from error


def _array(tensor: torch.Tensor) -> np.ndarray:
    plain = tensor.detach().to("cpu")
    return np.asarray((plain.float() if plain.is_floating_point() else plain).numpy())


def _facts(name: str, shape: tuple[int | None, ...], tensor: torch.Tensor) -> TensorFacts:
    dtype = str(tensor.dtype).removeprefix("torch.").replace("float32", "float")
    return TensorFacts(name, shape, f"tensor({dtype})")
