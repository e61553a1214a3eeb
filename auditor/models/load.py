"""From the spec's model file to a predictor, whatever its format."""

from __future__ import annotations

from pathlib import Path

from auditor.data.model_classes import load_classes
from auditor.models.contained import ContainedPredictor
from auditor.models.formats import detect_format, require_model_file
from auditor.spec import AuditSpec, ModelSpec, VariantSpec
from auditor.spec.spec_file import least_classes


def load_model(
    spec: AuditSpec,
    *,
    classes: tuple[str, ...],
    trust_code: bool = False,
    path: Path | None = None,
    variant: str | None = None,
) -> ContainedPredictor:
    """Load the model of `spec`, or another form of it, in a contained process.

    Parameters
    ----------
    classes : names of the model's classes in its order, background left out (`model_classes`).
    trust_code : whether Python code of the model's author may be run.
    path : a file to load in place of the spec's: a variant, or the reference. Such a file
        gives no embedding, because no check compares any.
    variant : which of the spec's `variants` the file is, that may be fed and run otherwise.

    Raises
    ------
    ModelError
        If the file is missing, is no model, holds code that is not trusted, does not do what the
        spec says (classes, size, layout, type, output), crashes, or exceeds `model.limits`.
    MissingLibraryError
        If a torchvision network is named and torchvision cannot be imported.
    """
    file = spec.resolve(spec.model.path) if path is None else path
    require_model_file(file)
    stated = None if variant is None else spec.variants.get(variant)
    model = spec.model if path is None else _for_variant(spec, file, stated)
    return ContainedPredictor(
        file,
        model=model,
        classes=classes,
        renamed=spec.data.classes.map,
        folder=spec.folder,
        trust_code=trust_code,
        runtime=None if stated is None else stated.runtime,
    )


def model_classes(spec: AuditSpec) -> tuple[str, ...]:
    """The model's own classes in its order; those of the audit are `ModelFacts.classes`."""
    least = least_classes(spec.model.task)
    return load_classes(spec.model.classes, spec.folder, least=least)


def _for_variant(spec: AuditSpec, file: Path, stated: VariantSpec | None) -> ModelSpec:
    """The model's part of the spec for another file: names within the first one do not carry."""
    other: dict[str, object] = {"embedding": None}
    given = spec.resolve(spec.model.path)
    if file != given:
        other["weights"] = None
    if not given.is_file() or detect_format(file) != detect_format(given):
        other["output_name"] = None
    for name in ("architecture", "input", "output", "output_name"):
        said = None if stated is None else getattr(stated, name)
        if said is not None:
            other[name] = said
    return spec.model.model_copy(update=other)
