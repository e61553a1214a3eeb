"""Deployment answers without labels, beside test answers of known truth, as shot and changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from auditor.contract import ClassScores, Evidence
from auditor.contract.passes import PassKeys
from auditor.data.dataset import MISSING_GROUP, Dataset
from auditor.findings import Measure, Measured, RowKind, Side, Subject, Unmeasured
from auditor.shift.corruptions import Corruptions
from auditor.shift.sides import MIN_UNITS, Sides, copied
from auditor.shift.simulated import (
    Answered,
    Simulated,
    corrupted_sets,
    mixed_sets,
    shifted_of,
)
from auditor.stats import draws_of, interval, rate, value, wilson
from auditor.stats.codes import distinct
from auditor.stats.estimated_accuracy import ByChange, Estimator, Known, Shifted
from auditor.stats.resampling import whole_units

SCORES = tuple(ClassScores(split=s, optional=True) for s in ("test", "deployment"))
"""Needs of a check that estimates: classifiers alone meet them."""

LEAST_FAMILIES = 3
LEAST_SAMPLE = 100
WIDEST = 0.6
"""An interval of 90% that is wider says nothing."""
BEYOND = 0.05
"""By how much an estimate may lie beyond those of all sets that it was learned from."""

_DRAWS = 2000

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]


def unlabelled_images(evidence: Evidence, sides: Sides) -> Flags:
    """Deployment images without labels, or all where too few have none; no copies of test ones."""
    new = ~copied(evidence)
    if evidence.has(SCORES[1]):
        known = evidence.dataset("deployment").labels >= 0
    else:
        known = evidence.scored("deployment", of="image").known
    without: Flags = new & ~known
    return without if sides.there.units(without) >= MIN_UNITS else new


@dataclass(frozen=True)
class Part:
    """A group, or all (`group` empty): masks over test and deployment answers."""

    attribute: str
    group: str
    here: Flags
    there: Flags

    @property
    def subject(self) -> Subject:
        keys = {self.attribute: self.group} if self.group else {}
        return Subject.about(keys, split="deployment")


@dataclass(frozen=True)
class Answers:
    """Answers of one split with the code of each one's unit, (n,), and its groups by attribute."""

    answers: Answered
    unit: Codes
    groups: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, answers: Answered, dataset: Dataset, unit: Codes) -> Answers:
        """With the `unit` of each answer, (n,)."""
        at = dataset.image_ids.places_of(answers.image_ids)
        attributes = dataset.attributes_of("sensitive", "condition")
        return cls(answers, unit, {a.name: dataset.groups(a.name)[at] for a in attributes})

    def take(self, keep: Flags) -> Answers:
        groups = {name: found[keep] for name, found in self.groups.items()}
        return Answers(self.answers.take(keep), self.unit[keep], groups)

    def units(self, keep: Flags) -> int:
        return distinct(self.unit[keep])


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Test answers of known truth (`here`), deployment answers asked about (`there`), the sets.

    `labelled` are the deployment answers whose truth is known; `sample` is how many answers the
    smallest corrupted sample has.
    """

    here: Answers
    there: Answers
    labelled: Answers
    sets: tuple[Simulated, ...]
    sample: int
    named: bool
    rng: np.random.Generator

    @classmethod
    def of(
        cls, evidence: Evidence, sides: Sides, images: Flags, *, most: int, most_known: int,
        rng: np.random.Generator,
    ) -> Unlabelled:  # fmt: skip
        """From at most `most` deployment images and `most_known` test answers, in whole units."""
        here = answered(evidence, "test")
        here, there = here.take(here.known), answered(evidence, "deployment")
        data = evidence.dataset("deployment")
        kept = whole_units(np.flatnonzero(images), unit=sides.there.unit, most=most, rng=rng)
        asked = there.among(data.image_ids.take(kept))
        unit = sides.there.unit[data.image_ids.places_of(there.image_ids)]
        of_there, labelled = (
            Answers.of(there.take(some), data, unit[some]) for some in (asked, there.known)
        )
        sets = list(_sets(evidence, here, rng))
        test = evidence.dataset("test")
        unit = sides.here.unit[test.image_ids.places_of(here.image_ids)]
        known = whole_units(np.arange(len(here)), unit=unit, most=most_known, rng=rng)
        return cls(
            here=Answers.of(here.take(known), test, unit[known]),
            there=of_there,
            labelled=labelled,
            sets=tuple(sets),
            sample=min((len(s.answers) for s in sets if s.severity and s.share == 1), default=0),
            named=sides.here.named or sides.there.named,
            rng=rng,
        )

    @cached_property
    def estimator(self) -> Estimator:
        return self.here.answers.estimator()

    @cached_property
    def shifted(self) -> Shifted:
        return shifted_of(self.sets, self.estimator)

    @cached_property
    def by_change(self) -> ByChange:
        return ByChange(self._known(np.ones(len(self.here.unit), dtype=bool)), self.shifted)

    @cached_property
    def _values(self) -> tuple[Floats, Floats]:
        """Numbers of the test answers and of those asked about, (n, estimates) each."""
        return (
            self.estimator.values(self.here.answers.seen),
            self.estimator.values(self.there.answers.seen),
        )

    def _known(self, keep: Flags) -> Known:
        right = self.here.answers.right[keep]
        return Known(self._values[0][keep], right, self.here.unit[keep])

    @property
    def of_rows(self) -> RowKind:
        return "answer" if self.here.answers.labels is None else "image"

    def lacking(self, name: str) -> Unmeasured | None:
        """Why nothing can be estimated: too little to learn from, or answers beyond all of it."""
        subject, families = Subject(split="deployment"), {s.family for s in self.sets}
        noun = f"{self.of_rows}s"
        if min(len(self.there.unit), self.there.units(np.ones(len(self.there.unit), bool))) < 2:
            return Unmeasured(
                name, subject, f"The model gave too few {noun} where it will run.",
                "Give more images from where it will run.",
            )  # fmt: skip
        if self.sample < LEAST_SAMPLE or len(families) < LEAST_FAMILIES:
            return Unmeasured(
                name=name,
                subject=subject,
                reason=f"What a change of answers means is learned from test images changed on "
                f"purpose, and of {len(families)} families of changes the smallest sample has "
                f"{self.sample} {noun}: at least {LEAST_FAMILIES} with {LEAST_SAMPLE} are needed.",
                remedy="Give more labelled test images, or corrupt more of them (`sample` and "
                "`kinds` of shift/corruptions).",
            )
        return self._beyond(name, subject)

    def _beyond(self, name: str, subject: Subject) -> Unmeasured | None:
        before, there = (values.mean(axis=0) for values in self._values)
        all_means = np.vstack([self.shifted.means, before])
        low, high = all_means.min(axis=0) - BEYOND, all_means.max(axis=0) + BEYOND
        off = np.flatnonzero((there < low) | (there > high))
        if not len(off):
            return None
        which = self.estimator.names[off[0]]
        return Unmeasured(
            name=name,
            subject=subject,
            reason=f"The answers where it will run are beyond those to all test images changed on "
            f"purpose: the estimate by {which} is {100 * there[off[0]]:.0f}% there, and "
            f"{100 * (low[off[0]] + BEYOND):.0f}% to {100 * (high[off[0]] - BEYOND):.0f}% here.",
            remedy="Label the images that are listed, and measure.",
        )

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All answers, and each group with enough units of both splits."""
        everyone = tuple(np.ones(len(side.unit), dtype=bool) for side in (self.here, self.there))
        return (Part("", "", *everyone), *self._groups())

    def _groups(self) -> Iterator[Part]:
        for name, groups in self.here.groups.items():
            there = self.there.groups.get(name)
            for group in [] if there is None else sorted({*groups.tolist()} - {MISSING_GROUP}):
                assert there is not None
                part = Part(name, group, groups == group, there == group)
                if min(self.here.units(part.here), self.there.units(part.there)) >= MIN_UNITS:
                    yield part

    def loss(self, name: str, part: Part, *, labels: int) -> Measured:
        """What is lost of the share that is right, for a part."""
        known, values = self._known(part.here), self._values[1][part.there]
        unit = self.there.unit[part.there]
        there, here = self.by_change.draws(values, unit, known=known, rng=self.rng, draws=_DRAWS)
        point = self.by_change.estimate(values.mean(axis=0), known=known)
        low, high = np.quantile(there, [0.05, 0.95]).tolist()
        if high - low > WIDEST:
            return Unmeasured(
                name=name,
                subject=part.subject,
                reason=f"The estimate says nothing: {100 * low:.0f}% or {100 * high:.0f}% of the "
                "answers there may be right.",
                remedy="Label the images that are listed, and measure.",
            )
        right = float(known.right.mean())
        return Measure(
            name=name,
            subject=part.subject,
            estimate=draws_of(right - point, samples=here - there),
            scale="difference",
            neutral=0.0,
            better="lower",
            n=len(values),
            n_units=distinct(unit) if self.named or self.of_rows == "answer" else None,
            sides=(
                Side(rate(known.right, unit=known.unit), len(known.right)),
                Side(draws_of(point, samples=there), len(values)),
            ),
            unlabelled=True,
            facts={
                "estimate": point, "low": low, "high": high, "right_test": right,
**({} if part.group else {"to_label": labels, "precision": _precision(point, labels)}),
                **self._alone(known, values), **self._measured(part),
            },
            of=self.of_rows,
        )  # fmt: skip

    def _alone(self, known: Known, values: Floats) -> dict[str, float]:
        """What each estimate says by itself."""
        found = dict(zip(self.estimator.names, values.mean(axis=0).tolist(), strict=True))
        before = float(known.values[:, 0].mean())
        change = float(known.right.mean()) + found["confidence"] - before
        said = {f"by_{name}": share for name, share in found.items()}
        return {**said, "by_change": float(np.clip(change, 0.0, 1.0))}

    def _measured(self, part: Part) -> dict[str, float]:
        """What is right of the deployment answers whose truth is known, with its interval."""
        side = self.labelled
        if part.group:
            side = side.take(side.groups[part.attribute] == part.group)
        if len(side.unit) == 0 or side.units(np.ones(len(side.unit), dtype=bool)) < MIN_UNITS:
            return {}
        found = rate(side.answers.right, unit=side.unit)
        ends = interval(found)
        return {"measured": value(found), "measured_low": ends.low, "measured_high": ends.high,
                "measured_n": len(side.unit)}  # fmt: skip


def _precision(share: float, n: int) -> float:
    """Half the width of the 95% interval of a share of `n` images drawn at random."""
    ends = wilson(share * n, n)
    return (ends.high - ends.low) / 2


def answered(evidence: Evidence, split: str, **asked: Unpack[PassKeys]) -> Answered:
    """A classifier's answers to the images of a pass, or the answers of a detector."""
    if all(evidence.has(need) for need in SCORES):
        return Answered.of_images(evidence.answers(split, **asked))
    return Answered.of_answers(evidence.scored(split, of="answer", **asked))


def _sets(evidence: Evidence, here: Answered, rng: np.random.Generator) -> Iterator[Simulated]:
    corruptions = Corruptions.asked(evidence.spec)
    yield from mixed_sets(here, size=min(len(here), corruptions.sample), rng=rng)
    for view in corruptions.views:
        found = answered(evidence, "test", view=view, sample=corruptions.sample)
        found = found.take(found.known)
        yield from corrupted_sets(view, found, here, rng=rng)
