"""bias/subgroup-gap: whether any group is answered worse than the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.bias.groups import (
    Grouping,
    disaggregated,
    groupings,
    nothing_to_compare,
    too_few_units,
)
from auditor.contract import Check, Evidence, Need
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.needs import Attributes, Predictions, Truth
from auditor.scoring.comparison import (
    MIN_UNITS,
    count_units,
    points_text,
    rate_details,
    rate_text,
    worst_first,
)
from auditor.stats import Rate, interval, rate, rate_difference, value


@dataclass(frozen=True)
class SubgroupGap(Check):
    """Accuracy, and recall of each class, of every group against all other images.

    What it measures
    ----------------
    For every group of every declared attribute: accuracy of its test images minus accuracy of
    all images of the other groups, and the same for the share of each class that is found
    (recall). Images without a value of the attribute are counted, and are in neither side.
    Intervals and tests take units (rooms, persons) into account, not images.

    Why it matters
    --------------
    An accuracy over everyone is the accuracy of the majority. A model that errs twice as often
    for one group of tenants shows nothing of it in the total when that group is small.

    How it can mislead
    ------------------
    A gap is not its cause: a group may have harder photos, other classes, or worse labels (an
    inspector who errs more often about one group makes a fair model look unfair, and the
    reverse). Groups that were not declared are not compared. A small group shows large gaps by
    luck, so the interval counts, not the point; that no gap was shown for a small group does not
    mean that there is none. Attributes of role nuisance are compared too: their gaps speak of
    devices and overlays, not of people.
    """

    id: ClassVar[str] = "bias/subgroup-gap"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Attributes())
    sources: ClassVar[tuple[str, ...]] = (
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Rao & Scott (1992), doi:10.2307/2532311",
        "Barocas, Guo, Kamar et al. (2021), doi:10.1145/3461702.3462610 (disaggregation)",
    )

    most_classes: Annotated[
        int, "Recall is compared for every class up to this many classes, else for adverse ones."
    ] = 10

    def run(self, evidence: Evidence) -> Iterator[Result]:
        adverse = evidence.spec.consequences.adverse
        rows: list[tuple[Cell, ...]] = []
        for grouping in groupings(evidence.outcomes()):
            nothing = nothing_to_compare(grouping, name="accuracy")
            if nothing is not None:
                yield nothing
                continue
            compared = [_compared(grouping, group) for group in grouping.groups]
            yield from compared
            rows.extend(_rows(grouping, compared))
            yield _forest(grouping, compared)
            for group in grouping.groups:
                yield from _recalls(grouping, group, self._classes(grouping), adverse)
        if rows:
            yield _table(rows)

    def _classes(self, grouping: Grouping) -> tuple[str, ...] | None:
        """Classes whose recall is compared, None for the adverse ones only."""
        classes = grouping.outcomes.classes
        return classes if len(classes) <= self.most_classes else None


def _compared(grouping: Grouping, group: str, *, label: str | None = None) -> Measure | Unmeasured:
    """Accuracy of a group minus the rest's; with `label`, recall of that class."""
    name = "accuracy" if label is None else "recall"
    keys = {grouping.attribute.name: group} | ({} if label is None else {"class": label})
    subject = Subject.about(keys, role="test")
    among = "" if label is None else f" with label {label}"
    few = too_few_units(grouping, group, name=name, subject=subject, among=among)
    if few is not None:
        return few
    outcomes, inside = grouping.outcomes, grouping.members(group)
    gap = rate_difference(outcomes.correct, member=inside, unit=grouping.unit)
    own = _rate(grouping, inside)
    rest = _rate(grouping, ~inside)
    said = "Accuracy" if label is None else f"Share of {label} that is found"
    n, n_rest = int(inside.sum()), int((~inside).sum())
    return Measure(
        name=name,
        subject=subject,
        estimate=gap,
        unit="share",
        better="higher",
        n=n,
        n_units=None if grouping.unit is None else count_units(inside, grouping.unit),
        examples=worst_first(
            outcomes.image_ids, badness=outcomes.confidence, among=inside & ~outcomes.correct
        ),
        details={
            "rate": rate_details(own, n=n),
            "rest": rate_details(rest, n=n_rest),
            "attribute_role": grouping.attribute.role,
            "missing": grouping.missing,
            "sentence": f"{said}, {grouping.named(group)}: {rate_text(own, n=n)}; "
            f"all others {rate_text(rest, n=n_rest)}; {points_text(gap)}.",
        },
    )


