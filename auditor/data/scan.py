"""One row for every image of a split: what it is, what it looks like, how it may be recognised.

Colours are measured on every k-th row and column, texture on the middle of the image at its own
resolution, so that a large photograph costs no more than a small one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from auditor.data.images import Decoded

SCAN_VERSION = 4
"""Changes when the same image would be described otherwise."""

THUMBNAIL = 32
"""Side of the thumbnail that near-duplicates are found by."""

PROPERTY_NAMES = (
    "mean",
    "std",
    "p1",
    "p99",
    "saturated_share",
    "sharpness",
    "noise",
    "red_ratio",
    "blue_ratio",
    "saturation",
    "entropy",
    "blockiness",
    "width",
    "height",
    "aspect",
    "bytes",
)
"""Numbers that say how an image was taken and stored; NaN where an image is too small for one.

mean, std, p1, p99: of grey (0-255). saturated_share: share of grey pixels at 0 or 255.
sharpness: variance of the Laplacian of grey. noise: standard deviation in grey levels, the robust
form (median) of Immerkaer (1996, doi:10.1006/cviu.1996.0060). red_ratio, blue_ratio: share of
red and blue in all light (1/3 each in a grey image). saturation: mean of (max - min) / max over
channels. entropy: bits, of the grey histogram. blockiness: mean step across the borders of 8 x 8
blocks over the mean step elsewhere (1 without JPEG blocks).
"""

SCAN_COLUMNS = (
    "image_id",
    "readable",
    "error",
    "sha256",
    "pixel_sha256",
    "format",
    "mode",
    "bits",
    "exif_rotated",
    "has_alpha",
    "frames",
    "highest",
    "thumbnail",
    *PROPERTY_NAMES,
)
"""Columns of a scan. `error` is "" for readable images; `sha256` is of the file, `pixel_sha256`
of the decoded pixels; `highest` is the largest value stored; `thumbnail` holds 32 x 32 RGB bytes.
Of unreadable images the texts are empty, counts 0, properties NaN."""

_COLOUR_PIXELS = 1 << 15
_TEXTURE_SIDE = 192
_BLOCK = 8
_LEVELS = np.arange(256)


def describe(image_id: str, decoded: Decoded, content: bytes) -> dict[str, Any]:
    """The row of an image that was decoded; `content` is its file."""
    facts = decoded.facts
    return {
        "image_id": image_id,
        "readable": True,
        "error": "",
        "sha256": hashlib.sha256(content).hexdigest(),
        "pixel_sha256": _pixel_digest(decoded.pixels),
        "format": facts.format,
        "mode": facts.mode,
        "bits": facts.bits,
        "exif_rotated": facts.exif_rotated,
        "has_alpha": facts.has_alpha,
        "frames": facts.frames,
        "highest": facts.highest,
        "thumbnail": thumbnail(decoded.pixels).tobytes(),
        **properties(decoded.pixels),
        "bytes": float(facts.bytes),
    }


def unreadable_row(image_id: str, content: bytes, error: str) -> dict[str, Any]:
    """The row of an image that could not be decoded, and why."""
    return {
        "image_id": image_id,
        "readable": False,
        "error": error,
        "sha256": hashlib.sha256(content).hexdigest(),
        "pixel_sha256": "",
        "format": "",
        "mode": "",
        "bits": 0,
        "exif_rotated": False,
        "has_alpha": False,
        "frames": 0,
        "highest": math.nan,
        "thumbnail": b"",
        **dict.fromkeys(PROPERTY_NAMES, math.nan),
        "bytes": float(len(content)),
    }


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Thumbnail, (32, 32, 3) uint8, each cell a mean of what it covers and of what is next to it.

    A mirrored image has the mirrored thumbnail, whatever its size: the mean of boxes whose edges
    lie between pixels has not.
    """
    side = (THUMBNAIL, THUMBNAIL)
    return np.asarray(Image.fromarray(pixels).resize(side, Image.Resampling.HAMMING))


