"""A dataset holds names as codes, and hands them out as they were given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def dataset(worlds):
    groups = ["b", "", "a", "b", "a", "b"]
    return worlds.dataset(
        [0, 1, 0, 1, 0, 1], units=["v", "", "u", "v", "", "w"],
        attributes={"light": ("condition", groups)},
    )  # fmt: skip


def test_names_are_those_that_were_given(dataset):
    assert dataset.groups("light").tolist() == ["b", "", "a", "b", "a", "b"]
    alone = [f"image:{dataset.image_ids[i]}" for i in (1, 4)]
    assert dataset.units.tolist() == ["v", alone[0], "u", "v", alone[1], "w"]
    assert dataset.take(np.array([5, 2])).groups("light").tolist() == ["b", "a"]
    assert dataset.take(np.array([5, 2])).image_ids.tolist() == dataset.image_ids[[5, 2]].tolist()


def test_a_frame_whose_rows_are_numbered_otherwise_keeps_its_names(dataset):
    frame = dataset.frame.set_index(np.arange(60, 66)).assign(annotator=list("aabbcc"))
    again = replace(dataset, table=frame.assign(**{"attribute:light": list("xyxyxy")}))
    assert again.groups("light").tolist() == list("xyxyxy")
    assert again.frame["annotator"].tolist() == list("aabbcc")
    assert again.units.tolist() == dataset.units.tolist()


@pytest.mark.parametrize("missing", [None, np.nan])
def test_what_is_missing_has_no_name(dataset, missing):
    columns = {"attribute:light": ["a", missing, "b"] * 2, "unit": ["u", "v", missing] * 2}
    found = replace(dataset, table=dataset.frame.assign(**columns))
    assert found.groups("light").tolist() == ["a", "", "b"] * 2
    alone = [f"image:{found.image_ids[i]}" for i in (2, 5)]
    assert found.units.tolist() == ["u", "v", alone[0], "u", "v", alone[1]]


def test_a_name_is_held_once(dataset):
    many = dataset.take(np.tile(np.arange(6), 20_000))
    assert isinstance(many.frame["unit"].dtype, pd.CategoricalDtype)
    assert len(set(map(id, many.groups("light")))) == 3
    assert many.image_ids.tolist() == dataset.image_ids.tolist() * 20_000
    assert many.image_ids.texts is dataset.image_ids.texts


def test_groups_as_places_are_the_same_groups(dataset):
    coded = dataset.coded_groups("light")
    assert [coded.names[code] for code in coded.codes] == dataset.groups("light").tolist()
    assert coded.seen == {"b", "", "a"}
    assert coded.places_in(["a", "c"]).tolist() == [-1, -1, 0, -1, 0, -1]
    few = dataset.take(np.array([0, 3])).coded_groups("light")
    assert few.seen == {"b"}
    assert few.places_in(["", "b"]).tolist() == [1, 1]
    assert not dataset.take(np.arange(0)).coded_groups("light").seen
