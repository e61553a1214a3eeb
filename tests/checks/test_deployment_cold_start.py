"""deployment/cold-start on planted starts of fresh processes."""

import numpy as np
import pytest
from timed_worlds import elsewhere, plant, result, world

from auditor.checks.deployment_cold_start import ColdStart
from auditor.findings import Unmeasured
from auditor.stats import bound, p_value, value


def starts(*, loading, answering=20.0, waiting=1.0, seed=0):
    """Fresh processes that load in about `loading` ms, `waiting` times what the processor took."""
    rng = np.random.default_rng(seed)

    def answer(_):
        loaded = loading * rng.lognormal(sigma=0.05)
        return result(cold=(loaded, answering, (loaded + answering) / waiting))

    return answer


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_start_exceeds_its_limit_and_a_quick_one_does_not(
    worlds, tmp_path, monkeypatch, seed
):
    asked = plant(monkeypatch, starts(loading=400, seed=seed))
    (slow,) = ColdStart().run(world(worlds, tmp_path))
    assert (len(asked), asked[0].parts, slow.n) == (10, (), 10)
    assert value(slow.estimate) == pytest.approx(420, rel=0.05)
    assert p_value(slow.estimate, limit=300, exceeds="above") <= 0.05
    plant(monkeypatch, starts(loading=200, seed=seed))
    (quick,) = ColdStart().run(world(worlds, tmp_path))
    assert bound(quick.estimate, side="high") < 300
    assert quick.facts["loading_ms"] == pytest.approx(200, rel=0.05)
    assert worlds.unfilled(ColdStart, [quick]) == []
    assert "half of 10 fresh processes" in worlds.sentence(ColdStart, quick)


def test_starts_that_waited_for_other_programs_give_no_number(worlds, tmp_path, monkeypatch):
    plant(monkeypatch, starts(loading=200, waiting=3.0))
    (found,) = ColdStart().run(world(worlds, tmp_path))
    assert isinstance(found, Unmeasured)
    assert "3.00 times its processor time" in found.reason


def test_another_machine_is_not_even_started(worlds, tmp_path, monkeypatch):
    asked = plant(monkeypatch, starts(loading=200))
    (found,) = ColdStart().run(elsewhere(world(worlds, tmp_path)))
    assert isinstance(found, Unmeasured)
    assert not asked
