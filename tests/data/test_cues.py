import numpy as np
import pandas as pd
import pytest

from auditor.data.cues import border, corners, cues, shrunk, thumbnails
from auditor.data.scan import thumbnail


def grey(n=1):
    return np.full((n, 32, 32, 3), 90.0)


def test_a_mark_in_a_corner_is_in_that_corner_alone():
    pictures = grey(2)
    pictures[1, -3:, :3] = 255
    told = corners(pictures)[1] - corners(pictures)[0]
    # Six numbers a corner, in the order of reading.
    assert [bool(np.abs(part).max() > 1) for part in told.reshape(4, 6)] == [
        False, False, True, False,
    ]  # fmt: skip
    assert np.abs(border(pictures)[1] - border(pictures)[0]).max() == pytest.approx(0)


def test_a_frame_is_on_the_border():
    pictures = grey(2)
    pictures[1, :, :2, 0] = 255
    told = (border(pictures)[1] - border(pictures)[0]).reshape(4, 6)
    assert [bool(np.abs(side).max() > 1) for side in told] == [False, False, True, False]


def test_a_cell_of_the_small_thumbnail_is_the_mean_of_sixteen():
    rng = np.random.default_rng(0)
    pictures = rng.uniform(0, 255, (3, 32, 32, 3))
    small = shrunk(pictures)
    assert small.shape == (3, 8, 8, 3)
    assert small[1, 2, 5] == pytest.approx(pictures[1, 8:12, 20:24].mean(axis=(0, 1)))


def scan(**columns):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    row = {"thumbnail": thumbnail(pixels).tobytes(), "width": 60.0, "height": 40.0,
           "aspect": 1.5, "bytes": 4800.0, "blockiness": 1.0, "mean": 120.0}  # fmt: skip
    return pd.DataFrame([row, row]).assign(**columns)


def named(frame):
    return {cue.name: cue for cue in cues(frame)}


def test_only_what_differs_varies():
    found = named(scan(format=["JPEG", "PNG"], bytes=[4800.0, 2400.0]))
    assert {name for name, cue in found.items() if cue.varies} == {"file type", "compression"}
    assert found["compression"].values[:, 1] == pytest.approx([2.0, 1.0])
    assert not found["file type"].of_subject
    assert found["brightness"].of_subject


def test_an_image_without_a_thumbnail_has_no_numbers():
    frame = scan()
    frame.loc[1, "thumbnail"] = b""
    assert np.isnan(thumbnails(frame)[1]).all()
    assert np.isfinite(thumbnails(frame)[0]).all()
    assert np.isnan(named(frame)["corners"].values[1]).all()


def test_cues_come_from_what_a_scan_holds():
    assert {"brightness", "picture size", "border", "corners", "8 x 8 thumbnail"} <= set(
        named(scan())
    )
    without = named(scan().drop(columns=["thumbnail"]))
    assert "corners" not in without
