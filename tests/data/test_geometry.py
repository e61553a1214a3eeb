import numpy as np
import pytest
from PIL import Image

from auditor.data.frames import to_frame
from auditor.data.geometry import (
    Affine,
    mirrored,
    sampled,
    to_frame_affine,
    upended,
    upright_affine,
)
from auditor.data.images import decode
from auditor.spec import InputSpec

INPUTS = {
    "stretch": {"resize": "stretch"},
    "letterbox": {"resize": "letterbox", "pad": 0},
    "top-left": {"resize": "letterbox", "pad": 0, "align": "top-left"},
    "shortest": {"resize": "shortest", "shortest": 80},
    "padded": {"resize": "shortest", "shortest": 40},
}


def painted(width, height, corners) -> np.ndarray:
    x0, y0, x1, y1 = corners
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[y0:y1, x0:x1] = 255
    return pixels


def found_box(pixels) -> list[float]:
    """The box around what is brighter than half, to about half a pixel."""
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("size", [(201, 133), (133, 201), (64, 64), (300, 101)])
@pytest.mark.parametrize("name", INPUTS)
def test_boxes_go_where_the_frame_shows_them_and_come_back(name, size):
    given = InputSpec(size=(72, 64), interpolation="bilinear", **INPUTS[name])
    width, height = size
    corners = (width // 2 - 14, height // 2 - 12, width // 2 + 10, height // 2 + 16)
    affine = to_frame_affine(width=width, height=height, input=given)
    moved = affine.boxes(np.array([corners]))
    seen = found_box(to_frame(painted(width, height, corners), given))
    assert moved[0] == pytest.approx(seen, abs=0.75)
    assert affine.inverse.boxes(moved)[0] == pytest.approx(corners, abs=1e-9)


def test_a_strip_that_is_cut_before_it_is_resized_keeps_its_middle():
    given = InputSpec(size=(20, 20), resize="shortest", shortest=20)
    corners = (1030, 2, 1038, 6)
    affine = to_frame_affine(width=2069, height=10, input=given)
    seen = found_box(to_frame(painted(2069, 10, corners), given))
    assert affine.boxes(np.array([corners]))[0].clip(0, 20) == pytest.approx(seen, abs=0.75)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_drawn_on_stored_pixels_are_turned_as_the_image_is(orientation, tmp_path):
    corners = (5, 3, 21, 10)
    stored = Image.fromarray(painted(40, 24, corners))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    shown = decode((tmp_path / "turned.png").read_bytes(), max_pixels=10_000).pixels
    affine = upright_affine(orientation, width=40, height=24)
    assert affine.boxes(np.array([corners]))[0] == pytest.approx(found_box(shown), abs=1e-9)
    again = sampled(np.asarray(stored)[..., 0], affine.inverse, size=shown.shape[:2], outside=9)
    assert (again == shown[..., 0]).all()


def test_steps_follow_each_other_and_flips_undo_themselves():
    step = Affine.scaling(2, 3).then(Affine.shifting(1, -1)).then(mirrored(50)).then(upended(40))
    point = np.array([4.0, 5.0])
    assert step.points(point) == pytest.approx([50 - 9, 40 - 14])
    assert step.inverse.points(step.points(point)) == pytest.approx(point)
    assert mirrored(7).then(mirrored(7)) == Affine()


def test_class_maps_move_without_mixing_and_what_lies_beyond_is_void():
    classes = np.array([[1, 2], [3, 4]], dtype=np.uint8)
    doubled = sampled(classes, Affine.scaling(0.5, 0.5), size=(4, 6), outside=255)
    assert doubled.tolist() == [[1, 1, 2, 2, 255, 255]] * 2 + [[3, 3, 4, 4, 255, 255]] * 2


@pytest.mark.parametrize("height", [28, 29, 30, 31, 33])
def test_an_odd_margin_is_parted_as_the_frame_parts_it(height):
    given = InputSpec(size=(72, 64), resize="letterbox", pad=0)
    affine = to_frame_affine(width=64, height=height, input=given)
    seen = found_box(to_frame(painted(64, height, (0, 0, 64, height)), given))
    assert affine.boxes(np.array([[0, 0, 64, height]]))[0].tolist() == seen
