"""Units of one image each: right where images are sampled one by one, else a file's name."""

from __future__ import annotations

import pandas as pd

FEWEST = 10
"""Of fewer rows it is no wonder that no two are of one unit."""


def lone_units_note(units: pd.Series, *, column: str) -> str:
    """What is to be known of the `units` (n,) of a split's rows, "" being none; else empty."""
    named = units[units != ""]
    if len(named) < FEWEST or named.duplicated().any():
        return ""
    return (
        f"Column {column}: each of {len(named):,} rows is a unit of its own. Where several images "
        "are of one room, person or video, intervals are narrower than they should be: then name "
        "the column that says which under `data.columns.unit`."
    )
