"""performance/per-class: which classes the model finds, and which of its answers hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from auditor.comparing.by_group import measure_cells
from auditor.comparing.interval_row import interval_row
from auditor.contract import Check, Evidence, LabelledSplits, Need, Words
from auditor.contract.numbers import percent
from auditor.contract.quantity_words import plain_words
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MIN_UNITS
from auditor.scoring.presence import Several
from auditor.scoring.quantities import rightly_called
from auditor.scoring.rates import mean_measure, rare_classes, rate_measure
from auditor.scoring.rows import Rows
from auditor.stats import value

Kind = Literal["recall", "precision"]


@dataclass(frozen=True)
class PerClass(Check):
    """Recall and precision of every class.

    What it measures
    ----------------
    Recall: of the images with a label, the share that is answered so. Precision: of the images
    with an answer, the share whose label it is; of a detector's boxes, one that says an object
    again is not right. Each with an interval that takes units into account.

    Why it matters
    --------------
    Accuracy is dominated by the common classes. The class that the system exists for is often
    rare, and a model may miss most of it while accuracy is high.

    How it can mislead
    ------------------
    Precision depends on how common the class is among the test images: where it is rarer in
    deployment than in the test, precision there is lower, with the same model. Of many classes
    some come out low by luck; the lowest of a thousand is not its own estimate. Classes with
    fewer than ten units are not measured, and are counted in one line when there are many.
    """

    id: ClassVar[str] = "performance/per-class"
    topic: ClassVar[str] = "each class"
    shown: ClassVar = "open"
    needs: ClassVar[tuple[Need, ...]] = (LabelledSplits(),)
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "recall": Words(
            title="Share of “{class}” that is found, {split} data",
            short="“{class}” found",
            column="share of “{class}” found",
            sentence="“{class}” found, {split} data: {count} of {n} = {value}.",
            action="train with more images of “{class}”, and test again",
            among="“{class}” {rows}",
            metric="recall",
        ),
        "precision": Words(
            title="Share of “{class}” answers that are right, {split} data",
            short="“{class}” answers right",
            column="share of “{class}” answers right",
            sentence="Answers “{class}” that are right, {split} data: {count} of {n} = {value}.",
            action="train with more images that are taken for “{class}”, and test again",
            among="{rows} called “{class}”",
            metric="precision",
        ),
        **{name: words for name, words in plain_words().items() if name in ("ap-50-95", "iou")},
    }
    sources: ClassVar[tuple[str, ...]] = ("Wilson (1927), doi:10.1080/01621459.1927.10502953",)

    listed_one_by_one: Annotated[
        int, "Up to this many classes, each class that is too rare is named by itself."
    ] = 20
    drawn: Annotated[int, "The figure shows this many classes, those with the lowest recall."] = 40

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split in evidence.labelled_splits():
            rows = evidence.scored(split).with_truth
            answers = evidence.scored(split, of="answer").with_truth
            by_kind: dict[str, list[Measure | Unmeasured]] = {
                "recall": [_of_class(rows, name, kind="recall") for name in rows.classes],
                "precision": [_of_class(answers, name, kind="precision") for name in rows.classes],
            }
            by_kind |= _set_values(evidence, split)
            for kind, results in by_kind.items():
                yield from (r for r in results if isinstance(r, Measure))
                rare = [r for r in results if isinstance(r, Unmeasured)]
                noun = "such answers" if kind == "precision" else "images with that label"
                yield from rare_classes(rare, noun=noun, most=self.listed_one_by_one)
            found = by_kind["recall"]
            if any(isinstance(r, Measure) for r in found):
                yield _forest(split, rows.classes, found, most=self.drawn)
            if not isinstance(rows.presence, Several):
                yield _table(rows, answers, found, by_kind["precision"])


def _set_values(evidence: Evidence, split: str) -> dict[str, list[Measure | Unmeasured]]:
    """What a set of images has of each class (average precision, overlap), by name."""
    rows = evidence.scored(split, of="image").with_truth
    found: dict[str, list[Measure | Unmeasured]] = {}
    for quantity in evidence.set_values(split):
        if "class" in quantity.keys:
            found.setdefault(quantity.name, []).append(mean_measure(quantity, rows))
    return found


def _of_class(rows: Rows, name: str, *, kind: Kind) -> Measure | Unmeasured:
    """The share that is right among the rows of a class, or among those where it is called."""
    recall = kind == "recall"
    images = rows.take(rows.present(name) if recall else rows.called(name))
    return rate_measure(
        kind,
        subject=Subject.about({"class": name}, split=rows.split),
        among=images,
        success=images.called(name) if recall else rightly_called(images, name),
        better="higher",
        of=f'label "{name}"' if recall else f'answer "{name}"',
    )


def _forest(
    split: str, classes: Sequence[str], found: Sequence[Measure | Unmeasured], *, most: int
) -> Figure:
    measured = [(c, m) for c, m in zip(classes, found, strict=True) if isinstance(m, Measure)]
    measured.sort(key=lambda entry: value(entry[1].estimate))
    shown = measured[:most]
    worst, lowest = shown[0]
    return Figure(
        id=PerClass.shown_id("recall", split),
        kind="forest",
        title=f"Share of each class that is found, {split} data",
        caption=f"The share with its 95% interval, lowest first: {len(shown)} of {len(classes)} "
        f"classes. Classes with fewer than {MIN_UNITS} units are left out.",
        alt=f"Intervals of the share found for {len(shown)} classes. Lowest is {worst}: "
        f"{percent(value(lowest.estimate))}% of {lowest.n:,}.",
        x=Axis("share of the class that is found", "share"),
        y=Axis("class"),
        rows=tuple(interval_row(name, m.estimate, n=m.n) for name, m in shown),
    )


def _table(
    rows: Rows,
    answers: Rows,
    found: Sequence[Measure | Unmeasured],
    held: Sequence[Measure | Unmeasured],
) -> Table:
    wrong = rows.presence.confusion()
    objects = wrong.sum(axis=1)
    np.fill_diagonal(wrong, 0)
    lines = []
    for i, name in enumerate(rows.classes):
        called = [*rows.classes, "nothing"]
        instead = called[int(wrong[i].argmax())] if wrong[i].any() else None
        # Those of a detector are boxes, also where there is no object.
        said, right = int(answers.called(name).sum()), int(rightly_called(answers, name).sum())
        f1 = 2 * right / (int(objects[i]) + said) if objects[i] + said else None
        head: tuple[Cell, ...] = (name, int(objects[i]), said)
        lines.append((*head, *_cells(found[i]), *_cells(held[i]), f1, instead))
    shares = [f"{kind}{end}" for kind in ("recall", "precision") for end in ("", " low", " high")]
    names = ("class", rows.noun, "answers", *shares, "F1", "most often taken for")
    return Table(
        id=PerClass.shown_id("classes", rows.split),
        title=f"Recall and precision of every class, {rows.split} data",
        columns=tuple(Column(n, "share" if 3 <= i < 10 else "") for i, n in enumerate(names)),
        rows=tuple(lines),
    )


def _cells(result: Measure | Unmeasured) -> tuple[Cell, ...]:
    return measure_cells(result if isinstance(result, Measure) else None)
