"""Where a manifest lies: a file or a folder of Parquet files, on this disk or elsewhere.

A folder is one table. Its files are read in the order of their names, and ``site=a4`` in a folder's
name is a column with that value in every row below it (Hive's way, which pyarrow and Spark write).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import numpy as np
import pandas as pd

from auditor.data.image_files import opened_file, path_of_object
from auditor.data.manifest_file import (
    MANIFEST_SUFFIXES,
    MOST_BYTES,
    MOST_PARQUET_BYTES,
    PARQUET_SUFFIXES,
    checked_table,
    manifest_suffix,
    read_manifest,
    text_table,
)
from auditor.data.manifest_table import ManifestTable
from auditor.data.parquet_manifest import read_parquet
from auditor.errors import DataError
from auditor.opening import shown_bytes
from auditor.remote import objects
from auditor.remote.cache import RemoteObject, cache
from auditor.remote.urls import is_url, joined

Answer = TypeVar("Answer")

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def read_manifest_at(place: str, *, named: str) -> ManifestTable:
    """Read the manifest at a path that exists, or a URL; `named` is what errors call it.

    Raises DataError for what cannot be read whole, as `read_manifest` does.
    """
    files = manifest_files(place, named=named)
    if files is not None:
        return _one_table(files, named)
    if not is_url(place):
        table, path = read_manifest(Path(place), named=named), place
    else:
        wanted = _object(place, named)
        table, path = _of_object(wanted, named), path_of_object(wanted)
    return replace(table, parts=((path, len(table.frame)),))


def manifest_files(place: str, *, named: str) -> Mapping[str, str | RemoteObject] | None:
    """The Parquet files of a folder by their names in it, in order; None for a file."""
    if not is_url(place):
        if not os.path.isdir(place):
            return None
        found: dict[str, str | RemoteObject] = {
            name: os.path.join(place, name) for name in sorted(_names_below(place))
        }
    elif place.lower().endswith(MANIFEST_SUFFIXES):
        return None
    else:
        held = _told(lambda: objects.listing(place), named)
        found = {
            name: RemoteObject.of(joined(place, name), each)
            for name, each in held.items()
            if _is_part(name)
        }
    if not found:
        raise DataError(
            f"{named} is a folder without Parquet files, or is not there. Give a file, or a folder "
            f"of files that end in {' or '.join(PARQUET_SUFFIXES)}."
        )
    return found


def _names_below(folder: str) -> Iterator[str]:
    for inside, _, names in os.walk(folder):
        below = os.path.relpath(inside, folder)
        for name in names:
            path = name if below == "." else f"{below}/{name}"
            if _is_part(path):
                yield path


def _is_part(name: str) -> bool:
    """Of hidden files and ``_SUCCESS`` and the like a dataset does not consist."""
    hidden = any(part.startswith((".", "_")) for part in name.split("/"))
    return name.lower().endswith(PARQUET_SUFFIXES) and not hidden


def _told(ask: Callable[[], Answer], named: str) -> Answer:
    """The answer; raises DataError where it may not be had."""
    try:
        return ask()
    except OSError as error:
        raise DataError(f"{named} cannot be read: {error.strerror}. See to the rights of the "
                        "credentials in the environment.") from error  # fmt: skip


def _object(url: str, named: str) -> RemoteObject:
    manifest_suffix(url, named=named)
    found = _told(lambda: objects.info(url), named)
    if found is None:
        raise DataError(f"{named} is not there (404). Correct the URL of the manifest.")
    wanted = RemoteObject.of(url, found)
    most = MOST_PARQUET_BYTES if url.lower().endswith(PARQUET_SUFFIXES) else MOST_BYTES
    if wanted.size > most:
        raise DataError(f"{named} has {shown_bytes(wanted.size)}, expected at most "
                        f"{shown_bytes(most)}. Audit a sample of its rows.")  # fmt: skip
    return wanted


def _of_object(wanted: RemoteObject, named: str) -> ManifestTable:
    suffix = manifest_suffix(wanted.url, named=named)
    try:
        if suffix not in PARQUET_SUFFIXES:
            return text_table(cache().content(wanted), suffix, named=named)
        with opened_file(wanted) as file:
            return checked_table(read_parquet(file, named=named), named=named)
    except OSError as error:
        raise DataError(f"{named} cannot be read: {error.strerror}. Put it there again.") from error


def _one_table(files: Mapping[str, str | RemoteObject], named: str) -> ManifestTable:
    tables: list[ManifestTable] = []
    for name, file in files.items():
        told = f"{named}, {name}"
        table = (
            read_manifest(Path(file), named=told)
            if isinstance(file, str)
            else _of_object(file, told)
        )
        tables.append(_with_partition(table, name, told))
        if set(tables[-1].columns) != set(tables[0].columns):
            odd = sorted(set(tables[-1].columns) ^ set(tables[0].columns))
            raise DataError(
                f"{told} and the first file of the folder differ in the column {odd[0]!r}. Write "
                "all files with the same columns."
            )
        if tables[-1].class_names != tables[0].class_names:
            raise DataError(
                f"{told} and the first file of the folder give the numbers of classes other names. "
                "Write all files with the same names, in one order."
            )
    inside = {name for table in tables for name in table.inside}
    paths = (f if isinstance(f, str) else path_of_object(f) for f in files.values())
    whole = ManifestTable(
        frame=pd.concat([t.frame for t in tables], ignore_index=True)[tables[0].columns],
        inside={name: np.concatenate([_held(t, name) for t in tables]) for name in sorted(inside)},
        several=frozenset(name for table in tables for name in table.several),
        class_names=tables[0].class_names,
        parts=tuple(zip(paths, (len(t.frame) for t in tables), strict=True)),
    )
    return checked_table(whole, named=named)


def _held(table: ManifestTable, column: str) -> np.ndarray:
    return table.inside.get(column, np.zeros(len(table.frame), dtype=bool))


def _with_partition(table: ManifestTable, name: str, told: str) -> ManifestTable:
    """With a column for each ``column=value`` among the folders of a file's name."""
    columns = dict(_partition(name.split("/")[:-1]))
    both = sorted(set(columns) & set(table.columns))
    if both:
        raise DataError(
            f"{told} has the column {both[0]!r}, which its folder's name gives as well. Keep one."
        )
    n = len(table.frame)
    added = {c: pd.Series([value] * n, dtype="str") for c, value in columns.items()}
    return replace(table, frame=table.frame.assign(**added))


def _partition(folders: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    for folder in folders:
        column, mark, value = folder.partition("=")
        if mark:
            yield unquote(column), None if value == _NO_VALUE else unquote(value)
