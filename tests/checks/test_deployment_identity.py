"""deployment/identity on planted answers of two machines to the same frames."""

import dataclasses

import numpy as np
import pytest
from timed_worlds import result, world

from auditor.checks import deployment_identity
from auditor.checks.deployment_identity import Identity, ResultOfTarget, largest_difference
from auditor.checks.target_runs import Place
from auditor.contract import Available, NotMeasurableError
from auditor.models.bench.sessions import sampled
from auditor.models.bench_file import BenchFile
from auditor.stats import value


def answers(*, seed=0, noise=0.0, shape=(1, 10), scale=1.0):
    """What is kept of 16 answers with outputs from about -3 to 3, with `noise` added."""
    rng, other = np.random.default_rng(seed), np.random.default_rng(99)
    outputs = [rng.normal(size=shape) for _ in range(16)]
    return [sampled([scale * o + noise * other.normal(size=o.shape)]) for o in outputs]


@pytest.fixture
def run(worlds, tmp_path, monkeypatch):
    def told(here, there):
        evidence = world(worlds, tmp_path)
        machine = dataclasses.replace(result().machine, cpu="The target's processor")
        timed = dataclasses.replace(result(probes=there), machine=machine)
        bench = BenchFile("bench.json", "a tablet", "2026-11-29T10:00:00Z", timed, ())
        place = Place(evidence.spec.target, bench)
        monkeypatch.setattr(deployment_identity, "place_of", lambda _: place)
        monkeypatch.setattr(deployment_identity, "run_bench", lambda _: result(probes=here))
        return {r.name: r for r in Identity().run(evidence)}

    return told


def test_rounding_is_the_same_model(worlds, run):
    found = run(answers(), answers(noise=1e-6))
    assert value(found["output-difference"].estimate) < 1e-5
    assert value(found["answers-moved"].estimate) == 0
    assert worlds.unfilled(Identity, found.values()) == []
    said = worlds.sentence(Identity, found["output-difference"])
    for part in ("a tablet", "The target's processor", "A processor", "16 drawn frames"):
        assert part in said
    assert not any(m.volatile for m in found.values())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fault", [{"noise": 0.1}, {"scale": 1.2}, {"shape": (1, 11)}])
def test_another_model_or_arithmetic_is_found(run, fault, seed):
    found = run(answers(seed=seed), answers(seed=seed, **fault))
    assert value(found["output-difference"].estimate) > 0.01


def test_answers_that_move_are_counted(run):
    here = answers()
    there = [dict(probe[0]) for probe in here]
    for i in range(4):
        there[i]["at"] = (there[i]["at"] + 1) % 10
    found = run(here, [[probe] for probe in there])
    assert value(found["answers-moved"].estimate) == 0.25


def test_differences_are_of_the_range_whatever_its_unit():
    small = largest_difference(answers(), answers(noise=0.01))
    rng = np.random.default_rng(0)
    outputs = [rng.normal(size=(1, 10)) for _ in range(16)]
    other = np.random.default_rng(99)
    moved = [1000 * (o + 0.01 * other.normal(size=o.shape)) for o in outputs]
    large = largest_difference(
        [sampled([1000 * o]) for o in outputs], [sampled([m]) for m in moved]
    )
    assert small == pytest.approx(large)
    assert largest_difference(answers(), answers()[:8]) == 1.0


def test_only_some_values_of_large_outputs_are_kept():
    (kept,) = sampled([np.arange(100_000.0).reshape(1, 100, 1000)])
    assert len(kept["values"]) <= 256
    assert (kept["shape"], kept["greatest"], kept["at"]) == ([1, 100, 1000], 99_999.0, 99_999)


def test_without_a_result_or_its_answers_nothing_is_compared(worlds, run):
    spec = worlds.spec(target={"name": "a tablet"})
    assert "bench.json" in ResultOfTarget().unmet(Available(spec, worlds.facts(), {})).remedy
    with pytest.raises(NotMeasurableError, match="no answers"):
        run(answers(), [])
