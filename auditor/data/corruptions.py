"""Corruptions of a frame in ImageNet-C's sense: fifteen kinds, each in five severities.

Kinds and constants are those of Hendrycks & Dietterich (2019), arXiv:1903.12261, and of Kar, Yeo,
Atanov & Zamir (2022), arXiv:2203.01441 (low light with sensor noise, colour depth); low resolution
halves the picture's sides and more, by averages. The operators are written anew, with whole numbers
and tables, so that a frame of 224 x 224 takes well under a millisecond and gives the same pixels on
every machine.

An operator takes a frame (h, w, 3) uint8, the constants of its severity, and a `Chance`, and gives
a frame of the same shape. Where the three channels of a frame are the same, it is a grey picture:
noise is drawn once for all three, and it has no colour to change.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.data.chance import Chance, Draw
from auditor.data.pixels import MOST, Frame, PixelSum, joined, mapped, padded, planes, rounded
from auditor.data.plasma import plasma_maps


def gaussian_noise(frame: Frame, sd: float, chance: Chance) -> Frame:
    """Normal noise of `sd`, a share of white."""
    return _added(frame, _drawn(_normal_noise, frame, sd, chance))


def shot_noise(frame: Frame, photons: float, chance: Chance) -> Frame:
    """As many photons as a Poisson law gives, where white is `photons` of them."""
    return _looked_up(frame, _poisson_table(photons), chance)


def impulse_noise(frame: Frame, share: float, chance: Chance) -> Frame:
    """A share of the values becomes black or white, as many of the one as of the other."""
    return _added(frame, _drawn(_impulses, frame, share, chance))


def low_light(frame: Frame, severity: tuple[float, float, float], chance: Chance) -> Frame:
    """Darkened to a share of white with a gamma of 2, then photon noise and read-out noise.

    `severity` are that share, the photons of white, and the read-out noise's share of white.
    """
    most, photons, read = severity
    low, high = (int(frame.min()), int(frame.max()))
    low, high = (low, high) if low < high else (0, 255)
    levels = np.clip((np.arange(256) - low) / (high - low), 0, 1) ** 2
    dimmed = mapped(frame, np.rint(255 * levels))
    lit = _looked_up(dimmed, _poisson_table(photons, most), chance)
    return _added(lit, _drawn(_normal_noise, frame, read, chance.again("read-out")))


def defocus_blur(frame: Frame, radius: int, chance: Chance) -> Frame:
    """The average over a disk of `radius` pixels; edges are mirrored."""
    height, width, _ = frame.shape
    drawn_out = padded(frame, radius, mirror=True)
    columns: dict[int, list[int]] = {}
    for across in range(-radius, radius + 1):
        columns.setdefault(math.isqrt(radius**2 - across**2), []).append(across)
    # Pixels above and below are summed once for all columns of the disk that reach as far.
    run = drawn_out[radius : radius + height].copy()
    total = PixelSum((height, 3 * width))
    for reach in range(radius + 1):
        if reach:
            run += drawn_out[radius - reach : radius - reach + height]
            run += drawn_out[radius + reach : radius + reach + height]
        for across in columns.get(reach, ()):
            at = 3 * (radius + across)
            total.add(run[:, at : at + 3 * width], most=255 * (2 * reach + 1))
    return total.over(total.added_most / 255).reshape(frame.shape)


def motion_blur(frame: Frame, severity: tuple[int, float], chance: Chance) -> Frame:
    """A trail of ``2 * radius + 1`` pixels that fades by a normal law, at up to 45 degrees.

    `severity` are radius and standard deviation in pixels; edges are drawn out. As ImageMagick's
    motion blur, which the published one uses.
    """
    radius, sd = severity
    weights = _trail(radius, sd)
    angle = math.radians(90 * chance.share - 45)
    height, width, _ = frame.shape
    drawn_out = padded(frame, len(weights), mirror=False)
    total = np.zeros((height, 3 * width), dtype=np.uint16)
    run = np.zeros((height, 3 * width), dtype=np.uint16)
    for i, weight in enumerate(weights):
        down, across = (math.ceil(i * part - 0.5) for part in (math.sin(angle), math.cos(angle)))
        top, left = len(weights) + down, 3 * (len(weights) + across)
        run += drawn_out[top : top + height, left : left + 3 * width]
        # The trail only fades: it is a sum of even trails, the longest first to the shortest.
        step = weight - (weights[i + 1] if i + 1 < len(weights) else 0)
        if step:
            total += run * np.uint16(step)
    return rounded(total, 1 / 256).reshape(frame.shape)


def zoom_blur(frame: Frame, zooms: tuple[float, float, int], chance: Chance) -> Frame:
    """The average of the frame and of its magnifications around the centre.

    `zooms` are the largest, the step, and how many there are from 1 on.
    """
    _, step, count = zooms
    height, width, _ = frame.shape
    packed = np.asarray(Image.fromarray(frame).convert("RGBX")).view("<u4").ravel()
    # Two values side by side in four bytes are summed at once: 17 of them stay below 65,536.
    lanes = np.uint32(0x00FF00FF)
    # The frame itself counts twice.
    even, odd = 2 * (packed & lanes), 2 * (packed >> np.uint32(8) & lanes)
    for i in range(1, count):
        seen = packed.take(_magnified(height, width, 1 + i * step), mode="clip")
        even += seen & lanes
        seen >>= np.uint32(8)
        odd += seen & lanes
    sums = (even & np.uint32(MOST), odd & np.uint32(MOST), even >> np.uint32(16))
    return joined([rounded(one, 1 / (count + 1)) for one in sums]).reshape(frame.shape)


def fog(frame: Frame, severity: tuple[float, float], chance: Chance) -> Frame:
    """Clouds of `severity`'s first number, of a roughness that falls by its second an octave."""
    much, decay = severity
    height, width, _ = frame.shape
    clouds = plasma_maps(max(height, width), decay, chance)[:height, :width]
    most = max(float(frame.max()) / 255, 1 / 255)
    share = most / (most + much)
    # In 256ths: with the clouds' part they stay below what two bytes hold.
    haze = np.uint16(round(256 * share * much))
    kept = np.uint16(256 * share)
    hazy = np.repeat(clouds * haze, 3, axis=1).reshape(frame.shape)
    return rounded(frame * kept + hazy, 1 / 256)


