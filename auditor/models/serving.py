"""In the contained process: the model, opened by the first message and asked by the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from auditor.containment.messages import Message
from auditor.containment.nursery import Answer, Serve
from auditor.models.architecture import HasArchitecture
from auditor.models.formats import detect_format
from auditor.models.guess import guess_model_spec
from auditor.models.packing import packed
from auditor.models.predictor import Predictor
from auditor.models.readings import OwnDecoder
from auditor.record.codec import encode
from auditor.spec import InputSpec, ModelSpec


def open_model(
    file: Path,
    *,
    model: ModelSpec,
    classes: tuple[str, ...],
    renamed: Mapping[str, str | None] = MappingProxyType({}),
    folder: Path,
    trust_code: bool,
) -> Predictor:
    """As `load_model`, in this process: for one that is contained already."""
    format = detect_format(file)
    if format == "onnx":
        from auditor.models.onnx_model import open_onnx

        own = OwnDecoder.of(model.head, classes, folder, trust_code=trust_code)
        return open_onnx(file, model=model, classes=classes, renamed=renamed, own=own)
    from auditor.models.torch_model import open_torch

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
        if values["do"] == "quantize":
            return {}, (_quantized(values, message.arrays[0]),)
        if values["do"] == "randomise":
            return {}, (_randomised(values),)
        if values["do"] == "notes":
            return {"notes": _notes(Path(values["file"]))}, ()
        if values["do"] == "gradients":
            return {}, (held[0].gradients(*message.arrays),)
        return _answers(held[0], values, message.arrays[0])

    return serve


def _opened(values: Mapping[str, Any]) -> Predictor:
    return open_model(
        Path(values["file"]),
        model=ModelSpec.model_validate_json(json.dumps(values["model"])),
        classes=tuple(values["classes"]),
        renamed=values["renamed"],
        folder=Path(values["folder"]),
        trust_code=values["trust_code"],
    )


def _quantized(values: Mapping[str, Any], calibration: np.ndarray) -> np.ndarray:
    from auditor.models.quantize import quantize_int8

    input = InputSpec.model_validate_json(json.dumps(values["input"]))
    made = quantize_int8(Path(values["file"]), calibration=calibration, input=input)
    return np.frombuffer(made, dtype=np.uint8)


def _randomised(values: Mapping[str, Any]) -> np.ndarray:
    from auditor.models.randomised import randomised

    made = randomised(Path(values["file"]), seed=values["seed"], part=values["part"])
    return np.frombuffer(made, dtype=np.uint8)


def _notes(file: Path) -> tuple[str, ...]:
    from auditor.models.quantize import quantization_notes

    return quantization_notes(file)


def _facts(model: Predictor) -> dict[str, Any]:
    assert isinstance(model, HasArchitecture)
    facts, architecture = encode(model.facts), encode(model.architecture)
    return {"facts": facts, "architecture": architecture, "digest": model.digest}


def _answers(model: Predictor, values: Mapping[str, Any], frames: np.ndarray) -> Answer:
    given = values["input"]
    input = None if given is None else InputSpec.model_validate_json(json.dumps(given))
    found = model.predict(frames, input=input, embedding=values["embedding"])
    embedding = [] if found.embedding is None else [found.embedding]
    answers = packed(found.answers) if found.answers else ()
    told = {"embedding": bool(embedding)}
    return told, (found.probabilities, *embedding, *answers)
