"""deployment/frame-rate on planted frames: kept, not kept, undecided, disturbed, elsewhere."""

import numpy as np
import pytest
from timed_worlds import elsewhere, plant, result, stretch, world

from auditor.checks.deployment_frame_rate import FrameRate, StatedRate, stated_rate
from auditor.contract import Available
from auditor.findings import Unmeasured
from auditor.stats import bound, interval, p_value, value

AT_12 = {"latency": {"frames_per_second": 12.0}}


def frames(*, median, seed=1, n=700, dropped=0, **counted):
    """`n` frames at 12 a second that took `median` ms each, `dropped` of them lost."""
    taken = median * np.random.default_rng(seed).lognormal(sigma=0.1, size=n - dropped)
    return stretch(taken, rate=12.0, asked=n, dropped=dropped, response_ms=list(taken), **counted)


@pytest.fixture
def run(worlds, tmp_path, monkeypatch):
    def told(part, **changes):
        asked = plant(monkeypatch, lambda _: result(frames=part))
        evidence = world(worlds, tmp_path, target=AT_12 | changes)
        return {r.name: r for r in FrameRate().run(evidence)}, asked

    return told


@pytest.mark.parametrize("seed", range(5))
def test_a_rate_is_kept_where_the_slow_answers_are_quick_enough(run, seed):
    quick, asked = run(frames(median=30, seed=seed))
    rate = quick["frames-per-second"]
    assert bound(rate.estimate, side="low") > 12
    assert p_value(rate.estimate, limit=12, exceeds="below") > 0.05
    assert (rate.unit, rate.better) == ("frames/s", "higher")
    assert (asked[0].parts, asked[0].rate, asked[0].frames) == (("frames",), 12.0, 700)
    # Half of the answers are in time, the slow ones are not.
    slow, _ = run(frames(median=80, seed=seed, dropped=200))
    assert p_value(slow["frames-per-second"].estimate, limit=12, exceeds="below") <= 0.05
    assert bound(slow["dropped-frames"].estimate, side="low") > 0.2


def test_dropped_frames_are_a_share_of_those_that_came(run):
    found, _ = run(frames(median=30, dropped=14))
    assert value(found["dropped-frames"].estimate) == pytest.approx(0.02)
    ends = interval(found["dropped-frames"].estimate)
    assert 0 < ends.low < 0.02 < ends.high
    assert found["dropped-frames"].n == 700


def test_the_sentences_name_the_target_and_the_rate(worlds, run):
    found, _ = run(frames(median=30, dropped=3))
    assert worlds.unfilled(FrameRate, found.values()) == []
    said = worlds.sentence(FrameRate, found["dropped-frames"])
    for part in ("a tablet", "A processor", "12 frames a second", "3 of 700 frames", "Jo Lind"):
        assert part in said


@pytest.mark.parametrize(
    ("part", "why"),
    [(frames(median=30, switches=400), "contended"), (frames(median=30, n=299), "takes 300")],
)
def test_disturbed_or_few_frames_give_no_number(run, part, why):
    found, _ = run(part)
    assert set(found) == {"frames-per-second", "dropped-frames"}
    assert all(isinstance(r, Unmeasured) and why in r.reason for r in found.values())


def test_another_machine_is_not_even_timed(worlds, tmp_path, monkeypatch):
    asked = plant(monkeypatch, lambda _: result())
    evidence = elsewhere(world(worlds, tmp_path, target=AT_12))
    found = list(FrameRate().run(evidence))
    assert [r.name for r in found if isinstance(r, Unmeasured)] == [r.name for r in found]
    assert not asked


def test_the_rate_is_that_of_the_target_else_of_a_claim(worlds):
    claim = {"measure": "deployment/frame-rate:frames-per-second", "at_least": 15.0, "source": "x"}
    spec = worlds.spec(target={"name": "a", **AT_12}, claims=(claim,))
    assert stated_rate(spec) == 12.0
    claimed = worlds.spec(target={"name": "a"}, claims=(claim,))
    assert stated_rate(claimed) == 15.0
    without = worlds.spec(target={"name": "a"})
    assert "frames_per_second" in StatedRate().unmet(Available(without, None, {})).remedy
    assert StatedRate().unmet(Available(claimed, None, {})) is None
