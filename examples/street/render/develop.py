"""Make the world: photos, class maps, manifests and the instructor's truth.

    python examples/street/render/develop.py [--out FOLDER] [--processes N]

Numpy, scipy and Pillow; ten minutes on two cores. The same code and seed give the same files on one
machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

import annotators
import camera
from ground import POTHOLE, ground
from light import shaded
from stretches import Frame, all_stretches, annotated_twice, frames

STREET = Path(__file__).parent.parent
QUALITY = 66


def make(frame: Frame, out: Path, *, twice: bool) -> dict[str, object]:
    """One frame's files; what is truly in it, as a line of the instructor's table."""
    made = ground(frame)
    taken = camera.taken(made, shaded(made, frame), frame)
    stretch = frame.stretch
    photo = out / "images" / stretch.split / f"{frame.name}.jpg"
    photo.parent.mkdir(parents=True, exist_ok=True)
    taken.photo.save(photo, quality=QUALITY, subsampling="4:2:0", optimize=True)
    file = f"{frame.name}.png"
    maps = {name: _drawn(taken.classes, frame, name) for name in annotators.FACTOR}
    annotators.save(maps[stretch.annotator], out / "masks" / stretch.split / file)
    truth = annotators.with_void(taken.classes)
    if twice:
        for name, drawn in maps.items():
            annotators.save(drawn, out / "masks" / name / file)
        annotators.save(truth, out / "masks" / "survey" / file)
    if stretch.split == "test":
        annotators.save(truth, out / "instructor" / "truth" / file)
    pixels = taken.classes.size
    return {
        "file": photo.name,
        "split": stretch.split,
        "stretch": stretch.name,
        "potholes": frame.potholes,
        "cracks": frame.cracks,
        "debris": frame.debris,
        "true_share": round((taken.classes == POTHOLE).sum() / pixels, 5),
        "drawn_share": round((maps[stretch.annotator] == POTHOLE).sum() / pixels, 5),
    }


def _drawn(classes: annotators.Classes, frame: Frame, name: str) -> annotators.Classes:
    rng = np.random.default_rng([*frame.seed, 8, list(annotators.FACTOR).index(name)])
    return annotators.with_void(annotators.drawn(classes, name, rng))


def manifest(split: str) -> pd.DataFrame:
    """One row a photo, as the team's database holds it."""
    rows = [
        {
            "file": f"{frame.name}.jpg",
            "stretch": stretch.name,
            "surface": stretch.surface,
            "light": stretch.light,
            "district": stretch.district,
            "camera": stretch.camera,
            "annotator": stretch.annotator,
            "ridden_on": stretch.ridden_on,
        }
        for stretch in all_stretches()
        if stretch.split == split
        for frame in frames(stretch)
    ]
    return pd.DataFrame(rows)


def _make_all(job: tuple[list[Frame], Path, set[str]]) -> list[dict[str, object]]:
    taken, out, twice = job
    return [make(frame, out, twice=frame.stretch.name in twice) for frame in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=STREET)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    out = arguments.out
    for folder in ("images", "masks", "instructor/truth"):
        shutil.rmtree(out / folder, ignore_errors=True)
    stretches = all_stretches()
    everything = [frame for stretch in stretches for frame in frames(stretch)]
    twice = annotated_twice(stretches)
    jobs = [(everything[at : at + 30], out, twice) for at in range(0, len(everything), 30)]
    with ProcessPoolExecutor(arguments.processes) as pool:
        lines = [line for part in pool.map(_make_all, jobs) for line in part]
    for split in ("train", "test", "deployment"):
        manifest(split).to_csv(out / f"{split}.csv", index=False)
    pd.DataFrame(lines).to_csv(out / "instructor" / "truth.csv", index=False)


if __name__ == "__main__":
    main()
