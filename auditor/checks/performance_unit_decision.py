"""performance/unit-decision: how good one answer for a whole unit (a room, a person) is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from auditor.contract import Check, ClassScores, Evidence, LabelledSplits, Need, Units, Words
from auditor.contract.words import EITHER_WAY
from auditor.findings import Cell, Column, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MAX_EXAMPLES, MIN_UNITS, too_few
from auditor.scoring.presence import Several
from auditor.scoring.rates import rare_classes, rate_cells, rate_measure
from auditor.scoring.rows import Rows
from auditor.scoring.units import (
    UNIT_RULES,
    UnitDecisions,
    UnitVotes,
    set_votes,
    unit_votes,
)
from auditor.spec.audit_spec import UnitAcceptsSpec
from auditor.stats import Normal, mean, rate

_SHARES = (Column("share", "share"), Column("low", "share"), Column("high", "share"))

_SCORES = {s: ClassScores(split=s, optional=True) for s in ("test", "deployment")}
_NAMES = ("unit-accuracy", "unit-minus-image")
_UNITS = {s: Units(split=s, optional=True) for s in ("test", "deployment")}

LISTED_ONE_BY_ONE = 20
"""Up to this many classes, each class that is too rare is named by itself."""

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

    Where an image may hold several classes (boxes, class maps), the answer is the set of classes
    that the unit's images are called to hold, and right where that is the set annotated: classes
    of any image (the rule "worst"), or of more than half of the annotated images ("majority", and
    "mean" too). Of each class then also: the share of units holding it that are called so
    (unit-recall), and of those without it that are (unit-false-alarms).

    Where the spec says when a unit is accepted (``data.unit_accepts``: it holds all of some
    classes and none of others), also the share of units to refuse that are accepted
    (wrongly-accepted), and of units to accept that are refused (wrongly-refused).

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
    (a sheet of different digits), nothing is measured. Sets of classes say nothing of how many
    objects there are nor where: a box anywhere in the image tells its class, and two errors in
    one unit may make a right go or no-go.
    """

    id: ClassVar[str] = "performance/unit-decision"
    topic: ClassVar[str] = "decisions per unit"
    needs: ClassVar[tuple[Need, ...]] = (
        LabelledSplits(),
        Units(),
        *_SCORES.values(),
        *_UNITS.values(),
    )
    words: ClassVar = {
        "unit-accuracy": Words(
            title="Accuracy per {unit_noun}, all its images together, {split} data",
            short="accuracy per {unit_noun}",
            sentence="Answered rightly as {units_noun} ({rule} of their images), {split} data: "
            "{count} of {n} = {value}.",
            action="train and test again",
            metric="unit-accuracy",
            headline="Per {unit_noun}: {value} right, {units:units} of the {split} data.",
            headline_rank=2,
        ),
        "unit-minus-image": Words(
            title="Accuracy per {unit_noun} minus accuracy per image, {split} data",
            span=EITHER_WAY,
            short="per {unit_noun} minus per image",
            sentence="{by_unit:percent} of {units_noun} and {by_image:percent} of images are "
            "answered rightly ({split} data).",
        ),
        "unit-recall": Words(
            title="Share of {units_noun} with “{class}” that are called so, {split} data",
            short="“{class}” per {unit_noun}",
            sentence="Of {units_noun} with “{class}” are called so, {split} data: "
            "{count} of {n} = {value}.",
            action="train with more images of “{class}”, and test again",
        ),
        "unit-false-alarms": Words(
            title="Share of {units_noun} without “{class}” that are called so, {split} data",
            short="“{class}” wrongly per {unit_noun}",
            sentence="Of {units_noun} without “{class}” are called so, {split} data: "
            "{count} of {n} = {value}.",
            action="train with more images without “{class}”, and test again",
        ),
        "wrongly-accepted": Words(
            title="Share of {units_noun} to refuse that are accepted, {split} data",
            short="wrongly accepted",
            sentence="Of {units_noun} to refuse, accepted are ({split} data): {count} of {n} = "
            "{value}.",
            action="train with more {units_noun} that are to be refused, and test again",
        ),
        "wrongly-refused": Words(
            title="Share of {units_noun} to accept that are refused, {split} data",
            short="wrongly refused",
            sentence="Of {units_noun} to accept, refused are ({split} data): {count} of {n} = "
            "{value}.",
            action="train with more {units_noun} that are to be accepted, and test again",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = ("Wilson (1927), doi:10.1080/01621459.1927.10502953",)

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split in evidence.labelled_splits():
            if evidence.has(_UNITS[split]):
                yield from _of_split(evidence, split)


def _of_split(evidence: Evidence, split: str) -> Iterator[Result]:
    images = evidence.scored(split, of="image")
    rule, adverse = evidence.spec.data.unit_rule, evidence.spec.consequences.adverse
    votes: UnitVotes = (
        unit_votes(evidence.answers(split), adverse=adverse)
        if evidence.has(_SCORES[split])
        else set_votes(images)
    )
    decisions = votes.decide(rule)
    if len(decisions) < MIN_UNITS:
        yield from _too_few(len(decisions), split)
        return
    if decisions.conflicting.mean() > MOST_MIXED:
        yield from _mixed(decisions, split)
        return
    yield _accuracy(decisions, images, rule=rule)
    yield _difference(decisions, images)
    yield _rules(votes, split)
    yield from _acceptance(decisions, images, evidence.spec.data.unit_accepts)
    if isinstance(decisions.presence, Several):
        yield from _classes(decisions, images)
        yield from _errors(decisions, images.classes, split)
    else:
        yield from _errors(decisions, tuple(c for c in images.classes if c in adverse), split)


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


def _accuracy(decisions: UnitDecisions, images: Rows, *, rule: str) -> Measure:
    n = len(decisions)
    return Measure(
        name="unit-accuracy",
        subject=Subject.of(split=images.split),
        estimate=rate(decisions.correct),
        scale="share",
        better="higher",
        n=n,
        n_units=n,
        examples=_wrong_units(decisions, images),
        facts={
            "count": int(decisions.correct.sum()),
            "rule": rule,
            "conflicting_labels": int(decisions.conflicting.sum()),
            "left_out": decisions.left_out,
        },
    )


def _wrong_units(decisions: UnitDecisions, images: Rows) -> tuple[str, ...]:
    """The first image of the units that are most confidently wrong."""
    wrong = np.flatnonzero(~decisions.correct)
    worst = wrong[np.argsort(-decisions.confidence[wrong], kind="stable")][:MAX_EXAMPLES]
    firsts = _firsts(images, decisions.names[worst])
    return tuple(str(images.image_ids[row]) for row in firsts)


def _firsts(images: Rows, names: np.ndarray) -> np.ndarray:
    """The row of the first image of each of the named units."""
    # As objects: pandas would make text of its own of a million names.
    units = pd.Index(np.asarray(images.units, dtype=object), dtype=object)
    at = np.flatnonzero(~units.duplicated())
    return np.asarray(at[units[at].get_indexer(pd.Index(names, dtype=object))])


def _difference(decisions: UnitDecisions, images: Rows) -> Measure:
    images = images.with_truth
    names = pd.Index(decisions.names, dtype=object)
    units = np.asarray(images.units, dtype=object)
    owner = names.get_indexer(pd.Index(units, dtype=object))
    correct = images.presence.exact().astype(float)
    by_image, by_unit = float(correct.mean()), float(decisions.correct.mean())
    return Measure(
        name="unit-minus-image",
        subject=Subject.of(split=images.split),
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
    parts = difference + (right - right.mean()) - own
    estimate = mean(parts, span=(min(-1.0, parts.min()), max(1.0, parts.max())))
    return replace(estimate, value=difference, least=-1.0, most=1.0)


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


def _as_rows(decisions: UnitDecisions, images: Rows) -> Rows:
    units = images.take(_firsts(images, decisions.names))
    return replace(units, presence=decisions.presence, confidence=decisions.confidence)


def _acceptance(
    decisions: UnitDecisions, images: Rows, stated: UnitAcceptsSpec | None
) -> Iterator[Measure | Unmeasured]:
    """Go or no-go: units accepted that are to be refused, and the other way round."""
    if stated is None:
        return
    units = _as_rows(decisions, images)
    right, said = (_accepted(stated, holds, len(units)) for holds in (units.present, units.called))
    for name, among, wrong, of in (
        ("wrongly-accepted", ~right, said, "units to refuse"),
        ("wrongly-refused", right, ~said, "units to accept"),
    ):
        yield rate_measure(
            name, subject=Subject.of(split=units.split), among=units.take(among),
            success=wrong[among], better="lower", of=of,
        )  # fmt: skip


def _accepted(stated: UnitAcceptsSpec, holds: Callable[[str], np.ndarray], n: int) -> np.ndarray:
    accepted = np.ones(n, dtype=bool)
    for name in stated.all_of:
        accepted &= holds(name)
    for name in stated.none_of:
        accepted &= ~holds(name)
    return accepted


def _classes(decisions: UnitDecisions, images: Rows) -> Iterator[Measure | Unmeasured]:
    """Of each class, units found to hold it, and units without it that are called so."""
    units = _as_rows(decisions, images)
    for measure, told in (("unit-recall", "with"), ("unit-false-alarms", "without")):
        found = [_of_class(units, name, measure, told) for name in units.classes]
        yield from (m for m in found if isinstance(m, Measure))
        rare = [m for m in found if isinstance(m, Unmeasured)]
        yield from rare_classes(rare, noun=f"{told} the class", most=LISTED_ONE_BY_ONE)


def _of_class(units: Rows, name: str, measure: str, told: str) -> Measure | Unmeasured:
    among = units.present(name) if told == "with" else ~units.present(name)
    return rate_measure(
        measure,
        subject=Subject.about({"class": name}, split=units.split),
        among=units.take(among),
        success=units.called(name)[among],
        better="higher" if told == "with" else "lower",
        of=f'units {told} "{name}"',
    )


def _errors(decisions: UnitDecisions, classes: tuple[str, ...], split: str) -> Iterator[Result]:
    """Per class and unit: how many are missed, how many are called so wrongly."""
    rows: list[tuple[Cell, ...]] = []
    for name in classes:
        of_class, answered = decisions.presence.present(name), decisions.presence.called(name)
        for said, among, wrong in (
            ("missed", of_class, ~answered),
            ("wrongly called so", ~of_class, answered),
        ):
            rows.append((name, said, int(among.sum()), *rate_cells(wrong[among])))
    if rows:
        title = "Units whose adverse class was missed, and units wrongly called so"
        if isinstance(decisions.presence, Several):
            title = "Units of which a class was missed, and units wrongly called so"
        yield Table(
            id=UnitDecision.shown_id("adverse", split),
            title=f"{title}, {split} data",
            columns=(Column("class"), Column("error"), Column("units"), *_SHARES),
            rows=tuple(rows),
        )
