"""Rates of every group against the rest, counted once: as one comparison at a time gives them."""

import numpy as np
import pytest

from auditor import stats
from auditor.stats.group_rates import GroupRates


@pytest.mark.parametrize("units", [30, None])
@pytest.mark.parametrize("seed", range(3))
def test_each_group_is_as_compared_alone(seed, units):
    rng = np.random.default_rng(seed)
    group, success = rng.integers(0, 4, 300), rng.random(300) < 0.8
    group[group == 2] = 3
    unit = None if units is None else rng.integers(0, units, 300)
    found = GroupRates.of(success, group=group, groups=4, unit=unit)
    for one in (0, 1, 3):
        alone = stats.rate_difference(success, member=group == one, unit=unit)
        near = found.difference(one)
        for name in ("x", "n", "x_rest", "n_rest"):
            assert getattr(near, name) == pytest.approx(getattr(alone, name))
        assert near.df == (None if units is None else pytest.approx(alone.df))


def test_a_group_without_images_is_no_comparison():
    found = GroupRates.of(np.ones(4, dtype=bool), group=np.array([0, 0, 2, 2]), groups=3, unit=None)
    with pytest.raises(ValueError, match="found 0 in the group and 4 in the rest"):
        found.difference(1)
