"""How far the timings of `deployment/` can be trusted, and whether the emitted program runs bare.

    python benchmarks/deployment.py [--model FILE.onnx] [--size 120 160] [--bare PYTHON]

In one run, since wall time moves with whatever else a machine does:

- processor time: the 99th percentile of five timings of the same model, greatest over least
  (aim: 1.25 at most);
- the measuring loop: its processor time a run, of a run of 5 ms (aim: below 1%);
- MLPerf's LoadGen, SingleStream, each of whose queries our loop times as well: its percentiles
  against our intervals, its early-stopping estimates against ours (`pip install mlcommons-loadgen`;
  left out where it is not installed);
- the emitted program with the Python of an environment that has numpy and onnxruntime alone
  (``--bare``; aim: it writes a result, and the audit takes it in).
"""

from __future__ import annotations

import argparse
import importlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.models.bench.loops import Amount, Clock, Times, in_turns
from auditor.models.bench.sessions import Setting, onnx_run
from auditor.models.bench_file import emit_program, read_bench
from auditor.models.latency import BenchRequest, TimedModel, feed_of, run_bench
from auditor.models.timed_quantiles import early_stopping_estimate, quantile_draws
from auditor.spec import AuditSpec
from auditor.stats import interval

HOUSING = Path(__file__).parents[1] / "examples" / "housing" / "model.onnx"
QUERIES = 700
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=HOUSING)
    parser.add_argument("--size", type=int, nargs=2, default=(120, 160), metavar=("H", "W"))
    parser.add_argument("--bare", type=Path, help="a Python with numpy and onnxruntime alone")
    given = parser.parse_args()
    spec = spec_of(given.model, tuple(given.size))
    asked = BenchRequest(
        models=(TimedModel(given.model),), shape=(1, 3, *given.size), dtype="float32",
        feed=feed_of(spec.model.input), runs=QUERIES, budget_s=120.0,
    )  # fmt: skip
    repeatability(asked)
    overhead()
    against_loadgen(asked)
    if given.bare is not None:
        in_bare_environment(spec, asked, given.bare)


def spec_of(model: Path, size: tuple[int, int]) -> AuditSpec:
    stated = {
        "audit": {"title": "benchmark"},
        "model": {"path": model.name, "classes": ("a", "b", "c"),
                  "input": {"size": size, "mean": (0.5,), "std": (0.25,)}},
        "data": {"test": {"images": "images"}},
        "target": {"name": "a bare environment"},
    }  # fmt: skip
    return AuditSpec.model_validate(stated).model_copy(update={"folder": model.parent})


def repeatability(asked: BenchRequest) -> None:
    """Print the 99th percentiles of `REPEATS` timings, of processor and of wall time."""
    found = [run_bench(asked) for _ in range(REPEATS)]
    for name, what in (("cpu_ms", "processor"), ("wall_ms", "wall")):
        for share in (50, 99):
            values = [float(np.percentile(getattr(r.models[0], name), share)) for r in found]
            ratio = max(values) / min(values)
            aim = " (aim 1.25)" if (what, share) == ("processor", 99) else ""
            shown = " ".join(f"{v:.2f}" for v in values)
            print(f"{what} p{share} of {REPEATS} timings, ms: {shown}; ratio {ratio:.2f}{aim}")
    switches = statistics.median(r.switches_per_run for r in found)
    print(f"taken away {switches:.2f} times a run, the median of the timings", flush=True)


def overhead() -> None:
    """Print what the loop takes around runs that do nothing."""
    runs = 20_000
    start = time.process_time()
    in_turns([lambda: None], Amount(runs, 50, 0.0, 1e6), clock=Clock())
    each = (time.process_time() - start) / runs * 1e3
    print(f"the loop takes {1e3 * each:.1f} microseconds a run: {each / 5:.2%} of 5 ms (aim 1%)")


