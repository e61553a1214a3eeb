"""What the housing lab's edge form loses, on rooms and shots that no shipped file holds.

    python examples/housing/render/render.py --seed 78 --split test --out FRESH
    python benchmarks/housing_edge.py --seed 78 --light FRESH --training-light LIGHT

Its recipe was chosen on the rooms of seeds 77 and 78. Fresh rooms stand for the unseen ones of the
team's test set, and one further shot of each training visit (`--burst`, 5 to 7 were never shipped)
for its bursts.
LIGHT is what `render.py` wrote for the shipped photos.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

import auditor
from auditor.stats import interval, paired_difference

HOUSING = Path(auditor.__file__).parents[1] / "examples" / "housing"
sys.path[:0] = [str(HOUSING), str(HOUSING / "render")]
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import develop  # noqa: E402
import onnxruntime  # noqa: E402
import train  # noqa: E402
from rooms import all_rooms  # noqa: E402


def fresh_photos(arguments: argparse.Namespace, folder: Path) -> train.Photos:
    """Photos of rooms of another seed, and further shots of the training visits."""
    rooms = [room for room in all_rooms(arguments.seed) if room.split == "test"]
    unseen = [develop.Shot("test", v, view, 0) for v in develop.visits(rooms) for view in (0, 1)]
    shipped = develop.shots(develop.visits(all_rooms()))
    seen = [
        develop.Shot("train", s.visit, s.view, arguments.burst)
        for s in shipped
        if s.split == "train"
    ]
    rows = []
    for shots, light in ((unseen, arguments.light), (seen, arguments.training_light)):
        for shot in shots:
            develop.develop(shot, light, folder / "images")
            room = shot.visit.room
            rows.append((shot.file, shot.visit.label, room.name, room.time, shots is seen))
    table = pd.DataFrame(rows, columns=["file", "label", "room", "time_of_day", "seen"])
    table["room"] = table["room"].where(table["seen"], "fresh-" + table["room"])
    table.to_csv(folder / "photos.csv", index=False)
    return train.load("photos.csv", folder)


def right(model: Path, photos: train.Photos) -> npt.NDArray[np.bool_]:
    """Whether each photo is graded as labelled."""
    session = onnxruntime.InferenceSession(str(model))
    answers = [
        session.run(None, {"photo": train.prepared(part).contiguous().numpy()})[0].argmax(1)
        for part in photos.pixels.split(256)
    ]
    hits: npt.NDArray[np.bool_] = np.concatenate(answers) == photos.labels.numpy()
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, required=True, help="of the fresh rooms")
    parser.add_argument("--light", type=Path, required=True)
    parser.add_argument("--training-light", type=Path, required=True)
    parser.add_argument("--burst", type=int, choices=(5, 6, 7), default=6)
    parser.add_argument("--model", type=Path, default=HOUSING / "model.onnx")
    parser.add_argument("--edge", type=Path, default=HOUSING / "model-edge.onnx")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as folder:
        photos = fresh_photos(arguments, Path(folder))
    full, edge = right(arguments.model, photos), right(arguments.edge, photos)
    rows = photos.rows
    night, seen = (rows["time_of_day"] == "night").to_numpy(), rows["seen"].to_numpy(bool)
    parts = {
        "all photos": np.ones(len(rows), bool),
        "at night": night,
        "not at night": ~night,
        "fresh rooms at night": night & ~seen,
        "fresh rooms, not at night": ~night & ~seen,
    }
    print("| photos | n | full model | edge form | lost |")
    print("|---|---|---|---|---|")
    for name, part in parts.items():
        lost = paired_difference(edge[part], full[part], unit=rows["room"].to_numpy()[part])
        ends = interval(lost)
        print(
            f"| {name} | {part.sum()} | {full[part].mean():.3f} | {edge[part].mean():.3f} "
            f"| {full[part].mean() - edge[part].mean():.3f} [{ends.low:.3f}, {ends.high:.3f}] |"
        )


if __name__ == "__main__":
    main()
