"""Equalised odds of an attribute: how far apart its groups' error rates are at most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.bias.groups import Grouping, errors_by_group
from auditor.findings import Measure, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, percent, points, worst_first
from auditor.stats import Rate, interval, largest_gap, rate, value

NAME = "equalised-odds"


@dataclass(frozen=True)
class _Spread:
    """One error's rates by group, of the groups with enough images that can suffer it."""

    error: str
    at_risk: Grouping
    wrong: np.ndarray
    groups: tuple[str, ...]

    @property
    def rates(self) -> list[Rate]:
        unit, found = self.at_risk.unit, []
        for group in self.groups:
            inside = self.at_risk.members(group)
            found.append(rate(self.wrong[inside], unit=None if unit is None else unit[inside]))
        return found


def equalised_odds(grouping: Grouping, label: str) -> Measure | Unmeasured:
    """The largest difference between two groups in false-positive or false-negative rate.

    Its bounds hold however many groups there are (`auditor.stats.largest_gap`). Groups with
    fewer than `MIN_UNITS` units that could suffer an error are left out of it, and named. A unit
    with images in two groups counts in both, which widens the bounds.
    """
    subject = Subject.about({"attribute": grouping.attribute.name, "class": label}, split="test")
    index = grouping.outcomes.classes.index(label)
    of_class = grouping.outcomes.labels == index
    spreads = (
        _spread(grouping.take(~of_class), index, error="false-positive"),
        _spread(grouping.take(of_class), index, error="false-negative"),
    )
    if min(len(s.groups) for s in spreads) < 2:
        return _too_few_groups(grouping, subject, spreads, label)
    return _measured(grouping, subject, spreads, label)


def _spread(at_risk: Grouping, index: int, *, error: str) -> _Spread:
    called = at_risk.outcomes.predicted == index
    enough = tuple(
        group
        for group in at_risk.groups
        if count_units(at_risk.members(group), at_risk.unit) >= MIN_UNITS
    )
    return _Spread(error, at_risk, called if error == "false-positive" else ~called, enough)


def _too_few_groups(
    grouping: Grouping, subject: Subject, spreads: Sequence[_Spread], label: str
) -> Unmeasured:
    negated = {"false-positive": "not of class", "false-negative": "of class"}
    short = [f"{negated[s.error]} {label}" for s in spreads if len(s.groups) < 2]
    return Unmeasured(
        name=NAME,
        subject=subject,
        reason=f"Fewer than two groups of {grouping.attribute.name} have {MIN_UNITS} units "
        f"{' and '.join(short)}.",
        remedy=f"Collect at least {MIN_UNITS} units {' and '.join(short)} of two groups.",
    )


def _measured(
    grouping: Grouping, subject: Subject, spreads: Sequence[_Spread], label: str
) -> Measure:
    by_group = errors_by_group(grouping, label=label)
    gaps = {s.error: by_group.loc[list(s.groups), s.error] for s in spreads}
    estimate = largest_gap(*(s.rates for s in spreads))
    widest = max(spreads, key=lambda s: float(np.ptp(gaps[s.error])))
    shown = gaps[widest.error]
    worst = str(shown.idxmax())
    inside = widest.at_risk.members(worst) & widest.wrong
    counted = np.isin(grouping.of, list(set(_named(spreads))))
    ends, unit = interval(estimate), grouping.unit
    alarm = widest.error == "false-positive"
    what = f"wrongly called {label}" if alarm else f"{label} missed"
    happens = f"they are wrongly called {label}" if alarm else f"{label} is missed"
    return Measure(
        name=NAME,
        subject=subject,
        estimate=estimate,
        unit="share",
        better="lower",
        n=int(counted.sum()),
        n_units=None if unit is None else count_units(counted, unit),
        examples=worst_first(
            widest.at_risk.outcomes.image_ids,
            badness=widest.at_risk.outcomes.confidence,
            among=inside,
        ),
        details={
            "by_error": {
                error: {str(g): float(v) for g, v in found.items()} for error, found in gaps.items()
            },
            "left_out": {
                s.error: [g for g in grouping.groups if g not in s.groups] for s in spreads
            },
            "attribute_role": grouping.attribute.role,
            "what": f"{what}, furthest apart by {grouping.attribute.name}",
            "sentence": f"Groups of {grouping.attribute.name} are at most "
            f"{points(value(estimate))} points apart [{points(ends.low)}, {points(ends.high)}] in "
            f"how often {happens}: {worst} {percent(float(shown.max()))}%, {shown.idxmin()} "
            f"{percent(float(shown.min()))}%; the other kind of error is no further apart.",
        },
    )


def _named(spreads: Iterable[_Spread]) -> Iterable[str]:
    for spread in spreads:
        yield from spread.groups
