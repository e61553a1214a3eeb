"""What was found of the images of a split: read from its shards into columns of little room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.data.held_rows import let_go
from auditor.data.image_digests import ImageDigests
from auditor.data.image_names import ImageNames
from auditor.data.scan import PROPERTY_NAMES, SCAN_COLUMNS
from auditor.engine.store import Store, key_of
from auditor.stats.codes import compact

_NAMES = ("error", "format", "mode")
_APART = ("thumbnail", "sha256", "pixel_sha256")
_COLUMNS = [name for name in SCAN_COLUMNS if name not in _APART]
_MEASURED = ("highest", *PROPERTY_NAMES)
_PLAIN = [n for n in _COLUMNS if n not in (*_NAMES, *_MEASURED, "image_id")]


def read_scans(paths: Sequence[Path], *, image_ids: ImageNames, store: Store) -> pd.DataFrame:
    """One row an image: `SCAN_COLUMNS` without names, thumbnails and digests, from shards' files.

    `image_ids` (n,) are the images that were swept, in order. What is measured of each lies in a
    file of `store`, of which the memory holds what was asked for; names that many images share are
    held as codes.
    """
    whole = store.path("properties-whole", key_of(_MEASURED, [path.stem for path in paths]))
    shape = len(_MEASURED), len(image_ids)
    filled = nullcontext() if store.holds(whole) else store.growing_array(whole, shape, np.float64)
    with filled as measured:
        found = _columns_of(paths, image_ids, measured)
    # As they lie, column by column: put together otherwise, they would be copied.
    numbers = store.read_array(whole).T
    frames = pd.DataFrame(found), pd.DataFrame(numbers, columns=list(_MEASURED), copy=False)
    return pd.concat(frames, axis=1)


def numbers_of(scan: pd.DataFrame) -> Iterator[np.ndarray]:
    """The columns of numbers of a scan, (n,) each, of which some lie in a file."""
    for name in scan:
        if isinstance(scan[name].dtype, np.dtype):
            yield scan[name].to_numpy()


def pixel_digests(paths: Sequence[Path]) -> ImageDigests:
    """SHA-256 of the pixels of each image, from the files of shards."""
    read = (pq.read_table(path, columns=["pixel_sha256"]).column(0) for path in paths)
    parts = [ImageDigests.of(part.to_pylist(), none="") for part in read]
    return ImageDigests.joined(parts, none="")


def _columns_of(
    paths: Sequence[Path], image_ids: ImageNames, measured: np.ndarray | None
) -> dict[str, Any]:
    """All but what is measured, which is written to (names, n) where that is given."""
    named: dict[str, list[pa.Array]] = {name: [] for name in _NAMES}
    plain: dict[str, list[np.ndarray]] = {name: [] for name in _PLAIN}
    at = 0
    for path in paths:
        part = pq.read_table(path, columns=_COLUMNS)
        rows = slice(at, at + len(part))
        at += len(part)
        assert part["image_id"].to_pylist() == image_ids[rows].tolist(), "a sweep lost rows"
        if measured is not None:
            for i, name in enumerate(_MEASURED):
                measured[i, rows] = part[name].to_numpy()
            let_go(measured)
        for name in _NAMES:
            named[name].append(part[name].combine_chunks().dictionary_encode())
        for name in _PLAIN:
            plain[name].append(_narrow(part[name].to_numpy()))
    assert at == len(image_ids), "a sweep lost rows"
    return {
        **{name: np.concatenate(parts) for name, parts in plain.items()},
        **{name: _coded(parts) for name, parts in named.items()},
    }


def _narrow(values: np.ndarray) -> np.ndarray:
    return compact(values) if values.dtype == np.int64 else values


def _coded(parts: Sequence[pa.DictionaryArray]) -> pd.Series:
    whole: pd.Series = pa.chunked_array(parts).unify_dictionaries().to_pandas()
    return whole
