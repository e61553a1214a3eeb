"""The sweep: every shard of every split through its passes, driven by a pool of threads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.contract import Pass
from auditor.data.annotations import ImageHeader
from auditor.data.dataset import Dataset
from auditor.data.donors import donor_rows
from auditor.engine.answer_files import answered
from auditor.engine.sampling import sample_rows
from auditor.engine.shard import run_shard
from auditor.engine.shard_files import PassWork, ShardFiles, ShardTask
from auditor.engine.store import Store, key_of
from auditor.models.predictor import Predictor
from auditor.spec import AuditSpec

SHARD = 256
"""Images a shard: the unit of resuming, small enough that two threads share a small dataset."""


@dataclass(frozen=True)
class Progress:
    """Where a sweep stands: images done of all, and the pass or split being worked on."""

    stage: str
    done: int
    total: int


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class SweptPass:
    """A pass whose outputs lie in the store: rows of the split, and the files shard by shard."""

    sweep_pass: Pass
    rows: np.ndarray
    answers: tuple[Path, ...]
    embeddings: tuple[Path | None, ...]
    scores: tuple[Path, ...]

    def answered(self, task: str) -> np.ndarray:
        """Which images of the pass were answered, (n,) bool."""
        return np.concatenate([answered(task, path) for path in self.answers])

    def scored(self) -> pd.DataFrame:
        """What the rows of the pass are made of, one line an image, in order."""
        return pd.concat([pd.read_parquet(path) for path in self.scores], ignore_index=True)


@dataclass(frozen=True)
class SweptSplit:
    """A split whose images were all decoded: digests, scan files, kept frames, passes.

    `former` are the digests that an earlier run had of the same images, () where there was none.
    """

    split: str
    digests: tuple[str, ...]
    scans: tuple[Path, ...]
    frames: tuple[Path | None, ...]
    passes: tuple[SweptPass, ...]
    former: tuple[str, ...] = ()

    def scan(self) -> pd.DataFrame:
        """One row an image, in manifest order."""
        return pd.concat([pd.read_parquet(path) for path in self.scans], ignore_index=True)

    def frame(self, row: int) -> np.ndarray:
        """The kept frame of a row, (h, w, 3) uint8."""
        path = self.frames[row // SHARD]
        assert path is not None, f"frames of {self.split} were not kept"
        return np.asarray(_frames_of(path, path.stat().st_ino)[row % SHARD])


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
) -> SweptSplit:
    """Run `passes` over a split; with `earlier`, passes may use its frames and readable images.

    Samples are drawn among the `sound` images (n,) bool, None: among all.
    """
    takes = [sample_rows(dataset, p.sample, seed=spec.audit.seed, sound=sound) for p in passes]
    donors = [_donors(dataset, p, spec, earlier) for p in passes]
    former = _former_digests(dataset, store) if earlier is None else earlier.former
    starts = range(0, len(dataset), SHARD)
    shards = [range(start, min(start + SHARD, len(dataset))) for start in starts]
    # A pass over a sample has nothing in many shards of a large split, and no files there.
    held = [[i for i, take in enumerate(takes) if _within(take, rows).any()] for rows in shards]
    tasks = [
        _task(dataset, rows, [passes[i] for i in own], [takes[i] for i in own],
              [donors[i] for i in own], spec=spec, keep_frames=keep_frames, earlier=earlier,
              former=former)
        for rows, own in zip(shards, held, strict=True)
    ]  # fmt: skip
    first = store.first_of(len(tasks))
    files = _run_all([*tasks[first:], *tasks[:first]], store=store, predictors=predictors,
                     kept=earlier, report=report, stage=f"{stage} {dataset.split}")  # fmt: skip
    files = [*files[len(tasks) - first :], *files[: len(tasks) - first]]
    digests = tuple(d for f in files for d in f.digests)
    if digests != former:
        _write_digests(dataset, digests, store)
    return SweptSplit(
        split=dataset.split,
        digests=digests,
        scans=tuple(f.scan for f in files),
        frames=tuple(f.frames for f in files),
        passes=tuple(
            SweptPass(
                sweep_pass=p,
                rows=takes[i],
                answers=tuple(f.answers[at] for f, at in found),
                embeddings=tuple(f.embeddings[at] for f, at in found),
                scores=tuple(f.scores[at] for f, at in found),
            )
            for i, p in enumerate(passes)
            for found in [_files_of(i, files, held)]
        ),
        former=former,
    )


def _digests_file(dataset: Dataset, store: Store) -> Path:
    return store.path("digests", key_of(dataset.split, dataset.image_ids.tolist()), ".json")


def _former_digests(dataset: Dataset, store: Store) -> tuple[str, ...]:
    """Digests of a split's images as the last run into this store had them; () for none."""
    path = _digests_file(dataset, store)
    return tuple(json.loads(path.read_text(encoding="utf-8"))) if store.holds(path) else ()


def _write_digests(dataset: Dataset, digests: tuple[str, ...], store: Store) -> None:
    with store.writing(_digests_file(dataset, store)) as temporary:
        temporary.write_text(json.dumps(digests), encoding="utf-8")


def _within(take: np.ndarray, rows: range) -> np.ndarray:
    """Which of the rows taken lie in a shard."""
    return np.asarray((take >= rows.start) & (take < rows.stop))


