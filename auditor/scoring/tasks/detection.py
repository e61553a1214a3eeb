"""Detection: boxes of classes; a row is an image, an object to be found, or an answer.

`score` gives one line an image, whose cells hold lists: of its answers (``answer_...``, surest
first within a class) and of its objects (``object_...``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from auditor.data.boxes import SIZES, Boxes, Detections
from auditor.data.dataset import Dataset
from auditor.data.objects import repeated, with_object_groups
from auditor.data.truth import BoxTruth
from auditor.findings import RowKind
from auditor.scoring.average_precision import RankedAnswers, average_precision
from auditor.scoring.detection_errors import AnswerKind, Judged, OperatingPoint, judged
from auditor.scoring.fixed_boxes import found_by_fixed_boxes
from auditor.scoring.matching import IOU_THRESHOLDS, match, ranked
from auditor.scoring.overlaps import overlaps
from auditor.scoring.presence import Placed, Several, outcomes_of
from auditor.scoring.quantities import Quantity, set_value
from auditor.scoring.rows import Amount, Rows
from auditor.scoring.set_values import EmptySetError
from auditor.scoring.tasks.scoring import Scoring

SCORER_VERSION = 2

KINDS: tuple[RowKind, ...] = ("object", "answer", "image")

FAULTS: Mapping[str, AnswerKind] = {
    "duplicate": AnswerKind.DUPLICATE,
    "wrong-class": AnswerKind.WRONG_CLASS,
    "poor-box": AnswerKind.POOR_BOX,
    "wrong-class-and-box": AnswerKind.BOTH,
    "background": AnswerKind.BACKGROUND,
}
"""What can be wrong with an answer, by the name of the flag of its row."""

_RANGES = {"all": (0.0, 1e10), **SIZES}

_LEAST_SIDE = 1e-9
_MOST_FIXED = 20
"""Boxes of a fixed answer at most: what an image may hold that people put them in."""
_HELD: Mapping[str, type] = {"score": np.float64, "area": np.float32, "aspect": np.float32,
                             "class": np.int32, "meant": np.int32, "kind": np.int8}  # fmt: skip
"""How numbers of an answer are held; all others are ten bits. A split's are in memory together."""
_KINDS = list(AnswerKind)
_UNJUDGED = len(_KINDS)
"""In place of a kind: of an answer in an image that nobody has annotated."""
_BITS = 1 << np.arange(len(IOU_THRESHOLDS), dtype=np.int64)


def score(answers: Detections, truth: BoxTruth | None, how: Scoring) -> pd.DataFrame:
    """What the rows of some images are made of, from all answers, of low scores too.

    ``known`` is False of images without annotation, whose answers are kept and not judged. Of each
    answer: ``answer_class``, ``answer_score``, ``answer_area`` and ``answer_aspect`` (width by
    height), for each of `SIZES`, and ``all``, the thresholds at
    which it is right (``answer_right_SIZE``, a bit each) and at which it does not count
    (``answer_ignored_SIZE``), and at the operating point its place in `AnswerKind`
    (``answer_kind``, -1 below it) and ``answer_meant``. Of each object ``object_class``, ``_area``,
    ``_crowd``, ``_found``, ``_said``, ``_confidence``, ``_missed``.
    """
    assert how.at is not None
    known = np.zeros(how.n_images, dtype=bool) if truth is None else truth.known
    objects = _NO_BOXES if truth is None else truth.boxes
    seen = known[answers.image]
    given, others = ranked(answers.take(seen)), ranked(answers.take(~seen))
    result = judged(given, objects, at=how.at)
    columns = _answer_columns(given, objects) | _at_point(given, result, how.at)
    rest = _unjudged(others, how.at)
    image = np.concatenate([given.image, others.image])
    table: dict[str, Any] = {"known": known}
    for name, values in columns.items():
        both = np.concatenate([values, rest.get(name, np.zeros(len(others), dtype=np.int64))])
        both = both.astype(_HELD.get(name, np.int16))
        table[f"answer_{name}"] = _lists(both, image, n=how.n_images)
    for name, values in _object_columns(objects, result).items():
        table[f"object_{name}"] = _lists(values, objects.image, n=how.n_images)
    return pd.DataFrame(table)


_NO_BOXES = Boxes(
    *(np.zeros(0, dtype=np.int64), np.zeros((0, 4)), np.zeros(0, dtype=np.int64)),
    *(np.zeros(0, dtype=bool), np.zeros(0), np.zeros(0, dtype=object)),
)


