"""bias/calibration: whether confidence and ranking can be trusted alike for every group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.bias.ranking import ranking
from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup, by_group, displayed, told
from auditor.comparing.groups import groupings, nothing_to_compare
from auditor.contract import (
    Attributes,
    Check,
    ClassScores,
    Confidences,
    Evidence,
    LabelledSplits,
    Need,
    Words,
)
from auditor.contract.words import EITHER_WAY
from auditor.findings import Measure, Measured, Question, Result
from auditor.scoring.calibration import calibration_error
from auditor.scoring.comparison import count_units, too_few
from auditor.scoring.cost import adverse_classes
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows

ECE, OVERCONFIDENCE, AUC = "ece", "overconfidence-difference", "auc-difference"
SCORES = ClassScores(optional=True)


@dataclass(frozen=True)
class GroupCalibration(Check):
    """Whether the model's confidence and its ranking are as good for each group as for the rest.

    What it measures
    ----------------
    For every group of every declared attribute, in the test data and in labelled deployment
    data. `ece`: how far the probability of the answers lies from the share of right ones, over
    bins of equally many images, less what chance alone makes of it. `overconfidence-difference`:
    mean probability of the answer minus accuracy, in the group minus in the rest; above 0 the
    model claims more for this group than it keeps. `auc-difference`, of models that score every
    class: how well the score of a class ranks the group's images, minus the same in the rest,
    for each adverse class (each class where none is named): the probability that an image of
    the class has a higher score than one of another, both of the same group. It asks for no
    threshold. Units (rooms, persons) are taken into account. The difference in overconfidence
    is given once more among images of the same group of every other attribute of role condition.

    Why it matters
    --------------
    Whoever acts on "90% sure" is misled more often about one group when confidence is worth
    less there, whatever the accuracy. And where the ranking itself is worse in a group, no
    threshold of its own will fix it.

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
    topic: ClassVar[str] = "how sure it is, per group"
    question: ClassVar[Question | None] = Question.MEASURED
    needs: ClassVar[tuple[Need, ...]] = (Confidences(), LabelledSplits(), Attributes(), SCORES)
    sources: ClassVar[tuple[str, ...]] = (
        "Kumar, Liang & Ma (2019), arXiv:1909.10155 (debiased calibration error)",
        "Pleiss, Raghavan, Wu, Kleinberg & Weinberger (2017), arXiv:1709.02012 (by group)",
        "DeLong, DeLong & Clarke-Pearson (1988), doi:10.2307/2531595 (area under the curve)",
        "Obuchowski (1997), doi:10.2307/2533958 (areas with clustered images)",
        "Kleinberg, Mullainathan & Raghavan (2017), arXiv:1609.05807 (what cannot all hold)",
    )
    words: ClassVar = {
        ECE: Words(
            title="How far confidence is off for {group}{in_where}",
            scale="difference",
            short="{group}: confidence off",
            sentence="Confidence{in_where}, {group}, is off by {this} for images of the same "
            "confidence; for all others by {other}.",
            harm="confidence off",
        ),
        OVERCONFIDENCE: Words(
            title="How much surer than right{in_where}: {group}, against all others",
            span=EITHER_WAY,
            short="{group}: too sure",
            sentence="{group}{in_where}: the model claims {claimed:percent} and is right "
            "{right:percent} of {n}; all others: the model claims {claimed_rest:percent} and is "
            "right {right_rest:percent} of {n_rest}; {gap}.",
            gap=("less overconfident", "more overconfident"),
            column="too sure",
            harm="claims too much",
        ),
        AUC: Words(
            title="How well “{class}” is ranked{in_where}: {group}, against all others",
            span=EITHER_WAY,
            short="{group}: ranking of “{class}”",
            sentence="Of two images{in_where}, one {class} and one not, the {class} one has the "
            "higher score, of pairs of {group}: {this}; of all others {other}; {gap}.",
            gap=("less often", "more often"),
            column="“{class}” ranked",
            harm="“{class}” ranked worse",
        ),
    }

    most_classes: Annotated[
        int, "Without adverse classes, every class is ranked where there are no more than this."
    ] = 10

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found: list[ByGroup] = []
        stated, scored = evidence.spec.consequences, evidence.has(SCORES)
        for split in evidence.labelled_splits():
            rows = evidence.scored(split, of="answer")
            adverse = adverse_classes(stated, classes=rows.classes)
            ranked = self._classes(rows.classes, adverse) if scored else ()
            names = (ECE, OVERCONFIDENCE, *([AUC] if ranked else []))
            together = groupings(rows, by_label=True)
            quantities = _quantities(together[0].rows, ranked, evidence) if together else []
            for grouping in together:
                nothing = [nothing_to_compare(grouping, name=name) for name in names]
                yield from filter(None, nothing)
                if not any(nothing):
                    found += [by_group(one, grouping, _MEASURES[one.name]) for one in quantities]
        yield from told(found, always=None)
        pictured = [one for one in found if one.compared.quantity.name == OVERCONFIDENCE]
        yield from displayed(
            self.id, found, title="Confidence beyond right answers", pictured=pictured,
            caption="Mean confidence minus share of right answers in each group, above 0 where "
            "the model is surer than it is right",
        )  # fmt: skip

    def _classes(self, classes: tuple[str, ...], adverse: tuple[str, ...]) -> tuple[str, ...]:
        """Classes whose scores are tested: the adverse ones, else all, where they are few."""
        if adverse or len(classes) > self.most_classes:
            return adverse
        # Of two classes one's score is the other's complement.
        return classes if len(classes) > 2 else classes[1:]


