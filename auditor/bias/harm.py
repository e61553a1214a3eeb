"""bias/harm: what the model's errors cost each group, and who bears it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.bias.adjustment import Adjustment, adjusted_mean_difference, adjusted_table
from auditor.bias.groups import Grouping, groupings, nothing_to_compare, too_few_units
from auditor.bias.two_sides import ENDLESS, TwoSides, two_means
from auditor.contract import Attributes, Check, Declared, Evidence, Need, Predictions, Truth
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, worst_first
from auditor.scoring.cost import IMAGINED, class_index, cost_matrix, expected_cost, image_costs
from auditor.spec import ConsequencesSpec
from auditor.stats import Draws, Estimate, Interval, Normal, interval, value

NAMES = ("cost", "cost-difference", "cost-ratio")
_NOBODY = "not stated"


@dataclass(frozen=True)
class Harm(Check):
    """What errors cost an image of each group, against all other images, and who bears it.

    What it measures
    ----------------
    The spec states what each wrong answer costs. For every group of every declared attribute:
    the mean cost of an image under the model's answers (`cost`), that minus the mean cost of
    all other images (`cost-difference`, in the spec's unit), and divided by it (`cost-ratio`).
    A table splits each group's cost by who bears it, as named under ``borne_by``. Intervals and
    tests take units (rooms, persons) into account. Each difference is given once more among
    images of the same group of every other attribute of role condition, and the sentence says
    where a condition explains the gap, hides one, or leaves it as it is.

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
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Truth(),
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

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rows: list[tuple[Cell, ...]] = []
        measured: list[Result] = []
        # Costs of both errors, beside how many are right, tell how many there are of each class.
        grouped = groupings(evidence.outcomes(), by_label=True)
        bills = [_bill(grouping, evidence.spec.consequences) for grouping in grouped]
        for bill in bills:
            nothing = _nothing_to_cost(bill)
            if nothing:
                yield from nothing
                continue
            compared = {group: _sides(bill, group) for group in bill.grouping.groups}
            results = [r for g, sides in compared.items() for r in _results(bill, g, sides)]
            yield from results
            measured += results
            rows.extend(_rows(bill, compared))
            yield _forest(bill, compared)
        if rows:
            yield _table(rows, parties=bills[0].parties, currency=bills[0].currency)
        yield from adjusted_table(self.id, measured)


@dataclass(frozen=True)
class _Bill:
    """The cost of each image of a grouping, (n,), with who bears it, (n,) among `parties`.

    `dearest` is the largest cost that the spec states, `cheapest` the smallest, 0 if none.
    """

    grouping: Grouping
    spent: np.ndarray
    bearer: np.ndarray
    parties: tuple[str, ...]
    dearest_of: Mapping[str, float]
    dearest: float
    cheapest: float
    currency: str

    @property
    def imagined(self) -> tuple[float, ...]:
        return (self.dearest,) * IMAGINED

    @property
    def priced(self) -> str:
        return f"{self.currency} per image"


def _bill(grouping: Grouping, stated: ConsequencesSpec) -> _Bill:
    costs, outcomes = stated.costs, grouping.outcomes
    if costs is None:
        raise ValueError("costs: found none; the check needs `consequences.costs`")
    matrix = cost_matrix(costs, classes=outcomes.classes)
    for name in stated.borne_by:
        class_index(name, classes=outcomes.classes, where="consequences.borne_by")
    by_answer = np.array([stated.borne_by.get(c, _NOBODY) for c in outcomes.classes], dtype=object)
    payable = matrix.any(axis=0)
    parties = tuple(dict.fromkeys(str(p) for p in by_answer[payable]))
    return _Bill(
        grouping=grouping,
        spent=image_costs(matrix, outcomes.labels, outcomes.predicted),
        bearer=by_answer[outcomes.predicted],
        parties=parties,
        dearest_of={p: float(matrix[:, by_answer == p].max()) for p in parties},
        dearest=float(matrix.max()),
        cheapest=float(matrix.min()),
        currency=costs.unit,
    )


def _nothing_to_cost(bill: _Bill) -> tuple[Unmeasured, ...]:
    """Why an attribute gives no measure at all; empty where it does."""
    found = [nothing_to_compare(bill.grouping, name=name) for name in NAMES]
    if bill.dearest <= 0:
        subject = Subject.about({bill.grouping.attribute.name: "any"}, split="test")
        found = [
            Unmeasured(
                name=name,
                subject=subject,
                reason="No wrong answer costs more than 0 by the spec.",
                remedy="State under `consequences.costs` what each wrong answer costs.",
            )
            for name in NAMES
        ]
    return tuple(reason for reason in found if reason is not None)


def _sides(bill: _Bill, group: str) -> TwoSides | None:
    """Mean costs of a group and of the rest; None where a side has too few units."""
    grouping = bill.grouping
    inside, unit = grouping.members(group), grouping.unit
    if min(count_units(side, unit) for side in (inside, ~inside)) < MIN_UNITS:
        return None
    return two_means(bill.spent, member=inside, unit=unit, imagined=bill.imagined)


def _results(bill: _Bill, group: str, sides: TwoSides | None) -> Iterator[Measure | Unmeasured]:
    grouping = bill.grouping
    subject = Subject.about({grouping.attribute.name: group}, split="test")
    if sides is None:
        few = (too_few_units(grouping, group, name=name, subject=subject) for name in NAMES)
        yield from filter(None, few)
        return
    said = _costs_text(bill, group, sides)
    gap = sides.difference()
    yield _measure(bill, group, sides, name=NAMES[0], estimate=sides.group, said=f"{said}.")
    adjusted = _adjusted(bill, group, gap)
    words = f"{said}; {_more(gap, bill.currency)}.{adjusted.clause}"
    yield _measure(
        bill, group, sides, name=NAMES[1], estimate=gap, said=words, adjusted=adjusted.entries
    )
    ratio = _ratio(bill, sides)
    if isinstance(ratio, str):
        yield Unmeasured(name=NAMES[2], subject=subject, reason=ratio, remedy=_RATIO_REMEDY)
        return
    words = f"{said}; {_times(ratio)}.{adjusted.clause}"
    yield _measure(bill, group, sides, name=NAMES[2], estimate=ratio, said=words)


def _adjusted(bill: _Bill, group: str, gap: Normal) -> Adjustment:
    """The difference of costs among images alike in another condition."""

    def words(value: float, ends: Interval) -> str:
        return _more_text(value, ends, bill.currency)

    return adjusted_mean_difference(bill.grouping.contrast(group), bill.spent, gap=gap, words=words)


_RATIO_REMEDY = "Read the difference of costs; with more images a ratio may be had."


def _ratio(bill: _Bill, sides: TwoSides) -> Draws | str:
    """The ratio of costs, or why there is none."""
    if bill.cheapest < 0:
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


def _measure(
    bill: _Bill,
    group: str,
    sides: TwoSides,
    *,
    name: str,
    estimate: Estimate,
    said: str,
    adjusted: Sequence[Mapping[str, Any]] = (),
) -> Measure:
    grouping = bill.grouping
    inside, unit = grouping.members(group), grouping.unit
    n, n_rest = int(inside.sum()), int((~inside).sum())
    return Measure(
        name=name,
        subject=Subject.about({grouping.attribute.name: group}, split="test"),
        estimate=estimate,
        unit="ratio" if name == NAMES[2] else bill.priced,
        better="lower",
        n=n,
        n_units=None if unit is None else count_units(inside, unit),
        examples=worst_first(
            grouping.outcomes.image_ids, badness=bill.spent, among=inside & (bill.spent > 0)
        ),
        details={
            # Not "rate" and "rest": those are shares, and printed in per cent.
            "cost": _cost_details(bill, sides.group, n=n),
            "cost_rest": _cost_details(bill, sides.rest, n=n_rest),
            "borne_by": {p: float(_borne(bill, p)[inside].mean()) for p in bill.parties},
            "attribute_role": grouping.attribute.role,
            "missing": grouping.missing,
            "what": "errors cost more",
            "adjusted": list(adjusted),
            "sentence": said,
        },
    )


def _borne(bill: _Bill, party: str) -> np.ndarray:
    """The part of each image's cost that falls on a party, (n,)."""
    part: np.ndarray = np.where(bill.bearer == party, bill.spent, 0.0)
    return part


def _cost_details(bill: _Bill, cost: Normal, *, n: int) -> dict[str, Any]:
    low, high = _ends(bill, cost)
    return {"value": cost.value, "low": low, "high": high, "n": n}


def _ends(bill: _Bill, cost: Normal) -> tuple[float, float]:
    """The interval of a mean cost, which is never below the cheapest answer's."""
    ends = interval(cost)
    return max(ends.low, bill.cheapest), ends.high


def _costs_text(bill: _Bill, group: str, sides: TwoSides) -> str:
    """Both sides' costs in words."""
    inside = bill.grouping.members(group)
    own, rest = _cost_text(bill, sides.group), _cost_text(bill, sides.rest)
    return (
        f"{bill.grouping.named(group)}: errors cost {own} an image, over {int(inside.sum()):,}; "
        f"all others {rest}, over {int((~inside).sum()):,}"
    )


def _cost_text(bill: _Bill, cost: Normal) -> str:
    low, high = _ends(bill, cost)
    return f"{_money(cost.value)} {bill.currency} [{_money(low)}, {_money(high)}]"


def _money(amount: float) -> str:
    """An amount with two decimals below ten, none from a hundred on or for nothing.

    Examples
    --------
    >>> _money(1234.5), _money(12.345), _money(0.4)
    ('1,234', '12.3', '0.40')
    """
    decimals = 0 if abs(amount) >= 100 or amount == 0 else 1 if abs(amount) >= 10 else 2
    return f"{amount + 0.0:,.{decimals}f}"


def _more(gap: Normal, currency: str) -> str:
    return _more_text(gap.value, interval(gap), currency)


def _more_text(amount: float, ends: Interval, currency: str) -> str:
    low, high = (ends.low, ends.high) if amount >= 0 else (-ends.high, -ends.low)
    word = "more" if amount >= 0 else "less"
    return f"{_money(abs(amount))} {currency} {word} [{_money(low)}, {_money(high)}]"


def _times(ratio: Draws) -> str:
    ends = interval(ratio)
    upper = "no end" if ends.high >= ENDLESS else f"{ends.high:.1f}"
    return f"{ratio.value:.1f} times as much [{ends.low:.1f}, {upper}]"


def _rows(bill: _Bill, compared: Mapping[str, TwoSides | None]) -> Iterator[tuple[Cell, ...]]:
    grouping = bill.grouping
    for group, sides in compared.items():
        inside, unit = grouping.members(group), grouping.unit
        units = None if unit is None else count_units(inside, unit)
        head = (grouping.attribute.name, group, int(inside.sum()), units)
        if sides is None:
            yield (*head, *(None,) * (9 + 3 * len(bill.parties)))
            continue
        gap = sides.difference()
        numbers = (sides.group.value, *_ends(bill, sides.group), *_cells(gap))
        ratio = _cells(_ratio(bill, sides))
        borne = [cell for party in bill.parties for cell in _borne_cells(bill, party, inside)]
        yield (*head, *numbers, *ratio, *borne)


def _borne_cells(bill: _Bill, party: str, inside: np.ndarray) -> tuple[Cell, Cell, Cell]:
    unit = bill.grouping.unit
    cost = expected_cost(
        _borne(bill, party)[inside],
        dearest=max(bill.dearest_of[party], 0.0),
        unit=None if unit is None else unit[inside],
    )
    return (cost.value, *_ends(bill, cost))


def _cells(estimate: Normal | Draws | str) -> tuple[Cell, Cell, Cell]:
    """Value and interval, nothing where there is a reason instead; a ratio may have no end."""
    if isinstance(estimate, str):
        return (None, None, None)
    ends = interval(estimate)
    endless = isinstance(estimate, Draws) and ends.high >= ENDLESS
    return (value(estimate), ends.low, None if endless else ends.high)


def _table(rows: list[tuple[Cell, ...]], *, parties: tuple[str, ...], currency: str) -> Table:
    priced = f"{currency} per image"
    named = [("cost", priced), ("difference", priced), ("ratio", "")]
    named += [(f"borne by {party}", priced) for party in parties]
    columns = [Column("attribute"), Column("group"), Column("images"), Column("units")]
    for what, unit in named:
        columns += [Column(f"{what}{end}", unit) for end in ("", " low", " high")]
    return Table(
        id="bias/harm:groups",
        title="What errors cost each group, against all other images, and who bears it",
        columns=tuple(columns),
        rows=tuple(rows),
    )


def _forest(bill: _Bill, compared: Mapping[str, TwoSides | None]) -> Figure:
    attribute = bill.grouping.attribute.name
    sizes = {group: int(bill.grouping.members(group).sum()) for group in compared}
    entries = [
        {"label": group, **_cost_details(bill, sides.group, n=sizes[group])}
        for group, sides in compared.items()
        if sides is not None
    ]
    shown = "; ".join(f"{e['label']} {_money(e['value'])} {bill.currency}" for e in entries[:20])
    return Figure(
        id=f"bias/harm:{attribute}",
        kind="forest",
        title=f"What errors cost, by {attribute}",
        caption="Mean cost of an image of each group under the model's answers, with its 95% "
        f"interval. Groups with fewer than {MIN_UNITS} units are left out.",
        alt=f"Intervals of mean cost: {shown}." if entries else "No group has enough units.",
        x=Axis("cost of an image", bill.currency),
        y=Axis(attribute),
        rows=tuple(entries),
    )
