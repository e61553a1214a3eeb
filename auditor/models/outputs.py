"""From what a model's output tensor holds to probabilities of classes."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np

from auditor.errors import ModelError
from auditor.findings import TensorFacts
from auditor.spec import OutputSpec

Ending = Literal["softmax", "sigmoid", "none", "unknown"]
"""What a graph ends with; unknown where the graph cannot be read."""

_NO_SCORES = frozenset({"tensor(int64)", "tensor(int32)", "tensor(bool)", "tensor(string)"})
"""Types of outputs that hold numbers or names of classes."""

_MOST_NEGATIVE = -0.01
_LARGEST = 1.05
_LARGEST_SUM = 1.5


@dataclass(frozen=True)
class Dequantisation:
    """Real value of an integer output: ``(stored - zero_point) * scale``."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class OutputReading:
    """How an output tensor becomes probabilities, fixed when the model is loaded.

    `ending` decides what ``sigmoid`` means: scores that end in a sigmoid are taken as they are,
    others are put through one. `dequantisation` is the graph's own, for integer outputs.
    """

    kind: Literal["logits", "probabilities", "sigmoid"]
    n_classes: int
    background: int | None = None
    ending: Ending = "unknown"
    dequantisation: Dequantisation | None = None

    @property
    def width(self) -> int:
        """Numbers that the model should give for an image."""
        return self.n_classes + (self.background is not None)

    def read(self, raw: np.ndarray, *, n: int) -> np.ndarray:
        """Probabilities (n, classes) float32 from the raw output of `n` images.

        Logits: softmax. Probabilities: negative roundings clipped, then divided by their sum; a
        row that quantisation has emptied becomes uniform. Sigmoid: one number is the
        probability of the second of two classes; several are divided by their sum, because
        independent scores are no distribution. A background class is dropped before the
        division.

        Raises
        ------
        ModelError
            If the output is not finite, has another shape or class count than declared, or
            holds numbers that the declared kind cannot hold.
        """
        scores = self._real(_rows(raw, n=n))
        _require_finite(scores)
        if self.kind == "logits":
            scores = self._without_background(self._checked(scores))
            return softmax(scores).astype(np.float32)
        scores = self._without_background(self._as_shares(scores))
        return _normalised(scores).astype(np.float32)

    def _real(self, rows: np.ndarray) -> np.ndarray:
        if np.issubdtype(rows.dtype, np.floating):
            return rows.astype(np.float64)
        if self.dequantisation is not None:
            shift, scale = self.dequantisation.zero_point, self.dequantisation.scale
            return (rows.astype(np.float64) - shift) * scale
        if rows.dtype == np.uint8 and self.kind != "logits":
            return rows.astype(np.float64) / 255
        raise ModelError(
            f"The model's output is {rows.dtype} and its graph names no scale, so {self.kind} "
            "cannot be read from it. Export the model with a float output."
        )

    def _as_shares(self, scores: np.ndarray) -> np.ndarray:
        """Scores from 0 to 1, one a class (background included)."""
        if self.kind == "sigmoid" and self.ending != "sigmoid":
            scores = sigmoid(scores)
        _require_shares(scores, kind=self.kind)
        if scores.shape[1] == 1 and self.width == 2:
            scores = np.hstack([1 - scores, scores])
        scores = self._checked(scores)
        if self.kind == "probabilities":
            _require_sums(scores)
        return scores

    def _checked(self, scores: np.ndarray) -> np.ndarray:
        found = scores.shape[1]
        if found != self.width:
            raise ModelError(_wrong_count(found, self))
        return scores

    def _without_background(self, scores: np.ndarray) -> np.ndarray:
        return scores if self.background is None else np.delete(scores, self.background, axis=1)


def output_widths(spec: OutputSpec, n_classes: int) -> frozenset[int]:
    """How many numbers an image the output may have: one will do for two classes' scores."""
    width = n_classes + (spec.background is not None)
    single = width == 2 and spec.kind != "logits"
    return frozenset({width, 1} if single else {width})


def scores_or_none(outputs: Sequence[TensorFacts], model: str) -> tuple[TensorFacts, ...]:
    """The outputs that can hold scores; raises ModelError where none of a `model`'s can."""
    found = tuple(each for each in outputs if each.dtype not in _NO_SCORES)
    if not found:
        raise ModelError(
            f"{model} gives {outputs[0].name!r}, which is {outputs[0].dtype}: numbers or names of "
            "classes, and no scores. Export it without the operator that picks a class (ArgMax)."
        )
    return found


def class_output(
    outputs: Sequence[TensorFacts], *, widths: Set[int], name: str | None = None
) -> str:
    """The name of the output that holds one number a class; shapes are with the batch.

    `name` is the spec's, which is obeyed; else the only output that fits, or the only one of which
    that is unknown, or the first of all where none can. Raises ModelError for a name that is none,
    and where several could be meant.
    """
    names = [each.name for each in outputs]
    if name is not None:
        if name not in names:
            raise ModelError(
                f"model.output_name is {name!r}, and the model's outputs are "
                f"{', '.join(map(repr, names))}. Correct it."
            )
        return name
    outputs = scores_or_none(outputs, "The model")
    names = [each.name for each in outputs]
    fits = [each.name for each in outputs if width_of(each) in widths]
    fits = fits or [each.name for each in outputs if _sides(each) == [None]]
    if len(fits) > 1:
        raise ModelError(
            f"The model gives class scores in {len(fits)} outputs ({', '.join(map(repr, fits))}), "
            f"and the spec does not say which is meant. Name it: `model.output_name: {fits[0]}`."
        )
    return (fits or names)[0]


