"""Time one or two models on the machine that this file runs on.

A program in one file: it needs Python, numpy and onnxruntime (or torch, for TorchScript) and
nothing of the auditor, so that it can be copied to a device. ``python bench.py REQUEST.json``
writes its result to standard output, as one line of JSON; `auditor.models.latency` asks for it
and reads it.

The loop is closed: one request at a time, its input a ready tensor. Two models are timed in
alternating blocks, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PROBES = 4
"""Inputs whose outputs are digested: the same model gives the same digest on the same runtime."""

WINDOW = 10
"""Runs a warm-up window holds."""

STEADY = 1.1
"""Warm-up ends when the medians of three windows in a row are within this ratio."""

MAX_WINDOWS = 30
WARM_UP_SHARE = 0.25
"""Warm-up takes this share of the time budget at most."""

Run = Callable[[np.ndarray], np.ndarray]


@dataclass
class Timings:
    """One model's times in milliseconds, in the order of its runs; the first runs apart."""

    cold_start_ms: float
    first_run_ms: float
    warm_up_runs: int = 0
    settled: bool = False
    output_sha256: str = ""
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Loaded:
    """A model ready to run, and what has been timed of it."""

    run: Run
    timings: Timings


def main(arguments: Sequence[str]) -> int:
    """Run the request in the file named; 0 when a result was written, 1 for an error."""
    request = json.loads(Path(arguments[0]).read_text())
    try:
        answer = bench(request)
    except Exception as error:  # noqa: BLE001 - the other process reads the reason as JSON
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps(answer))
    return 0


def bench(request: Mapping[str, Any]) -> dict[str, Any]:
    """Time the models of a request.

    Parameters
    ----------
    request : ``models`` (a list of ``path`` and ``format``: onnx or torchscript), ``shape`` and
        ``dtype`` of the input, ``providers``, ``threads``, ``runs`` a model (one block at
        least), ``block`` (runs of one model before the next one's turn), ``window_s`` (seconds
        that each model's runs take together at least), and ``budget_s``, seconds after which no
        further block begins.
    """
    inputs = probe_inputs(request["shape"], request["dtype"])
    deadline = time.monotonic() + request["budget_s"]
    models = [_load(model, request, inputs[0]) for model in request["models"]]
    for model in models:
        _warm_up(model, inputs, budget_s=WARM_UP_SHARE * request["budget_s"] / len(models))
    before = _Counters.now()
    gc.disable()
    try:
        _timed_blocks(models, inputs[0], request, deadline=deadline)
    finally:
        gc.enable()
    after = _Counters.now()
    return {
        "models": [asdict(model.timings) for model in models],
        "involuntary_switches": after.switches - before.switches,
        "steal_share": after.steal_share_since(before),
        "peak_memory_mb": _peak_memory_mb(),
        "machine": _machine(request["models"][0]["format"]),
    }


def probe_inputs(shape: Sequence[int], dtype: str) -> list[np.ndarray]:
    """The `PROBES` inputs, the same on every machine."""
    rng = np.random.default_rng(0)
    if dtype == "uint8":
        return [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(PROBES)]
    return [rng.standard_normal(shape).astype(dtype) for _ in range(PROBES)]


def is_steady(medians: Sequence[float]) -> bool:
    """Whether the last three windows' medians agree within `STEADY`."""
    last = medians[-3:]
    return len(last) == 3 and max(last) <= STEADY * min(last)


def turns(n_models: int) -> Iterator[tuple[int, ...]]:
    """The order of the models' blocks in each round: there, and back in the next (ABBA)."""
    there = tuple(range(n_models))
    for i in itertools.count():
        yield there if i % 2 == 0 else there[::-1]


def _load(model: Mapping[str, Any], request: Mapping[str, Any], first: np.ndarray) -> Loaded:
    loaders = {"onnx": _onnx, "torchscript": _torchscript}
    start = time.perf_counter()
    run = loaders[model["format"]](model["path"], request)
    loaded = time.perf_counter()
    run(first)
    end = time.perf_counter()
    return Loaded(run, Timings(1000 * (loaded - start), 1000 * (end - loaded)))


