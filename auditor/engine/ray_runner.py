"""Shards driven over Ray's workers: handed out, handed out again where a worker ends, counted.

Paths travel and never pixels; whatever a shard computes lies in the store.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import numpy as np

from auditor.data.image_digests import ImageDigests
from auditor.data.image_files import UNREADABLE, ImageFiles, remote_of
from auditor.engine.ray_cluster import Cluster, worker_bytes
from auditor.engine.ray_worker import BESIDE, ShardWorker, SweepAt, WorkerFacts
from auditor.engine.runner import Progress, Report
from auditor.engine.shard import KeptFrames
from auditor.engine.shard_files import ShardFiles, ShardTask, ShardTasks
from auditor.engine.store import Store, key_of
from auditor.errors import AuditorError, ClusterError
from auditor.models.contained import ContainedPredictor, Opening
from auditor.models.predictor import Predictor

ATTEMPTS = 3
"""Workers that a shard may end before the run does."""

_PULSE_S = 2.0
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Worker:
    """An actor, and what it is about: the shard at `place`, None while it gets ready."""

    actor: Any
    place: int | None = None
    task: ShardTask | None = None
    facts: WorkerFacts | None = None
    pulse: Any = None
    steps: int = -1

    @property
    def told(self) -> str:
        return "A worker" if self.facts is None else f"Worker {self.facts.pid}"

    @property
    def where(self) -> str:
        """Of which node an error is, to be said before it."""
        return "" if self.facts is None else f"Node {self.facts.node} of the Ray cluster: "


@dataclass
class RayRunner:
    """See `Runner`; its workers, and the models they hold, last from sweep to sweep."""

    cluster: Cluster
    devices: bool
    model_bytes: int
    _workers: list[_Worker] = field(default_factory=list)
    _contents: dict[str, Any] = field(default_factory=dict)

    @property
    def workers(self) -> int:
        return self.cluster.workers

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
        """See `Runner`. Raises ClusterError where no worker gets on, or a shard ends them all."""
        sweep = _Sweep(self, tasks, report, stage=f"{stage} on {_workers_told(self.workers)}")
        with _marked(store, self.cluster) as mark:
            held = SweepAt(store, kept, mark)
            sweep.begin(held, predictors, self._contents_of(predictors))
            return sweep.files()

    def _contents_of(self, predictors: Mapping[str, Predictor]) -> list[Any]:
        """Each model's bytes, put once for every node; None where its file is opened in place."""
        for variant, predictor in predictors.items():
            if variant not in self._contents:
                opening = opening_of(predictor)
                content = None
                if self.cluster.travels and travels(predictor, opening):
                    content = self.cluster.ray.put(np.fromfile(opening.file, dtype=np.uint8))
                self._contents[variant] = content
        return [self._contents[variant] for variant in predictors]

    def hired(self, n: int) -> Iterator[_Worker]:
        """The first `n` workers, made where there are fewer."""
        while len(self._workers) < n:
            self._workers.append(_Worker(self._actor()))
        yield from self._workers[:n]

    def dismiss(self, worker: _Worker) -> None:
        self.cluster.ray.kill(worker.actor, no_restart=True)
        self._workers.remove(worker)

    def _actor(self) -> Any:
        gpus = min(1.0, self.cluster.gpus / self.workers) if self.devices else 0
        make = self.cluster.ray.remote(
            num_cpus=1, num_gpus=gpus, memory=worker_bytes(self.model_bytes), max_restarts=0,
            max_task_retries=0, concurrency_groups={BESIDE: 1},
        )(ShardWorker)  # fmt: skip
        return make.remote()


def opening_of(predictor: Predictor) -> Opening:
    assert isinstance(predictor, ContainedPredictor)
    return predictor.opening


def travels(predictor: Predictor, opening: Opening) -> bool:
    """Whether a model is its one file: without external data, and without its author's code."""
    one_file = predictor.facts.file_bytes == opening.file.stat().st_size
    return one_file and not predictor.facts.trusted_code


