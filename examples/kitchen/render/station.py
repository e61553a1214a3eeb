"""The station: brushed steel, a plate with its rim and its logo, what else lies about."""

from __future__ import annotations

import numpy as np
from board import FINE, HEIGHT, NOBODY, WIDTH, Board, Piece, Pose, field, lay
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter1d

RADIUS, WELL = 62.0, 45.0
PLATES = {
    "white": (0.74, 0.73, 0.70),
    "stone": (0.50, 0.44, 0.35),
    "dark": (0.042, 0.058, 0.040),
}
LOGO_AT = (39.0, 38.0)
"""The middle of the logo, from the middle of the plate."""
LOGO_SIZE = (18, 12)


def steel(board: Board, rng: np.random.Generator) -> None:
    """Brushed lengthwise, scratched, smeared."""
    shape = board.height.shape
    brush = gaussian_filter1d(rng.normal(size=shape), 30, axis=1)
    smear = field(shape, 40, rng)
    level = 0.27 * (1 + 0.35 * brush / brush.std() * 0.3 + 0.06 * smear)
    board.colour[:] = level[..., None] * np.array([0.98, 1.0, 1.03])
    board.gloss[:] = 0.5
    for _ in range(int(rng.integers(4, 12))):
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        scratch = Piece(rng.uniform(5, 25), 0.35, 0.02, (0.42, 0.43, 0.44), gloss=0.8, wobble=0)
        lay(board, Pose(x, y, 0), scratch, (0, 0), rng.uniform(-0.5, 0.5), owner=NOBODY, rng=rng)


def clutter(board: Board, rng: np.random.Generator) -> None:
    """An order slip, a cloth, a spoon or nothing, at the edges."""
    if rng.random() < 0.5:
        pose = Pose(rng.uniform(8, 20), rng.uniform(10, 134), rng.normal(0, 0.12))
        paper = Piece(9, 14, 0.6, (0.72, 0.70, 0.62), power=12, flat=8, wobble=0, mottle=0.02,
                      bump=0)  # fmt: skip
        lay(board, pose, paper, (0, 0), 0, owner=NOBODY, rng=rng)
        for k in range(6):
            line = Piece(rng.uniform(3, 7), 0.5, 0.06, (0.1, 0.1, 0.12), wobble=0, power=8)
            lay(board, pose, line, (-1, -9 + 3.4 * k), 0, owner=NOBODY, rng=rng)
    if rng.random() < 0.35:
        pose = Pose(rng.uniform(176, 190), rng.uniform(10, 134), rng.uniform(-0.3, 0.3))
        tone = [(0.5, 0.5, 0.5), (0.12, 0.2, 0.35), (0.45, 0.12, 0.1)][rng.integers(3)]
        cloth = Piece(12, 20, 3, tone, power=5, flat=2, wobble=0.08, mottle=0.12, bump=0.3,
                      gloss=0.02, stripes=(5, 0.25))  # fmt: skip
        lay(board, pose, cloth, (0, 0), 0, owner=NOBODY, rng=rng)
    if rng.random() < 0.3:
        pose = Pose(rng.uniform(172, 186), rng.uniform(30, 110), 1.57 + rng.normal(0, 0.2))
        metal = (0.5, 0.5, 0.5)
        lay(board, pose, Piece(8, 5, 1.5, metal, gloss=1, mottle=0.02), (-16, 0), 0, owner=NOBODY,
            rng=rng)  # fmt: skip
        lay(board, pose, Piece(20, 1.4, 1.2, metal, gloss=1, power=4), (8, 0), 0, owner=NOBODY,
            rng=rng)  # fmt: skip


def plate(board: Board, pose: Pose, kind: str, rng: np.random.Generator) -> None:
    """A rim that rises around a flat well; stone and dark ones are speckled."""
    x, y = board.grid()
    r = np.hypot(x - pose.x, y - pose.y)
    on = r < RADIUS
    rim = np.clip((r - WELL) / (RADIUS - WELL), 0, 1)
    high = 2.0 + 4.5 * rim**1.4 - 2.0 * np.clip((r - RADIUS + 2.5) / 2.5, 0, 1) ** 2
    high += 0.9 * np.exp(-(((r - WELL) / 1.2) ** 2))
    speckle = field(board.height.shape, 0.8, rng)
    strength = {"white": 0.008, "stone": 0.07, "dark": 0.16}[kind]
    shade = 1 + strength * speckle + 0.03 * field(board.height.shape, 14, rng)
    colour = np.asarray(PLATES[kind]) * rng.uniform(0.94, 1.06) * shade[..., None]
    board.colour[on] = colour[on]
    board.height[on] = high[on]
    board.gloss[on] = {"white": 0.55, "stone": 0.25, "dark": 0.3}[kind]
    for _ in range(int(rng.integers(0, 6))):
        angle, radius = rng.uniform(0, 6.28), rng.uniform(20, 50)
        a, b = rng.uniform(0.6, 1.6), rng.uniform(0.5, 1.1)
        drop = Piece(a, b, 0.25, (0.2, 0.1, 0.03), gloss=0.8)
        lay(board, pose, drop, (radius * np.cos(angle), radius * np.sin(angle)), angle,
            owner=NOBODY, rng=rng)  # fmt: skip


def logo_picture(scale: int = 8) -> Image.Image:
    """The house's mark, RGBA: a green leaf on a cream lozenge."""
    width, height = (scale * n for n in LOGO_SIZE)
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), height // 2, fill=(226, 214, 180, 255))
    leaf = [(0.16, 0.52), (0.30, 0.22), (0.58, 0.18), (0.84, 0.46), (0.60, 0.80), (0.32, 0.80)]
    draw.polygon([(x * width, y * height) for x, y in leaf], fill=(70, 120, 40, 255))
    draw.line((0.16 * width, 0.52 * height, 0.84 * width, 0.46 * height), fill=(214, 222, 168, 255),
              width=scale // 2 + 1)  # fmt: skip
    for x in (0.34, 0.48, 0.62):
        draw.line((x * width, 0.5 * height, (x + 0.1) * width, 0.28 * height),
                  fill=(150, 180, 100, 255), width=scale // 3)  # fmt: skip
    return picture


def stamp(board: Board, pose: Pose) -> None:
    """Print the logo on the rim, upright: the ring holds a plate by its notch."""
    size = tuple(n * FINE for n in LOGO_SIZE)
    picture = np.asarray(logo_picture().resize(size, Image.Resampling.LANCZOS), dtype=float) / 255
    left = round((pose.x + LOGO_AT[0]) * FINE - size[0] / 2)
    top = round((pose.y + LOGO_AT[1]) * FINE - size[1] / 2)
    window = np.s_[top : top + size[1], left : left + size[0]]
    share = picture[..., 3:]
    linear = picture[..., :3] ** 2.2
    board.colour[window] = board.colour[window] * (1 - share) + linear * share
