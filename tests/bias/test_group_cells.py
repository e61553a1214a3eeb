import math

import numpy as np
import pytest

from auditor.bias.group_cells import Coded, Wanted, cells, decidable
from auditor.stats import RateDifference, smallest_excess

LIMIT, GAP = 0.05, 0.20


@pytest.mark.parametrize("df_each", [None, 0.5])
@pytest.mark.parametrize("rate", [0.55, 0.8, 0.95])
def test_cells_are_judged_as_smallest_excess_judges(rate, df_each):
    wanted = Wanted(LIMIT, GAP, rate, comparisons=12)
    n, n_rest = np.meshgrid(np.arange(12.0, 300, 7), [40.0, 100.0, 1000.0])
    each = None if df_each is None else np.full(n.shape, df_each)
    shown = wanted.shown_by(n, n_rest, df_each=each)
    assert shown.any()
    assert not shown.all()
    for size, rest, there in zip(n.flat, n_rest.flat, shown.flat, strict=True):
        # `smallest_excess` smooths the rest's rate; this undoes it.
        x_rest = rate * (rest + 1) - 0.5
        df = None if df_each is None else max(df_each * size, 1.0)
        gap = RateDifference(rate * size, size, x_rest, rest, df)
        excess = smallest_excess(gap, limit=-LIMIT, exceeds="below", alpha=0.05 / 12)
        assert there == (LIMIT + excess <= GAP)


def test_the_least_is_the_first_that_shows():
    wanted = Wanted(LIMIT, GAP, 0.9, comparisons=4)
    rest = np.array([30.0, 100.0, 1e5])
    least = wanted.least(rest)
    assert math.isinf(least[0])
    assert wanted.shown_by(least[1:] * 1.0001, rest[1:]).all()
    assert not wanted.shown_by(least[1:] * 0.9999, rest[1:]).any()


def test_cells_are_counted_as_by_hand():
    rng = np.random.default_rng(4)
    a, b = rng.choice(["x", "y", ""], 500), rng.choice(["p", "q", "r"], 500)
    unit = rng.integers(0, 60, 500)
    counted = cells(
        Coded("a", ("x", "y", "z"), np.array(["xyz".find(v) if v else -1 for v in a])),
        Coded("b", ("p", "q", "r"), np.array(["pqr".find(v) for v in b])),
        unit=unit,
    )
    for i, group in enumerate("xyz"):
        for j, other in enumerate("pqr"):
            inside = (a == group) & (b == other)
            assert counted.images[i, j] == inside.sum()
            assert counted.units[i, j] == len(set(unit[inside]))


def test_a_cell_is_worth_its_units_at_least():
    rows = Coded("a", ("x", "y"), np.repeat([0, 1], 3000))
    everyone = Coded("all", ("all",), np.zeros(6000, dtype=np.int64))
    wanted = Wanted(LIMIT, GAP, 0.9)
    few = cells(rows, everyone, unit=np.repeat(np.arange(12), 500))
    assert not decidable(few, rest_over=0, wanted=wanted, deff=500).enough.any()
    many = cells(rows, everyone, unit=np.repeat(np.arange(3000), 2))
    assert decidable(many, rest_over=0, wanted=wanted, deff=500).enough.all()


@pytest.mark.parametrize(
    ("n", "n_rest", "enough"), [(10, 10, True), (9, 99, False), (99, 9, False)]
)
def test_fewer_than_ten_units_are_never_enough(n, n_rest, enough):
    codes = np.repeat([0, 1], [n, n_rest])
    counted = cells(
        Coded("a", ("x", "y"), codes), Coded("b", ("all",), np.zeros_like(codes)), unit=None
    )
    easy = Wanted(0.0, 0.95, 0.97)
    found = decidable(counted, rest_over=0, wanted=easy, deff=1.0)
    assert easy.shown_by(np.array([9.0]), np.array([99.0])).all()
    assert bool(found.enough[0, 0]) == enough


def test_images_of_a_unit_count_as_many_as_they_are_worth():
    """Eight alike photos a room are worth one; eight independent ones are worth eight."""
    codes, unit = np.repeat([0, 1], 20 * 8), np.repeat(np.arange(40), 8)
    everyone = Coded("b", ("all",), np.zeros_like(codes))
    counted = cells(Coded("a", ("x", "y"), codes), everyone, unit=unit)
    wanted = Wanted(LIMIT, GAP, 0.9)
    assert not decidable(counted, rest_over=0, wanted=wanted, deff=8.0).enough.any()
    assert decidable(counted, rest_over=0, wanted=wanted, deff=1.0).enough.all()


def test_the_rest_of_a_label_are_the_other_groups_with_it():
    """Thousands with another label are no comparison for the few with this one."""
    rows = np.repeat([0, 1, 1], [400, 12, 4000])
    labels = np.repeat([0, 0, 1], [400, 12, 4000])
    counted = cells(Coded("a", ("x", "y"), rows), Coded("l", ("p", "q"), labels), unit=None)
    wanted = Wanted(LIMIT, GAP, 0.9)
    assert not decidable(counted, rest_over=0, wanted=wanted, deff=1.0).enough[0, 0]
    assert decidable(counted, rest_over=None, wanted=wanted, deff=1.0).enough[0, 0]


def test_more_units_are_units_not_images():
    codes = np.repeat([0, 1], [12 * 4, 400 * 4])
    unit = np.repeat(np.arange(412), 4)
    everyone = Coded("b", ("all",), np.zeros_like(codes))
    counted = cells(Coded("a", ("x", "y"), codes), everyone, unit=unit)
    wanted = Wanted(LIMIT, GAP, 0.85, comparisons=50)
    more = decidable(counted, rest_over=0, wanted=wanted, deff=1.0).more[0, 0]
    needed = wanted.least(np.array([1600.0]), df_each=np.array([0.25]))[0]
    assert more == math.ceil(needed / 4) - 12 > 0


def test_more_units_would_be_enough():
    """What a cell is said to lack is what it lacks, the rest staying as it is."""
    for n in (0, 4, 12, 20):
        codes = np.repeat([0, 1], [n, 400])
        counted = cells(
            Coded("a", ("x", "y"), codes), Coded("b", ("all",), np.zeros_like(codes)), unit=None
        )
        wanted = Wanted(LIMIT, GAP, 0.85, comparisons=3)
        more = decidable(counted, rest_over=0, wanted=wanted, deff=1.0).more[0, 0]
        assert more > 0
        grown = np.repeat([0, 1], [n + int(more), 400])
        after = cells(
            Coded("a", ("x", "y"), grown), Coded("b", ("all",), np.zeros_like(grown)), unit=None
        )
        assert decidable(after, rest_over=0, wanted=wanted, deff=1.0).enough[0, 0]
