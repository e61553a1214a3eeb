"""Whether a graph's input is the one that the spec declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from auditor.errors import ModelError
from auditor.findings import TensorFacts
from auditor.models.inputs import channel_count, tensor_shape
from auditor.models.onnx_graph import OnnxGraph, tensor_facts
from auditor.spec import InputSpec

LARGEST_BATCH = 1024
"""Images that a fixed batch may have: each answer costs as many."""

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
           "tensor(uint8)": "uint8"}  # fmt: skip

USUAL_SIZES = tuple((s, s) for s in (224, 256, 299, 384, 512, 448, 336, 320, 192, 160, 128, 112,
                                     96, 64, 32, 28))  # fmt: skip
"""Sizes that are tried where no other one runs, the commonest first."""


def inputs_alike(input: InputSpec) -> Iterator[tuple[str, InputSpec]]:
    """Inputs that a model may take in place of `input`, with what they change, as in the spec.

    Another type, channels or layout at the size declared, then the usual sizes, plain, in grey
    or colour and in another type.
    """
    grey = "rgb" if input.channels == "grey" else "grey"
    other: list[dict[str, Any]] = [{"channels": grey}]
    other += [{"dtype": d} for d in ("float32", "float64", "float16") if d != input.dtype]
    other.append({"layout": "nhwc" if input.layout == "nchw" else "nchw"})
    sizes: list[dict[str, Any]] = [{"size": s} for s in USUAL_SIZES if s != input.size]
    together = [size | change for change in ({}, *other[:2]) for size in sizes]
    for changes in (*other, *together):
        told = ", ".join(
            f"`model.input.{key}: {list(value) if isinstance(value, tuple) else value}`"
            for key, value in changes.items()
        )
        yield told, input.model_copy(update=changes)


def not_taken(input: InputSpec, cure: str | None, *, said: str) -> ModelError:
    """The error that a model fails on an image of the declared input; `said` is by its runtime."""
    height, width = input.size
    declared = f"{height}x{width}, {input.channels}, {input.layout}, {input.dtype}"
    if cure is not None:
        return ModelError(
            f"The model does not take images of the declared input ({declared}). It runs with "
            f"{cure}: set that, where the model was trained so."
        )
    return ModelError(
        f"The model fails on an image of the declared input ({declared}), and with the usual sizes "
        f"({said}). Correct `model.input` (size, channels, layout, dtype), or export the model "
        "again."
    )


def only_input(graph: OnnxGraph) -> TensorFacts:
    """The graph's input; raises ModelError when it has several or none."""
    if len(graph.inputs) != 1:
        names = ", ".join(repr(i.name) for i in graph.inputs) or "none"
        raise ModelError(
            f"The model takes {len(graph.inputs)} inputs ({names}); one image goes in. "
            "Export a graph whose only input is the image."
        )
    return tensor_facts(graph.inputs[0])


def require_fit(found: TensorFacts, input: InputSpec, *, alone: bool = False) -> None:
    """Raise ModelError where the graph's input is not what the spec declares.

    `alone`: it may be one image, without an axis of images.
    """
    if alone and len(found.shape) == 3:
        found = replace(found, shape=(1, *found.shape))
    dtype = _DTYPES.get(found.dtype)
    if dtype is None:
        raise ModelError(
            f"The model's input {found.name!r} is {found.dtype}; images go in as float32, float16, "
            "float64 or uint8. Export it with one of these."
        )
    if dtype != input.dtype:
        raise ModelError(
            f"The model's input {found.name!r} is {dtype}, but the spec says {input.dtype}. Set "
            f"`model.input.dtype: {dtype}`."
        )
    if len(found.shape) != 4:
        raise ModelError(
            f"The model's input {found.name!r} has shape {_shown(found.shape)}; a batch of images "
            "has four axes. Name a model of images."
        )
    if (found.shape[0] or 1) > LARGEST_BATCH:
        raise ModelError(
            f"The model's batch is fixed at {found.shape[0]:,} images, expected at most "
            f"{LARGEST_BATCH:,}. Export it with a free batch."
        )
    _require_shape(found, input)


def _require_shape(found: TensorFacts, input: InputSpec) -> None:
    if _agrees(found.shape[1:], tensor_shape(input)):
        return
    other = "nhwc" if input.layout == "nchw" else "nchw"
    if _agrees(found.shape[1:], tensor_shape(input.model_copy(update={"layout": other}))):
        raise ModelError(
            f"The model's input has shape {_shown(found.shape)}, which is {other}, but the spec "
            f"says {input.layout}. Set `model.input.layout: {other}`."
        )
    channels = found.shape[1 if input.layout == "nchw" else 3]
    if channels in (1, 3) and channels != channel_count(input):
        wanted = "grey" if channels == 1 else "rgb"
        raise ModelError(
            f"The model's input has {channels} channels, but the spec says channels: "
            f"{input.channels}. Set `model.input.channels: {wanted}`."
        )
    size = found.shape[2:] if input.layout == "nchw" else found.shape[1:3]
    raise ModelError(
        f"The model takes images of {_shown(size)} (height, width), but the spec says "
        f"{list(input.size)}. Set `model.input.size: {_shown(size)}`, or name another file."
    )


def _agrees(found: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    return all(f is None or f == w for f, w in zip(found, wanted, strict=True))


def _shown(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("free" if s is None else str(s) for s in shape) + "]"
