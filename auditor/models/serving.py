"""In the contained process: the model, opened by the first message and asked by the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from auditor.containment.messages import Message
from auditor.containment.nursery import Answer, Serve
from auditor.models.architecture import HasArchitecture
from auditor.models.form_facts import OneForm
from auditor.models.formats import detect_format
from auditor.models.guess import guess_model_spec
from auditor.models.packing import packed
from auditor.models.predictor import Predictor
from auditor.models.readings import OwnDecoder
from auditor.record.codec import encode
from auditor.spec import InputSpec, ModelSpec, RuntimeSpec


def open_model(
    file: Path,
    *,
    model: ModelSpec,
    classes: tuple[str, ...],
    renamed: Mapping[str, str | None] = MappingProxyType({}),
    folder: Path,
    trust_code: bool,
    runtime: RuntimeSpec | None = None,
) -> Predictor:
    """As `load_model`, in this process: for one that is contained already."""
    format = detect_format(file)
    if format == "onnx":
        from auditor.models.onnx_model import open_onnx

        own = OwnDecoder.of(model.head, classes, folder, trust_code=trust_code)
        return open_onnx(
            file, model=model, classes=classes, renamed=renamed, own=own, runtime=runtime
        )
    from auditor.models.torch_export import take_threads
    from auditor.models.torch_model import open_torch

    if runtime is not None:
        take_threads(runtime)
    return open_torch(
        file,
        format=format,
        model=model,
        classes=classes,
        renamed=renamed,
        folder=folder,
        trust_code=trust_code,
    )


def serving() -> Serve:
    """What answers the messages of `auditor.models.contained.ContainedPredictor`."""
    held: list[Predictor] = []

    def serve(message: Message) -> Answer:
        values = message.values
        if values["do"] == "open":
            held.append(_opened(values))
            return _facts(held[0]), ()
        if values["do"] == "guess":
            asked = {key: values[key] for key in ("n_classes", "output_name")}
            return encode(guess_model_spec(Path(values["file"]), **asked)), ()
        if values["do"] in _OF_FILES:
            return _OF_FILES[values["do"]](values, message.arrays)
        if values["do"] == "export":
            return {}, (_exported(held[0]),)
        if values["do"] == "gradients":
            return {}, (held[0].gradients(*message.arrays),)
        return _answers(held[0], values, message.arrays[0])

    return serve


def _opened(values: Mapping[str, Any]) -> Predictor:
    runtime = values["runtime"]
    return open_model(
        Path(values["file"]),
        model=ModelSpec.model_validate_json(json.dumps(values["model"])),
        classes=tuple(values["classes"]),
        renamed=values["renamed"],
        folder=Path(values["folder"]),
        trust_code=values["trust_code"],
        runtime=None if runtime is None else RuntimeSpec.model_validate_json(json.dumps(runtime)),
    )


def _quantized(values: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Answer:
    from auditor.models.quantize import quantize_int8

    input = InputSpec.model_validate_json(json.dumps(values["input"]))
    made = quantize_int8(Path(values["file"]), calibration=arrays[0], input=input)
    return {}, (np.frombuffer(made, dtype=np.uint8),)


def _randomised(values: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Answer:
    from auditor.models.randomised import randomised

    made = randomised(Path(values["file"]), seed=values["seed"], part=values["part"])
    return {}, (np.frombuffer(made, dtype=np.uint8),)


def _notes(values: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Answer:
    from auditor.models.quantize import quantization_notes

    return {"notes": encode(quantization_notes(Path(values["file"])))}, ()


def _external(values: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Answer:
    from auditor.models.onnx_graph import external_names

    return {"names": external_names(Path(values["file"]))}, ()


def _halved(values: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Answer:
    from auditor.models.half import half_precision

    return {}, (np.frombuffer(half_precision(Path(values["file"])), dtype=np.uint8),)


def _exported(model: Predictor) -> np.ndarray:
    from auditor.models.torch_model import TorchPredictor

    assert isinstance(model, TorchPredictor)
    return np.frombuffer(model.export(), dtype=np.uint8)


def _layers(values: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Answer:
    from auditor.models.divergence import layers_apart

    forms = [
        OneForm(
            Path(form["file"]),
            InputSpec.model_validate_json(json.dumps(form["input"])),
            RuntimeSpec.model_validate_json(json.dumps(form["runtime"])),
        )
        for form in values["forms"]
    ]
    return {"layers": encode(layers_apart(forms[0], forms[1], arrays[0]))}, ()


_OF_FILES = {
    "quantize": _quantized,
    "randomise": _randomised,
    "notes": _notes,
    "external": _external,
    "halve": _halved,
    "layers": _layers,
}
"""What is asked of files, without a model that was opened."""


def _facts(model: Predictor) -> dict[str, Any]:
    assert isinstance(model, HasArchitecture)
    facts, architecture = encode(model.facts), encode(model.architecture)
    return {"facts": facts, "architecture": architecture, "digest": model.digest}


def _answers(model: Predictor, values: Mapping[str, Any], frames: np.ndarray) -> Answer:
    given = values["input"]
    input = None if given is None else InputSpec.model_validate_json(json.dumps(given))
    output = tuple((str(key), str(value)) for key, value in values["output"])
    found = model.predict(frames, input=input, embedding=values["embedding"], output=output)
    embedding = [] if found.embedding is None else [found.embedding]
    answers = packed(found.answers) if found.answers else ()
    told = {"embedding": bool(embedding)}
    return told, (found.probabilities, *embedding, *answers)
