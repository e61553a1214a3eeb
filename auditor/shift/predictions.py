"""shift/predictions: whether the model answers deployment images as it answers test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import Check, Evidence, Need, Predictions
from auditor.findings import Cell, Column, Measure, Result, Subject, Table
from auditor.scoring.comparison import points_text, rate_details, rate_text
from auditor.scoring.outcomes import Outcomes
from auditor.shift.two_sample import (
    CELL_NAMES,
    Floats,
    Shifted,
    Sides,
    adjust,
    area_text,
    forest_of_areas,
    shifted,
)
from auditor.stats import rate, two_sample_difference


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
    needs: ClassVar[tuple[Need, ...]] = (Predictions(split="test"), Predictions(split="deployment"))
    sources: ClassVar[tuple[str, ...]] = (
        "Lipton, Wang & Smola (2018), arXiv:1802.03916 (black-box shift detection)",
        "Rabanser, Günnemann & Lipton (2019), arXiv:1810.11953",
    )

    most_scores: Annotated[int, "Scores compared at most, confidence and its like included."] = 20

    def run(self, evidence: Evidence) -> Iterator[Result]:
        test, deployment = evidence.outcomes("test"), evidence.outcomes("deployment")
        sides = Sides.of(test.dataset, deployment.dataset, rng=evidence.rng)
        few = sides.too_few("auc", Subject(split="deployment"))
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
            yield from (_measure(name, one) for name, one in found.items())
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


def _measure(name: str, found: Shifted) -> Measure:
    key = {"class": name.removeprefix(_CLASS)} if name.startswith(_CLASS) else {"score": name}
    said = f"The score of {name.removeprefix(_CLASS)}" if "class" in key else name.capitalize()
    return Measure(
        name="auc",
        subject=Subject.about(key, split="deployment"),
        estimate=found.area,
        unit="probability",
        better="none",
        n=found.n[1],
        n_units=found.n_units,
        details={
            **found.details,
            "sentence": f"{said} of a deployment image is "
            f"{area_text(found.area)} (50% is no difference).",
        },
    )


def _share(test: Outcomes, deployment: Outcomes, index: int, sides: Sides) -> Measure:
    name = test.classes[index]
    ours, theirs = test.predicted == index, deployment.predicted == index
    own, other = (sides.deployment.unit, sides.test.unit) if sides.has_units else (None, None)
    difference = two_sample_difference(theirs, ours, unit_a=own, unit_b=other)
    there, here = rate(theirs, unit=own), rate(ours, unit=other)
    return Measure(
        name="class-share",
        subject=Subject.about({"class": name}, split="deployment"),
        estimate=difference,
        unit="share",
        better="none",
        n=len(theirs),
        n_units=sides.deployment.units(),
        details={
            "rate": rate_details(there, n=len(theirs)),
            "rest": rate_details(here, n=len(ours)),
            "sentence": f"Answered {name}: deployment {rate_text(there, n=len(theirs))}; test "
            f"{rate_text(here, n=len(ours))}; {points_text(difference)}.",
        },
    )


def _table(found: Mapping[str, Shifted]) -> Table:
    rows: list[tuple[Cell, ...]] = [(name, *one.cells) for name, one in found.items()]
    return Table(
        id="shift/predictions:scores",
        title="The model's scores on deployment images against test images",
        columns=(Column("score"), *(Column(name) for name in CELL_NAMES)),
        rows=tuple(rows),
    )
