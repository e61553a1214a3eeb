"""A row of a picture of intervals."""

from __future__ import annotations

from auditor.findings import Cell
from auditor.stats import Estimate, interval, value


def interval_row(
    label: str, estimate: Estimate, *, n: int | None, series: str = ""
) -> dict[str, Cell]:
    """An estimate with its 95% interval, from `n` rows; `series` where the picture has several."""
    ends = interval(estimate)
    row: dict[str, Cell] = {"label": label, "value": value(estimate), "low": ends.low,
                            "high": ends.high, "n": n}  # fmt: skip
    return row | ({"series": series} if series else {})
