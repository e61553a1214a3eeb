"""Answers as arrays, to be sent from the process that a model runs in.

What comes back is checked: a contained model may send anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Answer, ClassMap, Detections, Patch

Arrays = tuple[np.ndarray, ...]


def packed(answers: Sequence[Answer]) -> Arrays:
    """The answers of one batch, all of one kind, as arrays of float64 and int64."""
    if all(isinstance(answer, ClassMap) for answer in answers):
        maps = [answer.classes for answer in answers if isinstance(answer, ClassMap)]
        return (np.stack(maps).astype(np.int16).view(np.uint8),)
    found = [answer for answer in answers if isinstance(answer, Detections)]
    counts = np.array([[len(d), d.n_empty] for d in found], dtype=np.int64)
    numbers = [np.column_stack([d.boxes, d.scores, d.classes]) for d in found]
    patches = [patch for d in found for patch in d.patches or ()]
    arrays = (counts, np.concatenate(numbers).astype(np.float64))
    return (*arrays, *_packed_patches(patches)) if patches else arrays


def _packed_patches(patches: Sequence[Patch]) -> Arrays:
    placed = [[*p.region, *p.within, p.level, *p.values.shape] for p in patches]
    values = np.concatenate([p.values.ravel() for p in patches])
    return np.array(placed, dtype=np.float64), values.astype(np.float32)


def unpacked(arrays: Arrays, *, n: int) -> tuple[Answer, ...]:
    """The answers for `n` frames; ModelError where the arrays hold no such thing."""
    try:
        answers = _maps(arrays[0]) if len(arrays) == 1 else _detections(arrays)
    except (ValueError, IndexError, OverflowError) as error:
        raise ModelError(f"The process of the model sent no answers ({error}).") from error
    if len(answers) != n:
        raise ModelError(f"The process of the model sent {len(answers)} answers for {n} images.")
    return answers


def _maps(array: np.ndarray) -> tuple[Answer, ...]:
    maps = array.view(np.int16)
    if maps.ndim != 3:
        raise ValueError(f"class maps of {maps.ndim - 1} axes")
    return tuple(ClassMap(each) for each in maps)


def _detections(arrays: Arrays) -> tuple[Answer, ...]:
    counts, numbers = arrays[0].reshape(-1, 2), arrays[1].reshape(-1, 6)
    if (counts < 0).any() or counts[:, 0].sum() != len(numbers):
        raise ValueError(f"{counts[:, 0].sum()} boxes counted, {len(numbers)} sent")
    if not np.isfinite(numbers).all() or (numbers[:, 5] < 0).any():
        raise ValueError("boxes that are no numbers")
    patches = _patches(*arrays[2:4]) if len(arrays) == 4 else None
    if patches is not None and len(patches) != len(numbers):
        raise ValueError(f"{len(patches)} masks for {len(numbers)} boxes")
    found: list[Answer] = []
    ends = np.cumsum(counts[:, 0]).tolist()
    for (count, empty), end in zip(counts.tolist(), ends, strict=True):
        part = numbers[end - count : end]
        found.append(
            Detections(
                part[:, :4],
                part[:, 4],
                part[:, 5].astype(np.int64),
                patches=None if patches is None else patches[end - count : end],
                n_empty=empty,
            )
        )
    return tuple(found)


def _patches(placed: np.ndarray, values: np.ndarray) -> tuple[Patch, ...]:
    rows = placed.reshape(-1, 11)
    shapes = rows[:, 9:].astype(np.int64)
    ends = np.cumsum(shapes.prod(axis=1))
    if not np.isfinite(rows).all() or (shapes < 1).any() or int(ends[-1:].sum()) != len(values):
        raise ValueError("masks of another size than sent")
    return tuple(
        Patch(
            region=tuple(row[:4].tolist()),
            values=part.reshape(tuple(shape)),
            level=float(row[8]),
            within=tuple(row[4:8].tolist()),
        )
        for row, shape, part in zip(rows, shapes.tolist(), np.split(values, ends[:-1]), strict=True)
    )
