"""The target: where the model will run, and what it must do there."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from auditor.spec.bounds import MOST_THREADS, FilePath
from auditor.spec.conditions import ConditionsSpec
from auditor.spec.spec_part import Positive, SpecPart

LatencyKey = Literal[
    "p50_ms", "p90_ms", "p95_ms", "p99_ms", "open_p99_ms", "photo_p99_ms", "frames_per_second"
]


class TargetSpec(SpecPart):
    """Where the model will run, how fast it must answer there, and on what images.

    Times count for the target where `this_machine`, that of the audit, is declared to be it by a
    person (`said_by`), or where `bench` names what the emitted program wrote on it.
    """

    name: str
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    threads: int = Field(default=1, ge=1, le=MOST_THREADS)
    this_machine: bool = False
    said_by: str | None = Field(default=None, min_length=1)
    bench: FilePath | None = None
    latency: dict[LatencyKey, Positive] = Field(default_factory=dict)
    size_mb: Positive | None = None
    memory_mb: Positive | None = None
    conditions: ConditionsSpec = ConditionsSpec()

    @property
    def on_cpu(self) -> bool:
        """Whether the processor does all the work; a run else waits for a device."""
        return set(self.providers) == {"CPUExecutionProvider"}

    @model_validator(mode="after")
    def _somebody_says_so(self) -> Self:
        if self.this_machine and not self.said_by:
            raise ValueError(
                "this_machine is declared by nobody; name who says that the audit runs on the "
                "target: said_by: Jo Lind, head of IT"
            )
        if self.said_by and not self.this_machine:
            raise ValueError("said_by has nothing to say; add this_machine: true, or drop it")
        if self.this_machine and self.bench is not None:
            raise ValueError(
                "this_machine and bench are both given; keep bench where the target is another "
                "machine than the audit's"
            )
        return self
