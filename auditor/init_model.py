"""The model's part of the audit.yaml that `auditor init` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auditor.data.annotate import without_labels
from auditor.data.deep_pixels import usual_white
from auditor.data.frames import to_frame
from auditor.data.image_files import ImageFiles
from auditor.data.images import Decoded, UnreadableImageError, decode
from auditor.data.manifest import read_dataset
from auditor.data.model_classes import load_classes
from auditor.errors import AuditorError, ModelError
from auditor.models.fit import USUAL_SIZES
from auditor.models.guess import GuessedModel
from auditor.models.load import load_model
from auditor.models.stated import plain_name
from auditor.spec import AuditSpec, InputSpec
from auditor.spec.spec_file import least_classes

Size = tuple[int, int]

_SAMPLE = 48
"""Images that are looked at."""

_MOST_PIXELS = 1_000_000
"""Pixels of an image up to which its own size is tried as the model's."""


@dataclass(frozen=True)
class _Pictures:
    """Some test images with their labels, (n,) class indices."""

    images: tuple[Decoded, ...]
    labels: np.ndarray


def stated_classes(
    guessed: GuessedModel, labels: Sequence[str], *, of_data: Sequence[str] = ()
) -> tuple[str, ...]:
    """The classes that the model's file lists, written as the labels are; () where they differ.

    Labels that are numbers are positions in the list, unless the data give them other names
    (`of_data`).
    """
    names = guessed.classes
    outputs = None if guessed.n_outputs is None else max(guessed.n_outputs, 2)
    if guessed.background is not None and outputs is not None:
        outputs -= 1
    if not names or outputs not in (None, len(names)):
        return ()
    if all(label.isdecimal() for label in labels) and not set(labels) <= set(names):
        theirs = [plain_name(name) for name in of_data]
        fits = not theirs or theirs == [plain_name(name) for name in names]
        return names if fits and max(map(int, labels), default=0) < len(names) else ()
    written = {plain_name(label): label for label in labels}
    plain = [plain_name(name) for name in names]
    if set(labels) <= set(names):
        return names
    one_to_one = len(written) == len(labels) and len(set(plain)) == len(names)
    if one_to_one and set(written) <= set(plain):
        return tuple(written.get(p, name) for p, name in zip(plain, names, strict=True))
    return ()


def seen_with_images(guessed: GuessedModel, spec: AuditSpec) -> GuessedModel:
    """The guess, with what some of the test images show: their range, and the size that works.

    Images that cannot be read, and data that do not fit, are left to `auditor run` to tell.
    """
    try:
        least = least_classes(spec.model.task)
        classes = load_classes(spec.model.classes, spec.folder, least=least)
        pictures = _pictures(spec, classes)
    except AuditorError:
        return guessed
    if not pictures.images:
        return guessed
    guessed = _with_range(guessed, pictures)
    tried = guessed.format in ("onnx", "torchscript") and guessed.task == "classification"
    if not guessed.free_size or not tried:
        return guessed
    return _with_size(guessed, spec, pictures, classes)


def _pictures(spec: AuditSpec, classes: tuple[str, ...]) -> _Pictures:
    data = spec.data if spec.model.head is None else without_labels(spec.data)
    dataset = read_dataset("test", data, folder=spec.folder, classes=classes).dataset
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(_SAMPLE, len(dataset))).astype(int))
    files, images, labels = ImageFiles(), [], []
    for row in rows:
        try:
            content = files.read(dataset.paths[row])
            images.append(decode(content, max_pixels=spec.data.limits.max_pixels, white=None))
        except (UnreadableImageError, OSError):
            continue
        labels.append(int(dataset.labels[row]))
    return _Pictures(tuple(images), np.asarray(labels))


def _with_range(guessed: GuessedModel, pictures: _Pictures) -> GuessedModel:
    deep = max(each.facts.bits for each in pictures.images)
    same = [each.facts for each in pictures.images if each.facts.bits == deep]
    highest = max(facts.highest for facts in same)
    white = usual_white(highest, bits=deep) if deep >= 8 else None
    if white is None:
        return guessed
    said = (
        f"no pixel of {len(same)} images of {deep} bits exceeds {highest:g} (guess: {white} is "
        "white)"
    )
    return replace(guessed, white=white, reason=f"{guessed.reason} Images: {said}.")


