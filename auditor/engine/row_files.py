"""Scored rows of a run, kept so that a later audit can be compared with it image by image.

One file for each split and kind of row, beside what the sweep computed: which images, what bytes,
which units and groups, what is true of each row and what the model answered. Named by what the
record was made from, so that it finds its own rows and no other's. Groups of special categories of
personal data are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from auditor.contract import Pass
from auditor.data.columns import Columns
from auditor.data.dataset import Attribute, Dataset
from auditor.data.image_names import ImageNames
from auditor.engine.gathered import Gathered
from auditor.engine.store import Store, key_of
from auditor.findings import RowKind
from auditor.record import AuditRecord
from auditor.scoring.presence import OneHot, Placed, Presence, Several
from auditor.scoring.rows import Amount, Rows

ROWS_VERSION = 1
_AT_ONCE = 1 << 14
"""Rows that are written at a time: of all of a million their digests alone are 64 MB."""

_ATTRS = b"PANDAS_ATTRS"
"""Where pandas keeps, and looks for, the `attrs` of a frame in a Parquet file."""

_KINDS: tuple[RowKind, ...] = ("image", "object", "answer")
_PRESENCE: Mapping[str, type[OneHot]] = {"one-hot": OneHot, "placed": Placed}


@dataclass(frozen=True)
class RunRows:
    """Rows of known truth of one split, of one kind; `digests` (n,) are of each row's image."""

    rows: Rows
    digests: np.ndarray


KeptRows = Mapping[tuple[str, RowKind], RunRows]
"""Rows of a run by split and kind."""


def write_rows(record: AuditRecord, gathered: Gathered) -> None:
    """Keep the rows that checks were handed: sound images, as they are, of the model as given."""
    for (one, part, of), rows in gathered.scored.items():
        if one == Pass(one.split) and part == "sound" and of != "answer" and rows.known.any():
            path = _path(gathered.store, record, one.split, of)
            if not gathered.store.holds(path):
                with gathered.store.writing(path) as temporary:
                    _write(temporary, _frames(rows.with_truth, gathered))


def read_rows(record: AuditRecord, folder: Path) -> KeptRows:
    """The rows of a record by split and kind, from the store in its folder; those that are whole.

    Empty where the folder has no store, or that of other runs alone.
    """
    store = Store(folder / "store")
    found: dict[tuple[str, RowKind], RunRows] = {}
    for dataset in record.datasets:
        for of in _KINDS:
            path = _path(store, record, dataset.split, of)
            if store.holds(path):
                found[dataset.split, of] = _rows(pd.read_parquet(path), dataset.split, of)
    return found


def _path(store: Store, record: AuditRecord, split: str, of: RowKind) -> Path:
    come_from = record.provenance
    key = key_of("rows", ROWS_VERSION, come_from.auditor_version, dict(come_from.inputs),
                 record.spec.digest, split, of)  # fmt: skip
    return store.path("rows", key, ".parquet")


