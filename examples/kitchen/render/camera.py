"""From a board to a photo: a lamp, shadows, a lens, a noisy sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from board import FINE, HEIGHT, WIDTH, Board, Floats, field
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

LAMPS = {
    "neutral": (1.0, 1.0, 1.0),
    "warm": (1.12, 1.0, 0.80),
    "heat": (1.38, 0.80, 0.55),
}
"""Red, green, blue of the light; `heat` is the red lamp that keeps plates warm."""


REACH = 12
"""Pixels from which a shadow is looked for."""


@dataclass(frozen=True)
class Light:
    """Where the lamp hangs, in pixels from the middle of the photo, and how bright it is."""

    lamp: str
    x: float
    y: float
    above: float = 150.0
    strength: float = 1.0


def lit(board: Board, light: Light, rng: np.random.Generator) -> Floats:
    """Light that leaves each point towards the camera, (h, w, 3)."""
    x, y = board.grid()
    to_x, to_y = WIDTH / 2 + light.x - x, HEIGHT / 2 + light.y - y
    far = np.sqrt(to_x**2 + to_y**2 + light.above**2)
    lx, ly, lz = to_x / far, to_y / far, light.above / far
    down, across = np.gradient(board.height, 1 / FINE)
    length = np.sqrt(down**2 + across**2 + 1)
    nx, ny, nz = -across / length, -down / length, 1 / length
    facing = np.clip(nx * lx + ny * ly + nz * lz, 0, None)
    falloff = (light.above / far) ** 2
    coarse = board.height.reshape(HEIGHT, FINE, WIDTH, FINE).mean((1, 3))
    around = _fine(gaussian_filter(coarse, 3))
    open_ = np.clip(1 - 0.11 * (around - board.height).clip(0), 0.35, 1)
    direct = facing * falloff * _fine(_unshadowed(coarse, light))
    half = lz + 1
    gleam = np.clip((nx * lx + ny * ly + nz * half) / np.sqrt(lx**2 + ly**2 + half**2), 0, 1)
    gleam = board.gloss * falloff * (0.5 * gleam**60 + 0.06 * gleam**8)
    body = board.colour * (0.24 * open_ + 1.0 * direct)[..., None]
    tint = np.asarray(LAMPS[light.lamp]) * np.exp(rng.normal(0, 0.02, 3))
    return (body + gleam[..., None] * 0.5) * tint * light.strength


def _unshadowed(coarse: Floats, light: Light) -> Floats:
    """How much of the lamp each point sees, 0-1, its shadows soft; on the photo's grid."""
    seen = np.ones(coarse.shape)
    wide = np.pad(coarse, REACH, mode="edge")
    for sway in (-14.0, 0.0, 14.0):
        dx, dy = light.x + sway, light.y - sway
        far = np.hypot(dx, dy)
        blocked = np.zeros(coarse.shape)
        for along in range(1, REACH):
            top, left = (REACH + round(d / far * along) for d in (dy, dx))
            towards = wide[top : top + HEIGHT, left : left + WIDTH]
            over = towards - coarse - along * light.above / far
            np.maximum(blocked, np.clip(over * 1.6, 0, 1), out=blocked)
        seen -= blocked / 3 * 0.9
    return gaussian_filter(seen, 0.7)


def _fine(coarse: Floats) -> Floats:
    return zoom(coarse, FINE, order=1, mode="nearest", grid_mode=True)


def photo(
    board: Board, light: Light, *, steam: float, exposure: float, rng: np.random.Generator
) -> Image.Image:
    """What the station's camera writes, 192 x 144."""
    image = lit(board, light, rng)
    if steam:
        cloud = np.clip(field(board.height.shape, 30, rng) * 0.5 + 0.3, 0, 1) * steam
        image = image * (1 - cloud[..., None]) + 0.55 * cloud[..., None]
    x, y = board.grid()
    corner = np.hypot((x - WIDTH / 2) / WIDTH, (y - HEIGHT / 2) / HEIGHT)
    image = image * (1 - 0.5 * corner**2)[..., None] * exposure
    image = image.reshape(HEIGHT, FINE, WIDTH, FINE, 3).mean((1, 3))
    image = gaussian_filter(image, (0.4, 0.4, 0))
    grain = rng.normal(size=image.shape)
    image = image + grain * np.sqrt(0.00012 * image.clip(0) + 0.000012)
    return Image.fromarray(_developed(image))


def _developed(image: Floats) -> npt.NDArray[np.uint8]:
    """Gamma, with a shoulder in place of a hard clip."""
    x = np.clip(image, 0, None)
    soft = np.where(x < 0.75, x, 0.75 + 0.25 * (1 - np.exp(-(x - 0.75) / 0.25)))
    return np.round(255 * np.clip(soft, 0, 1) ** (1 / 2.2)).astype(np.uint8)
