"""bias/threshold: whether another decision threshold would treat groups more alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.bias.threshold_tables import MOVES_HARM, gap_lines, table_rows, threshold_table
from auditor.bias.thresholds import Cutoffs, Threshold
from auditor.comparing.groups import Grouping, groupings, let_go, nothing_to_compare
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
from auditor.findings import Cell, Measure, Question, Result, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, worst_first
from auditor.scoring.cost import adverse_classes
from auditor.stats import holm, interval, p_value, rate_ratio, value

ALPHA = 0.05
GAP = "best-gap"

_SEEN = (
    "{worst_group} ({attribute}) is wrongly called {class} {gap} than all others ({this} against "
    "{other})"
)
_BROKEN = (
    "group of {attribute} wrongly called {class} more than {largest_ratio:g} times as often as the "
    "rest"
)


_WORDS = {
    GAP: (
        Words(
            title="Smallest gap of {attribute} that any threshold of “{class}” gives"
            "{in_where}",
            scale="difference",
            short="smallest gap by threshold, {attribute}",
            sentence=(
                "From {threshold:g} on, where groups are treated most alike, " + _SEEN + "; by "
                "the model’s own rule {own_worst_group} {own_gap:less often|more often}. The "
                "share of {class} found goes from {recall_own_rule:percent} to "
                "{recall:percent}.",
                "No threshold tried treats groups more alike, at the price allowed, than the "
                "model’s own rule: " + _SEEN + "{own_rule_best:if}.",
                "The model’s own rule is not shown to leave any " + _BROKEN
                + "{own_rule_stands:if}.",
                "No threshold helps: each of {thresholds} tried is shown to leave a " + _BROKEN
                + ", or to cost more than is allowed{no_threshold_helps:if}.",
                "{helping} of {thresholds} thresholds ({helping_from:g} to {helping_to:g}) may "
                "help; the others are shown to leave a " + _BROKEN + ", or to cost more than "
                "is allowed.",
                MOVES_HARM,
            ),
            gap=("less often", "more often"),
            action="do not count on another threshold for {attribute}: train again on better "
            "data",
        ),
        Words("Smallest gap between groups that any threshold gives{in_where}",
              "smallest gap by threshold"),
    ),
}  # fmt: skip


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
    price is above what is allowed; when all are, no threshold helps.

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
        ClassScores(),
        LabelledSplits(),
        Attributes(),
        Declared(
            path="consequences.adverse",
            remedy="Name the classes whose answer harms people under `consequences.adverse`.",
        ),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Hardt, Price & Srebro (2016), arXiv:1610.02413 (thresholds and equality of error rates)",
        "Corbett-Davies & Goel (2018), arXiv:1808.00023 (what thresholds can and cannot do)",
        "Berger (1982), doi:10.2307/1267823 (all are ruled out only if each is)",
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
    )

    words: ClassVar = _WORDS

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
        rows: list[tuple[Cell, ...]] = []
        for split in evidence.labelled_splits():
            scores = np.asarray(evidence.answers(split).with_labels().probabilities)
            for grouping in groupings(evidence.scored(split), by_label=True):
                nothing = nothing_to_compare(grouping, name=GAP)
                if nothing is not None:
                    yield nothing
                else:
                    yield from self._of_attribute(evidence, grouping, scores, rows)
                let_go([grouping])
        if rows:
            yield threshold_table(rows)

    def _of_attribute(
        self,
        evidence: Evidence,
        grouping: Grouping,
        scores: np.ndarray,
        rows: list[tuple[Cell, ...]],
    ) -> Iterator[Result]:
        """The best threshold of each adverse class; lines of the table are added to `rows`."""
        classes = grouping.rows.classes
        for adverse in adverse_classes(evidence.spec.consequences, classes=classes):
            of_class = scores[:, classes.index(adverse)]
            # A fresh generator each time: an attribute more changes no other number.
            cutoffs = Cutoffs.of(grouping, adverse, of_class, rng=evidence.rng)
            groups = cutoffs.comparable()
            if not groups or not cutoffs.has_price():
                yield _too_few(cutoffs, groups)
                continue
            tried: tuple[Threshold, ...] = (None, *cutoffs.thresholds(self.steps))
            left = [t for t in tried if not self._is_ruled_out(cutoffs, groups, t)]
            best = self._chosen(cutoffs, groups, tried)
            yield self._measure(cutoffs, groups, tried=tried, left=left, best=best)
            yield gap_lines(cutoffs, groups, tried)
            rows += table_rows(cutoffs, tried, left)

    def _chosen(
        self, cutoffs: Cutoffs, groups: Sequence[str], tried: Sequence[Threshold]
    ) -> Threshold:
        """The threshold with the smallest largest gap, at a price allowed, on the first half."""
        found, others = cutoffs.chosen_on.of_the_class, cutoffs.chosen_on.others

        def is_allowed(threshold: Threshold) -> bool:
            return (
                value(found.price(threshold)) >= -self.recall_lost
                and value(others.price(threshold)) <= self.false_calls_added
            )

        def badness(threshold: Threshold) -> tuple[float, float]:
            gaps = others.gaps_seen(threshold)
            return max(gaps[group] for group in groups), -value(found.price(threshold))

        return min((t for t in tried if is_allowed(t)), key=badness)

    def _is_ruled_out(self, cutoffs: Cutoffs, groups: Sequence[str], threshold: Threshold) -> bool:
        """Whether a threshold is shown to leave a group worse off, or to cost too much."""
        found, others = cutoffs.of_the_class, cutoffs.others
        p = [
            p_value(found.price(threshold), limit=-self.recall_lost, exceeds="below"),
            p_value(others.price(threshold), limit=self.false_calls_added, exceeds="above"),
        ]
        called, compared = others.called(threshold), others.grouping
        if called.any():
            ratios = (
                rate_ratio(called, member=compared.members(group), unit=compared.unit)
                for group in groups
            )
            p += [p_value(r, limit=self.largest_ratio, exceeds="above") for r in ratios]
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
        """What the chosen threshold does on the half that did not choose it."""
        chose, others = cutoffs.chosen_on.others, cutoffs.judged_on.others
        worst, before = (chose.worst(t, groups) for t in (best, None))
        grouping = others.grouping
        inside = grouping.members(worst)
        return Measure(
            name=GAP,
            subject=_subject(cutoffs),
            estimate=others.gap(best, worst),
            scale="difference",
            neutral=0.0,
            better="lower",
            n=int(inside.sum()),
            n_units=None if grouping.unit is None else count_units(inside, grouping.unit),
            sides=others.sides(best, worst),
            examples=worst_first(
                grouping.rows.image_ids.take(grouping.at),
                badness=others.score,
                among=inside & others.called(best),
            ),
            facts={
                "threshold": best,
                "worst_group": worst,
                **_own_rule(others, before),
                **_recalls(cutoffs.judged_on.of_the_class, best),
                "own_rule_best": best is None,
                "left_out": [g for g in grouping.groups if g not in groups],
                "largest_ratio": self.largest_ratio,
                **_ruling(tried, left),
            },
        )


def _subject(cutoffs: Cutoffs) -> Subject:
    keys = {"attribute": cutoffs.grouping.attribute.name, "class": cutoffs.adverse}
    return Subject.about(keys, split=cutoffs.grouping.rows.split)


def _own_rule(others: Cutoffs, group: str) -> dict[str, Any]:
    """The worst group by the model's own rule, and its gap there with the ends of its range."""
    gap = others.gap(None, group)
    ends = interval(gap)
    return {"own_worst_group": group, "own_gap": [value(gap), ends.low, ends.high]}


