"""What a picture is drawn from: rows of a figure, read one by one, and the look of series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.findings import Axis, Cell
from auditor.reports.drawing.svg import xml_text

LABEL_LENGTH = 38

Row = Mapping[str, Cell]


@dataclass(frozen=True)
class Style:
    """How a series looks; each part alone tells it from the others."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]]
    hatch: str


STYLES = (
    Style("#1f4e79", "o", "-", ""),
    Style("#c05a12", "s", "--", "////"),
    Style("#3f7d4e", "^", "-.", "...."),
    Style("#7a3b78", "D", ":", "xxxx"),
    Style("#8a6d00", "v", (0, (5, 1, 1, 1, 1, 1)), "\\\\\\\\"),
    Style("#5c6773", "P", (0, (8, 2)), "----"),
)


@dataclass(frozen=True)
class Bin:
    left: float
    right: float
    value: float


def number(row: Row, name: str) -> float | None:
    """A cell as a finite number, None where it holds none."""
    value = row.get(name)
    if value is None or isinstance(value, str) or not math.isfinite(value):
        return None
    return float(value)


def point(row: Row) -> tuple[float, float] | None:
    """The place (x, y) of a row, None where either is missing."""
    across, up = number(row, "x"), number(row, "y")
    return None if across is None or up is None else (across, up)


def bin_of(row: Row) -> Bin | None:
    """The bin of a histogram's row, None where it is not whole."""
    left, right, value = (number(row, name) for name in ("left", "right", "value"))
    if left is None or right is None or value is None:
        return None
    return Bin(left, right, value)


def series_names(rows: Sequence[Row]) -> list[str]:
    """Names of the series in order of appearance; one empty name where there are none."""
    return list(dict.fromkeys(series_of(row) for row in rows)) or [""]


def series_of(row: Row) -> str:
    return str(row.get("series") or "")


def style_of(names: Sequence[str], row: Row) -> Style:
    return STYLES[names.index(series_of(row)) % len(STYLES)]


def label(value: Cell, *, length: int = LABEL_LENGTH) -> str:
    """A label in one line of at most `length` characters."""
    text = " ".join(xml_text(str(value)).split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


def axis_text(axis: Axis) -> str:
    """An axis' label with its unit; shares are drawn in per cent, ratios have no unit."""
    unit = {"share": "%", "ratio": ""}.get(axis.unit, axis.unit)
    return f"{axis.label} ({unit})" if unit else axis.label


def factor(axis: Axis) -> float:
    """What values are multiplied by before they are drawn on an axis."""
    return 100.0 if axis.unit == "share" else 1.0


def tint(colour: str) -> tuple[float, float, float]:
    """A light shade of a colour such as ``#1f4e79``, as shares of red, green and blue."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return (0.65 + 0.35 * red, 0.65 + 0.35 * green, 0.65 + 0.35 * blue)
