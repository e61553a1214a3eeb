"""A pass: one sweep of inference over a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from auditor.data.views import AS_SHOT, View
from auditor.spec import AS_GIVEN, InputSpec, OutputKeys

EXPORTED = "exported"
"""The ONNX form that the audit writes of a PyTorch model, to make others of it."""

__all__ = ["AS_GIVEN", "EXPORTED", "Pass", "PassKeys", "input_name"]


@dataclass(frozen=True)
class Pass:
    """One sweep of inference over a split.

    `sample` is a number of images (nested, seeded, taken by unit), None for all; `input` is a
    preprocessing other than the spec's, None for the spec's own; `embedding` asks for the
    penultimate activations too; `output` has keys of `model.output` that are not as the spec has
    them, and their values.
    """

    split: str
    view: View = AS_SHOT
    variant: str = AS_GIVEN
    input: InputSpec | None = None
    sample: int | None = None
    embedding: bool = False
    output: OutputKeys = ()

    def __str__(self) -> str:
        parts = [self.split, self.view.name, self.variant]
        if self.input is not None:
            parts.append(f"input {input_name(self.input)}")
        parts += [f"output {key} {value}" for key, value in self.output]
        if self.sample is not None:
            parts.append(f"{self.sample} images")
        return " / ".join(parts)


class PassKeys(TypedDict, total=False):
    """What a pass may differ by, beside its split: see `Pass`."""

    view: View
    variant: str
    input: InputSpec | None
    sample: int | None
    output: OutputKeys


def input_name(given: InputSpec) -> str:
    """A preprocessing in one short line, unique for what it does to the pixels."""
    resize = f"shortest-{given.shortest}" if given.resize == "shortest" else given.resize
    numbers = ",".join(f"{v:g}" for v in (*given.mean, *given.std))
    sampled = given.interpolation + ("" if given.antialias else "-sampled")
    upright = "" if given.exif == "apply" else " exif-ignored"
    size = "x".join(str(s) for s in given.size)
    return (
        f"{given.channels} {size} {resize} {sampled}{upright} /{given.scale:g} ({numbers}) "
        f"{given.layout} {given.dtype}"
    )
