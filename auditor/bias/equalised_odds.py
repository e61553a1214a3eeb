"""Equalised odds of an attribute: how far apart its groups' error rates are at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auditor.comparing.against_rest import AgainstRest, against_rest
from auditor.comparing.groups import Grouping, errors_by_group
from auditor.findings import Measure, Measured, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.scoring.quantities import false_negatives, false_positives
from auditor.stats import Rate, largest_gap, rate

NAME = "equalised-odds"


@dataclass(frozen=True)
class _Spread:
    """One error of the images that can suffer it, and the groups with enough of these."""

    errors: AgainstRest
    groups: tuple[str, ...]
    rate_of: pd.Series

    @property
    def rates(self) -> list[Rate]:
        unit, members = self.errors.grouping.unit, self.errors.grouping.members
        return [
            rate(self.errors.values[members(g)], unit=None if unit is None else unit[members(g)])
            for g in self.groups
        ]


def equalised_odds(
    grouping: Grouping, label: str, *, alarms: Grouping | None = None
) -> Measure | Unmeasured:
    """The largest difference between two groups in false-positive or false-negative rate.

    `alarms` are the rows that can suffer a false positive, where these are others.

    Its bounds hold however many groups there are (`auditor.stats.largest_gap`). Groups with
    fewer than `MIN_UNITS` units that could suffer an error are left out of it, and named. A unit
    with images in two groups counts in both, which widens the bounds.
    """
    own = errors_by_group(grouping, label=label)
    others = own if alarms is None else errors_by_group(alarms, label=label)
    among = alarms or grouping
    spreads = [
        _spread(against_rest(false_positives(among.rows, label), among), others),
        _spread(against_rest(false_negatives(grouping.rows, label), grouping), own),
    ]
    attribute = grouping.attribute.name
    keys = {"attribute": attribute, "class": label}
    subject = Subject.about(keys, split=grouping.rows.split)
    short = [s.errors.quantity.among.strip() for s in spreads if len(s.groups) < 2]
    if not short:
        return _measured(grouping, subject, spreads, label)
    return Unmeasured(
        name=NAME,
        subject=subject,
        reason=f"Fewer than two groups of {attribute} have {MIN_UNITS} units "
        f"{' and '.join(short)}.",
        remedy=f"Collect at least {MIN_UNITS} units {' and '.join(short)} of two groups.",
    )


def reasons_together(results: Iterable[Measured], *, always: Sequence[str]) -> Iterator[Measured]:
    """All results of a split; equalised odds that are lacking share one reason.

    Those of classes among `always` have each their own, and so has one that is lacking alone.
    """
    lacking = []
    for result in results:
        merged = isinstance(result, Unmeasured) and result.name == NAME
        if merged and result.subject.get("class") not in always:
            assert isinstance(result, Unmeasured)
            lacking.append(result)
        else:
            yield result
    if len(lacking) > 1:
        yield _together(lacking)
    yield from lacking if len(lacking) == 1 else ()


def _together(lacking: Sequence[Unmeasured]) -> Unmeasured:
    of_class: dict[str, list[str]] = {}
    for one in lacking:
        label, attribute = one.subject.get("class"), one.subject.get("attribute")
        of_class.setdefault(str(label), []).append(str(attribute))
    named = "; ".join(f"{', '.join(names)} ({label})" for label, names in of_class.items())
    return Unmeasured(
        name=NAME,
        subject=Subject(split=lacking[0].subject.split),
        reason=f"Of {len(lacking)} attributes and classes fewer than two groups have {MIN_UNITS} "
        f"units with the class and as many without it: {named}.",
        remedy=f"Collect at least {MIN_UNITS} units with each class that matters, and as many "
        "without it, of two groups of each attribute.",
    )


def _spread(errors: AgainstRest, by_group: pd.DataFrame) -> _Spread:
    at_risk = errors.grouping
    units = {g: count_units(at_risk.members(g), at_risk.unit) for g in at_risk.groups}
    enough = tuple(g for g, found in units.items() if found >= MIN_UNITS)
    return _Spread(errors, enough, by_group.loc[list(enough), errors.quantity.name])


def _measured(
    grouping: Grouping, subject: Subject, spreads: Sequence[_Spread], label: str
) -> Measure:
    gaps = {s.errors.quantity.name: s.rate_of for s in spreads}
    widest = max(spreads, key=lambda s: float(np.ptp(s.rate_of)))
    shown = widest.rate_of
    worst, unit = str(shown.idxmax()), grouping.unit
    counted = np.isin(grouping.of, [grouping.groups.index(g) for s in spreads for g in s.groups])
    alarmed = "wrongly_called" if grouping.rows.presence.one_each else "seen"
    alarm = widest.errors.quantity.name == "false-positive"
    facts: dict[str, Any] = {
        "by_error": {
            error: {str(g): float(v) for g, v in found.items()} for error, found in gaps.items()
        },
        "left_out": {
            s.errors.quantity.name: [g for g in grouping.groups if g not in s.groups]
            for s in spreads
        },
        alarmed if alarm else "missed": label,
        "worst": worst,
        "highest": float(shown.max()),
        "best": str(shown.idxmin()),
        "lowest": float(shown.min()),
    }
    return Measure(
        name=NAME,
        subject=subject,
        estimate=largest_gap(*(s.rates for s in spreads)),
        scale="difference",
        better="lower",
        n=int(counted.sum()),
        n_units=None if unit is None else count_units(counted, unit),
        examples=widest.errors.examples(widest.errors.grouping.members(worst)),
        facts=facts,
        of=grouping.rows.of,
    )