def brightness(frame: Frame, more: float, chance: Chance) -> Frame:
    """The value (of hue, saturation and value) of every pixel raised by a share of white."""
    channels = planes(frame)
    largest = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    strength = _brightened(more).take(largest, mode="clip")
    raised = [rounded(plane * strength, 1) for plane in channels]
    # Black has no colour to be scaled.
    grey = np.where(largest == 0, np.uint8(round(255 * more)), np.uint8(0))
    return joined([np.maximum(plane, grey) for plane in raised])


def contrast(frame: Frame, share: float, chance: Chance) -> Frame:
    """Every value moved towards its channel's mean, of which a `share` of the distance is left."""
    height, width, _ = frame.shape
    by_column = frame.reshape(height, 3 * width).sum(axis=0, dtype=np.int64)
    means = by_column.reshape(width, 3).sum(axis=0) / (height * width)
    tables = means[:, None] + (np.arange(256) - means[:, None]) * share
    said = np.clip(np.rint(tables), 0, 255).astype(int).ravel().tolist()
    return np.asarray(Image.fromarray(frame).point(said))


def saturate(frame: Frame, severity: tuple[float, float], chance: Chance) -> Frame:
    """The saturation (of hue, saturation and value) times the first number, plus the second."""
    if is_grey(frame):
        return frame
    channels = planes(frame)
    largest = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    least = np.minimum(np.minimum(channels[0], channels[1]), channels[2])
    at = (largest.astype(np.uint16) << np.uint16(8)) | least
    strength = _saturation(severity).take(at, mode="clip")
    moved = [largest - (largest - plane) * strength for plane in channels]
    if severity[1]:
        # A pixel without a hue counts as red.
        tint = np.where(largest == least, largest * np.float32(severity[1]), np.float32(0))
        moved[1:] = [channel - tint for channel in moved[1:]]
    return joined([rounded(channel, 1) for channel in moved])