def width_of(output: TensorFacts) -> int | None:
    """Numbers an image that an output gives, None where that is unknown or it has more axes."""
    numbers = _sides(output)
    return numbers[0] if len(numbers) == 1 else (None if numbers else 1)


def _sides(output: TensorFacts) -> list[int | None]:
    """Lengths of the axes beside the batch, without those of one entry."""
    return [length for length in output.shape[1:] if length != 1]


def reading_for(
    spec: OutputSpec,
    *,
    n_classes: int,
    ending: Ending,
    dequantisation: Dequantisation | None = None,
) -> OutputReading:
    """The reading that the spec declares, refused where the graph's end contradicts it.

    Raises ModelError for logits declared of a graph that ends in softmax or sigmoid (a second
    softmax would flatten every probability), likewise for a sigmoid declared of one that ends in
    softmax, and for a background index beyond the classes.
    """
    wanted = {"softmax": "probabilities", "sigmoid": "sigmoid"}.get(ending)
    if wanted is not None and spec.kind not in ("probabilities", wanted):
        raise ModelError(
            f"The spec says `output: {spec.kind}`, but the model ends in a {ending}: its numbers "
            f"are probabilities already. Set `model.output: {wanted}`."
        )
    if spec.background is not None and not 0 <= spec.background <= n_classes:
        raise ModelError(
            f"output.background is {spec.background}, expected an index from 0 to {n_classes} "
            f"(the model has {n_classes} classes and one more for background)."
        )
    return OutputReading(
        kind=spec.kind,
        n_classes=n_classes,
        background=spec.background,
        ending=ending,
        dequantisation=dequantisation,
    )


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax of each row of `scores` (n, classes), which may be large."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """Logistic function without overflow for large negative scores."""
    tail = np.exp(-np.abs(scores))
    shares: np.ndarray = np.where(scores >= 0, 1 / (1 + tail), tail / (1 + tail))
    return shares


def _rows(raw: np.ndarray, *, n: int) -> np.ndarray:
    """The output as (n, numbers): axes of length 1 beside the batch are dropped."""
    wide = [length for length in raw.shape[1:] if length != 1]
    # One score an image may come as (n,), and a squeezed one of one image as a bare number.
    if len(wide) <= 1 and raw.ndim >= 1 and raw.shape[0] == n:
        return raw.reshape(n, -1)
    if n == 1 and raw.ndim <= 1:
        return raw.reshape(1, -1)
    raise ModelError(
        f"The model's output has shape {tuple(raw.shape)} for {n} images; a classifier gives one "
        "row of class scores an image, as (images, classes). Name a classification model, or "
        "export it with its pooling and last layer."
    )


def _require_finite(scores: np.ndarray) -> None:
    bad = int((~np.isfinite(scores)).any(axis=1).sum())
    if bad:
        raise ModelError(
            f"The model's output holds NaN or infinity for {bad} of {len(scores)} images of a "
            "batch; every number must be finite. Check the weights, and `model.input` (scale, "
            "mean, std, dtype): a float16 model overflows above 65504."
        )


def _require_shares(scores: np.ndarray, *, kind: str) -> None:
    if not scores.size:
        return
    low, high = float(scores.min()), float(scores.max())
    if low < _MOST_NEGATIVE or high > _LARGEST:
        raise ModelError(
            f"The spec says `output: {kind}`, but the model's output ranges from {low:.4g} to "
            f"{high:.4g}; probabilities lie from 0 to 1. Set `model.output: logits`."
        )


def _require_sums(scores: np.ndarray) -> None:
    largest = float(scores.sum(axis=1).max(initial=0))
    if largest > _LARGEST_SUM:
        raise ModelError(
            f"The spec says `output: probabilities`, but a row sums to {largest:.4g} instead of "
            "1. If the model gives an independent score a class, set `model.output: sigmoid`."
        )


def _normalised(shares: np.ndarray) -> np.ndarray:
    clipped = np.clip(shares, 0, 1)
    total = clipped.sum(axis=1, keepdims=True)
    rows: np.ndarray = np.full_like(clipped, 1 / clipped.shape[1])
    np.divide(clipped, total, out=rows, where=total > 0)
    return rows


def _wrong_count(found: int, reading: OutputReading) -> str:
    expected, classes = reading.width, reading.n_classes
    text = f"The model gives {found} numbers an image, expected {expected}"
    if reading.background is not None:
        text += f" ({classes} classes and a background class)"
    text += f": `model.classes` names {classes}."
    if found == classes + 1 and reading.background is None:
        return (
            f"{text} If the first of the {found} is a background class, set `output: {{kind: "
            f"{reading.kind}, background: 0}}`; otherwise list all {found} classes."
        )
    if found == 1 and classes == 2:
        return f"{text} If the number is the second class's score, set `output: sigmoid`."
    if found == classes and reading.background is not None:
        return f"{text} Leave `output.background` out."
    return f"{text} List the classes that the model was trained on, in its order."
