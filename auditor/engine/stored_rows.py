"""Some rows of an array in a file: the memory holds what is asked for, while it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.data.held_rows import let_go, rows_of
from auditor.engine.store import Store, key_of
from auditor.engine.sweep import SweptPass


@dataclass(frozen=True)
class StoredRows:
    """The rows `kept` (n,) of a memory map (m, d); indexed as an array of them is."""

    array: np.ndarray
    kept: np.ndarray

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.kept), *self.array.shape[1:])

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        return rows_of(self.array, self.kept[rows])


def assemble(swept: SweptPass, kind: str, *, store: Store) -> np.ndarray:
    """One memory map (rows, columns) of a pass's shards; `kind` is predictions or embeddings.

    Predictions are a classifier's; those of others are scored, never put together.
    """
    found = (swept.answers if kind == "predictions" else swept.embeddings).there
    if len(found) == 1:
        return store.read_array(found[0])
    whole = store.path(f"{kind}-whole", key_of([path.stem for path in found]))
    if not store.holds(whole):
        shapes = [store.read_array(path).shape for path in found]
        # A shard in which no image could be read has no columns for its embedding.
        width = max((columns for _, columns in shapes), default=0)
        n = sum(rows for rows, _ in shapes)
        with store.growing_array(whole, (n, width), np.float32) as out:
            start = 0
            for path in found:
                part = store.read_array(path)
                stop = start + len(part)
                out[start:stop] = part if part.shape[1] == width else np.nan
                start = stop
                # What is written is the file's: in memory, all of a million images would stay.
                let_go(out)
    return store.read_array(whole)