def _files_of(
    which: int, files: Sequence[ShardFiles], held: Sequence[Sequence[int]]
) -> list[tuple[ShardFiles, int]]:
    """The shards that hold anything of a pass, and which of their passes it is."""
    return [(f, own.index(which)) for f, own in zip(files, held, strict=True) if which in own]


def assemble(swept: SweptPass, kind: str, *, store: Store) -> np.ndarray:
    """One memory map (rows, columns) of a pass's shards; `kind` is predictions or embeddings.

    Predictions are a classifier's; those of others are scored, never put together.
    """
    paths = swept.answers if kind == "predictions" else swept.embeddings
    found = [path for path in paths if path is not None]
    if len(found) == 1:
        return store.read_array(found[0])
    whole = store.path(f"{kind}-whole", key_of([path.stem for path in found]))
    if not store.holds(whole):
        parts = [store.read_array(path) for path in found]
        # A shard in which no image could be read has no columns for its embedding.
        width = max((part.shape[1] for part in parts), default=0)
        with store.growing_array(whole, (len(swept.rows), width), np.float32) as out:
            start = 0
            for part in parts:
                stop = start + len(part)
                out[start:stop] = part if part.shape[1] == width else np.nan
                start = stop
    return store.read_array(whole)


def _donors(
    dataset: Dataset, sweep_pass: Pass, spec: AuditSpec, earlier: SweptSplit | None
) -> np.ndarray | None:
    if sweep_pass.view.donor is None or earlier is None:
        return None
    usable = earlier.scan()["readable"].to_numpy(dtype=bool)
    return donor_rows(dataset, sweep_pass.view.donor, usable=usable, seed=spec.audit.seed)


def _task(
    dataset: Dataset,
    rows: range,
    passes: Sequence[Pass],
    takes: Sequence[np.ndarray],
    donors: Sequence[np.ndarray | None],
    *,
    spec: AuditSpec,
    keep_frames: bool,
    earlier: SweptSplit | None,
    former: tuple[str, ...],
) -> ShardTask:
    part = dataset.frame.iloc[rows.start : rows.stop]
    work = []
    for sweep_pass, take, donated in zip(passes, takes, donors, strict=True):
        mine = take[_within(take, rows)]
        from_whom = None if donated is None else donated[mine]
        work.append(
            PassWork(
                view=sweep_pass.view,
                variant=sweep_pass.variant,
                input=sweep_pass.input or spec.input_of(sweep_pass.variant),
                places=mine - rows.start,
                embedding=sweep_pass.embedding,
                donors=from_whom,
                donor_digests=_digests_of(from_whom, () if earlier is None else earlier.digests),
                former_donor_digests=_digests_of(from_whom, former),
            )
        )
    return ShardTask(
        split=dataset.split,
        image_ids=tuple(part["image_id"]),
        paths=tuple(part["path"]),
        truth=_truth(dataset, rows),
        headers=_headers(part),
        passes=tuple(work),
        frame_input=spec.model.input,
        keep_frames=keep_frames,
        seed=spec.audit.seed,
        max_pixels=spec.data.limits.max_pixels,
        dicom=spec.data.dicom,
        model=spec.model,
        classes=dataset.classes,
        digests=earlier.digests[rows.start : rows.stop] if earlier is not None else (),
        former=former[rows.start : rows.stop],
    )


def _truth(dataset: Dataset, rows: range) -> Any:
    if "width" not in dataset.frame:
        return dataset.labels[rows.start : rows.stop]
    return None if dataset.truth is None else dataset.truth.take(np.arange(rows.start, rows.stop))


def _headers(part: pd.DataFrame) -> tuple[ImageHeader, ...]:
    if "width" not in part:
        return ()
    columns = (part[name].tolist() for name in ("width", "height", "orientation"))
    return tuple(ImageHeader((w, h), o) for w, h, o in zip(*columns, strict=True))


def _digests_of(rows: np.ndarray | None, digests: tuple[str, ...]) -> tuple[str, ...]:
    if rows is None or not digests:
        return ()
    return tuple(digests[row] if row >= 0 else "" for row in rows)


def _run_all(
    tasks: Sequence[ShardTask],
    *,
    store: Store,
    predictors: Mapping[str, Predictor],
    kept: SweptSplit | None,
    report: Report,
    stage: str,
) -> list[ShardFiles]:
    """All shards' files in order; the first error cancels what has not begun and is raised."""
    total = sum(len(task.image_ids) for task in tasks)
    done = 0
    report(Progress(stage, done, total))
    with ThreadPoolExecutor(max_workers=worker_count()) as pool:
        futures: list[Future[ShardFiles]] = [
            pool.submit(run_shard, task, store=store, predictors=predictors, kept=kept)
            for task in tasks
        ]
        size_of = {future: len(task.image_ids) for future, task in zip(futures, tasks, strict=True)}
        waiting = set(futures)
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    done += size_of[future]
                report(Progress(stage, done, total))
        except BaseException:
            # Those that have begun are finished and kept, also when somebody stops the run.
            pool.shutdown(wait=True, cancel_futures=True)
            kept_ones = (f for f in futures if not f.cancelled() and f.exception() is None)
            report(Progress(stage, sum(size_of[f] for f in kept_ones), total))
            raise
    return [future.result() for future in futures]


def worker_count() -> int:
    """Threads to drive: the cores this process may use."""
    return max(1, len(os.sched_getaffinity(0)))
