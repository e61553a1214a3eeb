"""A Parquet manifest as columns of text; images that it holds are seen, and left where they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor.data.manifest_table import MOST_ROWS, ManifestTable, value_text
from auditor.errors import DataError

MOST_GROUP_BYTES = 1_000_000_000
"""Bytes of images that a row group may hold: one is in memory at a time in each thread."""

MOST_TEXT_BYTES = 1_000_000_000
"""Bytes of text that the columns of a manifest may hold together, written out."""

_BATCH = 256


def read_parquet(path: Path | BinaryIO, *, named: str) -> ManifestTable:
    """Read a Parquet file; raises DataError where that cannot be done."""
    try:
        with pq.ParquetFile(path) as file:
            _refuse_much_text(path, file, named)
            return _read(file, named)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        # Libraries name the file as they opened it, and may go on to print what it holds.
        said = str(error).partition("\n")[0][:200]
        said = said.replace(str(path), path.name) if isinstance(path, Path) else said
        raise DataError(
            f"{named} cannot be read ({said}). Give a Parquet file with one row an image, or a CSV."
        ) from error


def _read(file: pq.ParquetFile, named: str) -> ManifestTable:
    if file.metadata.num_rows > MOST_ROWS:
        raise DataError(
            f"{named} has {file.metadata.num_rows:,} rows; a manifest has at most {MOST_ROWS:,}. "
            "Audit a sample of them."
        )
    schema = file.schema_arrow
    images = [each.name for each in schema if _bytes_of(each.type) is not None]
    texts = [each.name for each in schema if each.name not in images]
    if len({name.strip() for name in schema.names}) < len(schema.names):
        raise DataError(f"{named} has two columns of one name. Give each a name of its own.")
    table = file.read(columns=texts).to_pandas()
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    frame = {str(name).strip(): _as_text(table[name]) for name in table.columns}
    inside = {}
    for name in images:
        _refuse_large_groups(file, name, named)
        inside[name], frame[name] = _held(file, name)
    return ManifestTable(
        frame=pd.DataFrame(frame),
        inside=inside,
        several=frozenset(str(n).strip() for n in table.columns if _has_several(table[n])),
        class_names=_class_names(schema),
    )


def _bytes_of(kind: pa.DataType) -> str | None:
    """Where a column holds bytes: "" for itself, a field's name for a struct, None for nowhere."""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return ""
    if pa.types.is_struct(kind) and "bytes" in kind.names:
        return "bytes" if _bytes_of(kind.field("bytes").type) == "" else None
    return None


def held_bytes(column: pa.Array) -> pa.Array:
    """The bytes that a column of images holds, null where there are none."""
    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


def _held(file: pq.ParquetFile, name: str) -> tuple[np.ndarray, pd.Series]:
    """Which rows hold bytes, (n,) bool, and the images' names."""
    held: list[np.ndarray] = []
    paths: list[str | None] = []
    for batch in file.iter_batches(batch_size=_BATCH, columns=[name]):
        column = batch.column(0)
        held.append(pc.greater(pc.fill_null(pc.binary_length(held_bytes(column)), 0), 0).to_numpy(
            zero_copy_only=False))  # fmt: skip
        named = pa.types.is_struct(column.type) and "path" in column.type.names
        paths += pc.struct_field(column, "path").to_pylist() if named else [None] * len(column)
    mask = np.concatenate(held) if held else np.zeros(0, dtype=bool)
    return mask, _names(mask, paths)


def _names(held: np.ndarray, paths: list[str | None]) -> pd.Series:
    """The stated paths where they tell the held images apart, else ``row-N``."""
    plain = [_plain(path) if holds else path for holds, path in zip(held, paths, strict=True)]
    stated = [name for holds, name in zip(held, plain, strict=True) if holds]
    if not all(stated) or len(set(stated)) < len(stated):
        plain = [f"row-{i + 1}" if holds else plain[i] for i, holds in enumerate(held)]
    return pd.Series(plain, dtype="str")


def _plain(path: str | None) -> str | None:
    """A path without the folders of the machine that it was made on."""
    found = PurePosixPath((path or "").replace("\\", "/"))
    outside = found.is_absolute() or ".." in found.parts or ":" in str(found)
    return (found.name if outside else str(found)) if path else None


def _refuse_large_groups(file: pq.ParquetFile, name: str, named: str) -> None:
    for at in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(at)
        chunks = [group.column(i) for i in range(group.num_columns)]
        size = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.partition(".")[0] == name
        )
        if size > MOST_GROUP_BYTES:
            raise DataError(
                f"{named} holds {size:,} bytes of images in one row group; at most "
                f"{MOST_GROUP_BYTES:,} are read at a time. Write it with smaller row groups, as "
                "`table.to_parquet(path, row_group_size=100)`."
            )


def _refuse_much_text(path: Path | BinaryIO, file: pq.ParquetFile, named: str) -> None:
    """Count what columns of text come to, before any is written out.

    A text that is stored once and named by a million rows takes no room in the file. It is counted
    where so much could come of it, and read as it is stored for that.
    """
    texts = [e.name for e in file.schema_arrow if _is_text(e.type)]
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    most = sum(group.num_rows * group.total_byte_size for group in groups)
    if not texts or most <= MOST_TEXT_BYTES or file.metadata.num_rows > MOST_ROWS:
        return
    stored, total = pq.ParquetFile(path, read_dictionary=texts), 0
    for at in range(len(groups)):
        columns = stored.read_row_group(at, columns=texts).columns
        for chunk in (chunk for column in columns for chunk in column.chunks):
            lengths = pc.binary_length(chunk.dictionary)
            total += pc.sum(pc.cast(pc.take(lengths, chunk.indices), pa.int64())).as_py() or 0
    if isinstance(path, Path):
        stored.close()
    if total > MOST_TEXT_BYTES:
        raise DataError(
            f"{named} holds {total:,} bytes of text; a manifest holds at most {MOST_TEXT_BYTES:,}. "
            "Leave out columns that the audit spec does not name."
        )


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _as_text(values: pd.Series) -> pd.Series:
    """Values as a CSV would show them; whole numbers without a decimal point."""
    kept = values.dropna()
    if pd.api.types.is_float_dtype(kept.dtype) and (kept == kept.round()).all():
        kept = kept.astype("int64") if (kept.abs() < 2**53).all() else kept
    if pd.api.types.is_datetime64_any_dtype(kept.dtype):
        text = kept.map(lambda moment: moment.isoformat())
    else:
        text = kept.astype("object").map(value_text)
    return text.reindex(values.index).astype("str")


def _has_several(values: pd.Series) -> bool:
    if values.dtype != object:
        return False
    return any(isinstance(v, np.ndarray | list) and len(v) > 1 for v in values)


def _class_names(schema: pa.Schema) -> Mapping[str, tuple[str, ...]]:
    """Names of classes that Hugging Face's `datasets` writes beside the columns."""
    try:
        stated = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: tuple(map(str, each["names"])) for name, each in stated.items()
                 if isinstance(each, dict) and "names" in each}  # fmt: skip
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return found
