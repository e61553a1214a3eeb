"""bias/calibration: whether confidence and ranking can be trusted alike for every group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.bias.adjustment import adjusted_mean_difference, adjusted_table
from auditor.bias.groups import Grouping, groupings, nothing_to_compare, too_few_units
from auditor.bias.ranking import ranking
from auditor.bias.two_sides import TwoSides, two_means
from auditor.contract import Attributes, Check, Evidence, Need, Predictions, Truth
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.calibration import calibration_error
from auditor.scoring.comparison import MIN_UNITS, count_units, percent, points, too_few, worst_first
from auditor.scoring.cost import class_index
from auditor.stats import Draws, Estimate, Interval, Normal, interval, value

ECE, OVERCONFIDENCE, AUC = "ece", "overconfidence-difference", "auc-difference"


@dataclass(frozen=True)
class GroupCalibration(Check):
    """Whether the model's confidence and its ranking are as good for each group as for the rest.

    What it measures
    ----------------
    For every group of every declared attribute. `ece`: how far the probability of the answers
    lies from the share of right ones, over bins of equally many images, less what chance alone
    makes of it. `overconfidence-difference`: mean probability of the answer minus accuracy, in
    the group minus in the rest; above 0 the model claims more for this group than it keeps.
    `auc-difference`: how well the score of a class ranks the group's images, minus the same in
    the rest, for each adverse class (each class where none is named): the probability that an
    image of the class has a higher score than one of another, both of the same group. It asks
    for no threshold. Units (rooms, persons) are taken into account. The difference in
    overconfidence is given once more among images of the same group of every other attribute of
    role condition.

    Why it matters
    --------------
    Whoever acts on "90% sure" is misled more often about one group when confidence is worth
    less there, whatever the accuracy. And where the ranking itself is worse in a group, no
    threshold of its own will mend it.

    How it can mislead
    ------------------
    Calibration and equal error rates cannot both hold where groups differ in how often they
    are of a class, unless the model is perfect: a difference here may be the price of equality
    there. Confidence is that of the answer given; over- and underconfidence within a group may
    cancel out in the difference. The ranking is within a group: a model that gives one group
    higher scores throughout ranks each group well, and wrongs one of them at any common
    threshold. A group of few images shows only gross miscalibration. Truth is the label.
    """

    id: ClassVar[str] = "bias/calibration"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Attributes())
    sources: ClassVar[tuple[str, ...]] = (
        "Kumar, Liang & Ma (2019), arXiv:1909.10155 (debiased calibration error)",
        "Pleiss, Raghavan, Wu, Kleinberg & Weinberger (2017), arXiv:1709.02012 (by group)",
        "DeLong, DeLong & Clarke-Pearson (1988), doi:10.2307/2531595 (area under the curve)",
        "Obuchowski (1997), doi:10.2307/2533958 (areas with clustered images)",
        "Kleinberg, Mullainathan & Raghavan (2017), arXiv:1609.05807 (what cannot all hold)",
    )

    most_classes: Annotated[
        int, "Without adverse classes, every class is ranked where there are no more than this."
    ] = 10

    def run(self, evidence: Evidence) -> Iterator[Result]:
        adverse = evidence.spec.consequences.adverse
        rows: list[tuple[Cell, ...]] = []
        compared: list[Result] = []
        for grouping in groupings(evidence.outcomes(), by_label=True):
            labels = self._ranked(grouping, adverse)
            names = (ECE, OVERCONFIDENCE, *([AUC] if labels else []))
            nothing = [nothing_to_compare(grouping, name=name) for name in names]
            if any(nothing):
                yield from filter(None, nothing)
                continue
            found = {g: tuple(_of_group(grouping, g, labels)) for g in grouping.groups}
            for results in found.values():
                yield from results
            measures = [m for results in found.values() for m in results if isinstance(m, Measure)]
            compared += measures
            rows.extend(_row(grouping, m) for m in measures)
            yield _figure(grouping, measures)
        if rows:
            yield _table(rows)
        yield from adjusted_table(self.id, compared)

    def _ranked(self, grouping: Grouping, adverse: tuple[str, ...]) -> tuple[str, ...]:
        """Classes whose scores are tested: the adverse ones, else all, where they are few."""
        classes = grouping.outcomes.classes
        for name in adverse:
            class_index(name, classes=classes, where="consequences.adverse")
        if adverse or len(classes) > self.most_classes:
            return adverse
        # Of two classes one's score is the other's complement.
        return classes if len(classes) > 2 else classes[1:]


def _of_group(
    grouping: Grouping, group: str, labels: tuple[str, ...]
) -> Iterator[Measure | Unmeasured]:
    subject = Subject.about({grouping.attribute.name: group}, split="test")
    few = [
        too_few_units(grouping, group, name=name, subject=subject)
        for name in (ECE, OVERCONFIDENCE)
    ]  # fmt: skip
    if any(few):
        yield from filter(None, few)
    else:
        yield _error(grouping, group, subject)
        yield _overconfidence(grouping, group, subject)
    for label in labels:
        yield _ranking(grouping, group, label)


def _error(grouping: Grouping, group: str, subject: Subject) -> Measure:
    inside = grouping.members(group)
    own, rest = (_calibration_error(grouping, side) for side in (inside, ~inside))
    return _measure(
        grouping,
        inside,
        name=ECE,
        subject=subject,
        estimate=own,
        better="lower",
        sides=(own, rest),
        what="confidence off",
        said=f"Confidence, {grouping.named(group)}, is off by {_points(own)} for images of the "
        f"same confidence; for all others by {_points(rest)}.",
    )


def _calibration_error(grouping: Grouping, keep: np.ndarray) -> Draws:
    outcomes, unit = grouping.outcomes, grouping.unit
    return calibration_error(
        outcomes.confidence[keep],
        outcomes.correct[keep],
        unit=None if unit is None else unit[keep],
    )


def overconfidence(
    confidence: np.ndarray, correct: np.ndarray, *, member: np.ndarray, unit: np.ndarray | None
) -> TwoSides:
    """Mean of ``confidence - correct`` in a group and in the rest, each (n,).

    One imagined wrong and one imagined right answer a side (a unit of each, with units) count
    in the spread: a group without an error would otherwise claim that none will come.
    """
    typical = float(confidence.mean())
    excess = np.asarray(confidence, dtype=np.float64) - correct
    return two_means(excess, member=member, unit=unit, imagined=(typical, typical - 1))


def _overconfidence(grouping: Grouping, group: str, subject: Subject) -> Measure:
    outcomes, inside = grouping.outcomes, grouping.members(group)
    sides = overconfidence(
        outcomes.confidence, outcomes.correct, member=inside, unit=grouping.unit
    )  # fmt: skip
    gap = sides.difference()
    excess = np.asarray(outcomes.confidence, dtype=np.float64) - outcomes.correct
    adjusted = adjusted_mean_difference(
        grouping.contrast(group), excess, gap=gap, words=_overconfident
    )
    return _measure(
        grouping,
        inside,
        name=OVERCONFIDENCE,
        subject=subject,
        estimate=gap,
        better="lower",
        sides=(sides.group, sides.rest),
        what="claims too much",
        said=f"{grouping.named(group)}: {_claims(grouping, inside)}; all others: "
        f"{_claims(grouping, ~inside)}; {_more(gap, 'overconfident')}.{adjusted.clause}",
        adjusted=adjusted.entries,
    )


def _claims(grouping: Grouping, keep: np.ndarray) -> str:
    outcomes = grouping.outcomes
    said, right = float(outcomes.confidence[keep].mean()), float(outcomes.correct[keep].mean())
    return f"the model claims {percent(said)}% and is right {percent(right)}% of {keep.sum():,}"


def _ranking(grouping: Grouping, group: str, label: str) -> Measure | Unmeasured:
    outcomes, inside, unit = grouping.outcomes, grouping.members(group), grouping.unit
    index = outcomes.classes.index(label)
    of_class = outcomes.labels == index
    subject = Subject.about({grouping.attribute.name: group, "class": label}, split="test")
    few = too_few(
        AUC,
        subject,
        sides={
            f"{named} {kind} {label}": count_units(side & truth, unit)
            for named, side in ((grouping.named(group), inside), ("the rest", ~inside))
            for kind, truth in (("with label", of_class), ("with another label than", ~of_class))
        },
        noun="images" if unit is None else "units",
    )
    if few is not None:
        return few
    scores = np.asarray(outcomes.probabilities, dtype=np.float64)[:, index]
    sides = ranking(scores, of_class=of_class, member=inside, unit=unit)
    gap = sides.difference()
    return _measure(
        grouping,
        inside,
        name=AUC,
        subject=subject,
        estimate=gap,
        better="higher",
        sides=(sides.group, sides.rest),
        what=f"{label} ranked worse",
        badness=np.where(of_class, 1 - scores, scores),
        said=f"Of two images of {grouping.named(group)}, one {label} and one not, the {label} one "
        f"has the higher score in {_percents(sides.group)} of pairs; among all others in "
        f"{_percents(sides.rest)}; {_more(gap, 'often')}.",
    )


def _measure(
    grouping: Grouping,
    inside: np.ndarray,
    *,
    name: str,
    subject: Subject,
    estimate: Estimate,
    better: str,
    sides: tuple[Estimate, Estimate],
    what: str,
    said: str,
    badness: np.ndarray | None = None,
    adjusted: Sequence[Mapping[str, Any]] = (),
) -> Measure:
    outcomes, unit = grouping.outcomes, grouping.unit
    n = int(inside.sum())
    wrong = inside if badness is not None else inside & ~outcomes.correct
    return Measure(
        name=name,
        subject=subject,
        estimate=estimate,
        unit="share",
        better="higher" if better == "higher" else "lower",
        n=n,
        n_units=None if unit is None else count_units(inside, unit),
        examples=worst_first(
            outcomes.image_ids,
            badness=outcomes.confidence if badness is None else badness,
            among=wrong,
        ),
        details={
            "rate": _details(sides[0], n=n),
            "rest": _details(sides[1], n=int((~inside).sum())),
            "attribute_role": grouping.attribute.role,
            "missing": grouping.missing,
            "what": what,
            "adjusted": list(adjusted),
            "sentence": said,
        },
    )


def _details(estimate: Estimate, *, n: int) -> dict[str, Any]:
    ends = interval(estimate)
    low, high = max(ends.low, -1.0), min(ends.high, 1.0)
    return {"value": value(estimate), "low": low, "high": high, "n": n}


def _points(estimate: Draws) -> str:
    ends = interval(estimate)
    return f"{points(estimate.value)} points [{points(ends.low)}, {points(ends.high)}]"


def _percents(area: Normal) -> str:
    ends = interval(area)
    low, high = max(ends.low, 0.0), min(ends.high, 1.0)
    return f"{percent(area.value)}% [{percent(low)}, {percent(high)}]"


def _overconfident(by: float, ends: Interval) -> str:
    return _more_text(by, ends, "overconfident")


def _more(gap: Normal, adjective: str) -> str:
    """A difference as ``6 points more overconfident [2, 10]``."""
    return _more_text(gap.value, interval(gap), adjective)


def _more_text(by: float, ends: Interval, adjective: str) -> str:
    low, high = (ends.low, ends.high) if by >= 0 else (-ends.high, -ends.low)
    word = "more" if by >= 0 else "less"
    said = f"{points(abs(by))} points {word} {adjective}"
    return f"{said} [{points(low)}, {points(high)}]"


def _row(grouping: Grouping, measure: Measure) -> tuple[Cell, ...]:
    attribute = grouping.attribute.name
    own, rest = measure.details["rate"], measure.details["rest"]
    compared = measure.name != ECE
    ends = interval(measure.estimate)
    return (
        attribute,
        measure.subject.get(attribute),
        _COLUMN[measure.name],
        measure.subject.get("class"),
        measure.n,
        measure.n_units,
        *(own[key] for key in ("value", "low", "high")),
        *(rest[key] for key in ("value", "low", "high")),
        *((value(measure.estimate), ends.low, ends.high) if compared else (None, None, None)),
    )


_COLUMN: Mapping[str, str] = {
    ECE: "calibration error",
    OVERCONFIDENCE: "overconfidence",
    AUC: "ranking (AUC)",
}


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    shares = ("group value", "low", "high", "others", "others low", "others high", "difference",
              "difference low", "difference high")  # fmt: skip
    names = ("attribute", "group", "quantity", "class", "images", "units", *shares)
    return Table(
        id="bias/calibration:groups",
        title="Calibration and ranking in each group, and in all other images",
        columns=tuple(Column(name, "share" if name in shares else "") for name in names),
        rows=tuple(rows),
    )


def _figure(grouping: Grouping, measures: list[Measure]) -> Figure:
    attribute = grouping.attribute.name
    shown = [m for m in measures if m.name == OVERCONFIDENCE]
    return Figure(
        id=f"bias/calibration:{attribute}",
        kind="forest",
        title=f"What the model claims beyond what it keeps, by {attribute}",
        caption="Mean confidence minus share of right answers in each group, with its 95% "
        "interval: above 0 the model is surer than it is right. Groups with fewer than "
        f"{MIN_UNITS} units are left out.",
        alt="; ".join(str(m.details["sentence"]) for m in shown[:20])
        or "No group has enough units.",
        x=Axis("confidence minus right answers", "share"),
        y=Axis(attribute),
        rows=tuple({"label": str(m.subject.get(attribute)), **m.details["rate"]} for m in shown),
    )
