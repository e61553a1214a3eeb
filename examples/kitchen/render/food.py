"""What is plated: recipes of the four components, each a handful of pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from board import Board, Piece, Pose, lay

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Hand:
    """Lays the pieces of one component, at a place and a scale."""

    board: Board
    pose: Pose
    at: tuple[float, float]
    turn: float
    scale: float
    owner: int
    rng: np.random.Generator

    def put(self, piece: Piece, x: float = 0.0, y: float = 0.0, turn: float = 0.0) -> None:
        """A piece at a place counted from the component's own centre and turn."""
        c, s = np.cos(self.turn) * self.scale, np.sin(self.turn) * self.scale
        at = self.at[0] + c * x - s * y, self.at[1] + s * x + c * y
        sized = replace(piece, a=piece.a * self.scale, b=piece.b * self.scale)
        lay(self.board, self.pose, sized, at, self.turn + turn, owner=self.owner, rng=self.rng)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def tinted(self, colour: Colour, by: float = 0.1) -> Colour:
        """The colour, as this helping has it."""
        r, g, b = np.asarray(colour) * (1 + by * self.rng.normal(size=3) * 0.5 + by * 0.5)
        return float(r), float(g), float(b)

    def within(self, a: float, b: float) -> tuple[float, float]:
        """A place within an ellipse, evenly."""
        angle, radius = self.between(0, 2 * np.pi), np.sqrt(self.between(0, 1))
        return a * radius * np.cos(angle), b * radius * np.sin(angle)


def steak(h: Hand) -> None:
    brown = h.tinted((0.17, 0.075, 0.04))
    h.put(Piece(19, 13, 5, brown, power=2.6, flat=2.5, wobble=0.1, mottle=0.25, gloss=0.35,
                stripes=(7, 0.6)))  # fmt: skip


def slices(h: Hand) -> None:
    """Roast, sliced: a brown rim around pink."""
    brown, pink = h.tinted((0.19, 0.085, 0.04)), h.tinted((0.46, 0.15, 0.12))
    for k in range(4):
        x = -12 + 8 * k
        h.put(Piece(6.2, 12, 4.5, brown, flat=3, wobble=0.05, gloss=0.2), x, h.between(-1.5, 1.5),
              0.25)  # fmt: skip
        h.put(Piece(4.8, 10.3, 1, pink, flat=4, mottle=0.1, gloss=0.45), x - 0.3, 0, 0.25)


def chicken(h: Hand) -> None:
    gold = h.tinted((0.48, 0.25, 0.07))
    h.put(Piece(18, 12.5, 7, gold, wobble=0.14, mottle=0.28, bump=0.1, grain=9, gloss=0.35))
    h.put(Piece(8, 5, 2.5, h.tinted((0.32, 0.14, 0.035)), mottle=0.3, gloss=0.35), 4, -2)


def salmon(h: Hand) -> None:
    orange = h.tinted((0.78, 0.28, 0.15))
    h.put(Piece(20, 10.5, 5.5, orange, power=3.2, flat=2, wobble=0.06, mottle=0.07, gloss=0.35))
    for k in range(-3, 4):
        h.put(Piece(0.55, 8.2, 0.5, (0.86, 0.5, 0.36), bump=0), 5.1 * k, 0, 0.35)


