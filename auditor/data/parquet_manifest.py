"""A Parquet manifest as columns of text; images that it holds are seen, and left where they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
_AT_ONCE = 65_536
"""Texts that are made at a time."""


def read_parquet(path: Path | BinaryIO, *, named: str) -> ManifestTable:
    """Read a Parquet file; raises DataError where that cannot be done."""
    try:
        with pq.ParquetFile(path) as file:
            _refuse_many_rows(file, named)
            # As it is stored: a value that a million rows name is held once.
            with pq.ParquetFile(path, read_dictionary=_stored_once(file)) as stored:
                return _read(file, stored, named)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        # Libraries name the file as they opened it, and may go on to print what it holds.
        said = str(error).partition("\n")[0][:200]
        said = said.replace(str(path), path.name) if isinstance(path, Path) else said
        raise DataError(
            f"{named} cannot be read ({said}). Give a Parquet file with one row an image, or a CSV."
        ) from error


def _refuse_many_rows(file: pq.ParquetFile, named: str) -> None:
    if file.metadata.num_rows > MOST_ROWS:
        raise DataError(
            f"{named} has {file.metadata.num_rows:,} rows; a manifest has at most {MOST_ROWS:,}. "
            "Audit a sample of them."
        )


def _read(file: pq.ParquetFile, stored: pq.ParquetFile, named: str) -> ManifestTable:
    schema = file.schema_arrow
    images = [each.name for each in schema if _bytes_of(each.type) is not None]
    texts = [each.name for each in schema if each.name not in images]
    if len({name.strip() for name in schema.names}) < len(schema.names):
        raise DataError(f"{named} has two columns of one name. Give each a name of its own.")
    _refuse_much_text(file, stored, texts, named)
    table = file.read(columns=texts).to_pandas()
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    several = frozenset(str(n).strip() for n in table.columns if _has_several(table[n]))
    # A column goes once it is text: both of all columns would be twice the memory.
    frame = {str(name).strip(): _as_text(table.pop(name)) for name in list(table.columns)}
    inside = {}
    for name in images:
        _refuse_large_groups(file, name, named)
        inside[name], frame[name] = _held(stored, name, named)
    return ManifestTable(
        frame=pd.DataFrame(frame),
        inside=inside,
        several=several,
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


def _held(stored: pq.ParquetFile, name: str, named: str) -> tuple[np.ndarray, pd.Series]:
    """Which rows hold bytes, (n,) bool, and the images' names."""
    held, names = [np.zeros(0, dtype=bool)], [pa.array([], pa.large_string())]
    written = 0
    for at in range(stored.num_row_groups):
        size = 0
        for batch in stored.iter_batches(batch_size=_BATCH, row_groups=[at], columns=[name]):
            column = batch.column(0)
            size += _text_bytes(column)
            _refuse_large_group(size, named)
            lengths = _lengths(held_bytes(column))
            held.append(pc.greater(lengths, 0).to_numpy(zero_copy_only=False))
            stated = _stated_paths(column)
            written += 0 if stated is None else pc.sum(_lengths(stated)).as_py() or 0
            _refuse_text(written, named)
            names.append(_plain_names(stated, held[-1]))
    mask = np.concatenate(held)
    return mask, _names(mask, pa.chunked_array(names))


def _stated_paths(column: pa.Array) -> pa.Array | None:
    named = pa.types.is_struct(column.type) and "path" in column.type.names
    return pc.struct_field(column, "path") if named else None


def _lengths(values: pa.Array) -> pa.Array:
    """Bytes of each text or image, 0 where there is none."""
    if pa.types.is_null(values.type):
        return pa.array(np.zeros(len(values), dtype=np.int64))
    if pa.types.is_dictionary(values.type):
        found = pc.take(pc.binary_length(values.dictionary), values.indices)
    else:
        found = pc.binary_length(values)
    return pc.fill_null(pc.cast(found, pa.int64()), 0)


def _plain_names(stated: pa.Array | None, held: np.ndarray) -> pa.Array:
    """Names of some images as text, null where none is stated; those of `held` ones are plain."""
    if stated is None:
        return pa.nulls(len(held), pa.large_string())
    told = zip(stated.to_pylist(), held.tolist(), strict=True)
    return pa.array([_plain(path) if holds else path for path, holds in told], pa.large_string())


def _names(held: np.ndarray, plain: pa.ChunkedArray) -> pd.Series:
    """The stated paths where they tell the held images apart, else ``row-N``."""
    stated = plain.filter(pa.array(held))
    known = pc.count_distinct(stated, mode="only_valid").as_py()
    if known < len(stated) or pc.any(pc.equal(stated, "")).as_py():
        rows = pa.array([f"row-{i + 1}" for i in range(len(held))], pa.large_string())
        plain = pc.if_else(pa.array(held), rows, plain)
    return pd.Series(plain, dtype="str")


def _plain(path: str | None) -> str | None:
    """A path without the folders of the machine that it was made on."""
    found = PurePosixPath((path or "").replace("\\", "/"))
    outside = found.is_absolute() or ".." in found.parts or ":" in str(found)
    return (found.name if outside else str(found)) if path else None


def _refuse_large_groups(file: pq.ParquetFile, name: str, named: str) -> None:
    """By what is stored, before any of it is read."""
    for chunks in _chunks(file, [name]):
        stored = sum(chunk.total_uncompressed_size for _, chunk in chunks)
        _refuse_large_group(max(stored, _least_text(chunks)), named)
        _refuse_shared_beginnings(chunks, named, at_most=MOST_GROUP_BYTES)