def properties(pixels: np.ndarray) -> Mapping[str, float]:
    """`PROPERTY_NAMES` of pixels (h, w, 3) uint8, without ``bytes``."""
    height, width = pixels.shape[:2]
    return {
        **_light(pixels),
        **_texture(_middle_grey(pixels)),
        "width": float(width),
        "height": float(height),
        "aspect": width / height,
    }


def _pixel_digest(pixels: np.ndarray) -> str:
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _light(pixels: np.ndarray) -> dict[str, float]:
    height, width = pixels.shape[:2]
    step = max(1, math.ceil(math.sqrt(height * width / _COLOUR_PIXELS)))
    some = np.ascontiguousarray(pixels[::step, ::step])
    grey = np.bincount(np.asarray(Image.fromarray(some).convert("L")).ravel(), minlength=256)
    share = grey / grey.sum()
    cumulative = share.cumsum()
    mean = float(share @ _LEVELS)
    present = share[share > 0]
    return {
        "mean": mean,
        "std": math.sqrt(max(0.0, float(share @ (_LEVELS - mean) ** 2))),
        "p1": float(np.searchsorted(cumulative, 0.01)),
        "p99": float(np.searchsorted(cumulative, 0.99)),
        "saturated_share": float(share[0] + share[255]),
        "entropy": abs(float(-(present @ np.log2(present)))),
        **_colour(some),
    }


def _colour(pixels: np.ndarray) -> dict[str, float]:
    red, green, blue = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
    sums = [float(channel.sum(dtype=np.int64)) for channel in (red, green, blue)]
    total = sum(sums)
    high = np.maximum(np.maximum(red, green), blue)
    low = np.minimum(np.minimum(red, green), blue)
    # Black pixels have no colour: 0 / 1.
    saturation = (high - low) / np.maximum(high, 1).astype(np.float32)
    return {
        "red_ratio": sums[0] / total if total else 1 / 3,
        "blue_ratio": sums[2] / total if total else 1 / 3,
        "saturation": float(saturation.mean(dtype=np.float64)),
    }


def _middle_grey(pixels: np.ndarray) -> np.ndarray:
    """Grey (h, w) int16 of the middle 192 x 192, begun on a border of 8 x 8 blocks."""
    starts = [max(0, (side - _TEXTURE_SIDE) // 2) // _BLOCK * _BLOCK for side in pixels.shape[:2]]
    rows, columns = (slice(start, start + _TEXTURE_SIDE) for start in starts)
    middle = np.ascontiguousarray(pixels[rows, columns])
    return np.asarray(Image.fromarray(middle).convert("L")).astype(np.int16)


def _texture(grey: np.ndarray) -> dict[str, float]:
    if min(grey.shape) < 3:
        return {"sharpness": math.nan, "noise": math.nan, "blockiness": math.nan}
    across = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    down = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    laplacian = across[1:-1] + down[:, 1:-1]
    both = across[:-2] - 2 * across[1:-1] + across[2:]
    return {
        "sharpness": float(laplacian.var(dtype=np.float64)),
        "noise": _median_of_counts(np.abs(both)) / (6 * 0.6745),
        "blockiness": _blockiness(grey),
    }


def _median_of_counts(values: np.ndarray) -> float:
    """Median of small non-negative integers, interpolated within its level (ties are common)."""
    counts = np.bincount(values.ravel())
    cumulative = counts.cumsum()
    half = cumulative[-1] / 2
    level = int(np.searchsorted(cumulative, half))
    below = int(cumulative[level - 1]) if level else 0
    within = (half - below) / counts[level]
    return level - 0.5 + within if level else 0.0


def _blockiness(grey: np.ndarray) -> float:
    if min(grey.shape) <= 2 * _BLOCK:
        return math.nan
    at_borders, elsewhere = [], []
    for image in (grey, grey.T):
        steps = np.abs(np.diff(image, axis=1)).mean(axis=0, dtype=np.float64)
        border = np.arange(1, steps.size + 1) % _BLOCK == 0
        at_borders.append(steps[border].mean())
        elsewhere.append(steps[~border].mean())
    # A quarter level on both sides keeps flat images at 1.
    return float((sum(at_borders) + 0.25) / (sum(elsewhere) + 0.25))
