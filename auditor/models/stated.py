"""What a model file, and the files beside it, say of its classes and its input.

Metadata of ONNX and TorchScript files (Ultralytics writes ``names``, ``imgsz`` and ``task``),
what lies beside the weights in a checkpoint, and the ``config.json`` and
``preprocessor_config.json`` of Hugging Face and timm. Texts are parsed, never evaluated.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.errors import ModelError
from auditor.spec import Task

_CLASS_KEYS = ("names", "id2label", "idx_to_class", "index_to_class", "class_names", "classes",
               "class_labels", "label_names", "labels", "categories", "class_to_idx",
               "label2id")  # fmt: skip
_NEIGHBOURS = ("config.json", "preprocessor_config.json")
_NEIGHBOUR_CLASS_KEYS = ("id2label", "label2id", "label_names")
_PLACEHOLDER = re.compile(r"(?i)(label|class)[_ ]?\d+")
"""Names that libraries make up where nobody gave any."""

MOST_TEXT = 4_000_000
"""Characters of a list of classes that is read; 22,000 classes of ImageNet take a quarter."""


@dataclass(frozen=True)
class Stated:
    """Classes in the model's order and fields of `InputSpec`, each with where it stood.

    Empty where nothing is stated. `task` is as the file writes it.
    """

    classes: tuple[str, ...] = ()
    classes_from: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)
    input_from: str = ""
    task: str | None = None

    def note(self, classes: Sequence[str], *, background: int | None) -> str | None:
        """What to tell of `classes`, the spec's, beside those stated; None where they agree."""
        stated = self.without_background(len(classes), background)
        if len(stated) < min(2, len(classes)) or all(name.isdecimal() for name in classes):
            return None
        mine, theirs = ([plain_name(n) for n in names] for names in (classes, stated))
        moved = [n for n in mine if n in theirs and theirs.index(n) != mine.index(n)]
        if moved:
            return (
                f"{self.classes_from} lists the classes in another order than the spec: "
                f"{_shown(stated)}; the spec says {_shown(classes)}. List them under "
                "`model.classes` in the order in which the model gives them."
            )
        if mine == theirs or set(mine) & set(theirs):
            return None
        return (
            f"{self.classes_from} calls the classes {_shown(stated)}, and the spec "
            f"{_shown(classes)}: whether their order is the same cannot be seen."
        )

    def without_background(self, count: int, background: int | None) -> tuple[str, ...]:
        """The classes stated, without the one that the spec drops as background."""
        if background is None or len(self.classes) != count + 1:
            return self.classes
        return self.classes[:background] + self.classes[background + 1 :]

    def order_of(self, classes: Sequence[str], *, background: int | None) -> tuple[str, ...]:
        """`classes` in the order stated, where the same names stand in another; else ()."""
        stated = [plain_name(n) for n in self.without_background(len(classes), background)]
        mine = {plain_name(name): name for name in classes}
        if len(mine) < len(classes) or sorted(stated) != sorted(mine) or stated == list(mine):
            return ()
        return tuple(mine[name] for name in stated)


def plain_name(name: str) -> str:
    """A class's name without case, blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def stated_by(path: Path, found: Mapping[str, Any], *, source: str) -> Stated:
    """What `found`, the metadata or the rest of a checkpoint, and the files beside `path` say.

    The file itself goes before its neighbours.
    """
    classes, key = _classes_in(found, _CLASS_KEYS)
    classes_from, given = f"{source} ({key})", input_in(found)
    input_from = source if given else ""
    for name, config in neighbours(path):
        if not classes:
            classes, key = _classes_in(config, _NEIGHBOUR_CLASS_KEYS)
            classes_from = f"{name} beside the model ({key})"
        if not given and (given := input_in(config)):
            input_from = f"{name} beside the model"
    return Stated(
        classes=classes,
        classes_from=classes_from if classes else "",
        input=given,
        input_from=input_from,
        task=str(found["task"]) if "task" in found else None,
    )


def neighbour_places(path: Path) -> tuple[tuple[Path, ...], ...]:
    """Where files that speak of a model may lie; of each kind the first that is there counts."""
    # Optimum writes model.onnx into a folder of its own, below the configuration.
    folders = [path.parent, *([path.parent.parent] if path.parent.name == "onnx" else [])]
    return tuple(tuple(folder / name for folder in folders) for name in _NEIGHBOURS)


def neighbours(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The configurations beside a model's file, by the names of their files."""
    for name, places in zip(_NEIGHBOURS, neighbour_places(path), strict=True):
        for file in places:
            if not file.is_file() or file.stat().st_size > MOST_TEXT:
                continue
            try:
                held = json.loads(file.read_bytes())
            except (ValueError, OSError, RecursionError):
                continue
            if isinstance(held, dict):
                yield name, held
                break


