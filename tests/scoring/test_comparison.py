import numpy as np
import pytest

from auditor.findings import Subject
from auditor.scoring.comparison import (
    count_units,
    percent,
    points,
    too_few,
    unit_codes,
    worst_first,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0"), (1, "100"), (0.127, "13"), (0.004, "0.4"), (0.0001, "0"), (0.996, "99.6"),
     (0.99, "99")],
)  # fmt: skip
def test_percent_keeps_a_decimal_only_near_the_ends(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0"), (-0.0001, "0"), (0.012, "1.2"), (-0.07, "-7"), (0.196, "20")]
)
def test_points_never_say_minus_nothing(share, text):
    assert points(share) == text


def test_units_are_counted_once():
    unit = np.array(["r1", "r1", "r2", "r3"], dtype=object)
    inside = np.array([True, True, True, False])
    assert count_units(inside, unit) == count_units(inside, unit_codes(unit)) == 2
    assert count_units(inside, None) == 3


def test_too_few_names_the_short_side_and_how_many_more():
    subject = Subject.of(building="old")
    assert too_few("accuracy", subject, sides={"old": 10, "the rest": 10}) is None
    reason = too_few("accuracy", subject, sides={"old": 7, "the rest": 90}, noun="rooms")
    assert "7 rooms of old" in reason.reason
    assert "the rest" not in reason.reason
    assert "at least 3 more rooms of old" in reason.remedy


def test_worst_first_keeps_twelve_of_those_asked_for():
    ids = np.array([f"i{k:02d}" for k in range(40)], dtype=object)
    badness = np.arange(40.0)
    among = np.arange(40) % 2 == 0
    found = worst_first(ids, badness=badness, among=among)
    assert found == tuple(f"i{k:02d}" for k in range(38, 14, -2))
    assert worst_first(ids, badness=badness, among=np.zeros(40, dtype=bool)) == ()


@pytest.mark.parametrize("of", ["many", "few values", "missing", "nearly all missing", "few"])
def test_worst_first_is_the_head_of_all_in_order(of):
    rng = np.random.default_rng(4)
    badness = rng.random(8 if of == "few" else 500)
    if of == "few values":
        badness = np.round(badness, 1)
    if of == "missing":
        badness[::3] = np.nan
    if of == "nearly all missing":
        badness[5:] = np.nan
    ids = np.array([f"i{i}" for i in range(len(badness))], dtype=object)
    expected = tuple(ids[np.argsort(-badness, kind="stable")][:12])
    assert worst_first(ids, badness=badness) == expected
    places = np.arange(0, len(badness), 2)
    told = worst_first(ids, badness=badness[places], places=places)
    assert told == worst_first(ids, badness=badness, among=np.arange(len(badness)) % 2 == 0)
