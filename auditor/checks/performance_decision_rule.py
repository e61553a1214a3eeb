"""performance/decision-rule: what another threshold, or an eye on costs, would change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.checks import box_thresholds
from auditor.checks.box_thresholds import BoxRule
from auditor.contract import (
    Available,
    Boxes,
    Check,
    ClassScores,
    Declared,
    Evidence,
    LabelledSplits,
    Need,
    Unmet,
    Words,
)
from auditor.contract.numbers import percent
from auditor.contract.words import ANY, EITHER_WAY
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import worst_first
from auditor.scoring.cost import (
    cheapest_answers,
    class_index,
    cost_matrix,
    cost_span,
    expected_cost,
    image_costs,
)
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import n_units, rate_cells, too_few_of
from auditor.scoring.rows import Rows
from auditor.spec import AuditSpec, CostsSpec
from auditor.stats import paired_difference

_COSTS = Declared(
    path="consequences.costs",
    remedy="State under `consequences.costs` what each wrong answer costs, and in which unit.",
    optional=True,
)
_GRID = tuple(round(0.05 * i, 2) for i in range(1, 20))
_AS_IT_IS = "likeliest class"


@dataclass(frozen=True)
class ThresholdClass(Need):
    """A class to put a threshold on: an adverse one, or the second of two."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.spec.model.gives_boxes:
            return None
        if available.spec.model.head is not None:
            return Unmet(
                reason=f"A model of the task {available.model.task} gives no scores to put a "
                "threshold on.",
                remedy="Nothing to do: this is asked of classifiers and detectors.",
                applies=False,
            )
        if _threshold_classes(available.spec, available.model.classes):
            return None
        return Unmet(
            reason="The model has more than two classes, and the spec names none as adverse.",
            remedy="Name the classes whose answer harms people under `consequences.adverse`.",
        )


def _threshold_classes(spec: AuditSpec, classes: tuple[str, ...]) -> tuple[str, ...]:
    if spec.consequences.adverse:
        return spec.consequences.adverse
    return classes[1:] if len(classes) == 2 else ()


_SCORES = ClassScores(optional=True)
_BOXES = Boxes(optional=True)


