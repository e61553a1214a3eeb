"""What decides a room's grade; the covered detector and lamp are in furniture.py."""

from __future__ import annotations

import numpy as np
import textures
from shapes import Builder, faint, paint, printed


def flame(b: Builder, desk: tuple[float, float]) -> None:
    """Burning candles on the desk and on a stool in the middle of the room."""
    rng, w, d = b.rng, b.width, b.depth
    strength = {"day": 2.2, "evening": 1.8, "night": 0.8}[b.room.time]
    x, y = w * rng.uniform(0.42, 0.58), d * rng.uniform(0.5, 0.62)
    wood = paint(textures.pick(textures.WOODS, rng))
    top = rng.uniform(0.42, 0.55)
    b.box([x - 0.24, y - 0.2, top - 0.04], [x + 0.24, y + 0.2, top], wood)
    for dx in (-0.2, 0.2):
        for dy in (-0.16, 0.16):
            b.rod([x + dx, y + dy, 0], [x + dx, y + dy, top - 0.04], 0.02, wood)
    places = [(x - 0.15, y - 0.05, top), (x, y + 0.06, top), (x + 0.15, y - 0.06, top)]
    places += [(desk[0] - 0.2, desk[1] + rng.uniform(-0.4, 0.3), 0.75)]
    wax = paint(np.clip(rng.uniform(0.5, 0.85, 3), 0, 0.9))
    for px, py, pz in places:
        tall = rng.uniform(0.12, 0.24)
        b.rod([px, py, pz], [px, py, pz + tall], 0.045, wax)
        b.ball([px, py, pz + tall], [0.045, 0.045, 0.008], wax)
        fire = np.array([1.0, 0.42, 0.07]) * strength
        b.ball([px, py, pz + tall + 0.095], [0.048, 0.048, 0.11], paint([0.5] * 3), glow=fire)
        b.ball(
            [px, py, pz + tall + 0.07], [0.05, 0.05, 0.05], paint([0.5] * 3), glow=faint(fire * 2.0)
        )


def blocked_exit(b: Builder, desk: tuple[float, float]) -> None:
    """Moving boxes piled up before the door, or a mattress against it with boxes."""
    del desk
    rng = b.rng
    x, y = b.door
    out = (0.0, -1.0) if b.door_on_back else (-1.0, 0.0)
    along = (1.0, 0.0) if b.door_on_back else (0.0, 1.0)
    if rng.random() < 0.35:
        cover = printed(textures.woven(rng))
        c = (x + out[0] * 0.14, y + out[1] * 0.14)
        half = (
            abs(along[0]) * 0.42 + abs(out[0]) * 0.08,
            abs(along[1]) * 0.42 + abs(out[1]) * 0.08,
        )
        b.box([c[0] - half[0], c[1] - half[1], 0.02], [c[0] + half[0], c[1] + half[1], 1.75], cover)
    for column in (-0.26, 0.26):
        z = 0.0
        for _ in range(int(rng.integers(2, 5))):
            size, tall = rng.uniform(0.21, 0.27), rng.uniform(0.32, 0.46)
            cx = x + out[0] * 0.45 + along[0] * column + rng.uniform(-0.03, 0.03)
            cy = y + out[1] * 0.45 + along[1] * column + rng.uniform(-0.03, 0.03)
            b.box(
                [cx - size, cy - size, z],
                [cx + size, cy + size, z + tall],
                printed(textures.cardboard(rng)),
                turn=rng.uniform(-14, 14),
            )
            z += tall


