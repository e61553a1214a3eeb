"""Blocks of neighbours: false alarms where what follows is alike, and power where it changes."""

import numpy as np
import pytest

from auditor.stats import drift_p


def series(rng, *, n, k=4, kept=0.0):
    """Numbers that keep a share of the one before."""
    noise = rng.normal(size=(n, k))
    for at in range(1, n):
        noise[at] += kept * noise[at - 1]
    return noise


def alarms(*, n, kept, change=0.0, worlds=60):
    rng = np.random.default_rng(3)
    found = []
    for _ in range(worlds):
        values = series(rng, n=n, kept=kept)
        values += change * values.std() * np.linspace(0, 1, n)[:, None]
        found += list(drift_p(values, windows=6, rng=rng, draws=99))
    # What is not tested is no alarm.
    return np.array(found) <= 0.05


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.5])
def test_alike_neighbours_are_no_change(kept):
    # Of 240 series 5% are 12; 22 have probability 0.3%.
    found = alarms(n=600, kept=kept)
    assert found.mean() <= 22 / 240


def test_single_values_in_blocks_of_one_would_alarm():
    """What the blocks are for: the same series, cut into single values, change in most worlds."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(40):
        values = series(rng, n=600, k=1, kept=0.8)[:, 0]
        means = lambda v: v.reshape(6, 100).mean(axis=1).var()  # noqa: E731
        null = [means(rng.permutation(values)) for _ in range(99)]
        hits += np.mean(null >= means(values)) <= 0.05
    assert hits >= 20


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_trend_of_one_standard_deviation_is_found(kept):
    assert alarms(n=600, kept=kept, change=1.0, worlds=20).mean() >= 0.8


def test_a_change_that_comes_and_goes_is_found():
    rng = np.random.default_rng(0)
    values = series(rng, n=600, k=1)
    values[200:400] += 1
    assert drift_p(values, windows=6, rng=rng)[0] == pytest.approx(0.001)


def test_too_few_independent_stretches_are_not_tested():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(300, 1)), axis=0)
    assert np.isnan(drift_p(walk, windows=6, rng=rng)[0])


def test_missing_values_and_constant_columns_change_nothing():
    rng = np.random.default_rng(0)
    values = series(rng, n=300, k=3)
    values[::7, 0] = np.nan
    values[:, 2] = 5.0
    tested = drift_p(values, windows=6, rng=rng)
    assert np.isfinite(tested).all()
    assert tested[2] == pytest.approx(1.0)
