"""A split's rows as text: from a manifest, or from folders named after classes."""

from __future__ import annotations

import difflib
import hashlib
import os
import posixpath
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from auditor.data.image_files import path_in_manifest
from auditor.data.image_names import ImageNames
from auditor.data.image_paths import ImagePaths
from auditor.data.image_sources import ImageSource, image_source
from auditor.data.images import is_image_name
from auditor.data.manifest_places import read_manifest_at
from auditor.data.manifest_table import ManifestTable
from auditor.data.tar_shards import is_tar
from auditor.errors import DataError
from auditor.remote.urls import is_url, placed, shown_url
from auditor.spec import ColumnsSpec, DatasetSpec

_AT_ONCE = 65_536
"""Values that are put together at a time."""


class AmbiguousNameError(DataError):
    """A name of an image that several files could have."""


@dataclass(frozen=True)
class Rows:
    """Rows as read: every value of `table.frame` str or missing.

    `source` names where they came from, as the spec has it; `images` is what image names are
    relative to; `manifest` is its absolute path or URL. `numbers` are the rows' numbers in the
    manifest, from 1, (n,). `unplaced` marks rows whose split cannot be told: a column of `where` is
    empty, or differs from what it asks for in capitals or spaces alone, (n,) bool. `elsewhere` maps
    the numbers of rows that `where` does not take to what they have in its columns (its index and
    its values).
    """

    table: ManifestTable
    source: str
    images: ImageSource
    manifest: str | None
    numbers: np.ndarray
    unplaced: np.ndarray
    elsewhere: pd.Series = field(default_factory=lambda: pd.Series(dtype="str"))

    @property
    def frame(self) -> pd.DataFrame:
        return self.table.frame

    @property
    def from_folder(self) -> bool:
        return self.manifest is None

    def __len__(self) -> int:
        return len(self.frame)

    def digest(self, columns: Iterable[str]) -> str:
        """SHA-256 of the values of `columns`, whatever file format they came in."""
        digest = hashlib.sha256()
        for column in sorted(columns):
            digest.update(f"\x1e{column}\x1e".encode())
            for start in range(0, len(self), _AT_ONCE):
                part = self.frame[column].iloc[start : start + _AT_ONCE]
                values = part.fillna("\x00").to_numpy(dtype=object)
                joined = ("\x1f" if start else "") + "\x1f".join(values)
                digest.update(joined.encode(errors="surrogatepass"))
        return digest.hexdigest()

    def text(self, column: str | None) -> pd.Series:
        """The values of `column`, "" where they are missing or there is no column, (n,) str."""
        if column is None:
            return pd.Series("", index=range(len(self)), dtype="str")
        return self.frame[column].fillna("").reset_index(drop=True)


def read_rows(split: str, spec: DatasetSpec, *, folder: Path, columns: ColumnsSpec) -> Rows:
    """Read the rows of a split; `folder` is the spec's.

    Raises DataError when manifest or image folder are absent, unreadable or empty.
    """
    manifest = None if spec.manifest is None else placed(folder, spec.manifest)
    images = _images(split, spec, folder)
    if manifest is None:
        table = images.rows(columns, named=f"data.{split}.images")
    else:
        table = _rows_of_manifest(split, str(spec.manifest), manifest)
    source = str(spec.manifest or spec.images)
    if table.frame.empty:
        raise DataError(
            f"data.{split}: {source!r} has no rows. Give a manifest with one row an image, or a "
            f"folder with one subfolder a class."
        )
    whole = Rows(
        table=table,
        source=source,
        images=images,
        manifest=manifest,
        numbers=np.arange(1, len(table.frame) + 1),
        unplaced=np.zeros(len(table.frame), dtype=bool),
    )
    return _where(split, whole, spec) if spec.where else whole


def _images(split: str, spec: DatasetSpec, folder: Path) -> ImageSource:
    named = f"data.{split}.images"
    if spec.images is None:
        # A folder of Parquet files is a manifest, and its images lie in it or beside them.
        manifest = placed(folder, str(spec.manifest)).rstrip("/")
        return image_source(manifest.rpartition("/")[0], named=named)
    place = placed(folder, spec.images)
    if not (is_url(place) or is_tar(place) or os.path.isdir(place)):
        beside, name = os.path.split(place)
        raise DataError(
            f"{named}: there is no folder {spec.images!r} (beside the audit spec). "
            f"{_did_you_mean(name, _names_in(Path(beside), folders=True))}"
            f"Give the folder that holds the images."
        )
    return image_source(place, named=named)


