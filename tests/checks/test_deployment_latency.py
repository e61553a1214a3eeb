"""deployment/latency on planted timings: percentiles, contention, too few runs, other machines."""

import dataclasses
from datetime import date

import numpy as np
import pytest
from timed_worlds import elsewhere, latencies, plant, result, stretch, world

from auditor.checks.deployment_latency import (
    ALONE,
    OPEN,
    PHOTO,
    PROCESSOR,
    Latency,
    _slowdown,
)
from auditor.checks.target_runs import Place, StandsAlone, Timed
from auditor.contract import Available, NotMeasurableError
from auditor.errors import ModelError
from auditor.findings import TensorFacts, Unmeasured, Verdict
from auditor.judging.judge import judge
from auditor.judging.policy import Limit
from auditor.record import CheckResults
from auditor.spec import TargetSpec
from auditor.stats import bound, interval, p_value, value


def told(*, median=50.0, seed=1, n=700, **closed):
    """What a target tells whose model takes `median` ms, its photos 10 ms more."""
    wall = latencies(median=median, seed=seed, n=n)
    later = latencies(median=median, seed=seed + 100, n=n)
    photos = stretch(later + 10, more=[np.full(n, 10.0)], files=3)
    opened = stretch(later, response_ms=list(later + 5), rate=12.0)
    return result(closed=stretch(wall, **closed), open=opened, photos=photos)


def of_parts(found):
    """Answers each request with the parts that it asks for."""

    def answer(request):
        kept = {name: found.stretches[name] for name in request.parts}
        return result(**kept)

    return answer


@pytest.fixture
def timed_here(worlds, tmp_path, monkeypatch):
    """Runs the check on a world whose target tells `found`; a photo is a file."""

    def run(found, **changes):
        plant(monkeypatch, of_parts(found))
        evidence = world(worlds, tmp_path, **changes)
        photo = tmp_path / "photo.png"
        photo.write_bytes(b"a photo")
        for key, dataset in evidence.datasets.items():
            frame = dataset.frame.assign(path=str(photo))
            evidence.datasets[key] = dataclasses.replace(dataset, table=frame)
        return list(Latency().run(evidence))

    return run


def named(results):
    return {r.name: r for r in results}


def verdicts(results, **bounds):
    limits = [
        Limit(id=name, measure=f"deployment/latency:{name}", at_most=most, why="people wait")
        for name, most in bounds.items()
    ]
    measures = tuple(r for r in results if not isinstance(r, Unmeasured))
    unmeasured = tuple(r for r in results if isinstance(r, Unmeasured))
    checked = CheckResults("deployment/latency", measures=measures, unmeasured=unmeasured)
    found = judge([checked], limits=limits, as_of=date(2026, 11, 30)).limit_results
    return {r.limit["id"]: r.verdict for r in found}


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_model_exceeds_its_limit_and_a_fast_one_does_not(timed_here, seed):
    slow = named(timed_here(told(median=60, seed=seed)))
    fast = named(timed_here(told(median=40, seed=seed)))
    for name in ALONE:
        assert p_value(slow[name].estimate, limit=56, exceeds="above") <= 0.05
        assert p_value(fast[name].estimate, limit=56, exceeds="above") > 0.05
        assert bound(fast[name].estimate, side="high") < 56
    assert verdicts(slow.values(), p99=56) == {"p99": Verdict.FAIL}
    assert verdicts(fast.values(), p99=56) == {"p99": Verdict.PASS}


def test_percentiles_are_those_of_the_runs_volatile_and_in_ms(timed_here):
    wall = latencies(median=50, seed=1)
    found = named(timed_here(told(seed=1)))
    for name, share in ALONE.items():
        measure = found[name]
        assert value(measure.estimate) == pytest.approx(np.quantile(wall, share))
        ends = interval(measure.estimate)
        assert ends.low < value(measure.estimate) < ends.high
        assert (measure.unit, measure.better, measure.n) == ("ms", "lower", 700)
    assert {r.name for r in found.values() if not r.volatile} == {"energy"}
    assert found["p99"].facts["early_stopping_ms"] > value(found["p99"].estimate)


def test_waiting_photos_and_processor_time_are_told_apart(timed_here):
    found = named(timed_here(told(cpu=latencies(median=48, seed=1))))
    assert value(found["open-p50"].estimate) == pytest.approx(55, rel=0.03)
    assert value(found["photo-p50"].estimate) == pytest.approx(60, rel=0.03)
    assert value(found["preparing-p50"].estimate) == 10.0
    assert value(found["processor-p50"].estimate) == pytest.approx(48, rel=0.03)


def test_the_sentences_name_target_machine_processor_and_who_says_so(worlds, timed_here):
    found = timed_here(told())
    assert worlds.unfilled(Latency, found) == []
    said = worlds.sentence(Latency, named(found)["p99"])
    for part in ("a tablet", "A processor", "2 thread(s)", "is declared by Jo Lind"):
        assert part in said


def test_the_target_and_the_input_are_what_is_timed(worlds, tmp_path, monkeypatch):
    asked = plant(monkeypatch, of_parts(told()))
    shape = (4, 3, 8, 8)
    target = {"threads": 3, "providers": ("XnnpackExecutionProvider",)}
    evidence = world(
        worlds, tmp_path, target=target, inputs=(TensorFacts("x", shape, "tensor(float)"),)
    )
    list(Latency().run(evidence))
    assert [r.parts for r in asked] == [("closed",), ("open",)]
    assert (asked[0].shape, asked[0].dtype, asked[0].threads) == (shape, "float32", 3)
    assert asked[0].providers == ("XnnpackExecutionProvider",)
    assert asked[0].models[0].path == tmp_path / "model.onnx"
    assert asked[0].feed["size"] == [8, 8]


