"""Clouds: plasma fractals by the diamond-square algorithm, as fog is drawn with.

Fournier, Fussell & Carpenter (1982), doi:10.1145/358523.358553.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from auditor.data.chance import Chance

_MAPS = 4
"""Maps of each roughness; an image takes one of them, shifted and mirrored."""


def plasma_maps(side: int, decay: float, chance: Chance) -> NDArray[np.uint16]:
    """Clouds of at least `side` squared, 0 to 255; their roughness falls by `decay` an octave.

    The maps have no edge, so that one shifted around is as likely as itself.
    """
    number = chance.number
    size = 1 << max(int(np.ceil(np.log2(max(side, 2)))), 1)
    drawn = _doubled(size, decay, chance.seed, number % _MAPS)
    top, left = (number >> 8) % size, (number >> 32) % size
    found = drawn[top : top + size, left : left + size]
    found = found[::-1] if number >> 4 & 1 else found
    return found[:, ::-1] if number >> 5 & 1 else found


@lru_cache(maxsize=32)
def _doubled(size: int, decay: float, seed: int, which: int) -> NDArray[np.uint16]:
    """A map beside and above itself, of which any window is a map."""
    rng = np.random.default_rng([seed, 0xF0, which])
    return np.tile(np.rint(255 * diamond_square(size, decay, rng)).astype(np.uint16), (2, 2))


def diamond_square(size: int, decay: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A map (size, size) of 0 to 1 without edges; `size` is a power of two."""
    found = np.zeros((size, size))
    step, wobble = size, 100.0
    while step >= 2:
        half = step // 2
        corners = found[::step, ::step]
        squares = corners + np.roll(corners, -1, axis=0)
        squares = squares + np.roll(squares, -1, axis=1)
        found[half::step, half::step] = squares / 4 + _shaken(squares, wobble, rng)
        centres = found[half::step, half::step]
        right, below = np.roll(corners, -1, axis=1), np.roll(corners, -1, axis=0)
        beside = centres + np.roll(centres, 1, axis=0) + corners + right
        found[::step, half::step] = beside / 4 + _shaken(beside, wobble, rng)
        beneath = centres + np.roll(centres, 1, axis=1) + corners + below
        found[half::step, ::step] = beneath / 4 + _shaken(beneath, wobble, rng)
        step, wobble = half, wobble / decay
    found -= found.min()
    return np.asarray(found / max(found.max(), 1e-12))


def _shaken(like: np.ndarray, wobble: float, rng: np.random.Generator) -> np.ndarray:
    return wobble * rng.uniform(-wobble, wobble, like.shape)
