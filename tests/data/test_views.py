import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from auditor.data.views import (
    AS_SHOT,
    PatchInRegion,
    Region,
    RegionFromDonor,
    View,
    ViewContext,
)

REGION = Region(0.0, 0.9, 0.2, 1.0)


def frame(value=100, *, shape=(20, 30)):
    return np.full((*shape, 3), value, dtype=np.uint8)


def png(colour, *, mode="RGB", size=(5, 5)):
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, format="PNG")
    return out.getvalue()


def seen(view, given, donor=None):
    return view(given, ViewContext("image", 0, 1, donor))


VIEWS = [
    AS_SHOT,
    RegionFromDonor(REGION, donor="same-class"),
    RegionFromDonor(REGION, donor="other-class"),
    RegionFromDonor(Region(0.0, 0.0, 0.5, 0.5), donor="same-class"),
    PatchInRegion(REGION, png((255, 0, 0))),
    PatchInRegion(REGION, png((0, 0, 255))),
]


def test_views_are_values_with_names_of_their_own():
    assert len({view.name for view in VIEWS}) == len(VIEWS)
    assert len(set(VIEWS)) == len(VIEWS)
    assert all(isinstance(view, View) for view in VIEWS)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_views_keep_shape_and_type_and_leave_the_frame_alone(view):
    given = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    before = given.copy()
    result = seen(view, given, donor=frame(7))
    assert result.shape == given.shape
    assert result.dtype == np.uint8
    assert (given == before).all()


@pytest.mark.parametrize("view", VIEWS[1:], ids=lambda view: view.name)
def test_nothing_outside_the_region_changes(view):
    given = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    result = seen(view, given, donor=frame(7))
    changed = (result != given).any(axis=2)
    inside = np.zeros(changed.shape, dtype=bool)
    inside[view.region.within(given)] = True
    assert changed.any()
    assert not changed[~inside].any()


def test_region_comes_from_the_donor():
    result = seen(RegionFromDonor(REGION, donor="other-class"), frame(100), donor=frame(7))
    assert (result[18:, :6] == 7).all()
    assert (result == 7).sum() == 2 * 6 * 3


def test_a_donor_must_be_there_and_of_the_same_shape():
    view = RegionFromDonor(REGION, donor="other-class")
    with pytest.raises(ValueError, match="found donor none"):
        seen(view, frame())
    with pytest.raises(ValueError, match="found donor one of shape"):
        seen(view, frame(), donor=frame(shape=(4, 4)))


def test_a_patch_covers_the_region():
    result = seen(PatchInRegion(REGION, png((255, 0, 10))), frame())
    assert (result[18:, :6] == (255, 0, 10)).all()


def test_alpha_blends_a_patch():
    half = png((200, 0, 0, 128), mode="RGBA")
    result = seen(PatchInRegion(REGION, half), frame(100))
    assert result[19, 0].tolist() == pytest.approx([150, 50, 50], abs=1)
    clear = png((200, 0, 0, 0), mode="RGBA")
    assert (seen(PatchInRegion(REGION, clear), frame(100)) == 100).all()


def test_a_patch_must_be_a_picture():
    with pytest.raises(ValueError, match="no picture"):
        PatchInRegion(REGION, b"text")


@pytest.mark.parametrize(
    ("region", "length", "expected"),
    [
        (Region(0, 0.25, 1, 0.5), 8, (2, 4)),
        (Region(0, 0.3, 1, 0.4), 10, (3, 4)),
        (Region(0, 0.31, 1, 0.39), 10, (3, 4)),
        (Region(0, 0.29, 1, 0.41), 10, (2, 5)),
        (Region(0, 0.999, 1, 1), 10, (9, 10)),
    ],
)
def test_edges_are_rounded_outward(region, length, expected):
    rows, _ = region.within(np.zeros((length, 3, 3)))
    assert (rows.start, rows.stop) == expected


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 400))
def test_a_region_covers_what_it_names_and_is_never_empty(a, b, length):
    low, high = min(a, b), max(a, b)
    if low == high:
        return
    rows, _ = Region(0, low, 1, high).within(np.zeros((length, 2, 3)))
    assert 0 <= rows.start < rows.stop <= length
    assert rows.start <= low * length + 1e-6
    assert rows.stop >= high * length - 1e-6


@pytest.mark.parametrize("corners", [(0.5, 0, 0.5, 1), (0, 0, 1, 1.1), (-0.1, 0, 1, 1)])
def test_an_impossible_region_says_so(corners):
    with pytest.raises(ValueError, match="correct the region"):
        Region(*corners)
