"""shift/accuracy: what accuracy is lost between the test images and where the model will run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.comparing.two_samples import Sample, two_samples, two_set_values
from auditor.contract import Check, Evidence, Need, Predictions, Truth, Words
from auditor.contract.quantity_words import lost_words
from auditor.contract.words import EITHER_WAY
from auditor.findings import Measure, Question, Result, Subject
from auditor.scoring.comparison import worst_first
from auditor.shift.loss_parts import SEEN, parts_of_loss
from auditor.shift.sides import same_images
from auditor.stats import p_value

SHOWN = 0.05


@dataclass(frozen=True)
class AccuracyLost(Check):
    """Accuracy on the test images minus accuracy on labelled deployment images.

    What it measures
    ----------------
    The share of test images answered rightly minus the same share of deployment images, as of
    two samples drawn independently, by units where the manifest names them. Where a loss is
    shown it is also told in three parts that sum to it. `lost-with-mix`: what another mix of
    classes alone would cost, classes of the test images being weighed to be as common as there.
    `lost-with-images`: what goes with more images of a look that is rarer in the test, and
    `lost-alike`: what is lost on images of one look, by eight groups of how much an image looks
    like one from there (to a classifier that sees the model's embedding, or the images'
    properties, and saw none of the image's unit).

    Why it matters
    --------------
    This is what a change of surroundings costs, in the terms of the claim. Differences between
    images can be harmless or fatal; only labels from the place of use tell which.

    How it can mislead
    ------------------
    Deployment labels must be a random sample: labels of the cases that someone complained about
    make the model look worse, labels that copy its answers make it look better. Where one class
    is commoner in deployment, accuracy moves with that mix although the model errs as before.
    Deployment images gathered in one week speak of that week. Images alike by these groups may
    still differ in what the model's embedding does not hold, so that `lost-alike` is no proof that
    labels mean something else there. Where hardly any image of one split looks like one of the
    other, the last two parts are not told. An image of a segmenter counts as right from a mean
    overlap (IoU) of 0.5 on.
    """

    id: ClassVar[str] = "shift/accuracy"
    topic: ClassVar[str] = "accuracy where it will run"
    question: ClassVar[Question | None] = Question.MATCHES
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(split="test"),
        Predictions(split="deployment"),
        Truth(split="test"),
        Truth(split="deployment"),
        *SEEN,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Cai, Namkoong & Yadlowsky (2025), doi:10.1287/opre.2023.0217 (parts of a loss)",
        "Koh, Sagawa et al. (2021), arXiv:2012.07421 (accuracy lost in the wild)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "lost": (
            Words(
                title="Accuracy lost on the data of where it will run",
                span=EITHER_WAY,
                short="accuracy lost where it runs",
                sentence=(
                    "Accuracy: test {this}; deployment {other}; on test images {gap}.",
                    "{right_means}",
                ),
                hundred="Of 100 test images it answers {here} rightly; of 100 from where it will "
                "run, {there}.",
                sides=("Test data", "Where it will run"),
                action="label images from where it will run, and train and test with them",
                answer="fewer right answers there: {there} of 100, {here} in the test",
                of="image",
            ),
            Words(
                title="Found less on the data of where it will run",
                span=EITHER_WAY,
                short="objects found less where it runs",
                sentence="Objects found: test {this}; deployment {other}; on test images {gap}.",
                hundred="Of 100 objects in test images it finds {here}; of 100 where it will run, "
                "{there}.",
                sides=("Test data", "Where it will run"),
                action="annotate images from where it will run, and train and test with them",
                answer="fewer objects are found there: {there} of 100, {here} in the test",
                of="object",
            ),
        ),
        "lost-with-mix": Words(
            title="Lost with another mix of classes where it will run",
            span=EITHER_WAY,
            short="lost with the mix of classes",
            sentence="{value} of the {total:points} lost where it will run would be lost with its "
            "mix of classes alone, every class being answered as in the test.",
            action="weigh test results by how common classes are where it will run",
        ),
        "lost-with-images": Words(
            title="Lost with images of another look where it will run",
            span=EITHER_WAY,
            short="lost with other images",
            sentence="{value} of the {total:points} lost go with images of the same classes whose "
            "look is rarer in the test.",
            action="test and train with images of the look that is met there",
        ),
        "lost-alike": Words(
            title="Lost on images alike in class and look",
            span=EITHER_WAY,
            short="lost on images alike",
            sentence="{value} of the {total:points} lost are lost on images that look alike: what "
            "is told apart by a look the model does not see, or is labelled otherwise there.",
            action="look at such images and their labels: are they graded there as in the test?",
        ),
        **lost_words(
            ("Test data", "Where it will run"),
            where="where it will run",
            action="annotate images from where it will run, and train and test with them",
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        same = same_images(evidence, "lost")
        if same is not None:
            yield same
            return
        deployment = evidence.scored("deployment").with_truth
        there = Sample.right(deployment)
        lost = two_samples(
            "lost",
            Subject(split="deployment"),
            here=Sample.right(evidence.scored("test")),
            there=there,
            named=("the labelled test data", "the labelled deployment data"),
            better="lower",
            counted=there,
            examples=worst_first(
                deployment.image_ids, badness=deployment.confidence, among=~deployment.right
            ),
        )
        yield lost
        if isinstance(lost, Measure) and p_value(lost.estimate, limit=0, exceeds="above") <= SHOWN:
            yield from parts_of_loss(evidence)
        values = (evidence.set_values("test"), evidence.set_values("deployment"))
        if all(values):
            rows = [evidence.scored(s, of="image").with_truth for s in ("test", "deployment")]
            chief = (values[0][0], values[1][0])
            yield two_set_values(
                f"{chief[0].name}-lost", Subject(split="deployment"), values=chief, rows=rows
            )
