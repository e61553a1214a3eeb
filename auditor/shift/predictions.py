"""shift/predictions: whether the model answers deployment images as it answers test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.comparing.two_samples import Sample, two_samples
from auditor.contract import Check, ClassScores, Evidence, Need, Predictions, Scan, Words
from auditor.contract.words import EITHER_WAY
from auditor.findings import (
    Cell,
    Column,
    Measure,
    Measured,
    Question,
    Result,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.presence import Several
from auditor.scoring.rows import Rows
from auditor.shift.sides import Sides, looks, same_images
from auditor.shift.two_sample import (
    HIGHER,
    Floats,
    Shifted,
    cell_names,
    forest_of_areas,
    shifted,
)
from auditor.stats.row_blocks import row_blocks

_SCORES = {s: ClassScores(split=s, optional=True) for s in ("test", "deployment")}
_SCANS = {s: Scan(split=s) for s in ("test", "deployment")}


@dataclass(frozen=True)
class PredictionShift(Check):
    """The model's scores and answers on deployment images against those on test images.

    What it measures
    ----------------
    For the score of each class, and for confidence, entropy and margin: the probability that a
    random deployment image has a higher one than a random test image (0.5: no difference), with
    Kolmogorov-Smirnov tests that deal whole units anew, adjusted for all scores (step-down maxT)
    and for the number of ways in which images are looked at (see `shift/properties`); and the
    share of images answered with each class on both sides. At most 20 scores: with more classes,
    the ones the model uses most. With two classes one score says all, and the others are left out.

    Of boxes the number in an image, their mean score, the mean share of the image that one takes
    and their mean aspect (width by height, the geometric mean) stand in place of scores, and of
    each class the number of its boxes; of class maps the share of pixels of each class. An image is
    answered with a class where the model says that it is in it.

    Why it matters
    --------------
    It asks the model what changed, in the only terms that matter to the decision, and needs no
    labels. Of the tests compared in the literature, this one finds most kinds of shift.

    How it can mislead
    ------------------
    Where more deployment cases are truly of a class, scores move although the model is as good
    as before: a change of answers is not a loss of accuracy. The model is blind to what it does
    not use: other cameras may leave every score as it was. Confidence may stay high on images
    that the model gets wrong. Of boxes only those at the operating point count, and not where
    they are.
    """

    id: ClassVar[str] = "shift/predictions"
    topic: ClassVar[str] = "how answers differ where it will run"
    question: ClassVar[Question | None] = Question.MATCHES
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(split="test"),
        Predictions(split="deployment"),
        *_SCORES.values(),
        *_SCANS.values(),
    )
    words: ClassVar = {
        "auc": (
            Words(
                title="Deployment images get another {amount} of “{class}”",
                short="different {amount} of “{class}”",
                sentence="The {amount} of {class} " + HIGHER + " (50% is no difference).",
                answer="its answers differ",
            ),
            Words(
                title="Deployment images get other scores for “{class}”",
                short="different scores for “{class}”",
                sentence="The score of {class} " + HIGHER + " (50% is no difference).",
                answer="its scores differ",
            ),
            Words(
                title="Deployment images get another {score}",
                short="different {score}",
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
            short="“{class}” answered more or less often",
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
        test, deployment = (_answers(evidence, split) for split in ("test", "deployment"))
        rng = evidence.rng
        sides = Sides.of(evidence, rng=rng)
        few = same_images(evidence, "auc") or sides.too_few("auc", sides.subject)
        if few is not None:
            yield few
            return
        classes = _commonest(test, deployment, most=self.most_scores - len(_CERTAINTY))
        vary = []
        for name in _compared(test, classes):
            ours, theirs = test.numbers[name], deployment.numbers[name]
            few = _too_few(name, ours, theirs, sides)
            if few is not None:
                yield few
            elif _vary(ours, theirs):
                vary.append(name)
        if vary:
            found = shifted(
                {name: test.numbers[name] for name in vary},
                {name: deployment.numbers[name] for name in vary},
                sides=sides, looks=looks(evidence), rng=rng,
            )  # fmt: skip
            told = {"amount": test.amount} if test.amount else {}
            for name, one in found.items():
                yield one.measure(_key(name), **(told if name.startswith(_CLASS) else {}))
            yield _table(found)
            yield forest_of_areas(
                "shift/predictions:areas",
                title="The model's scores on deployment images against test images",
                rows=found,
                quantity="score",
            )
        yield from (_share(test.rows, deployment.rows, index, sides) for index in classes)


@dataclass(frozen=True)
class _Answers:
    """What was answered to the images of a split.

    `numbers` (n,) by name, those of classes under ``class=NAME``; `weight` (classes,) how much each
    class is answered; `amount` what a class's number is of, "" for a score.
    """

    rows: Rows
    numbers: Mapping[str, Floats]
    weight: Floats
    amount: str = ""


def _answers(evidence: Evidence, split: str) -> _Answers:
    rows = evidence.scored(split, of="image")
    if evidence.has(_SCORES[split]):
        outcomes = evidence.answers(split)
        return _Answers(rows, _scores(outcomes), np.asarray(outcomes.probabilities).mean(axis=0))
    assert isinstance(rows.presence, Several)
    each = rows.presence.answers.astype(np.float64)
    whole = each.sum(axis=1)
    if "answer" in evidence.kinds:
        amount, numbers = "number of boxes", _of_boxes(evidence, rows)
    else:
        amount, numbers = "share of pixels", {}
        each = each / np.maximum(whole, 1)[:, None]
    named = {f"{_CLASS}{name}": each[:, i] for i, name in enumerate(rows.classes)}
    return _Answers(rows, named | numbers, each.mean(axis=0), amount)


def _of_boxes(evidence: Evidence, images: Rows) -> dict[str, Floats]:
    """How many boxes each image got, and their means, NaN without one."""
    boxes = evidence.scored(images.split, of="answer")
    sizes = evidence.scan(images.split, columns=("width", "height"))
    at = evidence.dataset(images.split).image_ids.places_of(images.image_ids)
    pixels = np.multiply(*(sizes[name].to_numpy(np.float64)[at] for name in sizes))
    image = images.image_ids.places_of(boxes.image_ids)
    n = np.bincount(image, minlength=len(images)).astype(np.float64)

    def mean(values: Floats) -> Floats:
        sums, none = np.bincount(image, weights=values, minlength=len(n)), np.full(len(n), np.nan)
        means: Floats = np.divide(sums, n, out=none, where=n > 0)
        return means

    return {
        "box count": n,
        "mean box score": mean(boxes.confidence),
        "mean box area": mean(boxes.extents["area"] / pixels[image]),
        # A box twice as wide as high and one twice as high as wide have the mean of a square.
        "mean box aspect": np.exp(mean(np.log(np.maximum(boxes.extents["aspect"], _FLAT)))),
    }


def _vary(test: Floats, deployment: Floats) -> bool:
    both = np.concatenate([test, deployment])
    return bool(np.nanmax(both) > np.nanmin(both))


def _too_few(name: str, test: Floats, deployment: Floats, sides: Sides) -> Unmeasured | None:
    has, had = np.isfinite(test), np.isfinite(deployment)
    if has.all() and had.all():
        return None
    subject = Subject.about(_key(name), split="deployment")
    return sides.too_few("auc", subject, among=f" with a {name}", here=has, there=had)


_FLAT = 1e-3
"""The aspect of a box without a width."""

_CERTAINTY = ("confidence", "entropy", "margin")
_CLASS = "class="


def _scores(outcomes: Outcomes) -> dict[str, Floats]:
    """Every score of each image by name, classes' under ``class=NAME``."""
    p = np.asarray(outcomes.probabilities)
    certainty = np.empty((len(_CERTAINTY), len(p)))
    # In parts: sorted scores and their logarithms of a million images would be much memory.
    for part in row_blocks(len(p), width=p.shape[1]):
        some = p[part].astype(np.float64)
        top = np.sort(some, axis=1)[:, ::-1]
        logs = np.log(some, out=np.zeros_like(some), where=some > 0)
        certainty[:, part] = top[:, 0], -(some * logs).sum(axis=1), top[:, 0] - top[:, 1]
    named = {
        f"{_CLASS}{name}": p[:, i].astype(np.float64) for i, name in enumerate(outcomes.classes)
    }
    return named | dict(zip(_CERTAINTY, certainty, strict=True))


