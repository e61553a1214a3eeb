"""performance/per-class: which classes the model finds, and which of its answers hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from auditor.contract import Check, Evidence, Need, Predictions, Truth
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.accuracy import confusion_matrix, f1_scores
from auditor.scoring.comparison import MIN_UNITS
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import rate_measure
from auditor.stats import value

Kind = Literal["recall", "precision"]


@dataclass(frozen=True)
class PerClass(Check):
    """Recall and precision of every class.

    What it measures
    ----------------
    Recall: of the test images with a label, the share that is answered so. Precision: of the
    test images with an answer, the share whose label it is. Each with an interval that takes
    units into account.

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
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth())
    sources: ClassVar[tuple[str, ...]] = ("Wilson (1927), doi:10.1080/01621459.1927.10502953",)

    listed_one_by_one: Annotated[
        int, "Up to this many classes, each class that is too rare is named by itself."
    ] = 20
    drawn: Annotated[int, "The figure shows this many classes, those with the lowest recall."] = 40

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.outcomes("test").with_labels()
        found = _measured(outcomes, outcomes.labels, kind="recall")
        held = _measured(outcomes, outcomes.predicted, kind="precision")
        for kind, results in (("recall", found), ("precision", held)):
            yield from (r for r in results if isinstance(r, Measure))
            yield from self._unmeasured(kind, [r for r in results if isinstance(r, Unmeasured)])
        if any(isinstance(r, Measure) for r in found):
            yield _forest(outcomes.classes, found, most=self.drawn)
        yield _table(outcomes, found, held)

    def _unmeasured(self, kind: str, rare: list[Unmeasured]) -> Iterator[Unmeasured]:
        if len(rare) <= self.listed_one_by_one:
            yield from rare
            return
        noun = "images with that label" if kind == "recall" else "such answers"
        said = f"{len(rare)} classes with fewer than {MIN_UNITS} units"
        yield Unmeasured(
            name=kind,
            subject=Subject.of(split="test", classes=said),
            reason=f"{said[0].upper()}{said[1:]} ({noun}) give no {kind}; the table lists them.",
            remedy=f"Collect at least {MIN_UNITS} units of each class that matters.",
        )


def _measured(
    outcomes: Outcomes, classes_of: np.ndarray, *, kind: Kind
) -> list[Measure | Unmeasured]:
    """The share that is right among the images of each class, `classes_of` (n,) being the class."""
    order = np.argsort(classes_of, kind="stable")
    starts = np.searchsorted(classes_of[order], np.arange(len(outcomes.classes) + 1))
    return [
        _of_class(outcomes.take(order[starts[i] : starts[i + 1]]), name, kind=kind)
        for i, name in enumerate(outcomes.classes)
    ]


def _of_class(images: Outcomes, name: str, *, kind: Kind) -> Measure | Unmeasured:
    recall = kind == "recall"
    return rate_measure(
        kind,
        subject=Subject.about({"class": name}, split="test"),
        outcomes=images,
        success=images.correct,
        better="higher",
        of=f'label "{name}"' if recall else f'answer "{name}"',
        said=f'"{name}" found' if recall else f'Answers "{name}" that are right',
    )


def _forest(classes: Sequence[str], found: Sequence[Measure | Unmeasured], *, most: int) -> Figure:
    measured = [(c, m) for c, m in zip(classes, found, strict=True) if isinstance(m, Measure)]
    measured.sort(key=lambda entry: value(entry[1].estimate))
    shown = measured[:most]
    worst, lowest = shown[0]
    return Figure(
        id="performance/per-class:recall",
        kind="forest",
        title="Share of each class that is found",
        caption=f"Recall with its 95% interval, lowest first: {len(shown)} of {len(classes)} "
        f"classes. Classes with fewer than {MIN_UNITS} units are left out.",
        alt=f"Intervals of recall for {len(shown)} classes. Lowest is {worst}: "
        f"{lowest.details['sentence']}",
        x=Axis("recall", "share"),
        y=Axis("class"),
        rows=tuple({"label": name, **m.details["rate"]} for name, m in shown),
    )


def _table(
    outcomes: Outcomes,
    found: Sequence[Measure | Unmeasured],
    held: Sequence[Measure | Unmeasured],
) -> Table:
    counts = confusion_matrix(outcomes.labels, outcomes.predicted, n_classes=len(outcomes.classes))
    f1 = f1_scores(counts)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    rows = []
    for i, name in enumerate(outcomes.classes):
        instead = outcomes.classes[int(wrong[i].argmax())] if wrong[i].any() else None
        head: tuple[Cell, ...] = (name, int(counts[i].sum()), int(counts[:, i].sum()))
        score = None if np.isnan(f1[i]) else float(f1[i])
        rows.append((*head, *_cells(found[i]), *_cells(held[i]), score, instead))
    shares = [f"{kind}{end}" for kind in ("recall", "precision") for end in ("", " low", " high")]
    names = ("class", "images", "answers", *shares, "F1", "most often taken for")
    return Table(
        id="performance/per-class:classes",
        title="Recall and precision of every class",
        columns=tuple(Column(n, "share" if 3 <= i < 10 else "") for i, n in enumerate(names)),
        rows=tuple(rows),
    )


def _cells(result: Measure | Unmeasured) -> tuple[Cell, ...]:
    if isinstance(result, Unmeasured):
        return (None, None, None)
    ends = result.details["rate"]
    return (ends["value"], ends["low"], ends["high"])
