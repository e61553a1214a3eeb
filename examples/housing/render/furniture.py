"""What stands and hangs in the rooms, hazards aside."""

from __future__ import annotations

from typing import Any

import mitsuba as mi
import numpy as np
import textures
from shapes import WARM, Builder, Vector, faint, paint, printed, shining


def beds(b: Builder) -> None:
    """Along the left wall; a second one, a bunk, or a medical bed by the room's type."""
    rng, d = b.rng, b.depth
    kind = b.room.room_type
    y0 = d - 2.15
    if kind == "accessible":
        medical_bed(b, y0)
        return
    wide = 1.4 if kind == "family" else 0.95
    frame = paint(textures.pick(textures.WOODS, rng))
    _bed(b, 0.03, y0, 0.0, wide, frame)
    if kind == "double":
        if rng.random() < 0.5:
            _bed(b, 0.03, y0, 1.15, wide, frame)
            for y in (y0 + 0.04, d - 0.14):
                for x in (0.06, wide):
                    b.box([x - 0.03, y - 0.03, 0], [x + 0.03, y + 0.03, 1.9], frame)
        else:
            _bed(b, 0.03, y0 - 2.1, 0.0, 0.85, frame)


def _bed(b: Builder, x: float, y: float, base: float, wide: float, frame: Any) -> None:
    rng = b.rng
    b.box([x, y, base + 0.22], [x + wide, y + 2.05, base + 0.34], frame)
    if base == 0.0:
        b.box([x, y + 0.02, 0], [x + wide, y + 0.08, 0.3], frame)
    b.box([x, y + 1.98, base + 0.2], [x + wide, y + 2.05, base + 0.75], frame)
    b.box(
        [x + 0.03, y + 0.05, base + 0.34],
        [x + wide - 0.02, y + 1.97, base + 0.48],
        paint([0.7] * 3),
    )
    cover = printed(textures.woven(rng), (1, 2))
    b.box([x + 0.02, y + 0.02, base + 0.40], [x + wide + 0.02, y + 1.45, base + 0.53], cover)
    for i in range(2):
        bump = [x + wide * rng.uniform(0.3, 0.7), y + 0.4 + 0.6 * i, base + 0.5]
        b.ball(bump, [wide * 0.4, 0.35, rng.uniform(0.05, 0.12)], cover)
    b.ball([x + wide / 2, y + 1.72, base + 0.53], [wide * 0.36, 0.2, 0.09], paint([0.75] * 3))


def medical_bed(b: Builder, y: float) -> None:
    """White, high, with side rails and a raised head."""
    rng = b.rng
    white, steel = paint([0.8, 0.82, 0.84]), paint([0.45, 0.47, 0.5])
    b.box([0.05, y, 0.5], [1.0, y + 2.05, 0.6], steel)
    b.box([0.07, y + 0.05, 0.6], [0.98, y + 2.0, 0.74], white)
    cover = paint(rng.choice([0.25, 0.45]) * np.array([0.7, 1.0, 1.4]))
    b.box([0.05, y + 0.1, 0.68], [1.01, y + 1.3, 0.79], cover)
    b.ball([0.52, y + 1.65, 0.9], [0.4, 0.26, 0.12], white)
    for x in (0.06, 1.0):
        for z in (0.85, 1.0):
            b.rod([x, y + 0.7, z], [x, y + 1.9, z], 0.018, steel)
        for step in (0.7, 1.3, 1.9):
            b.rod([x, y + step, 0.6], [x, y + step, 1.0], 0.015, steel)
    for x in (0.12, 0.92):
        for yy in (y + 0.15, y + 1.9):
            b.rod([x, yy, 0.08], [x, yy, 0.5], 0.03, steel)
            b.ball([x, yy, 0.06], [0.06, 0.06, 0.06], paint([0.08] * 3))
    b.box([0.05, y + 2.0, 0.4], [1.0, y + 2.06, 1.15], white)


