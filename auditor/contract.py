"""What a check is, what it may need, and what evidence it is handed.

A check measures and never judges. It declares needs; the engine plans passes from them,
runs each pass once, and hands out nothing that was not declared.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.data.views import AS_SHOT, View
from auditor.findings import ModelFacts, Result
from auditor.spec import AuditSpec, InputSpec

if TYPE_CHECKING:
    from auditor.data.expectations import ManifestReport
    from auditor.data.soundness import Soundness
    from auditor.models.predictor import Predictor
    from auditor.scoring.outcomes import Outcomes

FAMILIES = ("auditor.checks", "auditor.bias", "auditor.shift")
AS_GIVEN = "as-given"


@dataclass(frozen=True)
class Pass:
    """One sweep of inference over a role.

    `sample` is a number of images (nested, seeded, taken by unit), None for all; `input` is a
    preprocessing other than the spec's, None for the spec's own; `embedding` asks for the
    penultimate activations too.
    """

    role: str
    view: View = AS_SHOT
    variant: str = AS_GIVEN
    input: InputSpec | None = None
    sample: int | None = None
    embedding: bool = False

    def __str__(self) -> str:
        parts = [self.role, self.view.name, self.variant]
        if self.input is not None:
            parts.append(f"input {input_name(self.input)}")
        if self.sample is not None:
            parts.append(f"{self.sample} images")
        return " / ".join(parts)


def input_name(given: InputSpec) -> str:
    """A preprocessing in one short line, unique for what it does to the pixels."""
    resize = f"shortest-{given.shortest}" if given.resize == "shortest" else given.resize
    numbers = ",".join(f"{v:g}" for v in (*given.mean, *given.std))
    size = "x".join(str(s) for s in given.size)
    return (
        f"{given.channels} {size} {resize} {given.interpolation} /{given.scale:g} ({numbers}) "
        f"{given.layout} {given.dtype}"
    )


@dataclass(frozen=True)
class Available:
    """What the audit has before any work: the spec, the model's facts, the datasets read."""

    spec: AuditSpec
    model: ModelFacts
    datasets: Mapping[str, Dataset]


@dataclass(frozen=True)
class Unmet:
    """Why a need is not met, and what would meet it; both plain sentences."""

    reason: str
    remedy: str


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

    def scanned_roles(self, available: Available) -> tuple[str, ...]:
        """Roles whose every image must be decoded once and described."""
        return ()

    def frame_roles(self, available: Available) -> tuple[str, ...]:
        """Roles whose decoded frames must be kept until the checks have run."""
        return ()


class Evidence(Protocol):
    """What a check is handed. Asking for what was not declared raises `UndeclaredNeedError`.

    `part` is ``"sound"`` (default everywhere) or ``"as-given"``.
    """

    @property
    def spec(self) -> AuditSpec: ...
    @property
    def model(self) -> ModelFacts: ...
    @property
    def rng(self) -> np.random.Generator:
        """A fresh generator from the audit's seed and the check's id."""
        ...

    def has(self, need: Need) -> bool:
        """Whether a declared (optional) need is met."""
        ...

    def dataset(self, role: str, *, part: str = "sound") -> Dataset:
        """The manifest's rows of a role (readable images only in the sound part)."""
        ...

    def outcomes(
        self,
        role: str = "test",
        *,
        view: View = AS_SHOT,
        variant: str = AS_GIVEN,
        input: InputSpec | None = None,
        sample: int | None = None,
        part: str = "sound",
    ) -> Outcomes:
        """Predictions of a declared pass; unreadable images are never among them."""
        ...

    def embedding(self, role: str = "test", *, part: str = "sound") -> np.ndarray:
        """Penultimate activations (n, d) float32, in the order of ``outcomes(role)``."""
        ...

    def scan(self, role: str, *, part: str = "sound") -> pd.DataFrame:
        """One row an image: `auditor.data.scan.SCAN_COLUMNS`; as-given has unreadable ones too."""
        ...

    def manifest_report(self, role: str) -> ManifestReport:
        """What validating the role's manifest found, every failing row included."""
        ...

    def soundness(self) -> Soundness:
        """Which images were set apart, in each role, and why."""
        ...

    def frames(self, role: str, *, sample: int) -> np.ndarray:
        """Decoded frames at model size, (m, h, w, 3) uint8, of a nested sample (sound part)."""
        ...

    def frame_ids(self, role: str, *, sample: int) -> tuple[str, ...]:
        """Image ids of `frames`, in the same order."""
        ...

    def predictor(self, variant: str = AS_GIVEN) -> Predictor:
        """The live model; calls are counted."""
        ...

    def model_path(self, variant: str = AS_GIVEN) -> Path:
        """The file of a variant, for measuring it where it will run."""
        ...


class UndeclaredNeedError(RuntimeError):
    """A check asked for evidence that it did not declare: a fault of the check."""


@dataclass(frozen=True)
class Check(ABC):
    """A check: its fields are its parameters, its docstring is its documentation.

    Subclasses are frozen dataclasses; their docstring begins with one sentence and has the
    sections *What it measures*, *Why it matters*, *How it can mislead*. Fields are documented
    with ``Annotated[type, "meaning"]``.
    """

    id: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    sources: ClassVar[tuple[str, ...]] = ()
    since: ClassVar[str] = "0.1"

    @abstractmethod
    def run(self, evidence: Evidence) -> Iterator[Result]:
        """Measures, reasons why there are none, figures and tables."""


def check_classes() -> Mapping[str, type[Check]]:
    """Every check of the three families by id, sorted; finding one is a module's presence."""
    for family in FAMILIES:
        package = importlib.import_module(family)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{family}.{module.name}")
    found: dict[str, type[Check]] = {}
    for cls in Check.__subclasses__():
        if cls.id in found and found[cls.id] is not cls:
            raise RuntimeError(f"two checks share the id {cls.id}: {found[cls.id]} and {cls}")
        if cls.__module__.startswith(FAMILIES):
            found[cls.id] = cls
    return dict(sorted(found.items()))


def make_check(cls: type[Check], parameters: Mapping[str, Any]) -> Check:
    """A check with the spec's parameters; unknown ones raise TypeError naming them."""
    return cls(**parameters)
