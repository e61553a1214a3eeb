"""deployment/memory on planted peaks of fresh processes."""

import itertools

import numpy as np
import pytest
from timed_worlds import elsewhere, plant, result, world

from auditor.checks.deployment_memory import Memory
from auditor.findings import Unmeasured
from auditor.stats import bound, p_value, value


@pytest.fixture
def run(worlds, tmp_path, monkeypatch):
    def told(*, peak, without=None, seed=0):
        rng = np.random.default_rng(seed)

        def answer(request):
            around = peak if request.arena else without or peak
            return result(peak=around * rng.lognormal(sigma=0.01))

        plant(monkeypatch, answer)
        return {r.name: r for r in Memory().run(world(worlds, tmp_path))}

    return told


@pytest.mark.parametrize("seed", range(5))
def test_a_large_model_exceeds_its_limit_and_a_small_one_does_not(run, seed):
    large = run(peak=900, seed=seed)["peak"]
    assert p_value(large.estimate, limit=512, exceeds="above") <= 0.05
    small = run(peak=300, seed=seed)["peak"]
    assert bound(small.estimate, side="high") < 512
    assert (small.unit, small.n) == ("MB", 10)


def test_what_the_model_takes_and_what_the_arena_keeps_are_told(worlds, run):
    found = run(peak=140, without=100)
    assert worlds.unfilled(Memory, found.values()) == []
    assert found["peak"].facts["model_mb"] == pytest.approx(100, rel=0.05)
    assert value(found["peak-without-arena"].estimate) == pytest.approx(100, rel=0.05)
    assert "a tablet (A processor" in worlds.sentence(Memory, found["peak"])


def test_another_machine_is_not_even_started(worlds, tmp_path, monkeypatch):
    asked = plant(monkeypatch, lambda _: next(itertools.repeat(result())))
    (found,) = Memory().run(elsewhere(world(worlds, tmp_path)))
    assert isinstance(found, Unmeasured)
    assert not asked
