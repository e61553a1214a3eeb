"""What a model file shows of its input and output, for `auditor init` to write down."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from auditor.errors import ModelError
from auditor.findings import TensorFacts
from auditor.models.formats import Format, detect_format
from auditor.models.heads.recognition import RecognisedHead, recognise
from auditor.models.heads.usual_input import USUAL_INPUT
from auditor.models.outputs import scores_or_none
from auditor.models.stated import Stated, stated_task
from auditor.spec import Task

if TYPE_CHECKING:
    from auditor.models.checkpoints import Checkpoint
    from auditor.models.normalisation import Normalisation
    from auditor.models.whole_network_guess import WholeNetwork

_SIZE = (224, 224)
_FREE_SIZE = (640, 640)
"""Of detectors and segmenters that take any size and state none."""

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_HEAD = re.compile(r"(?i)(^|[._])(fc|head|heads|classifier|linear|logits|output)([._\d]|$)")
"""How networks call their last layer."""

_WITH_BACKGROUND = 1001
"""Outputs of TensorFlow's ImageNet models: 1,000 classes behind a background class."""


@dataclass(frozen=True)
class GuessedModel:
    """What `model.input` and `model.output` would say, and which of it is only a guess.

    `guesses` names the fields that the file does not show; `reason` says in words what was seen
    and what was assumed. `n_outputs` is None where unknown; `background` is the index of a
    leading background class or None. `classes` are those that the file, or one beside it,
    lists, in the model's order, and `classes_from` says where. `free_size` says that the graph
    takes images of any size; `output_name` is given where several outputs could be meant.
    `white` is the stored value that means white, where the images suggest another than usual;
    `architecture` is the network of torchvision that the weights fit. `head` is how a detector's or
    segmenter's outputs are read (JSON of a `HeadSpec`, without its defaults), and `head_guesses`
    names what of it the outputs leave open.
    """

    format: Format
    reason: str
    guesses: tuple[str, ...]
    size: tuple[int, int] = _SIZE
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "float16", "float64", "uint8"] = "float32"
    channels: Literal["rgb", "bgr", "grey"] = "rgb"
    scale: float = 255.0
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD
    n_outputs: int | None = None
    background: int | None = None
    output: Literal["logits", "probabilities", "sigmoid"] = "logits"
    output_name: str | None = None
    resize: Literal["stretch", "letterbox", "shortest"] = "stretch"
    shortest: int | None = None
    interpolation: str = "bilinear"
    classes: tuple[str, ...] = ()
    classes_from: str = ""
    free_size: bool = False
    white: int | None = None
    architecture: str | None = None
    pad: int = 0
    align: Literal["center", "top-left"] = "center"
    task: Task = "classification"
    head: str | None = None
    head_guesses: tuple[str, ...] = ()


def guess_model_spec(
    path: Path, *, n_classes: int | None = None, output_name: str | None = None
) -> GuessedModel:
    """Look at a model file, and at what lies beside it, without running it.

    `n_classes` is how many classes the data show; it tells class scores among other outputs, where
    `output_name` does not.

    Raises ModelError for a missing file, for what is no model, for a model that says itself that
    its task is one that is not audited, and where only the user can say which output holds the
    class scores.
    """
    format = detect_format(path)
    if format == "onnx":
        return _guess_onnx(path, n_classes, output_name)
    return replace(_guess_torch(path, format, n_classes), output_name=output_name)


def _with_stated(guess: GuessedModel, stated: Stated) -> GuessedModel:
    """The guess, with what the file or its neighbours state in its place."""
    given: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in stated.input.items()
    }
    if not guess.free_size and given.get("size") not in (None, guess.size):
        # The graph's own size stands; what was stated of resizing belongs to the other.
        given = {k: v for k, v in given.items() if k not in ("size", "resize", "shortest")}
    if guess.channels == "grey" and len(given.get("mean", ())) == 3:
        given = {k: v for k, v in given.items() if k not in ("mean", "std", "channels")}
    if "mean" in given and guess.channels != "grey":
        given.setdefault("channels", "rgb")
    classes = stated.without_background(guess.n_outputs or 0, guess.background)
    if guess.task == "classification" and len(classes) < 2:
        classes = ()
    said = [guess.reason.rstrip(".")]
    if given:
        said.append(f"{stated.input_from} states {', '.join(sorted(given))}")
    if stated.classes:
        said.append(f"{stated.classes_from} lists {len(stated.classes)} classes")
    return replace(
        guess,
        **given,
        classes=classes,
        classes_from=stated.classes_from,
        guesses=tuple(name for name in guess.guesses if name not in given),
        reason="; ".join(said) + ".",
    )


