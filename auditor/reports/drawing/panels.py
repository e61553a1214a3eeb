"""One picture an attribute: its groups in rows, a panel a measure, limits drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.reports.drawing.axes import Area, Entry, legend, row_names, x_axis
from auditor.reports.drawing.lettering import fitted, widest, wrapped
from auditor.reports.drawing.looks import DASHED, DOTTED, VERDICTS, markers
from auditor.reports.drawing.rows import label
from auditor.reports.drawing.scales import Scale, spread
from auditor.reports.drawing.svg import INK, PAPER, SMALL, SOFT, WIDTH, Picture, across, down
from auditor.reports.group_forest import GroupForest, Panel, PanelRow

_ROW = 13.7
_TOP = 24.0
_BETWEEN = 14.0
_TICKS = 7.0
_LINE = 9.0


def panels(picture: Picture, forest: GroupForest) -> float:
    """Draw the groups of an attribute against all others; returns the picture's height."""
    names = [fitted(label(group), 170) for group in forest.groups]
    left = widest(names) + 14
    wide = (WIDTH - 8 - left - _BETWEEN * (len(forest.panels) - 1)) / len(forest.panels)
    titles = [_title(panel, wide) for panel in forest.panels]
    top = _TOP + _LINE * max(max(map(len, titles), default=0) - 2, 0)
    bottom, places = top + _ROW * len(names), [top + _ROW * (i + 0.5) for i in range(len(names))]
    row_names(picture, names, left - 8, places)
    for place, (panel, title) in enumerate(zip(forest.panels, titles, strict=True)):
        start = left + place * (wide + _BETWEEN)
        area = Area(start, top, start + wide, bottom)
        middle = (area.left + area.right) / 2
        lines = [(middle, top - 5 - _LINE * i, text) for i, text in enumerate(reversed(title))]
        picture.texts(lines, font_size=SMALL, font_weight="bold", text_anchor="middle")
        _draw_panel(picture, panel, area, places)
    found = {row.style for panel in forest.panels for row in panel.rows if row is not None}
    entries = [_entry(picture, name) for name in VERDICTS if name in found]
    return bottom + 26 + legend(picture, entries, bottom + 31, size=SMALL)


def _title(panel: Panel, wide: float) -> list[str]:
    """What a panel shows, in three lines at most, so that no name of a class is cut."""
    return wrapped(label(panel.title, length=60), wide + 8, SMALL, lines=3, bold=True)


def _entry(picture: Picture, name: str) -> Entry:
    return Entry(VERDICTS[name].words, lambda x, y: _mark(picture, name, [(x + 13, y)]))


def _draw_panel(picture: Picture, panel: Panel, area: Area, places: Sequence[float]) -> None:
    ends = _span(panel)
    scale = Scale(ends.low, ends.high, area.left, area.right, log=panel.ratio)
    x_axis(picture, scale, area, panel.unit, size=_TICKS)
    _upright(picture, panel.neutral, scale, area, stroke=SOFT, stroke_dasharray=DOTTED)
    _upright(picture, panel.limit, scale, area, stroke=INK, stroke_dasharray=DASHED,
             stroke_width=1.1)  # fmt: skip
    absent = [(area.left + 3, y + 2.3, "not measured")
              for y, row in zip(places, panel.rows, strict=True) if row is None]  # fmt: skip
    picture.texts(absent, font_size=6.5, fill=SOFT)
    for style in VERDICTS:
        own = [(y, row) for y, row in zip(places, panel.rows, strict=True)
               if row is not None and row.style == style]  # fmt: skip
        _draw_rows(picture, own, scale, style)


def _upright(
    picture: Picture, value: float | None, scale: Scale, area: Area, **look: str | float
) -> None:
    if value is not None and scale.low <= value <= scale.high:
        picture.path(down(scale.at(value), area.top, area.bottom), **look)


@dataclass(frozen=True)
class _Span:
    low: float
    high: float


def _span(panel: Panel) -> _Span:
    """What a panel shows: every value, the limit, and what of the intervals fits beside them."""
    rows = [row for row in panel.rows if row is not None]
    marks = [row.value for row in rows] + [m for m in (panel.neutral, panel.limit) if m is not None]
    ends = [end for row in rows for end in (row.low, row.high) if math.isfinite(end)]
    if not panel.ratio:
        return _Span(*spread([*marks, *ends], room=0.06))
    positive = [x for x in [*marks, *ends] if x > 0] or [1.0]
    low = max(min(positive), min(0.1, *(x for x in [*marks, 1.0] if x > 0)))
    high = min(max(positive), max(10.0, *marks))
    return _Span(min(low, 0.8) / 1.15, max(high, 1.25) * 1.15)


def _draw_rows(
    picture: Picture, own: Sequence[tuple[float, PanelRow]], scale: Scale, style: str
) -> None:
    """Rows of one verdict; an interval that leaves the panel ends in an arrow."""
    colour, lines, points = VERDICTS[style].colour, [], []
    arrows: dict[str, list[tuple[float, float]]] = {"left": [], "right": []}
    for y, row in own:
        low, high = scale.within(row.low), scale.within(row.high)
        lines.append(across(scale.at(low), scale.at(high), y))
        points.append((scale.at(scale.within(row.value)), y))
        for end, shown, arrow in ((row.low, low, "left"), (row.high, high, "right")):
            if end != shown:
                arrows[arrow].append((scale.at(shown), y))
    picture.path(lines, stroke=colour, stroke_width=1.5)
    for arrow, where in arrows.items():
        picture.path(markers(arrow, where, 2.4), fill=colour)
    _mark(picture, style, points)


def _mark(picture: Picture, style: str, points: Sequence[tuple[float, float]]) -> None:
    look = VERDICTS[style]
    fill = look.colour if look.filled else PAPER
    picture.path(markers(look.marker, points, 2.9), fill=fill, stroke=look.colour)
