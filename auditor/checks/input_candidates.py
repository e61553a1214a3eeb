"""Other ways in which a model may be meant: preprocessings, orders of classes, readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from auditor.spec import HeadSpec, InputSpec, OutputKeys

Channels = Literal["rgb", "bgr"]

_CROP_RATIO = 256 / 224
"""Shortest side before the centre crop, over the crop: ImageNet's usual 256 to 224."""


@dataclass(frozen=True)
class Candidate:
    """A preprocessing by a short name that will stay what it is."""

    name: str
    input: InputSpec


@dataclass(frozen=True)
class ClassOrder:
    """`meaning` (classes,): the class that each output would stand for under this order."""

    name: str
    meaning: np.ndarray


@dataclass(frozen=True)
class OutputCandidate:
    """Another reading of a detector's outputs, by a short name, in the spec's keys and in words."""

    name: str
    output: OutputKeys
    way: str


@dataclass(frozen=True)
class _Scaling:
    name: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


_COLOUR = (
    _Scaling("imagenet", 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    _Scaling("0..1", 255, (0, 0, 0), (1, 1, 1)),
    _Scaling("-1..1", 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    _Scaling("0..255", 1, (0, 0, 0), (1, 1, 1)),
    _Scaling("minus-mean", 1, (123.68, 116.779, 103.939), (1, 1, 1)),
)
"""Means and deviations in the order red, green, blue."""

_GREY = (
    _Scaling("0..1", 255, (0,), (1,)),
    _Scaling("-1..1", 255, (0.5,), (0.5,)),
    _Scaling("0..255", 1, (0,), (1,)),
    _Scaling("mnist", 255, (0.1307,), (0.3081,)),
)


def candidates_for(declared: InputSpec) -> tuple[Candidate, ...]:
    """The usual preprocessings that differ from the declared one in what they do to a pixel.

    The most plausible come first: those that change one thing (the turn by EXIF, the order of
    channels, the scaling, the way to resize) before those that change two. Scalings and channel
    orders are tried with the declared resize, resizes with the declared scaling; a model of
    uint8 input takes pixels as they are, so nothing is scaled for it.
    """
    found: dict[tuple[object, ...], Candidate] = {}
    for candidate in _all(declared):
        found.setdefault(effect_of(candidate.input), candidate)
    found.pop(effect_of(declared), None)
    return tuple(found.values())


def input_words(given: InputSpec) -> str:
    """A preprocessing as a reader would write it into the spec."""
    resize = f"shortest to {given.shortest}" if given.resize == "shortest" else given.resize
    resize += "" if given.antialias else ", antialias false"
    resize += ", exif ignore" if given.exif == "ignore" else ""
    if given.dtype == "uint8":
        return f"channels {given.channels}, pixels as they are, resize {resize}"
    numbers = {"mean": given.mean, "std": given.std}
    told = ", ".join(f"{k} [{', '.join(f'{x:g}' for x in v)}]" for k, v in numbers.items())
    return f"channels {given.channels}, scale {given.scale:g}, {told}, resize {resize}"


def effect_of(given: InputSpec) -> tuple[object, ...]:
    """What a preprocessing does to the pixels: equal for specs that differ in words alone."""
    count = 1 if given.channels == "grey" else 3
    mean, std = (np.resize(np.asarray(v, dtype=float), count) for v in (given.mean, given.std))
    scaled = given.dtype != "uint8"
    factor = np.round(1 / (given.scale * std), 9) if scaled else np.ones(count)
    offset = np.round(mean / std, 6) if scaled else np.zeros(count)
    resize = (
        given.resize,
        given.shortest if given.resize == "shortest" else None,
        (given.pad, given.align) if given.resize == "letterbox" else None,
    )
    return (given.channels, *factor.tolist(), *offset.tolist(), resize, given.interpolation,
            given.antialias, given.exif)  # fmt: skip


def _all(declared: InputSpec) -> Iterator[Candidate]:
    exif = "ignore" if declared.exif == "apply" else "apply"
    yield Candidate(f"exif-{exif}", declared.model_copy(update={"exif": exif}))
    if declared.channels != "grey":
        other: Channels = "bgr" if declared.channels == "rgb" else "rgb"
        yield Candidate(f"channels-{other}", _with_channels(declared, other))
    scaled = tuple(_scaled(declared)) if declared.dtype != "uint8" else ()
    yield from (c for c in scaled if c.input.channels == declared.channels)
    yield from _resized(declared)
    yield from (c for c in scaled if c.input.channels != declared.channels)


def _scaled(declared: InputSpec) -> Iterator[Candidate]:
    if declared.channels == "grey":
        for scaling in _GREY:
            yield Candidate(f"grey-{scaling.name}", _with_scaling(declared, scaling))
        return
    orders: tuple[Channels, ...] = ("rgb", "bgr")
    for channels in orders:
        for scaling in _COLOUR:
            in_rgb = _with_scaling(declared.model_copy(update={"channels": "rgb"}), scaling)
            yield Candidate(f"{channels}-{scaling.name}", _with_channels(in_rgb, channels))


def _with_scaling(declared: InputSpec, scaling: _Scaling) -> InputSpec:
    given = {"scale": float(scaling.scale), "mean": scaling.mean, "std": scaling.std}
    return InputSpec.model_validate(declared.model_dump() | given)


def _with_channels(given: InputSpec, channels: Channels) -> InputSpec:
    """The same numbers for each colour, in the other order."""
    if given.channels == channels:
        return given
    turned = {"mean": given.mean[::-1], "std": given.std[::-1], "channels": channels}
    return InputSpec.model_validate(given.model_dump() | turned)


def _resized(declared: InputSpec) -> Iterator[Candidate]:
    if declared.interpolation == "bilinear":
        name = "resize-no-antialias" if declared.antialias else "resize-antialias"
        update = {"antialias": not declared.antialias}
        yield Candidate(name, declared.model_copy(update=update))
    shortest = round(min(declared.size) * _CROP_RATIO)
    for name, given in (
        ("stretch", {"resize": "stretch", "shortest": None}),
        ("shortest", {"resize": "shortest", "shortest": shortest}),
        ("letterbox", {"resize": "letterbox", "shortest": None}),
    ):
        if declared.resize != name:
            resized = InputSpec.model_validate(declared.model_dump() | given)
            yield Candidate(f"resize-{name}", resized)


_READINGS = {
    ("corners", "yxyx"): "boxes read as y0, x0, y1, x1",
    ("corners", "xyxy"): "boxes read as x0, y0, x1, y1",
    ("no_object", "first"): "the first of the logits read as no object",
    ("no_object", "last"): "the last of the logits read as no object",
}
"""What keys of a head have for values that give numbers of a wrong meaning, without an error."""


def output_candidates_for(head: HeadSpec | None) -> tuple[OutputCandidate, ...]:
    """The readings that differ from the declared one in what no shape or range shows."""
    declared = {} if head is None else head.model_dump()
    if declared.get("scores") == "sigmoid":
        declared.pop("no_object", None)
    return tuple(
        OutputCandidate(f"{key}-{other}", ((key, other),), f"{way} (output {key}: {other})")
        for (key, other), way in _READINGS.items()
        if declared.get(key, other) != other
    )


def class_orders(classes: Sequence[str], *, listed: Sequence[str] = ()) -> tuple[ClassOrder, ...]:
    """Usual mistakes in the order of classes that would change what an output means.

    The order in which the model's own file lists them, where `listed` says that it is another;
    shifted by one, reversed, and the orders in which folders and tables are sorted.
    """
    n = len(classes)
    own = np.arange(n)
    tried = [
        *_stated_order(classes, listed),
        ClassOrder("shifted+1", (own + 1) % n),
        ClassOrder("shifted-1", (own - 1) % n),
        ClassOrder("reversed", own[::-1].copy()),
        ClassOrder("alphabetical", _sorted(classes, [(c,) for c in classes])),
        ClassOrder("alphabetical-any-case", _sorted(classes, [(c.lower(), c) for c in classes])),
    ]
    if all(c.isdecimal() for c in classes):
        tried.append(ClassOrder("numeric", _sorted(classes, [(int(c), c) for c in classes])))
    kept: list[ClassOrder] = []
    for order in tried:
        known = [own, *(k.meaning for k in kept)]
        if not any(np.array_equal(order.meaning, each) for each in known):
            kept.append(order)
    return tuple(kept)


def best_assignment(predicted: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(classes,): the class that each output stands for when most answers (n,) are right.

    Kuhn (1955), doi:10.1002/nav.3800020109, on the confusion matrix; what the answers leave open
    stays as it is.
    """
    counts = np.eye(n_classes) / 2
    np.add.at(counts, (predicted, labels), 1)
    meaning: np.ndarray = linear_sum_assignment(counts, maximize=True)[1]
    return meaning


def _stated_order(classes: Sequence[str], listed: Sequence[str]) -> Iterator[ClassOrder]:
    if listed:
        keys = [(listed.index(name),) for name in classes]
        yield ClassOrder("as-the-file-lists-them", _sorted(classes, keys))


def _sorted(classes: Sequence[str], keys: Sequence[tuple[object, ...]]) -> np.ndarray:
    """Output k stands for the k-th class by `keys`."""
    return np.asarray(sorted(range(len(classes)), key=lambda i: keys[i]), dtype=np.int64)
