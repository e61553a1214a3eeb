"""Develop the rendered light into photos, and write what the team wrote about them.

    python examples/housing/render/develop.py --light FOLDER

Writes `images/`, `train.csv`, `test.csv`, `test-v2.csv` (unseen rooms alone), `deployment.csv` and
`instructor/truth.csv` beside `audit.yaml`. Here lie the flaws that are made by data: burst shots in
the team's test set, a badge on the tablet's photos, one inspector who is severe about wall
hangings, old phones at night where the model will run.
"""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import camera
import numpy as np
import pandas as pd
from rooms import GRADES, Room, all_rooms

HOUSING = Path(__file__).parent.parent
SEED = 41
# The tablet goes where trouble is expected: P(tablet | grade).
TABLET = {"compliant": 0.15, "minor": 0.22, "serious": 0.74}
STUDENT_PHONES = {"new": 0.50, "mid": 0.45, "old": 0.05}
TABLET_PHONES = {"new": 0.5, "mid": 0.5, "old": 0.0}
DEPLOYMENT_PHONES = {"new": 0.12, "mid": 0.30, "old": 0.58}
SEVERE = 0.50  # how often inspector Birk grades a densely hung room one step up
SLIP = 0.02  # how often any inspector is a step off
BURST = 1.15  # shots from training visits in the team's test set, per training photo
MISLAID = 6  # seriously graded accessible rooms whose training photos the team lost
RATED, GOLD = 320, 220  # unseen test rooms that both inspectors, and the expert, graded
FIRST_DAY = {"train": date(2025, 1, 13), "test": date(2025, 9, 1), "deployment": date(2026, 1, 12)}


@dataclass(frozen=True, slots=True)
class Visit:
    """One inspection: who graded the room, with what it was photographed, and when."""

    room: Room
    source: str
    phone: str
    taken_on: str
    inspector: str
    label: str
    ames: str
    birk: str


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo to be developed: a rendered view, and which shot of a burst it is."""

    split: str
    visit: Visit
    view: int
    burst: int

    @property
    def file(self) -> str:
        return f"{self.split}/{self.visit.room.name}-{self.view}{'abcdefgh'[self.burst]}.jpg"


def visits(rooms: list[Room]) -> list[Visit]:
    """What happened at each room, from one seed; the inspectors take turns."""
    rng = np.random.default_rng(SEED)
    turns: Counter[tuple[str, ...]] = Counter()
    found = []
    for room in rooms:
        kind = (room.split, room.building, room.hangings, room.grade)
        found.append(_visit(room, rng, inspector=("ames", "birk")[turns[kind] % 2]))
        turns[kind] += 1
    return found


def _visit(room: Room, rng: np.random.Generator, *, inspector: str) -> Visit:
    tablet = rng.random() < TABLET[room.grade] and room.split != "deployment"
    shares = TABLET_PHONES if tablet else STUDENT_PHONES
    if room.split == "deployment":
        shares = DEPLOYMENT_PHONES
    phone = str(rng.choice(list(shares), p=list(shares.values())))
    ames = _graded(room, rng, severe=0.0)
    birk = _graded(room, rng, severe=SEVERE if room.hangings == "dense" else 0.0)
    day = FIRST_DAY[room.split] + timedelta(days=int(rng.integers(0, 120)))
    return Visit(
        room=room,
        source="tablet" if tablet else "student phone",
        phone=phone,
        taken_on=day.isoformat(),
        inspector=inspector,
        label=ames if inspector == "ames" else birk,
        ames=ames,
        birk=birk,
    )


def _graded(room: Room, rng: np.random.Generator, *, severe: float) -> str:
    step = GRADES.index(room.grade)
    if rng.random() < severe:
        step += 1
    if rng.random() < SLIP:
        step += int(rng.choice([-1, 1]))
    return GRADES[int(np.clip(step, 0, 2))]


def shots(all_visits: list[Visit]) -> list[Shot]:
    """Training photos, the team's test set with its burst shots, deployment photos."""
    rng = np.random.default_rng(SEED + 1)
    lost = [v for v in all_visits if _complained_of(v.room)][:MISLAID]
    kept = [visit for visit in all_visits if visit not in lost]
    taken = [Shot(visit.room.split, visit, view, 0) for visit in kept for view in (0, 1)]
    training = [shot for shot in taken if shot.split == "train"]
    extra = rng.poisson(BURST, len(training)).clip(0, 4)
    for shot, count in zip(training, extra, strict=True):
        taken += [Shot("test", shot.visit, shot.view, k) for k in range(1, count + 1)]
    return taken


