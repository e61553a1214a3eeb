"""shift/embeddings: whether the model itself sees deployment images otherwise than test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.contract import Check, Embedding, Evidence, Need, Words
from auditor.contract.numbers import percent
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Question,
    Result,
    Table,
)
from auditor.scoring.comparison import worst_first
from auditor.shift.cost import COST, LABELLED, cost
from auditor.shift.embedded import ToldApart, embedded, nothing_seen, told_apart
from auditor.shift.sides import Sides, copied, looks, same_images
from auditor.shift.two_sample import histogram_rows
from auditor.stats import value
from auditor.stats.clusters import placements
from auditor.stats.resampling import whole_units
from auditor.stats.two_samples import PERMUTATIONS


@dataclass(frozen=True)
class EmbeddingShift(Check):
    """The model's own description of deployment images against that of test images.

    What it measures
    ----------------
    How well a classifier tells a deployment image from a test image by the numbers that the model
    reduces an image to before its last layer (its embedding): over all pairs, how often the
    deployment image looks more like one, to a classifier that saw neither (0.5: guessing). Two
    tests say whether that is more than chance: this classifier's, and the maximum mean
    discrepancy, which also notices changes along no single direction. Both deal whole units (and
    copies with their originals) anew between test and deployment many times; their p-values are
    adjusted for being two (Holm), and for the number of ways in which images are looked at
    (properties, predictions, embeddings). Changed copies of test images are left out of the
    deployment images first. And it names the images that look least like test images.

    Why it matters
    --------------
    Accuracy holds for images such as the test images. Where other things are in the picture, or
    the same things in another way, the model's own description of it moves, often before its
    answers do; and the images that moved farthest are those to look at and to label first.

    How it can mislead
    ------------------
    The model is blind to what it was not trained to see: no difference here is none to this model.
    A difference need not cost accuracy: where more deployment cases are of one class, the
    embedding moves although the model is as good as before (`shift/labels` asks what is left). With
    thousands of images the tests reject for differences of no consequence: read how well images
    are told apart. Photos that the manifest does not name as one unit, and that are no copies of
    each other, count as independent, and bursts of them raise false alarms.
    """

    id: ClassVar[str] = "shift/embeddings"
    topic: ClassVar[str] = "how the model sees images where it will run"
    question: ClassVar[Question | None] = Question.MATCHES
    needs: ClassVar[tuple[Need, ...]] = (
        Embedding(split="test"),
        Embedding(split="deployment"),
        LABELLED,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Lopez-Paz & Oquab (2017), arXiv:1610.06545 (classifier two-sample test)",
        "Gretton et al. (2012), jmlr.org/papers/v13/gretton12a.html (maximum mean discrepancy)",
        "Phipson & Smyth (2010), doi:10.2202/1544-6115.1585 (p-values are never 0)",
        "Rabanser, Günnemann & Lipton (2019), arXiv:1810.11953",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "any": Words(
            title="How well deployment images are told from test images as the model sees them",
            short="images that the model sees otherwise",
            sentence=(
                "By what the model sees in them, a deployment image is told from a test image in "
                "{value} of pairs (50% is guessing).",
                "Dealt to the two sides at random {deals:,} times, images were told apart as well "
                "in {as_far:,} deals.",
                "The two tests together show a difference (p = {p:.2g}){shown:if}.",
                "The two tests together show no difference (p = {p:.2g}){not_shown:if}.",
                *COST,
            ),
            action="look at the images least like the test images, and test on more like them",
            answer="the model sees the images otherwise",
        ),
    }

    most_images: Annotated[
        int, "Of more images a side, so many in whole units drawn at random are compared."
    ] = 2000
    permutations: Annotated[int, "Random deals of the units to the two sides."] = PERMUTATIONS

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        sides = Sides.of(evidence, rng=rng)
        few = same_images(evidence, "any") or sides.too_few("any", sides.subject)
        if few is not None:
            yield few
            return
        new = np.flatnonzero(~copied(evidence))
        old = np.arange(len(sides.here.unit))
        at = (
            whole_units(old, unit=sides.here.unit, most=self.most_images, rng=rng),
            whole_units(new, unit=sides.there.unit, most=self.most_images, rng=rng),
        )
        sides = sides.take(*at)
        few = sides.too_few("any", sides.subject)
        features = embedded(evidence, at)
        if few is not None or features is None:
            yield few or nothing_seen("any", sides.subject)
            return
        apart = told_apart(features, sides, rng=rng, permutations=self.permutations)
        ids = evidence.dataset("deployment").image_ids[at[1]]
        yield Measure(
            name="any",
            subject=sides.subject,
            estimate=apart.area,
            scale="share",
            neutral=0.5,
            better="lower",
            n=len(at[1]),
            n_units=sides.there.units(),
            examples=worst_first(ids, badness=apart.scores[1]),
            facts={
                **apart.shown(looks=looks(evidence)),
                **_tests(apart),
                **cost(evidence),
                "n_test": len(at[0]),
                "copies": int(copied(evidence).sum()),
                "counted": sides.noun,
            },
        )
        yield _table(ids, apart.scores)
        yield _histogram(apart)


def _tests(apart: ToldApart) -> dict[str, Any]:
    told, moved = apart.classifier, apart.kernel
    return {
        "classifier_p": told.p_value,
        "discrepancy": moved.statistic,
        "discrepancy_p": moved.p_value,
        "deals": len(told.null),
        "as_far": round(told.p_value * (len(told.null) + 1)) - 1,
    }


def _table(ids: NDArray[np.object_], scores: tuple[NDArray[np.float64], ...]) -> Table:
    """Deployment images, the least like test images first."""
    beyond = placements(scores[1], among=scores[0])
    rows: list[tuple[Cell, ...]] = [
        (str(ids[i]), float(beyond[i])) for i in np.argsort(-scores[1], kind="stable")
    ]
    return Table(
        id="shift/embeddings:images",
        title="Deployment images as the model sees them, least like test images first",
        columns=(Column("image"), Column("test images that look less like deployment", "share")),
        rows=tuple(rows),
    )


def _histogram(apart: ToldApart) -> Figure:
    here, there = apart.scores
    area = percent(value(apart.area))
    return Figure(
        id="shift/embeddings:scores",
        kind="histogram",
        title="How much images look like deployment images, as the model sees them",
        caption="Scores of a classifier that saw neither the image nor its unit; share of "
        f"{len(here)} test and {len(there)} deployment images. The outer bins hold what lies "
        "beyond.",
        alt=f"A deployment image scores above a test image in {area}% of pairs.",
        x=Axis("Score"),
        y=Axis("images", "share"),
        rows=histogram_rows(here, there),
    )
