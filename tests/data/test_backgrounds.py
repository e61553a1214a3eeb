import numpy as np
import pytest
from detector_worlds import boxes

from auditor.data.backgrounds import BackgroundReplaced, ObjectsPainted, object_pixels
from auditor.data.geometry import Affine
from auditor.data.truth import BoxTruth
from auditor.data.views import OfObjects, ViewContext

SIZE = (40, 60)


@pytest.fixture
def frame():
    rng = np.random.default_rng(1)
    found = rng.integers(90, 110, (*SIZE, 3)).astype(np.uint8)
    found[10:20, 10:20] = (250, 10, 10)
    return found


@pytest.fixture
def objects():
    found = np.zeros(SIZE, dtype=bool)
    found[9:21, 9:21] = True
    return found


@pytest.mark.parametrize("fill", ["mean", "surroundings"])
def test_nothing_is_left_of_what_is_painted_over(frame, objects, fill):
    view = ObjectsPainted(fill)
    assert isinstance(view, OfObjects)
    seen = view(frame, ViewContext("x", 7, -1, objects=objects))
    assert (seen[~objects] == frame[~objects]).all()
    assert abs(seen[objects].astype(int) - 100).max() <= 12


def test_surroundings_follow_what_lies_around(frame, objects):
    frame[:, 40:] = 200
    near_bright = np.roll(objects, 30, axis=1)
    seen = ObjectsPainted("surroundings")(frame, ViewContext("x", 7, -1, objects=near_bright))
    assert seen[15, 45].mean() > 160
    flat = ObjectsPainted("mean")(frame, ViewContext("x", 7, -1, objects=near_bright))
    assert len(np.unique(flat[near_bright], axis=0)) == 1


@pytest.mark.parametrize("by", ["mean", "another image"])
def test_objects_stay_on_another_background(frame, objects, by):
    donor = np.full_like(frame, 7)
    seen = BackgroundReplaced(by)(frame, ViewContext("x", 7, -1, donor, objects))
    assert (seen[objects] == frame[objects]).all()
    assert len(np.unique(seen[~objects], axis=0)) == 1


def test_a_frame_without_objects_stays(frame):
    none = np.zeros(SIZE, dtype=bool)
    for mask in (none, None, ~none):
        context = ViewContext("x", 7, -1, frame, mask)
        assert (ObjectsPainted("mean")(frame, context) == frame).all()
        assert (BackgroundReplaced("mean")(frame, context) == frame).all()


def test_boxes_are_widened_and_lie_where_the_frame_shows_them():
    truth = BoxTruth(boxes([0], [[20, 40, 40, 80]], [0]), np.ones(1, dtype=bool))
    found = object_pixels(truth, to_frame=Affine.scaling(0.5, 0.5), size=(60, 60), classes=None)
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (18, 41, 9, 20)


def test_an_image_without_annotation_has_no_objects():
    truth = BoxTruth(boxes([], [], []), np.zeros(1, dtype=bool))
    assert object_pixels(truth, to_frame=Affine(), size=SIZE, classes=None) is None
