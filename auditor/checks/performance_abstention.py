"""performance/abstention: how good the model is when it hands unsure cases to a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import Check, Evidence, Need, Predictions, Truth
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.calibration import (
    RiskCoverage,
    risk_coverage,
)
from auditor.scoring.comparison import unit_codes, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import (
    independent,
    least_standard_error,
    n_units,
    rate_cells,
    rate_measure,
    too_few_of,
)
from auditor.stats import Normal, mean


@dataclass(frozen=True)
class Abstention(Check):
    """Accuracy on the images that the model is surest of, when the others go to a person.

    What it measures
    ----------------
    Test images are sorted by the probability of their answer. For each coverage, accuracy on
    that share of the surest images (with all that are as sure as the last of them). ``aurc`` is
    the mean share of errors over all coverages: the lower, the better confidence tells right
    from wrong.

    Why it matters
    --------------
    Few systems must answer everything. If errors gather among unsure images, a person who looks
    at a tenth of them removes most harm; if the model errs where it is sure, no threshold helps.

    How it can mislead
    ------------------
    The share is of images like the test images; in another season more of them may be unsure,
    and the persons who take them over are neither free nor without error. The cut-off is taken
    from the images that it is judged on (their confidence, not their labels). Groups that the
    model is unsure of are handed over more often: look who waits.
    """

    id: ClassVar[str] = "performance/abstention"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth())
    sources: ClassVar[tuple[str, ...]] = (
        "Geifman & El-Yaniv (2017), arXiv:1705.08500 (selective classification)",
        "Geifman, Uziel & El-Yaniv (2019), arXiv:1805.08206 (AURC)",
    )

    coverages: Annotated[
        tuple[float, ...], "Shares of images that the model answers itself, each in (0, 1)."
    ] = (0.95, 0.9, 0.8, 0.5)
    points: Annotated[int, "Points of the drawn curve."] = 40

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.outcomes("test").with_labels()
        area = _area(outcomes)
        yield area
        if isinstance(area, Unmeasured):
            return
        rows: list[tuple[Cell, ...]] = []
        for coverage in self.coverages:
            kept = outcomes.take(_surest(outcomes, coverage))
            yield _at_coverage(kept, coverage, total=len(outcomes))
            rows.append((coverage, *_row(kept, total=len(outcomes))))
        yield _figure(outcomes, most=self.points)
        yield _table(rows)


def _surest(outcomes: Outcomes, coverage: float) -> np.ndarray:
    """Mask of the surest images, with all that are as sure as the last of them, (n,)."""
    if not 0 < coverage <= 1:
        raise ValueError(f"coverages: found {coverage}, expected shares above 0 and up to 1")
    kept = int(np.ceil(coverage * len(outcomes) - 1e-9))
    least = np.sort(outcomes.confidence)[::-1][kept - 1]
    surest: np.ndarray = outcomes.confidence >= least
    return surest


def _at_coverage(kept: Outcomes, coverage: float, *, total: int) -> Measure | Unmeasured:
    return rate_measure(
        "accuracy-at-coverage",
        subject=Subject.of(split="test", coverage=f"{coverage:g}"),
        outcomes=kept,
        success=kept.correct,
        better="higher",
        of=f"the surest {coverage:.0%} of the test data",
        said=f"Right on the surest {coverage:.0%}",
        details={
            "threshold": float(kept.confidence.min()),
            "answered": len(kept) / total,
        },
    )


def _area(outcomes: Outcomes) -> Measure | Unmeasured:
    subject = Subject.of(split="test")
    few = too_few_of("aurc", subject, outcomes, of="the labelled test data")
    if few is not None:
        return few
    curve = risk_coverage(outcomes.confidence, outcomes.correct)
    return Measure(
        name="aurc",
        subject=subject,
        estimate=_area_estimate(curve, outcomes),
        unit="share",
        better="lower",
        n=len(outcomes),
        n_units=n_units(outcomes),
        examples=worst_first(
            outcomes.image_ids, badness=outcomes.confidence, among=~outcomes.correct
        ),
        details={"errors": int((~outcomes.correct).sum())},
    )


def _area_estimate(curve: RiskCoverage, outcomes: Outcomes) -> Normal:
    estimate = mean(curve.area + curve.influence, unit=outcomes.units)
    alike = curve.area in (0, 1)
    least = least_standard_error(independent(outcomes)) if alike else 0.0
    return Normal(curve.area, max(estimate.se, least), estimate.df)


def _row(kept: Outcomes, *, total: int) -> tuple[Cell, ...]:
    head = (float(kept.confidence.min()), len(kept), total - len(kept))
    return (*head, *rate_cells(kept.correct, unit=kept.units))


def _figure(outcomes: Outcomes, *, most: int) -> Figure:
    shares = np.linspace(1 / most, 1, most)
    codes = None if outcomes.units is None else unit_codes(outcomes.units)
    rows = []
    for share in shares:
        kept = _surest(outcomes, float(share))
        unit = None if codes is None else codes[kept]
        accuracy, low, high = rate_cells(outcomes.correct[kept], unit=unit)
        if accuracy is not None:
            rows.append(
                {"x": float(share), "y": accuracy, "low": low, "high": high, "series": "accuracy"}
            )
    return Figure(
        id="performance/abstention:coverage",
        kind="line",
        title="Accuracy when unsure images go to a person",
        caption="Accuracy on the surest images against the share of images that the model "
        "answers itself, with 95% intervals.",
        alt=f"Accuracy against coverage, from {rows[0]['y']:.2f} on the surest images to "
        f"{rows[-1]['y']:.2f} on all of them.",
        x=Axis("images answered by the model", "share"),
        y=Axis("accuracy", "share"),
        rows=tuple(rows),
    )


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        id="performance/abstention:coverages",
        title="Accuracy on the images that the model is surest of",
        columns=(
            Column("coverage", "share"),
            Column("least confidence", "probability"),
            Column("answered", "images"),
            Column("handed over", "images"),
            Column("accuracy", "share"),
            Column("low", "share"),
            Column("high", "share"),
        ),
        rows=tuple(rows),
    )
