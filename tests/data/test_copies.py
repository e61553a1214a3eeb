"""The arithmetic by which copies are compared, against numpy's and scipy's own."""

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from auditor.data import copies


@pytest.mark.parametrize("side", [8, 13, 64, 128])
def test_extremes_around_pixels_are_scipys(side):
    grey = np.random.default_rng(side).normal(size=(side, side)).astype(np.float32)
    assert (copies._around(grey, np.maximum) == maximum_filter(grey, 5)).all()
    assert (copies._around(grey, np.minimum) == minimum_filter(grey, 5)).all()


@pytest.mark.parametrize("n", [1, 2, 3, 100, 4096])
def test_quantiles_are_numpys_and_leave_the_values_alone(n):
    values = np.random.default_rng(n).normal(size=n)
    before = values.copy()
    found = copies._quantiles(values, 0.5, 0.95)
    assert found == pytest.approx(np.quantile(values, [0.5, 0.95]), rel=1e-12)
    assert (values == before).all()


def test_extremes_of_colours_are_those_along_them():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert (copies._most(image) == image.max(axis=2)).all()
    assert (copies._least(image) == image.min(axis=2)).all()
