"""Answers of a pass over one shard: gathered batch by batch, stored, and read again to be scored.

Boxes and class maps are stored in the pixels of the images as displayed, never as raw outputs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.data.boxes import Detections as Boxes
from auditor.data.geometry import Affine
from auditor.data.masks import Mask
from auditor.engine.store import Store
from auditor.models.answers import ClassMap, Cutout, Detections
from auditor.models.predictor import Prediction
from auditor.spec import ModelSpec
from auditor.spec.heads import BoxHead

ANSWERS_VERSION = 2
"""Changes when files of boxes and class maps are written otherwise."""

_STORED = np.dtype("<i2")
_FASTEST = 1


@dataclass(frozen=True)
class Place:
    """Where an image's frame came from: the image's `size` (height, width) as displayed, and the
    affine from it to the frame.
    """

    size: tuple[int, int]
    to_frame: Affine


class Gathering(Protocol):
    """Answers to the images of a pass over a shard, by slot."""

    def put(self, slots: Sequence[int], prediction: Prediction, places: Sequence[Place]) -> None:
        """Keep the answers to the images in `slots`."""
        ...

    def write(self, store: Store, path: Path) -> None:
        """Store all that was kept."""
        ...


def gathering(
    model: ModelSpec, *, n: int, n_classes: int, earlier: Path | None = None
) -> Gathering:
    """For `n` images; slots that nothing is put in are as in the file `earlier`, or unanswered."""
    if model.task == "segmentation":
        return _Maps([None] * n) if earlier is None else _Maps.of(earlier)
    held: Any = None if earlier is None else read_stored(model.task, earlier)
    if model.task == "classification":
        table = np.full((n, n_classes), np.nan, dtype=np.float32) if held is None else held
        return _Scores(np.array(table))
    assert isinstance(model.head, BoxHead)
    found = _Found([None] * n, clip=model.head.clip, masks=model.task == "instance-segmentation")
    if earlier is not None:
        found.take_over(held, answered(model.task, earlier))
    return found


def suffix_of(task: str) -> str:
    """The suffix of a file of answers."""
    return ".npy" if task == "classification" else ".npz"


def read_stored(task: str, path: Path) -> Any:
    """Stored answers as the task's scorer takes them (`auditor.scoring.tasks`)."""
    if task == "classification":
        return Store.read_array(path)
    with np.load(path, allow_pickle=False) as arrays:
        held = dict(arrays)
    return _maps_of(held) if task == "segmentation" else _boxes_of(held)


def answered(task: str, path: Path) -> np.ndarray:
    """Which images of a stored pass were answered, (n,) bool."""
    if task == "classification":
        return np.asarray(np.isfinite(Store.read_array(path)[:, 0]))
    with np.load(path, allow_pickle=False) as arrays:
        return np.asarray(arrays["answered"])


@dataclass
class _Scores:
    """Class scores (n, classes), NaN where not answered."""

    table: np.ndarray

    def put(self, slots: Sequence[int], prediction: Prediction, places: Sequence[Place]) -> None:
        self.table[list(slots)] = prediction.probabilities

    def write(self, store: Store, path: Path) -> None:
        store.write_array(path, self.table)


@dataclass
class _Maps:
    """Class maps in the images' own pixels, packed at once: a shard's would fill the memory."""

    sizes: list[tuple[int, int] | None]
    packed: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> _Maps:
        """As stored."""
        with np.load(path, allow_pickle=False) as held:
            slots = np.flatnonzero(held["answered"]).tolist()
            parts = np.split(held["packed"], np.cumsum(held["lengths"])[:-1])
            sizes = dict(zip(slots, held["sizes"].tolist(), strict=True))
            of_slot = [
                tuple(sizes[i]) if i in sizes else None for i in range(len(held["answered"]))
            ]
        return cls(of_slot, {i: part.tobytes() for i, part in zip(slots, parts, strict=False)})

    def put(self, slots: Sequence[int], prediction: Prediction, places: Sequence[Place]) -> None:
        for slot, answer, place in zip(slots, prediction.answers, places, strict=True):
            assert isinstance(answer, ClassMap)
            classes = answer.to_image(place.to_frame, size=place.size).classes
            self.sizes[slot] = (classes.shape[0], classes.shape[1])
            self.packed[slot] = zlib.compress(classes.astype(_STORED).tobytes(), _FASTEST)

    def write(self, store: Store, path: Path) -> None:
        held = [self.packed[slot] for slot, size in enumerate(self.sizes) if size is not None]
        sizes = [size for size in self.sizes if size is not None]
        arrays = {
            "answered": np.array([size is not None for size in self.sizes]),
            "sizes": np.array(sizes, dtype=np.int64).reshape(-1, 2),
            "lengths": np.array([len(each) for each in held], dtype=np.int64),
            "packed": np.frombuffer(b"".join(held), dtype=np.uint8),
        }
        store.write_arrays(path, arrays)