def _rate(grouping: Grouping, keep: np.ndarray) -> Rate:
    units = grouping.unit
    return rate(grouping.outcomes.correct[keep], unit=None if units is None else units[keep])


def _recalls(
    grouping: Grouping, group: str, classes: tuple[str, ...] | None, adverse: tuple[str, ...]
) -> Iterator[Result]:
    """Recall of each class; classes that are not adverse and too rare share one reason."""
    rare = []
    for index, label in enumerate(grouping.outcomes.classes):
        if label not in adverse and classes is None:
            continue
        result = _compared(grouping.take(grouping.outcomes.labels == index), group, label=label)
        if isinstance(result, Unmeasured) and label not in adverse:
            rare.append(label)
        else:
            yield result
    if rare:
        yield Unmeasured(
            name="recall",
            subject=Subject.about({grouping.attribute.name: group}, role="test"),
            reason=f"{grouping.named(group)} or the rest has fewer than {MIN_UNITS} units with "
            f"label {', '.join(rare)}.",
            remedy=f"Collect at least {MIN_UNITS} units of {grouping.named(group)} of each class.",
        )


def _rows(grouping: Grouping, compared: list[Measure | Unmeasured]) -> list[tuple[Cell, ...]]:
    accuracy = disaggregated(grouping)["accuracy"]
    rows: list[tuple[Cell, ...]] = []
    for group, result in zip(grouping.groups, compared, strict=True):
        inside = grouping.members(group)
        point = float(accuracy[group]) if inside.any() else None
        units = grouping.unit
        head = (
            grouping.attribute.name,
            grouping.attribute.role,
            group,
            int(inside.sum()),
            None if units is None else count_units(inside, units),
            point,
        )
        if isinstance(result, Unmeasured):
            rows.append((*head, None, None, None, None, None))
            continue
        ends, gap = result.details["rate"], interval(result.estimate)
        rows.append((*head, ends["low"], ends["high"], value(result.estimate), gap.low, gap.high))
    return rows


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    names = ("attribute", "role", "group", "images", "units", "accuracy", "low", "high",
             "difference", "difference low", "difference high")  # fmt: skip
    shares = names[5:]
    return Table(
        id="bias/subgroup-gap:groups",
        title="Accuracy of every group, and its difference from all other images",
        columns=tuple(Column(name, "share" if name in shares else "") for name in names),
        rows=tuple(rows),
    )


def _forest(grouping: Grouping, compared: list[Measure | Unmeasured]) -> Figure:
    attribute = grouping.attribute.name
    shown = [m for m in compared if isinstance(m, Measure)]
    everyone = _rate(grouping, np.ones(len(grouping.of), dtype=bool))
    entries = [("all images", rate_details(everyone, n=len(grouping.of)))]
    entries += [(str(m.subject.get(attribute)), m.details["rate"]) for m in shown]
    worst = min(shown, key=lambda m: value(m.estimate), default=None)
    said = "No group has enough units." if worst is None else str(worst.details["sentence"])
    return Figure(
        id=f"bias/subgroup-gap:{attribute}",
        kind="forest",
        title=f"Accuracy by {attribute}",
        caption=f"Accuracy of each group with its 95% interval. {grouping.missing} images have "
        f"no value of {attribute}. Groups with fewer than {MIN_UNITS} units are left out.",
        alt=f"Intervals of accuracy for {len(shown)} groups of {attribute}. Lowest: {said}",
        x=Axis("accuracy", "share"),
        y=Axis(attribute),
        rows=tuple({"label": label, **ends} for label, ends in entries),
    )
