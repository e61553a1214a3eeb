"""Timings as the program of `auditor.models.bench` tells them, and whether they count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from auditor.models.bench.loops import MAX_WINDOWS, WINDOW

SWITCHES_PER_RUN = 0.05
SWITCHES_PER_SECOND = 2.0
WALL_OVER_CPU = 1.15
"""When timings count as disturbed; see `disturbance`."""


@dataclass(frozen=True)
class ModelTimings:
    """Times of one model, in ms: `wall_ms` and `cpu_ms` are (runs,), in order, of all threads.

    `cold_cpu_ms` is the processor time of loading it and of its first run together.
    """

    cold_start_ms: float
    first_run_ms: float
    warm_up_runs: int
    settled: bool
    output_sha256: str
    wall_ms: np.ndarray
    cpu_ms: np.ndarray
    cold_cpu_ms: float = 0.0


@dataclass(frozen=True)
class Stretch:
    """Timed runs of one part: what it found, and what the system counted meanwhile.

    `times` holds (wall, processor) times in ms, (runs,) each, of the model's answers (of a
    photo's whole way first, then of making it ready); none of a part that tells no single runs.
    `steal_share`, `joules`, `throttled` and the frequencies are None where nothing counts them.
    """

    times: tuple[tuple[np.ndarray, np.ndarray], ...]
    seconds: float
    involuntary_switches: int
    steal_share: float | None
    joules: float | None
    throttled: float | None
    heat: tuple[Mapping[str, float | None], ...]
    found: Mapping[str, Any]

    @property
    def wall_ms(self) -> np.ndarray:
        return self.times[0][0]

    @property
    def cpu_ms(self) -> np.ndarray:
        return self.times[0][1]

    @property
    def runs(self) -> int:
        return sum(len(wall) for wall, _ in self.times)

    @property
    def switches_per_run(self) -> float:
        """How often another program took the processor away, per run; per second without runs."""
        return self.involuntary_switches / (self.runs or max(self.seconds, 1e-9))

    @cached_property
    def wall_over_cpu(self) -> float:
        """Median wall time over median processor time, the larger where two models were timed."""
        ratios = (np.median(wall) / max(np.median(cpu), 1e-9) for wall, cpu in self.times)
        return max(map(float, ratios), default=1.0)

    @cached_property
    def run_seconds(self) -> float:
        """Median wall time of a run, of the slower model; a second where no runs are told."""
        return max((float(np.median(wall)) for wall, _ in self.times), default=1000.0) / 1000


@dataclass(frozen=True)
class Machine:
    """Where it was timed; `cores` and `governor` are None where the system does not say.

    `cores` are those that the process may use at the same time (affinity and CPU quota).
    """

    cpu: str
    cores: int | None
    system: str
    runtime: str
    governor: str | None
    features: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores or '?'} cores, {self.system}, {self.runtime}"


@dataclass(frozen=True)
class BenchResult:
    """What one process timed. `steal_share` is None where the system does not count it."""

    models: tuple[ModelTimings, ...]
    involuntary_switches: int
    steal_share: float | None
    peak_memory_mb: float
    machine: Machine
    threads: int = 1
    stretches: Mapping[str, Stretch] = field(default_factory=dict)
    """The parts that were asked for, the closed loop among them, by name."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    probes: tuple[Any, ...] = ()

    @property
    def runs(self) -> int:
        return sum(len(m.wall_ms) for m in self.models)

    @property
    def switches_per_run(self) -> float:
        """How often another program took the processor away, per timed run."""
        return self.involuntary_switches / self.runs

    @cached_property
    def wall_over_cpu(self) -> float:
        """Median wall time over median processor time, the larger where two models were timed."""
        return max(float(np.median(m.wall_ms) / np.median(m.cpu_ms)) for m in self.models)

    @cached_property
    def run_seconds(self) -> float:
        """Median wall time of a run, of the slower model."""
        return max(float(np.median(m.wall_ms)) for m in self.models) / 1000


