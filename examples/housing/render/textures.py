"""Procedural bitmaps for the rooms: floors, walls, cloth, posters. Everything from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Bitmap = npt.NDArray[np.float32]  # height x width x 3, linear reflectance in 0-1
Colour = npt.NDArray[np.float64]

PAINTS = np.array(
    [
        [0.82, 0.80, 0.74],
        [0.74, 0.78, 0.80],
        [0.80, 0.74, 0.66],
        [0.70, 0.76, 0.68],
        [0.84, 0.82, 0.80],
        [0.78, 0.72, 0.74],
    ]
)
CLOTHS = np.array(
    [
        [0.12, 0.20, 0.42],
        [0.45, 0.12, 0.14],
        [0.14, 0.34, 0.22],
        [0.55, 0.50, 0.42],
        [0.30, 0.30, 0.34],
        [0.50, 0.36, 0.14],
        [0.34, 0.18, 0.38],
        [0.62, 0.60, 0.58],
    ]
)
WOODS = np.array([[0.42, 0.27, 0.15], [0.55, 0.40, 0.24], [0.30, 0.19, 0.11], [0.62, 0.50, 0.34]])


def pick(colours: npt.NDArray[np.float64], rng: np.random.Generator) -> Colour:
    """One of the colours, varied a little."""
    colour = colours[rng.integers(len(colours))] * rng.uniform(0.85, 1.15)
    return np.clip(colour + rng.normal(0, 0.02, 3), 0.02, 0.92)


def smooth_noise(size: int, cells: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Value noise in -1..1, `cells` bumps along an edge."""
    coarse = rng.uniform(-1, 1, (cells + 1, cells + 1))
    at = np.linspace(0, cells, size, endpoint=False)
    low = at.astype(int)
    share = at - low
    rows = coarse[low] * (1 - share[:, None]) + coarse[low + 1] * share[:, None]
    return rows[:, low] * (1 - share) + rows[:, low + 1] * share


def mottled(colour: Colour, amount: float, rng: np.random.Generator, size: int = 64) -> Bitmap:
    """Paint or carpet: one colour with slow and fast variation."""
    grain = 0.6 * smooth_noise(size, 6, rng) + 0.4 * rng.uniform(-1, 1, (size, size))
    return _finish(colour * (1 + amount * grain[..., None]))


def planks(colour: Colour, rng: np.random.Generator, size: int = 128) -> Bitmap:
    """Floor boards along the second axis."""
    board = 16
    tint = np.repeat(rng.uniform(0.8, 1.15, size // board), board)
    grain = smooth_noise(size, 24, rng) * 0.08
    image = colour * (tint[:, None] * (1 + grain))[..., None]
    image[::board] *= 0.45
    return _finish(image)


def tiles(colour: Colour, rng: np.random.Generator, size: int = 128) -> Bitmap:
    """Linoleum tiles in two shades."""
    side = 16
    index = np.arange(size) // side
    check = (index[:, None] + index[None, :]) % 2
    image = colour * np.where(check, 1.0, rng.uniform(0.75, 0.9))[..., None]
    return _finish(image * (1 + 0.05 * smooth_noise(size, 32, rng)[..., None]))


def wallpaper(colour: Colour, rng: np.random.Generator, size: int = 96) -> Bitmap:
    """Vertical stripes, as in old halls."""
    width = int(rng.choice([4, 6, 8]))
    stripe = (np.arange(size) // width) % 2
    image = np.ones((size, size, 1)) * colour * np.where(stripe, 1.0, 0.88)[None, :, None]
    return _finish(image)


def concrete(rng: np.random.Generator, size: int = 96) -> Bitmap:
    """Painted concrete panels with joints."""
    image = np.ones((size, size, 3)) * rng.uniform(0.6, 0.75)
    image *= 1 + 0.06 * smooth_noise(size, 12, rng)[..., None]
    image[:: size // 3] *= 0.8
    image[:, :: size // 3] *= 0.8
    return _finish(image)


def woven(rng: np.random.Generator, size: int = 64) -> Bitmap:
    """Blankets, rugs and tapestries: plain, striped, checked or patterned cloth."""
    first, second = pick(CLOTHS, rng), pick(CLOTHS, rng)
    along, across = np.meshgrid(np.arange(size), np.arange(size))
    period = int(rng.choice([8, 12, 16, 24]))
    patterns: list[Callable[[], npt.NDArray[np.bool_]]] = [
        lambda: np.zeros((size, size), bool),
        lambda: (along // period) % 2 == 1,
        lambda: ((along // period) + (across // period)) % 2 == 1,
        lambda: np.hypot(along % period - period / 2, across % period - period / 2) < period / 3,
    ]
    mask = patterns[rng.integers(len(patterns))]()
    return _finish(np.where(mask[..., None], second, first))


def poster(rng: np.random.Generator, size: int = 48) -> Bitmap:
    """A print: coloured ground, a few shapes, a line of text."""
    image = np.ones((size, size, 3)) * rng.uniform(0.05, 0.85, 3)
    along, across = np.meshgrid(np.arange(size), np.arange(size))
    for _ in range(int(rng.integers(2, 6))):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(4, 16)
        colour = rng.uniform(0.05, 0.85, 3)
        if rng.random() < 0.5:
            shape = np.hypot(along - x, across - y) < r
        else:
            shape = (abs(along - x) < r) & (abs(across - y) < r * rng.uniform(0.3, 1.5))
        image[shape] = colour
    image[size - 8 : size - 5, 6 : size - 6] = rng.uniform(0.0, 0.9)
    return _finish(image)


def leaf_pattern(rng: np.random.Generator, size: int = 64) -> Bitmap:
    """A tapestry's mandala: rings and rays in three colours."""
    along, across = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    radius, angle = np.hypot(along, across), np.arctan2(across, along)
    wave = np.sin(radius * rng.uniform(10, 22)) + np.cos(angle * int(rng.integers(5, 13)))
    bands = np.digitize(wave, [-0.6, 0.6])
    colours = np.stack([pick(CLOTHS, rng), pick(CLOTHS, rng), rng.uniform(0.2, 0.7, 3)])
    return _finish(colours[bands])


def door_panel(rng: np.random.Generator, size: int = 64) -> Bitmap:
    """A door leaf with two recessed panels."""
    image = np.ones((size, size, 3)) * pick(np.vstack([WOODS, PAINTS[:2] * 0.7]), rng)
    for top, bottom in ((6, 28), (36, 58)):
        image[top:bottom, 10 : size - 10] *= 0.75
        image[top + 2 : bottom - 2, 12 : size - 12] *= 1.2
    return _finish(image)


def cardboard(rng: np.random.Generator, size: int = 32) -> Bitmap:
    """A moving box: brown with a strip of tape."""
    image = np.ones((size, size, 3)) * np.array([0.47, 0.32, 0.18]) * rng.uniform(0.85, 1.2)
    image[size // 2 - 2 : size // 2 + 2] *= 1.35
    return _finish(image)


def screen(rng: np.random.Generator, size: int = 32) -> Bitmap:
    """What a monitor shows, as emitted light."""
    image = np.ones((size, size, 3)) * np.array([0.25, 0.35, 0.6])
    image[4:8, 3 : int(rng.integers(12, 28))] = 0.9
    image[12:28, 3:14] = rng.uniform(0.1, 0.8, 3)
    return _finish(image)


def _finish(image: npt.NDArray[np.float64]) -> Bitmap:
    return np.clip(image, 0.01, 0.95).astype(np.float32)