def _maps_of(held: dict[str, np.ndarray]) -> Iterator[np.ndarray | None]:
    """The class map of each image, one at a time; None of one that was not answered."""
    parts = iter(np.split(held["packed"], np.cumsum(held["lengths"])[:-1]))
    shapes = iter(held["sizes"].tolist())
    for found in held["answered"]:
        if found:
            flat = np.frombuffer(zlib.decompress(next(parts).tobytes()), dtype=_STORED)
            yield flat.reshape(next(shapes))
        else:
            yield None


@dataclass
class _Found:
    """Boxes, and masks where the model gives them, in the images' own pixels."""

    answers: list[Detections | None]
    clip: bool
    masks: bool
    drawn: dict[int, list[Mask]] = field(default_factory=dict)

    def put(self, slots: Sequence[int], prediction: Prediction, places: Sequence[Place]) -> None:
        for slot, answer, place in zip(slots, prediction.answers, places, strict=True):
            assert isinstance(answer, Detections)
            moved = answer.to_image(place.to_frame, size=place.size, clip=self.clip)
            self.answers[slot] = moved
            if self.masks:
                self.drawn[slot] = [_mask(c, place.size) for c in moved.cutouts(place.size)]

    def take_over(self, held: Boxes, given: np.ndarray) -> None:
        """Answers as stored, to those images that are `given` any."""
        for slot in np.flatnonzero(given).tolist():
            mine = np.flatnonzero(held.image == slot)
            self.answers[slot] = Detections(
                held.corners[mine], held.scores[mine], held.classes[mine]
            )
            if held.masks is not None:
                self.drawn[slot] = [held.masks[at] for at in mine.tolist()]

    def write(self, store: Store, path: Path) -> None:
        found = [(slot, d) for slot, d in enumerate(self.answers) if d is not None]
        empty = np.zeros((0, 4))
        arrays = {
            "answered": np.array([d is not None for d in self.answers]),
            "image": np.repeat([slot for slot, _ in found], [len(d) for _, d in found]),
            "corners": np.concatenate([empty, *(d.boxes for _, d in found)]),
            "scores": np.concatenate([empty[:, 0], *(d.scores for _, d in found)]),
            "classes": np.concatenate([np.zeros(0, np.int64), *(d.classes for _, d in found)]),
        }
        if self.masks:
            arrays |= _packed([mask for slot, _ in found for mask in self.drawn[slot]])
        store.write_arrays(path, arrays)


def _mask(cutout: Cutout, size: tuple[int, int]) -> Mask:
    return Mask.of_pixels(cutout.full(size))


def _packed(masks: Sequence[Mask]) -> dict[str, np.ndarray]:
    return {
        "mask_sizes": np.array([m.size for m in masks], dtype=np.int64).reshape(-1, 2),
        "mask_counts": np.array([len(m.ends) for m in masks], dtype=np.int64),
        "mask_ends": np.concatenate([np.zeros(0, np.int64), *(m.ends for m in masks)]),
    }


def _boxes_of(held: dict[str, np.ndarray]) -> Boxes:
    masks = None
    if "mask_sizes" in held:
        ends = np.split(held["mask_ends"], np.cumsum(held["mask_counts"])[:-1])
        sizes = held["mask_sizes"].tolist()
        masks = tuple(Mask((h, w), e) for (h, w), e in zip(sizes, ends, strict=False))
    return Boxes(
        image=held["image"].astype(np.int64),
        corners=held["corners"],
        classes=held["classes"],
        scores=held["scores"],
        masks=masks,
    )
