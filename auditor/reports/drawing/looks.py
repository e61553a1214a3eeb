"""How series and verdicts look: colour, marker, line and hatch, each telling them apart alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from auditor.reports.drawing.svg import (
    INK,
    PAPER,
    RULE,
    SHADE,
    SOFT,
    Look,
    Picture,
    Point,
    joined,
    short,
)

DASHED, DOTTED = "4 2", "1 2"
_TINT: Look = {"fill_opacity": ".35"}
"""Areas are see-through rather than pale: a pale colour would glare on a dark page."""


@dataclass(frozen=True)
class Style:
    """How a series looks; each part alone tells it from the others."""

    colour: str
    marker: str
    line: str
    hatch: str

    @property
    def stroke(self) -> Look:
        """The look of the series' line."""
        dash = {"stroke_dasharray": self.line} if self.line else {}
        return {"stroke": self.colour, "stroke_width": 1.4, **dash}


STYLES = (
    Style("#1f4e79", "circle", "", ""),
    Style("#c05a12", "square", "5 2", "M-1 1L1-1M0 6L6 0M5 7L7 5"),
    Style("#3f7d4e", "triangle", "6 2 1 2", "M1 1h1.2M4 4h1.2"),
    Style("#7a3b78", "diamond", "1.4 1.6", "M0 6L6 0M0 0L6 6"),
    Style("#8a6d00", "wedge", "5 1 1 1 1 1", "M-1 5L1 7M0 0L6 6M5-1L7 1"),
    Style("#5c6773", "plus", "9 2", "M0 3H6"),
    Style("#0f7f8a", "cross", "3 1.2", "M3 0V6"),
    Style("#b03060", "star", "9 2 3 2", "M0 3H6M3 0V6"),
)


@dataclass(frozen=True)
class VerdictStyle:
    """How a verdict looks: colour, marker and whether it is filled; each tells it alone."""

    colour: str
    marker: str
    filled: bool
    words: str


VERDICTS = {
    "fail": VerdictStyle("#9c1c1c", "cross", True, "✗ beyond the limit"),
    "inconclusive": VerdictStyle("#7a5200", "diamond", False, "? not decided"),
    "pass": VerdictStyle("#1d6b3a", "circle", True, "✓ within the limit"),
    "none": VerdictStyle("#5c6773", "bar", True, "· no limit"),
}

_ON_DARK = {
    INK: "#e6eaee", SOFT: "#a8b2bc", RULE: "#414b55", SHADE: "#a9b7c4",
    "#1f4e79": "#7db4e6", "#c05a12": "#f0964e", "#3f7d4e": "#7cc48d", "#7a3b78": "#cf92cd",
    "#8a6d00": "#d9b93f", "#0f7f8a": "#56c3ce", "#b03060": "#ee83a8",
    "#9c1c1c": "#ff9d94", "#7a5200": "#f0c569", "#1d6b3a": "#86d7a3",
}  # fmt: skip
"""What a colour of a picture becomes on a dark page, about as far from it as it is from white."""


def dark_rules(*, paper: str) -> str:
    """Style rules that give the pictures of a page colours for a dark ground, `paper`."""
    return "\n".join(
        f'.picture [{look}="{light}"] {{ {look}: {dark}; }}'
        for light, dark in {**_ON_DARK, PAPER: paper}.items()
        for look in ("fill", "stroke")
    )


_SHAPES: dict[str, Sequence[Point]] = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.1), (1.1, 0.9), (-1.1, 0.9)),
    "wedge": ((0, 1.1), (1.1, -0.9), (-1.1, -0.9)),
    "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "bar": ((-0.25, -1.2), (0.25, -1.2), (0.25, 1.2), (-0.25, 1.2)),
    "left": ((-1.2, 0), (0.8, -1), (0.8, 1)),
    "right": ((1.2, 0), (-0.8, -1), (-0.8, 1)),
    "plus": ((-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4),
             (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4)),
    "cross": ((-1.1, -0.6), (-0.6, -1.1), (0, -0.5), (0.6, -1.1), (1.1, -0.6), (0.5, 0),
              (1.1, 0.6), (0.6, 1.1), (0, 0.5), (-0.6, 1.1), (-1.1, 0.6), (-0.5, 0)),
    "star": ((0, -1.4), (0.4, -0.4), (1.4, -0.4), (0.6, 0.2), (0.9, 1.2), (0, 0.6),
             (-0.9, 1.2), (-0.6, 0.2), (-1.4, -0.4), (-0.4, -0.4)),
}  # fmt: skip
"""Corners of the markers, for a radius of 1."""


def markers(shape: str, places: Iterable[Point], radius: float) -> str:
    """The steps of a path that draws a marker at each place."""
    if shape == "circle":
        r, wide = short(radius), short(2 * radius)
        arcs = f"a{r} {r} 0 1 0 {wide} 0a{r} {r} 0 1 0-{wide} 0z"
        return "".join(f"M{short(x - radius)} {short(y)}{arcs}" for x, y in places)
    corners = [(radius * x, radius * y) for x, y in _SHAPES[shape]]
    turns = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(corners)]
    sides = "l" + joined(_hundredths(part) for turn in turns for part in turn) + "z"
    (dx, dy) = corners[0]
    return "".join(f"M{short(x + dx)} {short(y + dy)}{sides}" for x, y in places)


def filling(picture: Picture, style: Style, *, clear: bool = False) -> Look:
    """The look of an area of a series: edge, tint and hatch; `clear` leaves the tint out."""
    edge: Look = {"stroke": style.colour, "stroke_width": 0.8}
    if not style.hatch:
        return {**edge, "fill": "none"} if clear else {**edge, "fill": style.colour, **_TINT}
    under = f'fill="{style.colour}" fill-opacity="{_TINT["fill_opacity"]}"'
    ground = "" if clear else f'<path d="M0 0H6V6H0z" {under}/>'
    lines = f'<path d="{style.hatch}" fill="none" stroke="{style.colour}" stroke-width=".7"/>'
    name = f"{'clear' if clear else 'hatch'}{STYLES.index(style)}"
    return {**edge, "fill": picture.pattern(name, 6, ground + lines)}


def _hundredths(length: float) -> str:
    """A length to a hundredth of a point: the corners of a marker are close to each other."""
    text = f"{length:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
