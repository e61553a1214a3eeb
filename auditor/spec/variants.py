"""Other forms of the model that the audit spec names, and how they are run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from auditor.spec.bounds import MOST_THREADS, DataPlace
from auditor.spec.heads import AnyHead
from auditor.spec.model_spec import InputSpec, OutputSpec
from auditor.spec.spec_part import Fraction, SpecPart

AS_GIVEN, INT8, FP16 = "as-given", "int8", "fp16"
COMPRESSED = (INT8, FP16)
"""Forms that the audit makes itself where the spec names no file for them."""

VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]


MadeBy = Literal[
    "pruning", "distillation", "quantization", "half precision", "export", "release", "other"
]


class RuntimeSpec(SpecPart):
    """How onnxruntime runs a form of the model; PyTorch files take `threads` alone."""

    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    threads: int = Field(default=1, ge=1, le=MOST_THREADS)
    optimisation: Literal["none", "basic", "extended", "all"] = "all"
    """How far the graph is rewritten before it runs (onnxruntime's graph optimisation level)."""


class VariantSpec(SpecPart):
    """Another form of the model, held against the model as given on the same images.

    A second file, the same file run otherwise, or both. `int8` and `fp16` are the names of the
    compressed forms, which the audit makes itself where they have no `path`.
    """

    path: DataPlace | None = None
    """The file, or its URL; the model's own where left out."""
    made_by: MadeBy = "other"
    """How it was made, for readers."""
    architecture: str | None = None
    """As `model.architecture`, of a file of PyTorch weights; the model's own where left out."""
    input: InputSpec | None = None
    """The model's own where left out, as `output` and `output_name`."""
    output: Annotated[OutputSpec | AnyHead, Field(discriminator="kind")] | None = None
    output_name: str | None = None
    runtime: RuntimeSpec | None = None
    margin: Fraction | None = None
    """How much accuracy it may lose, as a share: a blocking limit of its own."""

    @field_validator("output", mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        return {"kind": given} if isinstance(given, str) else given


def require_named_forms(variants: dict[str, VariantSpec]) -> None:
    """Raise ValueError for a form that is the model as given."""
    for name, variant in variants.items():
        if name == AS_GIVEN:
            raise ValueError(
                f"{name!r} is the model itself; give the other form a name of its own, as `edge`"
            )
        if variant.path is None and variant.runtime is None and name not in COMPRESSED:
            raise ValueError(
                f"{name!r} names neither a file nor another way to run it; give `path` or `runtime`"
            )


Variants = Annotated[dict[VariantName, VariantSpec], Field(max_length=20)]
