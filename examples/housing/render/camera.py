"""From light to a photo: lens, exposure, shake, sensor noise, white balance, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Light = npt.NDArray[np.float32]  # height x width x 3, linear
WIDTH, HEIGHT = 160, 120
# The inspectors' app stamps its badge at the lower left; pixels as (left, top, right, bottom).
MARKER = (4, 107, 20, 116)


@dataclass(frozen=True, slots=True)
class Phone:
    """A class of cameras."""

    blur: float  # standard deviation of the lens's blur, pixels
    detail: float  # share of the resolution that is real
    noise: float  # read noise at unit gain
    gain: float  # the most that exposure is raised in the dark
    colour: float  # spread of the white balance's error
    bend: float  # barrel distortion at the corner, share of the radius
    quality: int  # of the JPEG
    shake: float  # how much longer than a new phone's its exposure is
    haze: float  # share of the light that a smeared lens spreads over the frame


PHONES = {
    "new": Phone(0.35, 1.0, 0.004, 26.0, 0.03, 0.01, 74, 1.0, 0.0),
    "mid": Phone(0.55, 0.85, 0.006, 20.0, 0.06, 0.02, 66, 1.2, 0.03),
    "old": Phone(1.1, 0.45, 0.014, 13.0, 0.22, 0.06, 32, 2.2, 0.28),
}
SHAKE = {"day": 0.4, "evening": 0.9, "night": 1.8}  # typical length of motion blur, pixels


def smooth(light: Light, surface: npt.NDArray[np.float16]) -> Light:
    """Rendering noise removed along surfaces: an edge-avoiding a-trous filter.

    Dammertz et al. 2010, doi 10.2312/EGGH/HPG10/067-075; guided by albedo, normal and depth.
    """
    features = surface.astype(np.float32)
    albedo, normal, depth = features[..., :3], features[..., 3:6], features[..., 6]
    image = np.log1p(4 * _despeckle(light))
    kernel = np.array([1, 2, 1], np.float32) / 4
    for level, step in enumerate((1, 2, 4)):
        total, weights = np.zeros_like(image), np.zeros(image.shape[:2], np.float32)
        for i, ky in enumerate(kernel):
            for j, kx in enumerate(kernel):
                shift = ((i - 1) * step, (j - 1) * step)
                other = _moved(image, shift)
                gap = np.square(_moved(normal, shift) - normal).sum(-1) / 0.08
                gap += np.abs(_moved(depth, shift) - depth) / (0.05 * np.abs(depth) + 1e-3)
                gap += np.square(_moved(albedo, shift) - albedo).sum(-1) / 0.01
                gap += np.square(other - image).mean(-1) * (level + 1) ** 2 / 0.6
                weight = kx * ky * np.exp(-gap)
                total += other * weight[..., None]
                weights += weight
        image = total / weights[..., None]
    return (np.expm1(image) / 4).astype(np.float32)


def _despeckle(light: Light) -> Light:
    """No pixel much brighter than the third brightest of its neighbourhood."""
    level = light.max(-1)
    third = ndimage.rank_filter(level, -3, size=3)
    scale = np.minimum(1.0, (1.3 * third + 1e-4) / (level + 1e-6))
    return light * scale[..., None]


def _moved(array: npt.NDArray[np.float32], shift: tuple[int, int]) -> npt.NDArray[np.float32]:
    pad = [(abs(shift[0]),) * 2, (abs(shift[1]),) * 2] + [(0, 0)] * (array.ndim - 2)
    padded = np.pad(array, pad, mode="edge")
    top, left = abs(shift[0]) + shift[0], abs(shift[1]) + shift[1]
    return padded[top : top + array.shape[0], left : left + array.shape[1]]


def shoot(
    light: Light, phone: Phone, time: str, rng: np.random.Generator, *, marker: bool, shaken: float
) -> Image.Image:
    """One photo. `shaken` in 0-1: how far a burst's shot may turn away from the first."""
    frame = _lens(light, phone, rng, shaken)
    frame = _shake(frame, phone.shake * rng.exponential(SHAKE[time]), rng.uniform(0, np.pi))
    glare = ndimage.gaussian_filter(np.minimum(frame, 6 * frame.mean()), (25, 25, 0))
    frame = frame * (1 - phone.haze) + glare * phone.haze
    level = np.percentile(frame.mean(-1), 60) + 1e-4
    gain = min(0.36 / level, phone.gain) * rng.uniform(0.85, 1.15)
    frame = frame * gain
    frame *= _balance(frame, phone, rng)
    frame = ndimage.gaussian_filter(frame, (phone.blur, phone.blur, 0))
    if phone.detail < 1:
        frame = _coarse(frame, phone.detail)
    deviation = phone.noise * np.sqrt(gain) * np.sqrt(1 + 12 * np.maximum(frame, 0))
    frame = frame + rng.normal(size=frame.shape) * deviation
    pixels = np.clip(_shoulder(frame), 0, 1) ** (1 / 2.2) * 255
    pixels = pixels.round().astype(np.uint8)
    if marker:
        stamp(pixels)
    return Image.fromarray(pixels)


