"""The sweep: every shard of every split through its passes, driven by a `Runner`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.contract import Pass
from auditor.data.annotations import ImageHeader
from auditor.data.columns import Columns
from auditor.data.dataset import Dataset
from auditor.data.donors import donor_rows
from auditor.data.image_digests import ImageDigests
from auditor.data.image_names import ImageNames
from auditor.engine.answer_files import answered
from auditor.engine.file_digests import former_digests, kept_digests
from auditor.engine.runner import Report, Runner, Threads
from auditor.engine.sampling import nested_order, sample_rows
from auditor.engine.scans import pixel_digests, read_scans
from auditor.engine.shard_files import (
    NO_DIGESTS,
    FilePaths,
    KeptRows,
    PassWork,
    ShardFiles,
    ShardTask,
    ShardTasks,
)
from auditor.engine.store import Store
from auditor.models.predictor import Predictor
from auditor.spec import AuditSpec

SHARD = 256
"""Images a shard: the unit of resuming, small enough that two threads share a small dataset."""

SPARSE = 64
"""A sample of fewer than one image in so many of its split is put together in shards of its own."""


@dataclass(frozen=True)
class SweptPass:
    """A pass whose outputs lie in the store: rows of the split, and the files shard by shard.

    `rows` (m,) are the positions in the split of the images of the pass, None: all.
    """

    sweep_pass: Pass
    rows: np.ndarray | None
    answers: FilePaths
    embeddings: FilePaths
    scores: FilePaths

    def marks(self, split: np.ndarray) -> np.ndarray:
        """What a mask over the images of the split (n,) says of those of the pass."""
        return split if self.rows is None else split[self.rows]

    def positions(self, taken: np.ndarray) -> np.ndarray:
        """The positions in the split of the images `taken` of the pass, a mask over them."""
        return np.flatnonzero(taken) if self.rows is None else self.rows[taken]

    def answered(self, task: str) -> np.ndarray:
        """Which images of the pass were answered, (n,) bool."""
        return np.concatenate([answered(task, path) for path in self.answers.there])

    def scored(self, taken: np.ndarray) -> pd.DataFrame:
        """What the rows of the images `taken` (n,) bool are made of, in their order."""
        parts, at = [], 0
        for path in self.scores.there:
            part = pq.read_table(path).drop_columns("image_id")
            parts.append(part.filter(pa.array(taken[at : at + len(part)])))
            at += len(part)
        whole = pa.concat_tables(parts, promote_options="permissive")
        del parts
        # Column by column, so that what is made of one does not hold all.
        found: pd.DataFrame = whole.to_pandas(split_blocks=True, self_destruct=True)
        return found


@dataclass(frozen=True)
class FrameFiles:
    """Where the kept frames of a split lie, shard by shard."""

    split: str
    paths: FilePaths

    def frame(self, row: int) -> np.ndarray:
        """The kept frame of a row, (h, w, 3) uint8."""
        path = self.paths[row // SHARD]
        assert path is not None, f"frames of {self.split} were not kept"
        return np.asarray(_frames_of(path, path.stat().st_ino)[row % SHARD])


@dataclass(frozen=True)
class SweptSplit:
    """A split whose images were all decoded: ids, digests, scan files, kept frames, passes.

    `former` are the digests that an earlier run had of the same images, none where there was none.
    """

    split: str
    image_ids: ImageNames
    digests: ImageDigests
    scans: FilePaths
    frames: FilePaths
    passes: tuple[SweptPass, ...]
    store: Store
    former: ImageDigests = NO_DIGESTS

    def scan(self) -> pd.DataFrame:
        """One row an image, in manifest order; without names, thumbnails and digests."""
        return self._scanned

    def scan_with_digests(self) -> pd.DataFrame:
        """The same, with digests."""
        of_pixels = pixel_digests(self.scans.there)
        return self.scan().assign(sha256=self.digests.column(), pixel_sha256=of_pixels.column())

    @cached_property
    def _scanned(self) -> pd.DataFrame:
        return read_scans(self.scans.there, image_ids=self.image_ids, store=self.store)

    def thumbnails(self, rows: np.ndarray | None = None) -> Iterator[list[bytes]]:
        """Thumbnails by shard, of all images or of some `rows` in rising order; b"" for none."""
        for i, path in enumerate(self.scans.there):
            mine = None if rows is None else rows[rows // SHARD == i] - i * SHARD
            if mine is None or len(mine):
                held = pq.read_table(path, columns=["thumbnail"]).column(0)
                yield (held if mine is None else held.take(pa.array(mine))).to_pylist()

    @property
    def kept(self) -> FrameFiles:
        """Its kept frames alone: what a worker elsewhere is sent of it."""
        return FrameFiles(self.split, self.frames)

    def frame(self, row: int) -> np.ndarray:
        """The kept frame of a row, (h, w, 3) uint8."""
        return self.kept.frame(row)


@lru_cache(maxsize=64)
def _frames_of(path: Path, inode: int) -> np.ndarray:
    """A map kept for as long as the file is the same one, by its `inode`."""
    return Store.read_array(path)


def sweep_split(
    dataset: Dataset,
    passes: Sequence[Pass],
    *,
    spec: AuditSpec,
    store: Store,
    predictors: Mapping[str, Predictor],
    keep_frames: bool,
    report: Report,
    earlier: SweptSplit | None = None,
    sound: np.ndarray | None = None,
    stage: str = "sweep",
    runner: Runner | None = None,
) -> SweptSplit:
    """Run `passes` over a split; with `earlier`, passes may use its frames and readable images.

    Samples are drawn among the `sound` images (n,) bool, None: among all. `runner` drives the
    shards, None: threads of this process.
    """
    order = nested_order(dataset, seed=spec.audit.seed)
    takes = [sample_rows(order, p.sample, sound=sound) for p in passes]
    donors = _donors(dataset, passes, spec, earlier)
    former = former_digests(dataset, store) if earlier is None else earlier.former
    shards = _shards(len(dataset), takes, kept=earlier is not None and keep_frames)

    def task(shard: _Shard) -> ShardTask:
        return _task(
            dataset, shard, passes, takes, donors, spec=spec, keep_frames=keep_frames,
            earlier=earlier, former=former,
        )  # fmt: skip

    files = _run_all(shards, task, runner or Threads(), store=store, predictors=predictors,
                     earlier=earlier, report=report, stage=f"{stage} {dataset.split}")  # fmt: skip
    whole = [f for f, shard in zip(files, shards, strict=True) if not shard.sparse]
    if earlier is None:
        digests = kept_digests([f.digests for f in whole], dataset, store, former=former)
    else:
        digests = earlier.digests
    return SweptSplit(
        split=dataset.split,
        image_ids=dataset.image_ids,
        digests=digests,
        scans=FilePaths.of(f.scan for f in whole),
        frames=FilePaths.of(f.frames for f in whole),
        passes=tuple(
            _swept(p, takes[i], _files_of(i, files, shards)) for i, p in enumerate(passes)
        ),
        store=store,
        former=former,
    )


def _swept(
    sweep_pass: Pass, rows: np.ndarray, found: Sequence[tuple[ShardFiles, int]]
) -> SweptPass:
    return SweptPass(
        sweep_pass=sweep_pass,
        rows=None if sweep_pass.sample is None else rows,
        answers=FilePaths.of(f.answers[at] for f, at in found),
        embeddings=FilePaths.of(f.embeddings[at] for f, at in found),
        scores=FilePaths.of(f.scores[at] for f, at in found),
    )


class _Tasks(ShardTasks):
    """The tasks of shards, each made when it is asked for: all at once would fill the memory."""

    def __init__(self, shards: Sequence[_Shard], task: Callable[[_Shard], ShardTask]) -> None:
        self._shards, self._task = shards, task
        self.sizes = tuple(len(shard.rows) for shard in shards)

    def __getitem__(self, at: int) -> ShardTask:
        return self._task(self._shards[at])


def _run_all(
    shards: Sequence[_Shard],
    task: Callable[[_Shard], ShardTask],
    runner: Runner,
    *,
    store: Store,
    predictors: Mapping[str, Predictor],
    earlier: SweptSplit | None,
    report: Report,
    stage: str,
) -> list[ShardFiles]:
    """All shards' files, in their order; runs that share a store begin apart."""
    first = store.first_of(len(shards))
    files = runner.run(
        _Tasks([*shards[first:], *shards[:first]], task), store=store, predictors=predictors,
        kept=None if earlier is None else earlier.kept, report=report, stage=stage,
    )  # fmt: skip
    return [*files[len(shards) - first :], *files[: len(shards) - first]]


