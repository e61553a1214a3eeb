"""What an earlier run's sweep of the same images spares where a few of them have changed.

A changed image is decoded and described alone. It is answered with the images of its batch: kernels
round by the size of a batch and the place in it, and a model may look across one (as dynamic
quantisation does), so that only the whole batch gives what a sweep from nothing gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from auditor.engine.shard_files import BATCH, PassWork, ShardFiles, ShardTask, shard_files
from auditor.engine.store import Store
from auditor.models.predictor import Predictor


class ReadabilityChangedError(Exception):
    """A changed image can be read now and could not before, or the other way round."""


@dataclass(frozen=True)
class Renewal:
    """The files of the earlier sweep, the places of changed images, who was readable (n,) bool."""

    files: ShardFiles
    changed: frozenset[int]
    readable: np.ndarray

    def answers(self, i: int, store: Store) -> Path | None:
        """The earlier answers of a pass; None where they, or their embedding, are not held."""
        embedding = self.files.embeddings[i]
        held = store.holds(self.files.answers[i])
        return self.files.answers[i] if held and (not embedding or store.holds(embedding)) else None

    def places(self, work: PassWork) -> frozenset[int]:
        """Places in the batches of a pass in which an image, or its donor, has changed."""
        places = work.places.tolist()
        donors = [0] * len(places) if work.donors is None else work.donors.tolist()
        given = zip(places, donors, strict=True)
        offered = sorted(p for p, donor in given if self.readable[p] and donor >= 0)
        digests = zip(places, work.donor_digests, work.former_donor_digests, strict=False)
        changed = self.changed | {place for place, now, was in digests if now != was}
        batches = (batch for batch in _batches(offered) if changed.intersection(batch))
        return frozenset(place for batch in batches for place in batch)

    def require_same(self, place: int, *, readable: bool) -> None:
        """Raise where an image's readability changed: all batches after it begin elsewhere."""
        if place in self.changed and readable != bool(self.readable[place]):
            raise ReadabilityChangedError


def _batches(places: list[int]) -> list[list[int]]:
    return [places[start : start + BATCH] for start in range(0, len(places), BATCH)]


def renewal_of(
    task: ShardTask, files: ShardFiles, *, store: Store, predictors: Mapping[str, Predictor]
) -> Renewal | None:
    """What is left to do of a shard; None where no earlier sweep of its images spares any."""
    if len(task.former) != len(files.digests):
        return None
    changed = frozenset(
        place
        for place, (was, now) in enumerate(zip(task.former, files.digests, strict=True))
        if was != now
    )
    passes = tuple(replace(w, donor_digests=w.former_donor_digests) for w in task.passes)
    before = replace(task, digests=task.former, passes=passes)
    earlier = shard_files(before, store=store, predictors=predictors)
    needed = [earlier.scan, *([earlier.frames] if earlier.frames is not None else [])]
    if len(changed) == len(files.digests) or not all(map(store.holds, needed)):
        return None
    readable = readable_of(earlier.scan)
    if store.holds(files.scan) and (readable_of(files.scan) != readable).any():
        return None
    return Renewal(earlier, changed, readable)


def readable_of(scan: Path) -> np.ndarray:
    """Which images of a shard could be decoded, (n,) bool."""
    found = pd.read_parquet(scan, columns=["readable"])["readable"]
    return found.to_numpy(dtype=bool)
