"""A split's rows as text: from a manifest (CSV, Parquet) or from folders named after classes."""

from __future__ import annotations

import difflib
import hashlib
import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from auditor.errors import DataError
from auditor.spec import ColumnsSpec, DatasetSpec

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm",
                  ".pgm", ".jp2", ".avif")  # fmt: skip
"""Files of an image folder without a manifest that are taken for images."""


@dataclass(frozen=True)
class Rows:
    """Rows as read: every value str or missing. `source` names where they came from, as the
    spec has it; `images` is the folder that image names are relative to.
    """

    frame: pd.DataFrame
    source: str
    images: Path
    from_folder: bool

    def __len__(self) -> int:
        return len(self.frame)

    def digest(self, columns: Iterable[str]) -> str:
        """SHA-256 of the values of `columns`, whatever file format they came in."""
        digest = hashlib.sha256()
        for column in sorted(columns):
            values = self.frame[column].fillna("\x00").to_numpy(dtype=object)
            digest.update(f"\x1e{column}\x1e".encode())
            digest.update("\x1f".join(values).encode(errors="surrogatepass"))
        return digest.hexdigest()


def read_rows(split: str, spec: DatasetSpec, *, folder: Path, columns: ColumnsSpec) -> Rows:
    """Read the rows of a split; `folder` is the spec's.

    Raises DataError when manifest or image folder are absent, unreadable or empty.
    """
    images = folder / spec.images
    if not images.is_dir():
        raise DataError(
            f"data.{split}.images: there is no folder {spec.images!r} (beside the audit spec). "
            f"{_did_you_mean(images.name, _names_in(images.parent, folders=True))}"
            f"Give the folder that holds the images."
        )
    if spec.manifest is None:
        frame, source = _rows_of_folder(images, columns), spec.images
    else:
        frame, source = _rows_of_manifest(split, spec.manifest, folder), spec.manifest
    if frame.empty:
        raise DataError(
            f"data.{split}: {source!r} has no rows. Give a manifest with one row an image, or a "
            f"folder with one subfolder a class."
        )
    return Rows(frame=frame, source=source, images=images, from_folder=spec.manifest is None)


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
        f"{', '.join(there)}. {_did_you_mean(column, there)}Name the column under `{key}`."
    )


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    lowered = {name.strip().lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"Did you mean {lowered[close[0]]!r}? " if close else ""


def _names_in(folder: Path, *, folders: bool) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() == folders)


def _rows_of_manifest(split: str, manifest: str, folder: Path) -> pd.DataFrame:
    path = folder / manifest
    if not path.is_file():
        beside = _names_in(path.parent, folders=False)
        raise DataError(
            f"data.{split}.manifest: there is no file {manifest!r} (beside the audit spec). "
            f"{_did_you_mean(path.name, beside)}Give a CSV or Parquet file with one row an image."
        )
    try:
        return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except UnicodeDecodeError as error:
        raise DataError(
            f"data.{split}.manifest: {manifest!r} is not UTF-8 ({error.reason} at byte "
            f"{error.start}). Save it as UTF-8."
        ) from error
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (pd.errors.ParserError, OSError, ValueError) as error:
        # Libraries name the file as they opened it.
        said = str(error).replace(str(path), manifest)
        raise DataError(
            f"data.{split}.manifest: {manifest!r} cannot be read ({said}). Give a CSV with commas "
            f"and one header line, or a Parquet file."
        ) from error


def _read_csv(path: Path) -> pd.DataFrame:
    # Only nothing is missing: "None", "NA" and "null" may be names of groups.
    return pd.read_csv(
        path, dtype="str", keep_default_na=False, na_values=[""], encoding="utf-8-sig"
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    return pd.DataFrame({str(name): _as_text(frame[name]) for name in frame.columns})


def _as_text(values: pd.Series) -> pd.Series:
    """Values as a CSV would show them; whole numbers without a decimal point."""
    kept = values.dropna()
    if pd.api.types.is_float_dtype(kept.dtype) and (kept == kept.round()).all():
        kept = kept.astype("int64")
    if pd.api.types.is_datetime64_any_dtype(kept.dtype):
        text = kept.map(lambda moment: moment.isoformat())
    else:
        text = kept.astype("object").map(str)
    return text.where(text != "").reindex(values.index).astype("str")


def _rows_of_folder(images: Path, columns: ColumnsSpec) -> pd.DataFrame:
    """Images by class: the first folder on an image's path is its label."""
    names, labels = [], []
    for parent, folders, files in os.walk(images):
        folders.sort()
        inside = Path(parent).relative_to(images)
        for file in sorted(files):
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith("."):
                names.append((inside / file).as_posix())
                labels.append(inside.parts[0] if inside.parts else None)
    frame = pd.DataFrame({columns.image: pd.Series(names, dtype="str")})
    if columns.label is not None and any(label is not None for label in labels):
        frame[columns.label] = pd.Series(labels, dtype="str")
    return frame


@dataclass(frozen=True)
class Located:
    """Image names as ids (posix, below the image folder; "" where missing), and whether the
    file is there, (n,) each.
    """

    ids: np.ndarray
    there: np.ndarray


def locate(split: str, rows: Rows, *, column: str) -> Located:
    """Find the files of a column of image names.

    Raises DataError when a name leads out of the image folder, and when no file at all is there.
    """
    ids = rows.frame[column].fillna("").to_numpy(dtype=object)
    odd = rows.frame[column].str.contains(r"^/|//|(?:^|/)\.{1,2}(?:/|$)", regex=True, na=False)
    for position in np.flatnonzero(odd.to_numpy(dtype=bool)):
        ids[position] = _below(split, rows, str(ids[position]), row=int(position) + 1)
    there = _files_there(ids, rows.images)
    if not there.any():
        raise DataError(
            f"data.{split}: none of the {len(ids):,} images of {rows.source!r} is there; the first "
            f"is {ids[0]!r}, looked for below data.{split}.images. Give the folder that the names "
            f"in the column {column!r} are relative to."
        )
    return Located(ids=ids, there=there)


def _below(split: str, rows: Rows, name: str, *, row: int) -> str:
    folder = rows.images.absolute().as_posix()
    joined = posixpath.normpath(posixpath.join(folder, name))
    inside = posixpath.relpath(joined, posixpath.normpath(folder))
    if inside == ".." or inside.startswith("../"):
        raise DataError(
            f"data.{split}: row {row} of {rows.source!r} names {name!r}, which lies outside "
            f"the image folder. Only files below data.{split}.images are read: move the file, or "
            f"give a folder further up."
        )
    return inside


def _files_there(ids: np.ndarray, images: Path) -> np.ndarray:
    # One listing a folder: asking file by file costs seconds for a million images.
    parents = [name.rpartition("/")[0] for name in ids]
    files = {parent: _files_in(images / parent) for parent in set(parents)}
    there = (
        name.rpartition("/")[2] in files[parent] for name, parent in zip(ids, parents, strict=True)
    )
    return np.fromiter(there, dtype=bool, count=len(ids))


def _files_in(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()
