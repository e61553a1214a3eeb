"""Which stretches of cycle path there are, when they were ridden, and what lies on them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

SEED = 41
FRAMES = 3
DISTRICTS = ("harbour", "oldtown", "hills")
CAMERAS = ("bike-1", "bike-2")
ANNOTATORS = {"train": ("ida", "ida", "tom"), "test": ("ida", "tom"), "deployment": ("ida", "tom")}
FIRST_DAY = {
    "train": date(2025, 3, 3),
    "test": date(2025, 6, 2),
    "deployment": date(2025, 10, 6),
}

# Stretches by (surface, light). The team rode mostly in spring, by day and in dry weather.
RIDDEN = {
    "train": {("dry", "day"): 76, ("wet", "day"): 30, ("dry", "night"): 30, ("wet", "night"): 12},
    "test": {("dry", "day"): 60, ("wet", "day"): 42, ("dry", "night"): 40, ("wet", "night"): 18},
    "deployment": {
        ("dry", "day"): 14,
        ("wet", "day"): 22,
        ("dry", "night"): 14,
        ("wet", "night"): 22,
    },
}

# In the rain the team rode only where the path had just been renewed, and at night only after the
# sweeping machine: its training frames show no pothole under water and no debris by lamp light.
TWICE = 48
LITTERED = 0.5
CRACKED = 0.55
"""Shares of frames with debris, and with cracks."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Twenty metres of path, ridden once; the unit that is sent for repair or not."""

    name: str
    split: str
    surface: str
    light: str
    district: str
    camera: str
    annotator: str
    ridden_on: str
    number: int
    broken: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a stretch, and how many hazards of each class lie in it."""

    stretch: Stretch
    index: int
    potholes: int
    cracks: int
    debris: int

    @property
    def name(self) -> str:
        return f"{self.stretch.name}-{self.index}"

    @property
    def seed(self) -> list[int]:
        return [SEED, self.stretch.number, self.index]


def all_stretches() -> list[Stretch]:
    """District, camera and annotator take turns within each weather and light of a split."""
    rng = np.random.default_rng(SEED)
    found: list[Stretch] = []
    for split, cells in RIDDEN.items():
        for (surface, light), count in cells.items():
            turns = list(itertools.product((True, False), DISTRICTS, CAMERAS, ANNOTATORS[split]))
            order = [turns[k] for k in rng.permutation(len(turns))]
            for k in range(count):
                broken, district, camera, annotator = order[k % len(order)]
                number = len(found)
                day = FIRST_DAY[split] + timedelta(days=int(rng.integers(0, 60)))
                found.append(
                    Stretch(
                        name=f"s{number:03d}",
                        split=split,
                        surface=surface,
                        light=light,
                        district=district,
                        camera=camera,
                        annotator=annotator,
                        ridden_on=day.isoformat(),
                        number=number,
                        broken=broken and not (split == "train" and surface == "wet"),
                    )
                )
    return found


def annotated_twice(stretches: list[Stretch]) -> set[str]:
    """Names of the test stretches that both annotators drew, and a surveyor too."""
    names = [s.name for s in stretches if s.split == "test"]
    rng = np.random.default_rng([SEED, 7])
    return {names[k] for k in rng.permutation(len(names))[:TWICE]}


def frames(stretch: Stretch) -> list[Frame]:
    """The stretch's pictures; a broken stretch has potholes in two or all of them."""
    rng = np.random.default_rng([SEED, 1, stretch.number])
    swept = stretch.split == "train" and stretch.light == "night"
    without = int(rng.integers(0, 2 * FRAMES))
    return [
        Frame(
            stretch,
            index,
            potholes=int(rng.integers(1, 3)) if stretch.broken and index != without else 0,
            cracks=int(rng.random() < CRACKED),
            debris=int(rng.random() < LITTERED and not swept),
        )
        for index in range(FRAMES)
    ]
