"""What is told of forms of a model: how one was made, how far the layers of two lie apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from auditor.spec import InputSpec, RuntimeSpec

EXPORT_VERSION = 1
"""Changes when torch would write another ONNX file of one network; enters store keys."""

MOST_NOISE = 1e6
"""Noise beyond which, or without a finite number, two outputs have nothing in common."""


@dataclass(frozen=True)
class Calibrator:
    """A calibrator that was tried, and how far the outputs of its form lie from the float ones.

    `noise` is the mean square of that distance over the variance that images make in the outputs,
    averaged over outputs (0: the same); None, and `failed` says why, where no form was made.
    """

    name: str
    noise: float | None
    chosen: bool = False
    failed: str = ""


@dataclass(frozen=True)
class QuantizationNotes:
    """How an INT8 file of `quantize_int8` was made, for readers; empty of another maker's file.

    `calibrated` and `held_out` count the images for ranges, and for the choice of a calibrator.
    """

    said: tuple[str, ...] = ()
    calibrators: tuple[Calibrator, ...] = ()
    calibrated: int = 0
    held_out: int = 0


@dataclass(frozen=True)
class OneForm:
    """A form to be run: its file, how it is fed, how it is run."""

    path: Path
    input: InputSpec
    runtime: RuntimeSpec = field(default_factory=RuntimeSpec)


@dataclass(frozen=True)
class LayerApart:
    """A layer that both forms have, and how far their outputs of it lie apart.

    `noise` is the mean square of that distance over the variance of the first form's output; above
    1 they have less in common than two images have. `kept` says whether it was found by its
    tensor's name; else by its place among the weighted layers.
    """

    name: str
    op: str
    noise: float
    kept: bool
