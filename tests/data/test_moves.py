"""Moves: pixels go where the affine says, and the truth goes with them."""

import dataclasses

import numpy as np
import pytest
from detector_worlds import boxes

from auditor.data.geometry import Affine, Shown, mirrored
from auditor.data.masks import Mask
from auditor.data.moves import MOVES
from auditor.data.truth import BoxTruth, MovedMaps
from auditor.data.views import AS_SHOT, Moved, Moving, ViewContext

BY = {"shift": 4, "turn": 5, "smaller": 0.9, "crop": 0.9, "mirror": 1}
ODD = [(1, 1), (1, 9), (7, 1), (33, 17)]


@pytest.mark.parametrize("size", [(60, 80), (80, 61)])
@pytest.mark.parametrize("image_id", ["a", "b", "c"])
@pytest.mark.parametrize("move", MOVES)
def test_a_disk_goes_where_the_affine_says(move, image_id, size):
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    disk = np.clip(6.5 - np.hypot(x - 22, y - 27), 0, 1)
    frame = np.repeat((200 * disk)[..., None], 3, axis=2).astype(np.uint8)
    view, context = Moved(move, BY[move]), ViewContext(image_id, 7, 0)
    found = view(frame, context)[..., 0].astype(float)
    centre = np.array([(x * found).sum(), (y * found).sum()]) / found.sum()
    wanted = view.affine(size, context).points(np.array([22.0, 27.0]))
    assert centre == pytest.approx(wanted, abs=0.15)
    assert np.abs(wanted - [22, 27]).max() > 0.4


@pytest.mark.parametrize("move", MOVES)
def test_moves_take_frames_of_any_size_and_leave_them_alone(move):
    view = Moved(move, BY[move])
    for size in ODD:
        frame = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
        before = frame.copy()
        found = view(frame, ViewContext("a", 7, 0))
        assert found.shape == frame.shape
        assert found.dtype == np.uint8
        assert (frame == before).all()
    assert isinstance(view, Moving)
    assert not isinstance(AS_SHOT, Moving)


def test_another_move_is_refused():
    with pytest.raises(ValueError, match="found 'jump', expected one of shift, turn"):
        Moved("jump")


def test_a_flat_frame_stays_flat_for_edges_go_on():
    frame = np.full((40, 50, 3), 130, dtype=np.uint8)
    for move in MOVES:
        assert (Moved(move, BY[move])(frame, ViewContext("a", 7, 0)) == 130).all()


def truth_of(corners, *, masks=None):
    return BoxTruth(boxes([0] * len(corners), corners, [0] * len(corners), masks=masks),
                    np.ones(1, dtype=bool))  # fmt: skip


def shown(to, size=(100, 100)):
    return [Shown(to, size, (0.0, 0.0, float(size[1]), float(size[0])))]


def test_boxes_move_along_and_are_cut_where_nothing_is_seen():
    truth = truth_of([[10, 10, 30, 20], [80, 40, 100, 60], [85, 70, 100, 90]])
    found = truth.moved(shown(Affine.shifting(9, 5))).boxes
    assert found.corners[0] == pytest.approx([19, 15, 39, 25])
    assert found.corners[1] == pytest.approx([89, 45, 100, 65])
    assert found.areas[1] == pytest.approx(11 * 20)
    # Of the third 6 of 15 columns are left, less than half: it counts no more, and keeps its place.
    assert found.crowd.tolist() == [False, False, True]


def test_a_turned_object_has_the_box_around_the_ellipse_in_its_box():
    angle = np.deg2rad(5)
    turn = Affine(np.cos(angle), -np.sin(angle), 20, np.sin(angle), np.cos(angle), 5)
    around = np.linspace(0, 2 * np.pi, 20_000)
    ellipse = np.stack([40 + 25 * np.cos(around), 40 + 5 * np.sin(around)], axis=1)
    there = turn.points(ellipse)
    wanted = [*there.min(axis=0), *there.max(axis=0)]
    assert turn.ellipses(np.array([[15, 35, 65, 45]]))[0] == pytest.approx(wanted, abs=1e-3)
    upright = mirrored(100)
    assert upright.ellipses(np.array([[15, 35, 65, 45]])) == pytest.approx(
        upright.boxes(np.array([[15, 35, 65, 45]]))
    )


def test_masks_move_along_with_the_boxes_around_them():
    pixels = np.zeros((100, 100), dtype=bool)
    pixels[40:60, 10:30] = True
    gone = np.zeros((100, 100), dtype=bool)
    gone[40:60, 0:8] = True
    masks = (Mask.of_pixels(pixels), Mask.of_pixels(gone))
    truth = truth_of([[10, 40, 30, 60], [0, 40, 8, 60]], masks=masks)
    found = truth.moved(shown(Affine.shifting(-5, 0))).boxes
    assert (found.masks[0].pixels == np.roll(pixels, -5, axis=1)).all()
    assert found.corners[0].tolist() == [5, 40, 25, 60]
    assert found.crowd.tolist() == [False, True]


@dataclasses.dataclass
class Drawn:
    """Class maps that stand for files."""

    drawn: list
    known = np.ones(1, dtype=bool)

    def maps(self):
        return iter(self.drawn)


def test_class_maps_move_along_and_count_only_where_they_are_seen():
    classes = np.zeros((20, 30), dtype=np.int16)
    classes[5:10, 20:25] = 3
    (found,) = MovedMaps(Drawn([classes]), tuple(shown(Affine.shifting(4, -2), (20, 30)))).maps()
    assert (found[3:8, 24:29] == 3).all()
    assert (found == 3).sum() == 25
    assert (found[:, :4] == -1).all()
    assert (found[18:] == -1).all()
    (none,) = MovedMaps(Drawn([None]), tuple(shown(Affine(), (20, 30)))).maps()
    assert none is None
