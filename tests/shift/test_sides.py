"""Images of one unit or one photograph are of one unit, also by way of others."""

import numpy as np
import pytest

from auditor.shift.sides import linked


def components(unit, photograph):
    """The least unit that each image is linked to, one step after the other."""
    least = unit.copy()
    while True:
        before = least.copy()
        for shared in (unit, photograph):
            for value in set(shared.tolist()):
                least[shared == value] = least[shared == value].min()
        if (least == before).all():
            return np.unique(least, return_inverse=True)[1]


@pytest.mark.parametrize("seed", range(20))
def test_units_that_share_photographs_are_one_also_by_way_of_others(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    unit, photograph = rng.integers(0, 40, n), rng.permutation(50)[:n].astype(np.int32)
    for _ in range(int(rng.integers(0, n))):
        one, other = rng.integers(0, n, 2)
        photograph[one] = photograph[other]
    np.testing.assert_array_equal(linked(unit, photograph), components(unit, photograph))


def test_of_no_images_there_are_no_units():
    none = np.array([], dtype=np.int64)
    assert linked(none, none).tolist() == []
