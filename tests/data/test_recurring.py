import numpy as np
import pytest

from auditor.data import recurring
from auditor.data.recurring import recurring_patches


def photographs(rng, *, n=240, size=(48, 64)):
    """Smooth scenes of changing colours, lossy to a few values."""
    coarse = rng.uniform(0, 255, (n, 6, 8, 3))
    frames = coarse.repeat(size[0] // 6, axis=1).repeat(size[1] // 8, axis=2)
    return np.clip(frames + rng.normal(0, 8, frames.shape), 0, 255)


def stamped(frames, carries, rng, *, colour=(40, 180, 90), where=(slice(40, 46), slice(3, 9))):
    rows, columns = where
    frames[carries, rows, columns] = colour
    frames[carries, rows, columns.start + 2] = (250, 250, 250)
    frames[carries, rows, columns] += rng.normal(0, 4, frames[carries, rows, columns].shape)
    return frames


def uint8(frames):
    return np.rint(np.clip(frames, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("share", [0.35, 0.9])
@pytest.mark.parametrize("seed", range(2))
def test_a_stamp_of_one_class_is_found_where_it_is(seed, share):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 240)
    carries = rng.random(240) < np.where(labels == 1, share, 0.05)
    frames = uint8(stamped(photographs(rng), carries, rng))
    (patch,) = recurring_patches(frames, labels, most=3)
    assert patch.label == 1
    region = patch.region
    assert max(region.x0 - 3 / 64, 9 / 64 - region.x1) <= 0
    assert max(region.y0 - 40 / 48, 46 / 48 - region.y1) <= 0
    assert (region.x1 - region.x0) * (region.y1 - region.y0) < 3 * 36 / (48 * 64)
    assert (patch.carriers == carries).mean() > 0.97


@pytest.mark.parametrize("seed", range(4))
def test_scenes_without_a_stamp_hold_no_patch(seed):
    rng = np.random.default_rng(seed)
    frames = photographs(rng)
    labels = rng.integers(0, 2, 240)
    frames[labels == 1] += 30
    assert recurring_patches(uint8(frames), labels, most=3) == ()


@pytest.mark.parametrize("seed", range(4))
def test_a_stamp_that_goes_with_no_class_is_no_patch(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 240)
    frames = stamped(photographs(rng), rng.random(240) < 0.5, rng)
    assert recurring_patches(uint8(frames), labels, most=3) == ()


def test_of_two_stamps_the_one_that_tells_more_comes_first():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 240)
    often, seldom = (rng.random(240) < np.where(labels == 1, s, 0.02) for s in (0.9, 0.4))
    frames = stamped(photographs(rng), seldom, rng)
    upper = (slice(2, 8), slice(50, 56))
    frames = uint8(stamped(frames, often, rng, colour=(200, 30, 30), where=upper))
    first, second = recurring_patches(frames, labels, most=2)
    assert first.region.x0 > 0.5 > second.region.x1
    assert len(recurring_patches(frames, labels, most=1)) == 1


def test_a_thin_stamp_of_a_large_frame_is_found():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 100)
    frames = photographs(rng, n=100, size=(240, 320))
    frames = stamped(frames, labels == 0, rng, where=(slice(210, 220), slice(20, 60)))
    (patch,) = recurring_patches(uint8(frames), labels, most=2)
    assert patch.label == 0
    assert patch.region.y0 > 0.8


def test_few_images_of_a_class_show_nothing():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [10, 90])
    frames = stamped(photographs(rng, n=100), labels == 0, rng)
    assert recurring_patches(uint8(frames), labels, most=2) == ()


def test_the_commonest_colours_are_those_of_all_frames_however_many_are_looked_at_at_once(
    monkeypatch,
):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (60, 4, 5, 3)).astype(np.int16)
    frames[:25, :2] = (200, 40, 90)
    whole = recurring._commonest(frames)
    np.testing.assert_allclose(whole[0, 0], (200, 40, 90), atol=5)
    monkeypatch.setattr(recurring, "_AT_ONCE", 7)
    np.testing.assert_array_equal(recurring._commonest(frames), whole)
