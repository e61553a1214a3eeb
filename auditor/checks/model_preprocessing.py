"""model/preprocessing: whether the model is fed, and its classes listed, as it was trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.checks.input_candidates import Candidate, candidates_for, class_orders
from auditor.comparing.by_group import side_cells
from auditor.contract import (
    Available,
    Check,
    ClassScores,
    Evidence,
    Need,
    Pass,
    Truth,
    Unmet,
    Words,
)
from auditor.findings import Axis, Cell, Figure, Measure, Result, Side, Subject
from auditor.scoring.comparison import count_units, too_few, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.spec import InputSpec
from auditor.stats import paired_difference, rate

SAMPLE = 256


@dataclass(frozen=True)
class OtherInputs(ClassScores):
    """The model's answers for a sample, preprocessed as declared and in the usual other ways."""

    sample: int | None = SAMPLE

    def unmet(self, available: Available) -> Unmet | None:
        return super().unmet(available) or Truth(split=self.split).unmet(available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        others = candidates_for(available.spec.model.input)
        declared = Pass(self.split, sample=self.sample)
        tried = [Pass(self.split, input=c.input, sample=self.sample) for c in others]
        return (declared, *tried)


@dataclass(frozen=True)
class Preprocessing(Check):
    """Whether another usual preprocessing, or another order of classes, fits the labels better.

    What it measures
    ----------------
    A sample of the test images is put through the model again with each of the usual
    preprocessings that differ from the declared one: the other channel order, the usual
    scalings, the usual ways to resize. Accuracy with each, minus accuracy as declared, on the
    same images. The same for orders of the classes (shifted by one, reversed, sorted), which
    takes no inference. Units are taken into account. A preprocessing that gives every answer of
    the declared one to the last bit is the same on these images, and is left out.

    Why it matters
    --------------
    A model that is fed otherwise than it was trained still answers, and seems merely mediocre.
    This is among the commonest faults in deployed vision, and no error message shows it.

    How it can mislead
    ------------------
    Only the usual ways are tried, one at a time: a rare preprocessing, or two faults at once,
    can stay unseen. A small gain may be luck or a kinder crop, which is why a margin is tested
    and not zero. Where labels are wrong in a regular way, the order of classes is blamed.
    """

    id: ClassVar[str] = "model/preprocessing"
    topic: ClassVar[str] = "whether it is fed as it was trained"
    needs: ClassVar[tuple[Need, ...]] = (OtherInputs(),)
    sources: ClassVar[tuple[str, ...]] = (
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
        "Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70",
    )

    words: ClassVar = {
        "accuracy-gain": (
            Words(
                title="Accuracy gained by feeding the model otherwise",
                short="how the model is fed",
                sentence=(
                    "Accuracy with {way}: {this}; as declared {other}; {gap}.",
                    "The labels fit far better with it{fits:if}.",
                ),
                sides=("Fed otherwise", "As declared"),
                action="feed the model as it was trained, and test again",
            ),
            Words(
                title="Accuracy gained by feeding the model otherwise", short="how the model is fed"
            ),
        )
    }

    gain_worth_saying: Annotated[
        float, "Above this gain in accuracy the best other way is called a far better fit in words."
    ] = 0.05

    def run(self, evidence: Evidence) -> Iterator[Result]:
        declared = evidence.answers("test", sample=SAMPLE).with_labels()
        few = too_few(
            "accuracy-gain",
            Subject(split="test"),
            sides={"the labelled sample": _units(declared)},
            noun="units",
        )
        if few is not None:
            yield few
            return
        trials = [*self._inputs(evidence, declared), *self._orders(declared)]
        best = max((trial.correct.mean() for trial in trials), default=0.0)
        far = best > declared.correct.mean() + self.gain_worth_saying
        for trial in trials:
            yield _measure(trial, declared, fits=bool(far and trial.correct.mean() == best))
        yield _figure(trials, declared)

    def _inputs(self, evidence: Evidence, declared: Outcomes) -> Iterator[_Trial]:
        for candidate in candidates_for(evidence.spec.model.input):
            other = evidence.answers("test", input=candidate.input, sample=SAMPLE).with_labels()
            # A sweep gives both in the manifest's order; anything else would pair strangers.
            if list(other.image_ids) != list(declared.image_ids):
                raise RuntimeError(f"the pass with {candidate.name} holds other images")
            if np.array_equal(other.probabilities, declared.probabilities):
                # The same preprocessing on these images (a letterbox of squares): no other way.
                continue
            yield _Trial("input", candidate.name, other.correct, _input_facts(candidate))

    @staticmethod
    def _orders(declared: Outcomes) -> Iterator[_Trial]:
        for order in class_orders(declared.classes):
            correct = order.meaning[declared.predicted] == declared.labels
            listed = [declared.classes[i] for i in order.meaning[:10]]
            facts = {"classes": listed, "way": f"classes {order.name}"}
            yield _Trial("classes", order.name, correct, facts)


@dataclass(frozen=True)
class _Trial:
    """Another way, and which images it answers rightly, (n,) bool."""

    key: str
    name: str
    correct: np.ndarray
    facts: dict[str, Any]


def _units(outcomes: Outcomes) -> int:
    return count_units(np.ones(len(outcomes), dtype=bool), outcomes.units)


def _measure(trial: _Trial, declared: Outcomes, *, fits: bool) -> Measure:
    n, units = len(declared), declared.units
    there, here = (rate(c, unit=units) for c in (trial.correct, declared.correct))
    return Measure(
        name="accuracy-gain",
        subject=Subject.about({trial.key: trial.name}, split="test"),
        estimate=paired_difference(declared.correct, trial.correct, unit=units),
        scale="difference",
        neutral=0.0,
        better="lower",
        n=n,
        n_units=None if units is None else _units(declared),
        sides=(Side(there, n), Side(here, n)),
        examples=_gained(trial, declared),
        facts={**trial.facts, "fits": fits},
    )


def _gained(trial: _Trial, declared: Outcomes) -> tuple[str, ...]:
    """Images that only the other way answers rightly, those answered most surely wrong first."""
    among = trial.correct & ~declared.correct
    return worst_first(declared.image_ids, badness=declared.confidence, among=among)


def _input_facts(candidate: Candidate) -> dict[str, Any]:
    return {
        "input": candidate.input.model_dump(mode="json"),
        "way": input_words(candidate.input),
    }


def input_words(given: InputSpec) -> str:
    """A preprocessing as a reader would write it into the spec."""
    resize = f"shortest to {given.shortest}" if given.resize == "shortest" else given.resize
    if given.dtype == "uint8":
        return f"channels {given.channels}, pixels as they are, resize {resize}"
    numbers = {"mean": given.mean, "std": given.std}
    told = ", ".join(f"{k} [{', '.join(f'{x:g}' for x in v)}]" for k, v in numbers.items())
    return f"channels {given.channels}, scale {given.scale:g}, {told}, resize {resize}"


def _entry(label: str, correct: np.ndarray, declared: Outcomes) -> dict[str, Cell]:
    n = len(declared)
    point, low, high = side_cells(Side(rate(correct, unit=declared.units), n))
    return {"label": label, "value": point, "low": low, "high": high, "n": n}


def _figure(trials: list[_Trial], declared: Outcomes) -> Figure:
    n = len(declared)
    entries = [("as declared", declared.correct)]
    entries += [(f"{trial.key}: {trial.name}", trial.correct) for trial in trials]
    rows = tuple(_entry(label, correct, declared) for label, correct in entries)
    best = max(rows, key=lambda row: float(row["value"] or 0))
    return Figure(
        id="model/preprocessing:accuracy",
        kind="forest",
        title="Accuracy with other preprocessings and orders of classes",
        caption=f"Accuracy on the same {n} images with its 95% interval. A row far above "
        "`as declared` says how the model was trained.",
        alt=f"Intervals of accuracy for {len(rows)} ways to feed the model. Highest: "
        f"{best['label']} with {float(best['value'] or 0):.0%}.",
        x=Axis("accuracy", "share"),
        y=Axis("way"),
        rows=rows,
    )
