"""Path-trace every room twice and keep the light that reached the camera.

    python examples/housing/render/render.py --out FOLDER [--part 0/2] [--limit N]
                                             [--seed N] [--split test]

Writes one file a photo, linear light as float16 at 176x132 pixels: larger than the photo, so that
a burst of shots can be cut from it as a hand-held camera would. Rendering is split over processes
by `--part`; what is there already is not rendered again. Another `--seed` gives other rooms, to
choose a recipe on or to confirm it with. Needs the packages of the extra `housing-renderer`; the
audit never needs them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import drjit as dr
import mitsuba as mi
import numpy as np
import numpy.typing as npt
import scene as scenes
from rooms import SEED, Room, all_rooms
from shapes import Builder, T

Image = npt.NDArray[np.float32]
WIDTH, HEIGHT = 176, 132
ROUNDS, SAMPLES = 4, 2  # four renders of a few samples each; outliers among them are clipped
ATTEMPTS = 40
# Pixels of a hazard that a photo must show, so that a person can grade it.
VISIBLE = {
    "flame": 90,
    "blocked_exit": 500,
    "heater_on_bedding": 350,
    "covered_detector": 160,
    "power_strips": 350,
    "cloth_on_lamp": 260,
    "hot_plate": 350,
}
INNER = (slice(10, HEIGHT - 10), slice(12, WIDTH - 12))  # what even a shaken shot shows


def camera(b: Builder, shot: int, attempt: int, rng: np.random.Generator) -> dict[str, Any]:
    """Somewhere near the front of the room, looking in; the two shots from different sides."""
    w, d = b.width, b.depth
    side = 0.28 if shot == 0 else 0.55
    x = w * (side + rng.uniform(-0.10, 0.12))
    y = d * rng.uniform(0.03, 0.12)
    z = rng.uniform(1.4, 1.75)
    slack = min(1.0, attempt / 20)
    aim = [w * (0.58 if shot == 0 else 0.50), d * 0.80, 0.95 + 0.25 * rng.random()]
    aim[0] += w * rng.uniform(-0.06, 0.06) * (1 + slack)
    aim[2] += rng.uniform(-0.12, 0.12) * (1 + slack)
    fov = rng.uniform(70, 80) + 4 * slack
    up = [rng.normal(0, 0.03), 0, 1]
    return {
        "type": "perspective",
        "fov": fov,
        "fov_axis": "x",
        "near_clip": 0.05,
        "to_world": T().look_at(origin=[b.x(x), y, z], target=[b.x(aim[0]), aim[1], aim[2]], up=up),
        "film": {
            "type": "hdrfilm",
            "width": WIDTH,
            "height": HEIGHT,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
            "component_format": "float32",
        },
        "sampler": {"type": "independent", "sample_count": 1},
    }


def render_room(room: Room, folder: Path, out: Path) -> None:
    """Both photos of a room."""
    targets = [out / f"{room.name}-{shot}.npz" for shot in (0, 1)]
    if all(target.exists() for target in targets):
        return
    b = scenes.build(room, folder)
    scene = mi.load_dict({"type": "scene", **b.shapes}, optimize=False)  # keeps every id
    names = [shape.id().split("__")[0] for shape in scene.shapes()]
    for shot, target in enumerate(targets):
        rng = np.random.default_rng([room.seed, shot])
        view, surfaces = find_view(b, scene, names, shot, rng)
        light = trace(scene, view, seed=room.seed % 100_000 + shot)
        if not np.isfinite(light).all():
            raise ValueError(f"{room.name}: the render holds values that are no numbers")
        partial = target.with_suffix(".tmp.npz")
        surface = surfaces[..., :7].astype(np.float16)
        np.savez(partial, light=light.astype(np.float16), surface=surface)
        os.replace(partial, target)


def find_view(
    b: Builder, scene: Any, names: list[str], shot: int, rng: np.random.Generator
) -> tuple[dict[str, Any], Image]:
    """The first camera that sees every hazard of the room large enough, and what it sees.

    Where none does, the best of them, if it shows each hazard at more than half that size.
    """
    best = (0.0, {}, np.empty(0, np.float32))
    for attempt in range(ATTEMPTS):
        view = camera(b, shot, attempt, rng)
        surfaces = look(scene, view)
        seen = pixels_by_name(surfaces[..., 7], names)
        shown = min([1.0, *(seen.get(name, 0) / VISIBLE[name] for name in b.room.hazards)])
        if shown > best[0]:
            best = (shown, view, surfaces)
        if shown == 1.0:
            break
    if best[0] < 0.5:
        raise ValueError(
            f"{b.room}: no camera sees its hazards (at best {best[0]:.0%} of the size)"
        )
    return best[1], best[2]


def look(scene: Any, view: dict[str, Any]) -> Image:
    """Albedo, normal, depth and index of the shape at each pixel: height x width x 8."""
    channels = {"type": "aov", "aovs": "a:albedo,n:sh_normal,d:depth,s:shape_index"}
    sensor, integrator = mi.load_dict(view), mi.load_dict(channels)
    return np.asarray(mi.render(scene, sensor=sensor, integrator=integrator, spp=1))[..., -8:]


def pixels_by_name(index: Image, names: list[str]) -> dict[str, int]:
    """Pixels of each hazard in the part of the frame that every photo keeps."""
    counts: dict[str, int] = {}
    inner = index[INNER].round().astype(int)
    for shape, n in zip(*np.unique(inner[inner >= 0], return_counts=True), strict=True):
        if shape < len(names):
            counts[names[shape]] = counts.get(names[shape], 0) + int(n)
    return counts


def trace(scene: Any, view: dict[str, Any], *, seed: int) -> Image:
    """Light at each pixel: several short renders with outliers clipped."""
    path = mi.load_dict({"type": "path", "max_depth": 5})
    sensor = mi.load_dict(view)
    rounds = [
        np.asarray(mi.render(scene, sensor=sensor, integrator=path, spp=SAMPLES, seed=seed * 8 + k))
        for k in range(ROUNDS)
    ]
    stack = np.stack(rounds)[..., :3]
    return np.minimum(stack, 3 * np.median(stack, axis=0) + 0.05).mean(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="0/1", help="which share of the rooms, e.g. 0/2")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=SEED, help="of the rooms")
    parser.add_argument("--split", help="rooms of this split only")
    arguments = parser.parse_args()
    part, parts = (int(n) for n in arguments.part.split("/"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    # Shuffled, so that an unfinished run holds rooms of every split.
    rooms = [r for r in all_rooms(arguments.seed) if arguments.split in (None, r.split)]
    mine = sorted(rooms, key=lambda room: room.seed)[part::parts][: arguments.limit]
    dr.set_thread_count(1)
    unseen: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for done, room in enumerate(mine, 1):
            try:
                render_room(room, Path(folder), arguments.out)
            except ValueError as error:
                unseen.append(str(error))
            if done % 50 == 0:
                print(f"part {part}: {done} of {len(mine)} rooms", flush=True)
    if unseen:
        sys.exit("\n".join(unseen))


if __name__ == "__main__":
    main()
