"""performance/consequences: what the model's errors cost, and who bears them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup, by_group, group_table
from auditor.comparing.groups import groupings
from auditor.contract import Attributes, Check, Declared, Evidence, LabelledSplits, Need, Words
from auditor.findings import Measure, Measured, Question, Result, Subject, Unmeasured
from auditor.scoring.comparison import worst_first
from auditor.scoring.cost import class_index, cost_matrix, expected_cost
from auditor.scoring.quantities import costs, false_negatives, false_positives
from auditor.scoring.rates import n_units, rate_measure, too_few_of
from auditor.scoring.rows import Rows
from auditor.spec import ConsequencesSpec, CostsSpec

_COSTS = Declared(
    path="consequences.costs",
    remedy="State under `consequences.costs` what each wrong answer costs, and in which unit.",
    optional=True,
)
_ADVERSE = Declared(
    path="consequences.adverse",
    remedy="Name the classes whose answer harms people under `consequences.adverse`.",
    optional=True,
)
_GROUPS = Attributes(optional=True)
_NOBODY = "not stated"


@dataclass(frozen=True)
class Consequences(Check):
    """What errors cost, how often people are wrongly given an adverse answer, and who pays.

    What it measures
    ----------------
    For every adverse class of the spec: the share of images that are not of that class and
    are called so (``false-adverse-rate``), and the share of images of that class that are
    called something else (``missed-adverse-rate``). With costs in the spec: the mean cost of an
    image under the model's answers (``expected-cost``), and the part of it that falls on each
    party named under ``borne_by`` (``cost-borne``). A table gives all of them by group.

    Why it matters
    --------------
    Two models with the same accuracy may do very different harm. Whoever approves the model
    should see what an error does, to whom, and how often, in their own unit.

    How it can mislead
    ------------------
    Costs are stated, not measured; a cost that was left out counts as 0. The mean hides that a
    rare error may ruin one person. Rates are those of the test images: where a class is rarer
    in deployment than in the test, its errors cost less there, and the reverse. The truth is
    the label, and labels err too. Groups with
    fewer than ten units have no range.
    """

    id: ClassVar[str] = "performance/consequences"
    topic: ClassVar[str] = "what errors cost, and whom"
    question: ClassVar[Question | None] = Question.WRONG
    needs: ClassVar[tuple[Need, ...]] = (LabelledSplits(), _COSTS, _ADVERSE, _GROUPS)
    words: ClassVar = {
        "expected-cost": Words(
            title="Cost of errors per image, {split} data",
            short="cost of errors",
            sentence="Errors cost {value}, {split} data: {images_with_cost} of {n:rows}.",
            action="let a person decide the costly cases",
            answer="errors cost about {value} on average, {split} data",
        ),
        "cost-borne": Words(
            title="Cost of errors borne by {by}, {split} data",
            short="cost for {by}",
            sentence="Errors cost {value}, borne by {by}, {split} data: {images_with_cost} of "
            "{n:rows}.",
            action="let a person decide the costly cases",
        ),
        "false-adverse-rate": Words(
            title="Images wrongly called “{class}”, {split} data",
            short="wrongly called “{class}”",
            sentence="Wrongly called “{class}”, {split} data: {count} of {n} = {value}.",
            action="a person reviews each “{class}”",
            harm="wrongly called “{class}”",
            harm_rank=2,
        ),
        "missed-adverse-rate": Words(
            title="Images of class “{class}” that are missed, {split} data",
            short="“{class}” missed",
            sentence="“{class}” missed, {split} data: {count} of {n} = {value}.",
            action="train with more images of “{class}”, and test again",
            harm="“{class}” missed",
            harm_rank=1,
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        'Elkan (2001), "The foundations of cost-sensitive learning", IJCAI',
        "Wilson (1927), doi:10.1080/01621459.1927.10502953",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found: list[ByGroup] = []
        for split in evidence.labelled_splits():
            rows = evidence.scored(split).with_truth
            yield from _of_split(evidence, rows)
            if evidence.has(_GROUPS) and (evidence.has(_ADVERSE) or evidence.has(_COSTS)):
                found += _by_group(rows, evidence.spec.consequences)
        if found:
            title = (
                "What errors cost each group, and how often it is wrongly given or denied an "
                "adverse answer"
            )
            yield group_table(self.id, found, title=title)


def _of_split(evidence: Evidence, rows: Rows) -> Iterator[Result]:
    stated = evidence.spec.consequences
    if evidence.has(_ADVERSE):
        for name in stated.adverse:
            yield from _adverse_rates(rows, name)
    elif rows.split == "test":
        yield _undeclared("false-adverse-rate", "which answers harm people", _ADVERSE)
    if stated.costs is not None:
        yield from _costs(rows, stated.costs, borne_by=stated.borne_by)
    elif rows.split == "test":
        yield _undeclared("expected-cost", "what errors cost", _COSTS)


def _undeclared(name: str, what: str, need: Declared) -> Unmeasured:
    return Unmeasured(
        name=name,
        subject=Subject.of(split="test"),
        reason=f"The spec does not state {what}.",
        remedy=need.remedy,
    )


def _adverse_rates(rows: Rows, name: str) -> Iterator[Measure | Unmeasured]:
    class_index(name, classes=rows.classes, where="consequences.adverse")
    of_class, called = rows.present(name), rows.called(name)
    for kind, among, wrong, of in (
        ("false-adverse-rate", ~of_class, called, "not of"),
        ("missed-adverse-rate", of_class, ~called, "of"),
    ):
        yield rate_measure(
            kind,
            subject=Subject.about({"class": name}, split=rows.split),
            among=rows.take(among),
            success=wrong[among],
            better="lower",
            of=f'{rows.split} data {of} class "{name}"',
        )


def _costs(
    rows: Rows, stated: CostsSpec, *, borne_by: Mapping[str, str]
) -> Iterator[Measure | Unmeasured]:
    of = f"the labelled {rows.split} data"
    few = too_few_of("expected-cost", Subject.of(split=rows.split), rows, of=of)
    if few is not None:
        yield few
        return
    matrix = cost_matrix(stated, classes=rows.classes)
    spent = rows.presence.costs(matrix)
    yield _cost_measure("expected-cost", rows, spent, matrix.max(), _unit(stated))
    for name in borne_by:
        class_index(name, classes=rows.classes, where="consequences.borne_by")
    bearers = np.array([borne_by.get(name, _NOBODY) for name in rows.classes], dtype=object)
    payable = matrix.max(axis=0)
    for party in dict.fromkeys(bearers[payable > 0]):
        theirs = bearers == party
        share = rows.presence.costs(np.where(theirs[None, :], matrix, 0.0))
        yield _cost_measure(
            "cost-borne", rows, share, payable[theirs].max(), _unit(stated), by=str(party)
        )


def _cost_measure(
    name: str, rows: Rows, spent: np.ndarray, dearest: float, unit: str, **keys: str
) -> Measure:
    return Measure(
        name=name,
        subject=Subject.of(split=rows.split, **keys),
        estimate=expected_cost(spent, dearest=float(dearest), unit=rows.units),
        scale="amount",
        unit=unit,
        least=0.0,
        better="lower",
        n=len(rows),
        n_units=n_units(rows),
        examples=worst_first(rows.image_ids, badness=spent, among=spent > 0),
        facts={"total": float(spent.sum()), "images_with_cost": int((spent > 0).sum())},
    )


def _by_group(rows: Rows, stated: ConsequencesSpec) -> Iterator[ByGroup]:
    """What errors cost each group, and how often it is wrongly given or denied each answer."""
    for grouping in groupings(rows, by_label=True):
        quantities = [
            kind(grouping.rows, name)
            for name in stated.adverse
            for kind in (false_positives, false_negatives)
        ]
        if stated.costs is not None:
            matrix = cost_matrix(stated.costs, classes=rows.classes)
            quantities.insert(0, costs(grouping.rows, matrix, unit=_unit(stated.costs)))
        yield from (by_group(quantity, grouping, _nothing) for quantity in quantities)


def _nothing(compared: AgainstRest, group: str) -> Iterator[Measured]:
    """No measure of a group: bias/harm and bias/error-rates compare them."""
    yield from ()


def _unit(costs: CostsSpec) -> str:
    return f"{costs.unit} per image"
