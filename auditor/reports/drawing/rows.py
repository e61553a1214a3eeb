"""What a picture is drawn from: the rows of a figure, read one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.findings import Axis, Cell
from auditor.reports.drawing.svg import xml_text

LABEL_LENGTH = 38

Row = Mapping[str, Cell]


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
