"""Rooms as Mitsuba scenes: walls, window, door and light here, what stands in them beside."""

from __future__ import annotations

from pathlib import Path

import furniture
import numpy as np
import textures
from hazards import HAZARD_SHAPES
from rooms import Room
from shapes import SKY, WARM, WHITE, Builder, faint, paint, printed, shining


def build(room: Room, folder: Path) -> Builder:
    """The whole room."""
    b = Builder(room, folder, np.random.default_rng(room.seed))
    rng = b.rng
    larger = {"single": 0.0, "double": 0.5, "family": 0.7, "accessible": 0.4}[room.room_type]
    b.width = rng.uniform(3.2, 3.9) + larger * 0.7
    b.depth = rng.uniform(4.2, 4.8) + larger * 0.5
    b.height = {"hall-1930s": 2.85, "tower-1970s": 2.45, "new": 2.6}[room.building]
    b.height += rng.uniform(-0.08, 0.08)
    b.mirrored = bool(rng.random() < 0.5)
    shell(b)
    door_and_exit(b)
    furniture.beds(b)
    desk = furniture.desk_and_chair(b)
    furniture.storage(b)
    furniture.wall_hangings(b)
    furniture.detector(b)
    furniture.floor_lamp(b)
    furniture.desk_things(b, desk)
    furniture.floor_things(b)
    if room.room_type == "accessible":
        furniture.equipment(b)
    if room.room_type == "family":
        furniture.family_things(b)
    for hazard in room.hazards:
        if hazard in HAZARD_SHAPES:
            b.tag = hazard
            HAZARD_SHAPES[hazard](b, desk)
            b.tag = "room"
    return b


def shell(b: Builder) -> None:
    """Floor, ceiling, walls, window, radiator and the light of the hour."""
    rng, w, d, h = b.rng, b.width, b.depth, b.height
    style = b.room.building
    if style == "hall-1930s":
        floor = printed(textures.planks(textures.pick(textures.WOODS, rng), rng), (2, 2))
        wall = lambda: printed(textures.wallpaper(tone, rng), (2, 1))  # noqa: E731
    elif style == "tower-1970s":
        floor = printed(textures.tiles(rng.uniform(0.35, 0.7, 3), rng), (2, 2))
        wall = lambda: printed(textures.concrete(rng), (1, 1))  # noqa: E731
    else:
        floor = printed(textures.mottled(textures.pick(textures.CLOTHS, rng), 0.15, rng), (3, 3))
        wall = lambda: printed(textures.mottled(tone, 0.04, rng))  # noqa: E731
    tone = textures.pick(textures.PAINTS, rng)
    b.panel([w / 2, d / 2, 0], [w / 2, 0, 0], [0, d / 2, 0], floor)
    b.panel([w / 2, d / 2, h], [w / 2, 0, 0], [0, d / 2, 0], paint([0.8] * 3))
    b.panel([0, d / 2, h / 2], [0, d / 2, 0], [0, 0, h / 2], wall())
    b.panel([w, d / 2, h / 2], [0, d / 2, 0], [0, 0, h / 2], wall())
    b.panel([w / 2, d, h / 2], [w / 2, 0, 0], [0, 0, h / 2], wall())
    b.panel([w / 2, 0, h / 2], [w / 2, 0, 0], [0, 0, h / 2], paint(tone))
    window(b)
    ceiling_light(b)
    if rng.random() < 0.6:
        rug = printed(textures.woven(rng))
        b.panel(
            [w * 0.5, d * rng.uniform(0.5, 0.62), 0.012],
            [rng.uniform(0.6, 0.9), 0, 0],
            [0, rng.uniform(0.5, 0.9), 0],
            rug,
        )