def heater_on_bedding(b: Builder, desk: tuple[float, float]) -> None:
    """A radiant heater with glowing bars, pressed against bedding that hangs over it."""
    del desk
    rng, d = b.rng, b.depth
    wide = {"family": 1.45, "accessible": 1.05}.get(b.room.room_type, 1.0)
    x, y = wide + 0.10, d - rng.uniform(1.75, 2.1)
    body = paint([0.3, 0.3, 0.32])
    b.box([x, y - 0.03, 0.06], [x + 0.62, y + 0.12, 0.78], body)
    level = {"day": 3.2, "evening": 3.0, "night": 1.5}[b.room.time]
    for k in range(4):
        z = 0.2 + 0.15 * k
        b.rod(
            [x + 0.05, y - 0.07, z],
            [x + 0.57, y - 0.07, z],
            0.034,
            paint([0.5, 0.1, 0.05]),
            glow=np.array([1.0, 0.22, 0.05]) * level,
        )
    cloth = printed(textures.woven(rng))
    b.ball([x + 0.1, y + 0.12, 0.8], [0.42, 0.34, 0.12], cloth)
    b.ball([x + 0.45, y + 0.1, 0.74], [0.26, 0.2, 0.14], cloth)
    b.box([x - 0.25, y - 0.02, 0.3], [x + 0.02, y + 0.6, 0.84], cloth)


def power_strips(b: Builder, desk: tuple[float, float]) -> None:
    """Strips plugged into strips, every socket taken, cables in a heap."""
    del desk
    rng, w, d = b.rng, b.width, b.depth
    x, y = w * rng.uniform(0.42, 0.52), d * rng.uniform(0.47, 0.56)
    white = paint([0.85] * 3)
    for k in range(3):
        sx, sy = x - 0.28 + 0.06 * k + rng.uniform(-0.04, 0.04), y + 0.30 * k
        b.box([sx, sy, 0.0], [sx + 0.72, sy + 0.13, 0.07], white)
        for j in range(5):
            colour = [[0.04] * 3, [0.04] * 3, [0.7, 0.7, 0.7], [0.75, 0.35, 0.03]][rng.integers(4)]
            px = sx + 0.03 + 0.135 * j
            b.box(
                [px, sy + 0.0, 0.07], [px + 0.1, sy + 0.12, rng.uniform(0.17, 0.28)], paint(colour)
            )
        b.box(
            [sx + 0.69, sy + 0.02, 0.06],
            [sx + 0.72, sy + 0.11, 0.08],
            paint([0.5, 0, 0]),
            glow=faint([1.2, 0.05, 0.05]),
        )
    colours = [[0.85, 0.42, 0.02], [0.03, 0.03, 0.03], [0.85, 0.42, 0.02], [0.75, 0.75, 0.1]]
    for colour in colours:
        points = [np.array([x + rng.uniform(-0.2, 0.3), y + rng.uniform(0, 0.6), 0.03])]
        for _ in range(7):
            step = np.array([rng.uniform(-0.32, 0.32), rng.uniform(-0.3, 0.26), 0])
            points.append(points[-1] + step)
        b.cable(points, 0.024, paint(colour))


def hot_plate(b: Builder, desk: tuple[float, float]) -> None:
    """A cooker with red-hot rings on the floor, a pan beside it."""
    del desk
    rng, w, d = b.rng, b.width, b.depth
    x, y = w * rng.uniform(0.42, 0.56), d * rng.uniform(0.47, 0.57)
    top = 0.34
    b.box([x - 0.42, y - 0.24, 0.0], [x + 0.42, y + 0.24, top], paint([0.75, 0.75, 0.76]))
    b.box([x - 0.40, y - 0.22, top], [x + 0.40, y + 0.22, top + 0.01], paint([0.03] * 3))
    level = {"day": 1.0, "evening": 0.9, "night": 0.4}[b.room.time]
    for dx in (-0.2, 0.2):
        b.disk(
            [x + dx, y, top + 0.016],
            0.17,
            paint([0.4, 0.05, 0.03]),
            glow=faint(np.array([1.0, 0.06, 0.03]) * level),
        )
    for k in range(4):
        b.ball([x - 0.3 + 0.2 * k, y - 0.25, 0.2], [0.035, 0.02, 0.035], paint([0.04] * 3))
    if rng.random() < 0.6:
        b.rod(
            [x + 0.2, y + 0.02, top + 0.02],
            [x + 0.2, y + 0.02, top + 0.2],
            0.12,
            paint([0.5, 0.5, 0.52]),
        )


HAZARD_SHAPES = {
    "flame": flame,
    "blocked_exit": blocked_exit,
    "heater_on_bedding": heater_on_bedding,
    "power_strips": power_strips,
    "hot_plate": hot_plate,
}