@dataclass(frozen=True)
class DecisionRule(Check):
    """How much the model's decisions depend on where the threshold is put.

    What it measures
    ----------------
    Each adverse class (with two classes and none declared, the second) is answered when its
    probability reaches a threshold, else the likeliest other class. For a grid of thresholds:
    accuracy, the share of the class that is found, and the share of other images wrongly called
    so. ``accuracy-gain``: the threshold that is best on one half of the units, against the
    model's own rule (its likeliest class), on the other half. With costs in the spec,
    ``cost-saved``: mean cost under the model's own rule minus that of answering what its
    probabilities say is cheapest. Of boxes the threshold is the confidence from which they count:
    for a grid, objects found, boxes that are right, and false alarms an image; ``errors-saved``:
    objects missed and false alarms an image at the declared threshold, minus those at the threshold
    that has fewest on one half of the units, on the other half.

    Why it matters
    --------------
    "The likeliest class" is a choice that few make on purpose. Where one error costs ten times
    the other, it is rarely the right one. A large gain says that the model is better than its
    rule.

    How it can mislead
    ------------------
    Picking the best threshold on the images that it is judged on always shows a gain; here half
    of them pick and the other half judge, so the number is honest and less precise. A gain on
    test images vanishes where classes are rarer or commoner than in the test. The cheapest
    answer trusts the model's probabilities: read performance/calibration first. Of boxes a miss
    weighs as much as a false alarm, whatever the spec says of costs.
    """

    id: ClassVar[str] = "performance/decision-rule"
    topic: ClassVar[str] = "whether another way to decide does better"
    needs: ClassVar[tuple[Need, ...]] = (
        LabelledSplits(),
        _SCORES,
        _BOXES,
        ThresholdClass(),
        _COSTS,
    )
    words: ClassVar = {
        "accuracy-gain": Words(
            title="Accuracy gained by another threshold on “{class}”, {split} data",
            span=EITHER_WAY,
            short="gain by another threshold on “{class}”",
            sentence=(
                "Answering “{class}” from {threshold:.2g} on is {gap} in accuracy, {split} data.",
                "No threshold on “{class}” is more often right than the likeliest class, {split} "
                "data{as_it_is:if}.",
            ),
            action="put the threshold of “{class}” on purpose, and test again",
        ),
        "errors-saved": Words(
            title="Errors an image saved by another confidence threshold, {split} data",
            span=ANY,
            short="errors saved by another threshold",
            sentence=(
                "Boxes from {threshold:.2g} on instead of {declared:.2g} save {value} misses and "
                "false alarms, {split} data.",
                "No threshold has fewer misses and false alarms than {declared:.2g}, which is in "
                "use, {split} data{as_it_is:if}.",
            ),
            action="put the confidence threshold on purpose, and test again",
        ),
        "cost-saved": Words(
            title="Cost saved by answering what its probabilities say is cheapest, {split} data",
            span=ANY,
            short="cost saved by cheapest answers",
            sentence="Answering what its probabilities say is cheapest changes {answers_changed} "
            "of {n} answers and saves {value}, {split} data.",
            action="decide by expected cost, and test again",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        'Elkan (2001), "The foundations of cost-sensitive learning", IJCAI',
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )

    thresholds: Annotated[tuple[float, ...], "Probabilities tried as thresholds, in (0, 1)."] = (
        _GRID
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        costs = evidence.spec.consequences.costs if evidence.has(_COSTS) else None
        for split in evidence.labelled_splits():
            if evidence.has(_BOXES):
                yield from self._of_boxes(evidence, split)
                continue
            outcomes = evidence.answers(split).with_labels()
            yield from self._of_split(outcomes, evidence, costs)

    def _of_boxes(self, evidence: Evidence, split: str) -> Iterator[Result]:
        images = evidence.scored(split, of="image").with_truth
        rule = BoxRule.of(images, evidence.ranked(split), evidence.spec.model.point)
        saved = box_thresholds.errors_saved(
            rule, _half_of_units(images, rng=evidence.rng), self.thresholds
        )
        yield saved
        if isinstance(saved, Measure):
            shown = self.shown_id("confidence", split)
            yield box_thresholds.figure(rule, self.thresholds, id=shown)
            yield box_thresholds.table(rule, self.thresholds, id=shown)

    def _of_split(
        self, outcomes: Outcomes, evidence: Evidence, costs: CostsSpec | None
    ) -> Iterator[Result]:
        in_half = _half_of_units(outcomes, rng=evidence.rng)
        for name in _threshold_classes(evidence.spec, outcomes.classes):
            rule = _Rule.of(outcomes, name)
            gain = self._gain(rule, in_half)
            yield gain
            if isinstance(gain, Measure):
                yield _figure(rule, self.thresholds)
                yield _table(rule, self.thresholds, costs)
        if costs is not None:
            yield _cost_saved(outcomes, costs)

    def _gain(self, rule: _Rule, in_half: np.ndarray) -> Measure | Unmeasured:
        half = rule.outcomes.take(in_half)
        subject = Subject.about({"class": rule.name}, split=half.dataset.split)
        of = f"half of the labelled {half.dataset.split} data"
        few = too_few_of("accuracy-gain", subject, half, of=of)
        return few or _measured_gain(rule, in_half, self.thresholds, subject)


@dataclass(frozen=True)
class _Rule:
    """Labelled images, the class with the threshold, and what is answered without it.

    `otherwise` (n,) is the likeliest of the other classes; `unit` (n,) numbers the units, None
    where the manifest names none.
    """

    outcomes: Outcomes
    name: str
    index: int
    otherwise: np.ndarray
    unit: np.ndarray | None

    @classmethod
    def of(cls, outcomes: Outcomes, name: str) -> _Rule:
        index = class_index(name, classes=outcomes.classes, where="consequences.adverse")
        others = np.array(outcomes.probabilities, copy=True)
        others[:, index] = -1
        unit = outcomes.dataset.unit_codes
        least = np.min_scalar_type(-1 - len(outcomes.classes))
        return cls(outcomes, name, index, others.argmax(axis=1).astype(least), unit)

    @property
    def split(self) -> str:
        return self.outcomes.dataset.split

    def answers(self, threshold: float) -> np.ndarray:
        reached = self.outcomes.probabilities[:, self.index] >= threshold
        return np.where(reached, self.index, self.otherwise)

    def cells(self, success: np.ndarray, among: np.ndarray) -> tuple[Cell, ...]:
        """Share of `success` among some images, with its interval."""
        return rate_cells(success[among], unit=None if self.unit is None else self.unit[among])


def _half_of_units(outcomes: Outcomes | Rows, *, rng: np.random.Generator) -> np.ndarray:
    """A random half of the units, as a mask over the images, (n,)."""
    units = outcomes.dataset.unit_codes
    owner = np.arange(len(outcomes)) if units is None else units
    count = int(owner.max()) + 1 if len(owner) else 0
    half: np.ndarray = (rng.permutation(count) < count // 2)[owner]
    return half


def _measured_gain(
    rule: _Rule, in_half: np.ndarray, thresholds: tuple[float, ...], subject: Subject
) -> Measure:
    outcomes = rule.outcomes
    right = {t: rule.answers(t) == outcomes.labels for t in thresholds}
    best = max(thresholds, key=lambda t: (right[t][in_half].mean(), -abs(t - 0.5)))
    improves = right[best][in_half].mean() > outcomes.correct[in_half].mean()
    after = right[best] if improves else outcomes.correct
    rest = ~in_half
    unit = None if rule.unit is None else rule.unit[rest]
    return Measure(
        name="accuracy-gain",
        subject=subject,
        estimate=paired_difference(outcomes.correct[rest], after[rest], unit=unit),
        scale="difference",
        neutral=0.0,
        better="lower",
        n=int(rest.sum()),
        n_units=None if unit is None else len(np.unique(unit)),
        examples=worst_first(
            outcomes.image_ids,
            badness=outcomes.confidence,
            among=rest & after & ~outcomes.correct,
        ),
        facts={"threshold": best} if improves else {"as_it_is": True},
    )


def _cost_saved(outcomes: Outcomes, costs: CostsSpec) -> Measure | Unmeasured:
    split = outcomes.dataset.split
    subject = Subject.of(split=split)
    few = too_few_of("cost-saved", subject, outcomes, of=f"the labelled {split} data")
    if few is not None:
        return few
    matrix = cost_matrix(costs, classes=outcomes.classes)
    cheap = cheapest_answers(outcomes.probabilities, matrix)
    own = image_costs(matrix, outcomes.labels, outcomes.predicted)
    saved = own - image_costs(matrix, outcomes.labels, cheap)
    least, most = cost_span(matrix, own)
    return Measure(
        name="cost-saved",
        subject=subject,
        estimate=expected_cost(saved, span=(least - most, most - least), unit=outcomes.unit_codes),
        scale="amount",
        unit=f"{costs.unit} per image",
        better="lower",
        n=len(outcomes),
        n_units=n_units(outcomes),
        examples=worst_first(outcomes.image_ids, badness=saved, among=saved > 0),
        facts={"answers_changed": int((cheap != outcomes.predicted).sum())},
    )


def _shares(rule: _Rule, answers: np.ndarray) -> tuple[tuple[str, np.ndarray, np.ndarray], ...]:
    """What is drawn for given answers: name, success (n,), and the images that it is a share of."""
    labels, called = rule.outcomes.labels, answers == rule.index
    of_class = labels == rule.index
    return (
        ("right answers", answers == labels, np.ones(len(labels), dtype=bool)),
        (f"{rule.name} found", called, of_class),
        (f"others wrongly called {rule.name}", called, ~of_class),
    )


def _figure(rule: _Rule, thresholds: tuple[float, ...]) -> Figure:
    rows = []
    for threshold in thresholds:
        for series, success, among in _shares(rule, rule.answers(threshold)):
            point, low, high = rule.cells(success, among)
            if point is not None:
                rows.append(
                    {"x": threshold, "y": point, "low": low, "high": high, "series": series}
                )
    right = percent(float(rule.outcomes.correct.mean()))
    return Figure(
        id=DecisionRule.shown_id(rule.name, rule.split),
        kind="line",
        title=f'Where the threshold for "{rule.name}" is put, {rule.split} data',
        caption=f'Shares of images when "{rule.name}" is answered from each threshold on, '
        f"with 95% intervals. The model's own rule, the likeliest class, is right for {right}%.",
        alt=f'Right answers, "{rule.name}" found and others wrongly called so, at '
        f"{len(thresholds)} thresholds from {thresholds[0]:g} to {thresholds[-1]:g}.",
        x=Axis(f"threshold on {rule.name}", "probability"),
        y=Axis("images", "share"),
        rows=tuple(rows),
    )


def _table(rule: _Rule, thresholds: tuple[float, ...], costs: CostsSpec | None) -> Table:
    outcomes = rule.outcomes
    matrix = None if costs is None else cost_matrix(costs, classes=outcomes.classes)
    decided = {_AS_IT_IS: outcomes.predicted}
    if matrix is not None:
        decided["cheapest by its probabilities"] = cheapest_answers(outcomes.probabilities, matrix)
    decided |= {f"from {t:g}": rule.answers(t) for t in thresholds}
    rows: list[tuple[Cell, ...]] = []
    for name, answers in decided.items():
        shares = [rule.cells(s, among)[0] for _, s, among in _shares(rule, answers)]
        spent = (
            None if matrix is None else float(image_costs(matrix, outcomes.labels, answers).mean())
        )
        rows.append((name, *shares, spent))
    named = [name for name, _, _ in _shares(rule, outcomes.predicted)]
    cost_unit = "" if costs is None else f"{costs.unit} per image"
    return Table(
        id=DecisionRule.shown_id(rule.name, rule.split),
        title=f'Decisions under other rules for "{rule.name}", {rule.split} data',
        columns=(
            Column("rule"),
            *(Column(name, "share") for name in named),
            Column("mean cost", cost_unit),
        ),
        rows=tuple(rows),
    )
