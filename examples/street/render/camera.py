"""The bike's camera: where each pixel looks, exposure, shake, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ground import CELL, WIDTH, Floats, Ground
from light import EYE
from PIL import Image
from scipy import ndimage
from stretches import Frame

COLUMNS, ROWS = 192, 144
FINE = 3
"""Samples a pixel along each axis."""
PITCH = np.deg2rad(41)
SIGHT = np.deg2rad(44)
"""How far down the camera looks, and its vertical angle of view."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One bike's camera; the two are of one make and differ as two of one make do."""

    blur: float  # standard deviation of the lens's blur, pixels
    noise: float  # read noise at unit gain
    balance: tuple[float, float, float]


CAMERAS = {
    "bike-1": Camera(0.45, 0.0055, (1.02, 1.0, 0.97)),
    "bike-2": Camera(0.50, 0.0060, (0.98, 1.0, 1.03)),
}


@dataclass(frozen=True)
class Taken:
    """A photo, and the true class of each of its pixels (rows, columns)."""

    photo: Image.Image
    classes: npt.NDArray[np.uint8]


def taken(made: Ground, light: Floats, frame: Frame) -> Taken:
    """The frame as the camera stores it."""
    rng = np.random.default_rng([*frame.seed, 6])
    at = _looks_at(rng)
    fine = np.stack(
        [ndimage.map_coordinates(light[..., k], at, order=1, mode="nearest") for k in range(3)], -1
    )
    classes = ndimage.map_coordinates(made.classes, at, order=0, mode="nearest")
    return Taken(_developed(_binned(fine), frame, rng), _commonest(classes))


def _looks_at(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Row and column of the ground that each fine sample sees."""
    rows, columns = ROWS * FINE, COLUMNS * FINE
    v, u = np.mgrid[0:rows, 0:columns].astype(np.float32)
    focal = rows / 2 / np.tan(SIGHT / 2)
    u, v = (u - (columns - 1) / 2) / focal, (v - (rows - 1) / 2) / focal
    roll = rng.normal(0, 0.02)
    u, v = u * np.cos(roll) - v * np.sin(roll), u * np.sin(roll) + v * np.cos(roll)
    pitch = PITCH + rng.normal(0, 0.012)
    down = np.sin(pitch) + v * np.cos(pitch)
    ahead = np.cos(pitch) - v * np.sin(pitch)
    far = EYE[2] / down
    return np.stack([far * ahead / CELL - 0.5, (far * u + WIDTH / 2) / CELL - 0.5])


def _binned(fine: Floats) -> Floats:
    return fine.reshape(ROWS, FINE, COLUMNS, FINE, -1).mean(axis=(1, 3))


def _commonest(classes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The class with the most samples of a pixel; a hazard wins from four of nine."""
    counts = np.stack(
        [_binned((classes == k)[..., None].astype(np.float32))[..., 0] for k in range(4)]
    )
    hazard = counts[1:].argmax(axis=0) + 1
    return np.where(counts[0] <= 5.5 / FINE**2, hazard, 0).astype(np.uint8)


def _developed(frame_light: Floats, frame: Frame, rng: np.random.Generator) -> Image.Image:
    camera = CAMERAS[frame.stretch.camera]
    night = frame.stretch.light == "night"
    light = _shaken(frame_light, rng.exponential(1.2 if night else 0.5))
    level = float(np.percentile(light.mean(-1), 55)) + 1e-4
    gain = min((0.13 if night else 0.20) / level, 30.0) * rng.uniform(0.85, 1.15)
    tint = np.array(camera.balance) * np.exp(rng.normal(0, 0.02, 3))
    light = ndimage.gaussian_filter(light * gain * tint, (camera.blur, camera.blur, 0))
    v, u = np.mgrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
    light *= (1 - 0.14 * (u**2 + v**2))[..., None]
    deviation = camera.noise * (2.2 if night else 1.0) * np.sqrt(1 + 10 * np.maximum(light, 0))
    light = light + rng.normal(size=light.shape) * deviation
    if night:
        # Little light, much gain: the camera's noise reduction takes colour away.
        grey = light.mean(-1, keepdims=True)
        light = 0.45 * light + 0.55 * grey * np.array([1.06, 1.0, 0.92])
    rolled = np.where(light > 0.7, 1 - 0.3 * np.exp(-(light - 0.7) / 0.3), light)
    pixels = np.clip(rolled, 0, 1) ** (1 / 2.2) * 255
    return Image.fromarray(pixels.round().astype(np.uint8))


def _shaken(light: Floats, length: float) -> Floats:
    """Blur along the ride, in pixels."""
    if length < 0.5:
        return light
    steps = np.linspace(-length / 2, length / 2, 5)
    moved = [ndimage.shift(light, (s, 0, 0), order=1, mode="nearest") for s in steps]
    return np.mean(moved, axis=0)
