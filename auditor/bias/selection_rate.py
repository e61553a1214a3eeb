"""bias/selection-rate: whether some groups are given the adverse answer more often."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from auditor.bias.adjustment import Adjustment, adjusted_difference, adjusted_ratio, adjusted_table
from auditor.bias.groups import Grouping, groupings
from auditor.contract import Attributes, Check, Declared, Evidence, Need, Predictions
from auditor.data.dataset import MISSING_GROUP
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import (
    MIN_UNITS,
    count_units,
    percent,
    points_text,
    rate_details,
    rate_text,
    times_text,
    too_few,
    worst_first,
)
from auditor.scoring.cost import class_index
from auditor.stats import (
    Rate,
    RateDifference,
    RateRatio,
    interval,
    rate,
    rate_difference,
    rate_ratio,
    value,
)

_DEPLOYED: tuple[Need, ...] = (
    Predictions(split="deployment", optional=True),
    Attributes(split="deployment", optional=True),
)
NAMES = ("selection-difference", "selection-ratio")
FOUR_FIFTHS = 0.8


@dataclass(frozen=True)
class SelectionRate(Check):
    """How often each group is given an adverse answer, against all other images.

    What it measures
    ----------------
    For every adverse class of the spec and every group: the share of its images that the model
    calls so, minus that share among all other images (`selection-difference`, demographic
    parity) and divided by it (`selection-ratio`). It asks what is answered, not whether it is
    right, so no labels are needed: images of deployment are compared too where the spec has
    them. Intervals and tests take units (rooms, persons) into account. Beside each stands what
    the four-fifths rule says of the bare shares: the group's share that is spared the answer,
    over the largest such share of any group, and whether it is below 0.8. Each gap is given
    once more among images of the same group of every other attribute of role condition
    (Mantel-Haenszel).

    Why it matters
    --------------
    Whoever is given the adverse answer bears what follows, right or wrong. Equal shares are
    what the law of some countries asks for, and what can be watched when nobody knows the
    truth yet.

    How it can mislead
    ------------------
    Groups may truly differ: equal shares are then wrong for someone, and unequal ones may be
    right. Read it with the error rates. The reverse holds too: two groups called alike may be
    wronged unlike. The four-fifths rule looks at shares alone, so chance decides it: with
    five groups of 300 images, a tenth of which are selected, the bare ratio of the selected is
    outside 0.8 in nine fair models of ten. It also depends on which answer is counted, spared or
    called. It is printed as information; verdicts come from the interval. A ratio of rare
    answers is unstable, a difference of rare answers is small whatever the ratio.
    """

    id: ClassVar[str] = "bias/selection-rate"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Attributes(),
        Declared(
            path="consequences.adverse",
            remedy="Name the classes whose answer harms people under `consequences.adverse`.",
        ),
        *_DEPLOYED,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (adjusted rates)",
        "Dwork, Hardt, Pitassi, Reingold & Zemel (2012), arXiv:1104.3913 (statistical parity)",
        "29 CFR 1607.4 D (1978), the four-fifths rule of the Uniform Guidelines",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        adverse = evidence.spec.consequences.adverse
        splits = ["test"]
        if all(evidence.has(need) for need in _DEPLOYED):
            splits.append("deployment")
        rows: list[tuple[Cell, ...]] = []
        found: list[Result] = []
        for attribute, sides in _by_attribute(evidence, splits).items():
            answers = [_answers(split, g, name) for split, g in sides.items() for name in adverse]
            for one in answers:
                results = list(_results(one))
                yield from results
                found += results
                rows.extend(_rows(one))
            yield _forest(attribute, answers)
        if rows:
            yield _table(rows)
        yield from adjusted_table(self.id, found)


def _by_attribute(evidence: Evidence, splits: list[str]) -> dict[str, dict[str, Grouping]]:
    """The images of each split whose group is known, by attribute and split."""
    found: dict[str, dict[str, Grouping]] = {}
    for split in splits:
        # How many are called so, beside how many are called right, tells how many are so.
        for grouping in groupings(evidence.outcomes(split), by_label=True, unlabelled=True):
            found.setdefault(grouping.attribute.name, {})[split] = grouping
    return found


@dataclass(frozen=True)
class _Answers:
    """Which images of a split are called an adverse class, (n,) bool, and with what score (n,)."""

    split: str
    label: str
    grouping: Grouping
    called: np.ndarray
    score: np.ndarray

    @property
    def series(self) -> str:
        return self.label if self.split == "test" else f"{self.label}, {self.split} data"

    def rate(self, keep: np.ndarray) -> Rate:
        unit = self.grouping.unit
        return rate(self.called[keep], unit=None if unit is None else unit[keep])

    def units(self, keep: np.ndarray) -> int | None:
        unit = self.grouping.unit
        return None if unit is None else count_units(keep, unit)

    def subject(self, group: str) -> Subject:
        return Subject.about(
            {self.grouping.attribute.name: group, "class": self.label}, split=self.split
        )

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """Share called so of each group that has enough units for a share."""
        members = {g: self.grouping.members(g) for g in self.grouping.groups}
        enough = (g for g, m in members.items() if count_units(m, self.grouping.unit) >= MIN_UNITS)
        return {group: float(self.called[members[group]].mean()) for group in enough}

    @cached_property
    def compared(self) -> Mapping[str, _Compared]:
        """Every group that can be compared with the rest."""
        if self.grouping.single is not None:
            return {}
        few = {g for g in self.grouping.groups if _too_few(self, g, name=NAMES[0]) is not None}
        return {g: _compare(self, g) for g in self.grouping.groups if g not in few}


@dataclass(frozen=True)
class _Compared:
    """A group's share beside the rest's; the ratio is None where nobody is called so."""

    own: Rate
    rest: Rate
    difference: RateDifference
    ratio: RateRatio | None


def _answers(split: str, grouping: Grouping, label: str) -> _Answers:
    outcomes = grouping.outcomes
    index = class_index(label, classes=outcomes.classes, where="consequences.adverse")
    score = np.asarray(outcomes.probabilities)[:, index]
    return _Answers(split, label, grouping, outcomes.predicted == index, score)


def _compare(answers: _Answers, group: str) -> _Compared:
    inside, unit = answers.grouping.members(group), answers.grouping.unit
    return _Compared(
        own=answers.rate(inside),
        rest=answers.rate(~inside),
        difference=rate_difference(answers.called, member=inside, unit=unit),
        ratio=rate_ratio(answers.called, member=inside, unit=unit)
        if answers.called.any()
        else None,
    )


def _results(answers: _Answers) -> Iterator[Measure | Unmeasured]:
    grouping = answers.grouping
    if not len(grouping.of) or grouping.single is not None:
        yield from (_nothing_to_compare(answers, name=name) for name in NAMES)
        return
    for group in grouping.groups:
        found = answers.compared.get(group)
        if found is None:
            yield from filter(None, (_too_few(answers, group, name=name) for name in NAMES))
            continue
        yield _difference(answers, group, found.difference)
        if found.ratio is None:
            yield _never_called(answers, group)
            continue
        yield _ratio(answers, group, found.ratio)


def _difference(answers: _Answers, group: str, gap: RateDifference) -> Measure:
    adjusted = adjusted_difference(answers.grouping.contrast(group), answers.called, gap=gap)
    said = f"{points_text(gap)}.{adjusted.clause}"
    return _measure(answers, group, name=NAMES[0], estimate=gap, adjusted=adjusted, said=said)


def _ratio(answers: _Answers, group: str, ratio: RateRatio) -> Measure:
    adjusted = adjusted_ratio(answers.grouping.contrast(group), answers.called, gap=ratio)
    rule = _rule_text(_four_fifths(answers, group))
    said = f"{times_text(ratio)}.{adjusted.clause} {rule}"
    return _measure(answers, group, name=NAMES[1], estimate=ratio, adjusted=adjusted, said=said)


def _nothing_to_compare(answers: _Answers, *, name: str) -> Unmeasured:
    attribute, single = answers.grouping.attribute.name, answers.grouping.single
    reason = (
        f"No {answers.split} image has a value of {attribute}."
        if single is None
        else f"All {answers.split} images are of one group, {answers.grouping.named(single)}."
    )
    return Unmeasured(
        name=name,
        subject=answers.subject(single or MISSING_GROUP),
        reason=f"{reason} There is no other group to compare with.",
        remedy=f"Collect {answers.split} images of at least two groups of {attribute}.",
    )


def _too_few(answers: _Answers, group: str, *, name: str) -> Unmeasured | None:
    inside, unit = answers.grouping.members(group), answers.grouping.unit
    return too_few(
        name,
        answers.subject(group),
        sides={
            answers.grouping.named(group): count_units(inside, unit),
            "the rest": count_units(~inside, unit),
        },
        noun="images" if unit is None else "units",
    )


def _never_called(answers: _Answers, group: str) -> Unmeasured:
    return Unmeasured(
        name=NAMES[1],
        subject=answers.subject(group),
        reason=f"None of {len(answers.called):,} {answers.split} images is called "
        f"{answers.label}: without such an answer there is no ratio.",
        remedy="Nothing to mend if the answer is that rare; with more images it would show.",
    )


def _measure(
    answers: _Answers,
    group: str,
    *,
    name: str,
    estimate: RateDifference | RateRatio,
    adjusted: Adjustment,
    said: str,
) -> Measure:
    grouping, found = answers.grouping, answers.compared[group]
    inside = grouping.members(group)
    n, n_rest = int(inside.sum()), int((~inside).sum())
    where = "" if answers.split == "test" else f" in {answers.split} data"
    return Measure(
        name=name,
        subject=answers.subject(group),
        estimate=estimate,
        unit="share" if isinstance(estimate, RateDifference) else "ratio",
        better="lower",
        n=n,
        n_units=answers.units(inside),
        examples=worst_first(
            grouping.outcomes.image_ids, badness=answers.score, among=inside & answers.called
        ),
        details={
            "rate": rate_details(found.own, n=n),
            "rest": rate_details(found.rest, n=n_rest),
            "attribute_role": grouping.attribute.role,
            "missing": grouping.missing,
            "what": f"called {answers.label}",
            "four_fifths": _four_fifths(answers, group),
            "adjusted": list(adjusted.entries),
            "sentence": f"Called {answers.label}{where}, {grouping.named(group)}: "
            f"{rate_text(found.own, n=n)}; all others {rate_text(found.rest, n=n_rest)}; {said}",
        },
    )


def _four_fifths(answers: _Answers, group: str) -> dict[str, Any]:
    """What the rule says of the bare shares; no ratio where no group is ever spared."""
    best, spared = 1 - min(answers.shares.values()), 1 - answers.shares[group]
    ratio = spared / best if best else None
    objects = ratio is not None and ratio < FOUR_FIFTHS
    return {"spared": spared, "most_spared": best, "ratio": ratio, "objects": objects}


def _rule_text(rule: Mapping[str, Any]) -> str:
    """The four-fifths rule's word on a group, as information."""
    if rule["ratio"] is None:
        return "The four-fifths rule says nothing: no group is spared."
    objects = "objects" if rule["objects"] else "does not object"
    return (
        f"The four-fifths rule, which takes no account of chance, {objects}: "
        f"{percent(rule['spared'])}% are spared, {percent(rule['most_spared'])}% of the group "
        "spared most."
    )


