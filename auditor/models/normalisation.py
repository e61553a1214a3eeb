"""How a graph normalises its input by itself, and what is left to do outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.models.onnx_graph import RESHAPING, OnnxGraph

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Normalisation:
    """How pixels should go in, and why; `certain` where the graph shows it."""

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reason: str
    certain: bool


def leading_constants(graph: OnnxGraph) -> list[tuple[str, np.ndarray]]:
    """Constants that the graph applies to its input before its first layer, in their order.

    Pairs of an operator (Sub, Div, Mul, Add, BatchNormalization) and its numbers.
    """
    at, found = graph.inputs[0].name, []
    for node in graph.nodes:
        if at not in node.input:
            continue
        if node.op_type == "BatchNormalization":
            found.append((node.op_type, np.zeros(1)))
        elif node.op_type in ("Sub", "Div", "Mul", "Add"):
            other = next((name for name in node.input if name != at), at)
            values = graph.value(other)
            if values is None:
                break
            found.append((node.op_type, values))
        elif node.op_type not in RESHAPING:
            break
        at = node.output[0]
    return found


def normalisation(
    constants: Sequence[tuple[str, np.ndarray]], *, grey: bool, as_they_are: bool
) -> Normalisation:
    """What is left to do outside of the graph; `as_they_are` says that it takes uint8."""
    count = 1 if grey else 3
    nothing = ((0.0,) * count, (1.0,) * count)
    if as_they_are:
        return Normalisation(255.0, *nothing, "pixels go in as they are (uint8)", certain=True)
    if not constants:
        if count == 1:
            said = "guess: pixels divided by 255; check with model/preprocessing"
            return Normalisation(255.0, *nothing, said, certain=False)
        said = "guess: normalised as for ImageNet, RGB; check with model/preprocessing"
        return Normalisation(255.0, _IMAGENET_MEAN, _IMAGENET_STD, said, certain=False)
    # A graph that takes away over one unit, or divides by over ten, was made for 0 to 255.
    from_255 = any(_is_for_255(op, values) for op, values in constants)
    scale = 1.0 if from_255 else 255.0
    steps = ", ".join(dict.fromkeys(op for op, _ in constants))
    said = (
        f"the graph normalises by itself ({steps}); guess: it takes pixels from 0 to "
        f"{'255' if from_255 else '1'}, RGB; check with model/preprocessing"
    )
    return Normalisation(scale, *nothing, said, certain=False)


def _is_for_255(op: str, values: np.ndarray) -> bool:
    size = float(np.abs(values).max(initial=0))
    if op in ("Sub", "Add"):
        return size > 2
    return size > 10 if op == "Div" else op == "Mul" and 0 < size < 0.1
