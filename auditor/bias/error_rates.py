"""bias/error-rates: who is wrongly given the adverse answer, and whose case is missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.bias.adjustment import adjusted_table
from auditor.bias.class_errors import KINDS, ClassErrors, Kind, class_errors, compared
from auditor.bias.equalised_odds import equalised_odds
from auditor.bias.groups import Grouping, groupings, nothing_to_compare
from auditor.contract import Attributes, Check, Declared, Evidence, Need, Predictions, Truth
from auditor.errors import SpecError
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, percent
from auditor.stats import interval, value

NO_ADVERSE = "Name the classes whose answer harms people under `consequences.adverse`."
ADVERSE = Declared(path="consequences.adverse", remedy=NO_ADVERSE, optional=True)


@dataclass(frozen=True)
class ErrorRates(Check):
    """How often each group is wrongly given an answer, or its cases missed, against all others.

    What it measures
    ----------------
    For every class and every group two rates: the share of its images that are *not* of that
    class and are called so (false-positive), and the share of its images of that class that are
    called something else (false-negative). Each is compared with the same rate among all other
    images, as a difference for every class, and for the adverse classes of the spec as a ratio
    too: 1 means as often, 3 three times as often. With two classes the errors of one are those
    of the other, so one is reported: the adverse one, else the second. Equalised odds is the
    largest difference between any two groups of an attribute in either rate; its range holds
    however many groups there are. Each gap is given once more among images of the same group
    of every other attribute of role condition (Mantel-Haenszel), and the sentence says where a
    condition explains the gap, hides one, or leaves it as it is.

    Why it matters
    --------------
    Errors are not alike. Who is called "serious" without being so bears the measure that
    follows; accuracy counts that error like any other, and a group may bear most of it while
    its accuracy is like everyone's.

    How it can mislead
    ------------------
    Ratios of rare errors are unstable: with 5% errors in 100 images a ratio above 1.25 comes up
    by luck in more than a quarter of fair models, so the interval counts. A large ratio of two
    tiny rates may concern very few people; read the rates beside it. The truth is the label:
    where an inspector's labels are harsher on one group, so is the model, and this check cannot
    see it. Where neither side has an error there is no ratio. That a condition explains a gap
    does not excuse it: people who live in old buildings bear the errors made there. A condition
    that was not recorded explains nothing here, and one that goes with the group everywhere
    cannot be told apart from it. The largest of many differences is large by luck in small
    groups: no limit should rest on equalised odds alone.
    """

    id: ClassVar[str] = "bias/error-rates"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Attributes(), ADVERSE)
    sources: ClassVar[tuple[str, ...]] = (
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Hardt, Price & Srebro (2016), arXiv:1610.02413 (equality of error rates)",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (adjusted gaps)",
        "Sato (1989), doi:10.2307/2531784; Greenland & Robins (1985), doi:10.2307/2530643",
        "Yan & Su (2010), doi:10.1198/sbr.2009.0049 (intervals of adjusted differences)",
    )

    most_classes: Annotated[
        int, "Every class is compared up to this many classes, else the adverse ones."
    ] = 5

    def run(self, evidence: Evidence) -> Iterator[Result]:
        adverse = evidence.spec.consequences.adverse
        outcomes = evidence.outcomes()
        _require_known(adverse, outcomes.classes)
        reported = self._reported(outcomes.classes, adverse)
        if not adverse:
            yield from _no_adverse(reported, outcomes.classes)
        if not reported:
            return
        measures: list[Measure] = []
        rows: list[tuple[Cell, ...]] = []
        for grouping in groupings(outcomes, by_label=True):
            nothing = list(_nothing(grouping, adverse=bool(adverse)))
            if nothing:
                yield from nothing
                continue
            groups = grouping.groups
            found = [
                _Found(errors, groups, tuple(compared(errors, group) for group in groups))
                for errors in class_errors(grouping, reported, adverse)
            ]
            measures += [m for f in found for m in f.measures]
            yield from _told(grouping, found)
            first = [f for f in found if f.errors.adverse or not adverse]
            labels = dict.fromkeys(f.errors.label for f in first)
            yield from (equalised_odds(grouping, label) for label in labels)
            yield _forest(grouping, first)
            rows.extend(row for f in found for row in _rows(f))
        if rows:
            yield _table(rows)
        yield from adjusted_table(self.id, measures)

    def _reported(self, classes: tuple[str, ...], adverse: tuple[str, ...]) -> tuple[str, ...]:
        """Classes whose errors are compared; of two, one stands for both."""
        if len(classes) == 2:
            return tuple(adverse) or classes[1:]
        return classes if len(classes) <= self.most_classes else tuple(adverse)


@dataclass(frozen=True)
class _Found:
    """Errors with the results of each of `groups`, in their order."""

    errors: ClassErrors
    groups: tuple[str, ...]
    results: tuple[tuple[Measure | Unmeasured, ...], ...]

    @property
    def measures(self) -> list[Measure]:
        return [m for results in self.results for m in results if isinstance(m, Measure)]


def _require_known(adverse: tuple[str, ...], classes: tuple[str, ...]) -> None:
    for label in adverse:
        if label not in classes:
            raise SpecError(
                f"consequences.adverse names {label!r}; the model's classes are "
                f"{', '.join(classes[:20])}. Name one of them."
            )


def _no_adverse(reported: tuple[str, ...], classes: tuple[str, ...]) -> Iterator[Unmeasured]:
    subject = Subject.of(split="test")
    yield Unmeasured(
        name="adverse-ratios",
        subject=subject,
        reason="The spec names no class as adverse, so no ratio of harmful errors is given.",
        remedy=NO_ADVERSE,
    )
    if not reported:
        for kind in KINDS:
            yield Unmeasured(
                name=f"{kind}-difference",
                subject=subject,
                reason=f"The spec names no class as adverse, and {len(classes)} classes are too "
                "many to compare the errors of each.",
                remedy=NO_ADVERSE,
            )


def _nothing(grouping: Grouping, *, adverse: bool) -> Iterator[Unmeasured]:
    """Why an attribute gives no comparison, once for each name that a limit may ask for."""
    names = [f"{kind}-ratio" for kind in KINDS] if adverse else []
    names += [f"{kind}-difference" for kind in KINDS]
    yield from filter(None, (nothing_to_compare(grouping, name=name) for name in names))


def _told(grouping: Grouping, found: list[_Found]) -> Iterator[Measure | Unmeasured]:
    """All results; classes that are not adverse and too rare in a group share one reason."""
    rare: dict[tuple[str, Kind], list[str]] = {}
    for one in found:
        errors = one.errors
        for group, results in zip(one.groups, one.results, strict=True):
            if not errors.adverse and isinstance(results[0], Unmeasured):
                rare.setdefault((group, errors.kind), []).append(errors.among.strip())
            else:
                yield from results
    for (group, kind), among in rare.items():
        yield Unmeasured(
            name=f"{kind}-difference",
            subject=Subject.about({grouping.attribute.name: group}, split="test"),
            reason=f"{grouping.named(group)} or the rest has fewer than {MIN_UNITS} units "
            f"{', '.join(among)}.",
            remedy=f"Collect at least {MIN_UNITS} units of {grouping.named(group)}, and of the "
            f"others, {', '.join(among)}.",
        )


def _rows(found: _Found) -> Iterator[tuple[Cell, ...]]:
    errors = found.errors
    for group, results in zip(found.groups, found.results, strict=True):
        inside = errors.grouping.members(group)
        measured = {m.name: m for m in results if isinstance(m, Measure)}
        own = next((m.details["rate"] for m in measured.values()), None)
        yield (
            errors.grouping.attribute.name,
            group,
            errors.what,
            int(inside.sum()),
            int(errors.wrong[inside].sum()),
            *((None,) * 3 if own is None else (own["value"], own["low"], own["high"])),
            *_numbers(measured.get(f"{errors.kind}-ratio")),
            *_numbers(measured.get(f"{errors.kind}-difference")),
        )


def _numbers(measure: Measure | None) -> tuple[Cell, Cell, Cell]:
    """Value and interval, None where there is none or it has no end."""
    if measure is None:
        return None, None, None
    ends = interval(measure.estimate)
    point, low, high = (
        float(x) if np.isfinite(x) else None for x in (value(measure.estimate), ends.low, ends.high)
    )
    return point, low, high


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    names = ("attribute", "group", "error", "images at risk", "errors", "rate", "low", "high",
             "ratio", "ratio low", "ratio high", "difference", "difference low",
             "difference high")  # fmt: skip
    shares = (*names[5:8], *names[11:])
    return Table(
        id="bias/error-rates:groups",
        title="Errors by group, as a difference from all other images and a ratio to them",
        columns=tuple(Column(name, "share" if name in shares else "") for name in names),
        rows=tuple(rows),
    )


def _forest(grouping: Grouping, found: list[_Found]) -> Figure:
    """Rates of the errors that harm (of all, where none is named), one series an error."""
    attribute = grouping.attribute.name
    shown: list[tuple[str, str, dict[str, float]]] = []
    for one in found:
        by_group = {str(m.subject.get(attribute)): m.details["rate"] for m in one.measures}
        shown += [(group, one.errors.what, own) for group, own in by_group.items()]
    worst = max(shown, key=lambda row: row[2]["value"], default=None)
    highest = (
        "No group has enough images."
        if worst is None
        else f"Highest: {worst[0]}, {worst[1]}, {percent(worst[2]['value'])}%."
    )
    kinds = ", ".join(dict.fromkeys(what for _, what, _ in shown)) or "errors"
    return Figure(
        id=f"bias/error-rates:{attribute}",
        kind="forest",
        title=f"Errors by {attribute}",
        caption=f"Share of the images that could suffer an error that do ({kinds}), with 95% "
        f"intervals. {grouping.missing} images have no value of {attribute}; groups with fewer "
        f"than {MIN_UNITS} units at risk are left out.",
        alt=f"Intervals of {kinds} for the groups of {attribute}. {highest}",
        x=Axis("share with the error", "share"),
        y=Axis(attribute),
        rows=tuple({"label": group, "series": what, **own} for group, what, own in shown),
    )