def _where(split: str, rows: Rows, spec: DatasetSpec) -> Rows:
    """The rows that `where` takes, and those that it cannot tell about."""
    taken = np.ones(len(rows), dtype=bool)
    unsure = np.zeros(len(rows), dtype=bool)
    for column, wanted in spec.where.items():
        if column not in rows.frame:
            raise missing_column(split, rows, column, key=f"data.{split}.where")
        values = rows.frame[column]
        names = (wanted,) if isinstance(wanted, str) else wanted
        here = values.isin([name.strip() for name in names]).to_numpy(dtype=bool)
        if not here.any():
            there = sorted(set(values.dropna()))
            raise DataError(
                f"data.{split}.where: no row of {rows.source!r} has {' or '.join(names)!r} in the "
                f"column {column!r}; it holds {_some(there)}. {_did_you_mean(names[0], there)}Name "
                "a value that is there."
            )
        alike = values.map(_folded, na_action="ignore").isin([_folded(n.strip()) for n in names])
        maybe = values.isna().to_numpy(dtype=bool) | (alike.to_numpy(dtype=bool) & ~here)
        unsure |= maybe
        taken &= here | maybe
    if not (taken & ~unsure).any():
        raise DataError(
            f"data.{split}.where: no row of {rows.source!r} has all of the values that it names. "
            "Name values that some row has together."
        )
    table = rows.table
    asked = table.frame.loc[~taken, list(spec.where)].fillna("")
    others = asked.iloc[:, 0].str.cat(asked.iloc[:, 1:], sep=" / ").to_numpy()
    return Rows(
        table=replace(
            table,
            frame=table.frame[taken].reset_index(drop=True),
            inside={name: held[taken] for name, held in table.inside.items()},
        ),
        source=rows.source,
        images=rows.images,
        manifest=rows.manifest,
        numbers=rows.numbers[taken],
        unplaced=unsure[taken],
        elsewhere=pd.Series(others, index=rows.numbers[~taken], dtype="str"),
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:6]) + (", ..." if len(names) > 6 else "")


