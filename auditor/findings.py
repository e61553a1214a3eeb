"""What checks yield and what a judgement makes of it: plain frozen values.

An id is ``check:measure[:key=value,...][@split][+variant]``, keys sorted, values
percent-encoded; it is stable across runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import quote

from auditor.stats.estimates import Estimate

Better = Literal["higher", "lower", "none"]
Cell = str | int | float | bool | None


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT_RUN"
    PASS_WITH_WAIVERS = "PASS_WITH_WAIVERS"


class EvidenceStatus(StrEnum):
    MEASURED = "MEASURED"
    DERIVED = "DERIVED"
    DECLARED = "DECLARED"
    NOT_TESTED = "NOT_TESTED"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Subject:
    """What a measure is about: keys such as ``building=old``, a dataset split, a variant."""

    keys: tuple[tuple[str, str], ...] = ()
    split: str | None = None
    variant: str | None = None

    @classmethod
    def of(cls, *, split: str | None = None, variant: str | None = None, **keys: str) -> Subject:
        return cls.about(keys, split=split, variant=variant)

    @classmethod
    def about(
        cls, keys: Mapping[str, str], *, split: str | None = None, variant: str | None = None
    ) -> Subject:
        """A subject from keys that need not be Python names (attribute names, for instance)."""
        pairs = tuple(sorted((name, str(value)) for name, value in keys.items()))
        return cls(keys=pairs, split=split, variant=variant)

    def get(self, key: str) -> str | None:
        return dict(self.keys).get(key)

    def __str__(self) -> str:
        text = ",".join(f"{_encode(k)}={_encode(v)}" for k, v in self.keys)
        split = f"@{self.split}" if self.split else ""
        variant = f"+{self.variant}" if self.variant else ""
        return f"{text}{split}{variant}"


def _encode(text: str) -> str:
    return quote(text, safe=" ").replace(" ", "%20")


@dataclass(frozen=True)
class Measure:
    """A measured quantity: an estimate with name, subject, unit, and direction of harm.

    `n` counts images (or what the measure counts), `n_units` independent units; None where
    units do not apply. `examples` are image ids, worst first. `volatile` marks timings and
    what follows from them. `details` holds JSON values that a reader may want beside the number:
    ``rate`` and ``rest`` (each ``{"value", "low", "high", "n"}``) for comparisons, ``sentence``
    for one plain sentence that a non-statistician can repeat.
    """

    name: str
    subject: Subject
    estimate: Estimate
    unit: str
    better: Better
    n: int
    n_units: int | None = None
    examples: tuple[str, ...] = ()
    volatile: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unmeasured:
    """Why there is no number, and what would make one."""

    name: str
    subject: Subject
    reason: str
    remedy: str


@dataclass(frozen=True)
class Axis:
    label: str
    unit: str = ""


@dataclass(frozen=True)
class Figure:
    """Data of a picture, never pixels.

    `kind` says how to draw `rows`; each kind names its columns:

    - ``forest``: label, value, low, high, n[, limit][, series]   (horizontal intervals)
    - ``line``: x, y[, low, high], series
    - ``bars``: label, value[, low, high][, series]
    - ``reliability``: confidence, accuracy, low, high, n
    - ``heat``: row, column, value[, text]
    - ``histogram``: left, right, value[, series]
    """

    id: str
    kind: Literal["forest", "line", "bars", "reliability", "heat", "histogram"]
    title: str
    caption: str
    alt: str
    x: Axis
    y: Axis
    rows: tuple[Mapping[str, Cell], ...]


@dataclass(frozen=True)
class Column:
    name: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """Rows for a reader; beyond 1,000 the record keeps the first, ``tables/*.csv`` all."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


Result = Measure | Unmeasured | Figure | Table


@dataclass(frozen=True)
class Finding:
    """A measure, or the reason why there is none, with its verdict.

    `verdict` is None where no limit applies (information only). `leaning` is ``worse`` when
    an undecided group is shown worse than the rest although not by how much.
    """

    id: str
    check: str
    measure: Measure | None
    unmeasured: Unmeasured | None
    limit: str | None = None
    verdict: Verdict | None = None
    leaning: str | None = None
    severity: str | None = None
    reason: str = ""
    remedy: str = ""
    clauses: tuple[str, ...] = ()
    waived_by: str | None = None


@dataclass(frozen=True)
class LimitResult:
    """A limit of the policy, the findings it met, and what came of it."""

    limit: Mapping[str, Any]
    findings: tuple[str, ...]
    verdict: Verdict
    reason: str
    waived_by: str | None = None


def finding_id(check: str, name: str, subject: Subject) -> str:
    """The stable id of a measure.

    Examples
    --------
    >>> finding_id("bias/subgroup-gap", "accuracy",
    ...            Subject.of(building="old", split="test", variant="int8"))
    'bias/subgroup-gap:accuracy:building=old@test+int8'
    """
    keys = Subject(keys=subject.keys)
    middle = f":{keys}" if subject.keys else ""
    return f"{check}:{name}{middle}{Subject(split=subject.split, variant=subject.variant)}"


@dataclass(frozen=True)
class TensorFacts:
    """A model's input or output: name, shape (None = free), element type as onnxruntime says."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class ModelFacts:
    """What a loaded model is. `embedding` names the tensor used, None where there is none."""

    task: str
    format: Literal["onnx", "torch", "torchscript"]
    digest: str
    file_bytes: int
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    classes: tuple[str, ...]
    n_parameters: int | None
    flops: int | None
    opset: int | None
    differentiable: bool
    embedding: str | None
    quantised: bool = False
    trusted_code: bool = False
