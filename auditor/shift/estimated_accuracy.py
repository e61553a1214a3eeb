"""shift/estimated-accuracy: what accuracy is there where the model will run, without labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import (
    Check,
    Confidences,
    Evidence,
    Need,
    Predictions,
    Truth,
    Words,
)
from auditor.contract.words import EITHER_WAY
from auditor.findings import Cell, Column, Measure, Question, Result, Table
from auditor.shift.corruptions import CorruptedAnswers
from auditor.shift.sides import Sides, same_images
from auditor.shift.unlabelled import SCORES, Unlabelled, unlabelled_images

NAME = "estimated-lost"


@dataclass(frozen=True)
class EstimatedAccuracy(Check):
    """Accuracy where the model will run, estimated from its answers without labels from there.

    What it measures
    ----------------
    `estimated-lost`: the share of labelled test images answered rightly, minus the share of
    deployment images without labels (of all, where all have labels) that is estimated to be. Three
    estimates that need no labels are taken: the mean calibrated confidence; the share of answers
    above the confidence that gives the test accuracy; and the share of answers that are cheap to
    match to classes as common as they are estimated to be there. How a change of these goes with a
    change of accuracy is learned from the test images under corruptions (`shift/corruptions`, whole
    or half of them) and in other mixes of classes. The interval holds the errors of sets of a
    family (noise, blur, light and colour, files, mixes) that was left out when learning, and the
    sampling error of both splits. Of a detector it is the share of its answers that are right.
    By group where a group has enough images on both sides.

    Why it matters
    --------------
    Deployment images come by the thousand, their labels do not. An estimate says whether it is
    urgent to label some, and which groups first. It replaces no labels: the check ends in a list
    of images drawn at random to label, and in how precisely they would tell.

    How it can mislead
    ------------------
    Without labels accuracy cannot be known (Garg et al. 2022 prove it): a model can be wrong and as
    sure as ever. The interval says how far such estimates were off under changes that were drawn;
    the change that is met may be of no such kind. So no limit is ever met by this measure, and
    nothing is told where fewer than 30 units a side, or fewer than 100 corrupted answers, are
    there to learn from, where the answers are beyond all that was drawn, or where the interval is
    wider than 60 points. Objects that a detector misses leave no answer, so that nothing is
    said of them.
    """

    id: ClassVar[str] = "shift/estimated-accuracy"
    topic: ClassVar[str] = "accuracy there, estimated without labels"
    question: ClassVar[Question | None] = Question.MATCHES
    shown: ClassVar = "told"
    needs: ClassVar[tuple[Need, ...]] = (
        Confidences(),
        Predictions(split="test"),
        Predictions(split="deployment"),
        Truth(split="test"),
        CorruptedAnswers(),
        *SCORES,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Garg et al. (2022), arXiv:2201.04234 (threshold; that nothing is known without labels)",
        "Lu et al. (2023), arXiv:2305.15640 (matching to classes)",
        "Guillory et al. (2021), arXiv:2107.03315 (change of confidence)",
        "Barber et al. (2021), arXiv:1905.02928 (errors on what was left out)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "estimated-lost": (
            Words(
                title="Accuracy lost where it will run, estimated without labels{of_group}",
                span=EITHER_WAY,
                short="estimated accuracy lost{of_group}",
                sentence=(
                    "Estimated without labels{of_group}: {estimate:percent} of the {n} images from "
                    "where it will run are answered rightly, {low:percent} to {high:percent} in "
                    "nine of ten such estimates; of the labelled test images {right_test:percent} "
                    "are.",
                    "The three estimates that it rests on say {by_confidence:percent}, "
                    "{by_threshold:percent} and {by_transport:percent}.",
                    "Of {measured_n:,} labelled images from there {measured:percent} are answered "
                    "rightly ({measured_low:percent} to {measured_high:percent}).",
                    "Only labels tell: those of {to_label} images drawn at random would tell to "
                    "within {precision:points} points.",
                ),
                sides=("Test data", "Where it will run, estimated"),
                action="label the images that are listed, and measure",
                of="image",
            ),
            Words(
                title="Share of right answers lost where it will run, estimated without labels"
                "{of_group}",
                span=EITHER_WAY,
                short="estimated loss of right answers{of_group}",
                sentence=(
                    "Estimated without annotations{of_group}: {estimate:percent} of the {n} "
                    "answers where it will run are right, {low:percent} to {high:percent} in nine "
                    "of ten such estimates; of those on the test images {right_test:percent} are. "
                    "How many objects it misses there cannot be told from its answers.",
                    "The two estimates that it rests on say {by_confidence:percent} and "
                    "{by_threshold:percent}.",
                    "Of {measured_n:,} answers on annotated images from there {measured:percent} "
                    "are right ({measured_low:percent} to {measured_high:percent}).",
                    "Only annotations tell: the {to_label} images that are listed were drawn at "
                    "random.",
                ),
                sides=("Test data", "Where it will run, estimated"),
                action="annotate the images that are listed, and measure",
                of="answer",
            ),
        ),
    }

    to_label: Annotated[int, "How many deployment images are drawn to be labelled."] = 120
    most_images: Annotated[
        int, "Of more deployment images, so many in whole units drawn at random are used."
    ] = 2000

    most_known: Annotated[
        int, "Of more test answers, so many in whole units drawn at random are learned from."
    ] = 20_000

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        sides = Sides.of(evidence, rng=rng)
        images = unlabelled_images(evidence, sides)
        few = same_images(evidence, NAME) or sides.too_few(NAME, sides.subject, there=images)
        if few is not None:
            yield few
            return
        label = self._to_label(evidence, images, rng)
        found = Unlabelled.of(
            evidence, sides, images, most=self.most_images, most_known=self.most_known, rng=rng
        )
        lacking = found.lacking(NAME)
        if lacking is None:
            told = [found.loss(NAME, part, labels=len(label.rows)) for part in found.parts]
            yield from told
            yield _estimates([one for one in told if isinstance(one, Measure)])
            yield _simulated(found)
        else:
            yield lacking
        yield label

    def _to_label(self, evidence: Evidence, images: np.ndarray, rng: np.random.Generator) -> Table:
        dataset = evidence.dataset("deployment")
        drawn = np.sort(rng.permutation(np.flatnonzero(images))[: self.to_label])
        units = dataset.units
        return Table(
            id=f"{self.id}:label-these",
            title=f"Label these {len(drawn)} images, drawn at random from where it will run",
            columns=(Column("image"), Column("unit")),
            rows=tuple(
                (str(dataset.image_ids[at]), None if units is None else str(units[at]))
                for at in drawn
            ),
        )


_FACTS = {
    "right_test": "test", "estimate": "estimated", "low": "low (90%)", "high": "high (90%)",
    "by_confidence": "by confidence", "by_change": "by change of confidence",
    "by_threshold": "by threshold", "by_transport": "by transport", "measured": "measured",
}  # fmt: skip


def _estimates(measures: list[Measure]) -> Table:
    """One line for all and for each group: what is estimated, and by each estimate alone."""
    lines: list[tuple[Cell, ...]] = []
    for one in measures:
        part = ", ".join(f"{k}={v}" for k, v in one.subject.keys) or "all"
        lines.append((part, one.n, one.n_units, *(one.facts.get(key) for key in _FACTS)))
    head = (Column("part"), Column("rows"), Column("units"))
    columns = (*head, *(Column(name, "share") for name in _FACTS.values()))
    title = "Share of right answers where it will run, estimated without labels"
    return Table("shift/estimated-accuracy:estimates", title, columns, tuple(lines))


def _simulated(found: Unlabelled) -> Table:
    """One line a set shifted on purpose: what was true, and what was estimated without its kind."""
    lines = [
        (s.family, s.kind.replace("-", " "), s.severity or None, s.share, len(s.answers), *shares)
        for s, *shares in zip(
            found.sets, found.shifted.right.tolist(), found.by_change.told.tolist(), strict=True
        )
    ]  # fmt: skip
    columns = (
        *(Column(h) for h in ("family", "kind", "severity")), Column("images changed", "share"),
        Column("answers"), Column("right", "share"), Column("estimated", "share"),
    )  # fmt: skip
    title = "Test images changed on purpose: what is estimated of them, their family left out"
    return Table("shift/estimated-accuracy:changed-on-purpose", title, columns, tuple(lines))
