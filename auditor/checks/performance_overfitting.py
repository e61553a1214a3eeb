"""performance/overfitting: how much better the model is on the images that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from auditor.comparing.two_samples import Sample, two_samples
from auditor.contract import Check, Evidence, Need, Predictions, Truth, Words
from auditor.contract.words import EITHER_WAY
from auditor.findings import Result, Subject
from auditor.scoring.comparison import worst_first

_SAMPLE = 2000


@dataclass(frozen=True)
class Overfitting(Check):
    """Accuracy on training images minus accuracy on test images.

    What it measures
    ----------------
    Accuracy on a seeded sample of 2,000 training images (taken by unit) minus accuracy on the
    sound test images. An image of a segmenter counts as right from a mean overlap (IoU) of 0.5 on.

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
    topic: ClassVar[str] = "whether it learnt its training images by heart"
    words: ClassVar = {
        "accuracy-gap": Words(
            title="Accuracy on training images minus accuracy on test images",
            span=EITHER_WAY,
            short="learnt by heart",
            sentence=(
                "Right on training images: {this}; on test images {other}; on training images "
                "{gap}.",
                "{right_means}",
            ),
            hundred="Of 100 images that it was trained on it answers {here} rightly; of 100 "
            "others, {there}.",
            sides=("Training images", "Test images"),
            action="train again with more varied images",
        )
    }
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
        rows = evidence.scored("test").with_truth
        test = Sample.right(rows)
        yield two_samples(
            "accuracy-gap",
            Subject.of(split="test"),
            here=Sample.right(evidence.scored("train", sample=_SAMPLE)),
            there=test,
            named=("the labelled training data", "the labelled test data"),
            better="lower",
            counted=test,
            examples=worst_first(rows.image_ids, badness=rows.confidence, among=~rows.right),
        )