def missing_column(split: str, rows: Rows, column: str, *, key: str) -> DataError:
    """The error that a column of the spec is not in the manifest."""
    there = [str(name) for name in rows.frame.columns]
    if rows.from_folder:
        return DataError(
            f"data.{split}: {key} names the column {column!r}, but the images of {rows.source!r} "
            f"come without a manifest. Write a CSV with the columns image, label and {column}, "
            f"and name it under `data.{split}.manifest`."
        )
    return DataError(
        f"data.{split}: the manifest {rows.source!r} has no column {column!r} ({key}); it has "
        f"{', '.join(there[:30])}{', ...' if len(there) > 30 else ''}. "
        f"{_did_you_mean(column, there)}Name the column under `{key}`."
    )


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    lowered = {name.strip().lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"Did you mean {lowered[close[0]]!r}? " if close else ""


def _names_in(folder: Path, *, folders: bool) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return sorted(e.name for e in os.scandir(folder) if os.path.isdir(e.path) == folders)


def _rows_of_manifest(split: str, manifest: str, place: str) -> ManifestTable:
    if not is_url(place) and not os.path.exists(place):
        beside, name = os.path.split(place)
        raise DataError(
            f"data.{split}.manifest: there is no file {manifest!r} (beside the audit spec). "
            f"{_did_you_mean(name, _names_in(Path(beside), folders=False))}"
            "Give a CSV or Parquet file with one row an image."
        )
    return read_manifest_at(place, named=f"data.{split}.manifest: {manifest!r}")


@dataclass(frozen=True)
class Located:
    """Image names as ids (posix, below the image folder; "" where missing), whether the image
    is there, and the path that each is read by (see `auditor.data.image_files`), (n,) each.
    """

    ids: ImageNames
    there: np.ndarray
    paths: ImagePaths


def locate(split: str, rows: Rows, *, column: str) -> Located:
    """Find the images that a column names, in files or in the manifest itself.

    A name whose file is not there is that of the one file which differs in capitals, or which has
    the suffix of an image where the name has none. Raises DataError when a name leads out of the
    image folder and when no image at all is there, AmbiguousNameError when two files fit.
    """
    ids = rows.frame[column].fillna("").to_numpy(dtype=object)
    inside = rows.table.inside.get(column, np.zeros(len(ids), dtype=bool))
    odd = rows.frame[column].str.contains(
        r"^/|//|\\|(?:^|/)\.{1,2}(?:/|$)", regex=True, na=False
    ).to_numpy(dtype=bool)  # fmt: skip
    for position in np.flatnonzero(odd & ~inside):
        ids[position] = _below(split, rows, str(ids[position]), row=rows.numbers[position])
    there = _find(split, rows, ids, inside)
    if not there.any():
        raise _none_there(split, rows, ids, column)
    held = rows.table.places_of(rows.numbers[inside] - 1)
    paths = (
        path_in_manifest(*_of_column(next(held), column)) if within else rows.images.path(name)
        for within, name in zip(inside.tolist(), ids, strict=True)
    )
    names = ImageNames.of(ids)
    return Located(names, there, ImagePaths.of(paths, names=names))


def _of_column(place: tuple[str, int], column: str) -> tuple[str, str, int]:
    part, row = place
    return part, column, row


def _none_there(split: str, rows: Rows, ids: np.ndarray, column: str) -> DataError:
    first = next((str(name) for name in ids if name), "")
    if "://" in first:
        return DataError(
            f"data.{split}: {rows.source!r} names images by URL ({shown_url(first)[:80]!r}), and "
            f"nothing is fetched that the spec does not name. Give the place that they have in "
            f"common as `images` of data.{split}, or download them."
        )
    return DataError(
        f"data.{split}: none of the {len(ids):,} images of {rows.source!r} is there; the first "
        f"is {first[:80]!r}, looked for below data.{split}.images. Give the folder that the names "
        f"in the column {column!r} are relative to; links that lead out of it are not followed."
    )


def _below(split: str, rows: Rows, name: str, *, row: int) -> str:
    folder = rows.images.place
    if is_url(folder) and name.startswith(f"{folder.rstrip('/')}/"):
        name = name[len(folder.rstrip("/")) + 1 :]
    if "://" in name or ("\\" in name and os.path.isfile(os.path.join(folder, name))):
        return name
    if is_url(folder):
        folder = "/images"
    joined = posixpath.normpath(posixpath.join(folder, name.replace("\\", "/")))
    inside = posixpath.relpath(joined, posixpath.normpath(folder))
    if inside == ".." or inside.startswith("../"):
        raise DataError(
            f"data.{split}: row {row} of {rows.source!r} names {name[:80]!r}, which lies outside "
            f"the image folder. Only files below data.{split}.images are read: move the file, or "
            f"give a folder further up."
        )
    return inside


def _find(split: str, rows: Rows, ids: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Which images are there, (n,) bool; completes `ids` by the files' own names."""
    there, outside = inside.copy(), np.flatnonzero(~inside)
    files = rows.images.files(ids[outside].tolist())
    for i in outside:
        parent, _, name = ids[i].rpartition("/")
        there[i] = name in files.get(parent, ())
    absent = [i for i in np.flatnonzero(~there) if ids[i]]
    parents = {ids[i].rpartition("/")[0] for i in absent}
    alike = {parent: _alike(files[parent]) for parent in parents}
    for i in absent:
        parent, _, name = ids[i].rpartition("/")
        fitting = alike[parent].get(_folded(name), [])
        if len(fitting) > 1:
            raise AmbiguousNameError(
                f"data.{split}: row {rows.numbers[i]} of {rows.source!r} names {name[:80]!r}, and "
                f"{' and '.join(map(repr, sorted(fitting)[:3]))} are there. Write the suffix."
            )
        if fitting:
            ids[i] = f"{parent}/{fitting[0]}" if parent else fitting[0]
            there[i] = True
    return there


def _alike(files: set[str]) -> dict[str, list[str]]:
    """Files by their names, and images also by their names without suffix, without capitals."""
    named: dict[str, list[str]] = {}
    for name in files:
        named.setdefault(_folded(name), []).append(name)
        if is_image_name(name):
            stem = _folded(name.rpartition(".")[0])
            if not is_image_name(stem):
                named.setdefault(stem, []).append(name)
    return named


def _folded(name: str) -> str:
    """A name without capitals, its accents written in one way: archives of macOS part them."""
    return unicodedata.normalize("NFC", name).casefold()
