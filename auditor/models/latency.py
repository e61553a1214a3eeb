"""Ask for timings of a model in a process of its own, and read what they show."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from auditor.errors import ModelError
from auditor.findings import ModelFacts
from auditor.stats import GRID, Draws

RUNNER = Path(__file__).with_name("bench.py")

LEAST_RUNS = 200
"""Timed runs below which nothing is said of how long one takes."""

SWITCHES_PER_RUN = 0.05
SWITCHES_PER_SECOND = 2.0
WALL_OVER_CPU = 1.15
"""When timings count as disturbed; see `disturbance`."""


@dataclass(frozen=True)
class TimedModel:
    """A model file and its format, ``onnx`` or ``torchscript``."""

    path: Path
    format: str = "onnx"


@dataclass(frozen=True)
class BenchRequest:
    """What to time: one model, or two in alternating blocks of `block` runs.

    `shape` and `dtype` are of the input tensor; `runs` counts a model's timed runs: more until
    `window_s` seconds are timed of each, fewer when `budget_s` seconds have passed.
    """

    models: tuple[TimedModel, ...]
    shape: tuple[int, ...]
    dtype: str
    threads: int = 1
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    runs: int = 700
    block: int = 50
    window_s: float = 1.0
    budget_s: float = 20.0

    @property
    def on_cpu(self) -> bool:
        """Whether the processor does all the work; a run else waits for a device."""
        return set(self.providers) == {"CPUExecutionProvider"}

    def as_json(self) -> str:
        models = [{"path": str(m.path.resolve()), "format": m.format} for m in self.models]
        rest = {k: v for k, v in vars(self).items() if k != "models"}
        return json.dumps({"models": models, **rest})


@dataclass(frozen=True)
class ModelTimings:
    """Times of one model, in ms: `wall_ms` and `cpu_ms` are (runs,), in order, of all threads."""

    cold_start_ms: float
    first_run_ms: float
    warm_up_runs: int
    settled: bool
    output_sha256: str
    wall_ms: np.ndarray
    cpu_ms: np.ndarray


@dataclass(frozen=True)
class Machine:
    """Where it was timed; `cores` and `governor` are None where the system does not say."""

    cpu: str
    cores: int | None
    system: str
    runtime: str
    governor: str | None

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


def batch_of(model: ModelFacts) -> int:
    """Images a run holds: the fixed batch of the model's input, 1 where it is free."""
    shape = model.inputs[0].shape if model.inputs else ()
    return (shape[0] if shape else None) or 1


