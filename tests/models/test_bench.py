"""The runner in its own process, and what its timings are read as."""

import ast
import dataclasses
import hashlib
import json
import math
import subprocess
import sys
from itertools import islice

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.stats import binom

from auditor.errors import ModelError
from auditor.models import latency
from auditor.models.bench import loops, parts, sessions
from auditor.models.bench.loops import Clock
from auditor.models.bench.machine import Counters, threads_allowed
from auditor.models.bench_program import program_text
from auditor.models.latency import (
    BenchRequest,
    TimedModel,
    calmest_bench,
    parse_result,
    run_bench,
)
from auditor.models.timed_quantiles import (
    drift_draws,
    early_stopping_estimate,
    inverse_draws,
    quantile_draws,
    ratio_draws,
    runs_needed,
)
from auditor.models.timings import (
    BenchResult,
    Machine,
    ModelTimings,
    Stretch,
    disturbance,
    disturbed,
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
        models=tuple(TimedModel(p) for p in paths),
        shape=SHAPE,
        dtype="float32",
        runs=100,
        block=50,
        window_s=0.0,
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
    assert timed.warm_up_runs >= 1 + sessions.PROBES
    session = onnxruntime.InferenceSession(str(model_path), providers=["CPUExecutionProvider"])
    digest = hashlib.sha256()
    for tensor in parts._inputs({"shape": SHAPE, "dtype": "float32", "feed": None}):
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
    assert list(islice(loops.turns(2), 3)) == [(0, 1), (1, 0), (0, 1)]
    assert list(islice(loops.turns(1), 2)) == [(0,), (0,)]


def test_quick_runs_go_on_until_the_window_is_full(model_path):
    asked = request_for(model_path, model_path, runs=10, block=10, window_s=0.2)
    result = run_bench(asked)
    assert all(math.fsum(m.wall_ms) >= 200 for m in result.models)
    assert result.runs > 20


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


def feed(**changes):
    return {"channels": "rgb", "factor": [0.5, 0.25, 2.0], "offset": [1.0, 0.0, -1.0],
            "layout": "nchw", "dtype": "float32", "size": [8, 8]} | changes  # fmt: skip


def test_noise_is_the_same_everywhere_and_of_the_type_asked_for():
    asked = {"shape": (1, 8, 8, 3), "dtype": "uint8", "feed": None}
    assert all(p.dtype == np.uint8 for p in parts._inputs(asked))
    first, second = (parts._inputs(asked | {"dtype": "float16"}) for _ in range(2))
    assert first[0].dtype == np.float16
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_drawn_frames_are_the_same_on_every_machine_and_unlike_each_other():
    frames = sessions.probe_frames(24, 32)
    assert frames.shape == (sessions.PROBES, 24, 32, 3)
    # Written down: an integer type of another width would draw others.
    assert hashlib.sha256(frames.tobytes()).hexdigest()[:16] == "6ac0ff942a0b4288"
    assert len({frame.tobytes() for frame in frames}) == sessions.PROBES
    assert frames.min() < 20
    assert frames.max() > 235


@pytest.mark.parametrize("channels", ["rgb", "bgr", "grey"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_frames_are_fed_as_the_audit_feeds_them(channels, layout):
    from auditor.models.inputs import InputBuffers
    from auditor.spec import InputSpec

    grey = channels == "grey"
    input = InputSpec(
        size=(6, 9), mean=(0.5,) if grey else (0.5, 0.4, 0.3), std=(0.25,) if grey else (0.2,) * 3,
        channels=channels, layout=layout,
    )  # fmt: skip
    frames = sessions.probe_frames(6, 9)
    expected = InputBuffers().fill(frames, input=input)
    found = sessions.tensor_of(frames, latency.feed_of(input))
    assert found.dtype == expected.dtype
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_product_of_matrices_is_a_model_of_its_own():
    setting = sessions.Setting(1, ["CPUExecutionProvider"])
    run = sessions.onnx_run(sessions.product_model(), setting)
    square = np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32)
    assert np.allclose(run(square)[0], square @ square, atol=1e-4)


def test_the_program_is_one_file_that_needs_nothing_of_the_auditor(tmp_path):
    """Its modules share no name, and it runs where the auditor cannot be imported."""
    tree = ast.parse(program_text())
    named = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    named |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    packages = {name.partition(".")[0] for name in named}
    assert packages - set(sys.stdlib_module_names) == {"numpy", "onnxruntime", "torch"}
    own = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    assert len(own) == len(set(own))
    program = tmp_path / "bench.py"
    program.write_text(program_text())
    done = subprocess.run(
        [sys.executable, "-I", str(program), str(tmp_path / "no.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "FileNotFoundError" in json.loads(done.stdout)["error"]


def test_telemetry_is_off_before_onnxruntime_is_imported():
    text = program_text()
    assert text.index('os.environ["ORT_DISABLE_TELEMETRY"] = "1"') < text.index(
        "import onnxruntime"
    )


# Loops, by a clock that only runs move


class Planted:
    """A clock that runs of planted lengths (ms) and waiting move; `busy` is processor time."""

    def __init__(self, *lengths, busy=1.0):
        self.now, self.cpu, self.lengths, self.busy = 0.0, 0.0, list(lengths), busy
        self.slept = []

    @property
    def clock(self):
        return Clock(lambda: round(self.now * 1e6), lambda: round(self.cpu * 1e6), self._sleep)

    def _sleep(self, seconds):
        self.slept.append(seconds)
        self.now += 1000 * seconds

    def run(self):
        taken = self.lengths.pop(0) if len(self.lengths) > 1 else self.lengths[0]
        self.now += taken
        self.cpu += taken * self.busy


def test_warm_up_ends_when_three_windows_agree():
    assert not loops.is_steady([5.0, 5.0])
    assert not loops.is_steady([9.0, 5.0, 5.0])
    assert loops.is_steady([20.0, 5.0, 5.4, 5.2])


def test_slow_first_runs_are_warm_up():
    planted = Planted(*[30.0] * 25, 10.0)
    done = loops.warm_up(planted.run, budget_s=100, clock=planted.clock)
    # Two slow windows, a mixed one, and three that agree.
    assert done == loops.WarmUp(60, True)


def test_times_that_never_agree_do_not_settle():
    planted = Planted(*[10.0 * 1.2 ** (i // 10) for i in range(400)])
    done = loops.warm_up(planted.run, budget_s=1e9, clock=planted.clock)
    assert done == loops.WarmUp(10 * loops.MAX_WINDOWS, False)


def test_quick_runs_are_warmed_up_for_as_long_as_slow_ones():
    planted = Planted(0.01)
    done = loops.warm_up(planted.run, budget_s=100, clock=planted.clock)
    assert done.settled
    assert done.runs >= 3 * 1000 * loops.WINDOW_S / 0.01


def test_wall_and_processor_time_are_told_apart():
    planted = Planted(10.0, busy=0.25)
    (times,) = loops.in_turns([planted.run], loops.Amount(50, 10, 0, 100), clock=planted.clock)
    assert times.wall_ms == pytest.approx([10.0] * 50)
    assert times.cpu_ms == pytest.approx([2.5] * 50)


@pytest.mark.parametrize(("each_ms", "runs"), [(0.03, 33_340), (5.0, 200), (2000.0, 200)])
def test_at_least_a_second_and_200_runs_whatever_the_speed(each_ms, runs):
    planted = Planted(each_ms)
    amount = loops.Amount(200, 20, 1.0, 1e6)
    (times,) = loops.in_turns([planted.run], amount, clock=planted.clock)
    assert len(times.wall_ms) == runs


def test_waiting_for_an_earlier_answer_counts_in_the_open_loop_alone():
    """One answer of 100 ms keeps those behind it waiting: coordinated omission."""
    planted = Planted(*[5.0] * 10, 100.0, 5.0)
    found = loops.paced(
        planted.run, rate=100, asked=40, budget_s=60, drop=False, clock=planted.clock
    )
    assert found.dropped == 0
    assert sorted(found.times.wall_ms)[-2:] == pytest.approx([5.0, 100.0])
    # Due every 10 ms, answered in 5: the wait falls by 5 ms each time.
    assert found.response_ms[10:14] == pytest.approx([100.0, 95.0, 90.0, 85.0])
    assert found.response_ms[-1] == pytest.approx(5.0)


def test_frames_that_come_while_it_is_busy_are_dropped_and_counted():
    planted = Planted(*[5.0] * 10, 34.0, 5.0)
    found = loops.paced(
        planted.run, rate=100, asked=40, budget_s=60, drop=True, clock=planted.clock
    )
    # The long one, of frame 10, is over 4 ms after frame 13 came.
    assert (found.asked, found.dropped) == (40, 3)
    assert len(found.response_ms) == 37
    assert found.response_ms[11] == pytest.approx(5.0)


def test_an_answer_that_takes_longer_than_the_interval_drops_every_second_frame():
    planted = Planted(15.0)
    found = loops.paced(
        planted.run, rate=100, asked=100, budget_s=60, drop=True, clock=planted.clock
    )
    assert found.dropped == 50


def test_windows_of_a_long_run_show_a_device_that_slows_down():
    planted = Planted(*[10.0 + 0.01 * i for i in range(2000)])
    medians = loops.window_medians(planted.run, seconds=20, clock=planted.clock)
    draws = drift_draws(np.array(medians))
    assert draws.value > 1.3
    assert interval(draws).low > 1.2


def test_settings_take_turns_and_one_run_at_least():
    planted = Planted(250.0)
    rates = loops.rates_in_turns(
        [planted.run, planted.run], rounds=4, slot_s=0.1, budget_s=60, clock=planted.clock
    )
    assert rates == [pytest.approx([4.0] * 4)] * 2


# What the system counts


def test_steal_joules_and_throttling_are_of_the_time_that_passed():
    before = Counters(3, 10, 1000, joules=5.0, throttled=1.0)
    after = Counters(9, 30, 1200, joules=9.0, throttled=1.0)
    found = after.since(before)
    assert found["involuntary_switches"] == 6
    assert found["steal_share"] == pytest.approx(0.1)
    assert (found["joules"], found["throttled"]) == (4.0, 0.0)
    assert before.since(before)["steal_share"] is None
    assert Counters(0, 0, 1).since(before)["joules"] is None
    assert before.since(after)["joules"] is None, "a counter that began anew"


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({}, None),
        ({"sys/fs/cgroup/a/b/cpu.max": "max 100000"}, None),
        ({"sys/fs/cgroup/a/b/cpu.max": "100000 100000"}, 1),
        ({"sys/fs/cgroup/a/b/cpu.max": "50000 100000"}, 1),
        ({"sys/fs/cgroup/a/cpu.max": "100000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 1"}, 1),
        ({"sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us": "150000",
          "sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us": "100000"}, 1),
        ({"sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us": "-1",
          "sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us": "100000"}, None),
    ],
)  # fmt: skip
def test_threads_are_those_that_affinity_and_quota_allow(tmp_path, monkeypatch, files, threads):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)
    controllers = "cpu" if any("cfs" in name for name in files) else ""
    files = files | {"proc/self/cgroup": f"0:{controllers}:/a/b\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads_allowed(tmp_path) == (threads or 6)


def test_no_more_threads_run_than_are_allowed(model_path):
    result = run_bench(request_for(model_path, threads=64, parts=()))
    assert 1 <= result.threads <= threads_allowed()


def test_every_part_is_timed_and_told(model_path, tmp_path):
    from PIL import Image

    photo = tmp_path / "photo.png"
    Image.new("RGB", (30, 20), (200, 10, 10)).save(photo)
    names = ("closed", "open", "frames", "photos", "sustained", "sweep", "probes")
    result = run_bench(
        request_for(
            model_path, parts=names, feed=feed(), runs=20, block=10, open_runs=20, frames=20,
            rate=500.0, photos=(str(photo),), sustained_s=0.01, sweep_threads=(1,),
            sweep_batches=(1, 2), rounds=3, slot_s=0.001,
        )
    )  # fmt: skip
    assert set(result.stretches) == {*names} - {"probes"}
    assert len(result.stretches["open"].found["response_ms"]) == 20
    frames = result.stretches["frames"]
    assert frames.found["asked"] == 20 == frames.found["dropped"] + len(frames.wall_ms)
    whole, preparing = result.stretches["photos"].times
    assert (whole[0] > preparing[0]).all()
    settings = [(s["batch"], s["threads"]) for s in result.stretches["sweep"].found["settings"]]
    assert settings == [(1, 1), (2, 1), (0, 1)]
    assert len(result.probes) == sessions.PROBES
    session = onnxruntime.InferenceSession(str(model_path), providers=["CPUExecutionProvider"])
    tensor = sessions.tensor_of(sessions.probe_frames(8, 8), feed())[3:4]
    (output,) = result.probes[3]
    assert output["values"] == pytest.approx(session.run(None, {"x": tensor})[0].ravel().tolist())


def test_photos_that_cannot_be_decoded_are_told_not_timed(model_path, tmp_path):
    text = tmp_path / "photo.jpg"
    text.write_text("no photo")
    asked = request_for(model_path, parts=("photos",), feed=feed(), photos=(str(text),))
    part = run_bench(asked).stretches["photos"]
    assert "UnidentifiedImageError" in part.found["error"]


# Errors


def test_a_provider_that_is_missing_is_named(model_path):
    with pytest.raises(ModelError, match=r"NoSuchProvider.*target\.providers"):
        run_bench(request_for(model_path, providers=("NoSuchProvider",)))


def test_a_model_that_does_not_run_gives_its_error(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="found an error"):
        run_bench(request_for(path))


def test_a_process_that_does_not_end_is_ended(monkeypatch, model_path):
    monkeypatch.setattr(latency, "program_text", lambda: "import time\ntime.sleep(600)\n")
    with pytest.raises(ModelError, match="no result after 0 s"):
        run_bench(request_for(model_path), timeout_s=0.3)


def test_a_process_that_is_killed_says_so(monkeypatch, model_path):
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    monkeypatch.setattr(latency, "program_text", lambda: text)
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
    counted = {"seconds": 1.0, "involuntary_switches": 3, "steal_share": None, "joules": None,
               "throttled": None, "heat": []}  # fmt: skip
    answer = {
        "threads": 1,
        "models": [
            {"cold_start_ms": 1.0, "first_run_ms": 2.0, "cold_cpu_ms": 2.5, "warm_up_runs": 5,
             "settled": False, "output_sha256": "ab"},
        ],
        "parts": {"closed": {"runs": [{"wall_ms": [1.0, 3.0], "cpu_ms": [1.0, 2.0]}], **counted}},
        "memory": {"end": {"peak_mb": 50.0}},
        "machine": {"cpu": "A", "cores": None, "system": "B", "runtime": "C", "governor": None,
                    "features": []},
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


def stretch(wall, *, switches=0, cpu=None, seconds=1.0, **found):
    wall = np.asarray(wall, dtype=float)
    times = ((wall, wall if cpu is None else np.asarray(cpu, dtype=float)),) if len(wall) else ()
    return Stretch(times, seconds, switches, None, None, None, (), found)


def test_one_disturbed_part_is_enough():
    parts = {"closed": stretch([8.0] * 100), "open": stretch([8.0] * 100, switches=50)}
    result = dataclasses.replace(result_of(timings([8.0] * 100)), stretches=parts)
    assert "0.50 times a run" in disturbance(result, on_cpu=True)
    calm = dataclasses.replace(result, stretches={"closed": parts["closed"]})
    assert disturbance(calm, on_cpu=True) is None


def test_a_part_without_single_runs_is_judged_by_the_second():
    assert disturbed(stretch([], switches=15, seconds=10.0), on_cpu=True) is None
    assert "2.50 times a second" in disturbed(stretch([], switches=25, seconds=10.0), on_cpu=True)


def test_times_that_never_settled_do_not_count():
    unsettled = dataclasses.replace(timings([8.0] * 100), settled=False, warm_up_runs=317)
    assert "not settled after 317 runs" in disturbance(result_of(unsettled), on_cpu=True)
    # A slow model whose warm-up the budget ended says nothing about settling.
    slow = dataclasses.replace(unsettled, warm_up_runs=27)
    assert disturbance(result_of(slow), on_cpu=True) is None


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


def test_the_early_stopping_estimate_is_a_bound_at_99_percent():
    rng, held, trials = np.random.default_rng(4), 0, 2000
    truth = -np.log(0.1)
    for _ in range(trials):
        held += early_stopping_estimate(rng.exponential(size=300), quantile=0.9) >= truth
    assert held / trials >= 0.99 - 3 * np.sqrt(0.99 * 0.01 / trials)
    assert held / trials <= 0.999
    # With the fewest runs it is the second greatest.
    values = rng.permutation(np.arange(662.0))
    assert early_stopping_estimate(values, quantile=0.99) == 661.0


def test_frames_a_second_turn_the_interval_of_milliseconds_round():
    draws = quantile_draws(np.random.default_rng(1).lognormal(3, 0.1, size=700), quantile=0.99)
    rate = inverse_draws(draws, times=1000)
    slow, fast = interval(draws), interval(rate)
    assert rate.value == pytest.approx(1000 / draws.value)
    assert (fast.low, fast.high) == pytest.approx((1000 / slow.high, 1000 / slow.low))


@pytest.mark.parametrize("slower", [1.0, 1.25])
def test_drift_holds_the_true_ratio_as_often_as_it_says(slower):
    rng, held, trials = np.random.default_rng(5), 0, 500
    for _ in range(trials):
        medians = 10 * np.linspace(1, 1, 60) * rng.lognormal(sigma=0.05, size=60)
        medians[-12:] *= slower
        ends = interval(drift_draws(medians))
        held += ends.low <= slower <= ends.high
    assert abs(held / trials - 0.95) < 3 * np.sqrt(0.95 * 0.05 / trials)
