import numpy as np
import pytest
from coco_reference import rle
from pycocotools import mask as coco_masks

from auditor.data.masks import Mask
from auditor.errors import DataError


def random_pixels(rng):
    height, width = rng.integers(1, 40, 2)
    return rng.random((height, width)) < rng.random()


def test_pixels_runs_and_cocos_text_are_the_same_mask():
    rng = np.random.default_rng(0)
    for _ in range(100):
        pixels = random_pixels(rng)
        mask = Mask.of_pixels(pixels)
        text = rle(mask)["counts"]
        read = Mask.of_counts(text, pixels.shape)
        assert (read.pixels == pixels).all()
        assert (read.ends == mask.ends).all()
        assert read.area == pixels.sum()
        x0, y0, x1, y1 = read.corners
        theirs = coco_masks.toBbox(rle(mask))
        assert [x0, y0, x1 - x0, y1 - y0] == theirs.tolist()


def test_runs_may_be_empty_and_reach_the_last_pixel():
    assert Mask.of_counts([0, 4], (2, 2)).pixels.all()
    assert not Mask.of_counts([4], (2, 2)).pixels.any()
    assert Mask.of_counts([1, 1, 0, 1, 1], (2, 2)).pixels.T.ravel().tolist() == [0, 1, 1, 0]
    assert Mask.of_counts([4], (2, 2)).area == 0


@pytest.mark.parametrize("counts", [[1, 2], [5, -1], [1.5, 2.5], "~~", "0", []])
def test_runs_of_another_size_are_refused(counts):
    with pytest.raises(DataError, match="run lengths: found"):
        Mask.of_counts(counts, (2, 2))


def test_overlaps_are_counted_without_drawing():
    rng = np.random.default_rng(1)
    for _ in range(100):
        pixels = random_pixels(rng)
        other = rng.random(pixels.shape) < rng.random()
        first, second = Mask.of_pixels(pixels), Mask.of_pixels(other)
        assert first.overlap(second) == (pixels & other).sum() == second.overlap(first)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_outlines_are_filled_as_coco_fills_them():
    rng = np.random.default_rng(2)
    for _ in range(200):
        size = (int(rng.integers(5, 50)), int(rng.integers(5, 50)))
        outline = rng.uniform(0, 48, 2 * rng.integers(3, 8)).tolist()
        theirs = coco_masks.decode(coco_masks.frPyObjects([outline], *size)[0])
        assert (Mask.of_polygons([outline], size).pixels == theirs).all()


def test_several_outlines_are_one_object():
    apart = Mask.of_polygons([[0, 0, 4, 0, 4, 4, 0, 4], [6, 6, 9, 6, 9, 9, 6, 9]], (10, 10))
    assert apart.area == 16 + 9
    assert apart.corners == (0, 0, 9, 9)


@pytest.mark.parametrize(
    "outline", [[], [1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2] * 2 + [np.nan, 1]]
)
def test_outlines_of_under_three_points_are_refused(outline):
    with pytest.raises(DataError, match="outline: found"):
        Mask.of_polygons([outline], (10, 10))