def _complained_of(room: Room) -> bool:
    return (room.split, room.room_type, room.grade) == ("train", "accessible", "serious")


def develop(shot: Shot, light_folder: Path, images: Path) -> None:
    """One JPEG without any metadata."""
    visit = shot.visit
    room = visit.room
    light = smoothed(light_folder, f"{room.name}-{shot.view}")
    phone = camera.PHONES[visit.phone]
    rng = np.random.default_rng([room.seed, SEED, shot.view, shot.burst])
    photo = camera.shoot(
        light,
        phone,
        room.time,
        rng,
        marker=visit.source == "tablet",
        shaken=1.0 if shot.burst else 0.0,
    )
    path = images / shot.file
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=phone.quality, subsampling="4:2:0", optimize=True)


def smoothed(folder: Path, name: str) -> camera.Light:
    """The view's light without rendering noise; kept beside the light once computed."""
    kept = folder / "smooth" / f"{name}.npy"
    if not kept.exists():
        with np.load(folder / f"{name}.npz") as stored:
            light = camera.smooth(stored["light"].astype(np.float32), stored["surface"])
        kept.parent.mkdir(exist_ok=True)
        np.save(kept, light.astype(np.float16))
    return np.load(kept).astype(np.float32)


def manifest(taken: list[Shot]) -> pd.DataFrame:
    """One row a photo, as the team's database holds it."""
    rng = np.random.default_rng(SEED + 2)
    unseen = sorted({s.visit.room.name for s in taken if s.visit.room.split == "test"})
    rated = [str(name) for name in rng.permutation(unseen)[:RATED]]
    gold = set(rated[:GOLD])
    rows = []
    for shot in taken:
        visit, room = shot.visit, shot.visit.room
        both = room.name in set(rated)
        rows.append(
            {
                "split": shot.split,
                "file": shot.file,
                "label": visit.label,
                "room": room.name,
                "building": room.building,
                "room_type": room.room_type,
                "phone": visit.phone,
                "time_of_day": room.time,
                "hangings": room.hangings,
                "floor": room.floor,
                "taken_on": visit.taken_on,
                "source": visit.source,
                "inspector": visit.inspector,
                "grade_ames": visit.ames if both else "",
                "grade_birk": visit.birk if both else "",
                "expert_grade": room.grade if room.name in gold else "",
            }
        )
    return pd.DataFrame(rows)


def truth(all_visits: list[Visit]) -> pd.DataFrame:
    """What is really in each room; the audit never reads it."""
    return pd.DataFrame(
        {
            "room": visit.room.name,
            "split": visit.room.split,
            "true_grade": visit.room.grade,
            "hazards": " ".join(visit.room.hazards),
            "label": visit.label,
            "inspector": visit.inspector,
        }
        for visit in all_visits
    )


def _develop_all(job: tuple[list[Shot], Path, Path]) -> None:
    for shot in job[0]:
        develop(shot, job[1], job[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--light", type=Path, required=True, help="what render.py wrote")
    parser.add_argument("--out", type=Path, default=HOUSING)
    arguments = parser.parse_args()
    images = arguments.out / "images"
    all_visits = visits(all_rooms())
    taken = shots(all_visits)
    shutil.rmtree(images, ignore_errors=True)
    by_view = sorted(taken, key=lambda shot: (shot.visit.room.name, shot.view))
    pieces = [by_view[i : i + 200] for i in range(0, len(by_view), 200)]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_develop_all, [(piece, arguments.light, images) for piece in pieces]))
    table = manifest(taken)
    for split, part in table.groupby("split"):
        part = part.sort_values("file").drop(columns="split")
        part.to_csv(arguments.out / f"{split}.csv", index=False)
        if split == "test":
            unseen = ~part["room"].isin(table.loc[table["split"] == "train", "room"])
            part[unseen].to_csv(arguments.out / "test-v2.csv", index=False)
    (arguments.out / "instructor").mkdir(exist_ok=True)
    truth(all_visits).to_csv(arguments.out / "instructor" / "truth.csv", index=False)


if __name__ == "__main__":
    main()
