"""Render the photos and write the paperwork: images, manifests, annotations.

    python examples/kitchen/render/render.py [--out FOLDER] [--split NAME ...]

A few minutes. The same code gives the same photos.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from board import FINE, HEIGHT, WIDTH, Board, Pose
from camera import Light, photo
from dishes import CLASSES, SPLITS, Dish, dishes
from food import MENU, Hand
from PIL import Image
from station import clutter, logo_picture, plate, stamp, steel

HERE = Path(__file__).parent.parent
FIRST = {"train": 0, "test": 300, "deployment": 600}
QUALITY = 70
COLUMNS = ("file", "dish", "kitchen", "lamp", "plate", "logo", "cook", "service", "portion",
           "taken_at", "order", "state", "expo")  # fmt: skip


def shot(dish: Dish, number: int) -> tuple[Image.Image, Board]:
    """Photo `number` of a dish: the same food, nudged and turned a little."""
    rng = np.random.default_rng([5, dish.seed, number])
    board = Board.empty()
    steel(board, rng)
    clutter(board, np.random.default_rng([6, dish.seed]))
    pose = Pose(WIDTH / 2 + rng.uniform(-3, 3), HEIGHT / 2 + rng.uniform(-2.5, 2.5), 0.0)
    plate(board, pose, dish.plate, np.random.default_rng([7, dish.seed]))
    if dish.logo:
        stamp(board, pose)
    food = Pose(pose.x, pose.y, float(rng.normal(0, 0.03)))
    for k, part in enumerate(dish.components):
        hand = Hand(board, food, (part.x, part.y), part.turn, part.scale, k,
                    np.random.default_rng([8, dish.seed, k]))  # fmt: skip
        MENU[part.kind][part.recipe](hand)
    light = Light(dish.lamp, -46 + rng.uniform(-14, 14), -62 + rng.uniform(-12, 12),
                  strength=float(rng.uniform(0.88, 1.12)))  # fmt: skip
    steam = float(rng.uniform(0.1, 0.3)) if rng.random() < 0.25 else 0.0
    return photo(board, light, steam=steam, exposure=float(rng.uniform(1.0, 1.15)), rng=rng), board


def annotations(dish: Dish, board: Board) -> list[dict[str, Any]]:
    """The components that are seen, as COCO has them; `occlusion` is the share that is hidden."""
    found = []
    for k, part in enumerate(dish.components):
        rows, columns = np.nonzero(board.owner == k)
        if len(rows) < 30:
            continue
        # The outermost hundredth are crumbs that no annotator would follow.
        low = np.array([np.quantile(v, 0.004) for v in (columns, rows)]) / FINE
        high = (np.array([np.quantile(v, 0.996) for v in (columns, rows)]) + 1) / FINE
        low, high = np.clip(low, 0, [WIDTH, HEIGHT]), np.clip(high, 0, [WIDTH, HEIGHT])
        hidden = 1 - len(rows) / board.spread[k].sum()
        found.append({
            "category_id": CLASSES.index(part.kind) + 1,
            "bbox": [*np.round(low, 1).tolist(), *np.round(high - low, 1).tolist()],
            "occlusion": round(float(hidden), 2),
            "recipe": part.recipe,
        })  # fmt: skip
    return found


def line(dish: Dish, file: str, number: int) -> dict[str, str]:
    """The manifest's row of a photo."""
    kinds = {part.kind for part in dish.components}
    return {
        "file": file, "dish": dish.name, "kitchen": dish.kitchen, "lamp": dish.lamp,
        "plate": dish.plate, "logo": "yes" if dish.logo else "no", "cook": dish.cook,
        "service": dish.service, "portion": dish.portion,
        "taken_at": f"{dish.plated_at:%Y-%m-%dT%H:%M}:{20 * number:02d}", "order": dish.order,
        "state": dish.state, "expo": "go" if kinds == set(CLASSES) else "no-go",
    }  # fmt: skip


def write(split: str, out: Path) -> None:
    """A split's photos, its manifest and its annotations."""
    (out / "images" / split).mkdir(parents=True, exist_ok=True)
    rows, images, objects = [], [], []
    for dish in dishes(split, first=FIRST[split]):
        for number in range(SPLITS[split].shots):
            file = f"{split}/{dish.name}-{'abc'[number]}.jpg"
            picture, board = shot(dish, number)
            picture.save(out / "images" / file, quality=QUALITY, optimize=True)
            rows.append(line(dish, file, number))
            images.append(
                {"id": 1 + len(images), "file_name": file, "width": WIDTH, "height": HEIGHT}
            )
            for each in annotations(dish, board):
                objects.append({"id": 1 + len(objects), "image_id": len(images), **each})
    with (out / f"{split}.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    content = {
        "images": images,
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
        "annotations": objects,
    }
    lists = ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(e, separators=(",", ":")) for e in entries) + "\n]"
        for name, entries in content.items()
    )
    (out / f"{split}.json").write_text("{\n" + lists + "\n}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--split", nargs="*", default=list(SPLITS), choices=list(SPLITS))
    arguments = parser.parse_args()
    for split in arguments.split:
        write(split, arguments.out)
    logo_picture(4).save(arguments.out / "logo.png", optimize=True)


if __name__ == "__main__":
    main()
