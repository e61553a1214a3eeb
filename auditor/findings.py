"""What checks yield and what a judgement makes of it: plain frozen values.

An id is ``check:measure[:key=value,...][@split][+variant]``, keys sorted, values
percent-encoded; it is stable across runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote

from auditor.stats import Draws, Estimate, Interval, Normal, interval

Better = Literal["higher", "lower", "none"]
Meant = Literal["at_least", "at_most"]
RowKind = Literal["image", "object", "answer"]
"""What is scored: images, objects that should be found in them, or a model's answers."""

Scale = Literal["share", "difference", "ratio", "amount"]
Reading = Literal[
    "remains", "explained", "reversed", "open", "hidden", "not shown", "not comparable"
]
"""What comparing like with like does to a comparison (`auditor.comparing.adjustment`)."""
Cell = str | int | float | bool | None


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT_RUN"
    PASS_WITH_WAIVERS = "PASS_WITH_WAIVERS"


class Question(StrEnum):
    """The four questions that every report answers first."""

    MATCHES = "Does the test data match where it will run?"
    REPRESENTS = "Does the training data represent everyone?"
    MEASURED = "Was performance measured per group?"
    WRONG = "What happens when it is wrong, and to whom?"


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
class Side:
    """One side of a comparison, such as a group or the rest: a share, or a number of `scale`.

    `n` counts the rows behind it; None where it is stated (a declared share), not counted.
    """

    estimate: Estimate
    n: int | None = None
    scale: Scale = "share"
    unit: str = ""
    least: float | None = None

    def __post_init__(self) -> None:
        on_scale = _on_scale(self.estimate, span_of(self.scale, self.least))
        object.__setattr__(self, "estimate", on_scale)

    @cached_property
    def interval(self) -> Interval:
        """The 95% interval."""
        return interval(self.estimate)


@dataclass(frozen=True)
class Alike:
    """A comparison once more, among rows of the same group under the attribute `condition`.

    `value`, `low` and `high` are on the measure's own scale, the interval of 95%; all None, and
    `n` (rows of this side) and `n_rest` 0, where too few rows have like ones on the other side.
    A reading alone, all numbers None, is of the same comparison on another scale.
    """

    condition: str
    reading: Reading
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    n_rest: int = 0


@dataclass(frozen=True)
class Measure:
    """A measured quantity: an estimate with name, subject, scale and direction of harm.

    `scale` says what kind of number it is: a ``share`` of 0 to 1, a ``difference`` of shares of
    -1 to 1 (told in points), a ``ratio`` from 0, or an ``amount`` of `unit` ("ms", "EUR per
    image", "" for a bare number) from `least`. `neutral` is the value that means "no difference",
    None where there is none. `n` counts rows, `n_units` independent units, None where units do
    not apply; with `of_all` both count the whole split and not the subject alone. `sides` are
    the two sides of a comparison, this one first. `examples` are image ids, worst first where they
    are `ranked`, else in no order.
    `weight` is by how much a difference of the sides counts where a policy states one that
    matters (`and_difference_above`), beside a share of errors of average cost: more than 1 where
    the error is said to cost more, one over that cost where the sides are amounts of it.
    `volatile` marks timings and what follows from them. `searched` marks a count of what a search
    found, which can have missed some. `unlabelled` marks what is estimated of answers of unknown
    truth: no limit is met by it. `facts` are the JSON values that the words of the measure
    speak of; a measure holds no sentence. `of` says what its rows are. No interval of the estimate
    leaves the scale, whoever made it.
    """

    name: str
    subject: Subject
    estimate: Estimate
    scale: Scale
    better: Better
    n: int
    n_units: int | None = None
    unit: str = ""
    least: float | None = None
    neutral: float | None = None
    of_all: bool = False
    sides: tuple[Side, Side] | None = None
    adjusted: tuple[Alike, ...] = ()
    examples: tuple[str, ...] = ()
    ranked: bool = True
    weight: float = 1.0
    volatile: bool = False
    searched: bool = False
    unlabelled: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    of: RowKind = "image"

    def __post_init__(self) -> None:
        object.__setattr__(self, "estimate", _on_scale(self.estimate, self.span))

    @cached_property
    def interval(self) -> Interval:
        """The 95% interval."""
        return interval(self.estimate)

    @property
    def span(self) -> tuple[float, float]:
        """The least and the greatest value that the quantity can have."""
        return span_of(self.scale, self.least)


