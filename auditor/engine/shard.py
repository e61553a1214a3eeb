"""One shard: some images of a split, decoded once, through every pass that is still missing.

`run_shard` is stateless and idempotent: what it computes lies in files of the store, named by
everything that they depend on. A thread pool drives it here; any executor may elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from auditor.data.frames import to_frame
from auditor.data.image_files import UNREADABLE, ImageFiles
from auditor.data.images import Decoded, UnreadableImageError, decode
from auditor.data.scan import describe, unreadable_row
from auditor.data.views import ViewContext
from auditor.engine.answer_files import Gathering, Place, gathering, read_stored
from auditor.engine.renewal import ReadabilityChangedError, Renewal, readable_of, renewal_of
from auditor.engine.shard_files import (
    BATCH,
    PassWork,
    ShardFiles,
    ShardTask,
    geometry_of,
    shard_files,
)
from auditor.engine.store import Store
from auditor.errors import DataError
from auditor.models.predictor import Predictor
from auditor.scoring.tasks import task_of
from auditor.spec import InputSpec


class KeptFrames(Protocol):
    """Frames kept by an earlier sweep, by row of the split."""

    def frame(self, row: int) -> np.ndarray: ...


def run_shard(
    task: ShardTask,
    *,
    store: Store,
    predictors: Mapping[str, Predictor],
    kept: KeptFrames | None = None,
) -> ShardFiles:
    """Compute what the store lacks for this shard; `kept` serves the frames of donors."""
    files = shard_files(task, store=store, predictors=predictors)
    described = task.kept is not None
    if not _Todo.of(files, store, described=described).any:
        _score(task, files, store)
        return files
    with store.claimed(files.scan):
        _complete(task, files, store, predictors, kept)
    return files


def _complete(
    task: ShardTask,
    files: ShardFiles,
    store: Store,
    predictors: Mapping[str, Predictor],
    kept: KeptFrames | None,
) -> None:
    """Compute what is still missing."""
    todo = _Todo.of(files, store, described=task.kept is not None)
    if todo.any:
        renewal = renewal_of(task, files, store=store, predictors=predictors)
        try:
            _sweep(task, files, todo, store, predictors, kept, renewal)
        except ReadabilityChangedError:
            _sweep(task, files, todo, store, predictors, kept, None)
    _score(task, files, store)


@dataclass(frozen=True)
class _Todo:
    """What the store lacks of a shard: passes by position, the description, kept frames."""

    passes: tuple[int, ...]
    scan: bool
    frames: bool

    @classmethod
    def of(cls, files: ShardFiles, store: Store, *, described: bool) -> _Todo:
        frames = files.frames is not None and not store.holds(files.frames)
        scan = not described and not store.holds(files.scan)
        return cls(files.missing_passes(store), scan, frames)

    @property
    def any(self) -> bool:
        return bool(self.passes) or self.scan or self.frames


def _sweep(
    task: ShardTask,
    files: ShardFiles,
    todo: _Todo,
    store: Store,
    predictors: Mapping[str, Predictor],
    kept: KeptFrames | None,
    renewal: Renewal | None,
) -> None:
    """Decode once and predict what is missing; with a `renewal` what has changed, and its batch."""
    states = [_PassState.start(i, task, store, predictors, renewal) for i in todo.passes]
    rows = _earlier_rows(task, renewal) if todo.scan else [{}] * len(task.image_ids)
    with ExitStack() as stack:
        frames = None
        if todo.frames:
            frames = stack.enter_context(_frames_out(task, files, store, renewal))
        for image in _images(task, files, todo, states, store, renewal, kept):
            if renewal is not None:
                renewal.require_same(image.place, readable=image.readable)
            rows[image.place] = image.row or rows[image.place]
            if frames is not None and image.decoded is not None:
                frames[image.place] = image.frame(task.frame_input)
            for state in states:
                state.offer(image, task, kept)
        for state in states:
            state.flush()
    _write_states(files, todo.passes, states, store)
    if todo.scan:
        store.write_table(files.scan, pd.DataFrame(rows))


def _earlier_rows(task: ShardTask, renewal: Renewal | None) -> list[dict[str, Any]]:
    """What was described before, a row an image; of changed ones it will be described anew."""
    if renewal is None:
        return [{}] * len(task.image_ids)
    found = pd.read_parquet(renewal.files.scan).to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in found]


def _score(task: ShardTask, files: ShardFiles, store: Store) -> None:
    """Score the answers of every pass by the truth; kept apart, since labels may change."""
    name = task.model.task
    for work, answers, path in zip(task.passes, files.answers, files.scores, strict=True):
        if not store.holds(path):
            truth, how = task.seen_truth(work), task.scoring(work)
            scores = task_of(name).score(read_stored(name, answers), truth, how)
            ids = [task.image_ids[place] for place in work.places]
            scores.insert(0, "image_id", pd.Series(ids, dtype="str"))
            store.write_table(path, scores)


@dataclass
class _Image:
    """One image of the shard as the passes see it; frames are made once a geometry."""

    place: int
    row: dict[str, Any]
    decoded: Decoded | None = None
    kept: np.ndarray | None = None
    _frames: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        return self.decoded is not None or self.kept is not None

    def frame(self, given: InputSpec) -> np.ndarray:
        if self.decoded is None:
            assert self.kept is not None
            return self.kept
        key = str(geometry_of(given))
        if key not in self._frames:
            self._frames[key] = to_frame(self.decoded.as_fed(given), given)
        return self._frames[key]


def _images(
    task: ShardTask,
    files: ShardFiles,
    todo: _Todo,
    states: list[_PassState],
    store: Store,
    renewal: Renewal | None,
    kept: KeptFrames | None,
) -> Iterator[_Image]:
    """The images that are asked for, in order: decoded, or from kept frames where those do."""
    described: Collection[int] = range(len(task.image_ids)) if renewal is None else renewal.changed
    decoded = set(described) if todo.scan or todo.frames else set()
    wanted = decoded.union(*(state.slot_of for state in states))
    frame_at = _kept_frames(task, files, store, renewal, kept)
    alike = {str(geometry_of(state.work.input)) for state in states} <= {
        str(geometry_of(task.frame_input))
    }
    if frame_at is None or not alike:
        decoded = wanted
    readable = np.ones(0, dtype=bool)
    if wanted - decoded and task.kept is not None:
        readable = np.array(task.kept.readable)
    elif wanted - decoded:
        held = files.scan if renewal is None or store.holds(files.scan) else renewal.files.scan
        readable = readable_of(held)
    reader = ImageFiles()
    for place in sorted(wanted):
        if place in decoded:
            yield _decoded_image(task, place, files.digests[place], reader)
        else:
            assert frame_at is not None
            frame = np.asarray(frame_at(place)) if readable[place] else None
            yield _Image(place, {}, kept=frame)


def _kept_frames(
    task: ShardTask,
    files: ShardFiles,
    store: Store,
    renewal: Renewal | None,
    kept: KeptFrames | None,
) -> Callable[[int], np.ndarray] | None:
    """Frames of the shard by place, else of its earlier sweep, which has all but the changed."""
    if task.kept is not None:
        rows = task.kept.rows
        return None if kept is None else lambda place: kept.frame(rows[place])
    earlier = None if renewal is None else renewal.files.frames
    for path in (files.frames, earlier):
        if path is not None and store.holds(path):
            return store.read_array(path).__getitem__
    return None


def _decoded_image(task: ShardTask, place: int, digest: str, reader: ImageFiles) -> _Image:
    image_id = task.image_ids[place]
    try:
        content = reader.read(task.paths[place])
    except OSError as error:
        # Its own text holds the path, which must not enter the record.
        reason = error.strerror or type(error).__name__
        if digest != UNREADABLE:
            raise _changed(task, place, "could", now=f"it cannot ({reason})") from None
        return _Image(place, unreadable_row(image_id, b"", reason))
    if digest == UNREADABLE:
        raise _changed(task, place, "could not", now="it can")
    try:
        decoded = decode(content, max_pixels=task.max_pixels, white=task.frame_input.range,
                         dicom=task.dicom)  # fmt: skip
    except UnreadableImageError as error:
        return _Image(place, unreadable_row(image_id, content, str(error)))
    return _Image(place, describe(image_id, decoded, content), decoded=decoded)


def _changed(task: ShardTask, place: int, was: str, *, now: str) -> DataError:
    """Of an image that is there, or gone, since its digest was taken, by which answers are kept."""
    return DataError(
        f"{task.image_ids[place]} of {task.split} {was} be read earlier in this run, and now "
        f"{now}. See that images stay where they are (a folder that is mounted) while an audit "
        "runs, and run the same command again; what was finished is kept."
    )


@contextmanager
def _frames_out(
    task: ShardTask, files: ShardFiles, store: Store, renewal: Renewal | None
) -> Iterator[np.ndarray]:
    assert files.frames is not None
    shape = (len(task.image_ids), *task.frame_input.size, 3)
    earlier = None if renewal is None else renewal.files.frames
    with store.growing_array(files.frames, shape, np.uint8) as out:
        if earlier is not None:
            out[:] = store.read_array(earlier)
            assert renewal is not None
            out[sorted(renewal.changed)] = 0
        yield out


@dataclass
class _PassState:
    """A pass under way over one shard: frames wait until a batch is full.

    They wait as they were shot, which passes share, and its view sees them when their batch is
    due: memory does not grow with the number of passes.
    """

    work: PassWork
    predictor: Predictor
    slot_of: dict[int, int]
    answers: Gathering
    embedding: np.ndarray | None = None
    waiting: list[np.ndarray] = field(default_factory=list)
    contexts: list[ViewContext] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    origins: list[Place] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        i: int,
        task: ShardTask,
        store: Store,
        predictors: Mapping[str, Predictor],
        renewal: Renewal | None,
    ) -> _PassState:
        """Pass `i` of a task; where its earlier answers are held, of what has changed alone."""
        work = task.passes[i]
        slot_of = {int(place): slot for slot, place in enumerate(work.places)}
        earlier = None if renewal is None else renewal.answers(i, store)
        embedding = None
        if renewal is not None and earlier is not None:
            wanted = renewal.places(work)
            slot_of = {place: slot for place, slot in slot_of.items() if place in wanted}
            embedding = _earlier_embedding(renewal.files.embeddings[i])
        return cls(
            work=work,
            predictor=predictors[work.variant],
            slot_of=slot_of,
            answers=gathering(
                task.model, n=len(work.places), n_classes=len(task.classes), earlier=earlier
            ),
            embedding=embedding,
        )

    def offer(self, image: _Image, task: ShardTask, kept: KeptFrames | None) -> None:
        slot = self.slot_of.get(image.place)
        if slot is None or not image.readable:
            return
        donor = None if self.work.view.donor is None else self._donor(slot, kept)
        if self.work.view.donor is not None and donor is None:
            return
        self.waiting.append(image.frame(self.work.input))
        self.contexts.append(task.context_of(image.place, self.work, donor=donor))
        self.slots.append(slot)
        self.origins.append(task.origin_of(image.place, self.work.input))
        if len(self.waiting) == BATCH:
            self.flush()

    def _donor(self, slot: int, kept: KeptFrames | None) -> np.ndarray | None:
        if self.work.donors is None or kept is None or self.work.donors[slot] < 0:
            return None
        return kept.frame(int(self.work.donors[slot]))

    def flush(self) -> None:
        if not self.waiting:
            return
        seen = map(self.work.view, self.waiting, self.contexts)
        answer = self.predictor.predict(
            np.stack(list(seen)),
            input=self.work.input,
            embedding=self.work.embedding,
            output=self.work.output,
        )
        self.answers.put(self.slots, answer, self.origins)
        if answer.embedding is not None:
            if self.embedding is None:
                shape = (len(self.work.places), answer.embedding.shape[1])
                self.embedding = np.full(shape, np.nan, dtype=np.float32)
            self.embedding[self.slots] = answer.embedding
        self.waiting.clear()
        self.contexts.clear()
        self.slots.clear()
        self.origins.clear()


def _earlier_embedding(path: Path | None) -> np.ndarray | None:
    """To be filled anew in part; None where no image had one."""
    found = None if path is None else np.array(Store.read_array(path))
    return found if found is not None and found.shape[1] else None


def _write_states(
    files: ShardFiles, missing: tuple[int, ...], states: list[_PassState], store: Store
) -> None:
    for i, state in zip(missing, states, strict=True):
        embedding = files.embeddings[i]
        if embedding is not None:
            empty = np.empty((len(state.work.places), 0), dtype=np.float32)
            store.write_array(embedding, empty if state.embedding is None else state.embedding)
        state.answers.write(store, files.answers[i])
