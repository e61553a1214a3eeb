"""performance/calibration: whether the model is as often right as its confidence says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.contract import Check, ClassScores, Confidences, Evidence, LabelledSplits, Need, Words
from auditor.contract.words import EITHER_WAY
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Scale, Subject, Table
from auditor.scoring.calibration import (
    ReliabilityBin,
    brier_scores,
    calibration_error,
    mean_distance,
    reliability,
)
from auditor.scoring.comparison import worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import n_units, too_few_of
from auditor.scoring.rows import Rows
from auditor.stats import Estimate, mean

_SCORES = ClassScores(optional=True)


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
    topic: ClassVar[str] = "whether it is as often right as it says"
    needs: ClassVar[tuple[Need, ...]] = (Confidences(), LabelledSplits(), _SCORES)
    words: ClassVar = {
        "ece": Words(
            title="Distance between how sure it says it is and how often it is right, {split} data",
            scale="difference",
            short="false certainty",
            sentence="Among {rows} of which it is equally sure, the share that is right lies "
            "{value} from how sure it says it is, {split} data.",
            action="correct how sure it says it is",
        ),
        "overconfidence": Words(
            title="How much surer it says it is than it is right, {split} data",
            span=EITHER_WAY,
            short="surer than right",
            sentence="On average the model claims {claimed:percent} and is right {right:percent} "
            "of the time, {split} data ({value}).",
            action="correct how sure it says it is",
        ),
        "brier": Words(
            title="Brier score, {split} data",
            span=(0.0, 2.0),
            short="Brier score",
            sentence="Brier score {value}, {split} data.",
            action="correct how sure it says it is",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Kumar, Liang & Ma (2019), arXiv:1909.10155 (debiased calibration error)",
        "Guo, Pleiss, Sun & Weinberger (2017), arXiv:1706.04599 (reliability of networks)",
        "Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split in evidence.labelled_splits():
            rows = evidence.scored(split, of="answer").with_truth
            of, names = f"the labelled {split} data", ("ece", "overconfidence", "brier")
            few = [too_few_of(n, Subject.of(split=split), rows, of=of) for n in names]
            if any(few):
                yield from filter(None, few)
                continue
            bins = reliability(rows.confidence, rows.right, unit=rows.unit_codes)
            yield from _measures(rows, bins)
            if evidence.has(_SCORES):
                yield _brier(evidence.answers(split).with_labels())
            yield _figure(bins, split, noun=rows.noun)
            yield _table(bins, split, noun=rows.noun)


def _measures(rows: Rows, bins: tuple[ReliabilityBin, ...]) -> Iterator[Measure]:
    confidence = rows.confidence.astype(np.float64)
    over = mean(confidence - rows.right, unit=rows.unit_codes, span=(-1.0, 1.0))
    claimed = {"claimed": float(confidence.mean()), "right": float(rows.right.mean())}
    error = calibration_error(confidence, rows.right, unit=rows.unit_codes)
    spread = {"bins": len(bins), "mean_distance": mean_distance(bins)}
    yield _measure("ece", error, rows, scale="difference", facts=spread)
    yield _measure("overconfidence", over, rows, scale="difference", facts=claimed)


def _brier(outcomes: Outcomes) -> Measure:
    scores = brier_scores(outcomes.probabilities, outcomes.labels)
    most = 1.0 if len(outcomes.classes) == 2 else 2.0
    estimate = mean(scores, unit=outcomes.unit_codes, span=(0.0, most))
    return _measure("brier", estimate, outcomes, scale="amount", facts={})


def _measure(
    name: str,
    estimate: Estimate,
    among: Rows | Outcomes,
    *,
    scale: Scale,
    facts: Mapping[str, Any],
) -> Measure:
    right = among.right if isinstance(among, Rows) else among.correct
    return Measure(
        name=name,
        subject=Subject.of(split=among.dataset.split),
        estimate=estimate,
        scale=scale,
        unit="squared distance" if name == "brier" else "",
        least=0.0 if name == "brier" else None,
        better="lower",
        n=len(among),
        n_units=n_units(among),
        examples=worst_first(among.image_ids, badness=among.confidence, among=~right),
        facts=facts,
        of=among.of if isinstance(among, Rows) else "image",
    )


def _figure(bins: tuple[ReliabilityBin, ...], split: str, *, noun: str) -> Figure:
    worst = max(bins, key=lambda b: abs(b.confidence - b.accuracy))
    return Figure(
        id=Calibration.shown_id("reliability", split),
        kind="reliability",
        title=f"Confidence and how often it is right, {split} data",
        caption=f"Each point is a bin of equally many {noun}: mean confidence of the answer, "
        "share of right answers, 95% interval. On the diagonal confidence is earned; below it "
        "the model claims too much.",
        alt=f"Reliability diagram of {len(bins)} bins. Furthest off: confidence "
        f"{worst.confidence:.2f}, right {worst.accuracy:.2f}, {worst.n} {noun}.",
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


def _table(bins: tuple[ReliabilityBin, ...], split: str, *, noun: str) -> Table:
    names = (noun, "confidence", "right answers", "low", "high")
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
        id=Calibration.shown_id("bins", split),
        title=f"Confidence and share of right answers by bins of equally many {split} {noun}",
        columns=tuple(Column(name, "" if name == noun else "share") for name in names),
        rows=rows,
    )
