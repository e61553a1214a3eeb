"""A table of values as shades of one colour, each cell with its number where there is room."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.findings import Figure
from auditor.reports.drawing.axes import centred, left_out, row_names, turned
from auditor.reports.drawing.intervals import MAX_ROWS
from auditor.reports.drawing.lettering import text_width, widest
from auditor.reports.drawing.rows import Row, label, number
from auditor.reports.drawing.svg import (
    INK,
    PAPER,
    RULE,
    SHADE,
    SIZE,
    SMALL,
    WIDTH,
    Look,
    Picture,
    box,
    short,
)

_NAME = 24
_SLANT = math.radians(35)
_TOP = 6.0
_RIGHT = WIDTH - 10
_TALLEST = 560.0
_SHADES = 24
_DARK = 0.55
"""Above this cover letters have the colour of the page."""


@dataclass(frozen=True)
class _Grid:
    """Where the cells lie: the place of each row and column, and how large a cell is."""

    left: float
    wide: float
    tall: float
    rows: Mapping[str, int]
    columns: Mapping[str, int]

    @property
    def bottom(self) -> float:
        return _TOP + self.tall * len(self.rows)

    def column_middles(self) -> list[float]:
        return [self.left + self.wide * (i + 0.5) for i in range(len(self.columns))]

    def row_middles(self) -> list[float]:
        return [_TOP + self.tall * (i + 0.5) for i in range(len(self.rows))]


def heat(picture: Picture, figure: Figure) -> float:
    """Draw a cell for each row and column; returns the picture's height."""
    every = _in_order(str(cell.get("row")) for cell in figure.rows)
    columns = _in_order(str(cell.get("column")) for cell in figure.rows)[:MAX_ROWS]
    names = [label(text, length=_NAME) for text in every[:MAX_ROWS]]
    heads = [label(text, length=_NAME) for text in columns]
    grid = _grid(names, heads, every[:MAX_ROWS], columns)
    _cells(picture, grid, figure.rows)
    row_names(picture, names, grid.left - 6, grid.row_middles())
    under = _column_names(picture, grid, heads)
    turned(picture, SIZE, (_TOP + grid.bottom) / 2, figure.y.label, length=grid.bottom)
    centred(picture, (grid.left + _RIGHT) / 2, under + 12, figure.x.label)
    more = len(every) - len(grid.rows)
    left_out(picture, more, under + 26)
    return under + (30 if more > 0 else 17)


def _in_order(names: Iterable[str]) -> list[str]:
    """Names as they first come; places of a picture (``row 1``, ``row 2``) as they lie in it."""
    once = list(dict.fromkeys(names))
    placed = [re.fullmatch(r"(?:row|column) (\d+)", name) for name in once]
    return once if None in placed else sorted(once, key=lambda name: int(name.split()[1]))


def _grid(
    names: Sequence[str], heads: Sequence[str], rows: Sequence[str], columns: Sequence[str]
) -> _Grid:
    left = widest(names) + 26
    wide = (_RIGHT - left) / len(columns)
    if _is_slanted(heads, wide):
        # The first name must not run out of the picture at the left: it ends in the middle of the
        # first cell, and cells become narrower as names of rows take more room.
        slanted = text_width(heads[0]) * math.cos(_SLANT) + SIZE * math.sin(_SLANT)
        half = 0.5 / len(columns)
        left = max(left, (slanted - half * _RIGHT) / (1 - half))
        wide = (_RIGHT - left) / len(columns)
    places = ({text: i for i, text in enumerate(several)} for several in (rows, columns))
    return _Grid(left, wide, min(21.6, _TALLEST / len(rows)), *places)


def _is_slanted(heads: Sequence[str], wide: float) -> bool:
    return widest(heads) > wide - 4


def _column_names(picture: Picture, grid: _Grid, heads: Sequence[str]) -> float:
    """Names under the columns, slanted where they are wide; where they end below."""
    if not _is_slanted(heads, grid.wide):
        line = grid.bottom + 5 + SIZE
        written = [(x, line, h) for x, h in zip(grid.column_middles(), heads, strict=True)]
        picture.texts(written, text_anchor="middle")
        return line
    for x, head in zip(grid.column_middles(), heads, strict=True):
        y = grid.bottom + 5 + SIZE / 2
        turn = f"rotate(-35 {short(x)} {short(y)})"
        picture.text(x, y, head, text_anchor="end", transform=turn)
    return grid.bottom + 10 + widest(heads) * math.sin(_SLANT) + SIZE / 2


def _cells(picture: Picture, grid: _Grid, cells: Sequence[Row]) -> None:
    """Cells of one shade are one path; numbers stand in all cells or in none."""
    values = [v for cell in cells if (v := number(cell, "value")) is not None]
    lowest = min(values, default=0.0)
    span = (max(values, default=1.0) - lowest) or 1.0
    shapes: dict[int, list[str]] = {}
    written: dict[bool, list[tuple[float, float, str]]] = {True: [], False: []}
    for cell in cells:
        x, y = grid.columns.get(str(cell.get("column"))), grid.rows.get(str(cell.get("row")))
        if x is None or y is None:
            continue
        value = number(cell, "value")
        depth = round(_SHADES * ((lowest if value is None else value) - lowest) / span)
        left, top = grid.left + x * grid.wide, _TOP + y * grid.tall
        shapes.setdefault(depth, []).append(box(left, top, left + grid.wide, top + grid.tall))
        middle = (left + grid.wide / 2, top + grid.tall / 2 + 0.35 * SMALL)
        written[_shade(depth) > _DARK].append((*middle, _cell_text(cell)))
    for depth, boxes in sorted(shapes.items()):
        look: Look = {"stroke": RULE, "stroke_width": 0.5}
        picture.path(boxes, fill=SHADE, fill_opacity=f"{_shade(depth):.2f}", **look)
    every = [text for several in written.values() for _, _, text in several]
    if widest(every, SMALL) <= grid.wide - 2 and grid.tall >= SMALL:
        for is_dark, several in written.items():
            ink = PAPER if is_dark else INK
            picture.texts(several, font_size=SMALL, text_anchor="middle", fill=ink)


def _shade(depth: int) -> float:
    """How much of the shade covers the page; the page's own colour shows through the rest."""
    return 0.8 * depth / _SHADES


def _cell_text(cell: Row) -> str:
    value, written = number(cell, "value"), cell.get("text")
    if written is not None:
        return label(written, length=12)
    return "" if value is None else f"{value:.3g}"