def span_of(scale: Scale, least: float | None) -> tuple[float, float]:
    """The least and the greatest number of a scale; `least` is that of an amount, None for any."""
    if scale == "amount":
        return (-math.inf if least is None else least, math.inf)
    return {"share": (0.0, 1.0), "difference": (-1.0, 1.0), "ratio": (0.0, math.inf)}[scale]


def _on_scale(estimate: Estimate, span: tuple[float, float]) -> Estimate:
    """The estimate with the ends of the scale: a normal one or draws may reach beyond."""
    low, high = (end if math.isfinite(end) else None for end in span)
    match estimate:
        case Normal():
            least = max((e for e in (estimate.least, low) if e is not None), default=None)
            most = min((e for e in (estimate.most, high) if e is not None), default=None)
            return replace(estimate, least=least, most=most)
        case Draws():
            return replace(
                estimate, quantiles=tuple(min(max(q, span[0]), span[1]) for q in estimate.quantiles)
            )
        case _:
            return estimate


@dataclass(frozen=True)
class Unmeasured:
    """Why there is no number, and what would make one; `volatile` as in `Measure`."""

    name: str
    subject: Subject
    reason: str
    remedy: str
    volatile: bool = False


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
    """Rows for a reader; the record keeps the first, ``tables/*.csv`` all."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


Measured = Measure | Unmeasured
Result = Measured | Figure | Table


@dataclass(frozen=True)
class Needed:
    """What would decide an undecided finding, if what was seen holds.

    `more` is how many more; None where no number decides because the value lies at the limit.
    `counted` says of what, `of_all` that they are of the whole split and not of the subject
    alone, `both_sides` that the other side must grow in proportion.
    """

    more: int | None
    counted: Literal["units", "images", "objects", "answers", "timed runs"]
    of_all: bool = False
    both_sides: bool = False


@dataclass(frozen=True)
class Gating:
    """What the gate of a limit says: `measure` is the id of what it looked at, None for nothing."""

    state: Literal["shut", "undecided", "unmeasured"]
    measure: str | None = None


@dataclass(frozen=True)
class Finding:
    """A measure, or the reason why there is none, with its verdict.

    Of a measure that meets several limits, further findings add ``#limit`` to its id. `verdict` is
    None where no limit applies (information only). `leaning` is ``worse`` when an undecided group
    is shown worse than the rest although not by how much. `compared` counts the measures that the
    limit was tested on together. Of an undecided finding `needed` says what would decide it and
    `could_show` from which value on a sample of this size would have shown an excess (None: from
    none). `meant` is the bound to state in place of one that only good values break, and that
    nothing but a failure can come of.
    """

    id: str
    check: str
    limit: str | None = None
    verdict: Verdict | None = None
    leaning: str | None = None
    severity: str | None = None
    compared: int = 1
    needed: Needed | None = None
    could_show: float | None = None
    meant: Meant | None = None
    gating: Gating | None = None
    clauses: tuple[str, ...] = ()
    waived_by: str | None = None

    @property
    def result(self) -> str:
        """The id of that measure or reason (`finding_id`)."""
        return self.id.removesuffix(f"#{self.limit}")


@dataclass(frozen=True)
class LimitResult:
    """A limit of the policy, the findings it met, and what came of it.

    `reason` is said only where there are no findings to tell it from.
    """

    limit: Mapping[str, Any]
    findings: tuple[str, ...]
    verdict: Verdict
    reason: str = ""
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
    """What a loaded model is. `embedding` names the tensor used, None where there is none.

    `notes` are sentences on how the file was understood; `listed_classes` are the classes in the
    order that the file lists, where that is another than the order of `classes`; `sparsity` is of
    `auditor.models.sparsity`; `operators` counts an ONNX file's, by ``domain:name``.
    """

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
    notes: tuple[str, ...] = ()
    listed_classes: tuple[str, ...] = ()
    sparsity: Mapping[str, int] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)

    @property
    def zero_share(self) -> float | None:
        """Share of the weights that are 0; None where that cannot be told."""
        found = self.sparsity
        return found["zeros"] / found["weights"] if found.get("weights") else None
