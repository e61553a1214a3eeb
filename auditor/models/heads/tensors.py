"""Which output is which, and whether it holds what a head expects; else one sentence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from auditor.errors import ModelError
from auditor.spec.heads import HeadSpec

Raw = Mapping[str, np.ndarray]
"""A model's outputs by name, in the graph's order."""

_BELOW, _ABOVE = -0.01, 1.01
"""Roundings of quantised scores are still scores."""


def kind_of(head: HeadSpec) -> str:
    return str(head.model_dump()["kind"])


def chosen(raw: Raw, head: HeadSpec, **words: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The output of each role: as declared, else the only one whose name is or holds its word.

    A role without a fitting name takes the only output that is left over.

    Raises ModelError where a role has no output, or several.
    """
    found = {role: _declared(raw, head, role) for role in words if role in head.tensors}
    for role in words.keys() - found.keys():
        if (fitting := _fitting(raw, words[role])) is not None:
            found[role] = fitting
    missing = [role for role in words if role not in found]
    left = [name for name in raw if name not in found.values()]
    if len(missing) == 1 and len(left) == 1:
        found[missing[0]] = left[0]
    elif missing or len(set(found.values())) < len(words):
        roles = ", ".join(f"{role}: ..." for role in words)
        raise ModelError(
            f"`output: {kind_of(head)}` reads {' and '.join(words)}; the model gives "
            f"{described(raw)}, and their names do not tell which is which. Name them: "
            f"`output: {{kind: {kind_of(head)}, tensors: {{{roles}}}}}`, or another head."
        )
    return {role: raw[found[role]] for role in words}


def _fitting(raw: Raw, words: tuple[str, ...]) -> str | None:
    plain = {name: name.lower().split(":")[0] for name in raw}
    same = [name for name, text in plain.items() if text in words]
    holding = [name for name, text in plain.items() if any(word in text for word in words)]
    return next((found[0] for found in (same, holding) if len(found) == 1), None)


def _declared(raw: Raw, head: HeadSpec, role: str) -> str:
    name = head.tensors[role]
    if name not in raw:
        raise ModelError(
            f"output.tensors.{role} is {name!r}; the model gives {described(raw)}. Use one of "
            "these names."
        )
    return name


def described(raw: Raw) -> str:
    return ", ".join(f"{name!r} {tuple(value.shape)}" for name, value in raw.items()) or "nothing"


def only(raw: Raw, head: HeadSpec, *, rank: int) -> np.ndarray:
    """The one output, or that of the role ``output``, of `rank` axes."""
    name = _declared(raw, head, "output") if "output" in head.tensors else next(iter(raw), "")
    if len(raw) != 1 and "output" not in head.tensors:
        raise ModelError(
            f"`output: {kind_of(head)}` reads one output, the model gives {described(raw)}. Name "
            f"it (`output: {{kind: {kind_of(head)}, tensors: {{output: ...}}}}`), or another head."
        )
    require_rank(raw[name], rank, head)
    return raw[name]


def require_rank(value: np.ndarray, rank: int, head: HeadSpec) -> None:
    if value.ndim != rank:
        raise ModelError(
            f"`output: {kind_of(head)}` reads an output of {rank} axes, found {value.ndim}: "
            f"{tuple(value.shape)}. {_advice(value)}"
        )


def _advice(value: np.ndarray) -> str:
    if value.ndim == 5:
        return (
            "Five axes (images, anchors, h, w, numbers) are a YOLO's outputs before decoding: "
            "export it with its detection layer (YOLOv5 `export.py`, YOLOv7 `--grid`)."
        )
    return "Name the head that the model has."


def without_batch(value: np.ndarray, rank: int) -> np.ndarray:
    """`value` of one image without its axis of images, if it has one."""
    return value[0] if value.ndim == rank + 1 and len(value) == 1 else value


def require_finite(raw: Raw) -> None:
    for name, value in raw.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ModelError(
                f"The model's output {name!r} holds NaN or infinity; every number must be finite. "
                "Check the weights, and `model.input` (scale, mean, std, dtype)."
            )


def shares(scores: np.ndarray, head: HeadSpec, *, told: str = "scores") -> np.ndarray:
    """`scores` as float64 from 0 to 1; raises ModelError where they cannot be shares."""
    if scores.size and (scores.min() < _BELOW or scores.max() > _ABOVE):
        raise ModelError(
            f"`output: {kind_of(head)}` finds {told} from {scores.min():.4g} to "
            f"{scores.max():.4g}; they lie from 0 to 1. The output is transposed, is another "
            "head's, or lacks its last sigmoid or softmax: name its head, or export it anew."
        )
    found: np.ndarray = np.clip(scores.astype(np.float64), 0, 1)
    return found


def require_logits(scores: np.ndarray, head: HeadSpec) -> None:
    """Raise ModelError where all logits lie from 0 to 1: a sigmoid or softmax made them shares."""
    if scores.size and 0 <= scores.min() < scores.max() <= 1:
        raise ModelError(
            f"`output: {kind_of(head)}` reads logits, but all lie from {scores.min():.4g} to "
            f"{scores.max():.4g}, as probabilities do. Export the model without its last sigmoid "
            "or softmax, or name the head that it has."
        )


def classes_from(labels: np.ndarray, *, first: int, n_classes: int, head: HeadSpec) -> np.ndarray:
    """Labels of boxes as classes from 0; raises ModelError for one that `model.classes` lacks."""
    rounded = np.rint(labels).astype(np.int64)
    found: np.ndarray = rounded - first
    if (rounded != labels).any() or (found.size and (found.min() < 0 or found.max() >= n_classes)):
        raise ModelError(
            f"`output: {kind_of(head)}` finds class labels from {labels.min():g} to "
            f"{labels.max():g}; `model.classes` names {n_classes}, so they lie from {first} to "
            f"{first + n_classes - 1}. List all classes of the model"
            + (", set `first_class`" if "first_class" in type(head).model_fields else "")
            + ", or name the right outputs in `tensors`."
        )
    return found


def require_width(found: int, wanted: int, *, n_classes: int, head: HeadSpec, beside: int) -> None:
    """Raise ModelError unless a box has `wanted` numbers: classes and `beside` more."""
    if found == wanted:
        return
    raise ModelError(
        f"The model gives {found} numbers a box; `output: {kind_of(head)}` with {n_classes} "
        f"classes wants {wanted} ({beside} and one a class). {_width_advice(found, wanted, beside)}"
    )


def _width_advice(found: int, wanted: int, beside: int) -> str:
    if found - wanted == 1 and beside == 4:
        return "One more may be objectness: try `output: yolov5`, or list all classes."
    if found - wanted == -1 and beside == 5:
        return "One less may be a model without objectness: try `output: yolov8`."
    if found in (64, 64 + wanted - beside):
        return "64 of them may be distances before their decoding (DFL): export it decoded."
    count = f"{found - beside} classes" if found > beside else "no class"
    return f"That fits {count}: list the classes that the model was trained on, or name its head."
