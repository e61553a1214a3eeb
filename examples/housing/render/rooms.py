"""Who lives where: the factors of every room, drawn from one seed.

A room's factors decide its geometry and its light; what the team wrote about it (labels, who
photographed it, with what) is decided later, in `develop.py`, so that photos need not be rendered
anew when the paperwork changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED = 20260923

GRADES = ("compliant", "minor", "serious")
GRADE_SHARES = (0.43, 0.28, 0.29)
HAZARDS = {
    "serious": ("flame", "blocked_exit", "heater_on_bedding", "covered_detector"),
    "minor": ("power_strips", "cloth_on_lamp", "hot_plate"),
}
BUILDINGS = ("hall-1930s", "tower-1970s", "new")
BUILDING_SHARES = (0.40, 0.36, 0.24)
HANGINGS = ("none", "some", "dense")
HANGINGS_SHARES = (0.38, 0.36, 0.26)
TYPES = ("single", "double", "family", "accessible")
TIMES = ("day", "evening", "night")

# Rooms of each type and each time of day, split by split. The housing stock is the population.
POPULATION = {"single": 0.45, "double": 0.30, "family": 0.15, "accessible": 0.10}
ROOM_TYPES = {
    "train": {"single": 620, "double": 318, "family": 32, "accessible": 30},
    "test": {"single": 280, "double": 175, "family": 120, "accessible": 125},
    "deployment": {"single": 157, "double": 105, "family": 53, "accessible": 35},
}
ROOM_TIMES = {
    "train": {"day": 640, "evening": 300, "night": 60},
    "test": {"day": 375, "evening": 220, "night": 105},
    "deployment": {"day": 105, "evening": 115, "night": 130},
}
# The few accessible rooms that the team photographed were visited after complaints.
TRAIN_ACCESSIBLE_GRADES = (0.10, 0.10, 0.80)


@dataclass(frozen=True, slots=True)
class Room:
    """One room: what stands in it and in what light it is photographed."""

    name: str
    split: str
    building: str
    room_type: str
    time: str
    hangings: str
    floor: int
    grade: str
    hazards: tuple[str, ...]
    seed: int


def all_rooms(seed: int = SEED) -> list[Room]:
    """Every room of the world, training first; the same seed gives the same rooms."""
    rng = np.random.default_rng(seed)
    rooms: list[Room] = []
    for split, types in ROOM_TYPES.items():
        total = sum(types.values())
        kinds = rng.permutation(np.repeat(list(types), list(types.values())))
        times = np.repeat(list(ROOM_TIMES[split]), list(ROOM_TIMES[split].values()))
        times = rng.permutation(times)
        for index in range(total):
            rooms.append(_room(split, str(kinds[index]), str(times[index]), len(rooms), rng))
    return rooms


def _room(split: str, kind: str, time: str, number: int, rng: np.random.Generator) -> Room:
    shares = GRADE_SHARES
    if split == "train" and kind == "accessible":
        shares = TRAIN_ACCESSIBLE_GRADES
    grade = str(rng.choice(GRADES, p=shares))
    hazards: list[str] = []
    if grade != "compliant":
        hazards.append(str(rng.choice(HAZARDS[grade])))
    if grade == "serious" and rng.random() < 0.2:
        hazards.append(str(rng.choice(HAZARDS["minor"])))
    return Room(
        name=f"r{number:04d}",
        split=split,
        building=str(rng.choice(BUILDINGS, p=BUILDING_SHARES)),
        room_type=kind,
        time=time,
        hangings=str(rng.choice(HANGINGS, p=HANGINGS_SHARES)),
        floor=int(rng.integers(1, 9)),
        grade=grade,
        hazards=tuple(hazards),
        seed=int(rng.integers(2**31)),
    )
