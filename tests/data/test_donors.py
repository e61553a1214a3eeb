import numpy as np
import pytest

from auditor.data.donors import donor_rows


@pytest.fixture
def rooms(worlds):
    labels = np.repeat([0, 1, 2], 40)
    units = np.arange(120) // 4
    return worlds.dataset(labels, classes=("a", "b", "c"), units=units)


@pytest.mark.parametrize("seed", range(5))
def test_donors_are_of_another_unit_and_of_the_class_asked_for(rooms, seed):
    usable = np.ones(120, dtype=bool)
    usable[5] = False
    for kind, same in (("same-class", True), ("other-class", False)):
        donors = donor_rows(rooms, kind, usable=usable, seed=seed)
        assert donors[5] == -1
        takers = np.flatnonzero(usable)
        assert (donors[takers] >= 0).all()
        assert 5 not in donors
        assert (rooms.units[donors[takers]] != rooms.units[takers]).all()
        assert ((rooms.labels[donors[takers]] == rooms.labels[takers]) == same).all()
        assert np.bincount(donors[takers]).max() <= 6


def test_a_class_in_one_unit_alone_has_no_same_class_donor(worlds):
    rooms = worlds.dataset([0, 0, 1, 1, 1, 1], units=["x", "x", "y", "y", "z", "z"])
    donors = donor_rows(rooms, "same-class", usable=np.ones(6, dtype=bool), seed=0)
    assert donors[:2].tolist() == [-1, -1]
    assert (donors[2:] >= 2).all()


def test_any_donor_needs_no_label_and_is_of_another_unit(worlds):
    images = worlds.dataset([-1] * 40, units=np.arange(40) // 4)
    donors = donor_rows(images, "any", usable=np.ones(40, dtype=bool), seed=1)
    assert (donors >= 0).all()
    assert (images.units[donors] != images.units).all()