def against_loadgen(asked: BenchRequest) -> None:
    """Print LoadGen's percentiles beside our intervals, of the same queries."""
    try:
        loadgen = importlib.import_module("mlperf_loadgen")
    except ImportError:
        print("LoadGen: not installed (pip install mlcommons-loadgen)")
        return
    run = onnx_run(str(asked.models[0].path), Setting(1, ("CPUExecutionProvider",)))
    tensor = np.random.default_rng(0).standard_normal(asked.shape).astype(np.float32)
    ours = Times()
    for _ in range(50):
        run(tensor)
    said = single_stream(loadgen, lambda: ours.add(lambda: run(tensor), Clock()))
    walls = np.array(ours.wall_ms)
    for quantile in (0.5, 0.9, 0.99):
        draws = quantile_draws(walls, quantile=quantile)
        ends, theirs = interval(draws), said[f"{100 * quantile:.2f} percentile latency"]
        held = "within" if ends.low <= theirs <= ends.high else "OUTSIDE"
        print(f"LoadGen p{100 * quantile:.0f} {theirs:.2f} ms, {held} ours {draws.value:.2f} "
              f"[{ends.low:.2f}, {ends.high:.2f}]")  # fmt: skip
    for quantile in (0.9, 0.99):
        theirs = said[f"* Early stopping {100 * quantile:.1f}th percentile estimate"]
        same = early_stopping_estimate(walls, quantile=quantile)
        print(f"early stopping p{100 * quantile:.0f}: LoadGen {theirs:.2f} ms, ours {same:.2f}")


def single_stream(loadgen: Any, query: Callable[[], object]) -> dict[str, float]:
    """Run LoadGen over `QUERIES` queries; what its summary says, in ms."""

    def issue(samples: Any) -> None:
        for sample in samples:
            query()
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    settings = loadgen.TestSettings()
    settings.scenario = loadgen.TestScenario.SingleStream
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = QUERIES
    settings.min_duration_ms = 0
    system = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(8, 8, lambda _: None, lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        logging = loadgen.LogSettings()
        output = loadgen.LogOutputSettings()
        output.outdir = folder
        logging.log_output = output
        logging.enable_trace = False
        loadgen.StartTestWithLogSettings(system, library, settings, logging)
        text = (Path(folder) / "mlperf_log_summary.txt").read_text()
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(system)
    found = re.findall(r"^\s*(.+?)(?: \(ns\))?\s*[:=]\s*(\d+)\s*$", text, re.MULTILINE)
    return {key.strip(): int(ns) / 1e6 for key, ns in found}


def in_bare_environment(spec: AuditSpec, asked: BenchRequest, python: Path) -> None:
    """Emit the program, run it with another Python, and take its result in."""
    listed = subprocess.run(
        [python, "-I", "-m", "pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    with tempfile.TemporaryDirectory() as folder:
        audit, device = Path(folder) / "audit", Path(folder) / "device"
        for place in (audit, device):
            place.mkdir()
            shutil.copy(spec.folder / spec.model.path, place)
        own = spec.model_copy(update={"folder": audit})
        parts = ("closed", "open", "photos", "frames", "sweep", "probes")
        request = replace(
            asked, parts=parts, rate=12.0, frames=60, open_runs=100, sweep_threads=(1, 2),
            sweep_batches=(1, 8), rounds=10, slot_s=0.05,
        )  # fmt: skip
        emit_program(own, request, into=device / "bench.py")
        done = subprocess.run(
            [python, "-I", "bench.py", spec.model.path],
            cwd=device, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        shutil.copy(device / "bench.json", audit)
        target = own.target.model_copy(update={"bench": "bench.json"}) if own.target else None
        found = read_bench(own.model_copy(update={"target": target}))
        assert found is not None
        print(f"bare environment ({', '.join(listed)}): exit {done.returncode}, "
              f"{len(found.timed.models[0].wall_ms)} runs, {len(found.cold)} starts, "
              f"parts {', '.join(found.timed.stretches)}")  # fmt: skip


if __name__ == "__main__":
    main()