def overconfidence(confidence: np.ndarray, right: np.ndarray) -> Quantity:
    """The mean of ``confidence - right``, each (n,)."""
    return Quantity(
        OVERCONFIDENCE, np.asarray(confidence, dtype=np.float64) - right, "lower",
        scale="difference", span=(-1.0, 1.0), harmed=~right,
        title="overconfidence",
    )  # fmt: skip


def _quantities(rows: Rows, ranked: tuple[str, ...], evidence: Evidence) -> list[Quantity]:
    """What is compared, the same for every attribute; `ranked` are classes."""
    quantity = overconfidence(rows.confidence, rows.right)
    off = replace(quantity, name=ECE, title="calibration error")
    return [off, quantity, *_ranked(rows, ranked, evidence)]


def _calibration_error(compared: AgainstRest, group: str) -> Iterator[Measured]:
    few = compared.too_few(group, ECE)
    if few is not None:
        yield few
        return
    grouping, inside = compared.grouping, compared.grouping.members(group)
    confidence, right = grouping.rows.confidence[grouping.at], grouping.rows.right[grouping.at]
    own, rest = (
        calibration_error(
            confidence[side],
            right[side],
            unit=None if grouping.unit is None else grouping.unit[side],
        )
        for side in (inside, ~inside)
    )
    measure = compared.measure(group, ECE, own, "difference", sides=(own, rest))
    # It is the group's own, and no comparison.
    yield replace(measure, neutral=None)


def _overconfidence(compared: AgainstRest, group: str) -> Iterator[Measured]:
    measure = compared.difference(group)
    if isinstance(measure, Measure):
        grouping, inside = compared.grouping, compared.grouping.members(group)
        means = {"claimed": grouping.rows.confidence, "right": grouping.rows.right}
        facts = {
            f"{name}{side}": float(values[grouping.at][mask].mean())
            for side, mask in (("", inside), ("_rest", ~inside))
            for name, values in means.items()
        }
        measure = replace(measure, facts=facts)
    yield measure


def _ranked(rows: Rows, classes: tuple[str, ...], evidence: Evidence) -> Iterator[Quantity]:
    """How the score of each class ranks."""
    if not classes:
        return
    answers = evidence.answers(rows.split)
    table = np.asarray(answers.probabilities)
    table = table if answers.labelled.all() else table[answers.labelled]
    for label in classes:
        yield Quantity(
            AUC, table[:, rows.classes.index(label)], "higher", keys={"class": label},
            title=f"ranking of {label} (AUC)",
        )  # fmt: skip


def _ranking(compared: AgainstRest, group: str) -> Iterator[Measured]:
    grouping, label = compared.grouping, compared.quantity.keys["class"]
    inside, unit = grouping.members(group), grouping.unit
    of_class = grouping.rows.present(label)[grouping.at]
    few = too_few(
        AUC,
        compared.subject(group),
        sides={
            f"{named} {kind} {label}": count_units(side & truth, unit)
            for named, side in ((grouping.named(group), inside), ("the rest", ~inside))
            for kind, truth in (("with label", of_class), ("with another label than", ~of_class))
        },
        noun="images" if unit is None else "units",
    )
    if few is not None:
        yield few
        return
    sides = ranking(compared.values, of_class=of_class, member=inside, unit=unit)
    # Examples are the images that are ranked worst.
    scores = compared.quantity.values.astype(np.float64)
    against = np.where(grouping.rows.present(label), 1 - scores, scores)
    compared = replace(compared, quantity=replace(compared.quantity, badness=against))
    yield compared.measure(
        group, AUC, sides.difference(), "difference", sides=(sides.group, sides.rest)
    )


_MEASURES = {ECE: _calibration_error, OVERCONFIDENCE: _overconfidence, AUC: _ranking}
