"""Columns of a table of which some rows are meant, each taken when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auditor.stats.codes import compact

_NAMES = ("unit", "annotator")
_INDICES = ("label", "gold")


@dataclass(frozen=True)
class Columns:
    """The rows of a table at some positions: tables of the same rows are held once.

    `held` is the table, with rows numbered from 0. `rows` (n,) are the positions of those that are
    meant, in their order, perhaps several times; None: all.
    """

    held: pd.DataFrame
    rows: np.ndarray | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Columns:
        """All rows of a frame, in few bytes: names as codes, class indices as small numbers."""
        return cls(_coded(frame))

    def __len__(self) -> int:
        return len(self.held) if self.rows is None else len(self.rows)

    def __contains__(self, name: object) -> bool:
        return name in self.held

    def __iter__(self) -> Iterator[str]:
        return iter(map(str, self.held))

    def __getitem__(self, name: str) -> pd.Series:
        column = self.held[name]
        if self.rows is None:
            return column
        taken: pd.Series = column.iloc[self.rows].reset_index(drop=True)
        return taken

    def codes(self, name: str) -> tuple[np.ndarray, pd.Index]:
        """The place of each name of a column of names, (n,), and the names."""
        held = self.held[name].cat
        places = held.codes.to_numpy()
        return places if self.rows is None else places[self.rows], held.categories

    def take(self, positions: np.ndarray) -> Columns:
        """Those at the `positions` (m,)."""
        return Columns(self.held, positions if self.rows is None else self.rows[positions])

    def renamed(self, column: str, name: Callable[[str], str]) -> Columns:
        """With other names in a column of names."""
        other = in_codes(self.held[column].map(name).astype(object))
        return Columns(self.held.assign(**{column: other}), self.rows)

    def whole(self) -> pd.DataFrame:
        """All columns: the table itself where all of its rows are meant."""
        if self.rows is None:
            return self.held
        return self.held.iloc[self.rows].reset_index(drop=True)


def _coded(frame: pd.DataFrame) -> pd.DataFrame:
    """Without names and paths; units, annotators and groups as codes, class indices narrow."""
    frame = frame.drop(columns=["image_id", "path"], errors="ignore")
    columns = [str(name) for name in frame]
    told = [name for name in columns if name in _NAMES or name.startswith("attribute:")]
    text = [name for name in told if not isinstance(frame[name].dtype, pd.CategoricalDtype)]
    indices = [name for name in columns if name in _INDICES or name.startswith("rating:")]
    wide = [name for name in indices if frame[name].dtype == np.int64]
    found: dict[str, Any] = {name: in_codes(frame[name]) for name in text}
    found |= {name: compact(frame[name].to_numpy()) for name in wide}
    return frame.assign(**found) if found else frame


def in_codes(column: pd.Series) -> pd.Series:
    """Names, "" where missing, as codes (pandas' ``category``): each different one held once."""
    codes, seen = pd.factorize(column.fillna(""))
    # Texts as Arrow holds them take a third of what Python's take; not every name is one.
    kind = column.dtype if isinstance(column.dtype, pd.StringDtype) else object
    held = pd.Categorical.from_codes(codes, pd.Index(seen, dtype=kind))
    return pd.Series(held, index=column.index)
