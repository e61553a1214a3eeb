"""One shard: some images of a split, decoded once, through every pass that is still missing.

`run_shard` is stateless and idempotent: what it computes lies in files of the store, named by
everything that they depend on. A thread pool drives it here; any executor may elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from auditor.data.annotations import ImageHeader
from auditor.data.frames import to_frame
from auditor.data.geometry import Affine, displayed_to_frame
from auditor.data.image_files import ImageFiles
from auditor.data.images import DECODER_VERSION, Decoded, UnreadableImageError, decode
from auditor.data.scan import SCAN_VERSION, describe, unreadable_row
from auditor.data.views import AS_SHOT, View, ViewContext
from auditor.engine.answer_files import Gathering, Place, gathering, read_stored, suffix_of
from auditor.engine.store import Store, key_of
from auditor.models.predictor import Predictor
from auditor.scoring.detection_errors import OperatingPoint
from auditor.scoring.tasks import task_of
from auditor.scoring.tasks.scoring import Scoring
from auditor.spec import InputSpec, ModelSpec

BATCH = 8
"""Frames a call of the model: more gains nothing on a CPU, and fixed so that results agree."""

_GEOMETRY = ("size", "resize", "shortest", "crop", "pad", "align", "interpolation", "antialias",
             "exif")  # fmt: skip


class KeptFrames(Protocol):
    """Frames kept by an earlier sweep, by row of the split."""

    def frame(self, row: int) -> np.ndarray: ...


@dataclass(frozen=True)
class PassWork:
    """A pass over one shard: the places (rows within the shard) it takes, and its donors.

    `donors` and `donor_digests` have one entry a place: the donor's row in the split (-1 for
    none) and the digest of its file.
    """

    view: View
    variant: str
    input: InputSpec
    places: np.ndarray
    embedding: bool = False
    donors: np.ndarray | None = None
    donor_digests: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardTask:
    """What to do with one shard: its images, the passes over it, what to keep."""

    split: str
    image_ids: tuple[str, ...]
    paths: tuple[str, ...]
    truth: Any
    """Class indices (n,), -1 for none; of detectors and segmenters a `Truth`, None for none."""
    headers: tuple[ImageHeader, ...]
    """Of detectors and segmenters, whose answers are taken back to the images; else ()."""
    passes: tuple[PassWork, ...]
    frame_input: InputSpec
    keep_frames: bool
    seed: int
    max_pixels: int
    model: ModelSpec
    classes: tuple[str, ...]
    digests: tuple[str, ...] = ()
    """SHA-256 of each file, when an earlier sweep of this run has read them."""

    def truth_of(self, places: np.ndarray) -> Any:
        """The truth of the images at `places`."""
        if self.truth is None or isinstance(self.truth, np.ndarray):
            return None if self.truth is None else self.truth[places]
        return self.truth.take(places)

    def label_of(self, place: int) -> int:
        """The class of an image as a whole, -1 where it has none."""
        return int(self.truth[place]) if isinstance(self.truth, np.ndarray) else -1

    def scoring(self, work: PassWork) -> Scoring:
        point = self.model.point
        at = OperatingPoint(point.confidence, point.overlap) if self.model.gives_boxes else None
        return Scoring(len(work.places), len(self.classes), at)

    def origin_of(self, place: int, input: InputSpec) -> Place:
        """Where the frame of an image came from."""
        if not self.headers:
            return _NOWHERE
        header = self.headers[place]
        affine = displayed_to_frame(size=header.size, orientation=header.orientation, input=input)
        width, height = header.displayed
        return Place((height, width), affine)


_NOWHERE = Place((0, 0), Affine())
"""Of images whose answers have no place in them."""


@dataclass(frozen=True)
class ShardFiles:
    """Where the outputs of a shard lie in the store; pass by pass for predictions."""

    digests: tuple[str, ...]
    scan: Path
    frames: Path | None
    answers: tuple[Path, ...]
    embeddings: tuple[Path | None, ...]
    scores: tuple[Path, ...]

    def missing_passes(self, store: Store) -> tuple[int, ...]:
        return tuple(
            i
            for i, (path, embedding) in enumerate(zip(self.answers, self.embeddings, strict=True))
            if not store.holds(path) or (embedding is not None and not store.holds(embedding))
        )


def run_shard(
    task: ShardTask,
    *,
    store: Store,
    predictors: Mapping[str, Predictor],
    kept: KeptFrames | None = None,
) -> ShardFiles:
    """Compute what the store lacks for this shard; `kept` serves the frames of donors."""
    files = shard_files(task, store=store, predictors=predictors)
    missing = files.missing_passes(store)
    need_scan = not store.holds(files.scan)
    need_frames = files.frames is not None and not store.holds(files.frames)
    if missing or need_scan or need_frames:
        _sweep(task, files, store, predictors, kept)
    _score(task, files, store)
    return files


def _sweep(
    task: ShardTask,
    files: ShardFiles,
    store: Store,
    predictors: Mapping[str, Predictor],
    kept: KeptFrames | None,
) -> None:
    """Decode once and predict what is missing."""
    missing, need_scan = files.missing_passes(store), not store.holds(files.scan)
    need_frames = files.frames is not None and not store.holds(files.frames)
    states = [_PassState.start(task.passes[i], task, predictors) for i in missing]
    redecode = need_scan or need_frames or files.frames is None
    redecode = redecode or any(
        _geometry(s.work.input) != _geometry(task.frame_input) for s in states
    )
    images = _decoded_images(task) if redecode else _kept_images(task, files)
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        frames = stack.enter_context(_frames_out(task, files, store)) if need_frames else None
        for image in images:
            rows.append(image.row)
            if image.readable:
                if frames is not None:
                    frames[image.place] = image.frame(task.frame_input)
                for state in states:
                    state.offer(image, task, kept)
        for state in states:
            state.flush()
    _write_states(files, missing, states, store)
    if need_scan:
        store.write_table(files.scan, pd.DataFrame(rows))


def _score(task: ShardTask, files: ShardFiles, store: Store) -> None:
    """Score the answers of every pass by the truth; kept apart, since labels may change."""
    name = task.model.task
    for work, answers, path in zip(task.passes, files.answers, files.scores, strict=True):
        if not store.holds(path):
            truth, how = task.truth_of(work.places), task.scoring(work)
            scores = task_of(name).score(read_stored(name, answers), truth, how)
            ids = [task.image_ids[place] for place in work.places]
            scores.insert(0, "image_id", pd.Series(ids, dtype="str"))
            store.write_table(path, scores)


def shard_files(
    task: ShardTask, *, store: Store, predictors: Mapping[str, Predictor]
) -> ShardFiles:
    """The files that hold, or will hold, this shard's outputs; reads and hashes its images."""
    digests = task.digests or tuple(map(ImageFiles().digest, task.paths))
    images = list(zip(task.image_ids, digests, strict=True))
    decoded = [DECODER_VERSION, task.max_pixels, task.frame_input.range]
    scan_key = key_of("scan", SCAN_VERSION, decoded, images)
    frames_key = key_of("frames", decoded, images, _geometry(task.frame_input))
    keys = [_prediction_key(task, work, images, predictors[work.variant]) for work in task.passes]
    return ShardFiles(
        digests=digests,
        scan=store.path("scan", scan_key, ".parquet"),
        frames=store.path("frames", frames_key) if task.keep_frames else None,
        answers=tuple(store.path("predictions", key, suffix_of(task.model.task)) for key in keys),
        embeddings=tuple(
            store.path("embeddings", key) if work.embedding else None
            for key, work in zip(keys, task.passes, strict=True)
        ),
        scores=tuple(
            store.path("scores", _score_key(task, work, key), ".parquet")
            for key, work in zip(keys, task.passes, strict=True)
        ),
    )


