"""What exporters write into an ONNX file's metadata: task, class names, size, stride."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditor.spec import Task

_LONGEST = 1_000_000
_TASKS: dict[str, Task] = {
    "detect": "detection",
    "segment": "instance-segmentation",
    "semantic": "segmentation",
    "classify": "classification",
}


@dataclass(frozen=True)
class ModelMetadata:
    """`classes` in the model's order; `size` (height, width). None where the file does not say.

    `unread` names the entries that say something which is not understood.
    """

    task: Task | None = None
    classes: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    stride: int | None = None
    unread: tuple[str, ...] = ()


def read_metadata(props: Mapping[str, str]) -> ModelMetadata:
    """From an ONNX file's `metadata_props`, as Ultralytics' exporter writes them.

    The texts are Python literals; they are read as such and never run.
    """
    task = _TASKS.get(props.get("task", ""))
    classes = _class_names(_literal(props.get("names")))
    size = _size(_literal(props.get("imgsz")))
    stride = _literal(props.get("stride"))
    whole = stride if isinstance(stride, int) and stride > 0 else None
    found = {"task": task, "names": classes, "imgsz": size, "stride": whole}
    unread = tuple(key for key, value in found.items() if key in props and value is None)
    return ModelMetadata(task, classes, size, whole, unread)


def _literal(text: str | None) -> Any:
    if text is None or len(text) > _LONGEST:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _class_names(names: Any) -> tuple[str, ...] | None:
    """From a list, or a mapping of 0, 1, 2, ... to names."""
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or set(names) != set(range(len(names))):
        return None
    return tuple(str(names[number]) for number in range(len(names)))


def _size(size: Any) -> tuple[int, int] | None:
    sides = [size, size] if isinstance(size, int) else size
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        return None
    if not all(isinstance(side, int) and side > 0 for side in sides):
        return None
    return sides[0], sides[1]