def _scores_among(
    outputs: Sequence[TensorFacts], n_classes: int | None, wanted: str | None
) -> TensorFacts:
    """The output that holds the class scores: the one named, or the only one that can.

    Where none has a number a class, several may be of unknown width, or of more classes than the
    data show. Raises ModelError where several could be meant.
    """
    if wanted is None:
        flat = {o.name: [n for n in o.shape[1:] if n != 1] for o in outputs}
        widths = [[n_classes], *([[], [1]] if n_classes == 2 else [])]
        fits = [o for o in outputs if flat[o.name] in widths]
        fits = fits or [o for o in outputs if len(flat[o.name]) <= 1] or list(outputs)[:1]
        if len(fits) == 1:
            return fits[0]
        names = ", ".join(f"{o.name!r} ({_told_width(flat[o.name])})" for o in fits)
        raise ModelError(
            f"The model may give class scores in {len(fits)} outputs: {names}. Which is meant is "
            f"not guessed. Name it: --output-name {fits[0].name} (`model.output_name` in the spec)."
        )
    found = next((o for o in outputs if o.name == wanted), None)
    if found is None:
        names = ", ".join(repr(o.name) for o in outputs)
        raise ModelError(
            f"--output-name is {wanted!r}, and the model's outputs are {names}. Name one of these."
        )
    return found


def _told_width(sides: Sequence[int | None]) -> str:
    return "x".join("?" if n is None else f"{n:,}" for n in sides or [1])


def _guess_onnx(path: Path, n_classes: int | None, output_name: str | None) -> GuessedModel:
    from auditor.models.fit import only_input
    from auditor.models.normalisation import leading_constants
    from auditor.models.onnx_graph import OnnxGraph, ending_of, read_onnx, tensor_facts

    file = read_onnx(path)
    graph, stated = OnnxGraph(file.model), file.stated(path)
    task = stated_task(stated, path.name)
    given = only_input(graph)
    guess = _from_input(given.shape, given.dtype)
    outputs = [tensor_facts(each) for each in graph.outputs]
    if task != "classification":
        size = tuple(stated.input.get("size", _FREE_SIZE)) if guess.free_size else guess.size
        head = recognise(outputs, size=size, n_classes=len(stated.classes) or n_classes)
        if head is not None:
            return _with_stated(_with_head(guess, head, leading_constants(graph)), stated)
        if task is not None:
            shapes = ", ".join(f"{o.name!r} {list(o.shape)}" for o in outputs)
            raise ModelError(
                f"{path.name} says in its metadata that its task is {stated.task!r}, and its "
                f"outputs ({shapes}) are none that is known. Export it with its boxes decoded, or "
                "write the spec by hand and name a head as `model.output`."
            )
    scores = _scores_among(scores_or_none(outputs, path.name), n_classes, output_name)
    ending = ending_of(graph, scores.name)
    kinds: dict[str, Literal["probabilities", "sigmoid"]] = {
        "softmax": "probabilities",
        "sigmoid": "sigmoid",
    }
    wide = [n for n in scores.shape[1:] if n != 1]
    n_outputs = wide[0] if len(wide) == 1 else (1 if not wide else None)
    background = 0 if n_outputs == _WITH_BACKGROUND else None
    left = _left_to_do(leading_constants(graph), guess)
    found = replace(
        guess,
        scale=left.scale,
        mean=left.mean,
        std=left.std,
        n_outputs=n_outputs,
        background=background,
        # One number is the second class's score, whatever it ends in.
        output=kinds.get(ending, "sigmoid" if n_outputs == 1 else "logits"),
        output_name=scores.name if len(outputs) > 1 else None,
        guesses=(
            *guess.guesses,
            *(() if left.certain else ("scale", "mean", "std", "channels")),
            *(("background",) if background is not None else ()),
        ),
        reason=f"{guess.reason}; {_told_output(n_outputs, ending)}; {left.reason}.",
    )
    return _with_stated(found, stated)


