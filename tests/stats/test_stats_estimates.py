"""Estimates: what they refuse."""

import math

import numpy as np
import pytest

from auditor.stats import GRID, Draws, Exact, Normal, PairedDifference, Rate, RateDifference
from auditor.stats import RateRatio as Ratio


def test_grid_is_symmetric_ascending_and_frozen():
    assert list(GRID) == sorted(set(GRID))
    assert np.allclose(np.array(GRID) + np.array(GRID)[::-1], 1)
    # Records keep quantiles at these probabilities: changing them would misread old audits.
    assert (len(GRID), GRID[0], GRID[9], GRID[24], GRID[-1]) == (49, 0.0005, 0.025, 0.5, 0.9995)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Rate(0, 0), "n=0"),
        (lambda: Rate(5, 4), "x=5 of n=4"),
        (lambda: Rate(-1, 4), "x=-1"),
        (lambda: Rate(math.nan, 4), "x=nan"),
        (lambda: Rate(1, 4, df=0), "df=0"),
        (lambda: RateDifference(1, 2, 3, 0), "n_rest=0"),
        (lambda: RateDifference(1, 2, 4, 3), "x_rest=4"),
        (lambda: Ratio(0, 10, 0, 20), "no event"),
        (lambda: PairedDifference(3, 3, 5), "gained=3, lost=3"),
        (lambda: Normal(0, -1), "se=-1"),
        (lambda: Normal(math.inf, 1), "value=inf"),
        (lambda: Exact(math.nan), "value=nan"),
        (lambda: Draws(0, (1.0, 2.0)), "2 quantiles"),
        (lambda: Draws(0, tuple(range(len(GRID), 0, -1))), "out of order"),
        (lambda: Draws(0, (math.nan,) * len(GRID)), "not finite"),
    ],
)
def test_impossible_values_are_refused_and_named(make, named):
    with pytest.raises(ValueError, match="found") as caught:
        make()
    assert named in str(caught.value)
