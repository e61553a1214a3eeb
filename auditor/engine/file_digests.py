"""Digests of a split's files: as the last run into a store had them, and as this one has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auditor.data.dataset import Dataset
from auditor.data.held_rows import let_go
from auditor.data.image_digests import ImageDigests
from auditor.data.image_files import UNREADABLE
from auditor.engine.shard_files import NO_DIGESTS
from auditor.engine.store import Store, key_of


def former_digests(dataset: Dataset, store: Store) -> ImageDigests:
    """Digests of a split's images as the last run into this store had them, or none."""
    path = _file_of(dataset, store)
    return _read(path, store) if store.holds(path) else NO_DIGESTS


def kept_digests(
    parts: Sequence[ImageDigests], dataset: Dataset, store: Store, *, former: ImageDigests
) -> ImageDigests:
    """Digests of a split, from those of its shards, kept for the next run to find.

    They are read from their file when they are asked for. `former` are those of the last run.
    """
    digests = ImageDigests.joined(parts, none=UNREADABLE)
    path = _file_of(dataset, store)
    if digests != former:
        store.write_array(path, digests.held)
    # Where another run has put its own there since, they are held in the memory.
    kept = _read(path, store)
    same = kept == digests
    for one in (kept, former):
        let_go(one.held)
    return kept if same else digests


def _file_of(dataset: Dataset, store: Store) -> Path:
    return store.path("digests", key_of(dataset.split, dataset.image_ids.digest()))


def _read(path: Path, store: Store) -> ImageDigests:
    return ImageDigests(store.read_array(path), none=UNREADABLE)