def _unjudged(answers: Detections, at: OperatingPoint) -> dict[str, np.ndarray]:
    return _as_given(answers) | {
        "kind": np.where(answers.scores >= at.confidence, _UNJUDGED, -1),
        "meant": np.full(len(answers), -1, dtype=np.int64),
    }


def _as_given(answers: Detections) -> dict[str, np.ndarray]:
    sides = answers.corners[:, 2:] - answers.corners[:, :2]
    return {
        "class": answers.classes,
        "score": answers.scores,
        "area": _areas(answers),
        "aspect": sides[:, 0] / np.maximum(sides[:, 1], _LEAST_SIDE),
    }


def _answer_columns(answers: Detections, truth: Boxes) -> dict[str, np.ndarray]:
    pairs = overlaps(answers, truth, least=IOU_THRESHOLDS[0])
    columns = _as_given(answers)
    own = columns["area"]
    for size, (low, high) in _RANGES.items():
        ignored = truth.crowd | ~_within(truth.areas, size)
        found = match(pairs, n_answers=len(answers), truth=truth, ignored=ignored)
        outside = ((own < low) | (own > high))[:, None] & (found.object < 0)
        columns[f"right_{size}"] = found.right @ _BITS
        columns[f"ignored_{size}"] = (found.ignored | outside) @ _BITS
    return columns


def _within(areas: np.ndarray, size: str) -> np.ndarray:
    low, high = _RANGES[size]
    return np.asarray((areas >= low) & (areas <= high))


def _areas(answers: Detections) -> np.ndarray:
    if answers.masks is not None:
        return np.array([mask.area for mask in answers.masks], dtype=np.float64)
    return np.asarray((answers.corners[:, 2:] - answers.corners[:, :2]).prod(axis=1))


def _at_point(answers: Detections, result: Judged, at: OperatingPoint) -> dict[str, np.ndarray]:
    counts = answers.scores >= at.confidence
    kind, meant = (np.full(len(answers), -1, dtype=np.int64) for _ in range(2))
    kind[counts] = [_KINDS.index(k) for k in result.kinds]
    meant[counts] = result.meant
    return {"kind": kind, "meant": meant}


def _object_columns(truth: Boxes, result: Judged) -> dict[str, np.ndarray]:
    return {
        "class": truth.classes,
        "area": truth.areas,
        "crowd": truth.crowd,
        "found": result.found,
        "said": result.said,
        "confidence": result.confidence,
        "missed": result.missed,
    }


def _lists(values: np.ndarray, image: np.ndarray, *, n: int) -> list[np.ndarray]:
    order = np.argsort(image, kind="stable")
    return np.split(values[order], np.searchsorted(image[order], np.arange(1, n)))


def _flat(scores: pd.DataFrame, name: str, dtype: type) -> NDArray[Any]:
    cells: list[NDArray[Any]] = [np.asarray(cell, dtype=dtype) for cell in scores[name]]
    return np.concatenate([*cells, np.zeros(0, dtype=dtype)])


def _places(scores: pd.DataFrame, name: str) -> NDArray[np.int64]:
    """The image of each entry of a column of lists."""
    return np.repeat(np.arange(len(scores)), [len(cell) for cell in scores[name]])


def _numbers(scores: pd.DataFrame, name: str) -> NDArray[np.int64]:
    """Which entry of its image each entry of a column of lists is."""
    counts = [np.arange(len(cell)) for cell in scores[name]]
    return np.concatenate([*counts, np.zeros(0, dtype=np.int64)])


def rows(dataset: Dataset, scores: pd.DataFrame, *, of: RowKind = "image") -> Rows:
    """Rows from `score`'s columns, by image, object or answer in the order of `dataset`.

    Images: right where every object is found and nothing else is said. Objects: right where found;
    crowds have no row. Answers at the operating point: right where they found an object; those on
    crowds have no row.
    """
    return {"image": _images, "object": _objects, "answer": _answers}[of](dataset, scores)


