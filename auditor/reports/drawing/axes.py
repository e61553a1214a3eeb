"""Axes, names of rows and legends: what stands around the marks of a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from auditor.findings import Axis
from auditor.reports.drawing.lettering import fitted, text_width
from auditor.reports.drawing.looks import STYLES, Style, filling, markers
from auditor.reports.drawing.rows import axis_text, label
from auditor.reports.drawing.scales import Scale, Tick, ticks
from auditor.reports.drawing.svg import (
    RULE,
    SIZE,
    SMALL,
    SOFT,
    WIDTH,
    Look,
    Picture,
    across,
    box,
    down,
    short,
)

BELOW = 30.0
"""Room under a plot for the values of its axis and the axis' name."""

MOST_IN_LEGEND = len(STYLES)
_TICK = 3.0
_SWATCH, _APART, _LINE = 20.0, 18.0, 13.0


@dataclass(frozen=True)
class Area:
    """Where marks are drawn: the four sides, in points."""

    left: float
    top: float
    right: float
    bottom: float


def x_axis(
    picture: Picture, scale: Scale, area: Area, name: str, *, size: float = SIZE, grid: bool = True
) -> None:
    """Round values under an area, the axis' name below them, and lines up from the values."""
    found = ticks(scale, lambda text: text_width(text, size))
    places = [scale.at(tick.value) for tick in found]
    if grid:
        lines = (down(x, area.top, area.bottom) for x in places)
        picture.path(lines, stroke=RULE, stroke_width=0.5)
    strokes = (down(x, area.bottom, area.bottom + _TICK) for x in places)
    axis = across(area.left, area.right, area.bottom)
    picture.path([axis, *strokes], stroke=SOFT, stroke_width=0.7)
    line = area.bottom + _TICK + size
    written = [(x, line, tick.text) for x, tick in zip(places, found, strict=True)]
    picture.texts(written, text_anchor="middle", **_sized(size))
    centred(picture, (area.left + area.right) / 2, line + size + 4, name, size=size)


def y_ticks(scale: Scale) -> list[Tick]:
    """The values that an upright axis marks."""
    return ticks(scale, lambda _: SIZE)


def y_axis(picture: Picture, scale: Scale, area: Area, axis_name: str) -> None:
    """Round values left of an area, the axis' name beside them, and lines from the values."""
    found = y_ticks(scale)
    places = [scale.at(tick.value) for tick in found]
    picture.path((across(area.left, area.right, y) for y in places), stroke=RULE, stroke_width=0.5)
    strokes = (across(area.left - _TICK, area.left, y) for y in places)
    axis = down(area.left, area.top, area.bottom)
    picture.path([axis, *strokes], stroke=SOFT, stroke_width=0.7)
    right = area.left - _TICK - 2
    written = [(right, y + 0.35 * SIZE, t.text) for y, t in zip(places, found, strict=True)]
    picture.texts(written, text_anchor="end")
    turned(picture, SIZE, (area.top + area.bottom) / 2, axis_name, length=area.bottom - area.top)


def y_axis_width(scale: Scale) -> float:
    """Room left of an area for the values of an upright axis and its name."""
    return max((text_width(t.text) for t in y_ticks(scale)), default=0) + _TICK + SIZE + 9


def turned(picture: Picture, x: float, middle: float, text: str, *, length: float) -> None:
    """A text that reads upwards, its middle at a height."""
    place = f"rotate(-90 {short(x)} {short(middle)})"
    picture.text(x, middle, fitted(text, length + 30), text_anchor="middle", transform=place)


def centred(picture: Picture, x: float, y: float, text: str, *, size: float = SIZE) -> None:
    """A text around `x`, moved where it would run out of the picture."""
    said = fitted(text, WIDTH - 4, size)
    half = text_width(said, size) / 2
    place = min(max(x, half + 2), WIDTH - half - 2)
    picture.text(place, y, said, text_anchor="middle", **_sized(size))


def row_names(
    picture: Picture, names: Sequence[str], right: float, places: Sequence[float]
) -> None:
    """Names of rows, ending at `right`; each stands in the middle of its place."""
    written = [(right, y + 0.35 * SIZE, n) for n, y in zip(names, places, strict=True)]
    picture.texts(written, text_anchor="end")


def left_out(picture: Picture, n: int, y: float) -> None:
    """A note of how many rows are not drawn."""
    if n > 0:
        picture.text(
            WIDTH - 4, y, f"{n} more in the table.", text_anchor="end", font_size=SMALL, fill=SOFT
        )


@dataclass(frozen=True)
class Entry:
    """A line of a legend; `draw` puts its sign into the swatch that begins at (x, y)."""

    text: str
    draw: Callable[[float, float], None]


def series_legend(
    picture: Picture, names: Sequence[str], sign: Callable[[Picture, Style, float, float], None]
) -> float:
    """The legend of several series above a plot, of one none; returns its height."""
    if len(names) < 2:
        return 0.0
    entries = [
        Entry(label(name), partial(sign, picture, style))
        for name, style in zip(names, STYLES, strict=False)
    ]
    more = len(names) - MOST_IN_LEGEND
    height = legend(picture, entries, 10.0)
    left_out_series = f"and {more} more series, in the same looks again"
    if more > 0:
        picture.text(WIDTH / 2, 10 + height, left_out_series, text_anchor="middle", fill=SOFT)
    return height + (_LINE if more > 0 else 0)


def legend(picture: Picture, entries: Sequence[Entry], top: float, *, size: float = SIZE) -> float:
    """Signs with their meaning in centred lines; `top` is the middle of the first; its height."""
    lines: list[list[tuple[Entry, float]]] = [[]]
    for entry in entries:
        width = _SWATCH + text_width(entry.text, size) + _APART
        if lines[-1] and sum(w for _, w in lines[-1]) + width > WIDTH:
            lines.append([])
        lines[-1].append((entry, width))
    written = []
    for place, line in enumerate(lines):
        x = (WIDTH - sum(width for _, width in line) + _APART) / 2
        y = top + _LINE * place
        for entry, width in line:
            entry.draw(x, y)
            written.append((x + _SWATCH, y + 0.35 * size, entry.text))
            x += width
    picture.texts(written, **_sized(size))
    return _LINE * len(lines)


def interval_sign(picture: Picture, style: Style, x: float, y: float) -> None:
    """A level line with a marker, as intervals are drawn."""
    picture.path(across(x, x + 15, y), stroke=style.colour, stroke_width=1.6)
    picture.path(markers(style.marker, [(x + 7.5, y)], 2.4), fill=style.colour)


def curve_sign(picture: Picture, style: Style, x: float, y: float) -> None:
    """A line in its dashes with a marker, as curves are drawn."""
    picture.path(across(x, x + 16, y), **style.stroke)
    picture.path(markers(style.marker, [(x + 8, y)], 2.1), fill=style.colour)


def area_sign(picture: Picture, style: Style, x: float, y: float) -> None:
    """A small filled box, as bars are drawn."""
    picture.path(box(x, y - 3.5, x + 15, y + 3.5), **filling(picture, style))


def name_of(axis: Axis) -> str:
    """An axis' name with its unit, in one line."""
    return " ".join(axis_text(axis).split())


def _sized(size: float) -> Look:
    return {} if size == SIZE else {"font_size": size}