def torchscript_metadata(path: Path) -> Mapping[str, Any]:
    """The JSON mappings among a TorchScript file's extra files, merged."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        for each in archive.infolist():
            if "/extra/" in each.filename and each.file_size <= MOST_TEXT:
                held = _parsed(archive.read(each).decode("utf-8", errors="replace"))
                if isinstance(held, Mapping):
                    found |= {str(k): v for k, v in held.items()}
    return found


def _classes_in(
    found: Mapping[str, Any], keys: Sequence[str], depth: int = 2
) -> tuple[tuple[str, ...], str]:
    """The first list of classes under one of `keys`, and its key; mappings within are searched."""
    for key in keys:
        classes = _as_classes(found.get(key))
        if classes:
            return classes, key
    for inner in found.values():
        if isinstance(inner, Mapping) and depth:
            classes, key = _classes_in(inner, keys, depth - 1)
            if classes:
                return classes, key
    return (), ""


def _as_classes(value: Any) -> tuple[str, ...]:
    """Names by position from a list, from {index: name}, {name: index}, or a text of these.

    One alone is a detector's; as a text it may be anything.
    """
    least = 1
    if isinstance(value, str):
        least = 1 if value.strip()[:1] in ("[", "{", "(") else 2
        value = _parsed(value)
    if isinstance(value, Mapping):
        value = _by_index(value)
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v for v in value):
        return ()
    made_up = all(_PLACEHOLDER.fullmatch(name) for name in value)
    return () if len(value) < least or len(set(value)) < len(value) or made_up else tuple(value)


def _by_index(value: Mapping[Any, Any]) -> list[Any]:
    if all(isinstance(v, int) for v in value.values()):
        value = {v: k for k, v in value.items()}
    try:
        indexed = {int(k): v for k, v in value.items()}
    except (TypeError, ValueError):
        return []
    return [indexed[i] for i in range(len(value))] if set(indexed) == set(range(len(value))) else []


def _parsed(text: str) -> Any:
    """A value from JSON or from a Python literal; a list of the lines or items of other text."""
    if len(text) > MOST_TEXT:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    if re.search(r"[{}\[\]:]", text):
        return None
    return [
        part.strip() for part in re.split("[\n]" if "\n" in text.strip() else ",", text.strip())
    ]


def input_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `InputSpec` that a configuration states."""
    if isinstance(timm := config.get("pretrained_cfg"), Mapping):
        return _timm(timm)
    if "image_mean" in config or "do_normalize" in config or "do_resize" in config:
        return _hugging_face(config)
    return _metadata(config)


def _metadata(found: Mapping[str, Any]) -> dict[str, Any]:
    sides = _numbers(found.get("imgsz", found.get("image_size", found.get("input_size"))))
    if len(sides) not in (1, 2) or not all(s >= 1 and s == int(s) for s in sides):
        return {}
    size = [int(sides[0]), int(sides[-1])]
    if TASKS.get(str(found.get("task"))) in ("detection", "instance-segmentation"):
        return {"size": size, "resize": "letterbox", "pad": 114, "channels": "rgb", "scale": 255.0,
                "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}  # fmt: skip
    if found.get("author") != "Ultralytics":
        return {"size": size}
    # Ultralytics' own transforms of a classifier: Resize, CenterCrop, ToTensor.
    return {
        "size": size, "resize": "shortest", "shortest": min(size), "channels": "rgb",
        "scale": 255.0, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0],
    }  # fmt: skip


_RESAMPLE = {"0": "nearest", "1": "lanczos", "2": "bilinear", "3": "bicubic", "4": "box",
             "5": "hamming"}  # fmt: skip
"""Pillow's numbers of its filters."""