def window(b: Builder) -> None:
    """On the back wall; by day it is the light of the room."""
    rng, d = b.rng, b.depth
    wide, tall, sill = {
        "hall-1930s": (0.95, 1.5, 0.8),
        "tower-1970s": (1.7, 1.05, 1.0),
        "new": (1.15, 1.7, 0.45),
    }[b.room.building]
    centre = 0.45 + wide / 2 + rng.uniform(0.0, 0.35)
    light = {"day": rng.uniform(5, 9), "evening": 0.25, "night": 0.012}[b.room.time]
    colour = (SKY if b.room.time == "day" else np.array([0.35, 0.45, 0.8])) * light
    middle = [centre, d - 0.03, sill + tall / 2]
    # right x up points into the room, so that the pane shines inwards
    b.panel(middle, [wide / 2, 0, 0], [0, 0, tall / 2], paint([0.05] * 3), glow=shining(colour))
    frame = paint([0.8] * 3 if rng.random() < 0.6 else textures.pick(textures.WOODS, rng))
    for x0, x1, z0, z1 in (
        (centre - wide / 2 - 0.06, centre - wide / 2, sill - 0.06, sill + tall + 0.06),
        (centre + wide / 2, centre + wide / 2 + 0.06, sill - 0.06, sill + tall + 0.06),
        (centre - wide / 2, centre + wide / 2, sill - 0.08, sill),
        (centre - wide / 2, centre + wide / 2, sill + tall, sill + tall + 0.06),
        (centre - 0.02, centre + 0.02, sill, sill + tall),
    ):
        b.box([x0, d - 0.08, z0], [x1, d, z1], frame)
    curtain = printed(textures.woven(rng))
    top = sill + tall + 0.12
    for side in (-1, 1):
        inner = centre + side * wide * (0.5 if b.room.time == "day" else rng.uniform(0.25, 0.5))
        outer = centre + side * (wide / 2 + 0.28)
        low, high = min(inner, outer), max(inner, outer)
        b.box([low, d - 0.14, max(sill - 0.3, 0.1)], [high, d - 0.09, top], curtain)


def ceiling_light(b: Builder) -> None:
    """Where people switch a light on, by the hour; the lamp itself is always there."""
    rng, w, d, h = b.rng, b.width, b.depth, b.height
    power = {"day": rng.uniform(0, 3), "evening": rng.uniform(9, 16), "night": 0.0}[b.room.time]
    if b.room.time == "night":
        power = float(rng.uniform(0.5, 1.3))
    tint = WHITE if b.room.building == "new" else (WHITE + WARM) / 2
    b.panel(
        [w * 0.5, d * 0.42, h - 0.04],
        [0.24, 0, 0],
        [0, -0.24, 0],
        paint([0.8] * 3),
        glow=shining(tint * max(power, 0.3)),
    )
    # Behind the camera: light from the corridor, so that no corner is black.
    fill = {"day": 0.9, "evening": 0.7, "night": 0.1}[b.room.time]
    b.panel([w * 0.5, 0.05, 1.5], [0.6, 0, 0], [0, 0, -0.7], paint([0.1] * 3), glow=(WHITE * fill))


def door_and_exit(b: Builder) -> None:
    """On the right wall or on the back wall's right end, with a green exit sign over it."""
    rng, w, d = b.rng, b.width, b.depth
    leaf = printed(textures.door_panel(rng))
    trim = paint([0.55, 0.5, 0.45])
    b.door_on_back = bool(rng.random() < 0.45)
    if b.door_on_back:
        x = w - 0.62
        b.door = (x, d - 0.02)
        b.panel([x, d - 0.02, 1.02], [0.44, 0, 0], [0, 0, 1.02], leaf)
        for dx in (-0.48, 0.48):
            b.box([x + dx - 0.04, d - 0.06, 0], [x + dx + 0.04, d, 2.08], trim)
        b.rod([x - 0.34, d - 0.1, 1.0], [x - 0.22, d - 0.1, 1.0], 0.02, paint([0.6] * 3))
        sign = ([x, d - 0.05, 2.22], [0.2, 0, 0], [0, 0, 0.09])
    else:
        y = d * 0.66
        b.door = (w - 0.02, y)
        b.panel([w - 0.02, y, 1.02], [0, -0.44, 0], [0, 0, 1.02], leaf)
        for dy in (-0.48, 0.48):
            b.box([w - 0.06, y + dy - 0.04, 0], [w, y + dy + 0.04, 2.08], trim)
        b.rod([w - 0.1, y - 0.34, 1.0], [w - 0.1, y - 0.22, 1.0], 0.02, paint([0.6] * 3))
        sign = ([w - 0.05, y, 2.22], [0, -0.2, 0], [0, 0, 0.09])
    b.panel(*sign, paint([0.1, 0.5, 0.25]), glow=faint(np.array([0.05, 0.5, 0.2])))