def result_of(answer: Mapping[str, Any]) -> BenchResult:
    """What the program told, as a value; KeyError, TypeError or ValueError where it is not that."""
    parts = {name: part for name, part in answer["parts"].items() if name != "probes"}
    stretches = {name: _stretch(part) for name, part in parts.items()}
    closed = stretches.get("closed")
    none = (np.empty(0), np.empty(0))
    times = closed.times if closed else (none,) * len(answer["models"])
    models = tuple(
        ModelTimings(**told, wall_ms=wall, cpu_ms=cpu)
        for told, (wall, cpu) in zip(answer["models"], times, strict=True)
    )
    machine = answer["machine"]
    return BenchResult(
        models=models,
        involuntary_switches=closed.involuntary_switches if closed else 0,
        steal_share=closed.steal_share if closed else None,
        peak_memory_mb=float(answer["memory"]["end"]["peak_mb"]),
        machine=Machine(**{**machine, "features": tuple(machine["features"])}),
        threads=int(answer["threads"]),
        stretches=stretches,
        memory=answer["memory"],
        probes=tuple(answer["parts"].get("probes", ())),
    )


_COUNTED = ("seconds", "involuntary_switches", "steal_share", "joules", "throttled")


def _stretch(part: Mapping[str, Any]) -> Stretch:
    if "error" in part:
        return Stretch((), 0.0, 0, None, None, None, (), {"error": str(part["error"])})
    times = tuple(
        (np.array(told["wall_ms"], dtype=np.float64), np.array(told["cpu_ms"], dtype=np.float64))
        for told in part.get("runs", ())
    )
    if any(a.shape != b.shape or not (a >= 0).all() or not (b >= 0).all() for a, b in times):
        raise ValueError("times that are none")
    counted = {name: part[name] for name in _COUNTED}
    rest = {k: v for k, v in part.items() if k not in (*_COUNTED, "runs", "heat")}
    return Stretch(times=times, heat=tuple(part["heat"]), found=rest, **counted)


def disturbance(result: BenchResult, *, on_cpu: bool) -> str | None:
    """Why timings say more about the machine's other work than about the model; None if calm.

    Of several parts that were timed the first disturbed one speaks; see `disturbed`.
    """
    unsettled = next((m for m in result.models if _unsettled(m)), None)
    if unsettled is not None:
        return f"its times had not settled after {unsettled.warm_up_runs} runs"
    said = (disturbed(part, on_cpu=on_cpu) for part in _parts_of(result))
    return next((one for one in said if one is not None), None)


def _unsettled(model: ModelTimings) -> bool:
    """Whether the warm-up went on for as long as it may, and its windows still differed."""
    return not model.settled and model.warm_up_runs >= WINDOW * MAX_WINDOWS


def _parts_of(result: BenchResult) -> tuple[Stretch, ...]:
    if result.stretches or not result.runs:
        return tuple(result.stretches.values())
    return (_closed_of(result),)


def _closed_of(result: BenchResult) -> Stretch:
    times = tuple((m.wall_ms, m.cpu_ms) for m in result.models)
    switches = result.involuntary_switches
    return Stretch(times, 0.0, switches, result.steal_share, None, None, (), {})


def disturbed(part: Stretch, *, on_cpu: bool) -> str | None:
    """Why a part's timings do not count; None where they do.

    Disturbed is a process that lost its processor more than `SWITCHES_PER_RUN` times a run (and
    more than `SWITCHES_PER_SECOND`: a long run meets the system's own housekeeping), or whose
    median run took more than `WALL_OVER_CPU` times its processor time. With a provider other
    than the CPU (`on_cpu` False) a run waits for a device, so only the first is asked. Steal
    does not show what other programs of the same machine take: it is reported, not judged.
    """
    allowed = max(SWITCHES_PER_RUN, SWITCHES_PER_SECOND * part.run_seconds)
    if part.switches_per_run > allowed:
        each = "a run" if part.runs else "a second"
        return (
            f"other programs took the processor away {part.switches_per_run:.2f} times {each} "
            f"(at most {allowed:.2f} allowed)"
        )
    if on_cpu and part.wall_over_cpu > WALL_OVER_CPU:
        return (
            f"the median run waited: it took {part.wall_over_cpu:.2f} times its processor time "
            f"(at most {WALL_OVER_CPU} allowed)"
        )
    return None


def interruptions(result: BenchResult) -> float:
    """How often a run lost its processor, of the part where that was most often."""
    return max((part.switches_per_run for part in _parts_of(result)), default=0.0)
