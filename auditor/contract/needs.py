"""Needs: what a check asks for, the sentence said where it is not had, and the passes it takes.

A need of one check alone stands beside that check.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from auditor.contract.passes import AS_GIVEN, Pass
from auditor.data.dataset import Dataset
from auditor.data.views import AS_SHOT, View
from auditor.findings import ModelFacts
from auditor.spec import AuditSpec


@dataclass(frozen=True)
class Available:
    """What the audit has before any work: the spec, the model's facts, the datasets read."""

    spec: AuditSpec
    model: ModelFacts
    datasets: Mapping[str, Dataset]


@dataclass(frozen=True)
class Unmet:
    """Why a need is not met, and what would meet it; both plain sentences.

    `applies` is False where the check has no meaning for such a model, so that nothing is missed.
    """

    reason: str
    remedy: str
    applies: bool = True


class NotMeasurableError(Exception):
    """Raised where evidence that was planned turns out not to be had; becomes NOT_RUN."""

    def __init__(self, reason: str, *, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True)
class Need(ABC):
    """What a check asks for: whether it is met, what to say when not, and its passes.

    An optional need that is unmet does not stop the check; evidence then answers
    ``evidence.has(need)`` with False.
    """

    optional: bool = False

    @abstractmethod
    def unmet(self, available: Available) -> Unmet | None:
        """None when the need is met."""

    def passes(self, available: Available) -> tuple[Pass, ...]:
        """Passes to run for this need; asked only when it is met."""
        return ()

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        """Splits whose decoded frames must be kept until the checks have run."""
        return ()


def _absent_split(split: str, available: Available) -> Unmet | None:
    if split in available.datasets:
        return None
    return Unmet(
        reason=f"The spec names no {split} data.",
        remedy=f"Add `data.{split}` (a manifest and its images) to the audit spec.",
    )