def _left_to_do(constants: Sequence[tuple[str, np.ndarray]], guess: GuessedModel) -> Normalisation:
    from auditor.models.normalisation import normalisation

    return normalisation(
        constants, grey=guess.channels == "grey", as_they_are=guess.dtype == "uint8"
    )


def _with_head(
    guess: GuessedModel, found: RecognisedHead, constants: list[tuple[str, np.ndarray]]
) -> GuessedModel:
    """The guess for a detector or segmenter: its head, and the input that such models take."""
    kind = found.head.model_dump()["kind"]
    left = _left_to_do(constants, guess)
    usual = dict(USUAL_INPUT.get(kind, {}))
    if guess.channels == "grey":
        usual.pop("channels", None)
    if constants or guess.dtype == "uint8":
        usual = {k: v for k, v in usual.items() if k not in ("scale", "mean", "std")}
    taken = {"scale": left.scale, "mean": left.mean, "std": left.std}
    placed = ("pad", "align") if usual.get("resize") == "letterbox" else ()
    open_ = () if left.certain else ("scale", "mean", "std")
    stated = found.head.model_dump(mode="json", exclude_defaults=True)
    return replace(
        guess,
        **{**taken, **usual},
        size=_FREE_SIZE if guess.free_size else guess.size,
        n_outputs=found.n_classes,
        task=found.head.serves,
        head=json.dumps({"kind": kind, **stated}),
        head_guesses=found.guesses,
        guesses=(*guess.guesses, *open_, "channels", *placed),
        reason=f"{guess.reason}; {found.head.serves} ({kind}): {found.reason}; guess: its input is "
        "prepared as is usual for such models.",
    )


def _from_input(shape: tuple[int | None, ...], dtype: str) -> GuessedModel:
    """Size, layout, type and channels from the shape of the graph's input."""
    if len(shape) != 4:
        shape = (None, 3, None, None)
    nhwc = shape[3] in (1, 3) and shape[1] not in (1, 3)
    height, width = (shape[1], shape[2]) if nhwc else (shape[2], shape[3])
    grey = (shape[3] if nhwc else shape[1]) == 1
    known: dict[str, Literal["float16", "float64", "uint8"]] = {
        "tensor(float16)": "float16",
        "tensor(double)": "float64",
        "tensor(uint8)": "uint8",
    }
    size = (height or _SIZE[0], width or _SIZE[1])
    layout: Literal["nchw", "nhwc"] = "nhwc" if nhwc else "nchw"
    kind: Literal["float32", "float16", "float64", "uint8"] = known.get(dtype, "float32")
    sized = height is not None and width is not None
    told = f"of {size[0]}x{size[1]}" if sized else f"of free size ({size[0]}x{size[1]} assumed)"
    colour = "grey" if grey else "colour"
    return GuessedModel(
        format="onnx",
        reason=f"ONNX, {colour} images {told}, {layout}, {kind}",
        guesses=("resize", "interpolation") if sized else ("size", "resize", "interpolation"),
        size=size,
        layout=layout,
        dtype=kind,
        channels="grey" if grey else "rgb",
        free_size=not sized,
    )


def _told_output(n_outputs: int | None, ending: str) -> str:
    count = "an unknown number of" if n_outputs is None else f"{n_outputs:,}"
    said = f"{count} outputs, " + (f"ending in a {ending}" if ending != "none" else "logits")
    if n_outputs == _WITH_BACKGROUND:
        return f"{said} (guess: the first is a background class)"
    return said