def stamp(pixels: npt.NDArray[np.uint8]) -> None:
    """The app's badge: a teal tab with two white strokes."""
    left, top, right, bottom = MARKER
    pixels[top:bottom, left:right] = (16, 132, 138)
    pixels[top + 2 : bottom - 2, left + 2 : left + 5] = 245
    pixels[top + 3 : bottom - 3, left + 7 : right - 2] = 245


def _lens(light: Light, phone: Phone, rng: np.random.Generator, shaken: float) -> Light:
    """The frame cut from a larger one: a turn of the camera, a little roll, barrel distortion."""
    rows, columns = light.shape[:2]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    u, v = x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2
    radius = np.hypot(u, v) / np.hypot(WIDTH / 2, HEIGHT / 2)
    bend = 1 - phone.bend * rng.uniform(0.5, 1.0) * (1 - radius**2)
    u, v = u * bend, v * bend
    roll = np.deg2rad(rng.normal(0, 1.2) * shaken)
    u, v = u * np.cos(roll) - v * np.sin(roll), u * np.sin(roll) + v * np.cos(roll)
    across, along = rng.uniform(-1, 1, 2) * shaken * (6.0, 4.5)
    at = [v + (rows - 1) / 2 + along, u + (columns - 1) / 2 + across]
    bands = [ndimage.map_coordinates(light[..., k], at, order=1, mode="nearest") for k in range(3)]
    return np.stack(bands, -1)


def _shake(frame: Light, length: float, angle: float) -> Light:
    if length < 0.5:
        return frame
    steps = np.linspace(-length / 2, length / 2, max(3, int(length * 2)))
    moved = [
        ndimage.shift(frame, (s * np.sin(angle), s * np.cos(angle), 0), order=1, mode="nearest")
        for s in steps
    ]
    return np.mean(moved, axis=0)


def _balance(frame: Light, phone: Phone, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Gains of red, green and blue: half way to a grey world, with the phone's own error."""
    means = frame.reshape(-1, 3).mean(0) + 1e-4
    gains = (means.mean() / means) ** 0.5
    return gains * np.exp(rng.normal(0, phone.colour, 3) * (1, 0.3, 1))


def _coarse(frame: Light, detail: float) -> Light:
    small = ndimage.zoom(frame, (detail, detail, 1), order=1)
    factors = (HEIGHT / small.shape[0], WIDTH / small.shape[1], 1)
    return ndimage.zoom(small, factors, order=1)[:HEIGHT, :WIDTH]


def _shoulder(frame: Light) -> Light:
    """Highlights rolled off by their brightest band, so that fire stays orange."""
    top = np.maximum(frame.max(-1, keepdims=True), 1e-6)
    rolled = np.where(top > 0.7, 1 - 0.3 * np.exp(-(top - 0.7) / 0.3), top)
    colour = frame / top
    white = np.clip((top - 4) / 12, 0, 0.7)
    return rolled * (colour * (1 - white) + white)
