"""performance/boxes: what is wrong with a detector's boxes, and what each confidence buys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import Boxes, Check, Evidence, LabelledSplits, Need, Words
from auditor.contract.numbers import percent
from auditor.contract.quantity_words import plain_words
from auditor.findings import Axis, Cell, Column, Figure, Measured, Result, Subject, Table
from auditor.scoring.average_precision import RankedAnswers
from auditor.scoring.matching import IOU_THRESHOLDS
from auditor.scoring.rates import rate_measure
from auditor.scoring.rows import Rows

_SHOWN = {
    "unnoticed": "train with more images of what is passed over, and test again",
    "duplicate": "suppress the further boxes of an object more strictly, and test again",
    "wrong-class": "have the labels of what is confused looked at, and train again",
    "poor-box": "have the boxes of what lies poorly looked at, and train again",
    "wrong-class-and-box": "have labels and boxes of what is confused looked at, and train again",
    "background": "raise the confidence from which a box counts, and test again",
}
"""Kinds of errors as they are shown, and what to do about each."""


@dataclass(frozen=True)
class BoxFaults(Check):
    """Errors of a detector by their kind, and precision against recall over all confidences.

    What it measures
    ----------------
    Of the boxes from the operating point on, the share that say an object twice, name the wrong
    class at the right place, lie poorly on an object of their class, both, or are where nothing
    is; of the objects, the share that no box comes near. The kinds are those of TIDE; a box is of
    the first that holds of it. The curve shows, for every confidence from which boxes could count,
    the share of objects found (recall) and of boxes that are right (precision), at an overlap of
    .5.

    Why it matters
    --------------
    Two detectors of one average precision fail in ways that ask for other cures: boxes said twice
    for another suppression, wrong classes for other labels, missed objects for other images, boxes
    in the background for a higher confidence. Where a box has a cost, the curve is the choice.

    How it can mislead
    ------------------
    A box in the background may be an object that nobody annotated. A poor box may be a poor
    annotation. Crowds are left out. The operating point is the spec's: at another one the shares
    are other ones. Classes that are rare hardly show in a curve over all.
    """

    id: ClassVar[str] = "performance/boxes"
    topic: ClassVar[str] = "what is wrong with its boxes"
    shown: ClassVar = "open"
    needs: ClassVar[tuple[Need, ...]] = (Boxes(), LabelledSplits())
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        name: replace(words, action=_SHOWN[name])
        for name, words in plain_words().items()
        if name in _SHOWN and isinstance(words, Words)
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Bolya, Foley, Hays & Hoffman (2020), arXiv:2008.08115 (kinds of errors: TIDE)",
        "Lin, Maire, Belongie et al. (2014), arXiv:1405.0312 (crowds, sizes, overlaps)",
    )

    points: Annotated[int, "Points of the curve that are drawn at most."] = 60

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split in evidence.labelled_splits():
            objects = evidence.scored(split, of="object").with_truth
            answers = evidence.scored(split, of="answer").with_truth
            yield from _faults(objects)
            yield from _faults(answers)
            yield _table(objects, answers)
            if split == "test" and len(objects):
                yield _curve(evidence.ranked(split), split, most=self.points)


def _faults(rows: Rows) -> Iterator[Measured]:
    for name, flagged in rows.flags.items():
        yield rate_measure(
            name,
            subject=Subject.of(split=rows.split),
            among=rows,
            success=flagged,
            better="lower",
            of=f"the {rows.noun} of the labelled {rows.split} data",
        )


def _table(objects: Rows, answers: Rows) -> Table:
    """Counts of each kind of error, of all and by class."""
    counted: list[tuple[Cell, ...]] = []
    for name in ("all", *objects.classes):
        found = objects if name == "all" else objects.take(objects.present(name))
        said = answers if name == "all" else answers.take(answers.called(name))
        faults = {**found.flags, **said.flags}
        counts = (int(faults[fault].sum()) for fault in _SHOWN)
        counted.append((name, len(found), int(found.right.sum()), len(said), *counts))
    heads = ("class", "objects", "found", "boxes", *(name.replace("-", " ") for name in _SHOWN))
    return Table(
        id=BoxFaults.shown_id("faults", objects.split),
        title=f"What is wrong with the boxes of each class, {objects.split} data",
        columns=tuple(Column(head) for head in heads),
        rows=tuple(counted),
    )


def _curve(ranked: RankedAnswers, split: str, *, most: int) -> Figure:
    """Precision and recall over all classes, from every confidence on, at the lowest overlap."""
    counts = ranked.counted[:, 0]
    order = np.argsort(-ranked.scores[counts], kind="stable")
    right = ranked.right[counts][order, 0]
    found, said = np.cumsum(right), np.arange(1, len(right) + 1)
    n = max(int(ranked.objects.sum()), 1)
    at = np.unique(np.linspace(0, len(right) - 1, min(most, len(right))).astype(int)).tolist()
    rows: tuple[dict[str, Cell], ...] = tuple(
        {
            "x": float(found[i] / n),
            "y": float(found[i] / said[i]),
            "series": f"overlap {IOU_THRESHOLDS[0]:g}",
        }
        for i in at
    )
    best = percent(float(found[-1] / n)) if len(right) else "0"
    return Figure(
        id=BoxFaults.shown_id("curve", split),
        kind="line",
        title=f"Boxes that are right against objects that are found, {split} data",
        caption="Each point is a confidence from which boxes could count: the share of objects "
        "that is found then, and the share of boxes that is right, over all classes.",
        alt="Boxes that are right against objects found; "
        f"with all boxes {best}% of {n:,} objects are found.",
        x=Axis("objects found", "share"),
        y=Axis("boxes that are right", "share"),
        rows=rows,
    )
