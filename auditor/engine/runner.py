"""Who drives the shards of a sweep: threads of this process, or Ray's workers (`ray_runner`).

Whoever drives them calls `run_shard`, which alone decides what a shard's files hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from auditor.engine.shard import KeptFrames, run_shard
from auditor.engine.shard_files import ShardFiles, ShardTasks
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
        tasks: ShardTasks,
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
        tasks: ShardTasks,
        *,
        store: Store,
        predictors: Mapping[str, Predictor],
        kept: KeptFrames | None,
        report: Report,
        stage: str,
    ) -> list[ShardFiles]:
        """See `Runner`; what has not begun at an error is cancelled."""
        total, done = sum(tasks.sizes), 0
        files: list[ShardFiles | None] = [None] * len(tasks.sizes)
        places = iter(range(len(files)))
        under_way: dict[Future[ShardFiles], int] = {}
        report(Progress(stage, done, total))
        with ThreadPoolExecutor(max_workers=self.workers) as pool:

            def begin(most: int) -> None:
                for place in itertools.islice(places, most):
                    task = tasks[place]
                    begun = pool.submit(
                        run_shard, task, store=store, predictors=predictors, kept=kept
                    )
                    under_way[begun] = place

            try:
                # As many wait as are worked on, so that no thread does.
                begin(2 * self.workers)
                while under_way:
                    finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in finished:
                        files[under_way[future]] = future.result()
                        done += tasks.sizes[under_way.pop(future)]
                    begin(len(finished))
                    report(Progress(stage, done, total))
            except BaseException:
                # Those that have begun are finished and kept, also when somebody stops the run.
                pool.shutdown(wait=True, cancel_futures=True)
                whole = [f for f in under_way if not f.cancelled() and f.exception() is None]
                report(Progress(stage, done + sum(tasks.sizes[under_way[f]] for f in whole), total))
                raise
        return [found for found in files if found is not None]