def desk_and_chair(b: Builder) -> tuple[float, float]:
    """Along the right wall near the front, or under the window; gives the desk top's middle."""
    rng, w, d = b.rng, b.width, b.depth
    wood = paint(textures.pick(textures.WOODS, rng))
    y = rng.uniform(1.75, 2.05) if not b.door_on_back else rng.uniform(2.0, 2.7)
    if not b.door_on_back:
        y = d - 0.85
    x0, x1, y0, y1 = w - 0.72, w - 0.02, y - 0.62, y + 0.62
    b.box([x0, y0, 0.70], [x1, y1, 0.75], wood)
    for x, yy in ((x0, y0), (x0, y1 - 0.05), (x1 - 0.05, y0), (x1 - 0.05, y1 - 0.05)):
        b.box([x, yy, 0], [x + 0.05, yy + 0.05, 0.7], wood)
    b.box([x0 + 0.05, y1 - 0.4, 0.3], [x1, y1 - 0.02, 0.7], wood)
    seat = paint(textures.pick(textures.CLOTHS, rng))
    sx, sy, turn = x0 - rng.uniform(0.1, 0.3), y - rng.uniform(-0.1, 0.25), rng.uniform(-35, 35)
    b.box([sx - 0.2, sy - 0.2, 0.42], [sx + 0.2, sy + 0.2, 0.47], seat, turn=turn)
    b.box([sx - 0.24, sy - 0.2, 0.5], [sx - 0.2, sy + 0.2, 0.92], seat, turn=turn)
    for dx in (-0.16, 0.16):
        for dy in (-0.16, 0.16):
            b.rod([sx + dx, sy + dy, 0], [sx + dx, sy + dy, 0.42], 0.016, paint([0.15] * 3))
    return (x0 + x1) / 2, y


def storage(b: Builder) -> None:
    """A wardrobe at the front left or shelves with books on the left wall."""
    rng, d = b.rng, b.depth
    wood = paint(textures.pick(np.vstack([textures.WOODS, textures.PAINTS * 0.8]), rng))
    if rng.random() < 0.5 and b.room.room_type != "double":
        y = d - 2.3 - rng.uniform(0.85, 1.0)
        b.box([0.0, y, 0], [0.55, y + 0.8, rng.uniform(1.7, 1.95)], wood)
        b.box([0.55, y + 0.39, 0.05], [0.556, y + 0.41, 1.7], paint([0.1] * 3))
    bunk = b.room.room_type == "double"
    if rng.random() < 0.75 and not bunk:
        z, y0 = rng.uniform(1.45, 1.65), d - rng.uniform(1.9, 2.1)
        b.box([0, y0, z], [0.24, y0 + 1.1, z + 0.03], wood)
        y = y0 + 0.02
        while y < y0 + 1.0:
            thick, tall = rng.uniform(0.03, 0.07), rng.uniform(0.18, 0.3)
            if rng.random() < 0.85:
                b.box(
                    [0.02, y, z + 0.03],
                    [0.2, y + thick, z + tall],
                    paint(rng.uniform(0.05, 0.6, 3)),
                )
            y += thick + 0.004


def wall_hangings(b: Builder) -> None:
    """None, a few posters, or walls covered with prints, tapestries and flags."""
    rng, w, d, h = b.rng, b.width, b.depth, b.height
    if b.room.hangings == "none":
        return
    dense = b.room.hangings == "dense"

    if not dense:
        for _ in range(int(rng.integers(1, 4))):
            size = rng.uniform(0.18, 0.3)
            at = d - rng.uniform(0.4, 2.3)
            _hang(
                b,
                "left",
                at,
                rng.uniform(1.25, 1.5),
                (size * 0.75, size),
                printed(textures.poster(rng)),
            )
        return
    _hang(b, "left", d - 1.15, 1.5, (0.85, 0.62), printed(textures.leaf_pattern(rng)))
    for _ in range(int(rng.integers(6, 9))):
        size = rng.uniform(0.16, 0.28)
        wall = "left" if rng.random() < 0.5 else "right"
        at = rng.uniform(d * 0.35, d - 2.1) if wall == "left" else rng.uniform(d * 0.3, d - 0.4)
        low = 1.3 if wall == "left" else 1.2
        _hang(
            b,
            wall,
            at,
            rng.uniform(low, h - 0.5),
            (size * 0.75, size),
            printed(textures.poster(rng)),
        )
    span = rng.uniform(0.5, 0.7)
    _hang(
        b,
        "back",
        w * 0.58,
        rng.uniform(1.75, 1.95),
        (span * 0.6, 0.35),
        printed(textures.woven(rng)),
    )
    for i in range(10):
        colour = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8)])
        b.box(
            [w * (0.1 + 0.08 * i), d - 0.03, h - 0.34],
            [w * (0.1 + 0.08 * i) + 0.14, d - 0.02, h - 0.16],
            paint(colour),
        )


