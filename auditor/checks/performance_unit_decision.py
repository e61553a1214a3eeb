"""performance/unit-decision: how good one answer for a whole unit (a room, a person) is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from auditor.contract import Check, ClassScores, Evidence, LabelledSplits, Need, Units, Words
from auditor.findings import Cell, Column, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MAX_EXAMPLES, MIN_UNITS, too_few
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import least_standard_error, rate_cells
from auditor.scoring.units import UNIT_RULES, UnitDecisions, UnitVotes, unit_votes
from auditor.stats import Normal, mean, rate

_SHARES = (Column("share", "share"), Column("low", "share"), Column("high", "share"))

_NAMES = ("unit-accuracy", "unit-minus-image")
_UNITS = {s: Units(split=s, optional=True) for s in ("test", "deployment")}

MOST_MIXED = 0.5
"""Share of units with images of several labels above which units are not decided on as a whole."""


@dataclass(frozen=True)
class UnitDecision(Check):
    """How often the one answer that a unit's images make together is right.

    What it measures
    ----------------
    The images of a unit (the photos of a room) are made one answer by the rule of the spec,
    ``data.unit_rule``: the class with the highest mean probability, the class answered most
    often, or the gravest class answered for any image (classes later in the spec are graver,
    adverse ones gravest). Unit-accuracy is the share of units whose answer is their label, the
    one that most of their images carry; unit-minus-image is that share minus the share of
    images that are right.

    Why it matters
    --------------
    Decisions fall on rooms and persons, not on photos. A model that is right for nine photos of
    ten may be wrong for every second room when any one photo decides, and better than its
    photos when they vote.

    How it can mislead
    ------------------
    The rule in use may be another than the one in the spec, and more photos of a unit may be
    taken than the test has. Units whose images carry different labels are given the commonest;
    they are counted in the details, and for the rule "worst" they are often right to differ.
    An image without a unit decides by itself. Where most units hold images of several labels
    (a sheet of different digits), nothing is measured.
    """

    id: ClassVar[str] = "performance/unit-decision"
    topic: ClassVar[str] = "decisions per unit"
    needs: ClassVar[tuple[Need, ...]] = (
        LabelledSplits(),
        Units(),
        ClassScores(),
        *_UNITS.values(),
    )
    words: ClassVar = {
        "unit-accuracy": Words(
            title="Accuracy per unit, all its images together, {split} data",
            short="accuracy per unit",
            sentence="Answered rightly as {units_noun} ({rule} of their images), {split} data: "
            "{count} of {n} = {value}.",
            action="train and test again",
            metric="unit-accuracy",
            headline="Per {unit_noun}: {value} right, {units:units} of the {split} data.",
            headline_rank=2,
        ),
        "unit-minus-image": Words(
            title="Accuracy per unit minus accuracy per image, {split} data",
            short="per unit minus per image",
            sentence="{by_unit:percent} of {units_noun} and {by_image:percent} of images are "
            "answered rightly ({split} data).",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = ("Wilson (1927), doi:10.1080/01621459.1927.10502953",)

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split in evidence.labelled_splits():
            if evidence.has(_UNITS[split]):
                yield from _of_split(evidence, split)


def _of_split(evidence: Evidence, split: str) -> Iterator[Result]:
    outcomes = evidence.answers(split)
    rule, adverse = evidence.spec.data.unit_rule, evidence.spec.consequences.adverse
    votes = unit_votes(outcomes, adverse=adverse)
    decisions = votes.decide(rule)
    if len(decisions) < MIN_UNITS:
        yield from _too_few(len(decisions), split)
        return
    if decisions.conflicting.mean() > MOST_MIXED:
        yield from _mixed(decisions, split)
        return
    yield _accuracy(decisions, outcomes, rule=rule)
    yield _difference(decisions, outcomes)
    yield _rules(votes, split)
    yield from _adverse(decisions, outcomes.classes, adverse, split)


def _too_few(found: int, split: str) -> Iterator[Unmeasured]:
    sides = {f"the labelled {split} data": found}
    for name in _NAMES:
        few = too_few(name, Subject.of(split=split), sides=sides, noun="units")
        if few is not None:
            yield few


def _mixed(decisions: UnitDecisions, split: str) -> Iterator[Unmeasured]:
    mixed = int(decisions.conflicting.sum())
    for name in _NAMES:
        yield Unmeasured(
            name,
            Subject.of(split=split),
            reason=f"{mixed} of {len(decisions)} units hold images with different labels, so that "
            "one answer for a unit would mean nothing.",
            remedy="If units do get one answer each, give all images of a unit its label.",
        )


def _accuracy(decisions: UnitDecisions, outcomes: Outcomes, *, rule: str) -> Measure:
    n = len(decisions)
    return Measure(
        name="unit-accuracy",
        subject=Subject.of(split=outcomes.dataset.split),
        estimate=rate(decisions.correct),
        scale="share",
        better="higher",
        n=n,
        n_units=n,
        examples=_wrong_units(decisions, outcomes),
        facts={
            "count": int(decisions.correct.sum()),
            "rule": rule,
            "conflicting_labels": int(decisions.conflicting.sum()),
            "left_out": decisions.left_out,
        },
    )


def _wrong_units(decisions: UnitDecisions, outcomes: Outcomes) -> tuple[str, ...]:
    """The first image of the units that are most confidently wrong."""
    wrong = np.flatnonzero(~decisions.correct)
    worst = wrong[np.argsort(-decisions.confidence[wrong], kind="stable")][:MAX_EXAMPLES]
    units = outcomes.units
    firsts = [np.flatnonzero(units == decisions.names[i])[0] for i in worst]
    return tuple(str(outcomes.image_ids[row]) for row in firsts)


def _difference(decisions: UnitDecisions, outcomes: Outcomes) -> Measure:
    images = outcomes.with_labels()
    owner = pd.Index(decisions.names).get_indexer(np.asarray(images.units, dtype=object))
    correct = images.correct.astype(float)
    by_image, by_unit = float(correct.mean()), float(decisions.correct.mean())
    return Measure(
        name="unit-minus-image",
        subject=Subject.of(split=outcomes.dataset.split),
        estimate=_linearised(decisions.correct, correct - by_image, owner, by_unit - by_image),
        scale="difference",
        better="higher",
        n=len(correct),
        n_units=len(decisions),
        facts={"by_unit": by_unit, "by_image": by_image},
    )


def _linearised(
    right: np.ndarray, residuals: np.ndarray, owner: np.ndarray, difference: float
) -> Normal:
    """Accuracy over units minus over images, by what each unit contributes to both."""
    units = len(right)
    own = np.bincount(owner, weights=residuals, minlength=units) * units / len(residuals)
    estimate = mean(difference + (right - right.mean()) - own)
    return Normal(difference, max(estimate.se, least_standard_error(units)), estimate.df)


def _rules(votes: UnitVotes, split: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for rule in UNIT_RULES:
        right = votes.decide(rule).correct
        rows.append((rule, len(right), *rate_cells(right)))
    return Table(
        id=UnitDecision.shown_id("rules", split),
        title="Accuracy of units under each rule that makes one answer of their images, "
        f"{split} data",
        columns=(Column("rule"), Column("units"), *_SHARES),
        rows=tuple(rows),
    )


def _adverse(
    decisions: UnitDecisions, classes: tuple[str, ...], adverse: tuple[str, ...], split: str
) -> Iterator[Result]:
    """Per adverse class and unit: how many are missed, how many are called so wrongly."""
    rows: list[tuple[Cell, ...]] = []
    for name in (c for c in classes if c in adverse):
        index = classes.index(name)
        of_class, answered = decisions.labels == index, decisions.answers == index
        for said, among, wrong in (
            ("missed", of_class, ~answered),
            ("wrongly called so", ~of_class, answered),
        ):
            rows.append((name, said, int(among.sum()), *rate_cells(wrong[among])))
    if rows:
        yield Table(
            id=UnitDecision.shown_id("adverse", split),
            title="Units whose adverse class was missed, and units wrongly called so, "
            f"{split} data",
            columns=(Column("class"), Column("error"), Column("units"), *_SHARES),
            rows=tuple(rows),
        )
