"""Twins: planted copies are found, look-alikes are not, and the tree misses nothing."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from auditor.data import near_duplicates
from auditor.data.images import decode
from auditor.data.near_duplicates import (
    FILE,
    LEVEL_RADIUS,
    NEAR,
    NONE,
    PATTERN_RADIUS,
    PIXELS,
    Prints,
    earlier_twins,
    prints,
    twins_among,
)
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


def _crowd(n, *, seed) -> Prints:
    """Prints of which many lie near each other, about as near as the radius."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (n // 20, 256))
    cells = centres[rng.integers(0, len(centres), n)] + rng.normal(0, 0.1, (n, 256))
    cells -= cells.mean(axis=1, keepdims=True)
    patterns = (cells / np.linalg.norm(cells, axis=1, keepdims=True)).astype(np.float32)
    ids = np.array([f"{seed}-{i}" for i in range(n)], dtype=object)
    return Prints(ids, ids, patterns, np.full(n, 20, dtype=np.float32), np.ones(n, dtype=bool))


@pytest.mark.parametrize("small_blocks", [False, True])
def test_the_tree_finds_what_comparing_all_with_all_finds(monkeypatch, small_blocks):
    if small_blocks:
        monkeypatch.setattr(near_duplicates, "_CANDIDATES", 50)
        monkeypatch.setattr(near_duplicates, "_VERIFIED", 7)
        monkeypatch.setattr(near_duplicates, "_BLOCK", 64)
    given, others = _crowd(600, seed=1), _crowd(600, seed=1)
    distance = np.sqrt(
        np.maximum(0, 2 - 2 * given.patterns.astype(float) @ others.patterns.T.astype(float))
    )
    # Away from the radius by more than a rounding, so that both ways decide alike.
    near = distance <= PATTERN_RADIUS
    assert not (np.abs(distance - PATTERN_RADIUS) < 1e-6).any()
    before = near & np.tri(600, k=-1, dtype=bool)
    first = np.where(before.any(axis=1), before.argmax(axis=1), -1)
    assert 100 < (first >= 0).sum() < 590
    assert np.array_equal(earlier_twins(given).index, first)


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
