"""Paths of many images, in parts: whole they would be most of what a manifest's rows take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from auditor.data.image_files import part_in_manifest, part_in_tar
from auditor.data.image_names import ImageNames
from auditor.stats.codes import compact


@dataclass(frozen=True)
class ImagePaths(Sequence[str]):
    """Paths as of `auditor.data.image_files`, each put together when it is asked for.

    Each begins with one of `heads`, that of `codes` (n,), and ends with a number, that of `rows`
    (n,) of a file that holds the image, or with one of `names` (n,) where that is -1. Those at the
    positions `at` (m,) are meant, None: all.
    """

    heads: Sequence[str]
    codes: np.ndarray
    rows: np.ndarray
    names: ImageNames
    at: np.ndarray | None = None

    @classmethod
    def of(cls, paths: Iterable[str], *, names: Collection[str]) -> ImagePaths:
        """Whole paths of images, (n,), and their ids.

        Where what does not lie in another file ends with the image's id, ids are held once.
        """
        n, heads = len(names), dict[str, int]()
        codes, rows = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int64)
        apart: dict[int, str] = {}
        for at, (path, name) in enumerate(zip(paths, names, strict=True)):
            begins, rows[at], last = _parts(path, name)
            codes[at] = heads.setdefault(begins, len(heads))
            if last is not None:
                apart[at] = last
        ends = (apart.get(at, name) for at, name in enumerate(names)) if apart else names
        return cls(list(heads), compact(codes), compact(rows), ImageNames.of(ends))

    def of_each_head(self) -> list[str]:
        """The first of those that begin alike: one for each file that holds images, among others.

        Paths of images in files of their own begin alike up to their ids.
        """
        codes = self.codes if self.at is None else self.codes[self.at]
        return [self[int(at)] for at in np.sort(np.unique(codes, return_index=True)[1])]

    def take(self, rows: np.ndarray | slice) -> ImagePaths:
        """Those of some images."""
        meant = rows
        if isinstance(meant, slice) or meant.dtype == bool:
            meant = np.arange(len(self), dtype=np.int32)[meant]
        return replace(self, at=meant if self.at is None else self.at[meant])

    def __len__(self) -> int:
        return len(self.codes) if self.at is None else len(self.at)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> ImagePaths: ...
    def __getitem__(self, at: int | slice) -> str | ImagePaths:
        if isinstance(at, slice):
            return self.take(at)
        place = int(at if self.at is None else self.at[at])
        row = int(self.rows[place])
        return f"{self.heads[self.codes[place]]}{self.names[place] if row < 0 else row}"


def _parts(path: str, name: str) -> tuple[str, int, str | None]:
    """How a path begins, the row that it ends with (-1), its end where that is not the name."""
    held = part_in_manifest(path)
    if held is not None:
        return *held, None
    member = part_in_tar(path)
    if member is not None:
        return member[0], -1, member[1]
    if name and path.endswith(name):
        return path[: -len(name)], -1, None
    return "", -1, path
