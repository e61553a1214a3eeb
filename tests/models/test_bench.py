"""The runner in its own process, and what its timings are read as."""

import ast
import dataclasses
import hashlib
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.stats import binom

from auditor.errors import ModelError
from auditor.models import bench, latency
from auditor.models.latency import (
    BenchRequest,
    BenchResult,
    Machine,
    ModelTimings,
    TimedModel,
    blocks_rate,
    calmest_bench,
    disturbance,
    parse_result,
    quantile_draws,
    ratio_draws,
    run_bench,
    runs_needed,
)
from auditor.stats import GRID, bound, interval, order_statistic_interval

SHAPE = (1, 3, 8, 8)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]),
         helper.make_node("GlobalAveragePool", ["c"], ["p"]),
         helper.make_node("Flatten", ["p"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("bench") / "tiny.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def request_for(*paths, **changes):
    request = BenchRequest(
        models=tuple(TimedModel(p) for p in paths), shape=SHAPE, dtype="float32", runs=100, block=50
    )
    return dataclasses.replace(request, **changes)


def timings(wall, cpu=None):
    wall = np.asarray(wall, dtype=float)
    return ModelTimings(
        cold_start_ms=10.0,
        first_run_ms=2.0,
        warm_up_runs=31,
        settled=True,
        output_sha256="0" * 64,
        wall_ms=wall,
        cpu_ms=wall if cpu is None else np.asarray(cpu, dtype=float),
    )


def result_of(*models, switches=0):
    return BenchResult(
        models=models,
        involuntary_switches=switches,
        steal_share=0.0,
        peak_memory_mb=80.0,
        machine=Machine("A processor", 2, "Linux x86_64", "onnxruntime 1", None),
    )


# The runner


def test_one_model_is_timed_and_its_output_is_digested(model_path):
    result = run_bench(request_for(model_path))
    (timed,) = result.models
    assert len(timed.wall_ms) == len(timed.cpu_ms) == 100
    assert (timed.wall_ms > 0).all()
    assert (timed.cpu_ms > 0).all()
    assert timed.cold_start_ms > 0
    assert timed.warm_up_runs >= 1 + bench.PROBES
    session = onnxruntime.InferenceSession(str(model_path), providers=["CPUExecutionProvider"])
    digest = hashlib.sha256()
    for tensor in bench.probe_inputs(SHAPE, "float32"):
        digest.update(session.run(None, {"x": tensor})[0].tobytes())
    assert timed.output_sha256 == digest.hexdigest()
    assert result.machine.runtime == f"onnxruntime {onnxruntime.__version__}"
    assert result.machine.cores >= 1
    assert result.peak_memory_mb > 10
    assert result.involuntary_switches >= 0


def test_memory_is_that_of_the_runner_not_of_the_audit(model_path):
    held = np.ones(40_000_000)
    result = run_bench(request_for(model_path))
    assert 10 < result.peak_memory_mb < held.nbytes / 1e6


def test_two_models_are_timed_in_turns(model_path):
    result = run_bench(request_for(model_path, model_path, runs=60, block=10))
    assert [len(m.wall_ms) for m in result.models] == [60, 60]
    assert result.runs == 120
    assert result.models[0].output_sha256 == result.models[1].output_sha256
    assert list(bench.turns(2, 3)) == [(0, 1), (1, 0), (0, 1)]
    assert list(bench.turns(1, 2)) == [(0,), (0,)]


def test_the_budget_ends_the_runs(model_path):
    result = run_bench(request_for(model_path, runs=1_000_000, block=10, budget_s=0.2))
    assert 10 <= result.runs < 1_000_000


def test_one_block_is_run_at_least(model_path):
    assert run_bench(request_for(model_path, runs=3, block=10)).runs == 10


def test_torchscript_is_timed_by_torch(tmp_path):
    import torch

    path = tmp_path / "model.pt"
    torch.jit.trace(torch.nn.Flatten(), torch.zeros(SHAPE)).save(str(path))
    models = (TimedModel(path, format="torchscript"),)
    result = run_bench(request_for(runs=20, block=10, models=models))
    assert result.runs == 20
    assert result.machine.runtime == f"torch {torch.__version__}"


def test_probes_are_the_same_everywhere_and_of_the_type_asked_for():
    assert all(p.dtype == np.uint8 for p in bench.probe_inputs((1, 8, 8, 3), "uint8"))
    first, second = (bench.probe_inputs(SHAPE, "float16") for _ in range(2))
    assert first[0].dtype == np.float16
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_runner_is_one_file_that_needs_nothing_of_the_auditor():
    tree = ast.parse(latency.RUNNER.read_text())
    named = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    named |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not {name for name in named if name.startswith("auditor")}
    assert latency.RUNNER.name == "bench.py"


def test_warm_up_ends_when_three_windows_agree():
    assert not bench.is_steady([5.0, 5.0])
    assert not bench.is_steady([9.0, 5.0, 5.0])
    assert bench.is_steady([20.0, 5.0, 5.4, 5.2])


def test_steal_is_a_share_of_the_time_that_passed():
    before, after = bench._Counters(3, 10, 1000), bench._Counters(9, 30, 1200)
    assert after.steal_share_since(before) == pytest.approx(0.1)
    assert before.steal_share_since(before) is None


# Errors


def test_a_provider_that_is_missing_is_named(model_path):
    with pytest.raises(ModelError, match=r"NoSuchProvider.*target\.providers"):
        run_bench(request_for(model_path, providers=("NoSuchProvider",)))


def test_a_model_that_does_not_run_gives_its_error(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="found an error"):
        run_bench(request_for(path))


def test_a_process_that_does_not_end_is_ended(monkeypatch, tmp_path, model_path):
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(latency, "RUNNER", slow)
    with pytest.raises(ModelError, match="no result after 0 s"):
        run_bench(request_for(model_path), timeout_s=0.3)


def test_a_process_that_is_killed_says_so(monkeypatch, tmp_path, model_path):
    killed = tmp_path / "killed.py"
    killed.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setattr(latency, "RUNNER", killed)
    with pytest.raises(ModelError, match="signal 9"):
        run_bench(request_for(model_path))


@pytest.mark.parametrize(
    ("stdout", "code", "stderr", "said"),
    [
        ("", 0, "", "nothing"),
        ("", 1, "Traceback\nImportError: numpy", "ImportError: numpy"),
        ('{"error": "RuntimeError: no"}', 1, "", "RuntimeError: no"),
        ('{"half": ', 0, "", "nothing"),
    ],
)
def test_no_result_is_an_error_that_quotes_what_was_said(stdout, code, stderr, said):
    with pytest.raises(ModelError, match=said):
        parse_result(stdout, returncode=code, stderr=stderr)


def test_a_result_is_read_past_what_libraries_print():
    answer = {
        "models": [
            {"cold_start_ms": 1.0, "first_run_ms": 2.0, "warm_up_runs": 5, "settled": False,
             "output_sha256": "ab", "wall_ms": [1.0, 3.0], "cpu_ms": [1.0, 2.0]},
        ],
        "involuntary_switches": 3, "steal_share": None, "peak_memory_mb": 50.0,
        "machine": {"cpu": "A", "cores": None, "system": "B", "runtime": "C", "governor": None},
    }  # fmt: skip
    result = parse_result("a warning\n" + json.dumps(answer) + "\n", returncode=0)
    assert result.switches_per_run == 1.5
    assert result.wall_over_cpu == pytest.approx(2 / 1.5)
    assert result.run_seconds == pytest.approx(0.002)
    assert str(result.machine) == "A, ? cores, B, C"


# Contention


def test_calm_timings_are_calm():
    assert disturbance(result_of(timings([8.0] * 100), switches=5), on_cpu=True) is None


def test_a_process_that_loses_its_processor_is_disturbed():
    said = disturbance(result_of(timings([8.0] * 100), switches=6), on_cpu=True)
    assert "0.06 times a run (at most 0.05" in said


def test_a_long_run_meets_the_housekeeping_of_the_system():
    slow = timings([1000.0] * 100)
    assert disturbance(result_of(slow, switches=150), on_cpu=True) is None
    assert disturbance(result_of(slow, switches=250), on_cpu=True) is not None


def test_a_run_that_waits_is_disturbed_unless_it_waits_for_a_device():
    waiting = result_of(timings([12.0] * 100, cpu=[10.0] * 100))
    assert "1.20 times its processor time" in disturbance(waiting, on_cpu=True)
    assert disturbance(waiting, on_cpu=False) is None


def test_either_of_two_models_may_be_disturbed():
    calm, waiting = timings([10.0] * 50), timings([10.0] * 50, cpu=[5.0] * 50)
    assert disturbance(result_of(calm, waiting), on_cpu=True) is not None


def attempts_of(model_path, *switches, seconds_each=1.0, **kwargs):
    """The result chosen when successive attempts lose the processor `switches` times in 100."""
    left, now = list(switches), [0.0]

    def attempt(request):
        now[0] += seconds_each
        return result_of(timings([8.0] * 100), switches=left.pop(0))

    chosen = calmest_bench(request_for(model_path), bench=attempt, clock=lambda: now[0], **kwargs)
    return chosen.involuntary_switches, len(switches) - len(left)


def test_a_disturbed_timing_is_repeated_and_the_calmest_is_kept(model_path):
    assert attempts_of(model_path, 90, 0, 40) == (0, 2)
    assert attempts_of(model_path, 90, 20, 40, 1) == (20, 3)
    assert attempts_of(model_path, 3, 0) == (3, 1)
    assert attempts_of(model_path, 90, 20, 0, attempts=2) == (20, 2)


def test_no_attempt_is_begun_after_the_budget(model_path):
    assert attempts_of(model_path, 90, 20, 0, seconds_each=25.0) == (90, 1)


# Reading timings


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
def test_runs_needed_leave_two_beyond_the_quantile(quantile):
    needed, tail = runs_needed(quantile), 1 - quantile
    assert binom.sf(1, needed, tail) >= 0.99 > binom.sf(1, needed - 1, tail)


def test_runs_needed_are_those_of_mlperf():
    assert (runs_needed(0.9), runs_needed(0.99)) == (64, 662)


@pytest.mark.parametrize(("n", "quantile"), [(64, 0.5), (64, 0.9), (700, 0.95), (700, 0.99)])
def test_quantile_draws_agree_with_the_order_statistic_interval(n, quantile):
    values = np.random.default_rng(n).lognormal(size=n)
    draws = quantile_draws(values, quantile=quantile)
    ends = order_statistic_interval(n, quantile=quantile, level=0.95)
    ordered = np.sort(values)
    at = dict(zip(GRID, draws.quantiles, strict=True))
    assert at[0.025] == ordered[ends.low]
    assert at[0.975] == ordered[ends.high]
    assert (at[0.5], draws.value) == pytest.approx((np.quantile(values, quantile),) * 2)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_bounds_hold_the_true_quantile_as_often_as_they_say(quantile):
    rng, held_high, held_low, trials = np.random.default_rng(3), 0, 0, 600
    truth = -np.log(1 - quantile)
    for _ in range(trials):
        draws = quantile_draws(rng.exponential(size=700), quantile=quantile)
        held_high += bound(draws, side="high") >= truth
        held_low += bound(draws, side="low") <= truth
    # Three standard errors below 95%.
    assert min(held_high, held_low) >= trials * 0.95 - 3 * np.sqrt(trials * 0.95 * 0.05)


def test_few_values_end_at_the_greatest_one():
    draws = quantile_draws(np.arange(1.0, 6.0), quantile=0.9)
    assert max(draws.quantiles) == 5.0
    assert draws.value == pytest.approx(4.6)


def test_a_speed_ratio_is_found_under_load_that_falls_on_both():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        load = np.repeat(rng.uniform(1, 3, size=30), 10)
        slow = 20 * load * rng.lognormal(sigma=0.05, size=300)
        fast = 10 * load * rng.lognormal(sigma=0.05, size=300)
        draws = ratio_draws(slow, fast, block=10)
        ends = interval(draws)
        assert 1.9 < ends.low <= draws.value <= ends.high < 2.1


def test_a_speed_ratio_leaves_unpaired_blocks_out():
    draws = ratio_draws(np.r_[np.full(20, 4.0), np.full(7, 99.0)], np.full(35, 2.0), block=10)
    assert set(draws.quantiles) == {2.0}


def test_rates_are_runs_over_the_time_of_each_block():
    wall = np.repeat([5.0, 10.0], 50)
    assert blocks_rate(wall, blocks=2) == pytest.approx((200.0, 100.0))
    assert blocks_rate(wall[:39]) == ()
