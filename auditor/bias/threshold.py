"""bias/threshold: whether another decision threshold would treat groups more alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.bias.threshold_tables import MOVES_HARM, gap_lines, table_rows, threshold_table
from auditor.bias.thresholds import Cutoffs, Threshold
from auditor.comparing.groups import groupings, nothing_to_compare
from auditor.contract import (
    Attributes,
    Check,
    ClassScores,
    Declared,
    Evidence,
    LabelledSplits,
    Need,
    Words,
)
from auditor.findings import Cell, Measure, Question, Result, Side, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, worst_first
from auditor.scoring.cost import class_index
from auditor.stats import holm, interval, p_value, rate_ratio, value

ALPHA = 0.05


@dataclass(frozen=True)
class ThresholdGaps(Check):
    """Whether another threshold for an adverse class would treat groups more alike, and its price.

    What it measures
    ----------------
    Each adverse class is answered when its probability reaches a threshold, else the likeliest
    other class. For some two dozen thresholds: the share of images wrongly called so, and of
    images of the class that are missed, of each group against all others. ``best-gap``: the
    threshold at which the group that is worst off is least worse off (wrongly called so more
    often than the rest), among thresholds that keep the class about as well found overall and
    do not add false calls for everyone. Threshold and group are chosen on one half of the
    units, and measured on the other. A threshold is ruled out when it is shown that some group
    stays wrongly called so more than ``largest_ratio`` times as often as the rest, or that the
    price is above what is allowed; when all are, no threshold mends it.

    Why it matters
    --------------
    When groups are served unequally, the first proposal is to turn the threshold. Sometimes that
    helps, at a price that someone pays; often nothing helps but better data or another model.
    Who decides should know which it is before, not after.

    How it can mislead
    ------------------
    A threshold moves harm, it does not remove bias: fewer wrong calls mean more cases missed,
    and what makes the model err more for one group is still there. Equal rates may be reached by
    serving everyone worse; hence the two limits on the price. Not ruled out does not mean shown
    to help: with few images little can be ruled out. The threshold is the same for all groups;
    one for each group is another matter, and in many places not lawful. A threshold chosen here
    fits these images, and where the class is rarer or commoner it will do otherwise. The truth
    is the label, with the faults that it has.
    """

    id: ClassVar[str] = "bias/threshold"
    topic: ClassVar[str] = "whether another threshold would help"
    question: ClassVar[Question | None] = Question.MEASURED
    needs: ClassVar[tuple[Need, ...]] = (
        LabelledSplits(),
        ClassScores(),
        Attributes(),
        Declared(
            path="consequences.adverse",
            remedy="Name the classes whose answer harms people under `consequences.adverse`.",
        ),
    )
    words: ClassVar = {
        "best-gap": Words(
            title="Smallest gap of {attribute} that any threshold of “{class}” gives",
            short="smallest gap by threshold, {attribute}",
            sentence=(
                "From {threshold:g} on, where groups are treated most alike, {worst_group} is "
                "wrongly called {class} in {this}, all others in {other} ({gap}); by the model's "
                "own rule the gap is largest for {own_rule_group}, {own_rule_gap:points} points "
                "[{own_rule_low:points}, {own_rule_high:points}]. The share of {class} found goes "
                "from {recall_own_rule:percent} to {recall:percent}.",
                "No threshold tried treats groups more alike, at the price allowed, than the "
                "model's own rule{by_own_rule:if}: {worst_group} is wrongly called {class} in "
                "{this}, all others in {other} ({gap}).",
                "The model's own rule is not shown to leave any group of {attribute} wrongly "
                "called {class} more than {largest_ratio:g} times as often as the "
                "rest{own_rule_stands:if}.",
                "No threshold helps: each of {thresholds} tried is shown to leave a group of "
                "{attribute} wrongly called {class} more than {largest_ratio:g} times as often as "
                "the rest, or to cost more than is allowed{no_threshold_helps:if}.",
                "{may_help:if}{may_help} of {thresholds} thresholds ({from:g} to {to:g}) may "
                "help; the others are shown to leave a group of {attribute} wrongly called "
                "{class} more than {largest_ratio:g} times as often as the rest, or to cost more "
                "than is allowed.",
                MOVES_HARM,
            ),
            sides=("The worst group", "All others"),
            action="collect other data or train another model for {attribute}",
        )
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Hardt, Price & Srebro (2016), arXiv:1610.02413 (thresholds and equality of error rates)",
        "Corbett-Davies & Goel (2018), arXiv:1808.00023 (what thresholds can and cannot do)",
        "Berger (1982), doi:10.2307/1267823 (all are ruled out only if each is)",
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
    )

    largest_ratio: Annotated[
        float, "A group may be wrongly called so at most this many times as often as the rest."
    ] = 1.25
    recall_lost: Annotated[
        float, "Share of the class found overall may fall by this much below the model's own rule."
    ] = 0.05
    false_calls_added: Annotated[
        float, "Share wrongly called so overall may rise by this much above the model's own rule."
    ] = 0.05
    steps: Annotated[int, "Thresholds tried, for images of the class and for others each."] = 12

    def run(self, evidence: Evidence) -> Iterator[Result]:
        lines: list[tuple[Cell, ...]] = []
        for split in evidence.labelled_splits():
            answers = evidence.answers(split).with_labels()
            for grouping in groupings(evidence.scored(split), by_label=True):
                nothing = nothing_to_compare(grouping, name="best-gap")
                if nothing is not None:
                    yield nothing
                    continue
                for adverse in evidence.spec.consequences.adverse:
                    classes = answers.classes
                    index = class_index(adverse, classes=classes, where="consequences.adverse")
                    score = np.asarray(answers.probabilities)[:, index]
                    # A fresh generator each time: an attribute more changes no other number.
                    cutoffs = Cutoffs.of(grouping, adverse, score, rng=evidence.rng)
                    yield from self._of(cutoffs, lines)
        if lines:
            yield threshold_table(lines)

    def _of(self, cutoffs: Cutoffs, lines: list[tuple[Cell, ...]]) -> Iterator[Result]:
        groups = cutoffs.comparable()
        if not groups or not cutoffs.has_price():
            yield _too_few(cutoffs, groups)
            return
        tried: tuple[Threshold, ...] = (None, *cutoffs.thresholds(self.steps))
        left = [t for t in tried if not self._is_ruled_out(cutoffs, groups, t)]
        best = self._chosen(cutoffs, groups, tried)
        yield self._measure(cutoffs, groups, tried=tried, left=left, best=best)
        yield gap_lines(cutoffs, groups, tried)
        lines += table_rows(cutoffs, tried, left)

    def _chosen(
        self, cutoffs: Cutoffs, groups: Sequence[str], tried: Sequence[Threshold]
    ) -> Threshold:
        """The threshold with the smallest largest gap, at a price allowed, on the first half."""
        found, others = (cutoffs.first & kind for kind in (cutoffs.of_class, ~cutoffs.of_class))

        def is_allowed(threshold: Threshold) -> bool:
            return (
                value(cutoffs.price(threshold, found)) >= -self.recall_lost
                and value(cutoffs.price(threshold, others)) <= self.false_calls_added
            )

        def badness(threshold: Threshold) -> tuple[float, float]:
            worst = cutoffs.worst(threshold, groups, others)
            gap = cutoffs.gap_seen(threshold, worst, others)
            return gap, -value(cutoffs.price(threshold, found))

        return min((t for t in tried if is_allowed(t)), key=badness)

    def _is_ruled_out(self, cutoffs: Cutoffs, groups: Sequence[str], threshold: Threshold) -> bool:
        """Whether a threshold is shown to leave a group worse off, or to cost too much."""
        others = ~cutoffs.of_class
        p = [
            p_value(
                cutoffs.price(threshold, cutoffs.of_class),
                limit=-self.recall_lost,
                exceeds="below",
            ),
            p_value(
                cutoffs.price(threshold, others), limit=self.false_calls_added, exceeds="above"
            ),
        ]
        called, unit = cutoffs.called(threshold)[others], cutoffs.grouping.unit
        if called.any():
            p += [
                p_value(
                    rate_ratio(
                        called,
                        member=cutoffs.grouping.members(group)[others],
                        unit=None if unit is None else unit[others],
                    ),
                    limit=self.largest_ratio,
                    exceeds="above",
                )
                for group in groups
            ]
        return min(holm(p)) <= ALPHA

    def _measure(
        self,
        cutoffs: Cutoffs,
        groups: Sequence[str],
        *,
        tried: Sequence[Threshold],
        left: Sequence[Threshold],
        best: Threshold,
    ) -> Measure:
        chosen = _Chosen.of(cutoffs, groups, best)
        grouping, inside = cutoffs.grouping, chosen.at_risk
        unit, within = grouping.unit, [t for t in left if t is not None]
        ruled = None not in left
        return Measure(
            name="best-gap",
            subject=_subject(cutoffs),
            estimate=cutoffs.gap(best, chosen.group, chosen.others),
            scale="difference",
            neutral=0.0,
            better="lower",
            n=int(inside.sum()),
            n_units=None if unit is None else count_units(inside, unit),
            sides=chosen.sides,
            examples=worst_first(
                grouping.rows.image_ids[grouping.at],
                badness=cutoffs.score,
                among=inside & cutoffs.called(best),
            ),
            facts={
                **chosen.facts,
                "left_out": [g for g in grouping.groups if g not in groups],
                "largest_ratio": self.largest_ratio,
                "thresholds": len(tried) - 1,
                "not_ruled_out": within,
                "own_rule_ruled_out": ruled,
                "no_threshold_helps": not left,
                "own_rule_stands": not ruled,
                "may_help": len(within) if ruled else 0,
                "from": within[0] if within else None,
                "to": within[-1] if within else None,
            },
        )


def _subject(cutoffs: Cutoffs) -> Subject:
    grouping = cutoffs.grouping
    return Subject.about(
        {"attribute": grouping.attribute.name, "class": cutoffs.adverse},
        split=grouping.rows.split,
    )


@dataclass(frozen=True)
class _Chosen:
    """What the chosen threshold does on the half that did not choose it."""

    cutoffs: Cutoffs
    best: Threshold
    group: str
    group_before: str

    @classmethod
    def of(cls, cutoffs: Cutoffs, groups: Sequence[str], best: Threshold) -> _Chosen:
        chosen_on = cutoffs.first & ~cutoffs.of_class
        return cls(
            cutoffs,
            best,
            group=cutoffs.worst(best, groups, chosen_on),
            group_before=cutoffs.worst(None, groups, chosen_on),
        )

    @property
    def others(self) -> np.ndarray:
        """Images of other classes on the half that measures."""
        mask: np.ndarray = ~self.cutoffs.first & ~self.cutoffs.of_class
        return mask

    @property
    def at_risk(self) -> np.ndarray:
        """Those of the group that is worst off."""
        mask: np.ndarray = self.others & self.cutoffs.grouping.members(self.group)
        return mask

    @property
    def sides(self) -> tuple[Side, Side]:
        called, rest = self.cutoffs.called(self.best), self.others & ~self.at_risk
        own, others = (
            Side(self.cutoffs.share(called, side), int(side.sum())) for side in (self.at_risk, rest)
        )
        return own, others

    @property
    def facts(self) -> dict[str, Any]:
        """The chosen threshold and its group, beside the model's own rule and the price."""
        of_class = ~self.cutoffs.first & self.cutoffs.of_class
        found = {
            name: value(self.cutoffs.share(self.cutoffs.called(t), of_class))
            for name, t in (("recall", self.best), ("recall_own_rule", None))
        }
        before = self.cutoffs.gap(None, self.group_before, self.others)
        ends = interval(before)
        name = self.cutoffs.grouping.named
        return {
            "threshold": self.best,
            "by_own_rule": self.best is None,
            "group": self.group,
            "worst_group": name(self.group),
            "own_rule_group": name(self.group_before),
            "own_rule_gap": value(before),
            "own_rule_low": ends.low,
            "own_rule_high": ends.high,
            **found,
        }


def _too_few(cutoffs: Cutoffs, groups: Sequence[str]) -> Unmeasured:
    attribute, noun = cutoffs.grouping.attribute.name, "images"
    if cutoffs.grouping.unit is not None:
        noun = "units"
    if groups:
        reason = (
            f"Half of the {cutoffs.grouping.rows.split} data has fewer than {MIN_UNITS} {noun} "
        )
        reason += f"of class {cutoffs.adverse}: what a threshold costs cannot be told."
        remedy = f"Collect data with at least {2 * MIN_UNITS} {noun} of {cutoffs.adverse}."
    else:
        reason = (
            f"No group of {attribute} and its rest have {MIN_UNITS} {noun} that are not "
            f"{cutoffs.adverse} in each half of the data: nothing can be chosen on one half "
            "and measured on the other."
        )
        remedy = (
            f"Collect at least {2 * MIN_UNITS} {noun} that are not {cutoffs.adverse} of two "
            f"groups of {attribute} or more."
        )
    return Unmeasured(
        name="best-gap",
        subject=_subject(cutoffs),
        reason=reason,
        remedy=remedy,
    )
