"""The largest gap between groups: by brute force, and how often its bounds are wrong."""

import math
from itertools import permutations

import numpy as np
import pytest

from auditor import stats
from auditor.stats import Rate, largest_gap

Z95 = 1.959963984540054


def rates(x, n):
    return [Rate(int(k), int(m)) for k, m in zip(x, np.broadcast_to(n, len(x)), strict=True)]


def test_value_is_the_largest_difference_of_any_family():
    found = largest_gap(rates([10, 20, 15], 100), rates([50, 20], 100))
    assert found.value == pytest.approx(0.3)
    assert stats.value(found) == pytest.approx(found.value)


def test_upper_end_is_the_largest_of_newcombes_and_the_lower_one_allows_for_all_pairs():
    x, n = [3, 9, 20, 14], [40, 50, 90, 60]
    found = largest_gap(rates(x, n))
    pairs = list(permutations(range(4), 2))
    highs = [stats.newcombe(x[i], n[i], x[j], n[j]).high for i, j in pairs]
    strict = 1 - 0.05 / len(pairs)
    lows = [stats.newcombe(x[i], n[i], x[j], n[j], level=strict).low for i, j in pairs]
    ends = stats.interval(found)
    assert ends.high == pytest.approx(max(highs))
    assert ends.low == pytest.approx(max(0.0, *lows))


def test_few_units_widen_it():
    wide = largest_gap([Rate(5, 50, df=9), Rate(15, 50, df=9)])
    narrow = largest_gap([Rate(5, 50), Rate(15, 50)])
    assert stats.interval(wide).high > stats.interval(narrow).high
    assert stats.interval(wide).low < stats.interval(narrow).low


def test_quantiles_ascend():
    found = largest_gap(rates([0, 10, 3], 10), rates([0, 0], 20))
    assert list(found.quantiles) == sorted(found.quantiles)
    assert 0 <= found.quantiles[0] <= found.value <= found.quantiles[-1] <= 1


@pytest.mark.parametrize(
    "families", [(), ([Rate(1, 2)],), ([Rate(1, 2), Rate(1, 2)], [Rate(1, 2)])]
)
def test_fewer_than_two_groups_are_refused(families):
    with pytest.raises(ValueError, match="two or more"):
        largest_gap(*families)


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize("kind", ["fair", "one bad", "spread"])
def test_bounds_hold_for_ten_groups(n, kind):
    """Coverage, wrong FAILs and wrong PASSes at the truth; a bootstrap covers a fair model's 0%."""
    p = {"fair": np.full(10, 0.1), "one bad": np.r_[0.25, np.full(9, 0.1)],
         "spread": np.linspace(0.05, 0.15, 10)}[kind]  # fmt: skip
    truth, rng, repeats = float(p.max() - p.min()), np.random.default_rng(1), 200
    held = wrong_fail = wrong_pass = 0
    for _ in range(repeats):
        found = largest_gap(rates(rng.binomial(n, p), n), rates(rng.binomial(n, p), n))
        ends = stats.interval(found)
        held += ends.low <= truth <= ends.high
        wrong_fail += stats.p_value(found, limit=truth, exceeds="above") <= 0.05
        wrong_pass += stats.bound(found, side="high") < truth
    noise = 2 * math.sqrt(0.05 * 0.95 / repeats)
    assert held / repeats >= 0.95 - noise
    assert wrong_fail / repeats <= 0.05 + noise
    assert wrong_pass / repeats <= 0.05 + noise


def test_two_groups_are_not_called_apart_too_often():
    rng, repeats = np.random.default_rng(2), 1000
    wrong = sum(
        stats.bound(largest_gap(rates(rng.binomial(100, 0.2, 2), 100)), side="low") > 0
        for _ in range(repeats)
    )
    assert 0.02 <= wrong / repeats <= 0.06 + 2 * math.sqrt(0.05 * 0.95 / repeats)


def test_a_wide_gap_is_shown():
    rng = np.random.default_rng(3)
    p = np.r_[0.4, np.full(9, 0.1)]
    found = [
        stats.p_value(largest_gap(rates(rng.binomial(300, p), 300)), limit=0.05, exceeds="above")
        for _ in range(50)
    ]
    assert np.mean(np.array(found) <= 0.05) >= 0.95


def test_z_of_the_interval_is_the_two_sided_one():
    found = largest_gap([Rate(500, 1000), Rate(500, 1000)])
    assert stats.interval(found).high == pytest.approx(Z95 * math.sqrt(0.5 / 1000), rel=0.01)
