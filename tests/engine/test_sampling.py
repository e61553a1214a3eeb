import numpy as np
import pytest

from auditor.engine.sampling import nested_order, sample_rows


@pytest.fixture
def rooms(worlds):
    labels = np.repeat([0, 1, 2], 40)
    units = np.arange(120) // 4
    return worlds.dataset(labels, classes=("a", "b", "c"), units=units)


def test_samples_are_nested_and_in_manifest_order(rooms):
    small, large = (
        sample_rows(nested_order(rooms, seed=7), 20),
        sample_rows(nested_order(rooms, seed=7), 60),
    )
    assert set(small) < set(large)
    assert (np.diff(large) > 0).all()
    assert sample_rows(nested_order(rooms, seed=7), None).tolist() == list(range(120))


def test_a_sample_holds_whole_units(rooms):
    rows = sample_rows(nested_order(rooms, seed=3), 40)
    assert len(set(rooms.units[rows])) == 10


def test_another_seed_takes_other_units(rooms):
    assert nested_order(rooms, seed=1).tolist() != nested_order(rooms, seed=2).tolist()
    assert nested_order(rooms, seed=1).tolist() == nested_order(rooms, seed=1).tolist()


def test_a_sample_is_as_large_as_asked_for_among_the_sound(rooms):
    sound = np.arange(120) % 3 == 0
    rows = sample_rows(nested_order(rooms, seed=7), 30, sound=sound)
    assert len(rows) == 30
    assert sound[rows].all()
    assert set(rows) < set(sample_rows(nested_order(rooms, seed=7), 35, sound=sound))
    assert (
        sample_rows(nested_order(rooms, seed=7), 200, sound=sound).tolist()
        == np.flatnonzero(sound).tolist()
    )
