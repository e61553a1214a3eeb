"""Twins: planted copies are found, look-alikes are not."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from auditor.data.images import decode
from auditor.data.near_duplicates import (
    FILE,
    NEAR,
    NONE,
    PIXELS,
    Prints,
    earlier_twins,
    prints,
    twins_among,
)
from auditor.data.near_pairs import LEVEL_RADIUS
from auditor.data.scan import thumbnail, unreadable_row


def copy_of(pixels, *, size=0.6, quality=50) -> np.ndarray:
    height, width = pixels.shape[:2]
    small = Image.fromarray(pixels).resize(
        (max(1, round(width * size)), max(1, round(height * size))), Image.Resampling.BICUBIC
    )
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(out.getvalue())))


def photos(n, *, seed=0, height=96, width=128) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (n, 7, 9, 3), dtype=np.uint8)
    return [
        np.asarray(Image.fromarray(c).resize((width, height), Image.Resampling.BICUBIC))
        for c in cells
    ]


def scan_of(images) -> pd.DataFrame:
    """A scan with just what prints read."""
    rows = [
        {
            "readable": True,
            "sha256": f"file {pixels.tobytes()!r}",
            "pixel_sha256": str(hash(pixels.tobytes())),
            "thumbnail": thumbnail(pixels).tobytes(),
        }
        for pixels in images
    ]
    return pd.DataFrame(rows)


def prints_of(images) -> Prints:
    return prints(scan_of(images))


def test_resized_and_recompressed_photographs_are_found(shared_data):
    paths = sorted((shared_data / "imagenet-mini" / "images").glob("*"))[::3]
    originals = [decode(p.read_bytes(), max_pixels=10**8).pixels for p in paths]
    given = prints_of(originals)
    copies = twins_among(prints_of([copy_of(p) for p in originals]), given)
    right = copies.index == np.arange(len(originals))
    assert right.mean() >= 0.98
    assert not (copies.found & ~right).any()
    assert not earlier_twins(given).found.any()


@pytest.mark.parametrize("method", [Image.Resampling.NEAREST, Image.Resampling.BICUBIC])
def test_handwritten_digits_are_not_twins(method):
    digits = [
        np.asarray(Image.fromarray((d * 255 / 16).astype(np.uint8)).resize((32, 32), method))
        for d in load_digits().images
    ]
    scan = scan_of([np.repeat(d[:, :, None], 3, axis=2) for d in digits])
    assert not earlier_twins(prints(scan)).found.any()


def test_kinds_and_the_first_of_a_cluster():
    a, b, c = photos(3)
    scan = scan_of([a, b, a, copy_of(a, quality=80), a, c])
    scan.loc[4, "sha256"] = "another file of the same pixels"
    twins = earlier_twins(prints(scan))
    assert twins.index.tolist() == [-1, -1, 0, 0, 0, -1]
    assert twins.kind.tolist() == [NONE, NONE, FILE, NEAR, PIXELS, NONE]
    assert np.isnan(twins.distance[0])
    assert 0 < twins.distance[3] <= LEVEL_RADIUS


def test_mild_brightening_is_seen_through():
    images = photos(40)
    brighter = [np.clip(p * 0.9 + 12, 0, 255).astype(np.uint8) for p in images]
    twins = twins_among(prints_of(brighter), prints_of(images))
    assert (twins.index == np.arange(40)).all()


def test_unreadable_images_have_no_twins_however_equal():
    scan = pd.DataFrame([unreadable_row(str(i), b"junk", "not an image") for i in range(4)])
    assert not earlier_twins(prints(scan)).found.any()
    assert not twins_among(prints(scan), prints_of(photos(3))).found.any()


def test_flat_images_are_compared_by_their_pixels_only():
    flat = [np.full((20, 20, 3), level, dtype=np.uint8) for level in (99, 100, 100)]
    twins = earlier_twins(prints_of(flat))
    assert twins.index.tolist() == [-1, -1, 1]
    assert not prints_of(flat).comparable.any()


def test_how_many_are_duplicates_does_not_depend_on_the_order():
    originals = photos(12)
    images = [*originals, *(copy_of(p, quality=q) for p in originals for q in (40, 60, 80))]
    names = np.array([*range(12), *np.repeat(np.arange(12), 3)])
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(images))
        twins = earlier_twins(prints_of([images[i] for i in order]))
        assert twins.found.sum() == 36
        later = np.flatnonzero(twins.found)
        assert np.array_equal(names[order][later], names[order][twins.index[later]])


def test_of_several_twins_the_most_alike_is_named():
    image = photos(1)[0]
    poor, good = copy_of(image, quality=15), copy_of(image, size=0.9, quality=90)
    twins = twins_among(prints_of([image]), prints_of([*photos(3, seed=9), poor, good]))
    assert twins.index.tolist() == [4]


def test_nothing_among_nothing():
    some, none = prints_of(photos(3)), prints(scan_of(photos(1)).iloc[:0])
    assert len(twins_among(none, some).index) == 0
    assert twins_among(some, none).index.tolist() == [-1, -1, -1]
    assert len(earlier_twins(none).index) == 0