def _with_size(
    guessed: GuessedModel, spec: AuditSpec, pictures: _Pictures, classes: tuple[str, ...]
) -> GuessedModel:
    """The size, of those that the metadata and the images suggest, that answers best.

    The first that is right about as often as the best is taken; where none of them runs, the
    first usual one that does.
    """
    suggested = list(dict.fromkeys(_suggested(guessed, pictures)))
    right = {size: _right(size, guessed, spec, pictures, classes) for size in suggested}
    ran = {size: found for size, found in right.items() if found is not None}
    if not ran:
        others = (size for size in USUAL_SIZES if size not in suggested)
        size = next((s for s in others if _right(s, guessed, spec, pictures, classes) is not None),
                    None)  # fmt: skip
        if size is None:
            return guessed
        said = f"{_told(size)} is the first usual size with which the graph runs"
    else:
        slack = 0.1 * len(pictures.images)
        size = next(s for s, found in ran.items() if found >= max(ran.values()) - slack)
        tried = ", ".join(f"{_told(s)} ({found} right)" for s, found in ran.items())
        said = f"sizes tried on {len(pictures.images)} images: {tried}"
    changed: dict[str, Any] = {"size": size}
    if size != guessed.size:
        changed |= {"resize": "stretch", "shortest": None}
    reason = f"{guessed.reason} Size: {said}; taken is {_told(size)}."
    return replace(guessed, reason=reason, **changed)


def _suggested(guessed: GuessedModel, pictures: _Pictures) -> Iterator[Size]:
    if "size" not in guessed.guesses:
        yield guessed.size
    # A network that takes any size was made for squares more often than not.
    (common, count), *_ = Counter(p.pixels.shape[:2] for p in pictures.images).most_common(1)
    if count >= 0.8 * len(pictures.images) and common[0] * common[1] <= _MOST_PIXELS:
        yield common
        yield (min(common), min(common))
    yield guessed.size


def _right(
    size: Size,
    guessed: GuessedModel,
    spec: AuditSpec,
    pictures: _Pictures,
    classes: tuple[str, ...],
) -> int | None:
    """Images answered rightly at a size; None where the model does not run with it."""
    changed: dict[str, object] = {"size": size}
    if size != guessed.size:
        changed |= {"resize": "stretch", "shortest": None}
    given: InputSpec = spec.model.input.model_copy(update=changed)
    model = spec.model.model_copy(update={"input": given, "embedding": None})
    frames = np.stack([to_frame(p.as_fed(given), given) for p in pictures.images])
    try:
        loaded = load_model(spec.model_copy(update={"model": model}), classes=classes)
        answers = loaded.predict(frames).probabilities.argmax(axis=1)
    except ModelError:
        return None
    return int((answers == pictures.labels).sum())


def _told(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def architecture_lines(guessed: GuessedModel) -> list[str]:
    if guessed.format not in ("torch-weights", "safetensors"):
        return []
    if guessed.architecture is None:
        return ["  # architecture: of torchvision, timm:NAME, or module:function; none fits"]
    return [f"  architecture: {guessed.architecture}   # guess: its weights have these shapes"]


def input_lines(guessed: GuessedModel) -> list[str]:
    """`model.input`, with a mark behind what the file does not show."""
    entries: dict[str, object] = {"size": list(guessed.size), "resize": guessed.resize}
    if guessed.resize == "shortest":
        entries |= {"shortest": guessed.shortest, "crop": "center"}
    if guessed.resize == "letterbox":
        entries |= {"pad": guessed.pad, "align": guessed.align}
    entries["interpolation"] = guessed.interpolation
    if guessed.white is not None:
        entries["range"] = guessed.white
    entries |= {
        "channels": guessed.channels,
        "layout": guessed.layout,
        "dtype": guessed.dtype,
    }
    unseen = {*guessed.guesses, "range"}
    if guessed.dtype != "uint8":
        entries |= {"scale": guessed.scale, "mean": list(guessed.mean), "std": list(guessed.std)}
    lines = ["  input:"]
    for name, value in entries.items():
        lines.append(f"    {name}: {value}" + ("   # guess" if name in unseen else ""))
    return [*lines, "    # `model/preprocessing` says whether another preprocessing fits better"]


def output_lines(guessed: GuessedModel, quoted: str) -> list[str]:
    """`model.output`, and `model.output_name` (`quoted`, for YAML) where one must be named."""
    named = [f"  output_name: {quoted}"] if guessed.output_name else []
    if guessed.background is None:
        note = "   # guess: of the second class" if guessed.n_outputs == 1 else ""
        return [f"  output: {guessed.output}{note}", *named]
    kind = f"{{kind: {guessed.output}, background: {guessed.background}}}"
    return [f"  output: {kind}   # guess", *named]