@dataclass(frozen=True)
class _Shard:
    """Rows of a split, in rising order, and which passes take any of them.

    A `sparse` one holds the rows of a sample, wherever they lie: their frames are kept already.
    """

    rows: np.ndarray
    passes: tuple[int, ...]
    sparse: bool = False


def _shards(n: int, takes: Sequence[np.ndarray], *, kept: bool) -> list[_Shard]:
    """All rows in shards, each with the passes that take any; with `kept` frames sparse ones too.

    A small sample of a large split has a few images in each of many shards: put together they
    are fewer files, and whole batches.
    """
    apart = {i for i, take in enumerate(takes) if kept and 0 < len(take) * SPARSE < n}
    found = []
    for start in range(0, n, SHARD):
        # As samples hold them: of another kind a whole sample would be converted for each shard.
        rows = np.arange(start, min(start + SHARD, n), dtype=np.int32)
        own = (i for i, take in enumerate(takes) if i not in apart and len(_within(take, rows)))
        found.append(_Shard(rows, tuple(own)))
    alike: dict[bytes, list[int]] = {}
    for i in sorted(apart):
        alike.setdefault(takes[i].tobytes(), []).append(i)
    for group in alike.values():
        take = takes[group[0]]
        parts = (take[at : at + SHARD] for at in range(0, len(take), SHARD))
        found += [_Shard(part, tuple(group), sparse=True) for part in parts]
    return found


