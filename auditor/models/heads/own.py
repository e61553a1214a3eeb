"""A decoder of the user's own: what it gives is checked as a model's outputs are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Answer, ClassMap, Detections, Patch
from auditor.models.heads.boxes import Candidates, Size, detections, in_pixels
from auditor.models.heads.tensors import Raw, classes_from, shares
from auditor.models.trusted_code import code_errors
from auditor.spec.heads import OwnHead

Decode = Callable[[dict[str, np.ndarray], tuple[str, ...], Size], Any]
"""From outputs by name, the model's classes, and the frame's (height, width): one entry an image.

An entry is a class map (height, width) of whole numbers, or a mapping of ``boxes`` (k, 4) x0, y0,
x1, y1 in pixels of the frame, ``scores`` (k,) from 0 to 1 and ``classes`` (k,) from 0; of instance
segmentation also ``masks`` (k, height, width) bool.
"""


def read(
    raw: Raw, head: OwnHead, *, decode: Decode, classes: Sequence[str], size: Size
) -> list[Answer]:
    """The answers of a batch; raises ModelError where `decode` gives something else."""
    with code_errors(head.decoder, key="output.decoder"):
        made = decode(dict(raw), tuple(classes), size)
    if not isinstance(made, list | tuple):
        raise _wrong(head, f"a {type(made).__name__}", "a list with one entry an image")
    if head.task == "segmentation":
        return [_class_map(each, head, len(classes), size) for each in made]
    return [_boxes(each, head, len(classes), size) for each in made]


def _wrong(head: OwnHead, found: str, expected: str) -> ModelError:
    return ModelError(
        f"output.decoder {head.decoder} gave {found}, expected {expected}. Correct the function."
    )


def _class_map(made: Any, head: OwnHead, n_classes: int, size: Size) -> ClassMap:
    found = made if isinstance(made, np.ndarray) else np.empty(0)
    expected = f"class maps {size} of whole numbers from 0 to {n_classes - 1}"
    if found.shape != size or found.dtype.kind not in "iu":
        told = f"{found.shape} of {found.dtype}" if found.size else f"a {type(made).__name__}"
        raise _wrong(head, told, expected)
    if found.min() < 0 or found.max() >= n_classes:
        raise _wrong(head, f"numbers from {found.min()} to {found.max()}", expected)
    return ClassMap(found.astype(np.int16))


def _boxes(made: Any, head: OwnHead, n_classes: int, size: Size) -> Detections:
    masked = head.task == "instance-segmentation"
    wanted = {"boxes": (4,), "scores": (), "classes": (), **({"masks": size} if masked else {})}
    expected = "a mapping of " + ", ".join(f"{n} (k, {str(s)[1:]}" for n, s in wanted.items())
    if not isinstance(made, Mapping) or wanted.keys() - made.keys():
        raise _wrong(head, f"a {type(made).__name__} for an image", expected)
    parts = {name: np.asarray(made[name]) for name in wanted}
    n = len(parts["scores"]) if parts["scores"].ndim else 0
    for name, rest in wanted.items():
        if parts[name].shape != (n, *rest) or parts[name].dtype.kind not in "iufb":
            raise _wrong(head, f"{name} {parts[name].shape} of {parts[name].dtype}", expected)
        if not np.isfinite(parts[name]).all():
            raise _wrong(head, f"{name} that are no numbers", "finite numbers")
    scores = shares(parts["scores"], head)
    kept = np.flatnonzero(scores > head.lowest_score)
    labels = classes_from(parts["classes"][kept], first=0, n_classes=n_classes, head=head)
    boxes = parts["boxes"][kept].astype(np.float64)
    corners = in_pixels(boxes, units="pixels", size=size, head=head)
    whole = (0.0, 0.0, float(size[1]), float(size[0]))
    return detections(
        corners,
        Candidates(kept, labels, scores[kept]),
        head,
        patches=(
            lambda row, _: Patch(whole, parts["masks"][row].astype(np.float32), 0.5, whole)
        ) if masked else None,
    )  # fmt: skip
