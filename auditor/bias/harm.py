"""bias/harm: what the model's errors cost each group, and who bears it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup, by_group, displayed, told
from auditor.comparing.groups import Grouping, groupings, nothing_to_compare
from auditor.comparing.two_sides import TwoSides
from auditor.contract import Attributes, Check, Declared, Evidence, LabelledSplits, Need, Words
from auditor.contract.words import ANY, FROM_0
from auditor.findings import (
    Alike,
    Column,
    Measure,
    Measured,
    Question,
    Result,
    Table,
    Unmeasured,
)
from auditor.scoring.cost import (
    borne_costs,
    cost_matrix,
    cost_span,
    expected_cost,
    mean_error_cost,
)
from auditor.scoring.quantities import Quantity, costs
from auditor.spec import ConsequencesSpec
from auditor.stats import ENDLESS, Draws, interval

COST, DIFFERENCE, RATIO = NAMES = ("cost", "cost-difference", "cost-ratio")
_BOTH = "Cost of errors{in_where}, {group}: {this}; all others {other}"


@dataclass(frozen=True)
class Harm(Check):
    """What errors cost an image of each group, against all other images, and who bears it.

    What it measures
    ----------------
    The spec states what each wrong answer costs. For every group of every declared attribute, in
    the test data and in labelled deployment data: the mean cost of an image under the model's
    answers (`cost`), that minus the mean cost of all other images (`cost-difference`, in the
    spec's unit), and divided by it (`cost-ratio`). A table splits each group's cost by who bears
    it, as named under ``borne_by``. An image of a detector or segmenter costs what all its errors
    cost together (`performance/consequences`). Intervals and tests take units (rooms, persons) into
    account. Each difference is given once more among images of the same group of every other
    attribute of role condition, and the sentence says where a condition explains the gap, hides
    one, or leaves it as it is.

    Why it matters
    --------------
    Groups with the same accuracy may suffer very different errors. Cost puts wrong alarms and
    missed cases of a group on one scale, the one that the model's owner has stated, and shows
    whether the harm of a useful model falls on few.

    How it can mislead
    ------------------
    Costs are stated, not measured: a cost that was left out counts as 0, and the same sum
    may ruin one person and not another. The mean hides rare, heavy harm. A group with more cases
    of the costly class costs more although each case is treated alike: read the error rates
    beside it. Who bears a cost is whom the spec names; a group's images may cost somebody else
    (a missed case the neighbours). The truth is the label, and labels err too. Ratios are loose
    where the others cost little: they are cut at a thousand, and left out where the data allow
    anything from less than 1 without end.
    """

    id: ClassVar[str] = "bias/harm"
    topic: ClassVar[str] = "what errors cost, per group"
    question: ClassVar[Question | None] = Question.MEASURED
    needs: ClassVar[tuple[Need, ...]] = (
        LabelledSplits(),
        Attributes(),
        Declared(
            path="consequences.costs",
            remedy="State under `consequences.costs` what each wrong answer costs, and in which "
            "unit.",
        ),
    )
    sources: ClassVar[tuple[str, ...]] = (
        'Elkan (2001), "The foundations of cost-sensitive learning", IJCAI',
        "Fieller (1954), doi:10.1111/j.2517-6161.1954.tb00159.x (ratio of two means)",
    )
    words: ClassVar = {
        COST: Words(
            title="Cost of errors per image{in_where}: {group}",
            span=FROM_0,
            short="{group}: cost of errors",
            sentence=f"{_BOTH}.",
            harm="errors cost more",
        ),
        DIFFERENCE: Words(
            title="Cost of errors per image, as a difference{in_where}: {group}, against all "
            "others",
            span=ANY,
            short="{group}: cost of errors",
            sentence=f"{_BOTH}; {{gap}}.",
            gap=("less", "more"),
            harm="errors cost more",
        ),
        RATIO: Words(
            title="Cost of errors per image{in_where}: {group}, against all others",
            span=FROM_0,
            ratio=True,
            short="{group}: cost of errors",
            sentence=f"{_BOTH}; {{gap}}.",
            column="cost of errors",
            harm="errors cost more",
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found: list[ByGroup] = []
        for split in evidence.labelled_splits():
            rows = evidence.scored(split, of="image")
            bill = _bill(evidence.spec.consequences, rows.classes)
            # Costs of both errors, beside how many are right, tell how many there are of each
            # class.
            quantity: Quantity | None = None
            for grouping in groupings(rows, by_label=True):
                nothing = [_nothing(bill, grouping, name) for name in NAMES]
                yield from filter(None, nothing)
                if not any(nothing):
                    quantity = quantity or costs(grouping.rows, bill.matrix, unit=bill.unit)
                    found.append(by_group(quantity, grouping, partial(_results, bill)))
        yield from told(found)
        yield from displayed(self.id, found, title="What errors cost")
        if found:
            yield _bearers(found)


@dataclass(frozen=True)
class _Bill:
    """Stated costs (true class, answered class) in `unit`, and the part of each who bears some."""

    matrix: np.ndarray
    borne_by: Mapping[str, np.ndarray]
    unit: str


def _bill(stated: ConsequencesSpec, classes: Sequence[str]) -> _Bill:
    if stated.costs is None:
        raise ValueError("costs: found none; the check needs `consequences.costs`")
    matrix = cost_matrix(stated.costs, classes=classes)
    borne_by = borne_costs(stated, classes=classes)
    return _Bill(matrix, borne_by, f"{stated.costs.unit} per image")


def _nothing(bill: _Bill, grouping: Grouping, name: str) -> Unmeasured | None:
    """Why an attribute gives no measure at all; None where it does."""
    if bill.matrix.max() > 0:
        return nothing_to_compare(grouping, name=name)
    return Unmeasured(
        name=name,
        subject=grouping.subject("any"),
        reason="No wrong answer costs more than 0 by the spec.",
        remedy="State under `consequences.costs` what each wrong answer costs.",
    )


def _results(bill: _Bill, compared: AgainstRest, group: str) -> Iterator[Measured]:
    few = [compared.too_few(group, name) for name in NAMES]
    if any(few):
        yield from filter(None, few)
        return
    sides = compared.two_means(group)
    cost = compared.measure(
        group, COST, sides.group, "amount", facts={"borne_by": _borne(bill, compared, group)}
    )
    yield replace(cost, neutral=None, least=compared.quantity.least)
    difference = compared.difference(group, name=DIFFERENCE)
    yield difference
    ratio = _ratio(sides, cheapest=float(bill.matrix.min()))
    if isinstance(ratio, str):
        yield Unmeasured(RATIO, compared.subject(group), ratio, _RATIO_REMEDY)
        return
    adjusted = difference.adjusted if isinstance(difference, Measure) else ()
    alike = tuple(Alike(a.condition, a.reading) for a in adjusted)
    measure = compared.measure(group, RATIO, ratio, "ratio", adjusted=alike)
    yield replace(measure, weight=1 / (mean_error_cost(bill.matrix) or bill.matrix.max()))


_RATIO_REMEDY = "Read the difference of costs; with more images a ratio may be had."


def _ratio(sides: TwoSides, *, cheapest: float) -> Draws | str:
    """The ratio of costs, or why there is none."""
    if cheapest < 0:
        return "The spec states costs below 0: of gains and losses together there is no ratio."
    if sides.rest.value <= 0:
        return "No image of the others cost anything: there is no ratio to nothing."
    ratio = sides.ratio()
    ends = interval(ratio)
    # From below 1 without end is anything at all, and no number of images could be named.
    if ends.high >= ENDLESS and ends.low <= 1:
        return (
            "The others' errors are too few or too unlike in cost: the ratio may be anything "
            f"from {ends.low:.1f} without end."
        )
    return ratio


def _borne(bill: _Bill, compared: AgainstRest, group: str) -> dict[str, list[float]]:
    """The part of a group's mean cost that falls on each party: value, low, high."""
    grouping, inside = compared.grouping, compared.grouping.members(group)
    unit = None if grouping.unit is None else grouping.unit[inside]
    presence = grouping.rows.presence.take(grouping.at[inside])
    found = {}
    for party, matrix in bill.borne_by.items():
        spent = presence.costs(matrix)
        cost = expected_cost(spent, span=cost_span(matrix, spent), unit=unit)
        ends = interval(cost)
        found[party] = [cost.value, ends.low, ends.high]
    return found


def _bearers(found: Sequence[ByGroup]) -> Table:
    """Who bears what of each group's costs."""
    unit = found[0].compared.quantity.unit
    priced = tuple(Column(name, unit) for name in ("cost", "low", "high"))
    return Table(
        "bias/harm:bearers",
        "Who bears the costs of each group",
        (*(Column(n) for n in ("attribute", "data", "group", "images", "borne by")), *priced),
        tuple(
            (one.compared.grouping.attribute.name, measure.subject.split, group, measure.n,
             party, *numbers)
            for one in found
            for group, results in one.results.items()
            for measure in results[:1]
            if isinstance(measure, Measure)
            for party, numbers in measure.facts["borne_by"].items()
        ),
    )  # fmt: skip
