"""Rows and panels on axes that `drawing.figures` made; knows no plotting library."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditor.reports.figure_rows import Row, Style, label, number
from auditor.reports.group_forest import GroupForest, Panel, PanelRow

INK, SOFT, RULE = "#1d2733", "#5c6773", "#c3cad1"
_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class MarkStyle:
    """How a verdict looks: colour, marker and whether it is filled; each tells it alone."""

    colour: str
    marker: str
    filled: bool
    words: str

    @property
    def fill(self) -> str:
        return self.colour if self.filled else "white"


MARKS = {
    "fail": MarkStyle("#9c1c1c", "X", True, "✗ beyond the limit"),
    "inconclusive": MarkStyle("#7a5200", "D", False, "? not decided"),
    "pass": MarkStyle("#1d6b3a", "o", True, "✓ within the limit"),
    "none": MarkStyle("#5c6773", "|", True, "· no limit"),
}


def interval_row(axes: Any, y: float, *, row: Row, style: Style, times: float) -> None:
    """A labelled row of a forest: interval, value and size."""
    small = {"transform": axes.get_yaxis_transform(), "va": "center", "color": SOFT}
    value, n = number(row, "value"), number(row, "n")
    low, high = number(row, "low"), number(row, "high")
    if low is not None and high is not None:
        axes.plot([low * times, high * times], [y, y], color=style.colour, linewidth=1.6)
    if value is not None:
        axes.plot([value * times], [y], color=style.colour, marker=style.marker, markersize=5)
    else:
        axes.text(0.01, y, "not measured", fontsize=7.5, **small)
    if n is not None:
        axes.text(1.01, y, f"n = {n:,.0f}", fontsize=7.5, **small)


def limit_lines(axes: Any, rows: Sequence[Row], *, times: float) -> None:
    """The limit as one line where all rows share it, else a stroke in each row."""
    limits = [number(row, "limit") for row in rows]
    if limits[0] is not None and len(set(limits)) == 1:
        where = limits[0] * times
        axes.axvline(where, color=INK, linestyle=(0, (4, 2)), linewidth=1)
        axes.text(where, -0.75, "limit", ha="center", fontsize=7.5, color=INK)
        return
    for y, limit in enumerate(limits):
        if limit is not None:
            axes.plot([limit * times] * 2, [y - 0.4, y + 0.4], color=INK, linewidth=1.4)


def row_labels(axes: Any, labels: Sequence[str]) -> None:
    """Names of the rows at the left, the first on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def panel_labels(forest: GroupForest) -> list[str]:
    """The groups' names as they stand at the left of the first panel."""
    return [label(group, length=26) for group in forest.groups]


def draw_panels(every: Sequence[Any], forest: GroupForest) -> None:
    """The panels of a forest on axes side by side; the first carries the groups' names."""
    names = panel_labels(forest)
    for place, (axes, panel) in enumerate(zip(every, forest.panels, strict=True)):
        row_labels(axes, names if place == 0 else [""] * len(names))
        _draw_panel(axes, panel)


@dataclass(frozen=True)
class _Span:
    low: float
    high: float

    def within(self, place: float) -> float:
        return min(max(place, self.low), self.high)


def _draw_panel(axes: Any, panel: Panel) -> None:
    span = _span(panel)
    if panel.ratio:
        axes.set_xscale("log")
        shown = [t for t in _TICKS if span.low <= t <= span.high]
        axes.set_xticks(shown, [f"{t:g}" for t in shown])
        axes.minorticks_off()
    axes.set_xlim(span.low, span.high)
    axes.tick_params(axis="x", labelsize=7)
    words = label(panel.title, length=40)
    title = textwrap.fill(words, width=20, max_lines=2, placeholder="…")
    axes.set_title(title, fontsize=7.5, fontweight="bold")
    axes.set_xlabel(panel.unit, fontsize=7.5)
    axes.grid(axis="x", which="major")
    if panel.neutral is not None and span.low <= panel.neutral <= span.high:
        axes.axvline(panel.neutral, color=SOFT, linestyle=":", linewidth=1)
    if panel.limit is not None and span.low <= panel.limit <= span.high:
        axes.axvline(panel.limit, color=INK, linestyle=(0, (4, 2)), linewidth=1.1)
    for y, row in enumerate(panel.rows):
        if row is None:
            axes.text(0.02, y, "not measured", transform=axes.get_yaxis_transform(),
                      va="center", fontsize=6.5, color=SOFT)  # fmt: skip
        else:
            _draw_row(axes, y, row=row, span=span)


def _span(panel: Panel) -> _Span:
    """What a panel shows: every value, the limit, and what of the intervals fits beside them."""
    rows = [row for row in panel.rows if row is not None]
    marks = [row.value for row in rows] + [m for m in (panel.neutral, panel.limit) if m is not None]
    ends = [end for row in rows for end in (row.low, row.high) if math.isfinite(end)]
    if not panel.ratio:
        low, high = min([*marks, *ends]), max([*marks, *ends])
        room = 0.06 * ((high - low) or 1.0)
        return _Span(low - room, high + room)
    positive = [x for x in [*marks, *ends] if x > 0] or [1.0]
    low = max(min(positive), min(0.1, *(x for x in [*marks, 1.0] if x > 0)))
    high = min(max(positive), max(10.0, *marks))
    return _Span(min(low, 0.8) / 1.15, max(high, 1.25) * 1.15)


def _draw_row(axes: Any, y: float, *, row: PanelRow, span: _Span) -> None:
    style = MARKS[row.style]
    low, high = span.within(row.low), span.within(row.high)
    axes.plot([low, high], [y, y], color=style.colour, linewidth=1.5, clip_on=False)
    for end, shown, arrow in ((row.low, low, "<"), (row.high, high, ">")):
        if end != shown:
            axes.plot([shown], [y], color=style.colour, marker=arrow, markersize=4, clip_on=False)
    axes.plot([span.within(row.value)], [y], marker=style.marker, markersize=6, clip_on=False,
              color=style.colour, markerfacecolor=style.fill, zorder=4)  # fmt: skip
