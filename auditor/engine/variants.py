"""Other forms of the model: files that the spec names, and those that the audit makes itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from auditor.contract import AS_GIVEN, EXPORTED, Available
from auditor.data.dataset import Dataset
from auditor.data.frames import to_frame
from auditor.data.image_files import ImageFiles
from auditor.data.images import UnreadableImageError, decode
from auditor.engine.gathered import MissingVariant
from auditor.engine.sampling import nested_order
from auditor.engine.shard_files import dicom_key
from auditor.engine.store import Store, key_of
from auditor.engine.sweep import SweptSplit
from auditor.errors import ModelError
from auditor.models.contained import ContainedPredictor, half_form, int8_form
from auditor.models.form_facts import EXPORT_VERSION
from auditor.models.load import load_model, model_classes
from auditor.models.predictor import Predictor
from auditor.spec import FP16, INT8, AuditSpec

CALIBRATION_IMAGES = 64
"""Images for an INT8 form: half for its ranges (methods: 32 sufficed), half for the choice."""


@dataclass(frozen=True)
class Variants:
    """The forms that could be had, by name, and why others could not.

    With a PyTorch model's ONNX form (`EXPORTED`) where another one is made of it.
    """

    predictors: Mapping[str, Predictor]
    paths: Mapping[str, Path]
    missing: Mapping[str, MissingVariant]


def make_variants(
    available: Available,
    wanted: Sequence[str],
    *,
    given: ContainedPredictor,
    swept: Mapping[str, SweptSplit],
    store: Store,
) -> Variants:
    """Load the forms `wanted`, making the compressed ones for which the spec names no file."""
    making = _Making(available, given, swept, store)
    missing: dict[str, MissingVariant] = {}
    for variant in wanted:
        try:
            making.load(variant)
        except ModelError as error:
            missing[variant] = _missing(variant, error, available.spec)
    return Variants(making.predictors, making.paths, missing)


def _missing(variant: str, error: ModelError, spec: AuditSpec) -> MissingVariant:
    stated = spec.variants.get(variant)
    if stated is not None and (stated.path or stated.runtime):
        # Where the spec lies on this machine is nothing for a record.
        said = str(error).replace(f"{spec.folder}/", "")
        said = said.replace("model.path:", f"variants.{variant}.path:")
        return MissingVariant(
            reason=f"The form {variant} could not be loaded: {said}",
            remedy=f"Correct `variants.{variant}`, or leave it out.",
        )
    return MissingVariant(
        reason=f"The {variant} form could not be made: {error}",
        remedy=f"Name the compressed file that will ship as `variants.{variant}.path`, or leave "
        "its limits out of the policy if none will ship.",
    )


@dataclass
class _Making:
    """The forms made so far; each lies in the store under all that it depends on."""

    available: Available
    given: ContainedPredictor
    swept: Mapping[str, SweptSplit]
    store: Store
    predictors: dict[str, Predictor] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.predictors[AS_GIVEN] = self.given
        self.paths[AS_GIVEN] = self.spec.resolve(self.spec.model.path)

    @property
    def spec(self) -> AuditSpec:
        return self.available.spec

    def load(self, variant: str) -> None:
        path = self._file(variant)
        found = load_model(
            self.spec, classes=model_classes(self.spec), path=path, variant=variant,
            # What read the first model's outputs was trusted, or it would not be here.
            trust_code=self.given.facts.trusted_code,
        )  # fmt: skip
        if variant == INT8 and not found.facts.quantised:
            raise ModelError(
                "found no weight in integers, expected a quantised file. Name such a form "
                "otherwise under `variants`."
            )
        self.paths[variant], self.predictors[variant] = path, found

    def _file(self, variant: str) -> Path:
        stated = self.spec.variants.get(variant)
        if stated is not None and stated.path is not None:
            return self.spec.resolve(stated.path)
        makers = {INT8: self._int8, FP16: self._half, EXPORTED: self._exported}
        return makers[variant]() if variant in makers else self.paths[AS_GIVEN]

    def _float(self) -> Path:
        """The floating-point ONNX file that compressed forms are made of."""
        if self.given.facts.format == "onnx":
            return self.paths[AS_GIVEN]
        if EXPORTED not in self.paths:
            self.load(EXPORTED)
        return self.paths[EXPORTED]

    def _exported(self) -> Path:
        return self._made(key_of("exported", EXPORT_VERSION, self.given.digest), self.given.export)

    def _half(self) -> Path:
        from auditor.models.half import HALF_VERSION

        given, model = self._float(), self.spec.model
        key = key_of("fp16", HALF_VERSION, self.given.digest)
        return self._made(key, lambda: half_form(given, model=model))

    def _int8(self) -> Path:
        """Calibrated on training images where there are any, else on test images."""
        from auditor.models.quantize import QUANTIZER_VERSION

        given, spec = self._float(), self.spec
        split = "train" if "train" in self.swept else "test"
        dataset = self.available.datasets[split]
        rows = nested_order(dataset, seed=spec.audit.seed)[:CALIBRATION_IMAGES]
        digests = [self.swept[split].digests[row] for row in rows]
        key = key_of("int8", QUANTIZER_VERSION, self.given.digest, digests,
                     spec.model.input.model_dump(mode="json"),
                     *dicom_key(spec.data.dicom))  # fmt: skip
        return self._made(
            key,
            lambda: int8_form(
                given, model=spec.model, calibration=decoded_frames(dataset, rows, spec)
            ),
        )

    def _made(self, key: str, make: Callable[[], bytes]) -> Path:
        path = self.store.path("variants", key, ".onnx")
        if not self.store.holds(path):
            content = make()
            with self.store.writing(path) as temporary:
                temporary.write_bytes(content)
        return path


def decoded_frames(dataset: Dataset, rows: np.ndarray, spec: AuditSpec) -> np.ndarray:
    """Frames (n, h, w, 3) uint8 of the rows whose image can be read, for the model as given."""
    frames, files = [], ImageFiles()
    for path in dataset.paths.take(rows):
        try:
            decoded = decode(
                files.read(path),
                max_pixels=spec.data.limits.max_pixels,
                white=spec.model.input.range,
                dicom=spec.data.dicom,
            )
        except (UnreadableImageError, OSError):
            continue
        frames.append(to_frame(decoded.as_fed(spec.model.input), spec.model.input))
    if not frames:
        raise ModelError("no image could be read to calibrate it with")
    return np.stack(frames)
