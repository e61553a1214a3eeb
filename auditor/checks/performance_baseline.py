"""performance/baseline: what the model is worth beyond always answering the commonest class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.contract import Check, Evidence, Need, Predictions, Truth
from auditor.findings import Measure, Result, Subject
from auditor.scoring.comparison import (
    percent,
    points_text,
    rate_details,
    rate_text,
    worst_first,
)
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import n_units, too_few_of
from auditor.stats import paired_difference, rate, value


@dataclass(frozen=True)
class Baseline(Check):
    """Accuracy gained over answering the commonest class for every image.

    What it measures
    ----------------
    Accuracy on the sound test images minus the accuracy of one fixed answer, the commonest
    label among these images. Both are taken on the same images, so the interval is that of a
    paired difference.

    Why it matters
    --------------
    Where most images are of one class, a model that has learnt nothing looks accurate. A model
    that does not beat a fixed answer decides nothing.

    How it can mislead
    ------------------
    Beating a fixed answer is little: a rule of one line (mean brightness, the place where the
    photo was taken) may beat it too. A model for a rare but grave class may be worth having
    although it gains no accuracy; read its recall and its costs. The commonest class is taken
    from the test labels themselves, which flatters the fixed answer slightly.
    """

    id: ClassVar[str] = "performance/baseline"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth())
    sources: ClassVar[tuple[str, ...]] = (
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.outcomes("test").with_labels()
        subject = Subject.of(split="test")
        few = too_few_of("gain", subject, outcomes, of="the labelled test data")
        yield few or _gain(outcomes, subject)


def _gain(outcomes: Outcomes, subject: Subject) -> Measure:
    unit, n = outcomes.units, len(outcomes)
    counts = np.bincount(outcomes.labels, minlength=len(outcomes.classes))
    commonest = int(counts.argmax())
    always = outcomes.labels == commonest
    gain = paired_difference(always, outcomes.correct, unit=unit)
    model, fixed = rate(outcomes.correct, unit=unit), rate(always, unit=unit)
    name = outcomes.classes[commonest]
    return Measure(
        name="gain",
        subject=subject,
        estimate=gain,
        unit="share",
        better="higher",
        n=n,
        n_units=n_units(outcomes),
        examples=worst_first(
            outcomes.image_ids, badness=outcomes.confidence, among=always & ~outcomes.correct
        ),
        details={
            "rate": rate_details(model, n=n),
            "rest": rate_details(fixed, n=n),
            "commonest": name,
            "sentence": f'Always answering "{name}" would give {percent(value(fixed))}%; the model '
            f"gives {rate_text(model, n=n)}, {points_text(gain)}.",
        },
    )
