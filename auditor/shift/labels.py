"""shift/labels: how common each class is where the model will run, and what else differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.contract import Check, ClassScores, Embedding, Evidence, Need, Truth, Words
from auditor.findings import Measure, Measured, Question, Result, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.shift.class_mix import ClassMix
from auditor.shift.embedded import embedded, nothing_seen, told_apart
from auditor.shift.sides import Sides, copied, same_images
from auditor.stats import value
from auditor.stats.resampling import whole_units
from auditor.stats.two_samples import PERMUTATIONS, pooled_components

_EMBEDDINGS = tuple(Embedding(split=s, optional=True) for s in ("test", "deployment"))
_LEAST_LOG = -30.0

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class LabelShift(Check):
    """The share of each class where the model will run, estimated without labels from there.

    What it measures
    ----------------
    `estimated-share`: each class's share of the deployment images, as it makes the model's scores
    there likeliest (expectation maximisation), scores being calibrated on the labelled test
    images. Beside it the same from the answers alone: from how often each class is answered there,
    and how often the model gives each answer to test images of each class. Intervals are a
    bootstrap over units, of both splits. `remains`: what is left when test images are drawn so
    that their classes are as common as is estimated there: how well a deployment image is still
    told from a test image (0.5: guessing), by the embedding, or by the scores where there is none,
    with the tests of `shift/embeddings`.

    Why it matters
    --------------
    Most differences between two sets of images are that there is more of one class. Then the model
    errs as it did, and what changes is how often which error is met. Where something remains, the
    images of a class look otherwise, and the measured error rates need not hold.

    How it can mislead
    ------------------
    Both estimates suppose that the images of each class look as in the test. Where they do not,
    the shares are wrong, and only `remains` may tell. Without labels that cannot be settled: what
    changed in what makes an image one of a class is not seen here. Classes that the model
    confuses are estimated badly, which their intervals show. Where nothing remains, too few
    images may have been left to show it.
    """

    id: ClassVar[str] = "shift/labels"
    topic: ClassVar[str] = "how common classes are where it will run"
    question: ClassVar[Question | None] = Question.MATCHES
    needs: ClassVar[tuple[Need, ...]] = (
        ClassScores(split="test"),
        ClassScores(split="deployment"),
        Truth(split="test"),
        *_EMBEDDINGS,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Saerens, Latinne & Decaestecker (2002), doi:10.1162/089976602753284446",
        "Alexandari, Kundaje & Shrikumar (2020), arXiv:1901.06852 (calibrated scores)",
        "Lipton, Wang & Smola (2018), arXiv:1802.03916 (black-box shift estimation)",
        "Roschewitz et al. (2024), arXiv:2411.07940 (telling kinds of shift apart)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "estimated-share": (
            Words(
                title="Share of “{class}” where it will run, estimated without labels",
                short="“{class}” where it will run",
                sentence=(
                    "{class}: {value} of the images where it will run, estimated from the scores; "
                    "{test_share:percent} of the labelled test images.",
                    "From the answers alone: {by_answers:percent} "
                    "({by_answers_low:percent} to {by_answers_high:percent}).",
                    "Of the labelled deployment images: {labelled_share:percent}.",
                    "More than the mix of classes differs there, so that both estimates may be "
                    "beside the truth{doubtful:if}.",
                ),
            ),
            Words(
                title="Shares of the classes where it will run, estimated without labels",
                short="classes where it will run",
            ),
        ),
        "remains": Words(
            title="What still differs where classes are as common as where it will run",
            short="different images of the same classes",
            sentence=(
                "From {drawn:,} test images with classes as common as is estimated there, a "
                "deployment image is told in {value} of pairs, by the {looked_at} (50% is "
                "guessing); from all test images in {before:percent}.",
                "More than another mix of classes is shown (p = {p:.2g}){shown:if}.",
                "More than another mix of classes is not shown (p = {p:.2g}){not_shown:if}.",
            ),
            action="label images from where it will run: those of a class look otherwise there",
            answer="images of the same classes look otherwise",
        ),
    }

    most_images: Annotated[
        int, "Of more images a side, so many in whole units drawn at random are used."
    ] = 2000
    most_classes: Annotated[int, "With more classes their shares are not estimated."] = 30
    permutations: Annotated[int, "Random deals of the units to the two sides."] = PERMUTATIONS

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        sides = Sides.of(evidence, rng=rng)
        test, there = evidence.answers("test"), evidence.answers("deployment")
        lacking = (
            same_images(evidence, "estimated-share")
            or sides.too_few("estimated-share", sides.subject, here=test.labelled)
            or self._few_of_a_class(test, sides)
        )
        if lacking is not None:
            yield lacking
            return
        labelled, new = np.flatnonzero(test.labelled), np.flatnonzero(~copied(evidence))
        at = (
            whole_units(labelled, unit=sides.here.unit, most=self.most_images, rng=rng),
            whole_units(new, unit=sides.there.unit, most=self.most_images, rng=rng),
        )
        sides = sides.take(*at)
        mix = ClassMix(test.take(at[0]), there.take(at[1]), sides, rng)
        confused = mix.confused()
        if confused is not None:
            yield confused
            return
        features, looked_at = _features(evidence, at, mix)
        left = self._remains(mix, features, looked_at, rng)
        doubtful = isinstance(left, Measure) and bool(left.facts["shown"])
        yield from (mix.share(place, doubtful=doubtful) for place in range(len(mix.classes)))
        yield left
        yield mix.table()
        yield mix.forest()

    def _few_of_a_class(self, test: Outcomes, sides: Sides) -> Unmeasured | None:
        """Why shares cannot be estimated: classes without enough test images, or too many."""
        subject = sides.subject
        if len(test.classes) > self.most_classes:
            return Unmeasured(
                name="estimated-share",
                subject=subject,
                reason=f"There are {len(test.classes):,} classes, and shares are estimated of at "
                f"most {self.most_classes}.",
                remedy="Raise `most_classes` of shift/labels, with as many more test images.",
            )
        units = [sides.here.units(test.labels == place) for place in range(len(test.classes))]
        few = [f"{name} ({n})" for name, n in zip(test.classes, units, strict=True)
               if n < MIN_UNITS]  # fmt: skip
        if not few:
            return None
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        return Unmeasured(
            name="estimated-share",
            subject=subject,
            reason=f"How the model answers is not known of classes with fewer than {MIN_UNITS} "
            f"test {sides.noun}: {', '.join(few[:5])}{more}.",
            remedy="Add labelled test images of these classes.",
        )

    def _remains(
        self, mix: ClassMix, features: Floats | None, looked_at: str, rng: np.random.Generator
    ) -> Measured:
        drawn = mix.as_common(rng)
        both = np.concatenate([drawn, len(mix.test) + np.arange(len(mix.there))])
        sides = mix.sides.take(drawn, np.arange(len(mix.there)))
        lacking = sides.too_few("remains", sides.subject, among=" with classes as common as there")
        if lacking is not None or features is None:
            return lacking or nothing_seen("remains", sides.subject)
        apart = told_apart(features[both], sides, rng=rng, permutations=self.permutations)
        before = told_apart(features, mix.sides, rng=rng, permutations=0)
        return Measure(
            name="remains",
            subject=sides.subject,
            estimate=apart.area,
            scale="share",
            neutral=0.5,
            better="lower",
            n=len(mix.there),
            n_units=sides.there.units(),
            examples=worst_first(mix.there.image_ids, badness=apart.scores[1]),
            facts={**apart.shown(looks=1), "before": value(before.area), "drawn": len(drawn),
                   "looked_at": looked_at},
        )  # fmt: skip


def _features(
    evidence: Evidence, at: tuple[Codes, Codes], mix: ClassMix
) -> tuple[Floats | None, str]:
    """What images are told apart by, (n, d) of test, then deployment images, and its name."""
    if all(evidence.has(need) for need in _EMBEDDINGS):
        return embedded(evidence, at), "embedding"
    scores = np.concatenate([mix.scores_here, mix.scores_there])
    logs = np.log(scores, out=np.full_like(scores, _LEAST_LOG), where=scores > 0)
    return pooled_components(logs), "scores"
