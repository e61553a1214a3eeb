"""Estimates: what they refuse, and that a record gives them back exactly."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import stats
from auditor.stats import GRID, Draws, Exact, Normal, PairedDifference, Rate, RateDifference
from auditor.stats import RateRatio as Ratio

quick = settings(database=None, deadline=None, derandomize=True, max_examples=60)
counts = st.floats(0.5, 1e5)
shares = st.floats(0, 1)
dfs = st.none() | st.floats(1, 500)
numbers = st.floats(-1e6, 1e6)


@st.composite
def estimates(draw):
    kind = draw(st.sampled_from([Exact, Rate, RateDifference, Ratio, PairedDifference, Normal]))
    n, n_rest, df = draw(counts), draw(counts), draw(dfs)
    if kind is Exact:
        return Exact(draw(numbers))
    if kind is Rate:
        return Rate(draw(shares) * n, n, df)
    if kind is Normal:
        return Normal(draw(numbers), draw(st.floats(0, 1e3)), df)
    if kind is PairedDifference:
        moved = draw(shares) * n
        gained = moved * draw(shares)
        return PairedDifference(gained, moved - gained, n, df)
    floor = 0.01 if kind is Ratio else 0.0
    return kind(max(floor, draw(shares)) * n, n, draw(shares) * n_rest, n_rest, df)


@quick
@given(estimates())
def test_round_trip_through_json_is_exact(estimate):
    stored = json.loads(json.dumps(stats.as_dict(estimate)))
    assert stats.from_dict(stored) == estimate


def test_draws_round_trip_and_numpy_scalars_become_plain():
    draws = Draws(np.float64(0.1), tuple(np.linspace(0, 1, len(GRID))))
    stored = stats.as_dict(draws)
    assert type(stored["value"]) is float
    assert all(type(q) is float for q in stored["quantiles"])
    assert stats.from_dict(json.loads(json.dumps(stored))) == draws
    assert json.dumps(stats.as_dict(Rate(np.int64(3), np.int64(5))))


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


@pytest.mark.parametrize(
    "stored",
    [
        {"kind": "guess", "value": 1},
        {"value": 1},
        {"kind": "exact"},
        {"kind": "exact", "value": 1, "se": 2},
    ],
)
def test_unknown_records_are_refused(stored):
    with pytest.raises(ValueError, match="found"):
        stats.from_dict(stored)