def tofu(h: Hand) -> None:
    for k in range(6):
        x, y = (k % 3 - 1) * 11 + h.between(-1.5, 1.5), (k // 3 - 0.5) * 11 + h.between(-1.5, 1.5)
        turn = h.between(-0.4, 0.4)
        h.put(Piece(5.2, 5, 5.5, h.tinted((0.68, 0.5, 0.26)), power=5, flat=4, mottle=0.08), x, y,
              turn)  # fmt: skip
        h.put(Piece(3.6, 3.4, 0.5, h.tinted((0.46, 0.26, 0.08)), mottle=0.3, bump=0.3), x, y, turn)


def rice(h: Hand) -> None:
    white = h.tinted((0.72, 0.69, 0.6), 0.04)
    h.put(Piece(15, 13, 7, white, wobble=0.1, mottle=0.04, bump=0.06, grain=12))
    for _ in range(150):
        shade = h.between(0.86, 1.12)
        grain = Piece(1.7, 0.75, 0.8, tuple(c * shade for c in white), wobble=0, bump=0)
        h.put(grain, *h.within(15, 13), h.between(0, 3.14))


def mash(h: Hand) -> None:
    cream = h.tinted((0.74, 0.6, 0.33), 0.06)
    h.put(Piece(15.5, 13.5, 6.5, cream, wobble=0.14, mottle=0.04, bump=0.05, gloss=0.25))
    for k in range(26):
        angle = 0.45 * k
        radius = 11 * (1 - k / 30)
        h.put(Piece(2.6, 1.5, 1.0, cream, bump=0, gloss=0.25), radius * np.cos(angle),
              0.85 * radius * np.sin(angle), angle + 1.57)  # fmt: skip


def fries(h: Hand) -> None:
    for _ in range(15):
        stick = Piece(h.between(8, 11), 1.75, 3, h.tinted((0.72, 0.47, 0.12), 0.2), power=5, flat=3,
                      wobble=0, mottle=0.12, gloss=0.2)  # fmt: skip
        h.put(stick, *h.within(7, 8), h.between(-0.8, 0.8))


def pasta(h: Hand) -> None:
    base = h.tinted((0.68, 0.5, 0.2))
    h.put(Piece(14, 12, 4, tuple(0.8 * c for c in base), wobble=0.12))
    for _ in range(24):
        x, y = h.within(6, 5)
        radius, start = h.between(5, 11), h.between(0, 6.28)
        shade = h.between(0.9, 1.12)
        for k in range(9):
            angle = start + 0.28 * k
            bit = Piece(2.0, 0.85, 1.1, tuple(c * shade for c in base), wobble=0, bump=0,
                        mottle=0.04, gloss=0.3)  # fmt: skip
            h.put(bit, x * 0.8 + radius * np.cos(angle), y * 0.8 + radius * np.sin(angle),
                  angle + 1.57)  # fmt: skip


def potatoes(h: Hand) -> None:
    for _ in range(8):
        wedge = Piece(h.between(6, 7.5), h.between(4, 5), 5.5, h.tinted((0.6, 0.4, 0.13), 0.15),
                      wobble=0.12, mottle=0.22, gloss=0.25)  # fmt: skip
        h.put(wedge, *h.within(10, 9), h.between(0, 3.14))


def broccoli(h: Hand) -> None:
    for _ in range(5):
        x, y = h.within(9, 8)
        h.put(Piece(4.5, 1.8, 3, (0.42, 0.5, 0.2), wobble=0), x * 0.5, y * 0.5, np.arctan2(y, x))
        green = h.tinted((0.10, 0.25, 0.045))
        for _ in range(13):
            dx, dy = h.within(5.4, 5.0)
            shade = h.between(0.75, 1.25)
            h.put(Piece(2.1, 2.1, 2.8, tuple(c * shade for c in green), mottle=0.25, bump=0.3),
                  x + dx, y + dy)  # fmt: skip


def carrots(h: Hand) -> None:
    for _ in range(9):
        h.put(Piece(4.1, 3.9, 2.6, h.tinted((0.83, 0.28, 0.035)), flat=3, wobble=0.03, mottle=0.06,
                    gloss=0.35), *h.within(10, 8))  # fmt: skip


def beans(h: Hand) -> None:
    for k in range(11):
        long = h.between(11, 14)
        pod = Piece(long, 1.45, 2.2, h.tinted((0.16, 0.36, 0.07)), power=3, wobble=0, mottle=0.1,
                    gloss=0.3)  # fmt: skip
        h.put(pod, h.between(-2, 2), -7.5 + 1.5 * k, h.between(-0.15, 0.15))


def tomatoes(h: Hand) -> None:
    for k in range(6):
        angle = k * 1.05
        spread = 0 if k == 0 else 7.5
        h.put(Piece(4.4, 4.3, 6, h.tinted((0.62, 0.05, 0.03)), wobble=0.02, mottle=0.05, bump=0,
                    gloss=0.9), spread * np.cos(angle) + h.between(-1, 1),
              spread * np.sin(angle) + h.between(-1, 1))  # fmt: skip


def beets(h: Hand) -> None:
    for _ in range(9):
        h.put(Piece(3.5, 3.4, 3.5, h.tinted((0.25, 0.02, 0.07)), power=4, flat=3, mottle=0.12,
                    gloss=0.5), *h.within(10, 8), h.between(0, 1.5))  # fmt: skip


LEAF = (0.075, 0.20, 0.03)


def parsley(h: Hand) -> None:
    green = h.tinted(LEAF)
    h.put(Piece(6, 0.55, 0.8, (0.2, 0.34, 0.1), wobble=0, rise=0.2), -2, 0)
    for _ in range(11):
        shade = h.between(0.7, 1.4)
        h.put(Piece(2.3, 1.6, 1.4, tuple(c * shade for c in green), wobble=0.3, mottle=0.2),
              *h.within(5.6, 5.0), h.between(0, 3.14))  # fmt: skip


def basil(h: Hand) -> None:
    for k in range(3):
        turn = 2.1 * k + h.between(-0.25, 0.25)
        green = h.tinted(LEAF, 0.2)
        x, y = 4.2 * np.cos(turn), 4.2 * np.sin(turn)
        h.put(
            Piece(4.6, 2.7, 1.8, green, power=1.6, wobble=0.04, mottle=0.1, gloss=0.4), x, y, turn
        )
        h.put(Piece(3.7, 0.35, 0.2, tuple(1.7 * c for c in green), wobble=0, bump=0), x, y, turn)


def rosemary(h: Hand) -> None:
    h.put(Piece(8.5, 0.6, 1, (0.17, 0.15, 0.06), wobble=0))
    for k in range(18):
        side = 1 if k % 2 else -1
        h.put(Piece(2.3, 0.55, 0.9, h.tinted((0.08, 0.18, 0.06), 0.3), wobble=0), -7.5 + 0.88 * k,
              side * 1.5, side * 0.9)  # fmt: skip


def cress(h: Hand) -> None:
    for _ in range(15):
        x, y = h.within(5.5, 5)
        h.put(Piece(2.4, 0.35, 0.8, (0.4, 0.5, 0.25), wobble=0), x * 0.7, y * 0.7, h.between(0, 3))
        h.put(Piece(1.25, 1.0, 0.9, h.tinted((0.10, 0.27, 0.03), 0.25), wobble=0.1), x, y)


Recipe = Callable[[Hand], None]
MENU: dict[str, dict[str, Recipe]] = {
    "protein": {"steak": steak, "roast": slices, "chicken": chicken, "salmon": salmon,
                "tofu": tofu},
    "starch": {"rice": rice, "mash": mash, "fries": fries, "pasta": pasta, "potatoes": potatoes},
    "vegetable": {"broccoli": broccoli, "carrots": carrots, "beans": beans, "tomatoes": tomatoes,
                  "beets": beets},
    "garnish": {"parsley": parsley, "basil": basil, "rosemary": rosemary, "cress": cress},
}  # fmt: skip
"""Component -> recipe -> how it is laid."""