def _rows(answers: _Answers) -> Iterator[tuple[Cell, ...]]:
    grouping = answers.grouping
    for group in grouping.groups:
        inside = grouping.members(group)
        head = (grouping.attribute.name, group, answers.split, answers.label, int(inside.sum()),
                answers.units(inside), int(answers.called[inside].sum()))  # fmt: skip
        found = answers.compared.get(group)
        if found is None:
            yield (*head, *(None,) * 10)
            continue
        numbers = (found.own, found.difference, found.ratio)
        cells = [cell for estimate in numbers for cell in _cells(estimate)]
        yield (*head, *cells, _four_fifths(answers, group)["ratio"])


def _cells(estimate: Rate | RateDifference | RateRatio | None) -> tuple[Cell, Cell, Cell]:
    """Value and interval; None for what is absent or has no end."""
    if estimate is None:
        return (None, None, None)
    ends = interval(estimate)
    low, middle, high = (
        float(x) if math.isfinite(x) else None for x in (ends.low, value(estimate), ends.high)
    )
    return (middle, low, high)


_SHARES = ("share", "low", "high", "difference", "difference low", "difference high")


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    names = ("attribute", "group", "data", "class", "images", "units", "called", *_SHARES,
             "ratio", "ratio low", "ratio high", "four-fifths")  # fmt: skip
    return Table(
        id="bias/selection-rate:groups",
        title="How often each group is given an adverse answer, and against all other images",
        columns=tuple(Column(name, "share" if name in _SHARES else "") for name in names),
        rows=tuple(rows),
    )


def _forest(attribute: str, answers: list[_Answers]) -> Figure:
    entries = [_entry(one, group) for one in answers for group in one.shares]
    shown = "; ".join(
        f"{e['label']} {percent(float(e['value']))}% called {e['series']}" for e in entries[:20]
    )
    return Figure(
        id=f"bias/selection-rate:{attribute}",
        kind="forest",
        title=f"Adverse answers by {attribute}",
        caption="Share of each group's images that is given the adverse answer, right or wrong, "
        f"with its 95% interval. Groups with fewer than {MIN_UNITS} units are left out.",
        alt=f"Intervals of shares: {shown}." if entries else "No group has enough units.",
        x=Axis("given the adverse answer", "share"),
        y=Axis(attribute),
        rows=tuple(entries),
    )


def _entry(answers: _Answers, group: str) -> dict[str, Any]:
    inside = answers.grouping.members(group)
    ends = rate_details(answers.rate(inside), n=int(inside.sum()))
    return {"label": group, **ends, "series": answers.series}
