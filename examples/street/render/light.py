"""Light on the ground as the bike's camera sees it: sun, sky and lamp; sheen where it is wet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ground import CELL, COLUMNS, ROWS, WIDTH, Floats, Ground, noise
from scipy import ndimage
from stretches import Frame

EYE = np.array([0.0, 0.0, 1.25], np.float32)
"""The camera: metres right, ahead, up; the lamp hangs below it."""
LAMP = np.array([0.08, 0.12, 0.8], np.float32)


def shaded(made: Ground, frame: Frame) -> Floats:
    """Linear light (rows, columns, 3) that leaves each cell towards the camera."""
    rng = np.random.default_rng([*frame.seed, 3])
    wet = frame.stretch.surface == "wet"
    normal = _normals(np.where(made.water > 0, 0, made.height))
    place = _places(made)
    albedo = made.albedo * (_soaked(rng) if wet else 1.0)
    mud = np.array([0.030, 0.027, 0.022], np.float32)
    turbid = np.clip(made.water / 0.05, 0, 1)[..., None]
    under = np.where(made.water[..., None] > 0, 0.7 * albedo, albedo)
    albedo = turbid * mud + (1 - turbid) * under
    if frame.stretch.light == "day":
        direct, sky = _day(made, normal, frame, rng)
    else:
        direct, sky = _night(place, normal, rng)
    light = albedo * (direct + sky * _openness(made)[..., None])
    if wet:
        light = light + _sheen(made, normal, place, frame, rng)
    return light.astype(np.float32)


def _places(made: Ground) -> Floats:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    return np.stack([(x + 0.5) * CELL - WIDTH / 2, (y + 0.5) * CELL, made.height], -1)


def _normals(height: Floats) -> Floats:
    smooth = ndimage.gaussian_filter(height, 0.7)
    dy, dx = np.gradient(smooth, CELL)
    normal = np.stack([-dx, -dy, np.ones_like(dx)], -1)
    return (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32)


def _openness(made: Ground) -> Floats:
    """How much of the sky a cell sees: less in holes and cracks."""
    level = np.where(made.water > 0, 0, made.height)
    around = ndimage.gaussian_filter(level, 6)
    return np.clip(1 + 9 * (level - around), 0.35, 1.1).astype(np.float32)


def _soaked(rng: np.random.Generator) -> Floats:
    return (0.56 + 0.05 * noise(rng, 0.6))[..., None]


def _day(
    made: Ground, normal: Floats, frame: Frame, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sun (none in rain) with cast shadows, and the sky's light."""
    shared = np.random.default_rng([frame.seed[0], 4, frame.stretch.number])
    strength = 0.0 if frame.stretch.surface == "wet" else shared.choice([0.25, 1.0, 1.8])
    height, turn = np.deg2rad(shared.uniform(28, 60)), shared.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height)])
    lit = np.clip(normal @ sun.astype(np.float32), 0, None) * ~_shadow(made.height, sun)
    leaves = np.clip(0.8 + 0.25 * noise(rng, 0.9), 0.35, 1) if shared.random() < 0.35 else 1.0
    warm = np.array([1.05, 1.0, 0.92], np.float32)
    sky = np.array([0.93, 1.0, 1.08], np.float32) * (1.0 if strength else 1.2)
    return (strength * lit * leaves)[..., None] * warm, sky


def _shadow(height: Floats, sun: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Cells that a higher one between them and the sun darkens."""
    dark = np.zeros(height.shape, dtype=bool)
    flat = np.hypot(sun[0], sun[1])
    for away in range(1, 15):
        shift = (round(-away * sun[1] / flat), round(-away * sun[0] / flat))
        moved = np.roll(height, shift, axis=(0, 1))
        dark |= moved - height > away * CELL * sun[2] / flat + 0.001
    return dark


def _night(place: Floats, normal: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The bike's lamp, and a little light of the town."""
    way = LAMP - place
    far = np.linalg.norm(way, axis=-1, keepdims=True)
    way = way / far
    aim = np.array([rng.normal(0, 0.05), 2.1, 0]) - LAMP
    aim = aim / np.linalg.norm(aim)
    off = 1 - np.clip(-way @ aim.astype(np.float32), 0, 1)
    beam = np.exp(-off / 0.11) + 0.06
    lit = np.clip((normal * way).sum(-1), 0, None) / far[..., 0] ** 2 * beam
    warm = np.array([1.12, 1.0, 0.80], np.float32)
    town = np.array([1.1, 0.95, 0.75], np.float32) * 0.010
    return (1.6 * lit)[..., None] * warm, town


def _sheen(
    made: Ground, normal: Floats, place: Floats, frame: Frame, rng: np.random.Generator
) -> Floats:
    """What the wet film and standing water mirror: sky by day, far lights at night."""
    view = EYE - place
    view /= np.linalg.norm(view, axis=-1, keepdims=True)
    still = made.water > 0
    ripple = (
        np.stack([noise(rng, 0.05), noise(rng, 0.05)], -1) * np.where(still, 0.01, 0.05)[..., None]
    )
    facing = normal.copy()
    facing[..., :2] += ripple
    cosine = np.clip((facing * view).sum(-1), 0.02, 1)
    mirrored = 0.02 + 0.98 * (1 - cosine) ** 5
    film = np.clip(0.55 + 0.35 * noise(rng, 0.35), 0.1, 1.0)
    strength = np.where(still, 1.0, 0.45 * film) * mirrored * (normal[..., 2] > 0.9)
    out = 2 * cosine[..., None] * facing - view
    colour = _sky(out, place, frame)
    return strength[..., None] * colour


def _sky(out: Floats, place: Floats, frame: Frame) -> Floats:
    """What is seen in the direction `out`: clouds, trees along the path; at night street lamps."""
    shared = np.random.default_rng([frame.seed[0], 5, frame.stretch.number])
    steep = np.clip(out[..., 2], 0.05, 1)
    across = place[..., 0] + 4 * out[..., 0] / steep
    along = place[..., 1] + 4 * out[..., 1] / steep
    if frame.stretch.light == "day":
        waves = [shared.uniform(0.5, 1.6, 2) for _ in range(3)]
        clouds = sum(np.sin(a * across + 3 * b) * np.sin(b * along + a) for a, b in waves) / 3
        trees = np.clip(np.abs(across) - 2.2, 0, 1.2) / 1.2
        level = (3.4 + 0.9 * clouds) * (1 - 0.7 * trees)
        return level[..., None] * np.array([0.95, 1.0, 1.05], np.float32)
    spot = np.hypot(across - shared.uniform(-1.5, 1.5), (along - shared.uniform(5, 9)) / 2.5)
    level = 0.05 + 1.1 * np.exp(-((spot / 0.8) ** 2))
    return level[..., None] * np.array([1.15, 0.95, 0.65], np.float32)