def _images(dataset: Dataset, scores: pd.DataFrame) -> Rows:
    n, n_classes = len(scores), len(dataset.classes)
    objects, answers = _objects(dataset, scores), _answers(dataset, scores)
    image = _places(scores, "object_class")[~_flat(scores, "object_crowd", bool)]
    kind = _flat(scores, "answer_kind", int)
    answer_image = _places(scores, "answer_class")[_counts(kind)]
    hits = np.bincount(image[objects.right], minlength=n)
    misses = np.bincount(image[~objects.right], minlength=n)
    alarms = np.bincount(answer_image[~answers.right & answers.known], minlength=n)
    sums = 2 * hits + alarms + misses
    # Nothing to find and nothing said is all right.
    f1 = np.divide(2 * hits, sums, out=np.ones(n), where=sums > 0)
    confidence = np.zeros(n)
    np.maximum.at(confidence, answer_image, answers.confidence)
    assert isinstance(objects.presence, Placed)
    assert isinstance(answers.presence, Placed)
    known = scores["known"].to_numpy(dtype=bool)
    return Rows(
        dataset=dataset,
        right=known & (misses == 0) & (alarms == 0),
        known=known,
        confidence=confidence,
        presence=Several(
            dataset.classes,
            _counted(image, objects.presence.truth, n, n_classes),
            _counted(answer_image, answers.presence.answers, n, n_classes),
            _outcomes(objects, image, answers, answer_image, shape=(n, n_classes)),
        ),
        amounts={
            "f1": Amount(f1, "higher", "", (0.0, 1.0)),
            "false-alarms": _amount_of(alarms),
            "not-found": _amount_of(misses),
        },
        headline="images-right",
    )


def _outcomes(
    objects: Rows, image: np.ndarray, answers: Rows, answer_image: np.ndarray,
    *, shape: tuple[int, int],
) -> csr_array:  # fmt: skip
    """What became of every object, and the answers beside these that are false alarms."""
    assert isinstance(objects.presence, Placed)
    assert isinstance(answers.presence, Placed)
    true, said = objects.presence.truth, objects.presence.answers
    wrong = ~answers.right & answers.known
    alarms = _counted(answer_image[wrong], answers.presence.answers[wrong], *shape)
    # An answer that an unfound object was called by is told with that object.
    taken = ~objects.right & (said >= 0)
    alarms = np.maximum(alarms - _counted(image[taken], said[taken], *shape), 0)
    row, label = np.nonzero(alarms)
    times = alarms[row, label]
    row, label = np.repeat(row, times), np.repeat(label, times)
    return outcomes_of(
        np.concatenate([image, row]),
        np.concatenate([true, np.full(len(row), -1)]),
        np.concatenate([said, label]),
        shape=shape,
    )


def _amount_of(counts: np.ndarray) -> Amount:
    """Counts an image; a sample without any may have missed images with one."""
    span = (0.0, max(1.0, float(counts.max(initial=0))))
    return Amount(counts.astype(np.float64), "lower", "per image", span)


def _counted(image: np.ndarray, classes: np.ndarray, n: int, n_classes: int) -> np.ndarray:
    cells = np.bincount(image * n_classes + classes, minlength=n * n_classes)
    return cells.reshape(n, n_classes)


def _objects(dataset: Dataset, scores: pd.DataFrame) -> Rows:
    kept = ~_flat(scores, "object_crowd", bool)
    classes, said = (_flat(scores, f"object_{n}", int)[kept] for n in ("class", "said"))
    lines = repeated(dataset, _places(scores, "object_class")[kept], classes)
    return Rows(
        dataset=with_object_groups(lines, dataset, kept),
        right=_flat(scores, "object_found", bool)[kept],
        known=np.ones(len(classes), dtype=bool),
        confidence=_flat(scores, "object_confidence", float)[kept],
        presence=Placed(dataset.classes, classes, said),
        flags={"unnoticed": _flat(scores, "object_missed", bool)[kept]},
        of="object",
        headline="objects-found",
        numbers=_numbers(scores, "object_class")[kept],
    )


def _answers(dataset: Dataset, scores: pd.DataFrame) -> Rows:
    kind = _flat(scores, "answer_kind", int)
    kept = _counts(kind)
    meant, said = (_flat(scores, f"answer_{n}", int)[kept] for n in ("meant", "class"))
    return Rows(
        dataset=repeated(dataset, _places(scores, "answer_class")[kept], meant),
        right=kind[kept] == _KINDS.index(AnswerKind.RIGHT),
        known=kind[kept] != _UNJUDGED,
        confidence=_flat(scores, "answer_score", float)[kept],
        presence=Placed(dataset.classes, meant, said),
        flags={name: kind[kept] == _KINDS.index(fault) for name, fault in FAULTS.items()},
        extents={n: _flat(scores, f"answer_{n}", float)[kept] for n in ("area", "aspect")},
        of="answer",
        headline="answers-right",
    )


def _counts(kind: np.ndarray) -> NDArray[np.bool_]:
    """Which answers are at the operating point, and not on what does not count."""
    return np.asarray((kind >= 0) & (kind != _KINDS.index(AnswerKind.IGNORED)))


