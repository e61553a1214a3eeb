"""performance/overall: how often the model is right, over all images of a split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import Check, Evidence, Need, Predictions, Truth
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.accuracy import (
    balanced_accuracy,
    confusion_matrix,
    in_top,
    log_losses,
    macro_f1,
)
from auditor.scoring.comparison import worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import n_units, rate_measure
from auditor.stats import Estimate

_TRAIN_SAMPLE = 2000
_OTHERS: tuple[tuple[Predictions, Truth], ...] = (
    (
        Predictions(split="train", sample=_TRAIN_SAMPLE, optional=True),
        Truth(split="train", optional=True),
    ),
    (Predictions(split="deployment", optional=True), Truth(split="deployment", optional=True)),
)


@dataclass(frozen=True)
class Overall(Check):
    """How often the model's answer is the label, over all labelled images.

    What it measures
    ----------------
    Accuracy: the share of sound test images whose likeliest class is their label. Beside it
    balanced accuracy (the mean of the classes' recalls, so that rare classes count as much as
    common ones), macro F1, the share whose label is among the five likeliest (from ten classes
    on), and log-loss (how far its probabilities are from the truth, in nats). Accuracy is also
    given for labelled train images (a sample) and labelled deployment images. Intervals take
    units (rooms, persons) into account: many photos of few rooms make them wide.

    Why it matters
    --------------
    It is the number that most claims are made of, and every other finding is read beside it.

    How it can mislead
    ------------------
    Accuracy over everyone says little of a rare class or a small group: with 95% of images of
    one class, answering that class always is right 95% of the time (see performance/baseline).
    It holds for images like the test images; where the deployment differs, so does it. Wrong
    labels count as errors of the model, and as its successes where it repeats them. Log-loss of
    a quantised model depends on the floor that replaces probabilities of 0; the floor and the
    number of images that it touched are in the details.
    """

    id: ClassVar[str] = "performance/overall"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Truth(),
        *(need for pair in _OTHERS for need in pair),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Brodersen, Ong, Stephan & Buhmann (2010), doi:10.1109/ICPR.2010.764 (balanced accuracy)",
        "Rao & Scott (1992), doi:10.2307/2532311 (effective counts)",
    )

    largest_matrix: Annotated[int, "The confusion matrix is drawn up to this many classes."] = 20

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.outcomes("test").with_labels()
        accuracy = _accuracy(outcomes, split="test")
        yield accuracy
        if isinstance(accuracy, Measure):
            yield from _averages(outcomes)
            yield _top_five(outcomes)
            yield _confusions(outcomes)
            if len(outcomes.classes) <= self.largest_matrix:
                yield _confusion_figure(outcomes)
        for predictions, truth in _OTHERS:
            if evidence.has(predictions) and evidence.has(truth):
                found = evidence.outcomes(predictions.split, sample=predictions.sample)
                yield _accuracy(found.with_labels(), split=predictions.split)


def _accuracy(outcomes: Outcomes, *, split: str) -> Measure | Unmeasured:
    return rate_measure(
        "accuracy",
        subject=Subject.of(split=split),
        outcomes=outcomes,
        success=outcomes.correct,
        better="higher",
        of=f"the labelled {split} data",
        said=f"Right answers on {split} images",
    )


def _top_five(outcomes: Outcomes) -> Measure | Unmeasured:
    subject = Subject.of(split="test")
    if len(outcomes.classes) < 10:
        return Unmeasured(
            name="top-5-accuracy",
            subject=subject,
            reason=f"The model has {len(outcomes.classes)} classes; the five likeliest of fewer "
            "than ten are most of them.",
            remedy="Read accuracy instead.",
        )
    return rate_measure(
        "top-5-accuracy",
        subject=subject,
        outcomes=outcomes,
        success=in_top(outcomes.probabilities, outcomes.labels, k=5),
        better="higher",
        of="the labelled test data",
        said="Label among the five likeliest classes",
    )


def _averages(outcomes: Outcomes) -> Iterator[Measure]:
    n_classes, unit = len(outcomes.classes), outcomes.units
    absent = n_classes - len(np.unique(outcomes.labels))
    for name, average in (("balanced-accuracy", balanced_accuracy), ("macro-f1", macro_f1)):
        estimate = average(outcomes.labels, outcomes.predicted, n_classes=n_classes, unit=unit)
        yield _measure(name, outcomes, estimate, details={"classes_without_images": absent})
    losses = log_losses(outcomes.probabilities, outcomes.labels)
    details: dict[str, object] = {"floor": losses.floor, "clipped": losses.clipped}
    yield _measure("log-loss", outcomes, losses.mean(unit=unit), details=details)


def _measure(
    name: str, outcomes: Outcomes, estimate: Estimate, *, details: dict[str, object]
) -> Measure:
    is_loss = name == "log-loss"
    return Measure(
        name=name,
        subject=Subject.of(split="test"),
        estimate=estimate,
        unit="nats" if is_loss else "share",
        better="lower" if is_loss else "higher",
        n=len(outcomes),
        n_units=n_units(outcomes),
        examples=worst_first(
            outcomes.image_ids, badness=-outcomes.true_probability, among=~outcomes.correct
        ),
        details=details,
    )


def _confusions(outcomes: Outcomes) -> Table:
    """Pairs of label and wrong answer, commonest first."""
    counts = confusion_matrix(outcomes.labels, outcomes.predicted, n_classes=len(outcomes.classes))
    sizes = counts.sum(axis=1)
    pairs = [(t, a) for t, a in np.argwhere(counts).tolist() if t != a]
    pairs.sort(key=lambda pair: (-counts[pair], pair))
    names = outcomes.classes
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (names[t], names[a], int(counts[t, a]), float(counts[t, a] / sizes[t])) for t, a in pairs
    )
    return Table(
        id="performance/overall:confusions",
        title="Which class is taken for which, commonest first",
        columns=(
            Column("label"),
            Column("answer"),
            Column("images"),
            Column("of the label's images", "share"),
        ),
        rows=rows,
    )


def _confusion_figure(outcomes: Outcomes) -> Figure:
    names = outcomes.classes
    counts = confusion_matrix(outcomes.labels, outcomes.predicted, n_classes=len(names))
    sizes = counts.sum(axis=1)
    rows = tuple(
        {
            "row": names[t],
            "column": names[a],
            "value": float(counts[t, a] / sizes[t]) if sizes[t] else None,
            "text": str(int(counts[t, a])),
        }
        for t in range(len(names))
        for a in range(len(names))
    )
    right = int(np.trace(counts))
    return Figure(
        id="performance/overall:confusion",
        kind="heat",
        title="Labels and answers",
        caption="Number of test images for each label (row) and answer (column). The shade is "
        "the share of the row.",
        alt=f"Confusion matrix of {len(names)} classes: {right} of {int(counts.sum())} test images "
        "lie on the diagonal, where the answer is the label.",
        x=Axis("answer"),
        y=Axis("label"),
        rows=rows,
    )
