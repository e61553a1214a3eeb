"""Ask for timings of a model in a process of its own, and read what they show.

What is timed, and how, stands in `auditor.models.bench`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import ModelError
from auditor.findings import ModelFacts
from auditor.models.bench_program import program_text
from auditor.models.inputs import affine_of, tensor_shape
from auditor.models.timed_quantiles import ratio_draws
from auditor.models.timings import (
    BenchResult,
    Machine,
    ModelTimings,
    disturbance,
    interruptions,
    result_of,
)
from auditor.own_folder import own_folder
from auditor.spec import InputSpec

__all__ = [
    "BenchRequest",
    "BenchResult",
    "Machine",
    "ModelTimings",
    "TimedModel",
    "batch_of",
    "calmest_bench",
    "disturbance",
    "fed",
    "feed_of",
    "parse_result",
    "ratio_draws",
    "run_bench",
]


@dataclass(frozen=True)
class TimedModel:
    """A model file and its format, ``onnx`` or ``torchscript``."""

    path: Path
    format: str = "onnx"


@dataclass(frozen=True)
class BenchRequest:
    """What to time: one model, or two in alternating blocks of `block` runs.

    `shape` and `dtype` are of the input tensor; `runs` counts a model's timed runs: more until
    `window_s` seconds are timed of each, fewer when `budget_s` seconds have passed. `parts` and
    what they need are told in `auditor.models.bench.parts.bench`.
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
    parts: tuple[str, ...] = ("closed",)
    feed: Mapping[str, Any] | None = None
    arena: bool = True
    photos: tuple[str, ...] = ()
    open_runs: int = 700
    rate: float = 0.0
    frames: int = 0
    sustained_s: float = 0.0
    sweep_threads: tuple[int, ...] = ()
    sweep_batches: tuple[int, ...] = ()
    rounds: int = 0
    slot_s: float = 0.0

    @property
    def on_cpu(self) -> bool:
        """Whether the processor does all the work; a run else waits for a device."""
        return set(self.providers) == {"CPUExecutionProvider"}

    def as_json(self) -> str:
        models = [{"path": str(m.path.resolve()), "format": m.format} for m in self.models]
        rest = {k: v for k, v in vars(self).items() if k != "models"}
        return json.dumps({"models": models, **rest})


def batch_of(model: ModelFacts) -> int:
    """Images a run holds: the fixed batch of the model's input, 1 where it is free."""
    shape = model.inputs[0].shape if model.inputs else ()
    return (shape[0] if shape else None) or 1


def feed_of(input: InputSpec) -> dict[str, Any]:
    """How the program makes frames of pixels into the model's input (see `tensor_of` there)."""
    affine = affine_of(input)
    return {
        "channels": input.channels,
        "factor": list(affine.factor),
        "offset": list(affine.offset),
        "layout": input.layout,
        "dtype": input.dtype,
        "size": list(input.size),
    }


def fed(model: ModelFacts, input: InputSpec) -> dict[str, Any]:
    """The shape, type and feed of requests about a model."""
    shape = (batch_of(model), *tensor_shape(input))
    return {"shape": shape, "dtype": input.dtype, "feed": feed_of(input)}


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
    with own_folder("auditor-bench-") as folder:
        asked, program = folder / "request.json", folder / "program.py"
        asked.write_text(request.as_json())
        program.write_text(program_text(), encoding="utf-8")
        try:
            # -P: modules beside the program must not hide installed ones of the same name.
            done = subprocess.run(
                [sys.executable, "-P", "-c", _contained(request, program), str(asked)],
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


def _contained(request: BenchRequest, program: Path) -> str:
    """Code that gives up its rights, then runs the program: it loads a model that may be hostile.

    An accelerator needs its device files, and its driver's memory is not told from the model's.
    """
    path = [os.path.abspath(entry) for entry in sys.path]
    files = sum(model.path.stat().st_size for model in request.models if model.path.is_file())
    memory = 4 * 10**9 + 6 * files if request.on_cpu else None
    return (
        f"import runpy, sys; sys.path[:] = {path!r}\n"
        "from auditor.containment.kernel import contain\n"
        f"contain(memory_bytes={memory}, devices={not request.on_cpu})\n"
        f"sys.argv[0] = {str(program)!r}\n"
        f"runpy.run_path({str(program)!r}, run_name='__main__')\n"
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
    return result_of(answer)


def _last_json(stdout: str) -> dict[str, Any] | None:
    # Libraries may have printed before the result.
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    try:
        return dict(json.loads(lines[-1])) if lines else None
    except json.JSONDecodeError:
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
    return min(found, key=interruptions)
