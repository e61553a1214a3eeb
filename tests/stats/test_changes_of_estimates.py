"""Sign flips of paired parts, and the difference of two independent estimates."""

import itertools

import numpy as np
import pytest
from scipy import stats as reference

from auditor.stats import (
    Draws,
    Exact,
    Normal,
    Rate,
    RateDifference,
    RateRatio,
    difference_p,
    draws_of,
    mcnemar_exact,
    sign_flips,
)


@pytest.mark.parametrize("seed", range(5))
def test_few_parts_are_enumerated(seed):
    parts = np.random.default_rng(seed).normal(0.4, 1, 8)
    sums = [abs(np.dot(signs, parts)) for signs in itertools.product((1, -1), repeat=8)]
    expected = np.mean(np.array(sums) >= abs(parts.sum()) - 1e-12)
    assert sign_flips(parts) == pytest.approx(expected)


def test_single_answers_are_mcnemars_test():
    parts = np.array([1.0] * 30 + [-1.0] * 12 + [0.0] * 100) / 142
    assert sign_flips(parts) == pytest.approx(mcnemar_exact(30, 12))
    assert sign_flips(parts) == pytest.approx(reference.binomtest(30, 42).pvalue)


def test_nothing_turned_shows_nothing():
    assert sign_flips(np.zeros(50)) == 1.0
    assert sign_flips([]) == 1.0
    assert sign_flips([1.0, 1.0]) == 0.5


def test_images_of_one_unit_turn_together():
    parts, unit = np.ones(40), np.repeat(np.arange(4), 10)
    assert sign_flips(parts) < 1e-10
    assert sign_flips(parts, unit=unit) == pytest.approx(0.125)


def test_not_finite_parts_are_refused():
    with pytest.raises(ValueError, match="expected \\(n,\\) finite"):
        sign_flips([1.0, np.nan])


def test_sign_flips_hold_their_level_with_units():
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(1500):
        unit = np.repeat(np.arange(40), 5)
        parts = np.repeat(rng.normal(0, 1, 40), 5) + rng.normal(0, 1, 200)
        wrong += sign_flips(parts, unit=unit) <= 0.05
    assert 0.03 < wrong / 1500 < 0.065


def test_two_shares_are_compared_by_their_difference():
    found = difference_p(Rate(40, 100), Rate(60, 100))
    assert found == pytest.approx(reference.fisher_exact([[40, 60], [60, 40]])[1], rel=0.5)
    assert difference_p(Rate(40, 100), Rate(40, 100)) == 1.0
    assert difference_p(Rate(60, 100), Rate(40, 100)) == pytest.approx(found)


@pytest.mark.parametrize("gap", [2.5, 3.5, 5.0])
def test_two_means_agree_with_the_normal_test(gap):
    z = gap / np.hypot(1, 0.5)
    expected = 2 * reference.norm.sf(z)
    assert difference_p(Normal(0, 1), Normal(gap, 0.5)) == pytest.approx(expected, rel=1e-3)


def test_draws_reach_beyond_what_their_quantiles_resolve():
    rng = np.random.default_rng(0)
    a, b = (draws_of(m, samples=rng.normal(m, 1, 20_000)) for m in (0, 6))
    assert isinstance(a, Draws)
    expected = 2 * reference.norm.sf(6 / np.sqrt(2))
    assert difference_p(a, b) == pytest.approx(expected, rel=0.5)


def test_what_has_no_width_or_no_end_is_never_shown():
    assert difference_p(Exact(1), Normal(9, 1)) == 1.0
    assert difference_p(Normal(1, 0), Normal(2, 0)) == 1.0
    assert difference_p(RateRatio(5, 50, 0, 50), RateRatio(5, 50, 9, 50), ratio=True) == 1.0
    assert difference_p(Rate(0, 20), Rate(0, 20)) == 1.0


def drawn(kind, rng):
    group, rest = rng.binomial(60, 0.3), max(rng.binomial(140, 0.3), 1)
    if kind == "share":
        return Rate(group, 60)
    if kind == "gap":
        return RateDifference(group, 60, rest, 140)
    return RateRatio(group, 60, rest, 140)


@pytest.mark.parametrize("kind", ["share", "gap", "ratio"])
def test_two_samples_of_one_truth_seldom_differ(kind):
    rng = np.random.default_rng(5)
    pairs = [(drawn(kind, rng), drawn(kind, rng)) for _ in range(600)]
    wrong = sum(difference_p(a, b, ratio=kind == "ratio") <= 0.05 for a, b in pairs)
    assert wrong / 600 < 0.07


@pytest.mark.parametrize("kind", ["share", "gap", "ratio"])
def test_a_planted_change_is_found(kind):
    rng = np.random.default_rng(6)
    found = 0
    for _ in range(100):
        after = {"share": Rate(45, 60), "gap": RateDifference(45, 60, 42, 140),
                 "ratio": RateRatio(45, 60, 42, 140)}[kind]  # fmt: skip
        found += difference_p(drawn(kind, rng), after, ratio=kind == "ratio") <= 0.05
    assert found > 80