def _recalls(of_class: Cutoffs, best: Threshold) -> dict[str, float]:
    found = (("recall", best), ("recall_own_rule", None))
    return {name: value(of_class.share(t)) for name, t in found}


def _ruling(tried: Sequence[Threshold], left: Sequence[Threshold]) -> dict[str, Any]:
    """What is shown of the thresholds tried; those that may help only where the own rule is not."""
    stands, thresholds = None in left, [t for t in left if t is not None]
    helping = [] if stands else thresholds
    return {
        "thresholds": len(tried) - 1,
        "not_ruled_out": thresholds,
        "own_rule_stands": stands,
        "no_threshold_helps": not left,
        "helping": len(helping) or None,
        "helping_from": min(helping, default=None),
        "helping_to": max(helping, default=None),
    }


def _too_few(cutoffs: Cutoffs, groups: Sequence[str]) -> Unmeasured:
    grouping, split = cutoffs.grouping, cutoffs.grouping.rows.split
    attribute, noun = grouping.attribute.name, "images" if grouping.unit is None else "units"
    if groups:
        reason = f"Half of the {split} data has fewer than {MIN_UNITS} {noun} of class "
        reason += f"{cutoffs.adverse}: what a threshold costs cannot be told."
        remedy = f"Collect {split} data with at least {2 * MIN_UNITS} {noun} of {cutoffs.adverse}."
    else:
        reason = (
            f"No group of {attribute} and its rest have {MIN_UNITS} {noun} that are not "
            f"{cutoffs.adverse} in each half of the {split} data: nothing can be chosen on one "
            "half and measured on the other."
        )
        remedy = (
            f"Collect at least {2 * MIN_UNITS} {noun} that are not {cutoffs.adverse} of two "
            f"groups of {attribute} or more."
        )
    return Unmeasured(name=GAP, subject=_subject(cutoffs), reason=reason, remedy=remedy)
