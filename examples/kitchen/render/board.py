"""The station from above as a height field: what lies where, how high, of which colour.

Lengths are pixels of the shipped photo; the board itself is `FINE` times as fine.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

Floats = npt.NDArray[np.float64]

WIDTH, HEIGHT = 192, 144
FINE = 2
NOBODY = -1


@dataclass(frozen=True)
class Pose:
    """Where a dish lies in a photo: its centre, and by how much it is turned."""

    x: float
    y: float
    turn: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        c, s = cos(self.turn), sin(self.turn)
        return self.x + c * x - s * y, self.y + s * x + c * y


@dataclass(eq=False)
class Board:
    """`colour` (h, w, 3) linear reflectance, `height`, `gloss` and `owner` (h, w).

    `owner` is the number of the component that is seen; `spread` holds each one's whole area,
    hidden or not.
    """

    colour: Floats
    height: Floats
    gloss: Floats
    owner: npt.NDArray[np.int64]
    spread: dict[int, npt.NDArray[np.bool_]]

    @classmethod
    def empty(cls) -> Board:
        shape = (HEIGHT * FINE, WIDTH * FINE)
        return cls(
            np.zeros((*shape, 3)), np.zeros(shape), np.zeros(shape), np.full(shape, NOBODY), {}
        )

    def grid(self) -> tuple[Floats, Floats]:
        """X and y of every point, in pixels of the photo."""
        rows, columns = self.height.shape
        x, y = np.meshgrid((np.arange(columns) + 0.5) / FINE, (np.arange(rows) + 0.5) / FINE)
        return x, y


@dataclass(frozen=True)
class Piece:
    """A lump: half axes `a` and `b`, `power` 2 an ellipse and more a box, `wobble` its outline.

    `flat` 1 is a dome, more a slab. `mottle` varies the colour and `bump` the height by a noise
    with `grain` cells along an axis. `stripes`: (number, strength) of dark bars across.
    """

    a: float
    b: float
    high: float
    colour: tuple[float, float, float]
    power: float = 2.0
    flat: float = 1.0
    wobble: float = 0.06
    mottle: float = 0.12
    bump: float = 0.15
    grain: int = 7
    gloss: float = 0.15
    stripes: tuple[float, float] = (0, 0)
    rise: float = 0.0


def lay(
    board: Board,
    pose: Pose,
    piece: Piece,
    at: tuple[float, float],
    turn: float,
    *,
    owner: int,
    rng: np.random.Generator,
) -> None:
    """Put a piece at a place of the dish; it rests on what lies there and hides what is lower."""
    phases, noise = rng.uniform(0, 6.28, 3), cells(piece.grain, rng)
    x, y = pose.place(*at)
    reach = 1.25 * max(piece.a, piece.b) * (1.2 if piece.power > 2 else 1)
    rows, columns = board.height.shape
    top, bottom = (int(np.clip((y + s * reach) * FINE, 0, rows)) for s in (-1, 1))
    left, right = (int(np.clip((x + s * reach) * FINE, 0, columns)) for s in (-1, 1))
    if bottom - top < 2 or right - left < 2:
        return
    window = np.s_[top:bottom, left:right]
    dx, dy = np.meshgrid(
        (np.arange(left, right) + 0.5) / FINE - x, (np.arange(top, bottom) + 0.5) / FINE - y
    )
    c, s = cos(pose.turn + turn), sin(pose.turn + turn)
    u, v = (c * dx + s * dy) / piece.a, (c * dy - s * dx) / piece.b
    r = (np.abs(u) ** piece.power + np.abs(v) ** piece.power) ** (1 / piece.power)
    angle = np.arctan2(v, u)
    r = r * (1 + piece.wobble * sum(np.cos((k + 2) * angle + phases[k]) for k in range(3)) / 1.5)
    inside = r < 1
    if not inside.any():
        return
    grain = map_coordinates(
        noise, [(v + 1) / 2 * (len(noise) - 1), (u + 1) / 2 * (len(noise) - 1)], order=1,
        mode="nearest",
    )  # fmt: skip
    profile = np.sqrt(np.clip(1 - r ** (2 * piece.flat), 0, 1))
    below = board.height[window][inside].mean() + piece.rise
    high = below + profile * (piece.high + piece.bump * piece.high * grain)
    seen = inside & (high > board.height[window])
    shade = 1 + piece.mottle * grain
    if piece.stripes[0]:
        bars = np.clip(np.cos(u * np.pi * piece.stripes[0]) * 4 - 2.6, 0, 1)
        shade = shade * (1 - piece.stripes[1] * bars)
    colour = np.asarray(piece.colour) * shade[..., None]
    board.colour[window][seen] = np.clip(colour, 0.004, 0.95)[seen]
    board.height[window][seen] = high[seen]
    board.gloss[window][seen] = piece.gloss
    board.owner[window][seen] = owner
    if owner != NOBODY:
        spread = board.spread.setdefault(owner, np.zeros(board.height.shape, dtype=bool))
        spread[window] |= inside


def cells(n: int, rng: np.random.Generator) -> Floats:
    """Noise of about unit spread, `n` bumps along an axis with finer ones on them."""
    coarse = rng.normal(size=(n, n))
    fine = rng.normal(size=(3 * n, 3 * n))
    at = np.linspace(0, n - 1, 3 * n)
    return map_coordinates(coarse, np.meshgrid(at, at, indexing="ij"), order=1) + 0.4 * fine


def field(shape: tuple[int, int], spread: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of unit spread over a whole board."""
    step = max(1, int(spread / 2.5))
    coarse = (-(-shape[0] // step) + 2, -(-shape[1] // step) + 2)
    noise = zoom(gaussian_filter(rng.normal(size=coarse), spread / step), step, order=1)
    return noise[: shape[0], : shape[1]] / noise.std()
