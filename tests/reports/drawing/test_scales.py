"""Axes: round values that do not touch, places in proportion."""

from itertools import pairwise

import pytest

from auditor.reports.drawing.scales import Scale, spread, ticks


def narrow(text):
    return 5.0 * len(text)


def written(low, high, **options):
    return [tick.text for tick in ticks(Scale(low, high, 0, 400, **options), narrow)]


def test_places_are_in_proportion():
    scale = Scale(2, 6, 100, 300)
    assert [scale.at(v) for v in (2, 3, 6)] == pytest.approx([100, 150, 300])
    log = Scale(0.1, 10, 0, 100, log=True)
    assert [log.at(v) for v in (0.1, 1, 10)] == pytest.approx([0, 50, 100])


@pytest.mark.parametrize(
    ("low", "high", "first", "second"),
    [
        (0, 100, "0", "20"),
        (-0.13, 0.02, "−0.12", "−0.10"),
        (0.81, 0.9, "0.81", "0.82"),
        (0, 120_000, "0", "20,000"),
        (82, 101, "82.5", "85.0"),
    ],
)
def test_marked_values_are_round_and_written_alike(low, high, first, second):
    assert written(low, high)[:2] == [first, second]


def test_whole_values_have_nothing_marked_between_them():
    assert written(-0.1, 2.1, whole=True) == ["0", "1", "2"]
    assert written(-1, 21, whole=True)[:2] == ["0", "5"]
    assert "0.50" in written(-0.1, 2.1)


def test_zero_has_no_sign():
    assert "0" in written(-3, 3)
    assert not [text for text in written(-0.3, 0.3) if text in ("−0", "−0.0")]


@pytest.mark.parametrize("span", [1e-9, 1e-3, 0.7, 3, 1e4, 1e12])
@pytest.mark.parametrize("low", [-1e3, 0, 0.05, 99])
def test_marked_values_never_touch(low, span):
    scale = Scale(low, low + span, 0, 120)
    found = ticks(scale, narrow)
    assert found
    for a, b in pairwise(found):
        room = scale.at(b.value) - scale.at(a.value)
        assert room >= (narrow(a.text) + narrow(b.text)) / 2


def test_a_logarithmic_axis_marks_one_first():
    assert "1" in written(0.3, 4, log=True)
    crowded = [tick.text for tick in ticks(Scale(0.05, 50, 0, 60, log=True), narrow)]
    assert crowded == ["0.1", "1", "10"]


def test_ends_have_room_also_of_one_value_and_of_none():
    assert spread([2.0, 4.0], room=0.5) == (1.0, 5.0)
    low, high = spread([3.0])
    assert low < 3 < high
    assert spread([0.0])[0] < 0
    assert spread([]) == (0.0, 1.0)
