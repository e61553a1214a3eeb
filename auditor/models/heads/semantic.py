"""Semantic segmentation: a class a pixel, from scores a class at any stride or as it is."""

from __future__ import annotations

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import ClassMap, weights
from auditor.models.heads.boxes import Size
from auditor.models.heads.tensors import Raw, chosen, described
from auditor.spec.heads import SemanticHead

_STRIP = 64
"""Rows of the frame enlarged at once, so that memory does not grow with classes times pixels."""

_EVEN, _SLACK = 0.5, 0.1
"""The probability from which the second of two classes is the likelier one.

And what probabilities lie beyond 0 and 1 at most: those of an eight-bit form do by a little.
"""


def read(raw: Raw, head: SemanticHead, *, n_classes: int, size: Size) -> list[ClassMap]:
    """From (images, classes, h, w) in `head.layout`, or classes as whole numbers (images, h, w).

    Class maps have the size of the frame. Bilinear enlarging of logits as
    ``torch.nn.functional.interpolate`` does it; of classes, the nearest.
    """
    output = next(iter(raw.values())) if len(raw) == 1 else _several(raw, head)
    if head.values == "classes":
        _require_no_level(head, "classes themselves")
        return [_nearest(each, n_classes, size) for each in _class_numbers(output, head)]
    planes = _planes(output, head, n_classes)
    _require_level(planes, head)
    return [ClassMap(_best(each, head, size).astype(np.int16)) for each in planes]


def _several(raw: Raw, head: SemanticHead) -> np.ndarray:
    """Torchvision's models give an auxiliary output beside ``out``."""
    main = {name: value for name, value in raw.items() if "aux" not in name.lower()}
    return chosen(main, head, output=("out",))["output"]


def _class_numbers(output: np.ndarray, head: SemanticHead) -> np.ndarray:
    channel = 1 if head.layout == "nchw" else -1
    maps = output.squeeze(channel) if output.ndim == 4 and output.shape[channel] == 1 else output
    if maps.ndim != 3:
        raise ModelError(
            f"`output: {{kind: semantic, values: classes}}` reads (images, h, w), found "
            f"{tuple(output.shape)}. If it holds a score a class, set `values: logits`."
        )
    return maps


def _planes(output: np.ndarray, head: SemanticHead, n_classes: int) -> np.ndarray:
    """Scores (images, channels, h, w)."""
    if output.ndim != 4 or output.dtype.kind != "f":
        raise ModelError(
            f"`output: semantic` reads a score a class of four axes, found "
            f"{described({'output': output})} of {output.dtype}. If it holds the classes "
            "themselves, set `output: {kind: semantic, values: classes}`."
        )
    wanted = {n_classes, 1} if n_classes == 2 else {n_classes}
    planes = output if head.layout == "nchw" else np.moveaxis(output, -1, 1)
    other = output.shape[-1] if head.layout == "nchw" else output.shape[1]
    if planes.shape[1] in wanted:
        return planes
    if other in wanted:
        raise ModelError(
            f"The model's output {tuple(output.shape)} has its classes on another axis than "
            f"layout {head.layout} says. Set `output: {{kind: semantic, layout: "
            f"{'nhwc' if head.layout == 'nchw' else 'nchw'}}}`."
        )
    raise ModelError(
        f"The model gives {planes.shape[1]} scores a pixel; `model.classes` names {n_classes}. "
        "List the classes that the model was trained on, background and void included."
    )


def _nearest(maps: np.ndarray, n_classes: int, size: Size) -> ClassMap:
    low, high = int(maps.min()), int(maps.max())
    if low < 0 or high >= n_classes or (maps.dtype.kind == "f" and (maps != np.rint(maps)).any()):
        raise ModelError(
            f"The model answers classes from {maps.min():g} to {maps.max():g}; `model.classes` "
            f"names {n_classes}, so they are whole numbers from 0 to {n_classes - 1}. List all "
            "classes, or set `values: logits`."
        )
    y, x = (_nearest_places(maps.shape[axis], size[axis]) for axis in (0, 1))
    return ClassMap(maps[np.ix_(y, x)].astype(np.int16))


def _nearest_places(count: int, length: int) -> np.ndarray:
    return np.floor((np.arange(length) + 0.5) * count / length).astype(int)


def _best(planes: np.ndarray, head: SemanticHead, size: Size) -> np.ndarray:
    """The best class (h, w) of scores (classes, rows, columns), enlarged to `size`."""
    if planes.shape[1:] == size:
        return _winner(planes, head)
    y, x = (_places(planes.shape[axis + 1], size[axis], head) for axis in (0, 1))
    across = weights(x, planes.shape[2]).T
    down = weights(y, planes.shape[1])
    strips = [
        _winner(np.matmul(down[at : at + _STRIP], planes) @ across, head)
        for at in range(0, size[0], _STRIP)
    ]
    return np.concatenate(strips)


def _require_level(planes: np.ndarray, head: SemanticHead) -> None:
    """Raise ModelError where the level is no level of what a pixel has: it would not be obeyed.

    Of probabilities all are above 0; 0.5 of logits is no even chance; several scores have none.
    """
    if planes.shape[1] > 1:
        _require_no_level(head, f"{planes.shape[1]} scores a pixel, of which the highest wins")
        return
    shares = planes.min() >= 0 and planes.max() <= 1
    beyond = planes.min() < -_SLACK or planes.max() > 1 + _SLACK
    if head.level == _EVEN and beyond:
        raise ModelError(
            f"`output: semantic` takes pixels above the probability {_EVEN:g} for the second "
            f"class, but scores lie from {planes.min():.4g} to {planes.max():.4g}, as logits do. "
            "Set `level: 0`, which is an even chance of logits, or the logit that is meant."
        )
    if shares and head.level == 0 and ((planes > 0) & (planes < 1)).any():
        raise ModelError(
            f"`output: semantic` takes pixels above {head.level:g} for the second class, but all "
            f"scores lie from {planes.min():.4g} to {planes.max():.4g}, as probabilities do. Set "
            "`output: {kind: semantic, level: 0.5}`."
        )


def _require_no_level(head: SemanticHead, found: str) -> None:
    if head.level != 0:
        raise ModelError(
            f"`output: {{kind: semantic, level: {head.level:g}}}` is for one score a pixel, but "
            f"the model gives {found}. Leave `level` out, or name the output that it is of."
        )


def _winner(planes: np.ndarray, head: SemanticHead) -> np.ndarray:
    found: np.ndarray = planes[0] > head.level if len(planes) == 1 else planes.argmax(axis=0)
    return found


def _places(count: int, length: int, head: SemanticHead) -> np.ndarray:
    """Where each of `length` pixels lies among `count` values."""
    if head.enlarge == "nearest":
        return _nearest_places(count, length).astype(np.float64)
    if head.align_corners:
        return np.linspace(0, count - 1, length)
    return (np.arange(length) + 0.5) * count / length - 0.5