def _refuse_large_group(size: int, named: str) -> None:
    if size > MOST_GROUP_BYTES:
        raise DataError(
            f"{named} holds {size:,} bytes of images or more in one row group; at most "
            f"{MOST_GROUP_BYTES:,} are read at a time. Write it with smaller row groups, as "
            "`table.to_parquet(path, row_group_size=100)`."
        )


def _refuse_text(size: int, named: str) -> None:
    if size > MOST_TEXT_BYTES:
        raise DataError(
            f"{named} holds {size:,} bytes of text or more; a manifest holds at most "
            f"{MOST_TEXT_BYTES:,}. Leave out columns that the audit spec does not name."
        )


def _refuse_much_text(
    file: pq.ParquetFile, stored: pq.ParquetFile, names: list[str], named: str
) -> None:
    """Count what columns come to as text, before any is written out.

    A text that is stored once and named by a million rows, or a list of a million zeros, takes no
    room in the file. Texts are counted where so much could come of them.
    """
    chunks = [each for group in _chunks(file, names) for each in group]
    total = _least_text(chunks)
    _refuse_text(total, named)
    if total + _most_text(chunks) <= MOST_TEXT_BYTES:
        return
    _refuse_shared_beginnings(chunks, named, at_most=MOST_TEXT_BYTES)
    for at in range(stored.num_row_groups):
        for column in stored.read_row_group(at, columns=names).columns:
            total += sum(_text_bytes(chunk) for chunk in column.chunks)
            _refuse_text(total, named)


def _least_text(chunks: _Chunks) -> int:
    """Bytes that values without text come to at least."""
    return sum(
        chunk.num_values * max(leaf.length or 0, 8 if leaf.max_repetition_level else 1)
        for leaf, chunk in chunks
        if not _is_bytes(leaf)
    )


def _most_text(chunks: _Chunks) -> int:
    """Bytes that texts come to at most, if each were all that is stored."""
    stored = ((chunk.num_values, chunk.total_uncompressed_size) for leaf, chunk in chunks
              if _is_bytes(leaf))  # fmt: skip
    return sum(values * size for values, size in stored)


def _refuse_shared_beginnings(chunks: _Chunks, named: str, *, at_most: int) -> None:
    """Values stored by what they share with the one before cannot be counted without them."""
    shared = [each for each in chunks if "DELTA_BYTE_ARRAY" in each[1].encodings]
    if _most_text(shared) > at_most:
        raise DataError(
            f"{named} stores {shared[0][0].path!r} as DELTA_BYTE_ARRAY, of which more than "
            f"{at_most:,} bytes can come. Write it with `column_encoding` PLAIN, or without."
        )


def _text_bytes(values: pa.Array) -> int:
    """Bytes of texts and images in an array, however deep in lists and structs."""
    if isinstance(values, pa.ExtensionArray):
        return _text_bytes(values.storage)
    kind = values.type
    if pa.types.is_struct(kind):
        return sum(map(_text_bytes, values.flatten()))
    if pa.types.is_map(kind):
        return _text_bytes(values.keys) + _text_bytes(values.items)
    if pa.types.is_nested(kind):
        return _text_bytes(values.flatten())
    held = kind.value_type if pa.types.is_dictionary(kind) else kind
    if _is_text(held) or _bytes_of(held) == "":
        return pc.sum(_lengths(values)).as_py() or 0
    return 0


_Chunks = list[tuple[pq.ColumnSchema, pq.ColumnChunkMetaData]]


def _chunks(file: pq.ParquetFile, names: list[str]) -> Iterator[_Chunks]:
    """For each row group what is stored of the columns named, with the leaf that it is of."""
    leaves = [file.schema.column(i) for i in range(file.metadata.num_columns)]
    asked = [i for i, leaf in enumerate(leaves) if _column_of(leaf, names)]
    for at in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(at)
        yield [(leaves[i], group.column(i)) for i in asked]


def _column_of(leaf: pq.ColumnSchema, names: list[str]) -> bool:
    """Whether a leaf lies in one of the columns; their names may hold dots."""
    return any(leaf.path == name or leaf.path.startswith(f"{name}.") for name in names)


def _stored_once(file: pq.ParquetFile) -> list[str]:
    """Paths of the leaves of bytes that have a dictionary."""
    chunks = (each for group in _chunks(file, file.schema_arrow.names) for each in group)
    return list(dict.fromkeys(
        leaf.path for leaf, chunk in chunks if _is_bytes(leaf) and chunk.has_dictionary_page
    ))  # fmt: skip


def _is_bytes(leaf: pq.ColumnSchema) -> bool:
    return bool(leaf.physical_type == "BYTE_ARRAY")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _as_text(values: pd.Series) -> pd.Series:
    """Values as a CSV would show them; whole numbers without a decimal point."""
    if isinstance(values.dtype, pd.StringDtype):
        codes, seen = pd.factorize(values)
        # Some at a time: a million strings of Python's own would leave holes in the memory.
        parts = [
            pd.Series(list(map(value_text, seen[at : at + _AT_ONCE])), dtype="str")
            for at in range(0, len(seen), _AT_ONCE)
        ]
        names = pd.concat(parts, ignore_index=True) if parts else pd.Series(dtype="str")
        return names.reindex(codes).reset_index(drop=True)
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
