import numpy as np
import pytest

from auditor.bias.split_half import first_half
from auditor.stats.resampling import whole_units


def test_halves_are_of_units_and_even_in_every_stratum():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(60), 4)
    stratum = np.repeat(["few"] * 7 + ["many"] * 53, 4)
    first = first_half(240, unit=unit, stratum=stratum, rng=rng)
    assert all(len(set(first[unit == u])) == 1 for u in range(60))
    assert first[stratum == "few"].sum() in (3 * 4, 4 * 4)
    assert first.sum() == 120
    again = first_half(240, unit=unit, stratum=stratum, rng=np.random.default_rng(1))
    assert (first != again).any()


@pytest.mark.parametrize("of", [None, np.repeat(np.arange(300), 3)])
def test_of_many_images_whole_units_are_drawn(of):
    rows = np.arange(0, 900, 2)
    taken = whole_units(rows, unit=of, most=100, rng=np.random.default_rng(0))
    assert 98 <= len(taken) <= 100
    assert (np.diff(taken) > 0).all()
    assert np.isin(taken, rows).all()
    if of is not None:
        assert not np.isin(of[np.setdiff1d(rows, taken)], of[taken]).any()
    other = whole_units(rows, unit=of, most=100, rng=np.random.default_rng(1))
    assert not np.array_equal(taken, other)


def test_of_few_images_all_are_taken():
    rows = np.array([1, 4, 6])
    taken = whole_units(rows, unit=None, most=3, rng=np.random.default_rng(0))
    assert taken.tolist() == [1, 4, 6]
