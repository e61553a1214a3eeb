"""shift/accuracy: what accuracy is lost between the test images and where the model will run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.contract import Check, Evidence, Need, Predictions, Truth
from auditor.findings import Measure, Result, Subject
from auditor.scoring.comparison import (
    count_units,
    points_text,
    rate_details,
    rate_text,
    too_few,
    worst_first,
)
from auditor.scoring.outcomes import Outcomes
from auditor.stats import rate, two_sample_difference


@dataclass(frozen=True)
class AccuracyLost(Check):
    """Accuracy on the test images minus accuracy on labelled deployment images.

    What it measures
    ----------------
    The share of test images answered rightly minus the same share of deployment images, as of
    two samples drawn independently, by units where the manifest names them.

    Why it matters
    --------------
    This is what a change of surroundings costs, in the terms of the claim. Differences between
    images can be harmless or fatal; only labels from the place of use tell which.

    How it can mislead
    ------------------
    Deployment labels must be a random sample: labels of the cases that someone complained about
    make the model look worse, labels that copy its answers make it look better. Where one class
    is commoner in deployment, accuracy moves with that mix although the model errs as before.
    Deployment images gathered in one week speak of that week.
    """

    id: ClassVar[str] = "shift/accuracy"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(split="test"),
        Predictions(split="deployment"),
        Truth(split="test"),
        Truth(split="deployment"),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Koh, Sagawa et al. (2021), arXiv:2012.07421 (accuracy lost in the wild)",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        test = evidence.outcomes("test").with_labels()
        deployment = evidence.outcomes("deployment").with_labels()
        subject = Subject(split="deployment")
        sides = {
            f"the labelled {split} data": count_units(np.ones(len(side), dtype=bool), side.units)
            for split, side in (("test", test), ("deployment", deployment))
        }
        few = too_few("lost", subject, sides=sides, noun="independent units")
        yield few if few is not None else _lost(test, deployment, subject)


def _lost(test: Outcomes, deployment: Outcomes, subject: Subject) -> Measure:
    own, other = test.units, deployment.units
    if own is None and other is not None:
        own = np.arange(len(test))
    if other is None and own is not None:
        other = np.arange(len(deployment))
    lost = two_sample_difference(test.correct, deployment.correct, unit_a=own, unit_b=other)
    here, there = rate(test.correct, unit=own), rate(deployment.correct, unit=other)
    n, n_test = len(deployment), len(test)
    return Measure(
        name="lost",
        subject=subject,
        estimate=lost,
        unit="share",
        better="lower",
        n=n,
        n_units=None if other is None else len(np.unique(other)),
        examples=worst_first(
            deployment.image_ids, badness=deployment.confidence, among=~deployment.correct
        ),
        details={
            "rate": rate_details(here, n=n_test),
            "rest": rate_details(there, n=n),
            "sentence": f"Accuracy: test {rate_text(here, n=n_test)}; deployment "
            f"{rate_text(there, n=n)}; on test images {points_text(lost)}.",
        },
    )
