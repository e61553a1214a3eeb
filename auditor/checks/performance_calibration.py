"""performance/calibration: whether the model is as often right as its confidence says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.contract import Check, Evidence, Need, Predictions, Truth
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.calibration import (
    ReliabilityBin,
    brier_scores,
    calibration_error,
    mean_distance,
    reliability,
)
from auditor.scoring.comparison import points, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import independent, least_standard_error, n_units, too_few_of
from auditor.stats import Draws, Estimate, Normal, interval, mean, value


@dataclass(frozen=True)
class Calibration(Check):
    """How far the model's confidence is from how often it is right.

    What it measures
    ----------------
    Images are sorted by the probability of their answer into bins of equally many. In each bin
    the mean probability stands beside the share of right answers; ``ece`` is the root mean
    square of the differences, less what chance alone makes of them. ``overconfidence`` is mean
    probability minus accuracy: above 0 the model claims too much. ``brier`` is the mean squared
    distance between probabilities and truth (0 to 1 for two classes, 0 to 2 for more).

    Why it matters
    --------------
    Thresholds, "send to a person when unsure", and expected costs all take the probability at
    its word. A model that says 99% and is right 85% of the time is unsure where nobody looks.

    How it can mislead
    ------------------
    Only the probability of the answer given is tested, not those of the other classes, and only
    on average within a bin: groups may be over- and underconfident and cancel out. A model that
    always answers the same class with its frequency is perfectly calibrated and useless. With
    fewer than a few hundred images only gross errors can be shown. Few bins hide differences
    within them, so the number is a lower one.
    """

    id: ClassVar[str] = "performance/calibration"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Truth(),
        Predictions(split="deployment", optional=True),
        Truth(split="deployment", optional=True),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Kumar, Liang & Ma (2019), arXiv:1909.10155 (debiased calibration error)",
        "Guo, Pleiss, Sun & Weinberger (2017), arXiv:1706.04599 (reliability of networks)",
        "Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.outcomes("test").with_labels()
        found = list(_of_split(outcomes, "test"))
        yield from found
        if any(isinstance(each, Measure) for each in found):
            bins = reliability(outcomes.confidence, outcomes.correct, unit=outcomes.units)
            yield _figure(bins)
            yield _table(bins)
        there = Predictions(split="deployment", optional=True)
        if evidence.has(there) and evidence.has(Truth(split="deployment", optional=True)):
            yield from _of_split(evidence.outcomes("deployment").with_labels(), "deployment")


def _of_split(outcomes: Outcomes, split: str) -> Iterator[Measure | Unmeasured]:
    few = [
        too_few_of(name, Subject.of(split=split), outcomes, of=f"the labelled {split} data")
        for name in ("ece", "overconfidence", "brier")
    ]
    yield from (reason for reason in few if reason is not None)
    if not any(few):
        bins = reliability(outcomes.confidence, outcomes.correct, unit=outcomes.units)
        yield from _measures(outcomes, bins, split)


def _measures(
    outcomes: Outcomes, bins: tuple[ReliabilityBin, ...], split: str
) -> Iterator[Measure]:
    unit, confidence = outcomes.units, outcomes.confidence.astype(np.float64)
    error = calibration_error(confidence, outcomes.correct, unit=unit)
    over = mean(confidence - outcomes.correct, unit=unit)
    least = least_standard_error(independent(outcomes))
    over = Normal(over.value, max(over.se, least), over.df)
    brier = mean(brier_scores(outcomes.probabilities, outcomes.labels), unit=unit)
    entries: tuple[tuple[str, Estimate, str, dict[str, Any]], ...] = (
        ("ece", error, "share", {"bins": len(bins), "mean_distance": mean_distance(bins)}),
        ("overconfidence", over, "share", {}),
        ("brier", Normal(brier.value, max(brier.se, least), brier.df), "squared distance", {}),
    )
    for name, estimate, measured_in, details in entries:
        yield Measure(
            name=name,
            subject=Subject.of(split=split),
            estimate=estimate,
            unit=measured_in,
            better="lower",
            n=len(outcomes),
            n_units=n_units(outcomes),
            examples=worst_first(
                outcomes.image_ids, badness=outcomes.confidence, among=~outcomes.correct
            ),
            details=details | {"sentence": _sentence(name, estimate, outcomes, split)},
        )


def _sentence(name: str, estimate: Estimate, outcomes: Outcomes, split: str) -> str:
    ends, where = interval(estimate), "" if split == "test" else f" on {split} images"
    if name == "brier":
        return f"Brier score{where} {value(estimate):.3f} [{ends.low:.3f}, {ends.high:.3f}]."
    said = 100 * float(outcomes.confidence.mean())
    right = 100 * float(outcomes.correct.mean())
    if isinstance(estimate, Draws):
        off = f"{points(value(estimate))} points [{points(ends.low)}, {points(ends.high)}]"
        return f"Confidence is off by {off} for images of the same confidence{where}."
    return f"On average the model claims {said:.0f}% and is right {right:.0f}% of the time{where}."


def _figure(bins: tuple[ReliabilityBin, ...]) -> Figure:
    worst = max(bins, key=lambda b: abs(b.confidence - b.accuracy))
    return Figure(
        id="performance/calibration:reliability",
        kind="reliability",
        title="Confidence and how often it is right",
        caption="Each point is a bin of equally many test images: mean confidence of the answer, "
        "share of right answers, 95% interval. On the diagonal confidence is earned; below it "
        "the model claims too much.",
        alt=f"Reliability diagram of {len(bins)} bins. Furthest off: confidence "
        f"{worst.confidence:.2f}, right {worst.accuracy:.2f}, {worst.n} images.",
        x=Axis("confidence", "probability"),
        y=Axis("right answers", "share"),
        rows=tuple(
            {
                "confidence": b.confidence,
                "accuracy": b.accuracy,
                "low": b.interval.low if b.interval else None,
                "high": b.interval.high if b.interval else None,
                "n": b.n,
            }
            for b in bins
        ),
    )


def _table(bins: tuple[ReliabilityBin, ...]) -> Table:
    names = ("images", "confidence", "right answers", "low", "high")
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            b.n,
            b.confidence,
            b.accuracy,
            b.interval.low if b.interval else None,
            b.interval.high if b.interval else None,
        )
        for b in bins
    )
    return Table(
        id="performance/calibration:bins",
        title="Confidence and share of right answers, by bins of equally many images",
        columns=tuple(Column(name, "" if name == "images" else "share") for name in names),
        rows=rows,
    )
