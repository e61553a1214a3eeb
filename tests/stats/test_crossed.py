import numpy as np
import pytest

from auditor.stats import bound, crossed_paired_difference, paired_difference


def test_without_clusters_it_is_the_plain_difference():
    rng = np.random.default_rng(1)
    before, after = rng.random((2, 200)) < 0.6
    plain = paired_difference(before, after)
    assert crossed_paired_difference(before, after, by=(None, None)) == plain
    units = np.arange(200) // 4
    one = paired_difference(before, after, unit=units)
    crossed = crossed_paired_difference(before, after, by=(units, None))
    assert (crossed.n, crossed.df) == pytest.approx((one.n, one.df))


def misses(by, *, seed, reps=400):
    """Share of one-sided 95% bounds above a true difference of 0; donors and units both matter."""
    rng = np.random.default_rng(seed)
    missed = []
    for _ in range(reps):
        units, donors = rng.integers(0, 60, 240), rng.integers(0, 30, 240)
        luck = rng.normal(0, 0.6, 60)[units] + rng.normal(0, 0.6, 30)[donors]
        change = luck + rng.normal(0, 0.6, 240)
        before, after = change < -0.8, change > 0.8
        found = crossed_paired_difference(before, after, by=by(units, donors))
        missed.append(bound(found, side="low") > 0)
    return np.mean(missed)


def test_images_of_shared_units_and_donors_are_not_independent():
    assert misses(lambda u, d: (u, d), seed=2) <= 0.07
    assert misses(lambda u, d: (u, None), seed=2) > 0.09
