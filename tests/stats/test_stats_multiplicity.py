"""Holm's procedure among tests of which many are far inside their limit."""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr

from auditor import stats

ALPHA = 0.05


def test_tests_that_could_not_fail_are_not_paid_for():
    inside = [0.999] * 9
    assert stats.holm([0.006, *inside])[0] == pytest.approx(0.06)
    assert stats.conditional_holm([0.006, *inside])[0] == pytest.approx(0.006 / 0.75)
    assert stats.conditional_holm([0.006, *inside])[1:] == [1.0] * 9


def test_each_test_within_reach_is_paid_for():
    within = np.linspace(0.01, 0.74, 10)
    expected = stats.holm(within / 0.75)
    assert stats.conditional_holm(within) == pytest.approx(expected)
    shuffled = np.random.default_rng(1).permutation(10)
    again = stats.conditional_holm([*within[shuffled], 0.76])
    assert again == pytest.approx([*np.array(expected)[shuffled], 1.0])


@pytest.mark.parametrize("p", [[], [0.03], [0.01] + [0.9] * 8, [0.9] * 12])
def test_few_tests_and_none_within_reach_are_holms(p):
    assert stats.conditional_holm(p) == stats.holm(p)


@pytest.mark.parametrize("bad", [[float("nan")] * 10, [0.9] * 9 + [1.1], [float("nan")]])
def test_no_p_value_is_refused(bad):
    with pytest.raises(ValueError, match="holm"):
        stats.conditional_holm(bad)


def _wrong_fails(groups, *, at_limit, inside, adjust, repeats=6000):
    """How often any of ``groups`` compared with their rest fails; normal, equal sizes.

    `at_limit` of them lie on the limit, the others `inside` standard errors better.
    """
    rng = np.random.default_rng(12)
    means = rng.normal(size=(repeats, groups))
    rest = (means.sum(axis=1, keepdims=True) - means) / (groups - 1)
    z = (means - rest) / np.sqrt(1 + 1 / (groups - 1))
    z[:, at_limit:] -= inside
    return np.mean([min(adjust(row)) <= ALPHA for row in ndtr(-z)])


@pytest.mark.parametrize("groups", [10, 12, 24])
@pytest.mark.parametrize("inside", [0.5, 20])
def test_groups_at_the_limit_hold_the_family_wise_error(groups, inside):
    """Also where groups are correlated because each is part of the others' rest."""
    noise = 2 * np.sqrt(ALPHA * 0.95 / 6000)
    for at_limit in (1, groups // 2, groups):
        error = _wrong_fails(
            groups, at_limit=at_limit, inside=inside, adjust=stats.conditional_holm
        )
        assert error <= 0.06 + noise
    assert _wrong_fails(groups, at_limit=groups, inside=0, adjust=lambda p: p) > 0.2


def test_weighted_holm_is_the_closed_test_of_weighted_bonferroni():
    """Independent reference: every intersection of the hypotheses, tested by itself."""
    rng = np.random.default_rng(4)
    for tests in (1, 2, 4, 5):
        p, weight = rng.random(tests) ** 3, rng.uniform(0.2, 3, tests)
        adjusted = np.zeros(tests)
        for size in range(1, tests + 1):
            for among in map(list, itertools.combinations(range(tests), size)):
                of_all = min((p[among] * weight[among].sum() / weight[among]).min(), 1)
                adjusted[among] = np.maximum(adjusted[among], of_all)
        assert stats.holm(p, weights=weight) == pytest.approx(adjusted)
        assert stats.holm(p, weights=np.full(tests, 7.0)) == pytest.approx(stats.holm(p))
