"""The path seen from above: heights, colours, water and classes on a grid of one centimetre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage
from stretches import Frame

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

CELL = 0.01
WIDTH, LENGTH = 4.8, 4.4
COLUMNS, ROWS = round(WIDTH / CELL), round(LENGTH / CELL)
PATH, POTHOLE, CRACK, DEBRIS = range(4)
TINT = {"harbour": (1.0, 1.0, 1.02), "oldtown": (1.03, 1.0, 0.96), "hills": (0.97, 1.0, 0.98)}


@dataclass
class Ground:
    """Grids (rows, columns) with the row nearest to the bike first.

    `height` in metres, `albedo` 0-1 (rows, columns, 3), `water` the depth of standing water in
    metres, `classes` as in the class maps.
    """

    height: Floats
    albedo: Floats
    water: Floats
    classes: npt.NDArray[np.uint8]


def ground(frame: Frame) -> Ground:
    """The ground of one frame, from its own seed."""
    rng = np.random.default_rng(frame.seed)
    made = _path(frame, rng)
    taken = np.zeros((ROWS, COLUMNS), dtype=bool)
    for _ in range(frame.cracks):
        _crack(made, rng)
    for _ in range(frame.potholes):
        _pothole(made, rng, taken, wet=frame.stretch.surface == "wet")
    if frame.stretch.surface == "wet":
        for _ in range(int(rng.integers(0, 3))):
            _puddle(made, rng, taken)
    for _ in range(frame.debris):
        _debris(made, rng, taken)
    return made


def noise(rng: np.random.Generator, size: float) -> Floats:
    """Smooth noise of unit spread whose patches are about `size` metres wide."""
    step = max(1, round(size / CELL / 2))
    coarse = rng.normal(size=(ROWS // step + 4, COLUMNS // step + 4)).astype(np.float32)
    if step == 1:
        return coarse[:ROWS, :COLUMNS]
    blocks = coarse.repeat(step, axis=0).repeat(step, axis=1)
    smooth = ndimage.uniform_filter(ndimage.uniform_filter(blocks, step), step)
    smooth = smooth[step : step + ROWS, step : step + COLUMNS]
    return smooth / max(float(smooth.std()), 1e-6)


def _places() -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    return (x + 0.5) * CELL - WIDTH / 2, (y + 0.5) * CELL


def _path(frame: Frame, rng: np.random.Generator) -> Ground:
    """Asphalt with patches and stains between two verges of grass."""
    x, _ = _places()
    shared = np.random.default_rng([frame.seed[0], 2, frame.stretch.number])
    half = shared.uniform(1.15, 1.35)
    base = shared.uniform(0.15, 0.24)
    edge = half + 0.03 * noise(rng, 0.4) + 0.015 * noise(rng, 0.06)
    grass = np.abs(x + shared.uniform(-0.25, 0.25)) > edge
    grain = noise(rng, 0.02) * 0.6 + noise(rng, 0.05) * 0.5
    level = base * (1 + 0.13 * grain + 0.07 * noise(rng, 0.5) + 0.05 * noise(rng, 1.5))
    stones = noise(rng, 0.02) > 2.1
    level = np.where(stones, level * 1.7, level)
    if shared.random() < 0.35:
        _mend(level, rng)
    albedo = level[..., None] * np.array(TINT[frame.stretch.district], np.float32)
    blades = 0.5 + 0.5 * np.clip(noise(rng, 0.03) * 0.5 + noise(rng, 0.2) * 0.3, -0.9, 1.5)
    green = np.array([0.11, 0.15, 0.05], np.float32) * blades[..., None]
    height = 0.0012 * grain + 0.004 * noise(rng, 0.7)
    return Ground(
        height=np.where(grass, 0.02 + 0.012 * noise(rng, 0.03), height).astype(np.float32),
        albedo=np.where(grass[..., None], green, albedo).astype(np.float32),
        water=np.zeros((ROWS, COLUMNS), np.float32),
        classes=np.zeros((ROWS, COLUMNS), np.uint8),
    )


def _mend(level: Floats, rng: np.random.Generator) -> None:
    """A rectangle of newer asphalt, which is no hazard."""
    x, y = _places()
    wide, long = rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.9)
    inside = (np.abs(x - rng.uniform(-0.7, 0.7)) < wide / 2) & (
        np.abs(y - rng.uniform(1, 3.2)) < long / 2
    )
    level[inside] *= rng.uniform(0.6, 0.8)


def _blob(rng: np.random.Generator, taken: Mask, low: float, high: float, rough: float) -> Floats:
    """Distance from the middle of a ragged outline, 1 at the outline, on a free place."""
    x, y = _places()
    for _ in range(40):
        radius = rng.uniform(low, high)
        across, along = rng.uniform(-0.85, 0.85), rng.uniform(0.95, 2.9)
        if not taken[np.hypot(x - across, y - along) < 1.4 * radius].any():
            break
    stretch, turn = rng.uniform(0.65, 1.0), rng.uniform(0, np.pi)
    u = (x - across) * np.cos(turn) + (y - along) * np.sin(turn)
    v = ((y - along) * np.cos(turn) - (x - across) * np.sin(turn)) / stretch
    around = np.linspace(-np.pi, np.pi, 721)
    outline = np.ones_like(around)
    for k in range(2, 9):
        swing = rough * rng.normal() / k**0.8
        outline += swing * np.cos(k * around + rng.uniform(0, 2 * np.pi))
    reach = np.interp(np.arctan2(v, u), around, np.clip(outline, 0.45, 1.6))
    away = np.hypot(u, v) / (radius * reach)
    taken |= away < 1.1
    return away.astype(np.float32)


def _pothole(made: Ground, rng: np.random.Generator, taken: Mask, *, wet: bool) -> None:
    """A hole with steep, crumbled sides and a rough bottom; rain fills it nearly."""
    away = _blob(rng, taken, 0.15, 0.31, 0.10) + 0.05 * noise(rng, 0.03)
    inside = away < 1
    depth = rng.uniform(0.05, 0.10)
    side = np.clip((1 - away) / 0.22, 0, 1)
    bottom = depth * side * (1 + 0.12 * noise(rng, 0.08)) - 0.003 * np.abs(noise(rng, 0.03)) * side
    made.height -= np.where(inside, bottom, 0)
    earth = rng.uniform(0.10, 0.16) * np.array([1.08, 1.0, 0.88], np.float32)
    texture = np.clip(1 + 0.22 * noise(rng, 0.05) + 0.16 * noise(rng, 0.02), 0.3, 2)
    texture *= 0.72 + 0.28 * np.clip((1 - away) / 0.3, 0, 1)
    rim = (away >= 1) & (away < 1.12)
    made.albedo[rim] *= 1.12
    made.albedo[inside] = (texture[..., None] * earth)[inside]
    made.classes[inside] = POTHOLE
    if wet:
        made.water = np.where(away < 0.91, np.maximum(made.water, 0.05), made.water)


def _puddle(made: Ground, rng: np.random.Generator, taken: Mask) -> None:
    """Rain in a shallow dip of a sound path."""
    away = _blob(rng, taken, 0.14, 0.40, 0.10) + 0.04 * noise(rng, 0.06)
    made.water = np.where(away < 1, np.maximum(made.water, 0.01), made.water)


def _crack(made: Ground, rng: np.random.Generator) -> None:
    """One or two open cracks, along the path, across it, or a branching one."""
    canvas = Image.new("L", (COLUMNS, ROWS))
    draw = ImageDraw.Draw(canvas)
    along = rng.random() < 0.5
    for _ in range(int(rng.integers(1, 3))):
        heading = np.pi / 2 if along else 0.0
        at = np.array([rng.uniform(-0.8, 0.8), 0.7] if along else [-1.05, rng.uniform(0.9, 2.8)])
        _walk(draw, rng, at, heading, steps=int(rng.integers(26, 46)), width=rng.uniform(2.2, 4.2))
    inside = np.asarray(canvas) > 0
    inside &= made.classes == PATH
    made.height -= np.where(inside, 0.03, 0)
    made.albedo[inside] *= 0.35
    made.classes[inside] = CRACK


def _walk(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    at: npt.NDArray[np.float64],
    heading: float,
    *,
    steps: int,
    width: float,
) -> None:
    goal = heading
    for step in range(steps):
        heading = goal + 0.75 * (heading - goal) + rng.normal(0, 0.38)
        end = at + 0.055 * np.array([np.cos(heading), np.sin(heading)])
        cells = [tuple((p + np.array([WIDTH / 2, 0])) / CELL) for p in (at, end)]
        wide = max(2, round(width * rng.uniform(0.6, 1.4)))
        draw.line(cells, fill=255, width=wide)
        x, y = cells[1]
        draw.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=255)
        at = end
        if step > 4 and rng.random() < 0.05 and steps > 12:
            turn = goal + rng.choice([-1, 1]) * rng.uniform(0.7, 1.2)
            _walk(draw, rng, at, turn, steps=int(rng.integers(5, 12)), width=width * 0.8)


def _debris(made: Ground, rng: np.random.Generator, taken: Mask) -> None:
    kind = rng.choice(["leaves", "gravel", "branch"], p=[0.7, 0.12, 0.18])
    away = _blob(rng, taken, 0.15, 0.32, 0.08)
    row, column = np.unravel_index(int(away.argmin()), away.shape)
    if kind == "branch":
        _branch(made, rng, row, column)
    else:
        _heap(made, rng, away, leaves=kind == "leaves")


def _heap(made: Ground, rng: np.random.Generator, away: Floats, *, leaves: bool) -> None:
    """Leaves or stones, dense in the middle; the class is what they cover with small gaps."""
    canvas = Image.fromarray(np.zeros((ROWS, COLUMNS), np.uint16))
    covered = np.flatnonzero(away < 1)
    count = len(covered) // (11 if leaves else 9)
    draw = ImageDraw.Draw(canvas)
    angles = np.linspace(0, 2 * np.pi, 7)[:-1]
    for k in range(1, count + 1):
        y, x = divmod(int(covered[rng.integers(len(covered))]), COLUMNS)
        long, wide = (rng.uniform(2.2, 4.2), 0.55) if leaves else (rng.uniform(0.8, 1.8), 0.8)
        turn = rng.uniform(0, np.pi)
        u, v = long * np.cos(angles), long * wide * np.sin(angles)
        px = x + u * np.cos(turn) - v * np.sin(turn)
        py = y + u * np.sin(turn) + v * np.cos(turn)
        draw.polygon([(float(a), float(b)) for a, b in zip(px, py, strict=True)], fill=k)
    which = np.asarray(canvas).astype(int)
    if leaves:
        warm = rng.uniform(0, 1, count + 1)[:, None] ** 1.5
        brown, yellow = np.array([0.12, 0.068, 0.035]), np.array([0.32, 0.20, 0.05])
        colours = (brown * (1 - warm) + yellow * warm) * rng.uniform(0.6, 1.25, (count + 1, 1))
    else:
        colours = rng.uniform(0.2, 0.5, (count + 1, 1)) * np.array([1.0, 0.97, 0.9])
    lift = rng.uniform(0.004, 0.03 if leaves else 0.015, count + 1)
    there = which > 0
    made.albedo[there] = colours[which][there]
    made.height += np.where(there, lift[which], 0).astype(np.float32)
    made.water[there] = 0
    made.classes[ndimage.binary_closing(there, iterations=3)] = DEBRIS


def _branch(made: Ground, rng: np.random.Generator, row: int, column: int) -> None:
    canvas = Image.new("L", (COLUMNS, ROWS))
    draw = ImageDraw.Draw(canvas)
    at = np.array([(column + 0.5) * CELL - WIDTH / 2, (row + 0.5) * CELL])
    turn = rng.uniform(0, np.pi)
    at = at - 0.35 * np.array([np.cos(turn), np.sin(turn)])
    _walk(draw, rng, at, turn, steps=14, width=rng.uniform(4.5, 7))
    for _ in range(4):
        bud = at + rng.uniform(0.1, 0.6) * np.array([np.cos(turn), np.sin(turn)])
        _walk(draw, rng, bud, turn + rng.choice([-1, 1]) * 0.8, steps=5, width=3)
    there = np.asarray(canvas) > 0
    round_top = ndimage.distance_transform_edt(there).astype(np.float32) * CELL
    bark = rng.uniform(0.09, 0.2) * np.array([1.15, 0.95, 0.7], np.float32)
    made.albedo[there] = (bark * (1 + 0.2 * noise(rng, 0.03))[..., None])[there]
    made.height += np.where(there, 0.015 + round_top, 0).astype(np.float32)
    made.water[there] = 0
    made.classes[there] = DEBRIS
