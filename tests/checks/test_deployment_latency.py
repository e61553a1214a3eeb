"""deployment/latency on planted timings: percentiles, contention, too few runs."""

import numpy as np
import pytest

from auditor.checks import deployment_latency
from auditor.checks.deployment_latency import Latency, StandsAlone
from auditor.contract import Available, NotMeasurableError
from auditor.errors import ModelError
from auditor.findings import TensorFacts, Unmeasured
from auditor.models.latency import BenchResult, Machine, ModelTimings
from auditor.stats import bound, interval, p_value, value

PERCENTILES = ("p50", "p90", "p95", "p99")


def timed(wall, *, switches=0, cpu=None):
    wall = np.asarray(wall, dtype=float)
    model = ModelTimings(
        cold_start_ms=180.0,
        first_run_ms=20.0,
        warm_up_runs=35,
        settled=True,
        output_sha256="a" * 64,
        wall_ms=wall,
        cpu_ms=wall if cpu is None else cpu,
    )
    machine = Machine("A processor", 2, "Linux x86_64", "onnxruntime 1", None)
    return BenchResult((model,), switches, 0.0, 97.0, machine)


def world(worlds, tmp_path, *, target=None, **facts):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"a model")
    target = target or {"name": "a tablet", "threads": 2}
    return worlds.evidence(
        spec=worlds.spec(target=target), model=worlds.facts(**facts), paths={"as-given": path}
    )


@pytest.fixture
def plant(monkeypatch):
    """Plants the timings that the check finds; the requests it makes are kept."""
    asked = []

    def planted(result):
        def answer(request, *, attempts):
            asked.append(request)
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(deployment_latency, "calmest_bench", answer)
        return asked

    return planted


def latencies(*, median, seed, n=700):
    return median * np.random.default_rng(seed).lognormal(sigma=0.1, size=n)


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_model_exceeds_its_limit_and_a_fast_one_does_not(worlds, tmp_path, plant, seed):
    evidence = world(worlds, tmp_path)
    plant(timed(latencies(median=60, seed=seed)))
    slow = worlds.measures(Latency(), evidence)
    plant(timed(latencies(median=40, seed=seed)))
    fast = worlds.measures(Latency(), evidence)
    for name in PERCENTILES:
        assert p_value(slow[f"{name}:"].estimate, limit=56, exceeds="above") <= 0.05
        assert p_value(fast[f"{name}:"].estimate, limit=56, exceeds="above") > 0.05
        assert bound(fast[f"{name}:"].estimate, side="high") < 56


def test_percentiles_are_those_of_the_runs_volatile_and_in_ms(worlds, tmp_path, plant):
    wall = latencies(median=50, seed=1)
    plant(timed(wall))
    found = worlds.measures(Latency(), world(worlds, tmp_path))
    for name, share in zip(PERCENTILES, (0.5, 0.9, 0.95, 0.99), strict=True):
        measure = found[f"{name}:"]
        assert value(measure.estimate) == pytest.approx(np.quantile(wall, share))
        ends = interval(measure.estimate)
        assert ends.low < value(measure.estimate) < ends.high
        assert (measure.unit, measure.better, measure.n) == ("ms", "lower", 700)
    assert all(m.volatile for m in found.values())
    assert value(found["cold-start:"].estimate) == 200
    assert value(found["peak-memory:"].estimate) == 97
    rate = found["images-per-second:"]
    assert value(rate.estimate) == pytest.approx(1000 / wall.mean(), rel=0.01)


def test_the_details_name_the_machine_and_its_threads(worlds, tmp_path, plant):
    plant(timed(latencies(median=50, seed=1)))
    measure = worlds.measures(Latency(), world(worlds, tmp_path))["p50:"]
    details = measure.facts
    assert details["machine"]["cpu"] == "A processor"
    assert details["threads"] == 2
    assert "A processor" in worlds.sentence(Latency, measure)


def test_the_target_and_the_input_are_what_is_timed(worlds, tmp_path, plant):
    asked = plant(timed(latencies(median=5, seed=1)))
    shape = (4, 3, 8, 8)
    target = {"name": "a tablet", "threads": 3, "providers": ("XnnpackExecutionProvider",)}
    evidence = world(
        worlds, tmp_path, target=target, inputs=(TensorFacts("x", shape, "tensor(float)"),)
    )
    rate = worlds.measures(Latency(), evidence)["images-per-second:"]
    (request,) = asked
    assert (request.shape, request.dtype, request.threads) == (shape, "float32", 3)
    assert request.providers == ("XnnpackExecutionProvider",)
    assert request.models[0].path == tmp_path / "model.onnx"
    assert 700 < value(rate.estimate) < 900, "four images a run"


@pytest.mark.parametrize(
    "result",
    [
        timed(latencies(median=8, seed=1), switches=500),
        timed(latencies(median=8, seed=1), cpu=latencies(median=4, seed=1)),
    ],
    ids=["switches", "waiting"],
)
def test_contended_timings_give_no_number(worlds, tmp_path, plant, result):
    plant(result)
    found = list(Latency().run(world(worlds, tmp_path)))
    refused = {r.name: r for r in found if isinstance(r, Unmeasured)}
    assert set(refused) == {*PERCENTILES, "images-per-second", "cold-start"}
    assert all("contended" in r.reason for r in refused.values())
    assert "nothing else running" in refused["p99"].remedy
    assert [r.name for r in found if r not in refused.values()] == ["peak-memory"]


def test_a_percentile_without_enough_runs_is_unmeasured(worlds, tmp_path, plant):
    plant(timed(latencies(median=900, seed=1, n=100)))
    found = list(Latency().run(world(worlds, tmp_path)))
    refused = [r for r in found if isinstance(r, Unmeasured)]
    assert [r.name for r in refused] == ["p95", "p99"]
    assert "takes 662" in refused[1].reason
    assert "budget_s" in refused[1].remedy


def test_a_model_that_cannot_be_timed_gives_the_reason(worlds, tmp_path, plant):
    plant(ModelError("found an error (no provider)"))
    with pytest.raises(NotMeasurableError, match="no provider") as raised:
        list(Latency().run(world(worlds, tmp_path)))
    assert "target.providers" in raised.value.remedy


def test_without_a_target_or_a_file_that_runs_the_needs_are_unmet(worlds):
    def unmet(need, spec, facts):
        return need.unmet(Available(spec, facts, {}))

    target, stands_alone = Latency.needs
    with_target = worlds.spec(target={"name": "a tablet"})
    assert "target" in unmet(target, worlds.spec(), worlds.facts()).remedy
    assert unmet(target, with_target, worlds.facts()) is None
    assert isinstance(stands_alone, StandsAlone)
    assert "ONNX" in unmet(stands_alone, with_target, worlds.facts(format="torch")).remedy
    assert unmet(stands_alone, with_target, worlds.facts(format="torchscript")) is None