def _hang(b: Builder, wall: str, along: float, z: float, half: Vector, bsdf: Any) -> None:
    gap = 0.012 + 0.004 * b.rng.random()
    if wall == "left":
        b.panel([gap, along, z], [0, -half[0], 0], [0, 0, half[1]], bsdf)
    elif wall == "right":
        b.panel([b.width - gap, along, z], [0, -half[0], 0], [0, 0, half[1]], bsdf)
    else:
        b.panel([along, b.depth - gap, z], [half[0], 0, 0], [0, 0, half[1]], bsdf)


def detector(b: Builder) -> None:
    """A smoke detector on the ceiling, free or (a hazard) under a bright bag."""
    rng, w, d, h = b.rng, b.width, b.depth, b.height
    at = (w * rng.uniform(0.36, 0.6), d * rng.uniform(0.66, 0.78))
    if "covered_detector" not in b.room.hazards:
        white = paint([0.85] * 3)
        b.box([at[0] - 0.10, at[1] - 0.10, h - 0.08], [at[0] + 0.10, at[1] + 0.10, h], white)
        b.ball([at[0], at[1], h - 0.08], [0.09, 0.09, 0.045], white)
        b.ball([at[0], at[1], h - 0.122], [0.018] * 3, paint([0.7, 0.05, 0.05]))
        return
    b.tag = "covered_detector"
    bags = [[0.85, 0.62, 0.04], [0.04, 0.32, 0.75], [0.8, 0.1, 0.35], [0.15, 0.62, 0.2]]
    bag = paint(np.array(bags[rng.integers(4)]) * rng.uniform(0.85, 1.1))
    b.ball([at[0], at[1], h - 0.17], [0.25, 0.25, 0.22], bag)
    b.ball([at[0] + 0.03, at[1], h - 0.40], [0.11, 0.11, 0.10], bag)
    b.rod([at[0], at[1], h - 0.06], [at[0], at[1], h - 0.01], 0.27, bag)
    b.tag = "room"


def floor_lamp(b: Builder) -> None:
    """A standing lamp by the bed's foot; with a cloth over it, it is a hazard."""
    rng, d = b.rng, b.depth
    x = {"family": 1.75}.get(b.room.room_type, 1.3) + rng.uniform(0, 0.15)
    y = d - rng.uniform(0.35, 0.6)
    covered = "cloth_on_lamp" in b.room.hazards
    if not covered and rng.random() < 0.4:
        return
    on = {"day": 0.3, "evening": 5.0, "night": rng.uniform(0.5, 1.1)}[b.room.time]
    steel = paint([0.25] * 3)
    if covered:
        b.tag = "cloth_on_lamp"
    b.rod([x, y, 0], [x, y, 1.3], 0.016, steel)
    b.box([x - 0.13, y - 0.13, 0], [x + 0.13, y + 0.13, 0.03], steel)
    if not covered:
        b.rod(
            [x, y, 1.28],
            [x, y, 1.56],
            0.16,
            paint([0.8, 0.75, 0.6]),
            glow=shining(WARM * on * 0.6),
        )
        return
    cloths = [[0.75, 0.08, 0.45], [0.5, 0.1, 0.7], [0.8, 0.12, 0.1]]
    colour = np.array(cloths[rng.integers(3)])
    level = {"day": 0.45, "evening": 0.6, "night": 0.25}[b.room.time]
    cloth = paint(colour)
    b.ball([x, y, 1.5], [0.30, 0.30, 0.22], cloth, glow=shining(colour * level))
    for k in range(6):
        angle = np.pi / 3 * k + rng.uniform(-0.3, 0.3)
        dx, dy = 0.25 * np.cos(angle), 0.25 * np.sin(angle)
        b.ball(
            [x + dx, y + dy, 1.27],
            [0.08, 0.08, rng.uniform(0.2, 0.32)],
            cloth,
            glow=faint(colour * level * 0.7),
        )
    b.tag = "room"


