"""performance/overfitting: how much better the model is on the images that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.contract import Check, Evidence, Need, Predictions, Truth
from auditor.findings import Measure, Result, Subject
from auditor.scoring.comparison import (
    points_text,
    rate_details,
    rate_text,
    too_few,
    worst_first,
)
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import independent, n_units
from auditor.stats import rate, two_sample_difference

_SAMPLE = 2000


@dataclass(frozen=True)
class Overfitting(Check):
    """Accuracy on train images minus accuracy on test images.

    What it measures
    ----------------
    Accuracy on a seeded sample of 2,000 train images (taken by unit) minus accuracy on the
    sound test images.

    Why it matters
    --------------
    A model that is right on what it has seen and wrong on what it has not has learnt its
    images, not its task. A large gap says that accuracy on new rooms, persons or places will be
    lower than any number measured near the training data.

    How it can mislead
    ------------------
    Train images are usually scored without the augmentation that they were trained with, which
    widens the gap harmlessly. A gap of nothing is no evidence that the model generalises: where
    test images were seen in training (see data/leakage), or come from the same rooms, there is
    none to see. Train and test may also differ in their classes or their difficulty.
    """

    id: ClassVar[str] = "performance/overfitting"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Truth(),
        Predictions(split="train", sample=_SAMPLE),
        Truth(split="train"),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        train = evidence.outcomes("train", sample=_SAMPLE).with_labels()
        test = evidence.outcomes("test").with_labels()
        subject = Subject.of(split="test")
        sides = {
            "the labelled train data": independent(train),
            "the labelled test data": independent(test),
        }
        units = train.units is not None or test.units is not None
        few = too_few("accuracy-gap", subject, sides=sides, noun="units" if units else "images")
        yield few or _gap(train, test, subject)


def _gap(train: Outcomes, test: Outcomes, subject: Subject) -> Measure:
    gap = two_sample_difference(
        train.correct, test.correct, unit_a=_units(train, test), unit_b=_units(test, train)
    )
    seen, unseen = rate(train.correct, unit=train.units), rate(test.correct, unit=test.units)
    return Measure(
        name="accuracy-gap",
        subject=subject,
        estimate=gap,
        unit="share",
        better="lower",
        n=len(test),
        n_units=n_units(test),
        examples=worst_first(test.image_ids, badness=test.confidence, among=~test.correct),
        details={
            "rate": rate_details(seen, n=len(train)),
            "rest": rate_details(unseen, n=len(test)),
            "sentence": f"Right on train images: {rate_text(seen, n=len(train))}; on test images "
            f"{rate_text(unseen, n=len(test))}; train is {points_text(gap)}.",
        },
    )


def _units(outcomes: Outcomes, other: Outcomes) -> np.ndarray | None:
    """Units of one side; its images where only the other side names units."""
    if outcomes.units is None and other.units is not None:
        return np.arange(len(outcomes))
    return outcomes.units
