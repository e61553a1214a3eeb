import numpy as np
import pytest

from auditor.engine.sampling import nested_order, sample_rows


@pytest.fixture
def rooms(worlds):
    labels = np.repeat([0, 1, 2], 40)
    units = np.arange(120) // 4
    return worlds.dataset(labels, classes=("a", "b", "c"), units=units)


def test_samples_are_nested_and_in_manifest_order(rooms):
    small, large = sample_rows(rooms, 20, seed=7), sample_rows(rooms, 60, seed=7)
    assert set(small) < set(large)
    assert (np.diff(large) > 0).all()
    assert sample_rows(rooms, None, seed=7).tolist() == list(range(120))


def test_a_sample_holds_whole_units(rooms):
    rows = sample_rows(rooms, 40, seed=3)
    assert len(set(rooms.units[rows])) == 10


def test_another_seed_takes_other_units(rooms):
    assert nested_order(rooms, seed=1).tolist() != nested_order(rooms, seed=2).tolist()
    assert nested_order(rooms, seed=1).tolist() == nested_order(rooms, seed=1).tolist()