def _within(take: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Those of the rows taken, in rising order, that lie between a shard's first and last."""
    start, stop = np.searchsorted(take, [rows[0], rows[-1] + 1])
    return take[start:stop]


def _files_of(
    which: int, files: Sequence[ShardFiles], shards: Sequence[_Shard]
) -> list[tuple[ShardFiles, int]]:
    """The shards that hold anything of a pass, and which of their passes it is."""
    return [
        (f, shard.passes.index(which))
        for f, shard in zip(files, shards, strict=True)
        if which in shard.passes
    ]


def _donors(
    dataset: Dataset, passes: Sequence[Pass], spec: AuditSpec, earlier: SweptSplit | None
) -> list[np.ndarray | None]:
    """For each pass the row of each image's donor (n,); None without one, or without frames."""
    kinds = [p.view.donor for p in passes]
    if earlier is None:
        return [None] * len(kinds)
    usable = earlier.scan()["readable"].to_numpy(dtype=bool)
    rows = {
        kind: donor_rows(dataset, kind, usable=usable, seed=spec.audit.seed)
        for kind in set(kinds)
        if kind is not None
    }
    return [None if kind is None else rows[kind] for kind in kinds]


def _task(
    dataset: Dataset,
    shard: _Shard,
    passes: Sequence[Pass],
    takes: Sequence[np.ndarray],
    donors: Sequence[np.ndarray | None],
    *,
    spec: AuditSpec,
    keep_frames: bool,
    earlier: SweptSplit | None,
    former: ImageDigests,
) -> ShardTask:
    rows = shard.rows
    work = []
    for i in shard.passes:
        sweep_pass, donated = passes[i], donors[i]
        mine = _within(takes[i], rows)
        from_whom = None if donated is None else donated[mine]
        work.append(
            PassWork(
                view=sweep_pass.view,
                variant=sweep_pass.variant,
                input=sweep_pass.input or spec.input_of(sweep_pass.variant),
                places=np.searchsorted(rows, mine),
                embedding=sweep_pass.embedding,
                output=sweep_pass.output,
                donors=from_whom,
                donor_digests=_digests_of(
                    from_whom, NO_DIGESTS if earlier is None else earlier.digests
                ),
                former_donor_digests=_digests_of(from_whom, former),
            )
        )
    return ShardTask(
        split=dataset.split,
        image_ids=tuple(dataset.image_ids[rows]),
        paths=tuple(dataset.paths.take(rows)),
        truth=_truth(dataset, rows),
        headers=_headers(dataset.table.take(rows)),
        passes=tuple(work),
        frame_input=spec.model.input,
        keep_frames=keep_frames and not shard.sparse,
        seed=spec.audit.seed,
        max_pixels=spec.data.limits.max_pixels,
        dicom=spec.data.dicom,
        model=spec.model,
        classes=dataset.classes,
        digests=NO_DIGESTS if earlier is None else earlier.digests.take(rows),
        former=former.take(rows) if former and not shard.sparse else NO_DIGESTS,
        kept=_kept(rows, earlier) if shard.sparse and earlier is not None else None,
    )


def _kept(rows: np.ndarray, earlier: SweptSplit) -> KeptRows:
    readable = earlier.scan()["readable"].to_numpy(dtype=bool)[rows]
    return KeptRows(tuple(rows.tolist()), tuple(readable.tolist()))


def _truth(dataset: Dataset, rows: np.ndarray) -> Any:
    if "width" not in dataset.table:
        return dataset.table.take(rows)["label"].to_numpy(dtype=np.int64)
    return None if dataset.truth is None else dataset.truth.take(rows)


def _headers(part: Columns) -> tuple[ImageHeader, ...]:
    if "width" not in part:
        return ()
    columns = (part[name].tolist() for name in ("width", "height", "orientation"))
    return tuple(ImageHeader((w, h), o) for w, h, o in zip(*columns, strict=True))


def _digests_of(rows: np.ndarray | None, digests: ImageDigests) -> tuple[str, ...]:
    if rows is None or not digests:
        return ()
    return tuple(digests[row] if row >= 0 else "" for row in rows)