def _score_key(task: ShardTask, work: PassWork, answers: str) -> str:
    name = task.model.task
    version = task_of(name).SCORER_VERSION
    if name == "classification":
        return key_of("scores", name, version, answers, task.truth[work.places].tolist())
    truth = task.truth_of(work.places)
    known = None if truth is None else truth.key()
    return key_of("scores", name, version, answers, known, task.scoring(work).key())


def _prediction_key(
    task: ShardTask, work: PassWork, images: list[tuple[str, str]], predictor: Predictor
) -> str:
    # The seed and the donors matter only to views that use them: predictions of frames as
    # shot survive a change of seed.
    seen = None if work.view == AS_SHOT else [task.seed, list(work.donor_digests)]
    truth = None if work.view == AS_SHOT else task.truth_of(work.places)
    labels = truth.tolist() if isinstance(truth, np.ndarray) else None
    placed = [[*header.size, header.orientation] for header in task.headers]
    return key_of(
        "predictions",
        [DECODER_VERSION, BATCH, task.max_pixels],
        *([[placed[place] for place in work.places]] if placed else []),
        [images[place] for place in work.places],
        [work.view.name, work.view.version, seen, labels],
        predictor.digest,
        work.input.model_dump(mode="json"),
    )


def _geometry(given: InputSpec) -> list[Any]:
    return [getattr(given, name) for name in _GEOMETRY]


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
        key = str(_geometry(given))
        if key not in self._frames:
            self._frames[key] = to_frame(self.decoded.as_fed(given), given)
        return self._frames[key]


