"""bias/amplification: whether the gap between groups is wider in the answers than in the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.bias.adjustment import adjusted_mean_difference, adjusted_table
from auditor.bias.groups import Grouping, groupings, nothing_to_compare, too_few_units
from auditor.bias.two_sides import two_means
from auditor.contract import Attributes, Check, Declared, Evidence, Need, Predictions, Truth
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import (
    MIN_UNITS,
    count_units,
    points,
    points_text,
    rate_details,
    worst_first,
)
from auditor.scoring.cost import class_index
from auditor.stats import Interval, Normal, RateDifference, interval, rate, rate_difference, value

NAME = "widening"
_IMAGINED = (1.0, -1.0)


@dataclass(frozen=True)
class Amplification(Check):
    """Whether the model's answers set groups further apart than the labels do.

    What it measures
    ----------------
    For every adverse class of the spec and every group: how far the share that the model calls
    so lies from that of all other images, less how far the share that the labels call so does
    (`widening`, in points; above 0 the answers set the group further apart). Both shares are of
    the same images, image by image, and units (rooms, persons) are taken into account. The
    direction counts: a gap is measured the way that the labels' own gap points. Where the
    labels show no gap (its 99% interval holds 0) it is the way that the answers' gap points,
    and where they show none either, "called so more often". Where the answers are shown to turn
    the labels' gap round, the sizes of the two opposite gaps are compared. Each widening is
    given once more among images of the same group of every other attribute of role condition.

    Why it matters
    --------------
    A model may repeat the differences that it was taught, or enlarge them: to guess "serious"
    for the group that is oftener serious is a cheap way to be right. The labels cannot excuse
    the part that the model adds.

    How it can mislead
    ------------------
    The labels are taken as they are: where they are harsh on a group, a model that is as harsh
    widens nothing. A model that errs equally often both ways in every group narrows gaps
    without being fair. A gap that is wider may come from harder photos of one group. Nothing
    is said about whom the errors hit: read the error rates. With two groups both show the same
    widening, since it is one gap; the sentence says who is called so more often. A small gap of
    the labels that is not shown counts as pointing with the answers: where it is turned round,
    the widening looks larger by it.
    """

    id: ClassVar[str] = "bias/amplification"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Truth(),
        Attributes(),
        Declared(
            path="consequences.adverse",
            remedy="Name the classes whose answer harms people under `consequences.adverse`.",
        ),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Zhao, Wang, Yatskar, Ordonez & Chang (2017), arXiv:1707.09457 (bias amplification)",
        "Wang & Russakovsky (2021), arXiv:2102.12594 (directional bias amplification)",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        adverse = evidence.spec.consequences.adverse
        rows: list[tuple[Cell, ...]] = []
        measured: list[Result] = []
        for grouping in groupings(evidence.outcomes(), by_label=True):
            nothing = nothing_to_compare(grouping, name=NAME)
            if nothing is not None:
                yield nothing
                continue
            entries: list[dict[str, Any]] = []
            for label in adverse:
                results = [_compared(grouping, group, label=label) for group in grouping.groups]
                yield from results
                measured += results
                measures = [r for r in results if isinstance(r, Measure)]
                rows.extend(_row(grouping, m) for m in measures)
                entries += [entry for m in measures for entry in _entries(grouping, m)]
            yield _figure(grouping, entries)
        if rows:
            yield _table(rows)
        yield from adjusted_table(self.id, measured)


@dataclass(frozen=True)
class Widening:
    """A group's distance from the rest in the answers, less its distance in the labels.

    `answers` and `labels` are the two gaps, group minus rest; `labels_way` and `answers_way`
    the direction in which each is measured: 1 for "more often than the rest", -1 for less.
    `further` (n,) is what each image adds, whose means in the group and the rest are compared.
    """

    answers: RateDifference
    labels: RateDifference
    labels_way: int
    answers_way: int
    further: np.ndarray
    estimate: Normal


def widening(
    called: np.ndarray, *, labelled: np.ndarray, member: np.ndarray, unit: np.ndarray | None = None
) -> Widening:
    """How much wider the gap between a group and the rest is in the answers than in the labels.

    The directional form of bias amplification (Wang & Russakovsky 2021, arXiv:2102.12594) for
    one class and one group against the rest, on the same images: the difference of means of
    ``answers_way * called - labels_way * labelled``. A direction is that of a gap whose 99%
    interval leaves out 0: the labels' own, else the answers', else "more often"; the answers
    have one of their own only where theirs is shown to point the other way. (At 95% a direction
    was wrong in 2.5% of worlds without a gap in the labels, all of them wrong PASSes.) Two
    imagined images (units) a side, one for each way in which answer and label may differ, count
    in the spread.

    Simulated with 30 to 300 images in the group, and with units of 3 or 10 images correlated at
    0.3: at a true widening of 0.05, limit 0.05, wrong FAILs are at most 5% and wrong PASSes at
    most 7%; without any widening, wrong FAILs are at most 0.5%.

    Parameters
    ----------
    called, labelled : (n,) bool, whether the answer, and the label, is the class.
    member : (n,) bool, True in the group; two units a side or more.
    """
    answers = rate_difference(called, member=member, unit=unit)
    labels = rate_difference(labelled, member=member, unit=unit)
    labels_way = _direction(labels) or _direction(answers) or 1
    answers_way = _direction(answers) or labels_way
    further = answers_way * called.astype(float) - labels_way * labelled
    sides = two_means(further, member=member, unit=unit, imagined=_IMAGINED)
    return Widening(answers, labels, labels_way, answers_way, further, sides.difference())


def _direction(gap: RateDifference) -> int:
    """1 or -1 for a gap that is shown to be above or below 0, else 0."""
    ends = interval(gap, level=0.99)
    return int(ends.low > 0) - int(ends.high < 0)


def _compared(grouping: Grouping, group: str, *, label: str) -> Measure | Unmeasured:
    outcomes, unit = grouping.outcomes, grouping.unit
    subject = Subject.about({grouping.attribute.name: group, "class": label}, split="test")
    index = class_index(label, classes=outcomes.classes, where="consequences.adverse")
    few = too_few_units(grouping, group, name=NAME, subject=subject)
    if few is not None:
        return few
    inside = grouping.members(group)
    called, labelled = outcomes.predicted == index, outcomes.labels == index
    found = widening(called, labelled=labelled, member=inside, unit=unit)
    adjusted = adjusted_mean_difference(
        grouping.contrast(group), found.further, gap=found.estimate, words=_wider
    )
    added = (called & ~labelled) if found.answers_way > 0 else (labelled & ~called)
    return Measure(
        name=NAME,
        subject=subject,
        estimate=found.estimate,
        unit="share",
        better="lower",
        n=int(inside.sum()),
        n_units=None if unit is None else count_units(inside, unit),
        examples=worst_first(outcomes.image_ids, badness=outcomes.confidence, among=inside & added),
        details={
            "rate": _share(grouping, called, inside),
            "rest": _share(grouping, called, ~inside),
            "labelled": _share(grouping, labelled, inside),
            "labelled_rest": _share(grouping, labelled, ~inside),
            "answers_gap": value(found.answers),
            "labels_gap": value(found.labels),
            "turned_round": found.answers_way != found.labels_way,
            "attribute_role": grouping.attribute.role,
            "missing": grouping.missing,
            "what": f"gap in {label} widened",
            "adjusted": list(adjusted.entries),
            "sentence": _sentence(found, grouping.named(group), label=label) + adjusted.clause,
        },
    )


def _share(grouping: Grouping, of_class: np.ndarray, keep: np.ndarray) -> dict[str, Any]:
    unit = grouping.unit
    found = rate(of_class[keep], unit=None if unit is None else unit[keep])
    return rate_details(found, n=int(keep.sum()))


def _sentence(found: Widening, named: str, *, label: str) -> str:
    return (
        f"{named}, against all others: labelled {label} {_more_often(found.labels)}, called so by "
        f"the model {_more_often(found.answers)}; {_moved(found)}."
    )


def _wider(by: float, ends: Interval) -> str:
    low, high = (ends.low, ends.high) if by >= 0 else (-ends.high, -ends.low)
    word = "wider" if by >= 0 else "narrower"
    return f"{points(abs(by))} points {word} [{points(low)}, {points(high)}]"


def _moved(found: Widening) -> str:
    """What the model does to the gap; "wider" only where both gaps point the way it is measured."""
    by, ends = found.estimate.value, interval(found.estimate)
    turned = found.answers_way != found.labels_way
    along = min(found.labels_way * value(found.labels), found.answers_way * value(found.answers))
    more = by if along >= 0 else found.labels_way * by
    low, high = (ends.low, ends.high) if by >= 0 else (-ends.high, -ends.low)
    size = f"{points(abs(by))} points"
    span = f"[{points(low)}, {points(high)}]"
    if along >= 0:
        wider = "wider" if more >= 0 else "narrower"
        return f"the gap is {'turned round and ' if turned else ''}{size} {wider} {span}"
    often = "more" if more >= 0 else "less"
    return f"next to all others the model says so {size} {often} often than the labels do {span}"


def _more_often(gap: RateDifference) -> str:
    """A gap as ``5 points more often [2, 8]``."""
    if points(value(gap)) == "0":
        return "as often"
    words = points_text(gap)
    return words.replace("points higher", "points more often").replace(
        "points lower", "points less often"
    )


def _row(grouping: Grouping, measure: Measure) -> tuple[Cell, ...]:
    attribute, details = grouping.attribute.name, measure.details
    ends = interval(measure.estimate)
    return (
        attribute,
        measure.subject.get(attribute),
        measure.subject.get("class"),
        measure.n,
        measure.n_units,
        details["labelled"]["value"],
        details["labelled_rest"]["value"],
        details["rate"]["value"],
        details["rest"]["value"],
        value(measure.estimate),
        ends.low,
        ends.high,
    )


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    shares = ("labelled so", "others labelled so", "called so", "others called so", "widening",
              "widening low", "widening high")  # fmt: skip
    names = ("attribute", "group", "class", "images", "units", *shares)
    return Table(
        id="bias/amplification:groups",
        title="Gaps between each group and all other images, in the labels and in the answers",
        columns=tuple(Column(name, "share" if name in shares else "") for name in names),
        rows=tuple(rows),
    )


def _entries(grouping: Grouping, measure: Measure) -> Iterator[dict[str, Any]]:
    group, label = (measure.subject.get(k) for k in (grouping.attribute.name, "class"))
    for key, what in (("labelled", "labels"), ("rate", "answers")):
        yield {"label": group, **measure.details[key], "series": f"{label} by the {what}"}


def _figure(grouping: Grouping, entries: list[dict[str, Any]]) -> Figure:
    attribute = grouping.attribute.name
    shown = "; ".join(
        f"{e['label']} {100 * e['value']:.0f}% {e['series']}" for e in entries[:20]
    )  # fmt: skip
    return Figure(
        id=f"bias/amplification:{attribute}",
        kind="forest",
        title=f"Adverse labels and adverse answers by {attribute}",
        caption="Share of each group's images that the labels, and the model's answers, call "
        "adverse, with 95% intervals. Groups that lie further apart in the answers than in the "
        f"labels are set apart by the model. Groups with fewer than {MIN_UNITS} units are left "
        "out.",
        alt=f"Intervals of shares: {shown}." if entries else "No group has enough units.",
        x=Axis("share of images", "share"),
        y=Axis(attribute),
        rows=tuple(entries),
    )
