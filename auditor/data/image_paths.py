"""Paths of many images, in parts: whole they would be most of what a manifest's rows take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pandas as pd

from auditor.data.image_files import part_in_manifest

PARTS = ("path:head", "path:row", "path:name")
"""Columns of a frame that paths are put together from (`ImagePaths`)."""


@dataclass(frozen=True)
class ImagePaths(Sequence[str]):
    """Paths as of `auditor.data.image_files`, each put together when it is asked for.

    Each begins with one of `heads`, that of `codes` (n,), and ends with a number, that of `rows`
    (n,) int64 of a file that holds the image, or with one of `names` (n,) where that is -1.
    """

    heads: Sequence[str]
    codes: np.ndarray
    rows: np.ndarray
    names: np.ndarray

    @classmethod
    def of(cls, paths: Iterable[str], *, names: Collection[str]) -> ImagePaths:
        """Whole paths of images, (n,), and their ids.

        What ends with the image's id has that very text as name, which is there already.
        """
        n, heads = len(names), dict[str, int]()
        codes, rows = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int64)
        last = np.empty(n, dtype=object)
        for at, (path, name) in enumerate(zip(paths, names, strict=True)):
            begins, rows[at], last[at] = _parts(path, name)
            codes[at] = heads.setdefault(begins, len(heads))
        return cls(list(heads), codes, rows, last)

    @classmethod
    def of_frame(cls, frame: pd.DataFrame) -> ImagePaths:
        """Those of a frame with `columns`."""
        heads, rows, names = (frame[name] for name in PARTS)
        return cls(list(heads.cat.categories), heads.cat.codes.to_numpy(), rows.to_numpy(),
                   names.to_numpy(dtype=object))  # fmt: skip

    def columns(self, index: pd.Index | None = None) -> dict[str, Any]:
        """As `PARTS` of a frame with that index, by name."""
        heads = pd.Categorical.from_codes(self.codes, pd.Index([*self.heads]))
        # As objects: pandas would write texts down anew.
        names = pd.Series(self.names, index=index, dtype=object)
        return dict(zip(PARTS, (heads, self.rows, names), strict=True))

    def take(self, rows: np.ndarray | slice) -> ImagePaths:
        """Those of some images."""
        return ImagePaths(self.heads, self.codes[rows], self.rows[rows], self.names[rows])

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> ImagePaths: ...
    def __getitem__(self, at: int | slice) -> str | ImagePaths:
        if isinstance(at, slice):
            return self.take(at)
        row = int(self.rows[at])
        return f"{self.heads[self.codes[at]]}{self.names[at] if row < 0 else row}"


def _parts(path: str, name: str) -> tuple[str, int, str | None]:
    held = part_in_manifest(path)
    if held is not None:
        return *held, None
    if name and path.endswith(name):
        return path[: -len(name)], -1, name
    return "", -1, path
