"""Descriptions of images: known values, planted faults, and the columns that others read."""

from __future__ import annotations

import hashlib
import io
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from auditor.data.images import decode
from auditor.data.scan import (
    PROPERTY_NAMES,
    SCAN_COLUMNS,
    describe,
    properties,
    thumbnail,
    unreadable_row,
)


def photo(seed=0, height=300, width=400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(20, 230, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def row_of(pixels, format="PNG", **options) -> dict:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format, **options)
    return describe("a", decode(out.getvalue(), max_pixels=10**8), out.getvalue())


def test_both_kinds_of_row_have_the_columns_and_survive_parquet(tmp_path):
    readable = row_of(photo())
    unreadable = unreadable_row("b", b"junk", "not an image")
    assert set(readable) == set(SCAN_COLUMNS) == set(unreadable)
    for rows in ([readable, unreadable], [unreadable], [readable]):
        pd.DataFrame(rows).to_parquet(tmp_path / "scan.parquet")
        back = pd.read_parquet(tmp_path / "scan.parquet")
        assert back["readable"].tolist() == [row["readable"] for row in rows]
        assert back["thumbnail"].tolist() == [row["thumbnail"] for row in rows]
        assert all(back[name].dtype == float for name in PROPERTY_NAMES)


def test_digests_name_file_and_pixels():
    as_png, packed = row_of(photo()), row_of(photo(), compress_level=1)
    assert as_png["pixel_sha256"] == packed["pixel_sha256"]
    assert as_png["sha256"] != packed["sha256"]
    assert unreadable_row("b", b"", "empty")["sha256"] == hashlib.sha256(b"").hexdigest()
    assert row_of(photo(height=400, width=300))["pixel_sha256"] != as_png["pixel_sha256"]


def test_known_values_of_plain_images():
    flat = properties(np.full((64, 64, 3), 100, dtype=np.uint8))
    assert flat["mean"] == flat["p1"] == flat["p99"] == 100
    assert flat["std"] == flat["entropy"] == flat["noise"] == flat["sharpness"] == 0
    assert flat["saturation"] == 0
    assert flat["red_ratio"] == pytest.approx(1 / 3)
    assert flat["blockiness"] == 1
    black = properties(np.zeros((64, 64, 3), dtype=np.uint8))
    assert black["saturated_share"] == 1
    assert black["red_ratio"] == pytest.approx(1 / 3)
    halves = np.zeros((64, 64, 3), dtype=np.uint8)
    halves[:32, :, 0] = 255
    assert properties(halves)["entropy"] == pytest.approx(1)
    assert properties(halves)["red_ratio"] == 1
    assert properties(halves)["saturation"] == pytest.approx(0.5)


def test_aspect_and_size_are_of_the_upright_image():
    found = properties(photo(height=30, width=60))
    assert (found["width"], found["height"], found["aspect"]) == (60, 30, 2)


@pytest.mark.parametrize("sigma", [3.0, 8.0, 20.0])
def test_noise_is_recovered_in_grey_levels(sigma):
    clean = np.full((256, 256, 1), 128.0)
    noisy = clean + np.random.default_rng(0).normal(0, sigma, clean.shape)
    grey = np.repeat(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), 3, axis=2)
    assert properties(grey)["noise"] == pytest.approx(sigma, rel=0.05)


def test_blur_lowers_sharpness_and_jpeg_raises_blockiness():
    sharp = np.repeat(np.repeat(photo()[::8, ::8], 8, axis=0), 8, axis=1)
    blurred = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(2)))
    assert properties(blurred)["sharpness"] < properties(sharp)["sharpness"] / 2
    smooth = photo()
    grain = np.random.default_rng(1).normal(0, 6, smooth.shape)
    grainy = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    poor, fine = (row_of(grainy, "JPEG", quality=q)["blockiness"] for q in (10, 97))
    assert poor > 1.5
    assert fine < 1.1


def test_brightness_and_colour_cast_are_seen():
    plain = photo()
    darker = properties((plain * 0.6).astype(np.uint8))
    assert darker["mean"] == pytest.approx(properties(plain)["mean"] * 0.6, rel=0.02)
    warm = plain.copy()
    warm[..., 2] = (warm[..., 2] * 0.7).astype(np.uint8)
    assert properties(warm)["blue_ratio"] < properties(plain)["blue_ratio"] - 0.05


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (3, 3), (16, 16), (17, 17), (5, 4000)])
def test_tiny_images_give_numbers_or_nan_but_no_error(shape):
    found = properties(np.full((*shape, 3), 9, dtype=np.uint8))
    texture = {"sharpness", "noise", "blockiness"}
    assert all(math.isfinite(found[name]) for name in found if name not in texture)
    assert math.isnan(found["sharpness"]) == (min(shape) < 3)


def test_thumbnail_is_about_the_mean_of_what_it_covers():
    pixels = photo(height=160, width=320)
    cells = pixels.reshape(32, 5, 32, 10, 3).mean(axis=(1, 3))
    assert np.abs(thumbnail(pixels) - cells).max() <= 4


@pytest.mark.parametrize("side", [100, 120, 240])
def test_a_mirrored_or_turned_image_has_the_mirrored_or_turned_thumbnail(side):
    pixels = photo(height=side, width=side)
    assert np.array_equal(thumbnail(pixels[:, ::-1].copy())[:, ::-1], thumbnail(pixels))
    turned = np.rot90(thumbnail(np.rot90(pixels).copy()), -1)
    assert np.abs(turned.astype(int) - thumbnail(pixels)).max() <= 1