def set_values(scores: pd.DataFrame, classes: tuple[str, ...]) -> tuple[Quantity, ...]:
    """Average precision at .5 to .95, at .5 and .75, of each of COCO's sizes, and of each class.

    All images must be annotated. Nothing where there is no object, nor of a class or size without
    one.
    """
    present, sizes = _present(scores)
    if not len(present):
        return ()
    n = len(classes)
    found = [average_precision_quantity(scores, n_classes=n, iou=iou) for iou in (None, 0.5, 0.75)]
    found += [average_precision_quantity(scores, n_classes=n, size=size) for size in sizes]
    for label in present:
        one = average_precision_quantity(scores, n_classes=n, label=label)
        name = classes[label]
        found.append(replace(one, keys={"class": name}, title=f"average precision of {name}"))
    return tuple(found)


def fixed_answer(dataset: Dataset, scores: pd.DataFrame) -> tuple[str, tuple[Quantity, ...]]:
    """The share of objects that the same boxes find in every image, as many as the model gives.

    Boxes alone, of masks too: that flatters the fixed answer.
    """
    n = (_flat(scores, "answer_kind", int) >= 0).sum() / max(len(scores), 1)
    given = min(max(math.ceil(n), 1), _MOST_FIXED)
    found = found_by_fixed_boxes(dataset, most=given, iou=IOU_THRESHOLDS[0])
    told = "the same box" if given == 1 else f"the same {given} boxes"
    return told, (Quantity("objects-found", found, "higher"),)


def _present(scores: pd.DataFrame) -> tuple[list[int], list[str]]:
    """Classes and sizes that some object is of."""
    counted = ~_flat(scores, "object_crowd", bool)
    areas = _flat(scores, "object_area", float)[counted]
    return (
        np.unique(_flat(scores, "object_class", int)[counted]).tolist(),
        [size for size in SIZES if _within(areas, size).any()],
    )


def errors_by_kind(scores: pd.DataFrame) -> dict[str, int]:
    """How many answers are wrong in which way, and how many objects no answer comes near."""
    kind = _flat(scores, "answer_kind", int)
    left_out = (AnswerKind.RIGHT, AnswerKind.IGNORED)
    counts = {k.value: int((kind == i).sum()) for i, k in enumerate(_KINDS) if k not in left_out}
    return {"missed": int(_flat(scores, "object_missed", bool).sum())} | counts


def ranked_answers(scores: pd.DataFrame, *, n_classes: int, size: str = "all") -> RankedAnswers:
    """The answers and objects of `score`'s columns, ready for average precision."""
    classes = _flat(scores, "object_class", int)
    counted = ~_flat(scores, "object_crowd", bool)
    counted &= _within(_flat(scores, "object_area", float), size)
    place = _places(scores, "object_class")[counted]
    right, ignored = (
        (_flat(scores, f"answer_{name}_{size}", int)[:, None] & _BITS) > 0
        for name in ("right", "ignored")
    )
    return RankedAnswers.of(
        image=_places(scores, "answer_class"),
        classes=_flat(scores, "answer_class", int),
        scores=_flat(scores, "answer_score", float),
        right=right,
        ignored=ignored,
        objects=_counted(place, classes[counted], len(scores), n_classes),
    )


def average_precision_quantity(
    scores: pd.DataFrame, *, n_classes: int, iou: float | None = None, label: int | None = None,
    size: str = "all",
) -> Quantity:  # fmt: skip
    """AP over the rows of images: mean of .5 to .95 where `iou` is None; of all classes or one.

    The overlap and the size stand in its name: ``ap-50``, ``ap-50-95``, ``ap-50-95-small``. All
    images must be annotated. ValueError where there is no object.
    """
    answers = ranked_answers(scores, n_classes=n_classes, size=size)
    if iou is not None:
        answers = answers.at(IOU_THRESHOLDS.index(iou))
    if label is not None:
        answers = answers.of_class(label)
    name = "ap-50-95" if iou is None else f"ap-{round(100 * iou)}"
    return set_value(name if size == "all" else f"{name}-{size}", _pseudo(answers), n=len(scores))


def _pseudo(answers: RankedAnswers) -> Callable[[np.ndarray], np.ndarray]:
    def of_set(keep: np.ndarray) -> np.ndarray:
        found = average_precision(answers.among(keep))
        if not found.n_classes:
            raise EmptySetError("average precision: found no object, expected one or more")
        return found.pseudo_observations

    return of_set
