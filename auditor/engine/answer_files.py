"""Answers of a pass over one shard: gathered batch by batch, stored, and read again to be scored.

Boxes and class maps are stored in the pixels of the images as displayed, never as raw outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    held: Any = None if earlier is None else read_stored(model.task, earlier)
    if model.task == "classification":
        table = np.full((n, n_classes), np.nan, dtype=np.float32) if held is None else held
        return _Scores(np.array(table))
    if model.task == "segmentation":
        return _Maps([None] * n if held is None else held)
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
    """Class maps in the images' own pixels."""

    maps: list[np.ndarray | None]

    def put(self, slots: Sequence[int], prediction: Prediction, places: Sequence[Place]) -> None:
        for slot, answer, place in zip(slots, prediction.answers, places, strict=True):
            assert isinstance(answer, ClassMap)
            self.maps[slot] = answer.to_image(place.to_frame, size=place.size).classes

    def write(self, store: Store, path: Path) -> None:
        held = [m for m in self.maps if m is not None]
        flat = [m.ravel() for m in held]
        arrays = {
            "answered": np.array([m is not None for m in self.maps]),
            "sizes": np.array([m.shape for m in held], dtype=np.int64).reshape(-1, 2),
            "classes": np.concatenate([np.zeros(0, dtype=np.int16), *flat]),
        }
        store.write_arrays(path, arrays)


def _maps_of(held: dict[str, np.ndarray]) -> list[np.ndarray | None]:
    sizes = held["sizes"]
    parts = iter(np.split(held["classes"], np.cumsum(sizes.prod(axis=1))[:-1]))
    shapes = iter(sizes.tolist())
    return [next(parts).reshape(next(shapes)) if found else None for found in held["answered"]]


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
