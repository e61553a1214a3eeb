"""model/preprocessing: whether the model is fed, and what it says read, as it was trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.checks.input_candidates import (
    Candidate,
    candidates_for,
    input_words,
    output_candidates_for,
)
from auditor.checks.input_trials import Trial, orders_of, trial_of
from auditor.comparing.interval_row import interval_row
from auditor.contract import (
    Available,
    Check,
    Evidence,
    Need,
    Pass,
    Predictions,
    Truth,
    Unmet,
    Words,
)
from auditor.contract.words import EITHER_WAY, mid_sentence
from auditor.findings import Axis, Cell, Figure, Measure, Result, Side, Subject, Unmeasured
from auditor.scoring.comparison import count_units, too_few, worst_first
from auditor.scoring.presence import OneHot
from auditor.scoring.rows import Rows
from auditor.spec import OutputKeys
from auditor.stats import holm, mean, p_value, paired_difference, rate

SAMPLE = 256

SHOWN = 0.05
"""Below this p-value one way is taken to fit better than another."""


def _otherwise(title: str, way: str) -> Words:
    """Words for one way of feeding the model, or of reading its outputs."""
    return Words(
        title=title,
        span=EITHER_WAY,
        short=f"gain with {way}",
        sentence=(
            "{quantity} with {way}: {this}; as declared {other}; {gap}.",
            "The labels fit far better with it{fits:if}.",
        ),
        sides=("Fed otherwise", "As declared"),
        action="feed the model as it was trained, and test again",
    )


@dataclass(frozen=True)
class OtherInputs(Predictions):
    """The model's answers for a sample, fed and read as declared and in the usual other ways."""

    sample: int | None = SAMPLE

    def unmet(self, available: Available) -> Unmet | None:
        return super().unmet(available) or Truth(split=self.split).unmet(available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        model = available.spec.model
        fed = [Pass(self.split, input=c.input) for c in candidates_for(model.input)]
        read = [Pass(self.split, output=c.output) for c in output_candidates_for(model.head)]
        return tuple(replace(p, sample=self.sample) for p in (Pass(self.split), *fed, *read))


@dataclass(frozen=True)
class Preprocessing(Check):
    """Whether another usual preprocessing, or another order of classes, fits the labels better.

    What it measures
    ----------------
    A sample of the test images is put through the model again with each of the usual
    preprocessings that differ from the declared one: turned by EXIF or not, the other channel
    order, the usual scalings, the usual ways to resize, with antialiasing or without. A detector's
    output is read with the corners of boxes in the other order (TensorFlow's, or not), and with
    "no object" at the other end of DETR's logits, where the head has these keys (a reading that
    finds more but of which fewer answers are right is left out). Accuracy with
    each, minus accuracy as declared, on the same images. The same for orders of the classes
    (as the model's file lists them, shifted by one, reversed, sorted, and the assignment of
    outputs to classes that fits the confusion matrix best, found on one half of the images and
    measured on the other), which takes no inference; where a preprocessing explains the answers,
    only orders are measured that are right more often than with it. Units are taken into
    account. Of boxes the share of objects found stands for accuracy, with the class of the box at
    an object's place; of class maps the share of images whose classes overlap with the truth by
    half on average, and orders of classes are not tried on them. A preprocessing that gives every
    answer of the declared one to the last bit is the same on these images, and is left out, as is
    one with which a classifier gives NaN, infinity or what is no score (the figure names it). Where
    no way is right more often than its own answers would be on images drawn at random (Bonferroni
    over the ways; of boxes and maps: where it is hardly ever right), nothing is measured: then
    labels and outputs do not belong together.

    Why it matters
    --------------
    A model that is fed otherwise than it was trained still answers, and seems merely mediocre.
    This is among the commonest faults in deployed vision, and no error message shows it.

    How it can mislead
    ------------------
    Only the usual ways are tried, one at a time: a rare preprocessing, or two faults at once,
    can stay unseen. Ways that fit equally well cannot be told apart: the one that differs least
    from the declared is called the fit. A small gain may be luck or a kinder crop, which is why
    a margin is tested and not zero. Where labels are wrong in a regular way, the order of
    classes is blamed.
    """

    id: ClassVar[str] = "model/preprocessing"
    topic: ClassVar[str] = "whether it is fed as it was trained"
    needs: ClassVar[tuple[Need, ...]] = (OtherInputs(),)
    sources: ClassVar[tuple[str, ...]] = (
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
        "Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70",
        "Kuhn (1955), doi:10.1002/nav.3800020109 (the best assignment of outputs to classes)",
    )

    words: ClassVar = {
        "accuracy-gain": (
            _otherwise("Accuracy gained by feeding the model otherwise: {input}", "{input}"),
            replace(
                _otherwise(
                    "Accuracy gained by another reading of the output: {output}", "{output}"
                ),
                sides=("Read otherwise", "As declared"),
                action="read the output as the model was exported, and test again",
            ),
            _otherwise(
                "Accuracy gained by another order of classes: {classes}", "classes {classes}"
            ),
            Words(
                title="Accuracy gained by feeding the model otherwise", short="how the model is fed"
            ),
        )
    }

    gain_worth_saying: Annotated[
        float,
        "Shown above this gain in accuracy the best other way reads as a far better fit.",
    ] = 0.05

    def run(self, evidence: Evidence) -> Iterator[Result]:
        declared = evidence.scored("test", sample=SAMPLE).with_truth
        few = too_few(
            "accuracy-gain",
            Subject(split="test"),
            sides={"the labelled sample": _units(declared)},
            noun="units",
        )
        if few is not None:
            yield few
            return
        inputs = list(_other_passes(evidence, declared))
        orders = orders_of(declared, evidence.model.listed_classes, evidence.rng)
        trials = [*inputs, *orders]
        yield _figure(trials, declared, unread=_unread(evidence))
        own = trial_of("input", "as declared", declared, {})
        if not _any_better_than_guessing([own, *trials], declared):
            yield _unrelated(len(trials))
            return
        explained = _best(inputs, declared)
        if explained is not None and not _gains(explained, over=own, at=declared):
            explained = None
        named = [o for o in orders if explained is None or _gains(o, over=explained, at=declared)]
        best = _best([*inputs, *named], declared)
        measures = [_measure(trial, declared) for trial in (*inputs, *named)]
        limit = self.gain_worth_saying
        shown = holm([p_value(m.estimate, limit=limit, exceeds="above") for m in measures])
        for trial, measure, p in zip((*inputs, *named), measures, shown, strict=True):
            fits = bool(trial is best and p < SHOWN)
            yield replace(measure, facts={**measure.facts, "fits": fits})


def _other_passes(evidence: Evidence, declared: Rows) -> Iterator[Trial]:
    """The readings and preprocessings that give other answers than the declared ones."""
    model = evidence.spec.model
    for read in output_candidates_for(model.head):
        other = evidence.scored("test", output=read.output, sample=SAMPLE).with_truth
        if other.right.mean() > declared.right.mean() and _less_right(evidence, read.output):
            # What takes everything for an object finds more of them, too.
            continue
        yield from _compared("output", read.name, other, {"way": read.way}, declared)
    for fed in candidates_for(model.input):
        other = evidence.scored("test", input=fed.input, sample=SAMPLE).with_truth
        if _was_read(other):
            yield from _compared("input", fed.name, other, _input_facts(fed), declared)


def _unread(evidence: Evidence) -> list[str]:
    """The preprocessings with which a classifier's output cannot be read."""
    return [
        fed.name
        for fed in candidates_for(evidence.spec.model.input)
        if not _was_read(evidence.scored("test", input=fed.input, sample=SAMPLE).with_truth)
    ]


def _was_read(rows: Rows) -> bool:
    """Whether a classifier answered every row; others that cannot be read find nothing."""
    return type(rows.presence) is not OneHot or bool((rows.presence.answers >= 0).all())


def _less_right(evidence: Evidence, output: OutputKeys) -> bool:
    """Whether a smaller share of answers is right as read otherwise than as declared."""
    ways: tuple[OutputKeys, ...] = ((), output)
    asked = (evidence.scored("test", of="answer", sample=SAMPLE, output=way) for way in ways)
    declared, other = (rows.with_truth.right for rows in asked)
    return len(declared) > 0 and len(other) > 0 and bool(other.mean() < declared.mean())


def _compared(
    key: str, name: str, other: Rows, facts: dict[str, Any], declared: Rows
) -> Iterator[Trial]:
    # A sweep gives both in the manifest's order; anything else would pair strangers.
    if list(other.keys) != list(declared.keys):
        raise RuntimeError(f"the pass with {name} holds other {other.noun}")
    # The same preprocessing on these images (a letterbox of squares) is no other way.
    if not _same_answers(other, declared):
        yield trial_of(key, name, other, facts)


def _same_answers(one: Rows, other: Rows) -> bool:
    """Whether two passes gave the same rows the same answers, as far as rows tell."""
    numbers = [(a.values, other.amounts[name].values) for name, a in one.amounts.items()]
    numbers += [(one.confidence, other.confidence), (one.right, other.right)]
    return not one.presence.differs(other.presence).any() and all(
        np.array_equal(a, b, equal_nan=True) for a, b in numbers
    )


def _any_better_than_guessing(trials: Sequence[Trial], at: Rows) -> bool:
    """Whether a way is right more often than its answers would be on images drawn at random."""
    for trial in trials:
        beyond = mean(trial.right - trial.by_luck, unit=at.units)
        if p_value(beyond, limit=0.0, exceeds="above") < SHOWN / len(trials):
            return True
    return False


def _unrelated(ways: int) -> Unmeasured:
    return Unmeasured(
        name="accuracy-gain",
        subject=Subject(split="test"),
        reason="Labels and outputs do not belong together: neither as declared nor in any of "
        f"{ways} other ways to feed the model or to order its classes is it right more often "
        "than guessing.",
        remedy="See that each label belongs to its image, that `model.classes` and the labels "
        "are of this model's task, and that the file holds the trained weights.",
    )


def _best(trials: Sequence[Trial], declared: Rows) -> Trial | None:
    """The first of those that no other gains over: trials come with the most plausible first."""
    if not trials:
        return None
    top = max(trials, key=lambda trial: trial.right.mean())
    return next(t for t in trials if t is top or not _gains(top, over=t, at=declared))


def _gains(trial: Trial, *, over: Trial, at: Rows) -> bool:
    """Whether a way is shown to be right more often than another, on the same images."""
    gain = paired_difference(over.right, trial.right, unit=at.units)
    return p_value(gain, limit=0.0, exceeds="above") < SHOWN


def _units(rows: Rows) -> int:
    return count_units(np.ones(len(rows), dtype=bool), rows.units)


def _measure(trial: Trial, declared: Rows) -> Measure:
    n, units = len(declared), declared.units
    correct = trial.right
    there, here = (rate(c, unit=units) for c in (correct, declared.right))
    return Measure(
        name="accuracy-gain",
        subject=Subject.about({trial.key: trial.name}, split="test"),
        estimate=paired_difference(declared.right, correct, unit=units),
        scale="difference",
        neutral=0.0,
        better="lower",
        n=n,
        n_units=None if units is None else _units(declared),
        sides=(Side(there, n), Side(here, n)),
        examples=_gained(trial, declared),
        facts={**trial.facts, "quantity": _quantity(declared)},
        of=declared.of,
    )


def _gained(trial: Trial, declared: Rows) -> tuple[str, ...]:
    """Images that only the other way answers rightly, those answered most surely wrong first."""
    among = trial.right & ~declared.right
    return worst_first(declared.image_ids, badness=declared.confidence, among=among)


def _quantity(rows: Rows) -> str:
    return rows.headline.replace("-", " ").capitalize()


def _input_facts(candidate: Candidate) -> dict[str, Any]:
    return {
        "input": candidate.input.model_dump(mode="json"),
        "way": input_words(candidate.input),
    }


def _entry(label: str, correct: np.ndarray, declared: Rows) -> dict[str, Cell]:
    n = len(declared)
    return interval_row(label, rate(correct, unit=declared.units), n=n)


def _figure(trials: list[Trial], declared: Rows, *, unread: Sequence[str]) -> Figure:
    n, quantity = len(declared), _quantity(declared)
    entries = [("as declared", declared.right)]
    entries += [(f"{trial.key}: {trial.name}", trial.right) for trial in trials]
    rows = tuple(_entry(label, correct, declared) for label, correct in entries)
    best = max(rows, key=lambda row: float(row["value"] or 0))
    left_out = f" Left out, since the model then gives no scores: {', '.join(unread)}."
    return Figure(
        id="model/preprocessing:accuracy",
        kind="forest",
        title=f"{quantity} with other preprocessings and orders of classes",
        caption=f"{quantity} among the same {n} {declared.noun} with its 95% interval. A row "
        "far above `as declared` says how the model was trained." + left_out * bool(unread),
        alt=f"Intervals of {mid_sentence(quantity)} for {len(rows)} ways to feed and read it. "
        f"Highest: {best['label']} with {float(best['value'] or 0):.0%}.",
        x=Axis(mid_sentence(quantity), "share"),
        y=Axis("way"),
        rows=rows,
    )