def pixelate(frame: Frame, share: float, chance: Chance) -> Frame:
    """Sides cut to a `share` by averages, and drawn out again without smoothing."""
    small = np.asarray(_shrunk(frame, share))
    rows, columns = (
        (2 * np.arange(side) + 1) * cells // (2 * side)
        for side, cells in zip(frame.shape[:2], small.shape[:2], strict=True)
    )
    return np.asarray(small.take(rows, axis=0).take(columns, axis=1))


def low_resolution(frame: Frame, share: float, chance: Chance) -> Frame:
    """Sides cut to a `share` by averages, and drawn out again smoothly."""
    small = _shrunk(frame, share)
    return np.asarray(small.resize(frame.shape[1::-1], Image.Resampling.BILINEAR))


def jpeg(frame: Frame, quality: int, chance: Chance) -> Frame:
    """Stored as a JPEG of `quality` and read again."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def colour_depth(frame: Frame, bits: int, chance: Chance) -> Frame:
    """The first `bits` of every value."""
    return mapped(frame, np.arange(256) & ~(255 >> bits))


@dataclass(frozen=True)
class Kind:
    """A kind of corruption: its operator, and the operator's constants by severity, 1 to 5."""

    operator: Callable[[Frame, Any, Chance], Frame]
    constants: tuple[Any, Any, Any, Any, Any]

    def __call__(self, frame: Frame, severity: int, chance: Chance) -> Frame:
        return self.operator(frame, self.constants[severity - 1], chance)


KINDS: Mapping[str, Kind] = {
    "gaussian-noise": Kind(gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot-noise": Kind(shot_noise, (60, 25, 12, 5, 3)),
    "impulse-noise": Kind(impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
    "low-light": Kind(
        low_light,
        ((0.6, 600, 0.008), (0.5, 250, 0.012), (0.4, 120, 0.018), (0.3, 50, 0.026),
         (0.2, 30, 0.038)),
    ),
    "defocus-blur": Kind(defocus_blur, (3, 4, 6, 8, 10)),
    "motion-blur": Kind(motion_blur, ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))),
    "zoom-blur": Kind(
        zoom_blur,
        ((1.1, 0.01, 11), (1.15, 0.01, 16), (1.2, 0.02, 11), (1.24, 0.02, 13), (1.3, 0.03, 11)),
    ),
    "low-resolution": Kind(low_resolution, (1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8)),
    "fog": Kind(fog, ((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))),
    "brightness": Kind(brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": Kind(contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
    "saturate": Kind(saturate, ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))),
    "pixelate": Kind(pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
    "jpeg": Kind(jpeg, (25, 18, 15, 10, 7)),
    "colour-depth": Kind(colour_depth, (5, 4, 3, 2, 1)),
}  # fmt: skip
"""Every kind by name: noise, blur, weather and light, then what files lose."""


