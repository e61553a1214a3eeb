"""Values over a continuous axis: lines with their bands, histograms, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from auditor.findings import Figure
from auditor.reports.drawing.axes import (
    BELOW,
    Area,
    area_sign,
    curve_sign,
    name_of,
    series_legend,
    x_axis,
    y_axis,
    y_axis_width,
)
from auditor.reports.drawing.looks import DASHED, STYLES, Style, filling, markers
from auditor.reports.drawing.rows import (
    Bin,
    Row,
    bin_of,
    factor,
    number,
    point,
    series_names,
    series_of,
)
from auditor.reports.drawing.scales import Scale, spread
from auditor.reports.drawing.svg import (
    SMALL,
    SOFT,
    WIDTH,
    Picture,
    Point,
    box,
    down,
    through,
)

_MARKED = 12
"""A line has about so many markers."""


def line(picture: Picture, figure: Figure) -> float:
    """Draw a line through the points of each series; returns the picture's height."""
    names, rows = series_names(figure.rows), figure.rows
    along, up = factor(figure.x), factor(figure.y)
    xs = [x * along for row in rows if (x := number(row, "x")) is not None]
    ys = [y * up for row in rows for name in ("y", "low", "high")
          if (y := number(row, name)) is not None]  # fmt: skip
    top = series_legend(picture, names, curve_sign) + 6
    whole = all(x == int(x) for x in xs)
    plot = _Plot.of(picture, figure, spread(xs), spread(ys), top=top, tall=165, whole=whole)
    for index, name in enumerate(names):
        own = [row for row in rows if series_of(row) == name]
        _curve(picture, own, plot, STYLES[index % len(STYLES)])
    return plot.area.bottom + BELOW


class _Plot:
    """An area with both of its axes, drawn; values go in as the rows have them."""

    def __init__(self, area: Area, x: Scale, y: Scale, along: float, up: float) -> None:
        self.area, self.x, self.y = area, x, y
        self._along, self._up = along, up

    @classmethod
    def of(cls, picture: Picture, figure: Figure, xs: Point, ys: Point, *, top: float,
           tall: float, grid: bool = True, whole: bool = False) -> _Plot:  # fmt: skip
        """Axes for values between the ends `xs` and `ys`, both already in the axes' units.

        `whole`: those along are whole numbers.
        """
        y = Scale(*ys, top + tall, top)
        area = Area(y_axis_width(y), top, WIDTH - 20, top + tall)
        x = Scale(*xs, area.left, area.right, whole=whole)
        y_axis(picture, y, area, name_of(figure.y))
        x_axis(picture, x, area, name_of(figure.x), grid=grid)
        return cls(area, x, y, factor(figure.x), factor(figure.y))

    def at(self, x: float, y: float) -> Point:
        return self.x.at(x * self._along), self.y.at(y * self._up)


def _curve(picture: Picture, rows: Sequence[Row], plot: _Plot, style: Style) -> None:
    bands = sorted(
        (x, low, high)
        for row in rows
        if (x := number(row, "x")) is not None
        and (low := number(row, "low")) is not None
        and (high := number(row, "high")) is not None
    )
    lower = [plot.at(x, low) for x, low, _ in bands]
    upper = [plot.at(x, high) for x, _, high in reversed(bands)]
    picture.path(through([*lower, *upper]), fill=style.colour, fill_opacity=".15")
    known = sorted(place for row in rows if (place := point(row)) is not None)
    points = [plot.at(x, y) for x, y in known]
    picture.path(through(points), stroke_linejoin="round", **style.stroke)
    marked = points[:: max(len(points) // _MARKED, 1)]
    picture.path(markers(style.marker, marked, 2.1), fill=style.colour)


def histogram(picture: Picture, figure: Figure) -> float:
    """Draw the bins of each series as a stair; returns the picture's height."""
    names, along, up = series_names(figure.rows), factor(figure.x), factor(figure.y)
    bins = {name: _bins(figure.rows, name) for name in names}
    every = [b for own in bins.values() for b in own]
    edges = [edge * along for b in every for edge in (b.left, b.right)]
    top = series_legend(picture, names, area_sign) + 6
    _, high = spread([0.0, *(b.value * up for b in every)])
    plot = _Plot.of(picture, figure, spread(edges), (0.0, high), top=top, tall=145, grid=False)
    for index, own in enumerate(bins.values()):
        style = STYLES[index % len(STYLES)]
        stair = [plot.at(x, b.value) for b in own for x in (b.left, b.right)]
        if stair:
            ends = (plot.at(own[0].left, 0), plot.at(own[-1].right, 0))
            closed = f"{through([ends[0], *stair, ends[1]])}z"
            picture.path(closed, **filling(picture, style, clear=True) | style.stroke)
    return plot.area.bottom + BELOW


def _bins(rows: Sequence[Row], name: str) -> list[Bin]:
    found = (bin_of(row) for row in rows if series_of(row) == name)
    return sorted((b for b in found if b is not None), key=lambda b: b.left)


def reliability(picture: Picture, figure: Figure) -> float:
    """Draw how often answers of each confidence are right, and how many there are."""
    along, up = factor(figure.x), factor(figure.y)
    counts = [n for row in figure.rows if (n := number(row, "n")) is not None]
    many = Scale(0.0, spread([0.0, *counts])[1], 252, 204)
    right = Scale(0.0, up, 180, 8)
    left = max(y_axis_width(many), y_axis_width(right))
    above, below = Area(left, 8, WIDTH - 20, 180), Area(left, 204, WIDTH - 20, 252)
    x = Scale(0.0, along, left, WIDTH - 20)
    y_axis(picture, right, above, name_of(figure.y))
    y_axis(picture, many, below, "images")
    x_axis(picture, x, above, "")
    x_axis(picture, x, below, name_of(figure.x))
    diagonal = through([(x.start, right.start), (x.end, right.end)])
    picture.path(diagonal, stroke=SOFT, stroke_dasharray=DASHED)
    said = "dashed: as sure as it is right"
    picture.text(WIDTH - 24, 174, said, text_anchor="end", font_size=SMALL)
    _reliability_bins(picture, figure.rows, (x, right, many), along, up)
    return below.bottom + BELOW


def _reliability_bins(
    picture: Picture,
    rows: Sequence[Row],
    scales: tuple[Scale, Scale, Scale],
    along: float,
    up: float,
) -> None:
    x, right, many = scales
    known = [
        (place * along, row) for row in rows if (place := number(row, "confidence")) is not None
    ]
    half = _half_width([x.at(place) for place, _ in known])
    points, lines, counts = [], [], []
    for place, row in known:
        y, low, high, n = (number(row, name) for name in ("accuracy", "low", "high", "n"))
        if y is not None:
            points.append((x.at(place), right.at(y * up)))
        if low is not None and high is not None:
            lines.append(down(x.at(place), right.at(low * up), right.at(high * up)))
        if n is not None:
            counts.append(box(x.at(place) - half, many.at(n), x.at(place) + half, many.at(0)))
    colour = STYLES[0].colour
    picture.path(lines, stroke=colour, stroke_width=1.6)
    picture.path(markers(STYLES[0].marker, points, 2.6), fill=colour)
    picture.path(counts, fill=colour)


def _half_width(places: Sequence[float]) -> float:
    """Half of a bar: wide enough to see, narrow enough that most do not touch."""
    gaps = [b - a for a, b in pairwise(sorted(places))]
    return max(min(6.5, 0.4 * min(gaps, default=13.0)), 0.6)
