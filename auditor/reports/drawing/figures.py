"""A figure's data as an SVG picture: the one place where pictures are drawn.

Text becomes outlines, so that a picture looks the same everywhere and needs no font; series
differ in marker, line and hatch as well as in colour, so that a grey print can be read. Equal
figures give equal bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath

from auditor.findings import Figure
from auditor.reports.drawing.panels import (
    INK,
    MARKS,
    RULE,
    SOFT,
    draw_panels,
    interval_row,
    limit_lines,
    panel_labels,
    row_labels,
)
from auditor.reports.drawing.svg import finished_svg
from auditor.reports.figure_rows import (
    STYLES,
    Row,
    Style,
    axis_text,
    bin_of,
    factor,
    label,
    number,
    point,
    series_names,
    series_of,
    style_of,
    tint,
)
from auditor.reports.group_forest import GroupForest
from auditor.reports.templates import font_path

MAX_ROWS = 60
"""Labelled rows that a picture shows; a note says how many are left to the table."""

_WIDTH = 6.9
_LEGEND_ENTRIES = 8
_FAMILY = "Auditor Sans"
_FONT = font_manager.FontProperties(family=_FAMILY)

_LOOK = {
    "font.family": [_FAMILY],
    "font.size": 8.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "path",
    "figure.dpi": 72,
}


def svg(figure: Figure) -> str:
    """A figure as an SVG document, 497 pt wide, transparent, with its `alt` text inside.

    Every id in it begins with a prefix made from the figure's id, so that several may stand in
    one HTML page. Rows beyond `MAX_ROWS` of a labelled kind are left out with a note. A figure
    without rows says so.
    """
    return _printed(figure, _draw)


def group_forest_svg(forest: GroupForest) -> str:
    """The groups of an attribute against all others as an SVG document, as `svg` makes them."""
    return _printed(forest.figure, lambda _: _panels(forest))


def _printed(figure: Figure, draw: Callable[[Figure], Canvas]) -> str:
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A glyph that the font lacks is drawn as a box; its text stands in the table beside it.
        warnings.simplefilter("ignore", UserWarning)
        matplotlib.rcdefaults()
        _register_fonts()
        matplotlib.rcParams.update(_LOOK)
        matplotlib.rcParams["svg.hashsalt"] = figure.id
        canvas = draw(figure)
        out = io.StringIO()
        undated = {"Date": None, "Creator": None, "Format": None, "Type": None}
        FigureCanvasSVG(canvas).print_svg(out, metadata=undated)
    return finished_svg(out.getvalue(), figure)


def _register_fonts() -> None:
    # Under a name of their own: another version of the same family on the machine must not win.
    if _FAMILY not in {entry.name for entry in font_manager.fontManager.ttflist}:
        for name in ("AuditorSans-Regular", "AuditorSans-Bold"):
            font_manager.fontManager.addfont(font_path(name))


def _draw(figure: Figure) -> Canvas:
    if not figure.rows:
        return _empty()
    kinds = {
        "forest": _forest,
        "line": _line,
        "bars": _bars,
        "reliability": _reliability,
        "heat": _heat,
        "histogram": _histogram,
    }
    return kinds[figure.kind](figure)


def _empty() -> Canvas:
    canvas, axes = _canvas(1.0)
    axes.set_axis_off()
    axes.text(0.5, 0.5, "Nothing was measured.", ha="center", va="center", color=SOFT)
    return canvas


def _canvas(height: float) -> tuple[Canvas, Any]:
    canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
    canvas.patch.set_alpha(0)
    axes = canvas.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_axisbelow(True)
    return canvas, axes


def _forest(figure: Figure) -> Canvas:
    rows = figure.rows[:MAX_ROWS]
    left_out = len(figure.rows) - len(rows)
    canvas, axes = _canvas(0.75 + 0.2 * len(rows) + 0.2 * bool(left_out))
    names, times = series_names(rows), factor(figure.x)
    for y, row in enumerate(rows):
        interval_row(axes, y, row=row, style=style_of(names, row), times=times)
    limit_lines(axes, rows, times=times)
    row_labels(axes, [label(row.get("label")) for row in rows])
    axes.set_xlabel(axis_text(figure.x))
    axes.grid(axis="x")
    _legend(axes, names, [_line_handle(i, name, joined=False) for i, name in enumerate(names)])
    _note(canvas, left_out)
    return canvas


def _panels(forest: GroupForest) -> Canvas:
    inches = 0.95 + 0.19 * len(forest.groups)
    canvas = Canvas(figsize=(_WIDTH, inches))
    canvas.patch.set_alpha(0)
    # Margins computed, not solved: a constrained layout draws four panels twice over.
    names = [TextPath((0, 0), f"{n}.", size=8.5, prop=_FONT) for n in panel_labels(forest)]
    left = max(name.get_extents().width for name in names) / 72 + 0.1
    every = canvas.subplots(1, len(forest.panels), squeeze=False)[0]
    sides = {"left": left / _WIDTH, "right": 0.985, "wspace": 0.12}
    canvas.subplots_adjust(**sides, bottom=0.58 / inches, top=1 - 0.32 / inches)
    for axes in every:
        axes.patch.set_alpha(0)
        axes.set_axisbelow(True)
    draw_panels(every, forest)
    found = {row.style for panel in forest.panels for row in panel.rows if row is not None}
    handles = [_mark_handle(name) for name in MARKS if name in found]
    canvas.legend(handles=handles, loc="lower center", ncols=4, fontsize=7.5, borderaxespad=0)
    return canvas


def _mark_handle(name: str) -> Line2D:
    style = MARKS[name]
    look: dict[str, Any] = {"color": style.colour, "marker": style.marker, "markersize": 6}
    return Line2D([], [], label=style.words, markerfacecolor=style.fill, **look)


def _bars(figure: Figure) -> Canvas:
    every = list(dict.fromkeys(str(row.get("label")) for row in figure.rows))
    labels, names = every[:MAX_ROWS], series_names(figure.rows)
    place = {text: y for y, text in enumerate(labels)}
    canvas, axes = _canvas(0.8 + (0.1 + 0.16 * len(names)) * len(labels))
    times, thickness = factor(figure.x), 0.8 / len(names)
    for row in figure.rows:
        if (y := place.get(str(row.get("label")))) is not None:
            offset = thickness * (names.index(series_of(row)) + 0.5) - 0.4
            style = style_of(names, row)
            _bar(axes, y + offset, row=row, style=style, times=times, thickness=thickness)
    row_labels(axes, [label(text) for text in labels])
    axes.set_xlabel(axis_text(figure.x))
    axes.grid(axis="x")
    _legend(axes, names, [_filled_handle(i, name) for i, name in enumerate(names)])
    _note(canvas, len(every) - len(labels))
    return canvas


def _bar(axes: Any, y: float, *, row: Row, style: Style, times: float, thickness: float) -> None:
    value, low, high = (number(row, name) for name in ("value", "low", "high"))
    if value is not None:
        axes.barh(y, value * times, height=thickness * 0.92, linewidth=0.8, **_fill(style))
    if low is not None and high is not None:
        axes.plot([low * times, high * times], [y, y], color=INK, linewidth=1.2)


def _line(figure: Figure) -> Canvas:
    canvas, axes = _canvas(2.9)
    names = series_names(figure.rows)
    across, up = factor(figure.x), factor(figure.y)
    for name in names:
        rows = [row for row in figure.rows if series_of(row) == name]
        style = style_of(names, rows[0]) if rows else STYLES[0]
        points = sorted(p for row in rows if (p := point(row)) is not None)
        axes.plot(
            [x * across for x, _ in points],
            [y * up for _, y in points],
            color=style.colour,
            linestyle=style.line,
            linewidth=1.4,
            marker=style.marker,
            markersize=4,
            markevery=max(len(points) // 12, 1),
        )
        _band(axes, rows, colour=style.colour, across=across, up=up)
    axes.set_xlabel(axis_text(figure.x))
    axes.set_ylabel(axis_text(figure.y))
    axes.grid(visible=True)
    _legend(axes, names, [_line_handle(i, name, joined=True) for i, name in enumerate(names)])
    return canvas


def _band(axes: Any, rows: Sequence[Row], *, colour: str, across: float, up: float) -> None:
    ends = sorted(
        (x * across, low * up, high * up)
        for row in rows
        if (x := number(row, "x")) is not None
        and (low := number(row, "low")) is not None
        and (high := number(row, "high")) is not None
    )
    if ends:
        xs, lows, highs = zip(*ends, strict=True)
        axes.fill_between(xs, lows, highs, color=colour, alpha=0.15, linewidth=0)


def _reliability(figure: Figure) -> Canvas:
    canvas = Canvas(figsize=(_WIDTH, 3.6), layout="constrained")
    canvas.patch.set_alpha(0)
    above, below = canvas.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    across, up = factor(figure.x), factor(figure.y)
    diagonal = "dashed: as sure as it is right"
    above.plot([0, across], [0, up], color=SOFT, linestyle=(0, (4, 2)), linewidth=1)
    above.text(0.99, 0.04, diagonal, transform=above.transAxes, ha="right", fontsize=7.5)
    width = _bar_width([x for row in figure.rows if (x := number(row, "confidence")) is not None])
    for row in figure.rows:
        _reliability_bin(above, below, row=row, across=across, up=up, width=width)
    for axes in (above, below):
        axes.patch.set_alpha(0)
        axes.grid(visible=True)
        axes.set_axisbelow(True)
    above.set_ylabel(axis_text(figure.y))
    below.set_xlabel(axis_text(figure.x))
    below.set_ylabel("images")
    above.set_xlim(0, across)
    above.set_ylim(0, up)
    below.set_ylim(bottom=0)
    return canvas


def _reliability_bin(
    above: Any, below: Any, *, row: Row, across: float, up: float, width: float
) -> None:
    x, y = number(row, "confidence"), number(row, "accuracy")
    low, high, n = number(row, "low"), number(row, "high"), number(row, "n")
    colour = STYLES[0].colour
    if x is None:
        return
    if y is not None:
        above.plot([x * across], [y * up], color=colour, marker="o", markersize=5)
    if low is not None and high is not None:
        above.plot([x * across] * 2, [low * up, high * up], color=colour, linewidth=1.6)
    if n is not None:
        below.bar(x * across, n, width=width * across, color=colour)


def _bar_width(places: Sequence[float]) -> float:
    """Wide enough to see, narrow enough that the closest two do not touch."""
    ordered = sorted(places)
    gaps = [b - a for a, b in pairwise(ordered)]
    return min(0.03, 0.7 * min(gaps, default=0.03)) or 0.002


def _heat(figure: Figure) -> Canvas:
    every = list(dict.fromkeys(str(row.get("row")) for row in figure.rows))
    rows = {text: y for y, text in enumerate(every[:MAX_ROWS])}
    columns = list(dict.fromkeys(str(row.get("column")) for row in figure.rows))[:MAX_ROWS]
    places = {text: x for x, text in enumerate(columns)}
    canvas, axes = _canvas(min(1.1 + 0.3 * len(rows), 9.0))
    values = [v for cell in figure.rows if (v := number(cell, "value")) is not None]
    lowest, span = min(values, default=0.0), (max(values, default=1.0) - min(values, default=0.0))
    for cell in figure.rows:
        x, y = places.get(str(cell.get("column"))), rows.get(str(cell.get("row")))
        if x is not None and y is not None:
            depth = ((number(cell, "value") or lowest) - lowest) / (span or 1)
            _heat_cell(axes, x, y, text=_heat_text(cell) if len(places) <= 14 else "", depth=depth)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    slanted = len(places) > 6 or max(map(len, places)) > 12
    slant: dict[str, Any] = {"rotation": 35, "ha": "right"} if slanted else {}
    axes.set_xticks(range(len(places)), [label(text, length=24) for text in places], **slant)
    axes.set_yticks(range(len(rows)), [label(text, length=24) for text in rows])
    axes.tick_params(length=0)
    axes.set_xlabel(figure.x.label)
    axes.set_ylabel(figure.y.label)
    _note(canvas, len(every) - len(rows))
    return canvas


def _heat_text(cell: Row) -> str:
    value = number(cell, "value")
    written = cell.get("text")
    if written is not None:
        return label(written, length=12)
    return "" if value is None else f"{value:.3g}"


def _heat_cell(axes: Any, x: float, y: float, *, text: str, depth: float) -> None:
    shade = 1 - 0.8 * depth
    across, up = [x - 0.5, x + 0.5, x + 0.5, x - 0.5], [y - 0.5, y - 0.5, y + 0.5, y + 0.5]
    axes.fill(across, up, facecolor=(shade,) * 3, edgecolor=RULE, linewidth=0.5)
    if text:
        ink = "white" if shade < 0.55 else INK
        axes.text(x, y, text, ha="center", va="center", fontsize=7.5, color=ink)


def _histogram(figure: Figure) -> Canvas:
    canvas, axes = _canvas(2.6)
    names = series_names(figure.rows)
    across, up = factor(figure.x), factor(figure.y)
    for name in names:
        rows = [row for row in figure.rows if series_of(row) == name]
        bins = sorted((b for row in rows if (b := bin_of(row)) is not None), key=lambda b: b.left)
        if bins:
            style = style_of(names, rows[0])
            edges = [bins[0].left * across, *(b.right * across for b in bins)]
            heights = [b.value * up for b in bins]
            look = {**_fill(style), "facecolor": (0, 0, 0, 0), "hatch_linewidth": 0.4}
            axes.stairs(heights, edges, fill=True, linewidth=1.4, linestyle=style.line, **look)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(axis_text(figure.x))
    axes.set_ylabel(axis_text(figure.y))
    axes.grid(axis="y")
    _legend(axes, names, [_filled_handle(i, name) for i, name in enumerate(names)])
    return canvas


def _fill(style: Style) -> dict[str, Any]:
    return {
        "facecolor": tint(style.colour),
        "edgecolor": style.colour,
        "hatch": style.hatch or None,
        "hatchcolor": style.colour,
    }


def _filled_handle(index: int, name: str) -> Patch:
    return Patch(label=label(name), **_fill(STYLES[index % len(STYLES)]))


def _line_handle(index: int, name: str, *, joined: bool) -> Line2D:
    style = STYLES[index % len(STYLES)]
    look: dict[str, Any] = {"color": style.colour, "marker": style.marker, "markersize": 4}
    return Line2D([], [], linestyle=style.line if joined else "-", label=label(name), **look)


def _legend(axes: Any, names: Sequence[str], handles: Sequence[Any]) -> None:
    if len(names) > 1:
        shown = handles[:_LEGEND_ENTRIES]
        axes.legend(handles=shown, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)


def _note(canvas: Canvas, left_out: int) -> None:
    if left_out > 0:
        text = f"{left_out} more in the table."
        canvas.supxlabel(text, fontsize=7.5, color=SOFT, x=0.99, ha="right")
