"""Labelled rows: values with their intervals (`forest`), and bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from auditor.findings import Figure
from auditor.reports.drawing.axes import (
    BELOW,
    Area,
    area_sign,
    interval_sign,
    left_out,
    name_of,
    row_names,
    series_legend,
    x_axis,
)
from auditor.reports.drawing.lettering import fitted, widest
from auditor.reports.drawing.looks import DASHED, STYLES, filling, markers
from auditor.reports.drawing.rows import Row, factor, label, number, series_names, series_of
from auditor.reports.drawing.scales import Scale, spread
from auditor.reports.drawing.svg import INK, RULE, SMALL, SOFT, WIDTH, Picture, across, box, down

MAX_ROWS = 60
"""Labelled rows that a picture shows; a note says how many are left to the table."""

_ROW = 14.4
_NAMES = 200.0
"""Names of rows are cut to this width."""

Placed = Sequence[tuple[float, Row]]


def forest(picture: Picture, figure: Figure) -> float:
    """Draw values with their intervals, a row each; returns the picture's height."""
    rows, names = figure.rows[:MAX_ROWS], series_names(figure.rows)
    times, limit = factor(figure.x), _shared_limit(rows)
    top = series_legend(picture, names, interval_sign) + (15 if limit is not None else 6)
    placed = [(top + _ROW * (i + 0.5), row) for i, row in enumerate(rows)]
    area = Area(
        left=widest([_name(row) for row in rows]) + 12,
        top=top,
        right=WIDTH - max(widest([_size(row) for row in rows], SMALL) + 12, 16),
        bottom=top + _ROW * len(rows),
    )
    scale = Scale(*spread(_ends(rows, times)), area.left, area.right)
    x_axis(picture, scale, area, name_of(figure.x))
    _name_rows(picture, placed, area)
    if limit is not None:
        x = scale.at(limit * times)
        picture.path(down(x, top, area.bottom), stroke=INK, stroke_dasharray=DASHED)
        picture.text(x, top - 4, "limit", font_size=SMALL, text_anchor="middle")
    else:
        _own_limits(picture, placed, scale, times)
    for index, name in enumerate(names):
        own = [(y, row) for y, row in placed if series_of(row) == name]
        _intervals(picture, own, scale, times, index)
    _beside(picture, placed, area)
    return _ended(picture, area.bottom, len(figure.rows) - len(rows))


def _name(row: Row) -> str:
    return fitted(label(row.get("label")), _NAMES)


def _size(row: Row) -> str:
    n = number(row, "n")
    return "" if n is None else f"n = {n:,.0f}"


def _shared_limit(rows: Sequence[Row]) -> float | None:
    """The limit where all rows have the same."""
    limits = {number(row, "limit") for row in rows}
    return limits.pop() if len(limits) == 1 else None


def _ends(rows: Sequence[Row], times: float) -> list[float]:
    cells = (number(row, name) for row in rows for name in ("value", "low", "high", "limit"))
    return [cell * times for cell in cells if cell is not None]


def _name_rows(picture: Picture, placed: Placed, area: Area) -> None:
    """Rows that follow each other under one name share it."""
    runs = [list(run) for _, run in groupby(placed, key=lambda place: place[1].get("label"))]
    middles = [(run[0][0] + run[-1][0]) / 2 for run in runs]
    row_names(picture, [_name(run[0][1]) for run in runs], area.left - 8, middles)
    between = [(runs[i][-1][0] + runs[i + 1][0][0]) / 2 for i in range(len(runs) - 1)]
    if len(runs) < len(placed):
        lines = (across(area.left - 8, area.right, y) for y in between)
        picture.path(lines, stroke=RULE, stroke_width=0.5)


def _own_limits(picture: Picture, placed: Placed, scale: Scale, times: float) -> None:
    strokes = [
        down(scale.at(limit * times), y - 5.8, y + 5.8)
        for y, row in placed
        if (limit := number(row, "limit")) is not None
    ]
    picture.path(strokes, stroke=INK, stroke_width=1.4)


def _intervals(picture: Picture, own: Placed, scale: Scale, times: float, index: int) -> None:
    """The rows of one series: level lines with a marker at the value."""
    style = STYLES[index % len(STYLES)]
    lines, points = [], []
    for y, row in own:
        value, low, high = (number(row, name) for name in ("value", "low", "high"))
        if low is not None and high is not None:
            lines.append(across(scale.at(low * times), scale.at(high * times), y))
        if value is not None:
            points.append((scale.at(value * times), y))
    picture.path(lines, stroke=style.colour, stroke_width=1.6)
    picture.path(markers(style.marker, points, 2.6), fill=style.colour)


def _beside(picture: Picture, placed: Placed, area: Area) -> None:
    """How many images stand behind each row, and where nothing was measured."""
    sizes = [(area.right + 6, y + 2.6, _size(row)) for y, row in placed]
    absent = [
        (area.left + 4, y + 2.6, "not measured")
        for y, row in placed
        if number(row, "value") is None
    ]
    picture.texts([*sizes, *absent], font_size=SMALL, fill=SOFT)


def _ended(picture: Picture, bottom: float, more: int) -> float:
    height = bottom + BELOW + (12 if more > 0 else 0)
    left_out(picture, more, height - 4)
    return height


def bars(picture: Picture, figure: Figure) -> float:
    """Draw a bar for each row, those of one label together; returns the picture's height."""
    every = list(dict.fromkeys(str(row.get("label")) for row in figure.rows))
    shown, names = every[:MAX_ROWS], series_names(figure.rows)
    times, each = factor(figure.x), 7.2 + 11.5 * len(names)
    written = [fitted(label(text), _NAMES) for text in shown]
    top = series_legend(picture, names, area_sign) + 6
    area = Area(widest(written) + 12, top, WIDTH - 16, top + each * len(shown))
    rows = [row for row in figure.rows if str(row.get("label")) in set(shown)]
    low, high = spread([0.0, *_ends(rows, times)])
    scale = Scale(low if low * high < 0 and _is_below(rows) else 0.0, high, area.left, area.right)
    x_axis(picture, scale, area, name_of(figure.x))
    middles = [top + each * (i + 0.5) for i in range(len(shown))]
    row_names(picture, written, area.left - 8, middles)
    places = dict(zip(shown, middles, strict=True))
    for index, name in enumerate(names):
        offset = 11.5 * (index - (len(names) - 1) / 2)
        own = [(places[str(r.get("label"))] + offset, r) for r in rows if series_of(r) == name]
        _bars(picture, own, scale, times, index)
    return _ended(picture, area.bottom, len(every) - len(shown))


def _is_below(rows: Sequence[Row]) -> bool:
    return any(end < 0 for end in _ends(rows, 1.0))


def _bars(picture: Picture, own: Placed, scale: Scale, times: float, index: int) -> None:
    """The bars of one series, with their intervals as lines."""
    shapes, lines, zero = [], [], scale.at(0)
    for y, row in own:
        value, low, high = (number(row, name) for name in ("value", "low", "high"))
        if value is not None:
            shapes.append(box(zero, y - 5, scale.at(value * times), y + 5))
        if low is not None and high is not None:
            lines.append(across(scale.at(low * times), scale.at(high * times), y))
    picture.path(shapes, **filling(picture, STYLES[index % len(STYLES)]))
    picture.path(lines, stroke=INK, stroke_width=1.2)
