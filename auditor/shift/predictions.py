"""shift/predictions: whether the model answers deployment images as it answers test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.comparing.two_samples import Sample, two_samples
from auditor.contract import Check, ClassScores, Evidence, Need, Words
from auditor.contract.words import EITHER_WAY
from auditor.findings import Cell, Column, Measure, Measured, Question, Result, Subject, Table
from auditor.scoring.outcomes import Outcomes
from auditor.shift.two_sample import (
    CELL_NAMES,
    HIGHER,
    Floats,
    Shifted,
    Sides,
    adjust,
    forest_of_areas,
    same_images,
    shifted,
)


@dataclass(frozen=True)
class PredictionShift(Check):
    """The model's scores and answers on deployment images against those on test images.

    What it measures
    ----------------
    For the score of each class, and for confidence, entropy and margin: the probability that a
    random deployment image has a higher one than a random test image (0.5: no difference), with
    Kolmogorov-Smirnov tests under Holm's correction; and the share of images answered with each
    class on both sides. At most 20 scores: with more classes, the ones the model uses most.
    With two classes one score says all, and the others are left out.

    Why it matters
    --------------
    It asks the model what changed, in the only terms that matter to the decision, and needs no
    labels. Of the tests compared in the literature, this one finds most kinds of shift.

    How it can mislead
    ------------------
    Where more deployment cases are truly of a class, scores move although the model is as good
    as before: a change of answers is not a loss of accuracy. The model is blind to what it does
    not use: other cameras may leave every score as it was. Confidence may stay high on images
    that the model gets wrong.
    """

    id: ClassVar[str] = "shift/predictions"
    topic: ClassVar[str] = "how answers differ where it will run"
    question: ClassVar[Question | None] = Question.MATCHES
    needs: ClassVar[tuple[Need, ...]] = (ClassScores(split="test"), ClassScores(split="deployment"))
    words: ClassVar = {
        "auc": (
            Words(
                title="Deployment images get other scores for “{class}”",
                short="other scores for “{class}”",
                sentence="The score of {class} " + HIGHER + " (50% is no difference).",
                answer="its scores differ",
            ),
            Words(
                title="Deployment images get another {score}",
                short="other {score}",
                sentence="The {score} " + HIGHER + " (50% is no difference).",
                answer="its scores differ",
            ),
            Words(
                title="Whether deployment images get other scores",
                short="scores where it will run",
            ),
        ),
        "class-share": Words(
            title="Deployment images are answered “{class}” more or less often",
            span=EITHER_WAY,
            short="other share of “{class}”",
            sentence="Answered {class}: deployment {this}; test {other}; {gap}.",
            sides=("Where it will run", "Test data"),
            answer="“{class}” is answered {gap}",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Lipton, Wang & Smola (2018), arXiv:1802.03916 (black-box shift detection)",
        "Rabanser, Günnemann & Lipton (2019), arXiv:1810.11953",
    )

    most_scores: Annotated[int, "Scores compared at most, confidence and its like included."] = 20

    def run(self, evidence: Evidence) -> Iterator[Result]:
        test, deployment = evidence.answers("test"), evidence.answers("deployment")
        sides = Sides.of(test.dataset, deployment.dataset, rng=evidence.rng)
        few = same_images(evidence, "auc") or sides.too_few("auc", Subject(split="deployment"))
        if few is not None:
            yield few
            return
        ours, theirs = (_scores(side) for side in (test, deployment))
        classes = _commonest(test, deployment, most=self.most_scores - len(_CERTAINTY))
        found: dict[str, Shifted] = {}
        for name in _compared(test.classes, classes):
            if np.ptp(np.concatenate([ours[name], theirs[name]])) > 0:
                found[name] = shifted(ours[name], theirs[name], sides=sides)
        if found:
            found = adjust(found)
            yield from (one.measure(_key(name)) for name, one in found.items())
            yield _table(found)
            yield forest_of_areas(
                "shift/predictions:areas",
                title="The model's scores on deployment images against test images",
                rows=found,
                quantity="score",
            )
        yield from (_share(test, deployment, index, sides) for index in classes)


_CERTAINTY = ("confidence", "entropy", "margin")
_CLASS = "class="


def _scores(outcomes: Outcomes) -> dict[str, Floats]:
    """Every score of each image by name, classes' under ``class=NAME``."""
    p = np.asarray(outcomes.probabilities, dtype=np.float64)
    top = np.sort(p, axis=1)[:, ::-1]
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    certainty = (top[:, 0], -(p * logs).sum(axis=1), top[:, 0] - top[:, 1])
    named = {f"{_CLASS}{name}": p[:, i] for i, name in enumerate(outcomes.classes)}
    return named | dict(zip(_CERTAINTY, certainty, strict=True))


def _commonest(test: Outcomes, deployment: Outcomes, *, most: int) -> list[int]:
    """Indices of the classes with the highest mean probability over both sides, in order."""
    weight = [np.asarray(side.probabilities).mean(axis=0) for side in (test, deployment)]
    order = np.argsort(-(weight[0] + weight[1]), kind="stable")[:most]
    return sorted(int(i) for i in order)


def _compared(names: tuple[str, ...], classes: list[int]) -> list[str]:
    if len(names) == 2:
        # One class's score is the other's complement, and certainties follow from either.
        return [f"{_CLASS}{names[1]}", "confidence"]
    return [*(f"{_CLASS}{names[i]}" for i in classes), *_CERTAINTY]


def _key(name: str) -> dict[str, str]:
    if name.startswith(_CLASS):
        return {"class": name.removeprefix(_CLASS)}
    return {"score": name}


def _share(test: Outcomes, deployment: Outcomes, index: int, sides: Sides) -> Measured:
    ours, theirs = test.predicted == index, deployment.predicted == index
    own, other = (sides.deployment.unit, sides.test.unit) if sides.has_units else (None, None)
    there = Sample(theirs, own)
    found = two_samples(
        "class-share",
        Subject.about({"class": test.classes[index]}, split="deployment"),
        here=there,
        there=Sample(ours, other),
        named=("the deployment data", "the test data"),
        better="none",
        counted=there,
    )
    # Counted as everywhere in this check: images are units where nothing else is named.
    return replace(found, n_units=sides.deployment.units()) if isinstance(found, Measure) else found


def _table(found: Mapping[str, Shifted]) -> Table:
    rows: list[tuple[Cell, ...]] = [(name, *one.cells) for name, one in found.items()]
    return Table(
        id="shift/predictions:scores",
        title="The model's scores on deployment images against test images",
        columns=(Column("score"), *(Column(name) for name in CELL_NAMES)),
        rows=tuple(rows),
    )