@dataclass(frozen=True)
class Predictions(Need):
    """The model's answers for a split, under a view and a variant."""

    split: str = "test"
    view: View = AS_SHOT
    variant: str = AS_GIVEN
    sample: int | None = None

    def unmet(self, available: Available) -> Unmet | None:
        return _absent_split(self.split, available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        return (Pass(self.split, view=self.view, variant=self.variant, sample=self.sample),)

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        # A variant is made after the first sweep, and a donor is another image's frame:
        # both read frames that the first sweep has kept.
        late = self.variant != AS_GIVEN or self.view.donor is not None
        return (self.split,) if late else ()


@dataclass(frozen=True)
class ClassScores(Predictions):
    """A score for each class of every image, as classifiers give."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.task != "classification":
            return Unmet(
                reason=f"A model of the task {available.model.task} gives no score for each class "
                "of an image.",
                remedy="Nothing to do: this is asked of classifiers only.",
                applies=False,
            )
        return super().unmet(available)


@dataclass(frozen=True)
class Boxes(Predictions):
    """Boxes with a score each, as detectors give."""

    def unmet(self, available: Available) -> Unmet | None:
        if not available.spec.model.gives_boxes:
            return Unmet(
                reason=f"A model of the task {available.model.task} gives no boxes.",
                remedy="Nothing to do: this is asked of detectors only.",
                applies=False,
            )
        return super().unmet(available)


@dataclass(frozen=True)
class Confidences(Need):
    """How sure the model is of each answer."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.task != "segmentation":
            return None
        return Unmet(
            reason="A class map says of no answer how sure the model is of it.",
            remedy="Nothing to do: this is asked of classifiers and detectors only.",
            applies=False,
        )


@dataclass(frozen=True)
class LabelledSplits(Need):
    """Answers and truth of the test images, and of the deployment images where they have truth.

    What is measured on test is measured on every labelled split: `splits` lists them.
    """

    def unmet(self, available: Available) -> Unmet | None:
        return Truth().unmet(available)

    def splits(self, available: Available) -> tuple[str, ...]:
        return tuple(s for s in ("test", "deployment") if Truth(split=s).unmet(available) is None)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        return tuple(Pass(split) for split in self.splits(available))


@dataclass(frozen=True)
class Manifest(Need):
    """A split's manifest, without its images."""

    split: str = "test"

    def unmet(self, available: Available) -> Unmet | None:
        return _absent_split(self.split, available)


@dataclass(frozen=True)
class Truth(Need):
    """Labels for a split."""

    split: str = "test"

    def unmet(self, available: Available) -> Unmet | None:
        missing = _absent_split(self.split, available)
        if missing is None and not available.datasets[self.split].has_labels:
            return Unmet(
                reason=f"The {self.split} images have no labels.",
                remedy=_how_to_label(self.split, available),
            )
        return missing


def _how_to_label(split: str, available: Available) -> str:
    if available.model.task == "classification":
        return (
            f"Label a random sample of the {split} images and name the column under "
            "`columns.label`."
        )
    return (
        f"Annotate a random sample of the {split} images and name the file or folder under "
        f"`data.{split}.annotations`."
    )


@dataclass(frozen=True)
class Scan(Need):
    """A description of every image of a split: readable or not, mode, size, hashes, properties."""

    split: str = "test"

    def unmet(self, available: Available) -> Unmet | None:
        return _absent_split(self.split, available)


@dataclass(frozen=True)
class Attributes(Need):
    """At least one declared attribute of the given roles (any role when none is named)."""

    roles: tuple[str, ...] = ()
    split: str = "test"

    def unmet(self, available: Available) -> Unmet | None:
        missing = _absent_split(self.split, available)
        if missing is not None:
            return missing
        if available.datasets[self.split].attributes_of(*self.roles):
            return None
        kind = " or ".join(self.roles) or "any"
        return Unmet(
            reason=f"The {self.split} data declare no attribute with role {kind}.",
            remedy="Add columns that group the images to the manifest (building, lighting, "
            "device, ...) and declare them under `data.attributes`.",
        )


@dataclass(frozen=True)
class Units(Need):
    """A column that names what was sampled independently."""

    split: str = "test"

    def unmet(self, available: Available) -> Unmet | None:
        missing = _absent_split(self.split, available)
        if missing is None and not available.datasets[self.split].has_units:
            return Unmet(
                reason=f"The {self.split} manifest names no unit (room, person, video).",
                remedy="Name the column under `data.columns.unit`.",
            )
        return missing


@dataclass(frozen=True)
class Declared(Need):
    """A part of the spec, as a dotted path such as ``consequences.costs``, that is filled in."""

    path: str = ""
    remedy: str = ""

    def unmet(self, available: Available) -> Unmet | None:
        part: object = available.spec
        for name in self.path.split("."):
            part = getattr(part, name)
            if part is None or part == () or part == {}:
                return Unmet(
                    reason=f"The spec does not state `{self.path}`.",
                    remedy=self.remedy or f"State `{self.path}` in the audit spec.",
                )
        return None


@dataclass(frozen=True)
class Embedding(Need):
    """The model's penultimate activations for a split."""

    split: str = "test"

    def unmet(self, available: Available) -> Unmet | None:
        missing = _absent_split(self.split, available)
        if missing is None and available.model.embedding is None:
            return Unmet(
                reason="No penultimate activation was found in the model's graph.",
                remedy="Name the tensor under `model.embedding`.",
            )
        return missing

    def passes(self, available: Available) -> tuple[Pass, ...]:
        return (Pass(self.split, embedding=True),)


@dataclass(frozen=True)
class LiveModel(Need):
    """The model itself, called by the check on frames of a split."""

    split: str = "test"

    def unmet(self, available: Available) -> Unmet | None:
        return _absent_split(self.split, available)

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        return (self.split,)


@dataclass(frozen=True)
class Gradients(Need):
    """A model that gives gradients of its outputs with respect to its inputs."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.differentiable:
            return None
        return Unmet(
            reason=f"The {available.model.format} model gives no gradients.",
            remedy="Audit the PyTorch weights (`model.path` with `model.architecture`).",
        )