def desk_things(b: Builder, desk: tuple[float, float]) -> None:
    """A screen and small things that mean nothing."""
    rng = b.rng
    x, y = desk
    if rng.random() < 0.8:
        b.box([x + 0.16, y - 0.25, 0.80], [x + 0.19, y + 0.2, 1.12], paint([0.05] * 3))
        lit = {"day": 0.5, "evening": 0.6, "night": 0.25}[b.room.time]
        pane = {"type": "bitmap", "bitmap": mi.Bitmap(textures.screen(rng) * lit), "raw": True}
        b.panel(
            [x + 0.155, y - 0.025, 0.96],
            [0, 0.21, 0],
            [0, 0, 0.145],
            paint([0.02] * 3),
            glow=(pane, 0.0),
        )
        b.rod([x + 0.175, y, 0.75], [x + 0.175, y, 0.82], 0.03, paint([0.05] * 3))
    for _ in range(int(rng.integers(2, 6))):
        bx, by = x + rng.uniform(-0.28, 0.1), y + rng.uniform(-0.55, 0.55)
        size = rng.uniform(0.03, 0.09, 3)
        colour = rng.uniform(0.05, 0.5, 3)
        if rng.random() < 0.5:
            b.box(
                [bx, by, 0.75],
                [bx + size[0] * 2, by + size[1] * 2, 0.75 + size[2]],
                paint(colour),
                turn=rng.uniform(0, 60),
            )
        else:
            b.rod([bx, by, 0.75], [bx, by, 0.75 + size[2] * 1.4], size[0] * 0.6, paint(colour))


def floor_things(b: Builder) -> None:
    """Bags, shoes, heaps of clothes, a plant: nothing that matters."""
    rng, w, d = b.rng, b.width, b.depth
    for _ in range(int(rng.integers(0, 4))):
        fx, fy = rng.uniform(1.2, w - 1.0), rng.uniform(d * 0.42, d * 0.75)
        kind = rng.integers(3)
        if kind == 0:  # a bag
            b.ball([fx, fy, 0.16], [0.2, 0.14, 0.17], paint(textures.pick(textures.CLOTHS, rng)))
        elif kind == 1:  # shoes
            for dx in (0, 0.13):
                b.ball([fx + dx, fy, 0.05], [0.05, 0.13, 0.05], paint(rng.uniform(0.03, 0.3, 3)))
        else:  # a heap of clothes
            for _ in range(3):
                spot = [fx + rng.uniform(-0.15, 0.15), fy + rng.uniform(-0.15, 0.15), 0.05]
                b.ball(spot, [0.18, 0.15, 0.07], paint(textures.pick(textures.CLOTHS, rng)))
    if rng.random() < 0.3:
        px, py = w - 0.35, d * 0.36
        b.rod([px, py, 0], [px, py, 0.3], 0.14, paint([0.5, 0.25, 0.15]))
        for _ in range(5):
            leaf = [
                px + rng.uniform(-0.15, 0.15),
                py + rng.uniform(-0.15, 0.15),
                rng.uniform(0.45, 0.75),
            ]
            b.ball(leaf, [0.1, 0.1, 0.14], paint([0.07, rng.uniform(0.2, 0.35), 0.08]))