def run_bench(request: BenchRequest, *, timeout_s: float | None = None) -> BenchResult:
    """Time models in a process of its own, with this Python.

    Parameters
    ----------
    timeout_s : seconds after which the process is ended; None for the request's budget and a
        minute (loading a model and its first runs are outside the budget).

    Raises
    ------
    ModelError
        If the process does not end in time, is killed, or cannot run a model.
    """
    limit = request.budget_s + 60 if timeout_s is None else timeout_s
    with tempfile.TemporaryDirectory(prefix="auditor-bench-") as folder:
        asked = Path(folder) / "request.json"
        asked.write_text(request.as_json())
        try:
            # -P: modules beside the runner must not hide installed ones of the same name.
            done = subprocess.run(
                [sys.executable, "-P", "-c", _contained(request), str(asked)],
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(
                f"timing the model: found no result after {limit:.0f} s, expected one in "
                f"{request.budget_s:.0f} s. Time it on a faster machine, or leave `target` out "
                "of the audit spec."
            ) from error
    return parse_result(done.stdout, returncode=done.returncode, stderr=done.stderr)


def _contained(request: BenchRequest) -> str:
    """A program that gives up its rights, then is the runner: it loads a model that may be hostile.

    An accelerator needs its device files, and its driver's memory is not told from the model's.
    """
    path = [os.path.abspath(entry) for entry in sys.path]
    files = sum(model.path.stat().st_size for model in request.models if model.path.is_file())
    memory = 4 * 10**9 + 6 * files if request.on_cpu else None
    return (
        f"import runpy, sys; sys.path[:] = {path!r}\n"
        "from auditor.containment.kernel import contain\n"
        f"contain(memory_bytes={memory}, devices={not request.on_cpu})\n"
        f"sys.argv[0] = {str(RUNNER)!r}\n"
        f"runpy.run_path({str(RUNNER)!r}, run_name='__main__')\n"
    )


def parse_result(stdout: str, *, returncode: int, stderr: str = "") -> BenchResult:
    """What the runner wrote, as a value; raises ModelError for an error or no result."""
    if returncode < 0:
        raise ModelError(
            f"timing the model: found its process ended by signal {-returncode} (9 is what a "
            "system sends when memory runs out), expected a result. Free memory, or time the "
            "model on the target itself."
        )
    answer = _last_json(stdout)
    if returncode or answer is None or "error" in answer:
        said = (answer or {}).get("error") or (stderr.strip().splitlines() or ["nothing"])[-1]
        raise ModelError(
            f"timing the model: found an error ({said}), expected a result. See that the model "
            "runs on one image with `target.providers`, and run the audit again."
        )
    models = tuple(
        ModelTimings(**{**m, "wall_ms": np.array(m["wall_ms"]), "cpu_ms": np.array(m["cpu_ms"])})
        for m in answer.pop("models")
    )
    return BenchResult(models=models, machine=Machine(**answer.pop("machine")), **answer)


def _last_json(stdout: str) -> dict[str, Any] | None:
    # Libraries may have printed before the result.
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    try:
        return dict(json.loads(lines[-1])) if lines else None
    except json.JSONDecodeError:
        return None


def disturbance(result: BenchResult, *, on_cpu: bool) -> str | None:
    """Why timings say more about the machine's other work than about the model; None if calm.

    Disturbed is a process that lost its processor more than `SWITCHES_PER_RUN` times a run (and
    more than `SWITCHES_PER_SECOND`: a long run meets the system's own housekeeping), or whose
    median run took more than `WALL_OVER_CPU` times its processor time. With a provider other
    than the CPU (`on_cpu` False) a run waits for a device, so only the first is asked. Steal
    does not show what other programs of the same machine take: it is reported, not judged.
    """
    allowed = max(SWITCHES_PER_RUN, SWITCHES_PER_SECOND * result.run_seconds)
    if result.switches_per_run > allowed:
        return (
            f"other programs took the processor away {result.switches_per_run:.2f} times a run "
            f"(at most {allowed:.2f} allowed)"
        )
    if on_cpu and result.wall_over_cpu > WALL_OVER_CPU:
        return (
            f"the median run waited: it took {result.wall_over_cpu:.2f} times its processor time "
            f"(at most {WALL_OVER_CPU} allowed)"
        )
    return None


def calmest_bench(
    request: BenchRequest,
    *,
    attempts: int = 3,
    bench: Callable[[BenchRequest], BenchResult] = run_bench,
    clock: Callable[[], float] = time.monotonic,
) -> BenchResult:
    """The first calm result of up to `attempts`, else the one that lost its processor least.

    A further attempt is made while the request's budget (by `clock`, seconds) has not passed.
    """
    start = clock()
    found: list[BenchResult] = []
    while len(found) < attempts:
        found.append(bench(request))
        if disturbance(found[-1], on_cpu=request.on_cpu) is None:
            return found[-1]
        if clock() - start > request.budget_s:
            break
    return min(found, key=lambda result: result.switches_per_run)


def runs_needed(quantile: float) -> int:
    """Fewest runs from which an upper quantile can be told.

    So many that two or more of them lie beyond it with probability 0.99, the rule by which
    MLPerf's LoadGen stops early (Reddi et al. 2020, arXiv:1911.02549; its source,
    early_stopping.cc): 64 for the 90th percentile, 662 for the 99th.

    Examples
    --------
    >>> runs_needed(0.9), runs_needed(0.99)
    (64, 662)
    """
    tail = 1 - max(quantile, 1 - quantile)
    n = 2
    while (1 - tail) ** n + n * tail * (1 - tail) ** (n - 1) > 0.01:
        n += 1
    return n


def quantile_draws(values: np.ndarray, *, quantile: float) -> Draws:
    """A quantile of (n,) values with its confidence distribution from order statistics.

    Holds for any distribution of independent values: each bound is the order statistic whose
    binomial probability is at least what is asked (Thompson 1936, doi:10.1214/aoms/1177732502).
    Where `values` are too few to bound the quantile that surely, the least or the greatest
    stands. n from 1.
    """
    from scipy.special import bdtr

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    # below[k]: probability that at most k of the values lie under the quantile, so that the
    # (k+1)-th smallest bounds it from above.
    below = bdtr(np.arange(n, dtype=np.float64), n, quantile)
    value = float(np.quantile(ordered, quantile))
    ends = []
    for probability in GRID:
        if probability > 0.5:
            at = min(int(np.searchsorted(below, probability)), n - 1)
            ends.append(max(value, float(ordered[at])))
        elif probability < 0.5:
            at = max(int(np.searchsorted(below, probability, side="right")) - 1, 0)
            ends.append(min(value, float(ordered[at])))
        else:
            ends.append(value)
    return Draws(value, tuple(ends))


def ratio_draws(slow: np.ndarray, fast: np.ndarray, *, block: int) -> Draws:
    """How many times `slow` takes what `fast` takes: the median over paired blocks.

    Both (runs,) in ms, timed in alternating blocks of `block` runs; each pair of blocks gives one
    ratio of medians. A whole pair at least.
    """
    pairs = min(len(slow), len(fast)) // block
    medians = [np.median(x[: pairs * block].reshape(pairs, block), axis=1) for x in (slow, fast)]
    return quantile_draws(medians[0] / medians[1], quantile=0.5)


def blocks_rate(wall_ms: np.ndarray, *, blocks: int = 20) -> tuple[float, ...]:
    """Runs a second in each of up to `blocks` successive blocks, (b,); empty below two runs each.

    Means over blocks are nearly independent where single runs are not (batch means; Law &
    Kelton, Simulation Modeling and Analysis).
    """
    length = len(wall_ms) // blocks
    if length < 2:
        return ()
    whole = wall_ms[: blocks * length].reshape(blocks, length)
    return tuple(1000 * length / math.fsum(row) for row in whole)
