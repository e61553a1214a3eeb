"""In which column, and below which folder, a manifest's images are named; for `auditor init`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from auditor.data.column_guesses import NONE_GIVEN, GivenColumns
from auditor.data.image_sources import Folder
from auditor.data.manifest_table import ManifestTable
from auditor.data.rows import AmbiguousNameError, Rows, locate
from auditor.errors import DataError

_SAMPLE = 500
"""Names of a manifest that are looked for when its image folder is."""


@dataclass(frozen=True)
class Given:
    """What the user says of the data: the image folder of a manifest, and the columns."""

    images: Path | None = None
    columns: GivenColumns = NONE_GIVEN


NOTHING_GIVEN = Given()


@dataclass(frozen=True)
class Placed:
    """A column whose images were found, and the folder: None for the manifest itself."""

    column: str
    folder: Path | None


def placed_images(
    path: Path, table: ManifestTable, candidates: tuple[str, ...], given: Given
) -> Placed | None:
    """The first column whose images are found; raises DataError for names that cannot be."""
    named = given.columns.image
    for column in [named] if named else dict.fromkeys([*candidates, *table.columns]):
        if column in table.inside and table.inside[column].any():
            return Placed(column, None)
        several = column in candidates or table.frame[column].nunique() > len(table.frame) / 2
        several = several or column == named
        for folder in _folders(path, table.frame[column], given.images) if several else ():
            if os.path.isdir(folder) and _holds(path, table, column, folder):
                return Placed(column, folder)
    return None


def _folders(manifest: Path, names: pd.Series, images: Path | None) -> list[Path]:
    """Folders that a manifest's images usually lie in."""
    if images is not None:
        return [images]
    beside = manifest.parent
    found = [beside, *(beside / name for name in ("images", "image", "imgs", "img", "photos"))]
    found += [beside / f"{manifest.stem}_images", beside / manifest.stem]
    found += [beside.parent, beside.parent / "images"]
    absolute = [name for name in names.dropna().head(_SAMPLE) if name.startswith("/")]
    if absolute:
        found.append(Path(os.path.commonpath([os.path.dirname(name) for name in absolute])))
    return found


def _holds(path: Path, table: ManifestTable, column: str, folder: Path) -> bool:
    """Whether a folder holds any of a column's images."""
    given = np.flatnonzero(table.frame[column].notna().to_numpy(dtype=bool))
    rows = given[:: max(1, len(given) // _SAMPLE)]
    part = ManifestTable(table.frame.iloc[rows].reset_index(drop=True))
    some = Rows(
        part, path.name, Folder(folder), str(path), rows + 1, np.zeros(len(rows), dtype=bool)
    )
    try:
        return bool(len(rows)) and bool(locate("test", some, column=column).there.any())
    except AmbiguousNameError:
        raise
    except DataError:
        # Another folder may fit.
        return False