def _commonest(test: _Answers, deployment: _Answers, *, most: int) -> list[int]:
    """Indices of the classes that are answered most over both sides, in order."""
    order = np.argsort(-(test.weight + deployment.weight), kind="stable")[:most]
    return sorted(int(i) for i in order)


def _compared(answers: _Answers, classes: list[int]) -> list[str]:
    names = answers.rows.classes
    if len(names) == 2 and not answers.amount:
        # One class's score is the other's complement, and certainties follow from either.
        return [f"{_CLASS}{names[1]}", "confidence"]
    others = (name for name in answers.numbers if not name.startswith(_CLASS))
    return [*(f"{_CLASS}{names[i]}" for i in classes), *others]


def _key(name: str) -> dict[str, str]:
    if name.startswith(_CLASS):
        return {"class": name.removeprefix(_CLASS)}
    return {"score": name}


def _share(test: Rows, deployment: Rows, index: int, sides: Sides) -> Measured:
    name = test.classes[index]
    ours, theirs = test.called(name), deployment.called(name)
    own, other = (sides.there.unit, sides.here.unit) if sides.clustered else (None, None)
    there = Sample(theirs, own)
    found = two_samples(
        "class-share",
        Subject.about({"class": name}, split="deployment"),
        here=there,
        there=Sample(ours, other),
        named=("the deployment data", "the test data"),
        better="none",
        counted=there,
    )
    # Counted as everywhere in this check: images are units where nothing else is named.
    return replace(found, n_units=sides.there.units()) if isinstance(found, Measure) else found


def _table(found: Mapping[str, Shifted]) -> Table:
    rows: list[tuple[Cell, ...]] = [(name, *one.cells) for name, one in found.items()]
    return Table(
        id="shift/predictions:scores",
        title="The model's scores on deployment images against test images",
        columns=(Column("score"), *(Column(name) for name in cell_names())),
        rows=tuple(rows),
    )