def _write(path: Path, frames: Iterable[pd.DataFrame]) -> None:
    """Frames of the same columns as one table, one held at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    try:
        for frame in frames:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if writer is None:
                attrs = {_ATTRS: json.dumps(frame.attrs).encode()}
                schema = table.schema.with_metadata({**table.schema.metadata, **attrs})
                writer = pq.ParquetWriter(path, schema)
            writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _frames(rows: Rows, gathered: Gathered) -> Iterator[pd.DataFrame]:
    """The rows, some at a time, in their order."""
    of_split = gathered.available.datasets[rows.split]
    image = of_split.image_ids.places_of(rows.image_ids)
    numbered = rows if rows.numbers is not None else replace(rows, numbers=_numbers(image, rows.of))
    digests = gathered.splits[rows.split].digests
    for start in range(0, len(rows), _AT_ONCE):
        some = np.arange(start, min(start + _AT_ONCE, len(rows)))
        yield _frame(numbered.take(some), digests.take(image[some]))


def _frame(rows: Rows, digests: Sequence[str] | np.ndarray) -> pd.DataFrame:
    # Of special categories of personal data nothing but counts leaves the memory.
    attributes = [a for a in rows.attributes if not a.special_category]
    frame = pd.DataFrame(
        {
            "image_id": rows.image_ids.column(),
            "image_digest": pd.Series(digests, dtype="str"),
            "unit": rows.dataset.units if rows.dataset.has_units else "",
            "number": rows.numbers,
            "right": rows.right,
            **{f"attribute:{a.name}": rows.groups(a.name) for a in attributes},
            **dict(_presence_columns(rows.presence)),
            **{f"amount:{name}": amount.values for name, amount in rows.amounts.items()},
            **{f"flag:{name}": values for name, values in rows.flags.items()},
        }
    )
    frame.attrs = {
        "classes": list(rows.classes),
        "headline": rows.headline,
        "presence": _presence_kind(rows.presence),
        "has_units": rows.dataset.has_units,
        "attributes": {a.name: [a.role, list(a.groups)] for a in attributes},
        "amounts": {n: [a.better, a.unit, [str(e) for e in a.span]]
                    for n, a in rows.amounts.items()},
    }  # fmt: skip
    return frame


def _numbers(image: np.ndarray, of: RowKind) -> np.ndarray:
    """Which row of its image each is, (n,), by the image's position."""
    if of == "image":
        return np.zeros(len(image), dtype=np.int64)
    return pd.Series(image).groupby(image).cumcount().to_numpy()


def _presence_kind(presence: Presence) -> str:
    known = (name for name, kind in _PRESENCE.items() if type(presence) is kind)
    return next(known, "several")


def _presence_columns(presence: Presence) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(presence, OneHot):
        answers = presence.answers
        yield "truth", presence.truth.astype(np.int64)
        yield "answer", answers.astype(np.result_type(answers.dtype, np.int32))
    else:
        for i, label in enumerate(presence.classes):
            yield f"truth:{i}", presence.present(label)
            yield f"answer:{i}", presence.called(label)


def _rows(frame: pd.DataFrame, split: str, of: RowKind) -> RunRows:
    stated = frame.attrs
    classes = tuple(stated["classes"])
    amounts = {
        name: Amount(frame[f"amount:{name}"].to_numpy(), better, unit, (float(low), float(high)))
        for name, (better, unit, (low, high)) in stated["amounts"].items()
    }
    flags = [c.removeprefix("flag:") for c in frame.columns if c.startswith("flag:")]
    rows = Rows(
        dataset=_dataset(frame, split, classes),
        right=frame["right"].to_numpy(dtype=bool),
        known=np.ones(len(frame), dtype=bool),
        confidence=np.full(len(frame), np.nan),
        presence=_presence(frame, classes),
        amounts=amounts,
        flags={name: frame[f"flag:{name}"].to_numpy(dtype=bool) for name in flags},
        of=of,
        headline=stated["headline"],
        numbers=None if of == "image" else frame["number"].to_numpy(),
    )
    return RunRows(rows, frame["image_digest"].to_numpy(dtype=object))


def _dataset(frame: pd.DataFrame, split: str, classes: tuple[str, ...]) -> Dataset:
    stated = frame.attrs
    named = stated["attributes"].items()
    attributes = tuple(Attribute(name, role, tuple(groups)) for name, (role, groups) in named)
    return Dataset(
        split=split,
        table=Columns.of(frame[["unit", *(f"attribute:{a.name}" for a in attributes)]]),
        image_ids=ImageNames.of(frame["image_id"].to_numpy()),
        classes=classes,
        attributes=attributes,
        digest="",
        has_labels=True,
        has_units=bool(stated["has_units"]),
    )


def _presence(frame: pd.DataFrame, classes: tuple[str, ...]) -> Presence:
    kind = _PRESENCE.get(frame.attrs["presence"])
    if kind is not None:
        return kind(classes, frame["truth"].to_numpy(), frame["answer"].to_numpy())
    truth, answers = (
        np.stack([frame[f"{side}:{i}"].to_numpy(dtype=np.int64) for i in range(len(classes))], 1)
        for side in ("truth", "answer")
    )
    return Several(classes, truth, answers)
