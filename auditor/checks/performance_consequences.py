"""performance/consequences: what the model's errors cost, and who bears them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.contract import Attributes, Check, Declared, Evidence, Need, Predictions, Truth
from auditor.data.dataset import MISSING_GROUP
from auditor.findings import Cell, Column, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, worst_first
from auditor.scoring.cost import class_index, cost_matrix, expected_cost, image_costs
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import (
    independent,
    n_units,
    rate_cells,
    rate_measure,
    too_few_of,
)
from auditor.spec import AuditSpec, CostsSpec
from auditor.stats import interval, value

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
    For every adverse class of the spec: the share of test images that are not of that class and
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
    the label, and labels err too. Groups with fewer than ten units are counted only.
    """

    id: ClassVar[str] = "performance/consequences"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), _COSTS, _ADVERSE, _GROUPS)
    sources: ClassVar[tuple[str, ...]] = (
        'Elkan (2001), "The foundations of cost-sensitive learning", IJCAI',
        "Wilson (1927), doi:10.1080/01621459.1927.10502953",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.outcomes("test").with_labels()
        spec = evidence.spec
        if evidence.has(_ADVERSE):
            for name in spec.consequences.adverse:
                yield from _adverse_rates(outcomes, name)
        else:
            yield _undeclared("false-adverse-rate", "which answers harm people", _ADVERSE)
        costs = spec.consequences.costs
        if costs is not None and evidence.has(_COSTS):
            yield from _costs(outcomes, costs, borne_by=spec.consequences.borne_by)
        else:
            yield _undeclared("expected-cost", "what errors cost", _COSTS)
        if evidence.has(_GROUPS) and (evidence.has(_ADVERSE) or evidence.has(_COSTS)):
            yield from _by_group(outcomes, spec)


def _undeclared(name: str, what: str, need: Declared) -> Unmeasured:
    return Unmeasured(
        name=name,
        subject=Subject.of(split="test"),
        reason=f"The spec does not state {what}.",
        remedy=need.remedy,
    )


def _adverse_rates(outcomes: Outcomes, name: str) -> Iterator[Measure | Unmeasured]:
    index = class_index(name, classes=outcomes.classes, where="consequences.adverse")
    of_class = outcomes.labels == index
    others, own = outcomes.take(~of_class), outcomes.take(of_class)
    yield rate_measure(
        "false-adverse-rate",
        subject=Subject.about({"class": name}, split="test"),
        outcomes=others,
        success=others.predicted == index,
        better="lower",
        of=f'test data not of class "{name}"',
        said=f'Wrongly called "{name}"',
    )
    yield rate_measure(
        "missed-adverse-rate",
        subject=Subject.about({"class": name}, split="test"),
        outcomes=own,
        success=own.predicted != index,
        better="lower",
        of=f'test data of class "{name}"',
        said=f'"{name}" missed',
    )


def _costs(
    outcomes: Outcomes, costs: CostsSpec, *, borne_by: Mapping[str, str]
) -> Iterator[Measure | Unmeasured]:
    subject = Subject.of(split="test")
    few = too_few_of("expected-cost", subject, outcomes, of="the labelled test data")
    if few is not None:
        yield few
        return
    matrix = cost_matrix(costs, classes=outcomes.classes)
    spent = image_costs(matrix, outcomes.labels, outcomes.predicted)
    yield _cost_measure("expected-cost", outcomes, spent, matrix.max(), costs.unit)
    for name in borne_by:
        class_index(name, classes=outcomes.classes, where="consequences.borne_by")
    bearers = np.array([borne_by.get(name, _NOBODY) for name in outcomes.classes], dtype=object)
    payable = matrix.max(axis=0)
    for party in dict.fromkeys(bearers[payable > 0]):
        theirs = bearers == party
        share = np.where(theirs[outcomes.predicted], spent, 0.0)
        yield _cost_measure(
            "cost-borne", outcomes, share, payable[theirs].max(), costs.unit, by=str(party)
        )


def _cost_measure(
    name: str,
    outcomes: Outcomes,
    spent: np.ndarray,
    dearest: float,
    currency: str,
    **keys: str,
) -> Measure:
    estimate = expected_cost(spent, dearest=float(dearest), unit=outcomes.units)
    ends, paid = interval(estimate), int((spent > 0).sum())
    whose = f", borne by {keys['by']}" if keys else ""
    return Measure(
        name=name,
        subject=Subject.of(split="test", **keys),
        estimate=estimate,
        unit=f"{currency} per image",
        better="lower",
        n=len(outcomes),
        n_units=n_units(outcomes),
        examples=worst_first(outcomes.image_ids, badness=spent, among=spent > 0),
        details={
            "total": float(spent.sum()),
            "images_with_cost": paid,
            "sentence": f"Errors cost {value(estimate):,.2f} {currency} an image "
            f"[{max(ends.low, 0):,.2f}, {ends.high:,.2f}]{whose}: {paid:,} of {len(spent):,} "
            "images.",
        },
    )


def _by_group(outcomes: Outcomes, spec: AuditSpec) -> Iterator[Table]:
    adverse, costs = spec.consequences.adverse, spec.consequences.costs
    rows: list[tuple[Cell, ...]] = []
    outcomes = outcomes.by_label()
    for attribute in outcomes.attributes:
        groups = outcomes.groups(attribute.name)
        for group in sorted(set(groups.tolist()) - {MISSING_GROUP}):
            members = outcomes.take(groups == group)
            head = (attribute.name, group, len(members), n_units(members))
            rows.append((*head, *_group_cells(members, adverse, costs)))
    if rows:
        yield Table(
            id="performance/consequences:groups",
            title="What errors cost each group, and how often it is wrongly given or denied an "
            "adverse answer",
            columns=_group_columns(adverse, costs),
            rows=tuple(rows),
        )


def _group_cells(
    members: Outcomes, adverse: tuple[str, ...], costs: CostsSpec | None
) -> tuple[Cell, ...]:
    cells: list[Cell] = []
    if costs is not None:
        cells += _cost_cells(members, costs)
    for name in adverse:
        index = members.classes.index(name)
        of_class = members.labels == index
        called = members.predicted == index
        for among, error in ((~of_class, called), (of_class, ~called)):
            unit = None if members.units is None else members.units[among]
            cells += rate_cells(error[among], unit=unit)
    return tuple(cells)


def _cost_cells(members: Outcomes, costs: CostsSpec) -> list[Cell]:
    if independent(members) < MIN_UNITS:
        return [None, None, None]
    matrix = cost_matrix(costs, classes=members.classes)
    spent = image_costs(matrix, members.labels, members.predicted)
    estimate = expected_cost(spent, dearest=float(matrix.max()), unit=members.units)
    ends = interval(estimate)
    return [estimate.value, max(ends.low, 0.0), ends.high]


def _group_columns(adverse: tuple[str, ...], costs: CostsSpec | None) -> tuple[Column, ...]:
    columns = [Column("attribute"), Column("group"), Column("images"), Column("units")]
    named = [] if costs is None else [("cost", f"{costs.unit} per image")]
    for name in adverse:
        named += [(f"wrongly called {name}", "share"), (f"{name} missed", "share")]
    for what, measured_in in named:
        columns += [Column(f"{what}{end}", measured_in) for end in ("", " low", " high")]
    return tuple(columns)
