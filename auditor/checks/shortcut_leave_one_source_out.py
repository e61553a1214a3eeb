"""shortcut/leave-one-source-out: whether what is learnt from some sources holds on another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.checks.model_sees import Seen, nothing_seen, seen
from auditor.comparing.interval_row import interval_row
from auditor.comparing.same_truth import present, told_classes
from auditor.contract import (
    Available,
    Check,
    Embedding,
    Evidence,
    Need,
    Predictions,
    Truth,
    Unmet,
    Words,
)
from auditor.contract.words import EITHER_WAY
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Measured,
    Result,
    Side,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS, count_units, too_few, worst_first
from auditor.stats import mean, value
from auditor.stats.classifier_test import FOLDS, ridge
from auditor.stats.out_of_fold import folds_of

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Sources(Need):
    """An attribute that is declared to name where images come from."""

    def unmet(self, available: Available) -> Unmet | None:
        data = available.datasets.get("test")
        if data is None or any(attribute.source for attribute in data.attributes):
            return None
        return Unmet(
            reason="No attribute is declared to be a source of the images (a site, a device, an "
            "inspector).",
            remedy="Say `source: true` of an attribute of role condition or nuisance under "
            "`data.attributes`.",
        )


@dataclass(frozen=True)
class LeaveOneSourceOut(Check):
    """What is lost on the images of a source when nothing was learnt from that source.

    What it measures
    ----------------
    For each group of an attribute that is declared as a source (`source: true`: a site, a device,
    an inspector) two small classifiers are trained on the model's embeddings of the test images:
    one on images of the other sources alone, one on images of all sources, as many of them, drawn
    at random a few times. Both then judge the images of that source, none of whose units either
    was trained on. `accuracy-lost` is the accuracy of the second minus that of the first, image
    by image, units respected. For a detector or a segmenter it is `presence-lost`: how often
    they rightly say which classes are in an image.

    Why it matters
    --------------
    A test set drawn from the same sites as the training data cannot show what happens at a site
    never seen. If leaving a source out costs much, evidence gathered here does not carry over
    to a new one: the data and their features hold something of the source.

    How it can mislead
    ------------------
    It is about the data and their features, and not about the model's own last layer,
    which was trained on other images and is asked nothing here. The network that made the
    features may have seen every source in training, and a new source would cost more than is
    told here. A source of other images (rarer classes, worse light) costs accuracy too when it is
    left out, without any shortcut. Small classifiers of few images learn less than the
    model did.
    """

    id: ClassVar[str] = "shortcut/leave-one-source-out"
    topic: ClassVar[str] = "whether evidence carries over to a new source"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Embedding(), Sources())
    cannot_see: ClassVar[str] = (
        "What all declared sources share, and what the model's own last layer makes of a new one."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "DeGrave, Janizek & Lee (2021), doi:10.1038/s42256-021-00338-7 (shortcuts across sites)",
        "Zech et al. (2018), doi:10.1371/journal.pmed.1002683 (models across hospitals)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        name: Words(
            title="What is lost on a source never seen: {group}",
            short="{group} left out of learning",
            span=EITHER_WAY,
            sentence=(
                f"Small classifiers of the model's description of an image, {what} on "
                "{group}: {this} with such images among those learnt from, {other} without any; "
                "{gap} with them.",
                "Each learnt from {trained:,} images.",
                "This is about the data and their features, not about the model's own answers.",
                "Looked at were {drawn:,} of {of_all:,} images, drawn at random.",
            ),
            sides=("Source learnt from", "Source left out"),
            column="lost when left out",
            action="collect images of more sources, and test on one that is kept out of training",
        )
        for name, what in (
            ("accuracy-lost", "accuracy"),
            ("presence-lost", "classes rightly said to be there or not,"),
        )
    }

    most_images: Annotated[
        int, "Of more images, so many in whole units drawn at random are looked at."
    ] = 2000
    most_sources: Annotated[int, "Sources of an attribute left out in turn, the commonest."] = 12
    most_classes: Annotated[int, "Classes that are learnt, those best balanced first."] = 20
    draws: Annotated[int, "Training sets of all sources, drawn at random, a fold."] = 4

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        looked = seen(evidence, most=self.most_images, rng=rng)
        if looked is None:
            yield nothing_seen("accuracy-lost")
            return
        found: list[Measure] = []
        for attribute in (a for a in looked.rows.attributes if a.source):
            known = looked.take(looked.rows.groups(attribute.name) != MISSING_GROUP)
            for result in self._of(attribute, known, rng=rng):
                found += [result] if isinstance(result, Measure) else []
                yield result
        if found:
            yield _table(found)
            yield _forest(found)

    def _of(
        self, attribute: Attribute, looked: Seen, *, rng: np.random.Generator
    ) -> Iterator[Measured]:
        task = Task.of(looked, most=self.most_classes)
        names = looked.rows.groups(attribute.name)
        of, sizes = np.unique(names.astype(str), return_counts=True)
        commonest = [str(of[i]) for i in np.argsort(-sizes, kind="stable")[: self.most_sources]]
        for source, own in zip(commonest, rng.spawn(len(commonest)), strict=True):
            inside = names == source
            subject = Subject.about({attribute.name: source}, split="test")
            few = _too_little(inside, looked, task, subject)
            if few is not None:
                yield few
                continue
            yield _lost(inside, looked, task, subject, draws=self.draws, rng=own)


@dataclass(frozen=True)
class Task:
    """What small classifiers learn: `targets` (n, classes), and whether an image has just one.

    `known` (n,) masks images of the classes learnt.
    """

    targets: Floats
    one_each: bool
    known: Mask

    @property
    def name(self) -> str:
        return "accuracy-lost" if self.one_each else "presence-lost"

    @classmethod
    def of(cls, looked: Seen, *, most: int) -> Task:
        labels = told_classes(looked.rows, most=most)
        targets = present(looked.rows, labels)
        one_each = looked.rows.presence.one_each
        if one_each and len(looked.rows.classes) == 2 and labels:
            targets = np.hstack([1 - targets, targets])
        known: Mask = np.ones(len(targets), dtype=bool)
        if one_each:
            known = np.asarray(targets.any(axis=1))
        return cls(targets, one_each, known)

    def right(self, features: Floats, *, trained: Codes, judged: Codes, weight: Floats) -> Floats:
        """How rightly images are judged after training on others, 0 to 1, (judged,)."""
        targets = self.targets[trained]
        rows = weight[trained]
        if self.one_each:
            share = np.bincount(targets.argmax(axis=1), weights=rows, minlength=targets.shape[1])
            rows = rows / share[targets.argmax(axis=1)]
        rows = rows * len(rows) / rows.sum()
        centre = rows @ targets / len(rows)
        model = ridge(features[trained], targets - centre, weight=rows,
                      penalty=float(features.shape[1]))  # fmt: skip
        scores = model.scores(features[judged])
        truth: Mask = self.targets[judged] > 0
        if self.one_each:
            return np.asarray(truth[np.arange(len(judged)), scores.argmax(axis=1)], dtype=float)
        # Half way between images with and without the class, or a rarer one would be a guess.
        found: Floats = (
            (scores > _midway(model.scores(features[trained]), targets > 0, rows)) == truth
        ).mean(axis=1)
        return found


def _midway(scores: Floats, there: Mask, weight: Floats) -> Floats:
    """Half way between the mean scores of rows with and without each class, (classes,)."""
    sides = [
        (weight @ (scores * side)) / np.maximum(weight @ side, 1e-12) for side in (there, ~there)
    ]
    return np.asarray(sum(sides) / 2)


def _lost(
    inside: Mask, looked: Seen, task: Task, subject: Subject, *, draws: int,
    rng: np.random.Generator,
) -> Measure:  # fmt: skip
    at = np.flatnonzero(inside & task.known)
    kept = _judged(inside, looked, task, draws=draws, rng=rng)
    unit = None if looked.units is None else looked.unit[at]
    sides = (
        Side(mean(right[at], unit=unit, span=(0.0, 1.0)), len(at))
        for right in (kept.learnt, kept.left_out)
    )
    change = kept.learnt[at] - kept.left_out[at]
    return Measure(
        name=task.name,
        subject=subject,
        estimate=mean(change, unit=unit, span=(-1.0, 1.0)),
        scale="difference",
        neutral=0.0,
        better="lower",
        n=len(at),
        n_units=None if unit is None else count_units(inside & task.known, looked.unit),
        sides=(next(sides), next(sides)),
        examples=worst_first(looked.rows.image_ids.take(at), badness=change, among=change > 0),
        facts={"trained": kept.trained, **looked.drawn},
    )


@dataclass(frozen=True)
class Judged:
    """How rightly each image is judged (n,): by classifiers that learnt from its source, and by
    those that did not; NaN where it was not asked. `trained` images in the smallest fold.
    """

    learnt: Floats
    left_out: Floats
    trained: int


def _judged(
    inside: Mask, looked: Seen, task: Task, *, draws: int, rng: np.random.Generator
) -> Judged:
    fold = folds_of(looked.unit, rng=rng)
    weight = 1.0 / np.bincount(looked.unit)[looked.unit]
    learnt, left_out = np.full((2, len(fold)), np.nan)
    sizes = []
    for k in range(FOLDS):
        judged = np.flatnonzero(inside & task.known & (fold == k))
        without = np.flatnonzero(~inside & task.known & (fold != k))
        if not len(judged):
            continue
        every = np.flatnonzero(task.known & (fold != k))
        left_out[judged] = task.right(
            looked.features, trained=without, judged=judged, weight=weight
        )
        several = [
            task.right(
                looked.features,
                trained=np.sort(rng.choice(every, len(without), replace=False)),
                judged=judged,
                weight=weight,
            )
            for _ in range(draws)
        ]
        learnt[judged] = np.mean(several, axis=0)
        sizes.append(len(without))
    return Judged(learnt, left_out, min(sizes))


def _too_little(inside: Mask, looked: Seen, task: Task, subject: Subject) -> Unmeasured | None:
    if task.targets.shape[1] < (2 if task.one_each else 1):
        return Unmeasured(
            name=task.name,
            subject=subject,
            reason=f"Fewer than two labels have {MIN_UNITS} units of test images each: nothing "
            "can be learnt.",
            remedy=f"Collect labelled test images of {MIN_UNITS} units or more of each label.",
        )
    return too_few(
        task.name,
        subject,
        sides={
            "this source": count_units(inside & task.known, looked.unit),
            "the other sources": count_units(~inside & task.known, looked.unit),
        },
        noun="images" if looked.units is None else "units",
    )


def _table(found: list[Measure]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for measure in found:
        assert measure.sides is not None
        (attribute, source) = measure.subject.keys[0]
        learnt, left_out = (value(side.estimate) for side in measure.sides)
        ends = measure.interval
        rows.append((attribute, source, measure.n, measure.facts["trained"], learnt, left_out,
                     value(measure.estimate), ends.low, ends.high))  # fmt: skip
    return Table(
        id="shortcut/leave-one-source-out:sources",
        title="Small classifiers with and without each source (about the data, not the model)",
        columns=(Column("attribute"), Column("source"), Column("images"), Column("learnt from"),
                 Column("source learnt from", "share"), Column("source left out", "share"),
                 Column("lost", "share"), Column("low", "share"), Column("high", "share")),
        rows=tuple(rows),
    )  # fmt: skip


def _forest(found: list[Measure]) -> Figure:
    return Figure(
        id="shortcut/leave-one-source-out:lost",
        kind="forest",
        title="What is lost on a source that nothing was learnt from",
        caption="Accuracy of small classifiers of the model's description that learnt from the "
        "source, minus that of those that did not, with 95% intervals; as many training images. "
        "About the data and their features, not the model's own answers.",
        alt=f"{len(found)} sources.",
        x=Axis("lost", "share"),
        y=Axis("source"),
        rows=tuple(interval_row(m.subject.keys[0][1], m.estimate, n=m.n) for m in found),
    )
