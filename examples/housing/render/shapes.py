"""Boxes, rods, balls and panels with materials and light: what a scene is put together from.

Metres; x runs along the back wall, y away from the camera, z up. A room is laid out once and then
mirrored or not, so that left and right carry no meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import mitsuba as mi
import numpy as np
import textures
from rooms import Room

mi.set_variant("scalar_rgb")
T = mi.ScalarTransform4f
Vector = Sequence[float]

WARM, WHITE, SKY = np.array([1.0, 0.72, 0.42]), np.array([1.0, 0.92, 0.80]), np.array([0.8, 0.9, 1])


def write_ball(folder: Path) -> Path:
    """A unit ball as a mesh (Mitsuba's own sphere cannot be stretched)."""
    path = folder / "ball.ply"
    if path.exists():
        return path
    rings, sectors = 9, 16
    points = [(0.0, 0.0, 1.0)]
    for i in range(1, rings):
        theta = np.pi * i / rings
        for j in range(sectors):
            phi = 2 * np.pi * j / sectors
            points.append((np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)))
    points.append((0.0, 0.0, -1.0))
    faces = []
    for j in range(sectors):
        k = (j + 1) % sectors
        faces.append((0, 1 + j, 1 + k))
        last = 1 + (rings - 2) * sectors
        faces.append((len(points) - 1, last + k, last + j))
        for i in range(rings - 2):
            a, b = 1 + i * sectors + j, 1 + i * sectors + k
            faces += [(a, a + sectors, b), (b, a + sectors, b + sectors)]
    lines = ["ply", "format ascii 1.0", f"element vertex {len(points)}"]
    lines += [f"property float {axis}" for axis in ("x", "y", "z", "nx", "ny", "nz")]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    lines += [" ".join(f"{v:.5f}" for v in (*p, *p)) for p in points]
    lines += [f"3 {a} {b} {c}" for a, b, c in faces]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class Builder:
    """Collects shapes; what belongs to a hazard carries the hazard's name in its id."""

    room: Room
    folder: Path
    rng: np.random.Generator
    width: float = 0.0
    depth: float = 0.0
    height: float = 0.0
    mirrored: bool = False
    door: tuple[float, float] = (0.0, 0.0)
    door_on_back: bool = False
    shapes: dict[str, Any] = field(default_factory=dict)
    tag: str = "room"

    def x(self, value: float) -> float:
        return self.width - value if self.mirrored else value

    def add(self, shape: dict[str, Any]) -> None:
        self.shapes[f"{self.tag}__{len(self.shapes):03d}"] = shape

    def box(
        self, low: Vector, high: Vector, bsdf: Any, glow: Any = None, turn: float = 0.0
    ) -> None:
        """A box between two corners; `turn` in degrees about the vertical through its middle."""
        a, b = np.asarray(low, float), np.asarray(high, float)
        centre, half = (a + b) / 2, np.maximum(np.abs(b - a) / 2, 1e-3)
        place = T().translate([self.x(centre[0]), centre[1], centre[2]])
        place = place @ T().rotate([0, 0, 1], -turn if self.mirrored else turn) @ T().scale(half)
        self.add(_shape("cube", bsdf, glow, to_world=place))

    def ball(self, centre: Vector, radii: Vector, bsdf: Any, glow: Any = None) -> None:
        place = T().translate([self.x(centre[0]), centre[1], centre[2]]) @ T().scale(list(radii))
        name = str(write_ball(self.folder))
        self.add(_shape("ply", bsdf, glow, filename=name, to_world=place))

    def rod(self, start: Vector, end: Vector, radius: float, bsdf: Any, glow: Any = None) -> None:
        p0 = [self.x(start[0]), start[1], start[2]]
        p1 = [self.x(end[0]), end[1], end[2]]
        self.add(_shape("cylinder", _two_sided(bsdf), glow, p0=p0, p1=p1, radius=radius))

    def disk(self, centre: Vector, radius: float, bsdf: Any, glow: Any = None) -> None:
        """A horizontal disk that faces up."""
        place = T().translate([self.x(centre[0]), centre[1], centre[2]]) @ T().scale(radius)
        self.add(_shape("disk", _two_sided(bsdf), glow, to_world=place))

    def panel(self, centre: Vector, right: Vector, up: Vector, bsdf: Any, glow: Any = None) -> None:
        """A rectangle from its centre and its two half axes; it glows to the side of right x up."""
        r, u = np.asarray(right, float), np.asarray(up, float)
        if self.mirrored:
            r, u = r * [-1, 1, 1], u * [-1, 1, 1]
        normal = np.cross(r, u)
        normal /= np.linalg.norm(normal)
        if self.mirrored:
            normal = -normal
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = r, u, normal
        matrix[:3, 3] = [self.x(centre[0]), centre[1], centre[2]]
        self.add(_shape("rectangle", _two_sided(bsdf), glow, to_world=T(matrix)))

    def cable(self, points: Sequence[Vector], radius: float, bsdf: Any) -> None:
        for start, end in pairwise(points):
            self.rod(start, end, radius, bsdf)


def _shape(kind: str, bsdf: Any, glow: Any, **rest: Any) -> dict[str, Any]:
    shape = {"type": kind, "bsdf": bsdf, **rest}
    if glow is not None:
        radiance, weight = glow if isinstance(glow, tuple) else (glow, 1.0)
        if not isinstance(radiance, dict):
            radiance = {"type": "rgb", "value": [float(v) for v in radiance]}
        shape["emitter"] = {"type": "area", "radiance": radiance, "sampling_weight": weight}
    return shape


def _two_sided(bsdf: Any) -> Any:
    return {"type": "twosided", "inner": bsdf} if bsdf["type"] == "diffuse" else bsdf


def paint(colour: Vector) -> dict[str, Any]:
    """Matt material of one colour."""
    value = [float(np.clip(v, 0.01, 0.95)) for v in colour]
    return {"type": "diffuse", "reflectance": {"type": "rgb", "value": value}}


def printed(bitmap: textures.Bitmap, repeat: Vector = (1, 1)) -> dict[str, Any]:
    """Matt material with a bitmap on it."""
    texture = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(bitmap),
        "raw": True,
        "to_uv": T().scale([float(repeat[0]), float(repeat[1]), 1]),
    }
    return {"type": "diffuse", "reflectance": texture}


def faint(colour: Vector) -> tuple[Vector, float]:
    """Light that is seen but lights nothing much: never sampled, only hit."""
    return (colour, 0.0)


def shining(colour: Vector) -> Any:
    """Strong light is sampled, weak light only seen."""
    return colour if float(np.max(colour)) > 0.1 else faint(colour)