@contextmanager
def _marked(store: Store, found: Cluster) -> Iterator[tuple[Path, str] | None]:
    """A file of the store by which a node tells that its store is the same one."""
    if not found.travels:
        yield None
        return
    path, text = store.path("seen", key_of("seen"), ".txt"), uuid4().hex
    with store.writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    yield path, text


def _workers_told(n: int) -> str:
    return f"{n} worker" if n == 1 else f"{n} workers"


class _Sweep:
    """The shards of one sweep: which are done, under way, or waiting."""

    def __init__(self, runner: RayRunner, tasks: ShardTasks, report: Report, *, stage: str) -> None:
        self._runner, self._ray = runner, runner.cluster.ray
        self._tasks, self._report, self._stage = tasks, report, stage
        self._found: dict[int, ShardFiles] = {}
        self._waiting = deque(range(len(tasks.sizes)))
        self._ended = dict.fromkeys(range(len(tasks.sizes)), 0)
        self._ended_early = 0
        self._under_way: dict[Any, _Worker] = {}
        self._moved = self._asked = time.monotonic()

    def begin(
        self, held: SweepAt, predictors: Mapping[str, Predictor], contents: Sequence[Any]
    ) -> None:
        self._held = self._ray.put(held)
        self._openings = {v: opening_of(p) for v, p in predictors.items()}
        self._digests = {v: p.digest for v, p in predictors.items()}
        self._contents = contents
        self._say()
        self._hire()

    def files(self) -> list[ShardFiles]:
        """The files of all shards, in order."""
        try:
            while len(self._found) < len(self._tasks.sizes):
                self._step()
        except BaseException:
            for worker in list(self._under_way.values()):
                self._runner.dismiss(worker)
            self._say()
            raise
        return [self._found[place] for place in range(len(self._tasks.sizes))]

    def _step(self) -> None:
        done, _ = self._ray.wait(list(self._under_way), timeout=_PULSE_S)
        for reference in done:
            self._take(self._under_way.pop(reference), reference)
        if done:
            self._moved = time.monotonic()
            self._say()
        elif self._none_moves():
            self._stuck()

    def _say(self) -> None:
        done = sum(self._tasks.sizes[place] for place in self._found)
        self._report(Progress(self._stage, done, sum(self._tasks.sizes)))

    def _hire(self) -> None:
        """As many workers as there are shards for, each told of the sweep before its first one."""
        busy = {id(worker) for worker in self._under_way.values()}
        wanted = min(self._runner.workers, len(self._waiting) + len(busy))
        for worker in self._runner.hired(wanted):
            if id(worker) not in busy:
                worker.place = None
                made = worker.actor.prepare.remote(self._held, self._openings, *self._contents)
                self._under_way[made] = worker

    def _take(self, worker: _Worker, reference: Any) -> None:
        """What a worker has answered: that it is ready, a shard's files, or that it has ended."""
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, AuditorError):
                raise type(error.cause)(f"{worker.where}{error.cause}") from None
            raise
        except self._ray.exceptions.RayActorError:
            self._replace(worker)
            return
        if worker.place is None:
            self._require_same(answer)
            worker.facts, self._ended_early = answer, 0
        else:
            assert worker.task is not None
            assert worker.facts is not None
            found = _whole(answer, worker.task)
            # Of images whose digests an earlier sweep took, that one has looked.
            if not worker.task.digests:
                _require_read(found.digests, worker.task, node=worker.facts.node)
            self._found[worker.place] = found
        self._next(worker)

    def _next(self, worker: _Worker) -> None:
        worker.place = worker.task = None
        if self._waiting:
            worker.place = self._waiting.popleft()
            worker.task = self._tasks[worker.place]
            made = worker.actor.run.remote(worker.task)
            self._under_way[made] = worker

    def _require_same(self, facts: WorkerFacts) -> None:
        if not facts.sees_store:
            raise ClusterError(
                f"Node {facts.node} of the Ray cluster does not see the store of this audit. Give "
                "an --out that every node has under the same path (a shared folder)."
            )
        if facts.digests != self._digests:
            raise ClusterError(
                f"Node {facts.node} of the Ray cluster would answer otherwise in the last digits "
                "than this machine: another processor, or other providers of onnxruntime. Run the "
                "audit on a machine like the nodes, and take those of another kind out of the "
                "cluster."
            )

    def _replace(self, worker: _Worker) -> None:
        """A worker has ended: its shard is the next that another one gets."""
        self._runner.dismiss(worker)
        if worker.place is None:
            self._ended_early += 1
            if self._ended_early >= ATTEMPTS:
                raise ClusterError(
                    f"{ATTEMPTS} workers of the Ray cluster ended one after the other before their "
                    "first images. Give the nodes more memory, or take fewer --workers."
                )
            _log.warning("A worker ended before its first images; others take them.")
        else:
            self._again(worker, worker.place)
        self._hire()

    def _again(self, worker: _Worker, place: int) -> None:
        self._ended[place] += 1
        ids = self._tasks[place].image_ids
        images = f"images {ids[0]} to {ids[-1]} of {self._tasks[place].split}"
        if self._ended[place] >= ATTEMPTS:
            raise ClusterError(
                f"{ATTEMPTS} workers ended one after the other over {images}. See whether memory "
                "runs out (take fewer --workers), or run the audit without --on."
            )
        _log.warning(
            "%s ended over %s; another one takes them (attempt %d of %d).",
            worker.told, images, self._ended[place] + 1, ATTEMPTS,
        )  # fmt: skip
        self._waiting.appendleft(place)

    def _none_moves(self) -> bool:
        """Whether no worker has got on for as long as the run's patience lasts."""
        for worker in self._under_way.values():
            if worker.place is not None and self._moves(worker):
                self._moved = time.monotonic()
        return time.monotonic() - self._moved > self._runner.cluster.on.patience

    def _moves(self, worker: _Worker) -> bool:
        """Whether a worker has answered since it was last looked at; asks it again."""
        if worker.pulse is None:
            worker.pulse = worker.actor.pulse.remote()
            return False
        if not self._ray.wait([worker.pulse], timeout=0)[0]:
            return False
        before, pulse, worker.pulse = worker.steps, worker.pulse, None
        try:
            worker.steps = self._ray.get(pulse)
        except self._ray.exceptions.RayError:
            # That it has ended is told by its shard.
            return False
        return worker.steps != before

    def _stuck(self) -> NoReturn:
        on = self._runner.cluster.on
        ready = sum(1 for worker in self._under_way.values() if worker.place is not None)
        raise ClusterError(
            f"The Ray cluster ({on.told}) is stuck: for {on.patience:.0f} s none of its "
            f"{_workers_told(len(self._under_way))} got on ({ready} had images, the others had not "
            "started). What was done is kept. Look at the cluster (`ray status`), or give "
            "--patience more seconds."
        )


def _require_read(digests: ImageDigests, task: ShardTask, *, node: str) -> None:
    """Raise ClusterError for an image that a node could not read, and this machine can."""
    images = ImageFiles()
    for image_id, path, digest in zip(task.image_ids, task.paths, digests, strict=True):
        if digest == UNREADABLE and images.digest(path) != UNREADABLE:
            raise ClusterError(
                f"Node {node} of the Ray cluster could not read {image_id} of {task.split}, which "
                f"this machine can: {_VISIBLE if remote_of(path) is None else _ALLOWED}, and run "
                "the same command again."
            )


_VISIBLE = "make the images visible there under the same path (a shared folder)"
_ALLOWED = "give it this machine's network and credentials"


def _whole(files: ShardFiles, task: ShardTask) -> ShardFiles:
    """The files of a shard, which has an answer for every image and pass that was asked for."""
    assert len(files.digests) == len(task.image_ids), "a shard lost images"
    assert len(files.answers) == len(task.passes), "a shard lost passes"
    return files