def _onnx(path: str, request: Mapping[str, Any]) -> Run:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported
    import onnxruntime

    wanted = list(request["providers"])
    missing = sorted(set(wanted) - set(onnxruntime.get_available_providers()))
    if missing:
        raise RuntimeError(
            f"found no {', '.join(missing)} in this onnxruntime, expected every one of "
            f"`target.providers`; it has {', '.join(onnxruntime.get_available_providers())}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = request["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=wanted)
    name = session.get_inputs()[0].name

    def run(tensor: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {name: tensor})[0])

    return run


def _torchscript(path: str, request: Mapping[str, Any]) -> Run:
    import torch

    torch.set_num_threads(request["threads"])
    # torch gives jit.load no types.
    load: Any = torch.jit.load
    module = load(path).eval()

    def run(tensor: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(tensor)).numpy())

    return run


def _warm_up(model: Loaded, inputs: Sequence[np.ndarray], *, budget_s: float) -> None:
    deadline = time.monotonic() + budget_s
    timings, digest = model.timings, hashlib.sha256()
    for tensor in inputs:
        digest.update(model.run(tensor).tobytes())
    timings.output_sha256 = digest.hexdigest()
    timings.warm_up_runs = 1 + len(inputs)
    medians: list[float] = []
    while not timings.settled and len(medians) < MAX_WINDOWS and time.monotonic() < deadline:
        medians.append(statistics.median(_timed(model.run, inputs[0])[0] for _ in range(WINDOW)))
        timings.warm_up_runs += WINDOW
        timings.settled = is_steady(medians)


def _timed_blocks(
    models: Sequence[Loaded], tensor: np.ndarray, request: Mapping[str, Any], *, deadline: float
) -> None:
    least = max(1, request["runs"] // request["block"])
    taken = [0.0] * len(models)
    for done, order in enumerate(turns(len(models))):
        if done >= least and min(taken) >= 1000 * request["window_s"]:
            break
        for i in order:
            for _ in range(request["block"]):
                wall, cpu = _timed(models[i].run, tensor)
                taken[i] += wall
                models[i].timings.wall_ms.append(wall)
                models[i].timings.cpu_ms.append(cpu)
        if time.monotonic() > deadline:
            break


def _timed(run: Run, tensor: np.ndarray) -> tuple[float, float]:
    """Wall and processor time of one run, ms; processor time of all threads."""
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    run(tensor)
    return (time.perf_counter_ns() - wall) / 1e6, (time.process_time_ns() - cpu) / 1e6


@dataclass(frozen=True)
class _Counters:
    """What the system counts of this process's interruptions and of the machine's time."""

    switches: int
    steal: int
    ticks: int

    @classmethod
    def now(cls) -> _Counters:
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        line = _first_line("/proc/stat")
        # user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
        ticks = [int(word) for word in line.split()[1:9]] if line.startswith("cpu ") else []
        return cls(switches, ticks[7] if len(ticks) == 8 else 0, sum(ticks))

    def steal_share_since(self, earlier: _Counters) -> float | None:
        """Share of the machine's time that its host gave to others; None where not counted."""
        passed = self.ticks - earlier.ticks
        return (self.steal - earlier.steal) / passed if passed > 0 else None


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline()
    except OSError:
        return ""


def _peak_memory_mb() -> float:
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        status = []
    kib = [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
    if kib:
        return kib[0] * 1024 / 1e6
    # Second choice: on Linux it counts what the parent process took, too.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _machine(model_format: str) -> dict[str, Any]:
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "runtime": _runtime(model_format),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip()
        or None,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _runtime(model_format: str) -> str:
    library = sys.modules["onnxruntime" if model_format == "onnx" else "torch"]
    return f"{library.__name__} {library.__version__}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
