"""What a manifest's file holds, whatever its format: columns of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

MOST_ROWS = 20_000_000
"""Rows that a manifest may have."""


@dataclass(frozen=True)
class ManifestTable:
    """The rows of a file: every value of `frame` str, stripped, or missing.

    `inside` maps columns that hold images themselves to a mask of the rows that do, (n,) bool; in
    `frame` they hold the images' names. `several` are columns of lists of which some has more
    than one entry. `class_names` maps columns of whole numbers to the names that the file gives
    them, in order. `parts` are the files that the rows as read lie in, with how many each has:
    paths of `auditor.data.image_files`; () where no manifest was read.
    """

    frame: pd.DataFrame
    inside: Mapping[str, np.ndarray] = field(default_factory=dict)
    several: frozenset[str] = frozenset()
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: tuple[tuple[str, int], ...] = ()

    def places_of(self, rows: np.ndarray) -> Iterator[tuple[str, int]]:
        """The file that each row lies in, and its number there; rows count from 0."""
        ends = np.cumsum([n for _, n in self.parts])
        for row, at in zip(rows.tolist(), np.searchsorted(ends, rows, side="right"), strict=True):
            part, n = self.parts[at]
            yield part, int(row - (ends[at] - n))

    @property
    def columns(self) -> list[str]:
        return [str(name) for name in self.frame.columns]


def value_text(value: Any) -> str | None:
    """A value as text, None where it is missing; a list of one entry is that entry."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, default=str) if value else None
    if value is None or value != value:
        return None
    return str(value).strip() or None