def equipment(b: Builder) -> None:
    """Devices that people need: a monitor, an oxygen concentrator, a wheelchair, cables."""
    rng, d = b.rng, b.depth
    steel, case = paint([0.5] * 3), paint([0.72, 0.74, 0.76])
    x, y = 1.28, d - rng.uniform(1.5, 1.9)
    # oxygen concentrator: a case with an amber display and a grille
    b.box([x - 0.02, y - 0.2, 0.05], [x + 0.36, y + 0.2, 0.62], case)
    amber = np.array([1.0, 0.42, 0.08]) * {"day": 1.3, "evening": 1.2, "night": 0.6}[b.room.time]
    b.panel(
        [x + 0.16, y - 0.215, 0.5],
        [0.13, 0, 0],
        [0, 0, -0.06],
        paint([0.05] * 3),
        glow=faint(amber),
    )
    for k in range(4):
        b.box(
            [x + 0.02, y - 0.21, 0.12 + 0.07 * k],
            [x + 0.32, y - 0.2, 0.15 + 0.07 * k],
            paint([0.15] * 3),
        )
    # drip stand with a monitor
    sx, sy = 1.2, d - rng.uniform(0.5, 0.9)
    b.rod([sx, sy, 0], [sx, sy, 1.9], 0.018, steel)
    b.box([sx - 0.16, sy - 0.08, 1.15], [sx + 0.16, sy + 0.08, 1.4], case)
    b.panel(
        [sx, sy - 0.09, 1.28],
        [0.13, 0, 0],
        [0, 0, -0.09],
        paint([0.02] * 3),
        glow=faint(np.array([0.1, 0.8, 0.3])),
    )
    b.ball([sx + 0.1, sy, 1.75], [0.07, 0.04, 0.13], paint([0.75, 0.8, 0.85]))
    # cables and tubes over the floor, a socket block
    for _ in range(int(rng.integers(3, 6))):
        start = np.array([x + 0.2, y, 0.02])
        points = [start]
        for _ in range(5):
            points.append(
                points[-1] + np.array([rng.uniform(-0.05, 0.3), rng.uniform(-0.3, 0.2), 0])
            )
        colour = [[0.05, 0.05, 0.05], [0.75, 0.4, 0.05], [0.6, 0.65, 0.7]][rng.integers(3)]
        b.cable(points, 0.014, paint(colour))
    bx, by = x + rng.uniform(0.5, 0.7), y - rng.uniform(0.2, 0.5)
    b.box([bx, by, 0], [bx + 0.4, by + 0.09, 0.06], paint([0.8] * 3), turn=rng.uniform(-30, 30))
    wheelchair(b)


def wheelchair(b: Builder) -> None:
    """Beside the door, never in front of it."""
    rng = b.rng
    dx, dy = b.door
    if b.door_on_back:
        cx, cy = dx - 0.95, dy - 0.5
    else:
        cx, cy = dx - 0.45, dy - 0.95
    black, seat = paint([0.06] * 3), paint(textures.pick(textures.CLOTHS, rng))
    for side in (-0.27, 0.27):
        for k in range(12):
            a0, a1 = np.pi / 6 * k, np.pi / 6 * (k + 1)
            p0 = [cx + side, cy + 0.29 * np.cos(a0), 0.3 + 0.29 * np.sin(a0)]
            p1 = [cx + side, cy + 0.29 * np.cos(a1), 0.3 + 0.29 * np.sin(a1)]
            b.rod(p0, p1, 0.022, black)
        b.rod([cx + side, cy + 0.1, 0.3], [cx + side, cy + 0.2, 0.95], 0.02, paint([0.5] * 3))
    b.box([cx - 0.24, cy - 0.2, 0.45], [cx + 0.24, cy + 0.2, 0.51], seat)
    b.box([cx - 0.24, cy + 0.15, 0.5], [cx + 0.24, cy + 0.2, 0.9], seat)


def family_things(b: Builder) -> None:
    """A cot, a pushchair, toys."""
    rng, w, d = b.rng, b.width, b.depth
    wood = paint([0.7, 0.6, 0.45])
    x, y = 0.05, d - 3.25
    b.box([x, y, 0.3], [x + 0.65, y + 1.0, 0.42], paint([0.75, 0.75, 0.7]))
    for k in range(9):
        for side in (0.0, 0.65):
            b.rod([x + side, y + 0.12 * k, 0], [x + side, y + 0.12 * k, 0.85], 0.012, wood)
    for side in (0.0, 0.65):
        b.box([x + side - 0.02, y, 0.83], [x + side + 0.02, y + 1.0, 0.88], wood)
    for _ in range(int(rng.integers(4, 9))):
        tx, ty = rng.uniform(1.3, w - 1.2), rng.uniform(d * 0.4, d * 0.7)
        size = rng.uniform(0.05, 0.1)
        colour = np.clip(rng.permutation([0.75, 0.2, 0.1]) + rng.uniform(-0.05, 0.1, 3), 0.05, 0.9)
        if rng.random() < 0.5:
            b.box([tx, ty, 0], [tx + size, ty + size, size], paint(colour), turn=rng.uniform(0, 90))
        else:
            b.ball([tx, ty, size], [size] * 3, paint(colour))
