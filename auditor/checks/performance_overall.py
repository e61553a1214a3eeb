"""performance/overall: how often the model is right, over all images of a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import (
    Check,
    ClassScores,
    Evidence,
    LabelledSplits,
    Need,
    Predictions,
    Truth,
    Words,
)
from auditor.contract.quantity_words import plain_words
from auditor.contract.words import FROM_0
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Measured,
    Result,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.accuracy import (
    balanced_accuracy,
    confusion_matrix,
    in_top,
    log_losses,
    macro_f1,
)
from auditor.scoring.comparison import worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.quantities import amount
from auditor.scoring.rates import mean_measure, n_units, rate_measure
from auditor.scoring.rows import Rows
from auditor.stats import Estimate

_TRAIN_SAMPLE = 2000
_TRAIN = (
    Predictions(split="train", sample=_TRAIN_SAMPLE, optional=True),
    Truth(split="train", optional=True),
)
_SCORES = ClassScores(optional=True)


@dataclass(frozen=True)
class Overall(Check):
    """How often the model's answer is the label, over all labelled images.

    What it measures
    ----------------
    Accuracy: the share of images whose likeliest class is their label. Beside it
    balanced accuracy (the mean of the classes' recalls, so that rare classes count as much as
    common ones), macro F1, the share whose label is among the five likeliest (from ten classes
    on), and log-loss (how far its probabilities are from the truth, in nats). All are given for
    test and for labelled deployment images, accuracy for a sample of labelled training images too.
    Intervals take units (rooms, persons) into account: many photos of few rooms make them wide.

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
    number of images that it touched are in the details. Where annotators leave a ring around
    things undecided (void), the pixels that are hardest do not count, and overlap is higher than
    where every pixel has a class.
    An image of a segmenter counts as right, here and in other checks, from a mean overlap (IoU)
    of 0.5 on over the classes that it holds: half of it may be wrong, and other classes drawn in.
    """

    id: ClassVar[str] = "performance/overall"
    topic: ClassVar[str] = "how often it is right"
    shown: ClassVar = "open"
    needs: ClassVar[tuple[Need, ...]] = (LabelledSplits(), _SCORES, *_TRAIN)
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "accuracy": Words(
            title="Accuracy on the {split} images",
            short="accuracy",
            sentence="Right answers on {split} images: {count} of {n} = {value}.",
            action="train and test again",
            metric="accuracy",
            headline="On {place}: {value} right, {n:rows}.",
        ),
        "balanced-accuracy": Words(
            title="Mean share found over the classes, {split} images",
            short="mean share found",
            metric="balanced-accuracy",
        ),
        "macro-f1": Words(
            title="Mean F1 over the classes, {split} images", short="mean F1", metric="f1"
        ),
        "log-loss": Words(
            title="Log-loss on the {split} images (how sure it was of wrong answers)",
            span=FROM_0,
            short="log-loss",
        ),
        "top-5-accuracy": Words(
            title="Label among the five likeliest classes, {split} images",
            short="label among the likeliest five",
            sentence="Label among the five likeliest classes: {count} of {n} = {value}.",
            metric="top-5-accuracy",
        ),
        **plain_words(),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Brodersen, Ong, Stephan & Buhmann (2010), doi:10.1109/ICPR.2010.764 (balanced accuracy)",
        "Rao & Scott (1992), doi:10.2307/2532311 (effective counts)",
    )

    largest_matrix: Annotated[int, "The confusion matrix is drawn up to this many classes."] = 20

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split in evidence.labelled_splits():
            accuracy = _headline(evidence.scored(split))
            yield accuracy
            if isinstance(accuracy, Measure) and evidence.has(_SCORES):
                yield from self._of_classes(evidence.answers(split).with_labels())
            else:
                yield from _further(evidence, split)
        predictions, truth = _TRAIN
        if evidence.has(predictions) and evidence.has(truth):
            yield _headline(evidence.scored("train", sample=predictions.sample))

    def _of_classes(self, outcomes: Outcomes) -> Iterator[Result]:
        yield from _averages(outcomes)
        yield _top_five(outcomes)
        yield _confusions(outcomes)
        if len(outcomes.classes) <= self.largest_matrix:
            yield _confusion_figure(outcomes)


def _further(evidence: Evidence, split: str) -> Iterator[Measured]:
    """What a detector or a segmenter has beside its headline, by kind of row and of whole sets."""
    for of in evidence.kinds:
        rows = evidence.scored(split, of=of).with_truth
        if of != evidence.kinds[0]:
            yield _headline(rows)
        for name in rows.amounts:
            yield mean_measure(amount(rows, name), rows)
    rows = evidence.scored(split, of="image").with_truth
    whole = (quantity for quantity in evidence.set_values(split) if not quantity.keys)
    yield from (mean_measure(quantity, rows) for quantity in whole)


def _headline(rows: Rows) -> Measure | Unmeasured:
    rows = rows.with_truth
    return rate_measure(
        rows.headline,
        subject=Subject.of(split=rows.split),
        among=rows,
        success=rows.right,
        better="higher",
        of=f"the labelled {rows.split} data",
    )


def _top_five(outcomes: Outcomes) -> Measure | Unmeasured:
    split = outcomes.dataset.split
    if len(outcomes.classes) < 10:
        return Unmeasured(
            name="top-5-accuracy",
            subject=Subject.of(split=split),
            reason=f"The model has {len(outcomes.classes)} classes; the five likeliest of fewer "
            "than ten are most of them.",
            remedy="Read accuracy instead.",
        )
    return rate_measure(
        "top-5-accuracy",
        subject=Subject.of(split=split),
        among=outcomes,
        success=in_top(outcomes.probabilities, outcomes.labels, k=5),
        better="higher",
        of=f"the labelled {split} data",
    )


def _averages(outcomes: Outcomes) -> Iterator[Measure]:
    n_classes, unit = len(outcomes.classes), outcomes.unit_codes
    absent = n_classes - len(np.unique(outcomes.labels))
    for name, average in (("balanced-accuracy", balanced_accuracy), ("macro-f1", macro_f1)):
        estimate = average(outcomes.labels, outcomes.predicted, n_classes=n_classes, unit=unit)
        yield _measure(name, outcomes, estimate, facts={"classes_without_images": absent})
    losses = log_losses(outcomes.probabilities, outcomes.labels)
    facts: dict[str, object] = {"floor": losses.floor, "clipped": losses.clipped}
    yield _measure("log-loss", outcomes, losses.mean(unit=unit), facts=facts)


def _measure(
    name: str, outcomes: Outcomes, estimate: Estimate, *, facts: dict[str, object]
) -> Measure:
    is_loss = name == "log-loss"
    return Measure(
        name=name,
        subject=Subject.of(split=outcomes.dataset.split),
        estimate=estimate,
        scale="amount" if is_loss else "share",
        unit="nats" if is_loss else "",
        least=0.0 if is_loss else None,
        better="lower" if is_loss else "higher",
        n=len(outcomes),
        n_units=n_units(outcomes),
        examples=worst_first(
            outcomes.image_ids, badness=-outcomes.true_probability, among=~outcomes.correct
        ),
        facts=facts,
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
        id=Overall.shown_id("confusions", outcomes.dataset.split),
        title=f"Which class is taken for which, commonest first, {outcomes.dataset.split} data",
        columns=(
            Column("label"),
            Column("answer"),
            Column("images"),
            Column("of the label's images", "share"),
        ),
        rows=rows,
    )


def _confusion_figure(outcomes: Outcomes) -> Figure:
    names, split = outcomes.classes, outcomes.dataset.split
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
        id=Overall.shown_id("confusion", split),
        kind="heat",
        title=f"Labels and answers, {split} data",
        caption=f"Number of {split} images for each label (row) and answer (column). The shade is "
        "the share of the row.",
        alt=f"Confusion matrix of {len(names)} classes: {right} of {int(counts.sum())} {split} "
        "images lie on the diagonal, where the answer is the label.",
        x=Axis("answer"),
        y=Axis("label"),
        rows=rows,
    )
