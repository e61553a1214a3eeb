"""A predictor whose model lives in a contained process; what the engine and the checks hold."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

import numpy as np

from auditor.containment.messages import Message
from auditor.containment.process import ContainedProcess, Limits
from auditor.findings import ModelFacts
from auditor.models.architecture import ArchitectureFacts
from auditor.models.form_facts import LayerApart, OneForm, QuantizationNotes
from auditor.models.formats import imports_of, require_model_file
from auditor.models.guess import GuessedModel
from auditor.models.packing import unpacked
from auditor.models.predictor import Prediction
from auditor.own_folder import own_folder
from auditor.record.codec import decode
from auditor.spec import InputSpec, ModelSpec, OutputKeys, RunLimits, RuntimeSpec

BATCH = 8
"""Images that `model.limits.seconds` are for."""

_CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class Opening:
    """All that a model is opened by, so that another process can open the same."""

    file: Path
    model: ModelSpec
    classes: tuple[str, ...]
    renamed: Mapping[str, str | None]
    folder: Path
    trust_code: bool
    runtime: RuntimeSpec | None

    @property
    def devices(self) -> bool:
        """Whether it runs on more than the processor."""
        others = self.runtime is not None and set(self.runtime.providers) != {_CPU}
        return self.model.device != "cpu" or others


class ContainedPredictor:
    """See `Predictor`; the process ends with this object."""

    def __init__(
        self,
        file: Path,
        *,
        model: ModelSpec,
        classes: tuple[str, ...],
        renamed: Mapping[str, str | None] = MappingProxyType({}),
        folder: Path,
        trust_code: bool,
        runtime: RuntimeSpec | None = None,
    ) -> None:
        self.opening = Opening(
            file, model, classes, dict(renamed), folder, trust_code=trust_code, runtime=runtime
        )
        self._process = ContainedProcess(
            "auditor.models.serving:serving",
            preload=_imports(file),
            limits=limits_for(file, model, runtime),
        )
        opened = self._process.call(
            {
                "do": "open",
                "file": str(file.absolute()),
                "model": model.model_dump(mode="json"),
                "classes": list(classes),
                "renamed": dict(renamed),
                "folder": str(folder.absolute()),
                "trust_code": trust_code,
                "runtime": None if runtime is None else runtime.model_dump(mode="json"),
            }
        ).values
        self.facts: ModelFacts = decode(ModelFacts, opened["facts"])
        self.architecture: ArchitectureFacts = decode(ArchitectureFacts, opened["architecture"])
        self.digest = str(opened["digest"])

    @classmethod
    def of(cls, opening: Opening, *, file: Path | None = None) -> ContainedPredictor:
        """Opened as another was, of its file or of a copy of that."""
        asked = {f.name: getattr(opening, f.name) for f in fields(opening)}
        asked["file"] = file or opening.file
        require_model_file(asked["file"])
        return cls(**asked)

    @property
    def contained_by(self) -> tuple[str, ...]:
        """As `Provenance.contained_by`."""
        return tuple(self._process.containment["by"])

    @property
    def process(self) -> ContainedProcess:
        return self._process

    def predict(
        self,
        frames: np.ndarray,
        *,
        input: InputSpec | None = None,
        embedding: bool = False,
        output: OutputKeys = (),
    ) -> Prediction:
        """See `Predictor`."""
        asked = {
            "do": "predict",
            "input": None if input is None else input.model_dump(mode="json"),
            "embedding": embedding,
            "output": output,
        }
        found = self._process.call(asked, [frames], effort=len(frames) / BATCH)
        return read_prediction(found, n=len(frames))

    def export(self) -> bytes:
        """A PyTorch model's ONNX form; ModelError where torch cannot write one."""
        return self._process.call({"do": "export"}, effort=10).arrays[0].tobytes()

    def gradients(self, frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """See `Predictor`."""
        arrays = [frames, np.asarray(classes, dtype=np.int64)]
        asked = {"do": "gradients"}
        return self._process.call(asked, arrays, effort=len(frames) / BATCH).arrays[0]


def read_prediction(message: Message, *, n: int) -> Prediction:
    """What `serving` sent of `n` frames: their scores, perhaps an embedding, perhaps answers."""
    scores, *rest = message.arrays
    embedding = rest.pop(0) if message.values["embedding"] else None
    answers = unpacked(tuple(rest), n=n) if rest else ()
    return Prediction(scores, embedding, answers)


def _imports(file: Path) -> tuple[str, ...]:
    """What a model of the file may need, for a contained process imports little."""
    needed = imports_of(file)
    if "auditor.models.torch_model" not in needed:
        return needed
    # torch imports the second when operations are counted.
    return (*needed, "auditor.models.torchvision_ops:import_torchvision", "torch._dynamo")


def look_at(
    file: Path, *, n_classes: int | None = None, output_name: str | None = None
) -> GuessedModel:
    """As `guess_model_spec`, in a contained process: reading a file is trusted as little."""
    # First, for it refuses what would be read without end.
    limits = Limits(_memory(file, RunLimits()), RunLimits().seconds)
    process = ContainedProcess(
        "auditor.models.serving:serving",
        preload=(*_imports(file), "auditor.models.guess"),
        limits=limits,
    )
    asked = {
        "do": "guess",
        "file": str(file.absolute()),
        "n_classes": n_classes,
        "output_name": output_name,
    }
    found = process.call(asked).values
    guessed: GuessedModel = decode(GuessedModel, found)
    return guessed


def external_names(file: Path) -> tuple[str, ...]:
    """What an ONNX file calls the files that hold its weights, in a contained process."""
    process = ContainedProcess(
        "auditor.models.serving:serving",
        preload=_imports(file),
        limits=Limits(_memory(file, RunLimits()), RunLimits().seconds),
    )
    with contextlib.closing(process):
        found = process.call({"do": "external", "file": str(file.absolute())}).values["names"]
    return tuple(map(str, found))


def int8_form(file: Path, *, model: ModelSpec, calibration: np.ndarray) -> bytes:
    """As `quantize_int8`, in a contained process, with a folder for what onnxruntime writes."""
    asked = {
        "do": "quantize",
        "file": str(file.absolute()),
        "input": model.input.model_dump(mode="json"),
    }
    # What the process leaves in its folder is not looked at, and may not be removable.
    with own_folder("auditor-int8-") as own:
        limits = Limits(_memory(file, model.limits), model.limits.seconds, writable=str(own))
        with contextlib.closing(_quantizing(limits)) as process:
            found = process.call(asked, [calibration], effort=len(calibration) / BATCH)
    return found.arrays[0].tobytes()


def randomised_form(file: Path, *, model: ModelSpec, seed: int) -> bytes:
    """As `randomised`, in a contained process."""
    asked = {"do": "randomise", "file": str(file.absolute()), "seed": seed, "part": model.weights}
    process = ContainedProcess(
        "auditor.models.serving:serving",
        preload=(*_imports(file), "auditor.models.randomised"),
        limits=Limits(_memory(file, model.limits), model.limits.seconds),
    )
    with contextlib.closing(process):
        return process.call(asked).arrays[0].tobytes()


def half_form(file: Path, *, model: ModelSpec) -> bytes:
    """As `half_precision`, in a contained process, with a folder for what onnxruntime writes."""
    asked = {"do": "halve", "file": str(file.absolute())}
    with own_folder("auditor-fp16-") as own:
        limits = Limits(_memory(file, model.limits), model.limits.seconds, writable=str(own))
        with contextlib.closing(_quantizing(limits)) as process:
            return process.call(asked).arrays[0].tobytes()


def int8_notes(file: Path) -> QuantizationNotes:
    """As `quantization_notes`, in a contained process."""
    limits = Limits(_memory(file, RunLimits()), RunLimits().seconds)
    with contextlib.closing(_quantizing(limits)) as process:
        found = process.call({"do": "notes", "file": str(file.absolute())}).values["notes"]
    notes: QuantizationNotes = decode(QuantizationNotes, found)
    return notes


def layers_apart(
    one: OneForm, other: OneForm, frames: np.ndarray, *, limits: RunLimits
) -> tuple[LayerApart, ...]:
    """As `auditor.models.divergence.layers_apart`, in a contained process."""
    forms = [
        {
            "file": str(form.path.absolute()),
            "input": form.input.model_dump(mode="json"),
            "runtime": form.runtime.model_dump(mode="json"),
        }
        for form in (one, other)
    ]
    memory = max(_memory(form.path, limits) for form in (one, other))
    process = ContainedProcess(
        "auditor.models.serving:serving",
        preload=("auditor.models.onnx_model", "auditor.models.divergence"),
        limits=Limits(memory, limits.seconds),
    )
    with contextlib.closing(process):
        asked = {"do": "layers", "forms": forms}
        found = process.call(asked, [frames], effort=len(frames)).values["layers"]
    layers: tuple[LayerApart, ...] = decode(tuple[LayerApart, ...], found)
    return layers


def _quantizing(limits: Limits) -> ContainedProcess:
    preload = ("auditor.models.onnx_model", "auditor.models.quantize", "auditor.models.half")
    return ContainedProcess("auditor.models.serving:serving", preload=preload, limits=limits)


def limits_for(file: Path, model: ModelSpec, runtime: RuntimeSpec | None = None) -> Limits:
    """What the process of a model's file may take, by the spec."""
    elsewhere = runtime is not None and set(runtime.providers) != {_CPU}
    devices = model.device != "cpu" or elsewhere
    allowed = None if devices else _memory(file, model.limits)
    return Limits(allowed, model.limits.seconds, devices=devices)


def _memory(file: Path, limits: RunLimits) -> int:
    size = require_model_file(file)
    return 4 * 10**9 + 6 * size if limits.memory_gb is None else int(limits.memory_gb * 10**9)
