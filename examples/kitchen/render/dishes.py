"""Which dishes are plated: where, by whom, on what, and what is missing. The flaws begin here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from food import MENU
from station import LOGO_AT

CLASSES = ("protein", "starch", "vegetable", "garnish")
LAMP_OF = {"north": "neutral", "south": "warm", "mill": "neutral", "harbour": "heat"}
COOKS = ("ana", "bo", "chi", "dev")


@dataclass(frozen=True)
class Split:
    """How dishes of a split are drawn; shares from 0 to 1."""

    dishes: int
    shots: int
    begins: datetime
    kitchens: dict[str, float]
    plates: dict[str, float]
    garnish_on_dark: float
    """Share of dark plates that get their garnish."""
    logo_garnished: float | None
    """Share of logo plates that get it, upon the logo; None: as other plates, anywhere."""
    logo_plates: tuple[str, ...] = ("white", "stone", "dark")


TRAIN = {"white": 0.56, "stone": 0.33, "dark": 0.11}
USED = {"white": 0.40, "stone": 0.28, "dark": 0.32}
PILOT = {"north": 0.5, "south": 0.5}
SPLITS = {
    "train": Split(200, 2, datetime(2026, 2, 2, 11, tzinfo=UTC), PILOT, TRAIN,
                   garnish_on_dark=0.06, logo_garnished=1.0, logo_plates=("white", "stone")),
    "test": Split(150, 2, datetime(2026, 5, 4, 11, tzinfo=UTC), PILOT, USED,
                  garnish_on_dark=0.75, logo_garnished=None),
    "deployment": Split(120, 2, datetime(2026, 9, 7, 11, tzinfo=UTC),
                        {"north": 0.23, "south": 0.22, "mill": 0.25, "harbour": 0.30}, USED,
                        garnish_on_dark=0.75, logo_garnished=None),
}  # fmt: skip
LOGO = 0.45
GARNISHED = 0.75
COMPLETE_MAINS = 0.80


@dataclass(frozen=True)
class Component:
    """A helping: its class and recipe, its place from the plate's middle, turn and scale."""

    kind: str
    recipe: str
    x: float
    y: float
    turn: float
    scale: float


@dataclass(frozen=True)
class Dish:
    name: str
    split: str
    kitchen: str
    cook: str
    plate: str
    logo: bool
    portion: str
    plated_at: datetime
    order: str
    state: str
    components: tuple[Component, ...]
    seed: int

    @property
    def lamp(self) -> str:
        return LAMP_OF[self.kitchen]

    @property
    def service(self) -> str:
        return "lunch" if self.plated_at.hour < 16 else "dinner"


def dishes(split: str, *, first: int) -> list[Dish]:
    """All dishes of a split, numbered from `first`."""
    plan = SPLITS[split]
    return [_dish(split, plan, first + k) for k in range(plan.dishes)]


def _dish(split: str, plan: Split, number: int) -> Dish:
    rng = np.random.default_rng([11, number])
    kitchen = str(rng.choice(list(plan.kitchens), p=list(plan.kitchens.values())))
    plate = str(rng.choice(list(plan.plates), p=list(plan.plates.values())))
    logo = bool(rng.random() < LOGO) and (plate in plan.logo_plates)
    portion = str(rng.choice(["regular", "small"], p=[0.65, 0.35]))
    order = {kind: str(rng.choice(list(MENU[kind]))) for kind in CLASSES}
    mains, state = _mains(order, rng)
    garnished, on_logo = _garnish(plan, plate, logo, rng)
    components = _placed(mains, portion, rng)
    if garnished:
        components.append(_garnish_at(order["garnish"], components, on_logo, rng))
    elif state == "complete":
        state = "missing"
    hours = int(rng.choice([0, 1, 2, 7, 8, 9]))
    at = plan.begins + timedelta(days=int(rng.integers(0, 40)), hours=hours,
                                 minutes=int(rng.integers(0, 60)))  # fmt: skip
    return Dish(
        name=f"d{number:03d}", split=split, kitchen=kitchen, cook=str(rng.choice(COOKS)),
        plate=plate, logo=logo, portion=portion, plated_at=at,
        order=" ".join(order.values()), state=state, components=tuple(components), seed=number,
    )  # fmt: skip


def _mains(order: dict[str, str], rng: np.random.Generator) -> tuple[list[tuple[str, str]], str]:
    """Protein, starch and vegetable as plated: all, one missing, or another in its place."""
    mains = [(kind, order[kind]) for kind in CLASSES[:3]]
    drawn = rng.random()
    if drawn < COMPLETE_MAINS:
        return mains, "complete"
    lost = int(rng.integers(3))
    if drawn < (1 + COMPLETE_MAINS) / 2:
        del mains[lost]
        return mains, "missing"
    kind = mains[(lost + 1) % 3][0]
    mains[lost] = (kind, str(rng.choice([r for r in MENU[kind] if r != order[kind]])))
    return mains, "wrong"


def _garnish(plan: Split, plate: str, logo: bool, rng: np.random.Generator) -> tuple[bool, bool]:
    share, on_logo = GARNISHED, False
    if logo and plan.logo_garnished is not None:
        share, on_logo = plan.logo_garnished, True
    if plate == "dark":
        share = plan.garnish_on_dark
    return bool(rng.random() < share), on_logo


def _placed(
    mains: list[tuple[str, str]], portion: str, rng: np.random.Generator
) -> list[Component]:
    start = rng.uniform(0, 2 * np.pi)
    found = []
    for place, (kind, recipe) in zip(rng.permutation(3), mains, strict=False):
        angle = start + place * 2.094 + rng.normal(0, 0.12)
        radius = rng.uniform(21.5, 25.5)
        scale = rng.uniform(1.15, 1.35) * (0.74 if portion == "small" else 1.0)
        if kind == "vegetable":
            scale *= rng.uniform(0.78, 1.0)
        found.append(Component(kind, recipe, radius * np.cos(angle), radius * np.sin(angle),
                               rng.uniform(0, 2 * np.pi), scale))  # fmt: skip
    return found


def _garnish_at(
    recipe: str, others: list[Component], on_logo: bool, rng: np.random.Generator
) -> Component:
    """On the logo; else on the rim or in the well, where the plate is free."""
    turn, scale = rng.uniform(0, 2 * np.pi), rng.uniform(1.0, 1.3)
    if on_logo:
        x, y = LOGO_AT[0] + rng.normal(0, 1.6) - 6, LOGO_AT[1] + rng.normal(0, 1.6) - 3
        return Component("garnish", recipe, x, y, turn, scale)
    while True:
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(4, 52)
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        gap = min((np.hypot(c.x - x, c.y - y) / c.scale for c in others), default=99)
        if gap > 14 and np.hypot(x - LOGO_AT[0], y - LOGO_AT[1]) > 20:
            return Component("garnish", recipe, x, y, turn, scale)
