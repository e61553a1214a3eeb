"""performance/unit-decision: how good one answer for a whole unit (a room, a person) is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from auditor.contract import Check, Evidence, Need, Predictions, Truth, Units
from auditor.findings import Cell, Column, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MAX_EXAMPLES, MIN_UNITS, rate_details, too_few
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import count_text, least_standard_error, rate_cells
from auditor.scoring.units import UNIT_RULES, UnitDecisions, UnitVotes, unit_votes
from auditor.stats import Normal, mean, rate

_SHARES = (Column("share", "share"), Column("low", "share"), Column("high", "share"))

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
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Units())
    sources: ClassVar[tuple[str, ...]] = ("Wilson (1927), doi:10.1080/01621459.1927.10502953",)

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.outcomes("test")
        rule, adverse = evidence.spec.data.unit_rule, evidence.spec.consequences.adverse
        votes = unit_votes(outcomes, adverse=adverse)
        decisions = votes.decide(rule)
        if len(decisions) < MIN_UNITS:
            yield from _too_few(len(decisions))
            return
        if decisions.conflicting.mean() > MOST_MIXED:
            yield from _mixed(decisions)
            return
        yield _accuracy(decisions, outcomes, rule=rule)
        yield _difference(decisions, outcomes)
        yield _rules(votes)
        yield from _adverse(decisions, outcomes.classes, adverse)


def _too_few(found: int) -> Iterator[Unmeasured]:
    for name in ("unit-accuracy", "unit-minus-image"):
        few = too_few(
            name, Subject.of(split="test"), sides={"the labelled test data": found}, noun="units"
        )
        if few is not None:
            yield few


def _mixed(decisions: UnitDecisions) -> Iterator[Unmeasured]:
    mixed = int(decisions.conflicting.sum())
    for name in ("unit-accuracy", "unit-minus-image"):
        yield Unmeasured(
            name,
            Subject.of(split="test"),
            reason=f"{mixed} of {len(decisions)} units hold images with different labels, so that "
            "one answer for a unit would mean nothing.",
            remedy="If units do get one answer each, give all images of a unit its label.",
        )


def _accuracy(decisions: UnitDecisions, outcomes: Outcomes, *, rule: str) -> Measure:
    estimate = rate(decisions.correct)
    n, right = len(decisions), int(decisions.correct.sum())
    return Measure(
        name="unit-accuracy",
        subject=Subject.of(split="test"),
        estimate=estimate,
        unit="share",
        better="higher",
        n=n,
        n_units=n,
        examples=_wrong_units(decisions, outcomes),
        details={
            "rate": rate_details(estimate, n=n),
            "rule": rule,
            "conflicting_labels": int(decisions.conflicting.sum()),
            "left_out": decisions.left_out,
            "sentence": f"Units answered rightly ({rule} of their images): "
            f"{count_text(right, n, estimate)}.",
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
        subject=Subject.of(split="test"),
        estimate=_linearised(decisions.correct, correct - by_image, owner, by_unit - by_image),
        unit="share",
        better="higher",
        n=len(correct),
        n_units=len(decisions),
        details={
            "units": by_unit,
            "images": by_image,
            "sentence": f"{100 * by_unit:.0f}% of units and {100 * by_image:.0f}% of images are "
            "answered rightly.",
        },
    )


def _linearised(
    right: np.ndarray, residuals: np.ndarray, owner: np.ndarray, difference: float
) -> Normal:
    """Accuracy over units minus over images, by what each unit contributes to both."""
    units = len(right)
    own = np.bincount(owner, weights=residuals, minlength=units) * units / len(residuals)
    estimate = mean(difference + (right - right.mean()) - own)
    return Normal(difference, max(estimate.se, least_standard_error(units)), estimate.df)


def _rules(votes: UnitVotes) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for rule in UNIT_RULES:
        right = votes.decide(rule).correct
        rows.append((rule, len(right), *rate_cells(right)))
    return Table(
        id="performance/unit-decision:rules",
        title="Accuracy of units under each rule that makes one answer of their images",
        columns=(Column("rule"), Column("units"), *_SHARES),
        rows=tuple(rows),
    )


def _adverse(
    decisions: UnitDecisions, classes: tuple[str, ...], adverse: tuple[str, ...]
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
            id="performance/unit-decision:adverse",
            title="Units whose adverse class was missed, and units wrongly called so",
            columns=(Column("class"), Column("error"), Column("units"), *_SHARES),
            rows=tuple(rows),
        )