@pytest.mark.parametrize(
    "closed",
    [{"switches": 500}, {"cpu": latencies(median=4, seed=1)}],
    ids=["switches", "waiting"],
)
def test_contended_timings_give_no_number_and_nothing_more_is_timed(
    worlds, tmp_path, monkeypatch, closed
):
    asked = plant(monkeypatch, of_parts(told(median=8, **closed)))
    found = list(Latency().run(world(worlds, tmp_path)))
    assert all(isinstance(r, Unmeasured) for r in found)
    assert {r.name for r in found if "contended" in r.reason} == {
        *ALONE, *PROCESSOR, *OPEN, *PHOTO, "preparing-p50",
    }  # fmt: skip
    assert named(found)["p99"].reason.startswith("Not valid: on a tablet (")
    assert "nothing else running" in named(found)["p99"].remedy
    assert len(asked) == 1
    assert verdicts(found, p99=500) == {"p99": Verdict.NOT_RUN}


def test_a_part_that_is_disturbed_gives_no_number_of_its_own(timed_here):
    found = told()
    parts = {**found.stretches, "open": stretch([50.0] * 700, switches=700, response_ms=[9.0])}
    told_of = named(timed_here(result(**parts)))
    assert "contended" in told_of["open-p99"].reason
    assert not isinstance(told_of["p99"], Unmeasured)
    assert not isinstance(told_of["photo-p99"], Unmeasured)


@pytest.mark.parametrize(
    ("n", "names"), [(300, {"p99"}), (661, {"p99"}), (199, {"p50", "p90", "p95", "p99"})]
)
def test_a_percentile_without_enough_runs_is_unmeasured(timed_here, n, names):
    found = timed_here(told(median=900, n=n))
    refused = {r.name: r for r in found if isinstance(r, Unmeasured)}
    assert names == set(refused) & set(ALONE)
    assert "takes 662" in refused["p99"].reason
    assert "budget_s" in refused["p99"].remedy


def test_on_another_machine_no_limit_of_the_target_is_decided(worlds, tmp_path, monkeypatch):
    plant(monkeypatch, of_parts(told(median=5)))
    evidence = elsewhere(world(worlds, tmp_path))
    found = list(Latency().run(evidence))
    assert worlds.unfilled(Latency, found) == []
    assert verdicts(found, p99=500) == {"p99": Verdict.NOT_RUN}
    refused = named(found)["p99"]
    assert "a tablet" in refused.reason
    assert not refused.volatile
    for way in ("auditor bench", "target.bench", "this_machine: true", "said_by"):
        assert way in refused.remedy
    here = named(found)["here-p99"]
    assert here.facts["target"] is None
    assert "nobody declares" in worlds.sentence(Latency, here)
    assert "a tablet" not in worlds.sentence(Latency, here)
    plant(monkeypatch, of_parts(told(median=5, switches=500)))
    disturbed = named(Latency().run(evidence))["here-p99"]
    assert disturbed.reason.startswith("Not valid: on the audit's own machine (")


def test_energy_is_told_where_a_counter_was_read(timed_here):
    assert "not available" in named(timed_here(told()))["energy"].reason
    found = named(timed_here(told(joules=1400.0)))["energy"]
    assert value(found.estimate) == pytest.approx(2.0)
    assert found.unit == "J"


@pytest.mark.parametrize(("slower", "shown"), [(1.0, False), (1.4, True)])
def test_a_device_that_slows_down_is_shown_by_a_long_run(worlds, slower, shown):
    windows = 5 * np.random.default_rng(3).lognormal(sigma=0.02, size=100)
    windows[60:] *= slower
    long = stretch([], window_ms=list(windows), seconds_asked=100.0, seconds=100.0)
    place = Place(TargetSpec(name="a tablet", this_machine=True, said_by="Jo"), None)
    slowdown = _slowdown(Timed(result(sustained=long), None), place)
    assert worlds.unfilled(Latency, [slowdown]) == []
    assert value(slowdown.estimate) == pytest.approx(slower, rel=0.03)
    assert (p_value(slowdown.estimate, limit=1.2, exceeds="above") <= 0.05) == shown


def test_a_model_that_cannot_be_timed_gives_the_reason(worlds, tmp_path, monkeypatch):
    plant(monkeypatch, lambda _: ModelError("found an error (no provider)"))
    with pytest.raises(NotMeasurableError, match="no provider") as raised:
        list(Latency().run(world(worlds, tmp_path)))
    assert "target.providers" in raised.value.remedy


def test_without_a_target_or_a_file_that_runs_the_needs_are_unmet(worlds):
    def unmet(need, spec, facts):
        return need.unmet(Available(spec, facts, {}))

    target, stands_alone, _ = Latency.needs
    with_target = worlds.spec(target={"name": "a tablet"})
    assert "target" in unmet(target, worlds.spec(), worlds.facts()).remedy
    assert unmet(target, with_target, worlds.facts()) is None
    assert isinstance(stands_alone, StandsAlone)
    assert "ONNX" in unmet(stands_alone, with_target, worlds.facts(format="torch")).remedy
    assert unmet(stands_alone, with_target, worlds.facts(format="torchscript")) is None
