import numpy as np
import pytest
from scipy.stats import ks_2samp

from auditor.stats.distribution_test import distribution_test
from auditor.stats.two_samples import TwoSamples


def singles(a, b):
    return TwoSamples.of(np.arange(a), np.arange(b))


def together(rng, units, copies, *, d=4, shift=0.0):
    """Bursts of nearly equal images, whose numbers go together."""
    base = rng.normal(size=(units, d)) + rng.normal(size=(units, 1)) + shift
    return np.repeat(base, copies, axis=0) + 0.01 * rng.normal(size=(units * copies, d))


@pytest.mark.parametrize("levels", [None, 5])
def test_distance_and_p_value_are_those_of_scipy(levels):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=90), rng.normal(0.3, 1, size=60)
    if levels:
        a, b = np.round(a * levels / 4), np.round(b * levels / 4)
    found = distribution_test(
        np.concatenate([a, b])[:, None], singles(90, 60), rng=rng, permutations=3999
    )
    expected = ks_2samp(a, b)
    assert found.distance[0] == pytest.approx(expected.statistic)
    if levels is None:
        # scipy's exact p-value supposes that there are no ties.
        assert found.p_value[0] == pytest.approx(expected.pvalue, abs=0.025)


def test_unknown_values_are_left_out():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=80), rng.normal(size=50)
    a[::3], b[::4] = np.nan, np.nan
    found = distribution_test(np.concatenate([a, b])[:, None], singles(80, 50), rng=rng)
    expected = ks_2samp(a[np.isfinite(a)], b[np.isfinite(b)]).statistic
    assert found.distance[0] == pytest.approx(expected)


def test_a_unit_weighs_the_same_however_many_images_it_has():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 1))
    units = TwoSamples.of(np.repeat(np.arange(40), [1, 5] * 20), np.arange(20))
    many = np.repeat(values, [*[1, 5] * 20, *[1] * 20], axis=0)
    few = distribution_test(values, singles(40, 20), rng=np.random.default_rng(1))
    found = distribution_test(many, units, rng=np.random.default_rng(1))
    assert found.distance == pytest.approx(few.distance)
    assert found.p_value == pytest.approx(few.p_value)


@pytest.mark.parametrize("copies", [(1, 1), (4, 4), (4, 1)])
def test_samples_of_one_source_alarm_in_five_of_a_hundred(copies):
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(300):
        values = np.concatenate([together(rng, 40, copies[0]), together(rng, 30, copies[1])])
        units = (np.repeat(np.arange(n), c) for n, c in zip((40, 30), copies, strict=True))
        samples = TwoSamples.of(*units)
        found = distribution_test(values, samples, rng=rng, permutations=99)
        alarms += found.adjusted.min() <= 0.05
    # 95% of such counts lie within 0.05 +- 0.025.
    assert 0.02 * 300 <= alarms <= 0.085 * 300


def test_what_moved_does_not_make_the_others_alarm():
    rng = np.random.default_rng(0)
    wrong = found_moved = 0
    for _ in range(200):
        values = np.concatenate([together(rng, 40, 1), together(rng, 30, 1)])
        values[40:, 0] += 3.0
        found = distribution_test(values, singles(40, 30), rng=rng, permutations=99)
        found_moved += found.adjusted[0] <= 0.05
        wrong += found.adjusted[1:].min() <= 0.05
    assert found_moved == 200
    assert wrong <= 0.085 * 200


def test_adjusted_values_are_no_smaller_and_at_most_holms():
    rng = np.random.default_rng(0)
    values = np.concatenate([together(rng, 40, 1, d=8), together(rng, 30, 1, d=8, shift=0.6)])
    found = distribution_test(values, singles(40, 30), rng=rng)
    assert (found.adjusted >= found.p_value - 1e-9).all()
    assert found.adjusted.min() < 8 * found.p_value.min()
    assert found.p_value.min() >= 1 / 1000


def test_many_values_are_compared_at_places_that_do_not_depend_on_the_side():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=2000), rng.normal(0.1, 1, size=1500)
    found = distribution_test(
        np.concatenate([a, b])[:, None], singles(2000, 1500), rng=rng, permutations=499
    )
    exact = ks_2samp(a, b).statistic
    assert exact - 2 / 128 < found.distance[0] <= exact + 1e-6
