"""What is to be done with one shard, and which files of the store hold what came of it.

A file is named by everything that it depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.data.annotations import ImageHeader
from auditor.data.backgrounds import object_pixels
from auditor.data.geometry import Affine, Shown, displayed_to_frame
from auditor.data.image_digests import ImageDigests
from auditor.data.image_files import UNREADABLE, ImageFiles
from auditor.data.images import DECODER_VERSION
from auditor.data.scan import SCAN_VERSION
from auditor.data.views import AS_SHOT, Moving, OfObjects, View, ViewContext
from auditor.engine.answer_files import ANSWERS_VERSION, Place, suffix_of
from auditor.engine.store import Store, key_of
from auditor.models.predictor import Predictor
from auditor.scoring.detection_errors import OperatingPoint
from auditor.scoring.tasks import task_of
from auditor.scoring.tasks.scoring import Scoring
from auditor.spec import DicomSpec, InputSpec, ModelSpec, OutputKeys

BATCH = 8
"""Frames a call of the model: more gains nothing on a CPU, and fixed so that results agree."""

_GEOMETRY = ("size", "resize", "shortest", "crop", "pad", "align", "interpolation", "antialias",
             "exif")  # fmt: skip


def image_digests(texts: Iterable[str]) -> ImageDigests:
    """What files are known by; `UNREADABLE` where there is nothing to read."""
    return ImageDigests.of(texts, none=UNREADABLE)


NO_DIGESTS = image_digests(())


@dataclass(frozen=True)
class PassWork:
    """A pass over one shard: the places (rows within the shard) it takes, and its donors.

    `donors` and `donor_digests` have one entry a place: the donor's row in the split (-1 for
    none) and the digest of its file; `former_donor_digests` are those of the sweep before.
    """

    view: View
    variant: str
    input: InputSpec
    places: np.ndarray
    embedding: bool = False
    donors: np.ndarray | None = None
    donor_digests: tuple[str, ...] = ()
    former_donor_digests: tuple[str, ...] = ()
    output: OutputKeys = ()


@dataclass(frozen=True)
class KeptRows:
    """Of a shard's images whose frames are kept: their rows in the split, who is readable."""

    rows: tuple[int, ...]
    readable: tuple[bool, ...]


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
    digests: ImageDigests = NO_DIGESTS
    """SHA-256 of each file, when an earlier sweep of this run has read them."""
    dicom: DicomSpec | None = None
    former: ImageDigests = NO_DIGESTS
    """SHA-256 of each file as an earlier run had them, where one swept the same images."""
    kept: KeptRows | None = None
    """Of images that an earlier sweep of this run has described, and keeps the frames of."""

    def context_of(
        self, place: int, work: PassWork, *, donor: np.ndarray | None = None
    ) -> ViewContext:
        """What the view of a pass may know of the image at `place`."""
        objects = self.objects_of(place, work) if isinstance(work.view, OfObjects) else None
        return ViewContext(self.image_ids[place], self.seed, self.label_of(place), donor, objects)

    def objects_of(self, place: int, work: PassWork) -> np.ndarray | None:
        """Where the objects of an image lie in its frame; None where none are annotated."""
        truth = self.truth_of(np.array([place]))
        if truth is None or isinstance(truth, np.ndarray):
            return None
        assert isinstance(work.view, OfObjects)
        to_frame = self.origin_of(place, work.input).to_frame
        return object_pixels(
            truth, to_frame=to_frame, size=work.input.size, classes=work.view.classes
        )

    def seen_truth(self, work: PassWork) -> Any:
        """The truth of a pass's images where its view has moved it."""
        truth = self.truth_of(work.places)
        if not self.headers or truth is None or not isinstance(work.view, Moving):
            return truth
        return truth.moved([self.shown(place, work) for place in work.places.tolist()])

    def shown(self, place: int, work: PassWork) -> Shown:
        """Where the points of an image go under a pass's view, in the image's own pixels."""
        assert isinstance(work.view, Moving)
        origin = self.origin_of(place, work.input)
        (height, width), to_frame = origin.size, origin.to_frame
        moved = work.view.affine(work.input.size, self.context_of(place, work))
        rows, columns = work.input.size
        ((x0, y0, x1, y1),) = to_frame.inverse.boxes(np.array([[0, 0, columns, rows]]))
        within = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
        return Shown(to_frame.then(moved).then(to_frame.inverse), (height, width), within)

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


class ShardTasks(Protocol):
    """The tasks of a sweep, each made when it is asked for, and how many images each has."""

    sizes: Sequence[int]

    def __getitem__(self, at: int) -> ShardTask: ...


_NOWHERE = Place((0, 0), Affine())
"""Of images whose answers have no place in them."""


@dataclass(frozen=True)
class FilePaths:
    """Paths of files, shard by shard, None where there is none: texts, a third of the memory."""

    texts: tuple[str | None, ...]

    @classmethod
    def of(cls, paths: Iterable[Path | None]) -> FilePaths:
        """Those paths, in their order."""
        return cls(tuple(None if path is None else str(path) for path in paths))

    @property
    def there(self) -> list[Path]:
        """The paths of the files that there are."""
        return [Path(text) for text in self.texts if text is not None]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, at: int) -> Path | None:
        text = self.texts[at]
        return None if text is None else Path(text)


@dataclass(frozen=True)
class ShardFiles:
    """Where the outputs of a shard lie in the store; pass by pass for predictions."""

    digests: ImageDigests
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


def shard_files(
    task: ShardTask, *, store: Store, predictors: Mapping[str, Predictor]
) -> ShardFiles:
    """The files that hold, or will hold, this shard's outputs; reads and hashes its images."""
    digests = task.digests or image_digests(map(ImageFiles().digest, task.paths))
    images = list(zip(task.image_ids, digests, strict=True))
    decoded = [DECODER_VERSION, task.max_pixels, task.frame_input.range, *dicom_key(task.dicom)]
    scan_key = key_of("scan", SCAN_VERSION, decoded, images)
    frames_key = key_of("frames", decoded, images, geometry_of(task.frame_input))
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
    drawn = []
    if isinstance(work.view, OfObjects) and truth is not None and labels is None:
        drawn = [truth.key()]
    placed = [[*header.size, header.orientation] for header in task.headers]
    return key_of(
        "predictions",
        [DECODER_VERSION, BATCH, task.max_pixels, *dicom_key(task.dicom)],
        *([ANSWERS_VERSION, [placed[place] for place in work.places]] if placed else []),
        [images[place] for place in work.places],
        [work.view.name, work.view.version, seen, labels, *drawn],
        predictor.digest,
        work.input.model_dump(mode="json"),
        *([list(work.output)] if work.output else []),
    )


def dicom_key(dicom: DicomSpec | None) -> list[Any]:
    """What a key says of how DICOM files are read: nothing where none are."""
    return [] if dicom is None else [dicom.model_dump(mode="json")]


def geometry_of(given: InputSpec) -> list[Any]:
    return [getattr(given, name) for name in _GEOMETRY]
