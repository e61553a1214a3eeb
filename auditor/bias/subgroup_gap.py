"""bias/subgroup-gap: whether any group is answered worse than the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.bias.adjustment import (
    adjusted_difference,
    adjusted_mean_difference,
    adjusted_table,
    amount_words,
)
from auditor.bias.groups import (
    Grouping,
    accuracy_by_group,
    groupings,
    nothing_to_compare,
    too_few_units,
)
from auditor.contract import Attributes, Check, Evidence, Need, Predictions, Truth
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.accuracy import log_losses
from auditor.scoring.comparison import (
    MIN_UNITS,
    count_units,
    points_text,
    rate_details,
    rate_text,
    worst_first,
)
from auditor.stats import Rate, interval, mean, mean_difference, rate, rate_difference, value


@dataclass(frozen=True)
class SubgroupGap(Check):
    """Accuracy, log-loss, and recall of each class, of every group against all other images.

    What it measures
    ----------------
    For every group of every declared attribute: accuracy of its test images minus accuracy of
    all images of the other groups, and the same for the share of each class that is found
    (recall) and for log-loss, which also counts how sure the model was. Images without a value
    of the attribute are counted, and are in neither side. Intervals and tests take units (rooms,
    persons) into account, not images. Each gap is given once more among images of the same group
    of every other attribute of role condition (Mantel-Haenszel), and the sentence says where a
    condition explains the gap, hides one, or leaves it as it is.

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
    devices and overlays, not of people. That a condition explains a gap does not excuse it:
    people who live in old buildings bear the errors made there. A condition that was not
    recorded explains nothing here, and one that goes with the group everywhere cannot be told
    apart from it. A few answers that are wrong and sure carry most of a log-loss.
    """

    id: ClassVar[str] = "bias/subgroup-gap"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Attributes())
    sources: ClassVar[tuple[str, ...]] = (
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Rao & Scott (1992), doi:10.2307/2532311",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (adjusted gaps)",
        "Sato (1989), doi:10.2307/2531784; Yan & Su (2010), doi:10.1198/sbr.2009.0049",
        "Barocas, Guo, Kamar et al. (2021), doi:10.1145/3461702.3462610 (disaggregation)",
    )

    most_classes: Annotated[
        int, "Recall is compared for every class up to this many classes, else for adverse ones."
    ] = 10

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rows: list[tuple[Cell, ...]] = []
        measured: list[Result] = []
        outcomes = evidence.outcomes()
        coarser = groupings(outcomes, by_label=True)
        for grouping, by_label in zip(groupings(outcomes), coarser, strict=True):
            nothing = [nothing_to_compare(grouping, name=n) for n in ("accuracy", "log-loss")]
            if any(nothing):
                yield from filter(None, nothing)
                continue
            compared = [_compared(grouping, group) for group in grouping.groups]
            others = list(self._others(grouping, by_label, evidence.spec.consequences.adverse))
            yield from compared
            rows.extend(_rows(grouping, compared))
            yield _forest(grouping, compared)
            yield from others
            measured += [*compared, *others]
        if rows:
            yield _table(rows)
        yield from adjusted_table(self.id, measured)

    def _others(
        self, grouping: Grouping, by_label: Grouping, adverse: tuple[str, ...]
    ) -> Iterator[Measure | Unmeasured]:
        """Log-loss and recalls of every group."""
        outcomes = grouping.outcomes
        losses = log_losses(outcomes.probabilities, outcomes.labels).values
        for group in grouping.groups:
            yield _lost(grouping, group, losses)
            if group in by_label.groups:
                yield from _recalls(by_label, group, self._classes(grouping), adverse)
        for group in by_label.groups:
            if group not in grouping.groups and by_label.single is None:
                yield from _recalls(by_label, group, self._classes(grouping), adverse)

    def _classes(self, grouping: Grouping) -> tuple[str, ...] | None:
        """Classes whose recall is compared, None for the adverse ones only."""
        classes = grouping.outcomes.classes
        return classes if len(classes) <= self.most_classes else None


def _compared(grouping: Grouping, group: str, *, label: str | None = None) -> Measure | Unmeasured:
    """Accuracy of a group minus the rest's; with `label`, recall of that class."""
    name = "accuracy" if label is None else "recall"
    keys = {grouping.attribute.name: group} | ({} if label is None else {"class": label})
    subject = Subject.about(keys, split="test")
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
    adjusted = adjusted_difference(grouping.contrast(group), outcomes.correct, gap=gap)
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
            "adjusted": list(adjusted.entries),
            "sentence": f"{said}, {grouping.named(group)}: {rate_text(own, n=n)}; "
            f"all others {rate_text(rest, n=n_rest)}; {points_text(gap)}.{adjusted.clause}",
        },
    )


def _lost(grouping: Grouping, group: str, losses: np.ndarray) -> Measure | Unmeasured:
    """Mean log-loss of a group minus the rest's, from that of each image (n,)."""
    subject = Subject.about({grouping.attribute.name: group}, split="test")
    few = too_few_units(grouping, group, name="log-loss", subject=subject)
    if few is not None:
        return few
    inside, unit = grouping.members(group), grouping.unit
    gap = mean_difference(losses, member=inside, unit=unit)
    adjusted = adjusted_mean_difference(grouping.contrast(group), losses, gap=gap)
    own, rest = (_mean_details(losses, side, unit) for side in (inside, ~inside))
    return Measure(
        name="log-loss",
        subject=subject,
        estimate=gap,
        unit="nats",
        better="lower",
        n=own["n"],
        n_units=None if unit is None else count_units(inside, unit),
        examples=worst_first(grouping.outcomes.image_ids, badness=losses, among=inside),
        details={
            # Not `rate`: that is a share, and is shown as one.
            "mean": own,
            "rest": rest,
            "attribute_role": grouping.attribute.role,
            "missing": grouping.missing,
            "adjusted": list(adjusted.entries),
            "sentence": "Log-loss (how sure it was of wrong answers; lower is better), "
            f"{grouping.named(group)}: {_mean_text(own)}; all others {_mean_text(rest)}; "
            f"{amount_words(gap.value, interval(gap))}.{adjusted.clause}",
        },
    )


def _mean_details(losses: np.ndarray, side: np.ndarray, unit: np.ndarray | None) -> dict[str, Any]:
    found = mean(losses[side], unit=None if unit is None else unit[side])
    ends = interval(found)
    return {"value": found.value, "low": ends.low, "high": ends.high, "n": int(side.sum())}


def _mean_text(mean: dict[str, Any]) -> str:
    return f"{mean['value']:.2f} [{max(mean['low'], 0):.2f}, {mean['high']:.2f}] of {mean['n']:,}"


def _rate(grouping: Grouping, keep: np.ndarray) -> Rate:
    units = grouping.unit
    return rate(grouping.outcomes.correct[keep], unit=None if units is None else units[keep])


def _recalls(
    grouping: Grouping, group: str, classes: tuple[str, ...] | None, adverse: tuple[str, ...]
) -> Iterator[Measure | Unmeasured]:
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
            subject=Subject.about({grouping.attribute.name: group}, split="test"),
            reason=f"{grouping.named(group)} or the rest has fewer than {MIN_UNITS} units with "
            f"label {', '.join(rare)}.",
            remedy=f"Collect at least {MIN_UNITS} units of {grouping.named(group)} of each class.",
        )


def _rows(grouping: Grouping, compared: list[Measure | Unmeasured]) -> list[tuple[Cell, ...]]:
    accuracy = accuracy_by_group(grouping)
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
    names = ("attribute", "split", "group", "images", "units", "accuracy", "low", "high",
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
