"""What a sample could have shown: against references, and against simulated verdicts."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from auditor import stats
from auditor.stats import Draws, Exact, Normal, PairedDifference, Rate, RateDifference
from auditor.stats import RateRatio as Ratio


def _power(estimates, limit, exceeds):
    p = [stats.p_value(e, limit=limit, exceeds=exceeds) for e in estimates]
    return np.mean(np.array(p) <= 0.05)


@pytest.mark.parametrize(("n", "limit", "exceeds"), [(100, 0.85, "below"), (60, 0.05, "above")])
def test_smallest_excess_of_a_rate_is_found_with_its_power(n, limit, exceeds):
    excess = stats.smallest_excess(Rate(n // 2, n), limit=limit, exceeds=exceeds)
    truth = limit - excess if exceeds == "below" else limit + excess
    mass = binom.pmf(np.arange(n + 1), n, truth)
    p = [stats.p_value(Rate(x, n), limit=limit, exceeds=exceeds) for x in range(n + 1)]
    assert mass[np.array(p) <= 0.05].sum() == pytest.approx(0.8, abs=1e-6)


def test_smallest_excess_of_comparisons_is_found_with_about_its_power():
    rng = np.random.default_rng(5)
    excess = stats.smallest_excess(RateDifference(85, 100, 810, 900), limit=-0.05, exceeds="below")
    groups = rng.binomial(100, 0.9 - 0.05 - excess, 1500)
    rests = rng.binomial(900, 0.9, 1500)
    found = [RateDifference(int(x), 100, int(y), 900) for x, y in zip(groups, rests, strict=True)]
    assert _power(found, -0.05, "below") == pytest.approx(0.8, abs=0.06)

    excess = stats.smallest_excess(Ratio(30, 200, 80, 800), limit=1.25, exceeds="above")
    groups = rng.binomial(200, 0.1 * (1.25 + excess), 1500)
    rests = rng.binomial(800, 0.1, 1500)
    found = [Ratio(int(x), 200, int(y), 800) for x, y in zip(groups, rests, strict=True)]
    assert _power(found, 1.25, "above") == pytest.approx(0.8, abs=0.06)

    excess = stats.smallest_excess(PairedDifference(20, 25, 1000), limit=-0.01, exceeds="below")
    loss = (0.045 + 0.01 + excess) / 2
    tables = rng.multinomial(1000, [0.045 - loss, loss, 0.955], 1500)
    found = [PairedDifference(int(g), int(lost), 1000) for g, lost, _ in tables]
    assert _power(found, -0.01, "below") == pytest.approx(0.8, abs=0.06)


def test_smallest_excess_of_other_kinds():
    assert stats.smallest_excess(Exact(1.0), limit=2, exceeds="above") == 0
    assert stats.smallest_excess(Normal(0, 0.1), limit=2, exceeds="above") == pytest.approx(
        0.248648, abs=1e-6
    )
    wider = stats.smallest_excess(Normal(0, 0.1, df=5), limit=2, exceeds="above")
    assert wider > 0.25
    draws = stats.draws_of(0.0, samples=np.random.default_rng(0).normal(0, 0.1, 20000))
    assert stats.smallest_excess(draws, limit=2, exceeds="above") == pytest.approx(0.249, rel=0.05)


def test_smallest_excess_is_infinite_where_nothing_could_be_shown():
    # Three of three wrong is still plausible at an accuracy of 0.4.
    assert stats.smallest_excess(Rate(0, 3), limit=0.3, exceeds="below") == math.inf
    few = RateDifference(2, 2, 90, 100)
    assert stats.smallest_excess(few, limit=-0.5, exceeds="below") == math.inf
    assert stats.smallest_excess(Rate(5, 5), limit=1.0, exceeds="above") == math.inf


def test_times_needed_decide_it_with_their_power():
    rng = np.random.default_rng(6)
    seen = RateDifference(78, 100, 810, 900)
    times = stats.times_needed(seen, limit=-0.05, exceeds="below")
    n, n_rest = math.ceil(100 * times), math.ceil(900 * times)
    found = [
        RateDifference(int(x), n, int(y), n_rest)
        for x, y in zip(rng.binomial(n, 0.78, 600), rng.binomial(n_rest, 0.9, 600), strict=True)
    ]
    assert _power(found, -0.05, "below") == pytest.approx(0.8, abs=0.07)


def test_times_needed_to_pass():
    seen = Rate(92, 100)
    times = stats.times_needed(seen, limit=0.9, exceeds="below")
    n = math.ceil(100 * times)
    x = np.random.default_rng(7).binomial(n, 0.92, 500)
    passed = [stats.bound(Rate(int(k), n), side="low") >= 0.9 for k in x]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.08)
    # Comparisons make a FAIL dearer, and leave a PASS as it was.
    assert stats.times_needed(seen, limit=0.9, exceeds="below", comparisons=9) == times
    failing = stats.times_needed(seen, limit=0.95, exceeds="below")
    assert stats.times_needed(seen, limit=0.95, exceeds="below", comparisons=9) > failing


def test_times_needed_at_the_ends():
    for at_limit in (Rate(9, 10), Draws(0.9, (0.9,) * 49), Normal(0.9 + 1e-16, 1.0)):
        assert stats.times_needed(at_limit, limit=0.9, exceeds="below") > 1e20
    assert stats.times_needed(Exact(1.0), limit=0.9, exceeds="above") == 0
    assert stats.times_needed(Rate(10, 1000), limit=0.9, exceeds="below") < 1
    assert stats.times_needed(Normal(0.2, 0.1), limit=0, exceeds="above") == pytest.approx(
        ((1.644854 + 0.841621) / 2) ** 2
    )
