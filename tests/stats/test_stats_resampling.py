"""Bootstraps against formulas, and what they refuse."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from auditor import stats
from auditor.stats import GRID


def _first_share(cells):
    return cells[:, 0] / cells.sum(axis=1)


def test_multinomial_bootstrap_of_a_share_is_binomial():
    found = stats.multinomial_bootstrap(
        [300, 500, 200], statistic=_first_share, rng=np.random.default_rng(0), draws=20000
    )
    assert found.value == 0.3
    sd = math.sqrt(0.3 * 0.7 / 1000)
    expected = 0.3 + sd * norm.ppf(GRID[5:-5])
    # 20,000 draws: the 0.75% quantile has a standard error of about 0.06 sd.
    assert np.array(found.quantiles[5:-5]) == pytest.approx(expected, abs=0.2 * sd)


def test_same_seed_same_draws_whatever_the_blocks():
    def run(seed):
        return stats.multinomial_bootstrap(
            [5, 9, 2], statistic=_first_share, rng=np.random.default_rng(seed), draws=1000
        )

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_blocks_do_not_change_the_draws(monkeypatch):
    from auditor.stats import resampling

    def run():
        return stats.multinomial_bootstrap(
            [5, 9, 2], statistic=_first_share, rng=np.random.default_rng(3), draws=1000
        )

    whole = run()
    monkeypatch.setattr(resampling, "_BLOCK", 300)
    assert run() == whole


def test_draws_leave_out_a_few_undefined_and_refuse_many():
    samples = np.random.default_rng(2).normal(size=1000)
    samples[:5] = math.nan
    found = stats.draws_of(0.0, samples=samples)
    assert found.quantiles[24] == pytest.approx(np.nanmedian(samples))
    samples[:50] = math.nan
    with pytest.raises(ValueError, match="50 of 1000"):
        stats.draws_of(0.0, samples=samples)
    with pytest.raises(ValueError, match="value nan"):
        stats.draws_of(math.nan, samples=np.zeros(1000))


@pytest.mark.parametrize("counts", [[], [0, 0], [-1, 3], [0.5, 2], [[1, 2]]])
def test_multinomial_bootstrap_refuses_what_are_not_counts(counts):
    with pytest.raises(ValueError, match="bootstrap"):
        stats.multinomial_bootstrap(counts, statistic=_first_share, rng=np.random.default_rng(0))


def test_few_draws_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="1000 or more"):
        stats.multinomial_bootstrap([3, 4], statistic=_first_share, rng=rng, draws=200)