def _decoded_images(task: ShardTask) -> Iterator[_Image]:
    files = ImageFiles()
    for place, (image_id, path) in enumerate(zip(task.image_ids, task.paths, strict=True)):
        content = b""
        try:
            content = files.read(path)
            decoded = decode(content, max_pixels=task.max_pixels, white=task.frame_input.range)
        except UnreadableImageError as error:
            yield _Image(place, unreadable_row(image_id, content, str(error)))
        except OSError as error:
            # Its own text holds the path, which must not enter the record.
            reason = error.strerror or type(error).__name__
            yield _Image(place, unreadable_row(image_id, content, reason))
        else:
            yield _Image(place, describe(image_id, decoded, content), decoded=decoded)


def _kept_images(task: ShardTask, files: ShardFiles) -> Iterator[_Image]:
    assert files.frames is not None
    frames = Store.read_array(files.frames)
    readable = pd.read_parquet(files.scan, columns=["readable"])["readable"].to_numpy()
    for place in range(len(task.image_ids)):
        yield _Image(place, {}, kept=np.asarray(frames[place]) if readable[place] else None)


def _frames_out(task: ShardTask, files: ShardFiles, store: Store) -> Any:
    assert files.frames is not None
    shape = (len(task.image_ids), *task.frame_input.size, 3)
    return store.growing_array(files.frames, shape, np.uint8)


@dataclass
class _PassState:
    """A pass under way over one shard: frames wait until a batch is full."""

    work: PassWork
    predictor: Predictor
    slot_of: dict[int, int]
    answers: Gathering
    embedding: np.ndarray | None = None
    waiting: list[np.ndarray] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    origins: list[Place] = field(default_factory=list)

    @classmethod
    def start(
        cls, work: PassWork, task: ShardTask, predictors: Mapping[str, Predictor]
    ) -> _PassState:
        return cls(
            work=work,
            predictor=predictors[work.variant],
            slot_of={int(place): slot for slot, place in enumerate(work.places)},
            answers=gathering(task.model, n=len(work.places), n_classes=len(task.classes)),
        )

    def offer(self, image: _Image, task: ShardTask, kept: KeptFrames | None) -> None:
        slot = self.slot_of.get(image.place)
        if slot is None:
            return
        frame = image.frame(self.work.input)
        if self.work.view != AS_SHOT:
            donor = self._donor(slot, kept)
            if self.work.view.donor is not None and donor is None:
                return
            context = ViewContext(
                image_id=task.image_ids[image.place],
                seed=task.seed,
                label=task.label_of(image.place),
                donor=donor,
            )
            frame = self.work.view(frame, context)
        self.waiting.append(frame)
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
        answer = self.predictor.predict(
            np.stack(self.waiting), input=self.work.input, embedding=self.work.embedding
        )
        self.answers.put(self.slots, answer, self.origins)
        if answer.embedding is not None:
            if self.embedding is None:
                shape = (len(self.work.places), answer.embedding.shape[1])
                self.embedding = np.full(shape, np.nan, dtype=np.float32)
            self.embedding[self.slots] = answer.embedding
        self.waiting.clear()
        self.slots.clear()
        self.origins.clear()


def _write_states(
    files: ShardFiles, missing: tuple[int, ...], states: list[_PassState], store: Store
) -> None:
    for i, state in zip(missing, states, strict=True):
        embedding = files.embeddings[i]
        if embedding is not None:
            empty = np.empty((len(state.work.places), 0), dtype=np.float32)
            store.write_array(embedding, empty if state.embedding is None else state.embedding)
        state.answers.write(store, files.answers[i])
