"""bias/amplification: whether the gap between groups is wider in the answers than in the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from auditor.comparing.adjustment import adjusted_mean_difference
from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup, by_group, displayed, told
from auditor.comparing.groups import groupings, nothing_to_compare
from auditor.comparing.two_sides import two_means
from auditor.contract import Attributes, Check, Declared, Evidence, LabelledSplits, Need, Words
from auditor.contract.words import EITHER_WAY
from auditor.findings import Measured, Question, Result
from auditor.scoring.cost import adverse_classes
from auditor.scoring.quantities import Quantity, calls
from auditor.scoring.rows import Rows
from auditor.stats import Estimate, Normal, RateDifference, interval, rate_difference, value

NAME = "widening"


@dataclass(frozen=True)
class Amplification(Check):
    """Whether the model's answers set groups further apart than the labels do.

    What it measures
    ----------------
    Bias amplification, for every adverse class of the spec and every group: how far the share
    that the model calls so lies from that of all other images, less how far the share that the
    labels call so does (`widening`, in points; above 0 the answers set the group further apart).
    Both shares are of the same images, of the test data and of labelled deployment data, image
    by image, and units (rooms, persons) are taken into account. The
    direction counts: a gap is measured the way that the labels' own gap points. Where the
    labels show no gap (its 99% interval holds 0) it is the way that the answers' gap points,
    and where they show none either, "called so more often". Where the answers are shown to turn
    the labels' gap round, the sizes of the two opposite gaps are compared. Each is given
    once more among images of the same group of every other attribute of role condition.

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
    amplification, since it is one gap; the sentence says who is called so more often. A small
    gap of the labels that is not shown counts as pointing with the answers: where it is turned
    round, amplification looks larger by it.
    """

    id: ClassVar[str] = "bias/amplification"
    topic: ClassVar[str] = "gaps that the model widens"
    question: ClassVar[Question | None] = Question.MEASURED
    needs: ClassVar[tuple[Need, ...]] = (
        LabelledSplits(),
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
    words: ClassVar = {
        NAME: Words(
            title="Gap in “{class}” that the model adds to that of the labels{in_where}: {group}",
            span=EITHER_WAY,
            short="{group}: gap in “{class}” amplified",
            sentence=(
                "{group}, against all others{in_where}: labelled {class} {labels_gap:less often|as "
                "often|more often}, called so by the model {answers_gap:less often|as often|more "
                "often};",
                "the gap is {gap}{same_way:if}.",
                "the gap is turned round and {gap}{turned_round:if}.",
                "next to all others the model says so {moved:less often|more often} than the "
                "labels do.",
            ),
            gap=("narrower", "wider"),
            column="gap in “{class}” amplified",
            harm="gap in “{class}” amplified",
        )
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found: list[ByGroup] = []
        stated = evidence.spec.consequences
        for split in evidence.labelled_splits():
            rows = evidence.scored(split, of="image")
            adverse = adverse_classes(stated, classes=rows.classes)
            together = groupings(rows, by_label=True)
            of_class = [
                (_labels(one.rows, label), calls(one.rows, label))
                for one in together[:1]
                for label in adverse
            ]
            for grouping in together:
                nothing = nothing_to_compare(grouping, name=NAME)
                if nothing is not None:
                    yield nothing
                    continue
                for labels, answers in of_class:
                    found.append(by_group(labels, grouping, _shown_only))
                    found.append(by_group(answers, grouping, _amplified))
        yield from told(found, always=stated.adverse)
        yield from displayed(
            self.id, found, title="Adverse labels and adverse answers",
            caption="Share of each group's images that the labels, and the model's answers, call "
            "adverse: groups that lie further apart in the answers are set apart by the model",
        )  # fmt: skip


def _labels(rows: Rows, label: str) -> Quantity:
    """The share of rows that the labels call so."""
    return Quantity(
        "labels", rows.present(label), "none", keys={"class": label}, title=f"labelled {label}"
    )


def _shown_only(compared: AgainstRest, group: str) -> Iterator[Measured]:
    yield from ()


@dataclass(frozen=True)
class Amplified:
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

    @property
    def facts(self) -> dict[str, Any]:
        """Both gaps, and what the model does to that of the labels.

        The gap is wider or narrower only where both gaps point the way that it is measured;
        elsewhere `moved` is how much more often the model says so than the labels do.
        """
        turned = self.answers_way != self.labels_way
        along = min(
            self.labels_way * value(self.labels), self.answers_way * value(self.answers)
        ) >= 0  # fmt: skip
        by, low, high = _triple(self.estimate)
        moved = (by, low, high) if self.labels_way > 0 else (-by, -high, -low)
        return {
            "labels_gap": _triple(self.labels),
            "answers_gap": _triple(self.answers),
            "same_way": along and not turned,
            "turned_round": turned,
            "moved": None if along else list(moved),
        }


def _triple(gap: Estimate) -> list[float]:
    ends = interval(gap)
    return [value(gap), ends.low, ends.high]


def amplified(
    called: np.ndarray, *, labelled: np.ndarray, member: np.ndarray, unit: np.ndarray | None = None
) -> Amplified:
    """How much wider the gap between a group and the rest is in the answers than in the labels.

    The directional form of bias amplification (Wang & Russakovsky 2021, arXiv:2102.12594) for
    one class and one group against the rest, on the same images: the difference of means of
    ``answers_way * called - labels_way * labelled``. A direction is that of a gap whose 99%
    interval leaves out 0: the labels' own, else the answers', else "more often"; the answers
    have one of their own only where theirs is shown to point the other way. (At 95% a direction
    was wrong in 2.5% of worlds without a gap in the labels, all of them wrong PASSes.)

    Simulated with 30 to 300 images in the group, and with units of 3 or 10 images correlated at
    0.3: where the gap truly is 0.05 wider, limit 0.05, wrong FAILs are at most 5% and wrong PASSes
    at most 7%; where it is not wider, wrong FAILs are at most 0.5%.

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
    sides = two_means(further, member=member, unit=unit, span=(-1.0, 1.0))
    return Amplified(answers, labels, labels_way, answers_way, further, sides.difference())


def _direction(gap: RateDifference) -> int:
    """1 or -1 for a gap that is shown to be above or below 0, else 0."""
    ends = interval(gap, level=0.99)
    return int(ends.low > 0) - int(ends.high < 0)


def _amplified(compared: AgainstRest, group: str) -> Iterator[Measured]:
    few = compared.too_few(group, NAME)
    if few is not None:
        yield few
        return
    grouping, called = compared.grouping, compared.quantity.values
    of_class = grouping.rows.present(compared.quantity.keys["class"])
    labelled, inside = of_class[grouping.at], grouping.members(group)
    found = amplified(compared.values, labelled=labelled, member=inside, unit=grouping.unit)
    added = (called & ~of_class) if found.answers_way > 0 else (of_class & ~called)
    compared = replace(compared, quantity=replace(compared.quantity, harmed=added))
    shares = {"labelled": labelled[inside], "labelled_rest": labelled[~inside]}
    yield compared.measure(
        group, NAME, found.estimate, "difference",
        adjusted=adjusted_mean_difference(
            grouping.contrast(group), found.further, gap=found.estimate, span=(-1.0, 1.0)
        ),
        facts=found.facts | {name: float(of.mean()) for name, of in shares.items()},
    )  # fmt: skip
