"""Who drives the shards of a sweep: threads of this process, or Ray's workers (`ray_runner`).

Whoever drives them calls `run_shard`, which alone decides what a shard's files hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from auditor.engine.shard import KeptFrames, run_shard
from auditor.engine.shard_files import ShardFiles, ShardTask
from auditor.engine.store import Store
from auditor.models.bench.machine import threads_allowed
from auditor.models.predictor import Predictor


@dataclass(frozen=True)
class Progress:
    """Where a sweep stands: images done of all, and the pass or split being worked on."""

    stage: str
    done: int
    total: int


Report = Callable[[Progress], None]


class Runner(Protocol):
    """Runs shards, several at a time."""

    @property
    def workers(self) -> int:
        """Shards that are worked on at the same time."""
        ...

    def run(
        self,
        tasks: Sequence[ShardTask],
        *,
        store: Store,
        predictors: Mapping[str, Predictor],
        kept: KeptFrames | None,
        report: Report,
        stage: str,
    ) -> list[ShardFiles]:
        """All shards' files, in the order of `tasks`; the first error ends it and is raised."""
        ...


class Threads:
    """A pool of threads: as many as this process may run at once, if not told otherwise."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = threads_allowed() if workers is None else workers

    def run(
        self,
        tasks: Sequence[ShardTask],
        *,
        store: Store,
        predictors: Mapping[str, Predictor],
        kept: KeptFrames | None,
        report: Report,
        stage: str,
    ) -> list[ShardFiles]:
        """See `Runner`; what has not begun at an error is cancelled."""
        total = sum(len(task.image_ids) for task in tasks)
        done = 0
        report(Progress(stage, done, total))
        with ThreadPoolExecutor(max_workers=self.workers) as pool:
            futures: list[Future[ShardFiles]] = [
                pool.submit(run_shard, task, store=store, predictors=predictors, kept=kept)
                for task in tasks
            ]
            sizes = [len(task.image_ids) for task in tasks]
            size_of = dict(zip(futures, sizes, strict=True))
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