def is_grey(frame: np.ndarray) -> bool:
    """Whether the three channels of a frame are the same."""
    # A few pixels tell most pictures in colour.
    few = frame[:: max(len(frame) // 8, 1)]
    return bool(all((part[..., 0] == part[..., c]).all() for part in (few, frame) for c in (1, 2)))


def _added(frame: Frame, noise: NDArray[np.int16]) -> Frame:
    """Noise (h, w, 3 or 1) added and cut to what a pixel can be."""
    return np.asarray(np.clip(frame.astype(np.int16) + noise, 0, 255).astype(np.uint8))


def _looked_up(frame: Frame, table: NDArray[np.uint8], chance: Chance) -> Frame:
    """Each value by one of its row in a table (256, 256) of equally likely ones."""
    at = frame.astype(np.uint16) << np.uint16(8)
    at |= _drawn(_levels, frame, 256, chance)
    return table.ravel().take(at, mode="clip")


def _drawn(draw: Draw, frame: Frame, how: float, chance: Chance) -> np.ndarray:
    """Random numbers for a frame, (h, w, 3); for a grey one (h, w, 1)."""
    height, width, _ = frame.shape
    return chance.drawn(draw, (height, width, 1 if is_grey(frame) else 3), how)


def _normal_noise(rng: np.random.Generator, size: int, sd: float) -> NDArray[np.int16]:
    return np.asarray(
        np.rint(rng.standard_normal(size, dtype=np.float32) * (255 * sd)).astype(np.int16)
    )


def _impulses(rng: np.random.Generator, size: int, share: float) -> NDArray[np.int16]:
    drawn = rng.random(size, dtype=np.float32)
    return np.where(drawn < share, np.where(drawn < share / 2, -255, 255), 0).astype(np.int16)


def _levels(rng: np.random.Generator, size: int, levels: float) -> NDArray[np.uint8]:
    return (rng.random(size, dtype=np.float32) * levels).astype(np.uint8)


@lru_cache(maxsize=16)
def _poisson_table(photons: float, most: float = 1.0) -> NDArray[np.uint8]:
    """What a value becomes, (256, 256): quantiles of a Poisson law, equally likely.

    Full value stands for ``most * photons`` photons, and `photons` are white.
    """
    from scipy.special import pdtr

    expected = np.arange(256) / 255 * most * photons
    # Twelve standard deviations above it there is nothing left of a law.
    up_to = np.arange(int(expected[-1] + 12 * math.sqrt(expected[-1])) + 20)
    share = (np.arange(256) + 0.5) / 256
    counts = np.stack([np.searchsorted(pdtr(up_to, mean), share) for mean in expected])
    return np.asarray(np.rint(np.clip(counts / photons, 0, 1) * 255).astype(np.uint8))


@lru_cache(maxsize=8)
def _trail(radius: int, sd: float) -> tuple[int, ...]:
    """Weights in 256ths, falling, of a trail; those that round to nothing are left out."""
    exact = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sd**2))
    # Rounding the sums and not the weights keeps their sum at 256.
    ends = np.rint(256 * np.cumsum(exact) / exact.sum())
    weights = np.sort(np.diff(ends, prepend=0))[::-1].astype(int)
    return tuple(w for w in weights.tolist() if w)


@lru_cache(maxsize=64)
def _magnified(height: int, width: int, zoom: float) -> NDArray[np.intp]:
    """For each pixel of a frame the place of the one that a magnification shows there."""
    sides = []
    for length in (height, width):
        at = (np.arange(length) + 0.5 - length / 2) / zoom + length / 2
        sides.append(np.clip(np.floor(at), 0, length - 1).astype(np.intp))
    return np.asarray((sides[0][:, None] * width + sides[1]).ravel())


@lru_cache(maxsize=8)
def _brightened(more: float) -> NDArray[np.float32]:
    """By the largest channel: its value raised by a share of white, over what it was, (256,)."""
    largest = np.arange(256)
    return np.asarray(
        (np.minimum(largest + 255 * more, 255) / np.maximum(largest, 1)).astype(np.float32)
    )


@lru_cache(maxsize=8)
def _saturation(severity: tuple[float, float]) -> NDArray[np.float32]:
    """By the largest channel times 256 plus the least: new over old saturation, (65536,)."""
    largest, least = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    old = (largest - least) / np.maximum(largest, 1)
    new = np.clip(old * severity[0] + severity[1], 0, 1)
    found = np.divide(new, old, out=np.zeros_like(old), where=old > 0)
    return found.astype(np.float32).ravel()


def _shrunk(frame: Frame, share: float) -> Image.Image:
    height, width, _ = frame.shape
    size = (max(1, int(width * share)), max(1, int(height * share)))
    return Image.fromarray(frame).resize(size, Image.Resampling.BOX)
