"""Groupings are made once for all checks, and give each what it counts by as if it had its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from auditor.bias.ratings import observed
from auditor.comparing.against_rest import AgainstRest, against_rest
from auditor.comparing.groups import errors_by_group, groupings, let_go_of
from auditor.data.dataset import MISSING_GROUP
from auditor.scoring.presence import OneHot
from auditor.scoring.quantities import recall
from auditor.scoring.rows import Rows
from auditor.stats.codes import compact

N = 400


@pytest.fixture
def rows(worlds) -> Rows:
    rng = np.random.default_rng(3)
    labels = rng.integers(-1, 2, N)
    dataset = worlds.dataset(
        labels,
        units=[f"u{i}" for i in rng.integers(0, 90, N)],
        attributes={
            "room": ("sensitive", rng.choice(["a", "b", "c", MISSING_GROUP], N).tolist()),
            "light": ("condition", rng.choice(["day", "night", MISSING_GROUP], N).tolist()),
            "phone": ("condition", rng.choice(["old", "new"], N).tolist()),
        },
    )
    answers = rng.integers(0, 2, N)
    return Rows(
        dataset=dataset, right=(labels == answers), known=labels >= 0, confidence=rng.random(N),
        presence=OneHot(dataset.classes, labels, answers),
    )  # fmt: skip


def told(grouping) -> tuple[list, list, list]:
    """Group, unit and light of each row, by their names."""
    rows = grouping.rows
    names = [grouping.groups[place] for place in grouping.of.tolist()]
    units = [rows.units[np.flatnonzero(rows.unit_codes == u)[0]] for u in grouping.unit.tolist()]
    return names, units, [bool(code >= 0) for code in grouping.controls["light"]]


def expected(grouping, attribute: str, at: np.ndarray) -> tuple[list, list, list]:
    rows = grouping.rows
    light = rows.groups("light")[at] != MISSING_GROUP
    return rows.groups(attribute)[at].tolist(), rows.units[at].tolist(), light.tolist()


def test_all_who_ask_get_the_same_ones(rows):
    assert groupings(rows) is groupings(rows)
    assert groupings(rows, by_label=True) is groupings(rows)
    assert len(groupings(rows, unlabelled=True)[0].rows) == N
    assert len(groupings(rows)[0].rows) == (rows.dataset.labels >= 0).sum()
    # Other rows, also ones made of these, have their own.
    assert groupings(replace(rows, right=~rows.right))[0].rows.right.tolist() != (
        groupings(rows)[0].rows.right.tolist()
    )


def test_arrays_are_those_of_the_grouping_that_is_asked_in_whatever_turn(rows):
    room, _, phone = groupings(rows)
    few = room.take(np.arange(0, len(room), 3))
    at = {id(g): np.flatnonzero(g.places >= 0) for g in (room, phone)}
    at[id(few)] = at[id(room)][::3]
    for grouping, name in 2 * [(room, "room"), (phone, "phone"), (few, "room"), (room, "room")]:
        assert grouping.at.tolist() == at[id(grouping)].tolist()
        assert told(grouping) == expected(grouping, name, at[id(grouping)])
    assert {a.dtype for a in (room.at, room.of, room.unit, room.controls["light"])} == {
        np.dtype(np.int64)
    }
    assert set(room.controls) == {"light", "phone"}
    assert set(phone.controls) == {"light"}


def test_arrays_of_two_stay_until_they_are_let_go_of(rows):
    room, light, phone = groupings(rows)
    held = room.of, light.unit
    assert (room.of is held[0], light.unit is held[1]) == (True, True)
    let_go_of(rows)
    assert (room.of is held[0], light.unit is held[1]) == (False, False)
    held = room.of, light.of, phone.of
    assert (light.of is held[1], phone.of is held[2], room.of is held[0]) == (True, True, False)


def test_rows_that_are_units_are_told_by_their_place(rows):
    room = groupings(rows)[0]
    twice = replace(room.take(np.array([0, 0, 5])), rows_are_units=True)
    assert twice.unit.tolist() == [room.at[0], room.at[0], room.at[5]]
    assert twice.take(np.array([2])).unit.tolist() == [room.at[5]]
    assert room.unit.tolist() != room.at.tolist()


@pytest.mark.parametrize("codes", [[-1, 127], [-1, 128], [0, 32_767], [-1, 32_768], [2**40], []])
def test_codes_are_held_whole_in_as_few_bytes_as_do(codes):
    held = compact(np.array(codes, dtype=np.int64))
    assert held.tolist() == codes
    widest = max(codes, default=0)
    assert held.itemsize == (
        1 if widest < 128 else 2 if widest < 32_768 else 4 if widest < 2**31 else 8
    )


def test_errors_by_group_are_those_of_the_rows(rows):
    room = groupings(rows)[0]
    label = rows.classes[1]
    frame = pd.DataFrame(
        {
            "group": [room.groups[place] for place in room.of],
            "truth": room.rows.present(label)[room.at],
            "called": room.rows.called(label)[room.at],
        }
    )
    found = errors_by_group(room, label=label)
    for group, part in frame.groupby("group"):
        missed = (~part["called"])[part["truth"]].mean()
        false = part["called"][~part["truth"]].mean()
        assert found.loc[group, "false-negative"] == pytest.approx(missed)
        assert found.loc[group, "false-positive"] == pytest.approx(false)


def test_only_some_rows_are_those_under_the_mask(rows):
    room = groupings(rows)[0]
    meant = np.random.default_rng(5).random(len(room.rows)) < 0.5
    some, at = room.only(meant), np.flatnonzero((room.places >= 0) & meant)
    assert some.at.tolist() == at.tolist()
    assert len(some) == len(at)
    assert some.taken(room.rows.right).tolist() == room.rows.right[at].tolist()
    for other in (
        some.only(~meant),
        some.take(np.arange(0)),
        room.take(meant[room.at]).only(~meant),
    ):
        assert (len(other), other.at.tolist()) == (0, [])
    assert [some.images_of(g) for g in room.groups] == np.bincount(
        room.places[at], minlength=len(room.groups)
    ).tolist()


def test_what_is_observed_of_rows_is_counted_as_often_as_it_is_there(rows):
    room = groupings(rows)[0]
    row = np.array([3, 3, 1, 0, 7, 3])
    seen, known = observed(room, row)
    assert seen.at.tolist() == row[known].tolist()
    assert seen.taken(np.arange(6)).tolist() == np.flatnonzero(known).tolist()
    assert sum(seen.images_of(g) for g in room.groups) == len(set(row[known].tolist()))


def test_a_quantity_of_all_rows_is_compared_as_one_of_those_of_the_groups(rows):
    room = groupings(rows)[0]
    quantity = recall(room.rows, rows.classes[1])
    found = against_rest(quantity, room)
    at = np.flatnonzero((room.places >= 0) & quantity.at_risk)
    own = replace(
        quantity, values=quantity.values[at], harmed=quantity.harmed[at], at_risk=None
    )  # fmt: skip
    alone = AgainstRest(own, room.only(quantity.at_risk))
    assert found.values.tolist() == alone.values.tolist()
    for group in room.groups:
        assert found.difference(group) == alone.difference(group)