def _hugging_face(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of an image processor (transformers: resize, centre crop, rescale, normalise)."""
    given: dict[str, Any] = _hugging_face_size(config)
    if (method := _RESAMPLE.get(str(config.get("resample")))) is not None:
        given["interpolation"] = method
    (factor,) = _numbers(config.get("rescale_factor")) or [1 / 255]
    given["scale"] = round(1 / factor, 6) if config.get("do_rescale", True) and factor > 0 else 1.0
    mean, std = _numbers(config.get("image_mean")), _numbers(config.get("image_std"))
    if not config.get("do_normalize", True):
        mean, std = [0.0] * 3, [1.0] * 3
    if config.get("rescale_offset"):
        mean = [m + 1 for m in mean]
    if _are_moments(mean, std):
        given |= {"mean": mean, "std": std}
    return given


def _hugging_face_size(config: Mapping[str, Any]) -> dict[str, Any]:
    sides, crops = _sides(config.get("size")), config.get("do_center_crop", False)
    crop = _sides(config.get("crop_size")) if crops else ()
    if not sides or not config.get("do_resize", True):
        return {"size": list(crop)} if crop else {}
    edge = "shortest_edge" in config["size"] if isinstance(config["size"], Mapping) else bool(crop)
    percent = config.get("crop_pct")
    if edge and not crop and isinstance(percent, float) and 0 < percent <= 1:  # ConvNeXT
        if sides[0] >= 384:
            return {"size": list(sides), "resize": "stretch"}
        return {"size": list(sides), "resize": "shortest", "shortest": int(sides[0] / percent)}
    if edge or crop:
        return {"size": list(crop or sides), "resize": "shortest", "shortest": min(sides)}
    return {"size": list(sides), "resize": "stretch"}


def _sides(size: Any) -> tuple[int, ...]:
    """Height and width from a number, a pair, or a mapping of transformers."""
    if isinstance(size, Mapping):
        edge = size.get("shortest_edge")
        size = [edge, edge] if edge else [size.get("height"), size.get("width")]
    found = _numbers(size)
    sides = (found * 2)[:2] if len(found) in (1, 2) else []
    return tuple(int(s) for s in sides) if all(s >= 1 for s in sides) else ()


def _timm(config: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    sides = _numbers(config.get("input_size"))
    if len(sides) == 3:
        size = [int(s) for s in sides[1:]]
        percent = (_numbers(config.get("crop_pct")) or [1.0])[0]
        shortest = int(min(size) / percent) if 0 < percent <= 1 else min(size)
        given |= {"size": size, "resize": "shortest", "shortest": shortest}
        if config.get("crop_mode") == "squash":
            given |= {"resize": "stretch", "shortest": None}
    if str(config.get("interpolation")) in _RESAMPLE.values():
        given["interpolation"] = config["interpolation"]
    mean, std = _numbers(config.get("mean")), _numbers(config.get("std"))
    if _are_moments(mean, std):
        given |= {"scale": 255.0, "mean": mean, "std": std}
    return given


def _are_moments(mean: Sequence[float], std: Sequence[float]) -> bool:
    return len(mean) == len(std) and len(mean) in (1, 3) and min(std) > 0


def _numbers(value: Any) -> list[float]:
    if isinstance(value, str):
        value = _parsed(value)
    values = list(value) if isinstance(value, list | tuple) else [value]
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return [float(v) for v in values] if plain else []


TASKS: Mapping[str, Task | None] = {
    "classify": "classification",
    "detect": "detection",
    "segment": "instance-segmentation",
    "pose": None,
    "obb": None,
}
"""What Ultralytics' ``task`` is called here; None for what is not audited."""


def stated_task(stated: Stated, name: str) -> Task | None:
    """The task that a model's own metadata name, None where they are silent.

    Raises ModelError for one that is not audited.
    """
    if stated.task is None or stated.task not in TASKS:
        return None
    found = TASKS[stated.task]
    if found is None:
        raise ModelError(
            f"{name} says in its metadata that its task is {stated.task!r} (key points, turned "
            "boxes), which is not audited. Give a classifier, a detector or a segmenter."
        )
    return found


def require_task(stated: Stated, name: str, *, task: Task) -> None:
    """Raise ModelError where a model's own metadata name another task than the spec."""
    found = stated_task(stated, name)
    # An instance segmenter's boxes may be audited alone.
    if found is not None and found != task and (found, task) != (
        "instance-segmentation", "detection",
    ):  # fmt: skip
        raise ModelError(
            f"{name} says in its metadata that its task is {stated.task!r}; the spec says "
            f"`task: {task}`. Set `model.task: {found}` and the `output` that the model has."
        )


def _shown(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
