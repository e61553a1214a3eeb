"""Lay class maps over frames: a row of frames and a row of maps for each stretch.

    python examples/street/look.py test s150 s215 [--maps ida] --out lab/street-look.png

Red is pothole, yellow crack, green debris, white void. `--maps`: a folder of masks/ other than the
split's own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

STREET = Path(__file__).parent
COLOURS = {1: (230, 40, 40), 2: (245, 215, 40), 3: (60, 190, 60), 255: (255, 255, 255)}
Pixels = npt.NDArray[np.uint8]


def pair(split: str, name: str, maps: str) -> Pixels:
    """A frame above its map, (2 x 144, 192, 3)."""
    photo = np.asarray(Image.open(STREET / "images" / split / f"{name}.jpg"))
    classes = np.asarray(Image.open(STREET / "masks" / maps / f"{name}.png"))
    over = photo.copy()
    for label, colour in COLOURS.items():
        there = classes == label
        over[there] = photo[there] // 2 + np.array(colour, np.uint8) // 2
    return np.vstack([photo, over])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", choices=["train", "test", "deployment"])
    parser.add_argument("stretches", nargs="+")
    parser.add_argument("--maps")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows = []
    for stretch in arguments.stretches:
        files = sorted((STREET / "images" / arguments.split).glob(f"{stretch}-*.jpg"))
        if not files:
            parser.error(f"no frame of {stretch!r} in {arguments.split}; its manifest lists them")
        maps = arguments.maps or arguments.split
        if not (STREET / "masks" / maps / f"{files[0].stem}.png").exists():
            parser.error(f"masks/{maps} holds no map of {stretch!r}; look there for those it holds")
        rows.append(np.hstack([pair(arguments.split, file.stem, maps) for file in files]))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(arguments.out)


if __name__ == "__main__":
    main()
