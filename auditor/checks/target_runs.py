"""Where times were taken, and whether that is the declared target: for all checks of times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from auditor.contract import (
    Available,
    Declared,
    Evidence,
    Need,
    NotMeasurableError,
    Unmet,
    Words,
)
from auditor.errors import ModelError
from auditor.findings import Better, Measure, ModelFacts, Scale, Subject, Unmeasured
from auditor.models.bench.machine import machine
from auditor.models.bench_file import BenchFile, read_bench
from auditor.models.latency import BenchRequest, TimedModel, calmest_bench, disturbance, fed
from auditor.models.timings import BenchResult
from auditor.spec import AuditSpec, TargetSpec
from auditor.stats import Estimate

TARGET = Declared(
    path="target",
    remedy="Describe where the model will run under `target` (name, threads, latency), "
    "and say whether the audit runs there.",
)

HERE = "here-"
"""What names begin with of times on the machine of an audit that is not the target."""

WHO_SAYS = (
    "That the audit ran there is declared by {said_by}.",
    "Measured there on {measured_on}, by the program that the audit emitted.",
)
"""Parts of a sentence that say why times count for the target."""

FASTER = "make it faster, or run it on faster hardware"


@dataclass(frozen=True)
class StandsAlone(Need):
    """A model file that runs without the code of its architecture."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.format in ("onnx", "torchscript"):
            return None
        return Unmet(
            reason="The model is timed in a process of its own, and weights alone do not run "
            "without the code of their architecture.",
            remedy="Export the model to ONNX or TorchScript, the form that will ship, and audit "
            "that file with the weights under `model.reference`.",
        )


@dataclass(frozen=True)
class Place:
    """Where times come from: a result of the target, or the machine of the audit."""

    target: TargetSpec
    bench: BenchFile | None

    @property
    def is_target(self) -> bool:
        """Whether they count for the target: measured there, or declared to be."""
        return self.bench is not None or self.target.this_machine

    @property
    def processor(self) -> str:
        """The processor that times are of."""
        return machine("")["cpu"] if self.bench is None else self.bench.timed.machine.cpu

    def facts(self, result: BenchResult) -> dict[str, Any]:
        """The target, the machine and the processor, which are told beside every time."""
        told: dict[str, Any] = {
            "target": self.target.name if self.is_target else None,
            "machine": vars(result.machine) | {"features": list(result.machine.features)},
            "processor": str(result.machine),
            "cpu": result.machine.cpu,
            "threads": result.threads,
            "providers": list(self.target.providers),
        }
        if self.bench is not None:
            return told | {"measured_on": self.bench.started[:10], "bench": self.bench.name}
        return told | ({"said_by": self.target.said_by} if self.target.this_machine else {})


@dataclass(frozen=True)
class Timed:
    """A result, and why it does not count where other programs disturbed it."""

    result: BenchResult
    disturbed: str | None


def place_of(evidence: Evidence) -> Place:
    """Where times of this audit come from; DataError for a result that is refused."""
    target = evidence.spec.target
    assert target is not None  # the declared need
    return Place(target, read_bench(evidence.spec))


@dataclass(frozen=True)
class Audited:
    """The model that requests are about: its spec, its facts, its file."""

    spec: AuditSpec
    model: ModelFacts
    path: Path

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        return cls(evidence.spec, evidence.model, evidence.model_path())

    def request(self, **asked: Any) -> BenchRequest:
        """A request about it with the target's threads and providers."""
        target = self.spec.target
        assert target is not None  # the declared need
        return BenchRequest(
            models=(TimedModel(self.path, format=self.model.format),),
            **fed(self.model, self.spec.model.input),
            threads=target.threads,
            providers=target.providers,
            **asked,
        )


def timed(request: BenchRequest, *, attempts: int) -> Timed:
    """Time a request here, again while other programs disturb it.

    Raises NotMeasurableError where the model cannot be timed.
    """
    try:
        result = calmest_bench(request, attempts=attempts)
    except ModelError as error:
        raise NotMeasurableError(
            f"The model could not be timed: {error}",
            remedy="See that the model runs here with `target.providers`, and audit again.",
        ) from error
    return Timed(result, disturbance(result, on_cpu=request.on_cpu))


def off_target(place: Place, names: Iterable[str]) -> Iterator[Unmeasured]:
    """That times of this machine say nothing of the target, for each measure."""
    for name in names:
        yield Unmeasured(
            name=name,
            subject=Subject(),
            reason=f"The audit ran on another machine ({place.processor}) than "
            f"the target, {place.target.name}, as far as anybody declares.",
            remedy="Run `auditor bench AUDIT.YAML --emit bench.py`, run that program on the target "
            "and name its bench.json under `target.bench`; or, where this is the target, say so: "
            "`target: {this_machine: true, said_by: NAME}`.",
        )


def contended(name: str, disturbed: str, place: Place) -> Unmeasured:
    """That other programs were timed, not the model."""
    where = place.target.name if place.is_target else "the audit's own machine"
    again = "Run the audit (or this check alone)" if place.bench is None else "Run bench.py"
    return Unmeasured(
        name=name,
        subject=Subject(),
        reason=f"Not valid: on {where} ({place.processor}) timings were contended: {disturbed}.",
        remedy=f"{again} on the target with nothing else running.",
        volatile=place.bench is None,
    )


def too_few(name: str, reason: str, place: Place, *, check: str) -> Unmeasured:
    """That too little was timed for a number."""
    remedy = f"Raise `runs` and `budget_s` of {check} under `checks` in the audit spec"
    then = "." if place.bench is None else ", emit the program again and run it on the target."
    return Unmeasured(name, Subject(), reason, f"{remedy}{then}", volatile=place.bench is None)


def time_measure(
    name: str,
    estimate: Estimate,
    *,
    n: int,
    facts: Mapping[str, Any],
    unit: str = "ms",
    scale: Scale = "amount",
    better: Better = "lower",
    neutral: float | None = None,
) -> Measure:
    """A measure of what was timed."""
    return Measure(
        name=name,
        subject=Subject(),
        estimate=estimate,
        scale=scale,
        unit=unit,
        least=0.0 if scale == "amount" else None,
        neutral=neutral,
        better=better,
        n=n,
        volatile=True,
        facts=facts,
    )


def on_target(words: Words) -> tuple[Words, Words]:
    """Words that name target and processor wherever they stand; those where nothing was timed."""
    where = "on {target} ({cpu})"
    named = replace(words, title=f"{words.title}, {where}", short=f"{words.short} {where}")
    return named, words


def on_audits_machine(words: Words) -> tuple[Words, Words]:
    """Words for the same on the audit's own machine, which says nothing of the target."""
    sentence = words.sentence if isinstance(words.sentence, str) else words.sentence[0]
    where = "On the machine of the audit, which nobody declares to be the target ("
    own = replace(
        words,
        title=f"{words.title}, on the audit's machine",
        short=f"{words.short} on the audit's machine",
        sentence=sentence.replace("On {target} (", where, 1),
    )
    return replace(own, title=f"{own.title} ({{cpu}}), which nobody declares to be the target"), own


def fresh_starts(place: Place, request: BenchRequest, *, starts: int) -> tuple[BenchResult, ...]:
    """Fresh processes that loaded the model and answered once, on the target."""
    if place.bench is not None:
        return place.bench.cold
    return tuple(timed(request, attempts=1).result for _ in range(starts))
