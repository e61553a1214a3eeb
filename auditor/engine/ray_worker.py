"""A worker under Ray: a process with one session for each form of the model, that runs shards.

Ray makes an actor of `ShardWorker`; nothing of Ray is imported here.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from auditor.engine.shard import KeptFrames, run_shard
from auditor.engine.shard_files import ShardFiles, ShardTask
from auditor.engine.store import Store
from auditor.findings import ModelFacts
from auditor.models.contained import ContainedPredictor, Opening
from auditor.models.predictor import Prediction, Predictor
from auditor.own_folder import own_folder

BESIDE = "beside"
"""Ray's name for what a worker answers beside its shard."""


@dataclass(frozen=True)
class SweepAt:
    """What all shards of a sweep share; `mark` is a file of the store that every node must see."""

    store: Store
    kept: KeptFrames | None
    mark: tuple[Path, str] | None = None


@dataclass(frozen=True)
class WorkerFacts:
    """Of a worker that is ready: its process, and the digest of each form of the model it opened.

    `node` is the name of its machine; `sees_store` is False where its node's store is another one.
    """

    pid: int
    node: str
    digests: dict[str, str]
    sees_store: bool = True


class ShardWorker:
    """Runs one shard at a time; `pulse` answers beside it."""

    def __init__(self) -> None:
        self._predictors: dict[str, Predictor] = {}
        # Ray kills workers: what is left of others is cleared by the next that needs a folder.
        self._own = ExitStack()
        self._folder: Path | None = None
        self._sweep: SweepAt | None = None
        self._steps = _Steps()

    def prepare(
        self, sweep: SweepAt, openings: Mapping[str, Opening], *contents: np.ndarray | None
    ) -> WorkerFacts:
        """Open what is not open yet, and go on with the shards of `sweep`.

        `contents` has the bytes (n,) uint8 of each opening's file, None where it lies here too.
        """
        self._sweep = sweep
        for (variant, opening), content in zip(openings.items(), contents, strict=True):
            if variant not in self._predictors:
                file = None if content is None else self._written(variant, opening, content)
                opened = ContainedPredictor.of(opening, file=file)
                self._predictors[variant] = _Counted(opened, self._steps)
        digests = {variant: self._predictors[variant].digest for variant in openings}
        return WorkerFacts(os.getpid(), platform.node(), digests, _holds(sweep.mark))

    def _written(self, variant: str, opening: Opening, content: np.ndarray) -> Path:
        if self._folder is None:
            self._folder = self._own.enter_context(own_folder("auditor-worker-"))
        path = self._folder / variant / opening.file.name
        path.parent.mkdir()
        with path.open("wb") as file:
            file.write(content.data)
        return path

    def run(self, task: ShardTask) -> ShardFiles:
        """As `run_shard`."""
        assert self._sweep is not None
        found = run_shard(
            task, store=self._sweep.store, predictors=self._predictors, kept=self._sweep.kept
        )
        self._steps.n += 1
        return found

    def pulse(self) -> int:
        """A number that grows while shards get on."""
        return self._steps.n


# The mark of `ray.method`: it is answered while a shard is run, also to a ray:// client.
ShardWorker.pulse.__ray_concurrency_group__ = BESIDE  # type: ignore[attr-defined]


def _holds(mark: tuple[Path, str] | None) -> bool:
    if mark is None:
        return True
    path, text = mark
    return path.exists() and path.read_text(encoding="utf-8") == text


@dataclass
class _Steps:
    n: int = 0


@dataclass(frozen=True)
class _Counted:
    """A predictor that counts its answers."""

    predictor: Predictor
    steps: _Steps = field(repr=False)

    @property
    def facts(self) -> ModelFacts:
        return self.predictor.facts

    @property
    def digest(self) -> str:
        return self.predictor.digest

    def predict(self, frames: np.ndarray, **asked: Any) -> Prediction:
        found = self.predictor.predict(frames, **asked)
        self.steps.n += 1
        return found

    def gradients(self, frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return self.predictor.gradients(frames, classes)