def _guess_torch(path: Path, format: Format, n_classes: int | None) -> GuessedModel:
    from auditor.models.architecture_guess import guess_architecture
    from auditor.models.torch_stated import stated_by_torch
    from auditor.models.whole_network_guess import guess_whole_network

    checkpoint = _checkpoint(path, format)
    whole = guess_whole_network(checkpoint, file=path)
    if whole is not None:
        found = _guess_network(whole, format, n_classes=n_classes)
        found = _with_stated(found, stated_by_torch(path, format, checkpoint))
        return replace(found, reason=" ".join([found.reason, *checkpoint.notes]))
    n_outputs, seen = _last_width(checkpoint.tensors)
    network = guess_architecture(checkpoint, file=path, n_outputs=n_outputs)
    named = "name their network under `model.architecture`"
    if network is not None:
        n_outputs = network.n_outputs
        named = f"their names and shapes are those of {network.called}"
        seen = f"its last layer has {n_outputs:,} output{'s' if n_outputs != 1 else ''}"
    names = {
        "torchscript": "TorchScript",
        "torch-weights": f"PyTorch weights ({named})",
        "safetensors": f"safetensors weights ({named})",
        "pt2": "an exported program (needs --trust-code)",
    }
    found = GuessedModel(
        format=format,
        reason=f"{names[format]}; {seen}; guess: {_SIZE[0]}x{_SIZE[1]} RGB, normalised as for "
        "ImageNet, logits; check with model/preprocessing.",
        guesses=(
            "size",
            "resize",
            "interpolation",
            "layout",
            "dtype",
            "channels",
            "scale",
            "mean",
            "std",
            "output",
        ),
        n_outputs=n_outputs,
        output="sigmoid" if n_outputs == 1 else "logits",
        free_size=True,
        architecture=None if network is None else network.name,
    )
    found = _with_stated(found, stated_by_torch(path, format, checkpoint))
    return replace(found, reason=" ".join([found.reason, *checkpoint.notes]))


def _guess_network(whole: WholeNetwork, format: Format, *, n_classes: int | None) -> GuessedModel:
    """The guess for weights of a detector or segmenter of torchvision.

    Detectors were made with a background before the classes, unless the data annotate as many
    classes (`n_classes`) as the network has outputs.
    """
    boxes = whole.task != "segmentation"
    first = int(boxes and n_classes != whole.width)
    kind = {"segmentation": "semantic", "detection": "torchvision"}.get(whole.task, "mask-rcnn")
    alike = f" (as are those of {', '.join(whole.alike)})" if whole.alike else ""
    usual = {**USUAL_INPUT.get(kind, {}), **({"resize": "letterbox"} if boxes else {})}
    placed = ("pad", "align") if boxes else ()
    return GuessedModel(
        format=format,
        reason=f"{format} ({whole.task}): names and shapes are those of torchvision's "
        f"{whole.name}{alike}, made with {whole.width} outputs; guess: {whole.side}x{whole.side} "
        "RGB, prepared as is usual for it; check with model/preprocessing.",
        guesses=("size", "resize", "interpolation", "layout", "dtype", "channels", "scale", "mean",
                 "std", *placed),
        size=(whole.side, whole.side),
        n_outputs=whole.width - first,
        free_size=True,
        architecture=whole.name,
        task=whole.task,
        head=json.dumps({"kind": kind, **({"first_class": first} if boxes else {})}),
        head_guesses=("first_class",) if boxes else (),
        **usual,
    )  # fmt: skip


def _checkpoint(path: Path, format: Format) -> Checkpoint:
    from auditor.models.checkpoints import (
        Checkpoint,
        SeveralWeightsError,
        read_checkpoint,
    )

    if format not in ("torch-weights", "safetensors"):
        return Checkpoint({})
    try:
        return read_checkpoint(path, safetensors=format == "safetensors")
    except SeveralWeightsError as error:
        return Checkpoint({}, notes=(str(error),))


def _last_width(tensors: Mapping[str, Any]) -> tuple[int | None, str]:
    """Outputs of the last layer, by its name or by the order in the file; and what was seen."""
    if not tensors:
        return None, "the file does not show how many outputs it has"
    wide = {name: tensor.shape[0] for name, tensor in tensors.items() if tensor.ndim >= 2}
    if not wide:
        return None, "it holds no layer"
    # safetensors files are in no order of layers.
    named = [n for name, n in wide.items() if _HEAD.search(name) and tensors[name].ndim == 2]
    last = int((named or list(wide.values()))[-1])
    return last, f"its last layer has {last:,} output{'s' if last != 1 else ''}"
