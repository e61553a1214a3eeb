"""performance/abstention: how good the model is when it hands unsure cases to a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from auditor.contract import Check, Confidences, Evidence, LabelledSplits, Need, Words
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.calibration import RiskCoverage, risk_coverage
from auditor.scoring.comparison import worst_first
from auditor.scoring.rates import (
    n_units,
    rate_cells,
    rate_measure,
    too_few_of,
)
from auditor.scoring.rows import Rows
from auditor.stats import Normal, mean

_SUREST = Words(
    title="Accuracy where it answers only what it is surest of, share answered: {coverage}, "
    "{split} data",
    short="accuracy on the surest {coverage} of {rows}",
    sentence="Right on the surest {covered:percent} of the {split} {rows}: {count} of {n} = "
    "{value}.",
    action="leave more images to a person",
)


@dataclass(frozen=True)
class Abstention(Check):
    """Accuracy on the images that the model is surest of, when the others go to a person.

    What it measures
    ----------------
    Images are sorted by the probability of their answer. For each coverage, accuracy on
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
    topic: ClassVar[str] = "leaving unsure images to a person"
    needs: ClassVar[tuple[Need, ...]] = (
        Confidences(),
        LabelledSplits(),
    )
    words: ClassVar = {
        "accuracy-at-coverage": (
            replace(
                _SUREST,
                title=f"{_SUREST.title}{{covered:if}}",
                short="accuracy on the surest {covered:percent} of {rows}",
            ),
            _SUREST,
        ),
        "aurc": Words(
            title="Share of wrong answers, averaged over all shares answered, {split} data",
            short="mean risk",
            action="leave more images to a person",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Geifman & El-Yaniv (2017), arXiv:1705.08500 (selective classification)",
        "Geifman, Uziel & El-Yaniv (2019), arXiv:1805.08206 (AURC)",
    )

    coverages: Annotated[
        tuple[float, ...], "Shares of images that the model answers itself, each in (0, 1)."
    ] = (0.95, 0.9, 0.8, 0.5)
    points: Annotated[int, "Points of the drawn curve."] = 40

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split in evidence.labelled_splits():
            yield from self._of_split(evidence.scored(split, of="answer").with_truth)

    def _of_split(self, rows: Rows) -> Iterator[Result]:
        area = _area(rows)
        yield area
        if isinstance(area, Unmeasured):
            return
        lines: list[tuple[Cell, ...]] = []
        for coverage in self.coverages:
            kept = rows.take(_surest(rows, coverage))
            yield _at_coverage(kept, coverage, total=len(rows))
            lines.append((coverage, *_line(kept, total=len(rows))))
        yield _figure(rows, most=self.points)
        yield _table(lines, rows.split)


def _surest(rows: Rows, coverage: float) -> np.ndarray:
    """Mask of the surest images, with all that are as sure as the last of them, (n,)."""
    if not 0 < coverage <= 1:
        raise ValueError(f"coverages: found {coverage}, expected shares above 0 and up to 1")
    kept = int(np.ceil(coverage * len(rows) - 1e-9))
    least = np.sort(rows.confidence)[::-1][kept - 1]
    surest: np.ndarray = rows.confidence >= least
    return surest


def _at_coverage(kept: Rows, coverage: float, *, total: int) -> Measure | Unmeasured:
    return rate_measure(
        "accuracy-at-coverage",
        subject=Subject.of(split=kept.split, coverage=f"{coverage:g}"),
        among=kept,
        success=kept.right,
        better="higher",
        of=f"the surest {coverage:.0%} of the {kept.split} data",
        facts={
            "covered": coverage,
            "threshold": float(kept.confidence.min()),
            "answered": len(kept) / total,
        },
    )


def _area(rows: Rows) -> Measure | Unmeasured:
    subject = Subject.of(split=rows.split)
    few = too_few_of("aurc", subject, rows, of=f"the labelled {rows.split} data")
    if few is not None:
        return few
    curve = risk_coverage(rows.confidence, rows.right)
    return Measure(
        name="aurc",
        subject=subject,
        estimate=_area_estimate(curve, rows),
        scale="share",
        better="lower",
        n=len(rows),
        n_units=n_units(rows),
        examples=worst_first(rows.image_ids, badness=rows.confidence, among=~rows.right),
        facts={"errors": int((~rows.right).sum())},
        of=rows.of,
    )


def _area_estimate(curve: RiskCoverage, rows: Rows) -> Normal:
    parts = curve.area + curve.influence
    span = (min(0.0, parts.min()), max(1.0, parts.max()))
    return replace(
        mean(parts, unit=rows.unit_codes, span=span), value=curve.area, least=0.0, most=1.0
    )


def _line(kept: Rows, *, total: int) -> tuple[Cell, ...]:
    head = (float(kept.confidence.min()), len(kept), total - len(kept))
    return (*head, *rate_cells(kept.right, unit=kept.units))


def _figure(rows: Rows, *, most: int) -> Figure:
    shares = np.linspace(1 / most, 1, most)
    codes = rows.unit_codes
    drawn = []
    for share in shares:
        kept = _surest(rows, float(share))
        unit = None if codes is None else codes[kept]
        accuracy, low, high = rate_cells(rows.right[kept], unit=unit)
        if accuracy is not None:
            drawn.append(
                {"x": float(share), "y": accuracy, "low": low, "high": high, "series": "accuracy"}
            )
    return Figure(
        id=Abstention.shown_id("coverage", rows.split),
        kind="line",
        title=f"Accuracy when unsure images go to a person, {rows.split} data",
        caption="Accuracy on the surest images against the share of images that the model "
        "answers itself, with 95% intervals.",
        alt=f"Accuracy against coverage, from {drawn[0]['y']:.2f} on the surest images to "
        f"{drawn[-1]['y']:.2f} on all of them.",
        x=Axis("images answered by the model", "share"),
        y=Axis("accuracy", "share"),
        rows=tuple(drawn),
    )


def _table(lines: list[tuple[Cell, ...]], split: str) -> Table:
    return Table(
        id=Abstention.shown_id("coverages", split),
        title=f"Accuracy on the {split} images that the model is surest of",
        columns=(
            Column("coverage", "share"),
            Column("least confidence", "probability"),
            Column("answered", "images"),
            Column("handed over", "images"),
            Column("accuracy", "share"),
            Column("low", "share"),
            Column("high", "share"),
        ),
        rows=tuple(lines),
    )
