"""performance/consequences: what the model's errors cost, and who bears them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from auditor.comparing.by_group import ByGroup, by_group, group_table
from auditor.comparing.groups import Grouping, groupings
from auditor.contract import Attributes, Check, Declared, Evidence, LabelledSplits, Need, Words
from auditor.contract.words import FROM_0
from auditor.findings import Measure, Question, Result, Subject, Unmeasured
from auditor.scoring.comparison import worst_first
from auditor.scoring.cost import (
    adverse_classes,
    borne_costs,
    cost_matrix,
    cost_parts,
    cost_span,
    expected_cost,
)
from auditor.scoring.quantities import Quantity, costs, false_negatives, false_positives
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
_COSTLY = "{images_with_cost} of {n:rows}."
_BY_CASE = "let a person decide the costly cases"


_WRONGLY_CALLED = Words(
    title="Images wrongly called “{class}”, {split} data",
    short="wrongly called “{class}”",
    sentence="Wrongly called “{class}”, {split} data: {count} of {n} = {value}.",
    action="a person reviews each “{class}”",
    among="{place} that are not “{class}”",
    harm="wrongly called “{class}”",
    harm_rank=2,
)
_SEEN = replace(
    _WRONGLY_CALLED,
    title="Images in which “{class}” is seen and is not there, {split} data{holds_several:if}",
    short="“{class}” seen where there is none",
    sentence="“{class}” seen in images without it, {split} data: {count} of {n} = {value}.",
    among="{place} without “{class}”",
    harm="“{class}” seen where there is none",
)
_MISSED = Words(
    title="Images of class “{class}” that are missed, {split} data",
    short="“{class}” missed",
    sentence="“{class}” missed, {split} data: {count} of {n} = {value}.",
    action="train with more images of “{class}”, and test again",
    among="“{class}” {place}",
    harm="“{class}” missed",
    harm_rank=1,
)


@dataclass(frozen=True)
class Consequences(Check):
    """What errors cost, how often people are wrongly given an adverse answer, and who pays.

    What it measures
    ----------------
    For every adverse class of the spec: the share of images that are not of that class and
    are called so (``false-adverse-rate``), and the share of images of that class that are
    called something else (``missed-adverse-rate``). Of a detector the second is of objects, and
    the first of images without the class in which it is seen all the same; of a segmenter both
    are of images. With costs in the spec: the mean cost of an image under the model's answers
    (``expected-cost``), and the part of it that falls on each party named under ``borne_by``
    (``cost-borne``). A table gives all of them by group.

    An image of a detector or segmenter costs what all its errors cost together, at the declared
    operating point: ``{pothole: {nothing: 50000}}`` for each pothole missed, ``{nothing: {pothole:
    40}}`` for each false alarm, one that says an object again among them. An object called
    another class costs both, unless ``{pothole: {debris: ...}}`` says what. Of each class is
    given what missing it costs an image (``missed-cost``), and what false alarms of it cost
    (``false-alarm-cost``). In a segmenter's image a class is missed, or falsely seen, once.

    Why it matters
    --------------
    Two models with the same accuracy may do very different harm. Whoever approves the model
    should see what an error does, to whom, and how often, in their own unit.

    How it can mislead
    ------------------
    Costs are stated, not measured; a cost that was left out counts as 0. The mean hides that a
    rare error may ruin one person. Rates are those of the test images: where a class is rarer
    in deployment than in the test, its errors cost less there, and the reverse. The truth is
    the label, and labels err too. A segmenter's pothole that is found at a tenth of its area is
    not missed here: read its overlap beside it. Groups with fewer than ten units have no range.
    """

    id: ClassVar[str] = "performance/consequences"
    topic: ClassVar[str] = "what errors cost, and whom"
    question: ClassVar[Question | None] = Question.WRONG
    needs: ClassVar[tuple[Need, ...]] = (LabelledSplits(), _COSTS, _ADVERSE, _GROUPS)
    words: ClassVar = {
        "expected-cost": Words(
            title="Cost of errors per image, {split} data",
            span=FROM_0,
            short="cost of errors",
            sentence=f"Errors cost {{value}}, {{split}} data: {_COSTLY}",
            action=_BY_CASE,
            answer="errors cost about {value} on average, on {place}",
        ),
        "cost-borne": Words(
            title="Cost of errors borne by {by}, {split} data",
            span=FROM_0,
            short="cost for {by}",
            sentence=f"Errors cost {{value}}, borne by {{by}}, {{split}} data: {_COSTLY}",
            action=_BY_CASE,
        ),
        "missed-cost": Words(
            title="Cost of “{class}” missed, {split} data",
            span=FROM_0,
            short="cost of “{class}” missed",
            sentence=f"“{{class}}” missed costs {{value}}, {{split}} data: {_COSTLY}",
            action=_BY_CASE,
        ),
        "false-alarm-cost": Words(
            title="Cost of “{class}” seen where there is none, {split} data",
            span=FROM_0,
            short="cost of false “{class}”",
            sentence="“{class}” seen where there is none costs {value}, {split} data: " + _COSTLY,
            action=_BY_CASE,
        ),
        "false-adverse-rate": (_SEEN, _WRONGLY_CALLED),
        "missed-adverse-rate": (
            replace(
                _MISSED,
                title="“{class}” objects that are missed, {split} data",
                action="train with more objects of class “{class}”, and test again",
                among="“{class}” objects in {place}",
                of="object",
            ),
            _MISSED,
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        'Elkan (2001), "The foundations of cost-sensitive learning", IJCAI',
        "Wilson (1927), doi:10.1080/01621459.1927.10502953",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found: list[ByGroup] = []
        for split in evidence.labelled_splits():
            judged = _Judged(
                evidence.scored(split).with_truth, evidence.scored(split, of="image").with_truth
            )
            yield from _of_split(evidence, judged)
            if evidence.has(_GROUPS) and (evidence.has(_ADVERSE) or evidence.has(_COSTS)):
                found += _by_group(judged, evidence.spec.consequences)
        if found:
            title = (
                "What errors cost each group, and how often it is wrongly given or denied an "
                "adverse answer"
            )
            yield group_table(self.id, found, title=title)


@dataclass(frozen=True)
class _Judged:
    """What can be missed, and what can be wrongly called or cost something: images."""

    rows: Rows
    images: Rows

    @property
    def split(self) -> str:
        return self.rows.split


def _of_split(evidence: Evidence, judged: _Judged) -> Iterator[Result]:
    stated = evidence.spec.consequences
    if evidence.has(_ADVERSE):
        for name in adverse_classes(stated, classes=judged.rows.classes):
            yield from _adverse_rates(judged, name)
    elif judged.split == "test":
        yield _undeclared("false-adverse-rate", "which answers harm people", _ADVERSE)
    if stated.costs is not None:
        yield from _costs(judged.images, stated.costs, stated)
    elif judged.split == "test":
        yield _undeclared("expected-cost", "what errors cost", _COSTS)


def _undeclared(name: str, what: str, need: Declared) -> Unmeasured:
    return Unmeasured(
        name=name,
        subject=Subject.of(split="test"),
        reason=f"The spec does not state {what}.",
        remedy=need.remedy,
    )


def _adverse_rates(judged: _Judged, name: str) -> Iterator[Measure | Unmeasured]:
    images, rows = judged.images, judged.rows
    for kind, quantity, among in (
        ("false-adverse-rate", false_positives(images, name), images),
        ("missed-adverse-rate", false_negatives(rows, name), rows),
    ):
        assert quantity.at_risk is not None
        yield rate_measure(
            kind,
            subject=Subject.about({"class": name}, split=judged.split),
            among=among.take(quantity.at_risk),
            success=quantity.values[quantity.at_risk],
            better="lower",
            of=f"{judged.split} {among.noun}{quantity.among}",
            facts={} if among.presence.one_each else {"holds_several": True},
        )


def _costs(
    rows: Rows, stated: CostsSpec, consequences: ConsequencesSpec
) -> Iterator[Measure | Unmeasured]:
    of = f"the labelled {rows.split} data"
    few = too_few_of("expected-cost", Subject.of(split=rows.split), rows, of=of)
    if few is not None:
        yield few
        return
    matrix = cost_matrix(stated, classes=rows.classes)
    yield _cost_measure("expected-cost", rows, matrix, _unit(stated))
    for party, own in borne_costs(consequences, classes=rows.classes).items():
        if own.max() > 0:
            yield _cost_measure("cost-borne", rows, own, _unit(stated), {"by": party})
    if len(matrix) > len(rows.classes):
        yield from _by_class(rows, stated)


def _by_class(rows: Rows, stated: CostsSpec) -> Iterator[Measure]:
    """What missing each class costs, that it is called another among it, and false alarms of it."""
    parts = cost_parts(stated, classes=rows.classes)
    errors = ~np.eye(len(parts.missed), dtype=bool)
    true, answered = np.indices(errors.shape)
    for i, name in enumerate(rows.classes):
        for kind, own in (
            ("missed-cost", parts.missed * errors * (true == i)),
            ("false-alarm-cost", parts.alarmed * (answered == i)),
        ):
            if own.any():
                yield _cost_measure(kind, rows, own, _unit(stated), {"class": name})


def _cost_measure(
    name: str, rows: Rows, matrix: np.ndarray, unit: str, keys: Mapping[str, str] | None = None
) -> Measure:
    """The mean of what the answers cost by a matrix, which may be a part of the stated one."""
    spent = rows.presence.costs(matrix)
    span = cost_span(matrix, spent)
    return Measure(
        name=name,
        subject=Subject.about(keys or {}, split=rows.split),
        estimate=expected_cost(spent, span=span, unit=rows.unit_codes),
        scale="amount",
        unit=unit,
        least=min(span[0], 0.0),
        better="lower",
        n=len(rows),
        n_units=n_units(rows),
        examples=worst_first(rows.image_ids, badness=spent, among=spent > 0),
        facts={"total": float(spent.sum()), "images_with_cost": int((spent > 0).sum())},
    )


def _by_group(judged: _Judged, stated: ConsequencesSpec) -> Iterator[ByGroup]:
    """What errors cost each group, and how often it is wrongly given or denied each answer."""
    objects = judged.rows.of == "object"
    for grouping in groupings(judged.images, by_label=True):
        yield from _compared(_quantities(grouping, stated, misses=not objects), grouping)
    for grouping in groupings(judged.rows, by_label=True) if objects else ():
        misses = [false_negatives(grouping.rows, name) for name in stated.adverse]
        yield from _compared(misses, grouping)


def _quantities(
    grouping: Grouping, stated: ConsequencesSpec, *, misses: bool
) -> Iterator[Quantity]:
    if stated.costs is not None:
        matrix = cost_matrix(stated.costs, classes=grouping.rows.classes)
        yield costs(grouping.rows, matrix, unit=_unit(stated.costs))
    for name in stated.adverse:
        yield false_positives(grouping.rows, name)
        if misses:
            yield false_negatives(grouping.rows, name)


def _compared(quantities: Iterable[Quantity], grouping: Grouping) -> Iterator[ByGroup]:
    """By group, without a measure of one: bias/harm and bias/error-rates compare them."""
    return (by_group(quantity, grouping, lambda *_: ()) for quantity in quantities)


def _unit(costs: CostsSpec) -> str:
    return f"{costs.unit} per image"
