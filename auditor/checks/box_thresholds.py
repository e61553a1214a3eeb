"""Where the confidence threshold of boxes is put: what is found, what is said for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.contract.numbers import percent
from auditor.findings import Axis, Cell, Column, Figure, Measure, Subject, Table, Unmeasured
from auditor.scoring.average_precision import RankedAnswers
from auditor.scoring.comparison import worst_first
from auditor.scoring.matching import IOU_THRESHOLDS
from auditor.scoring.rates import n_units, rate_cells, too_few_of
from auditor.scoring.rows import Rows
from auditor.spec import OperatingPointSpec
from auditor.stats import mean


@dataclass(frozen=True)
class BoxRule:
    """Annotated images (`images`, n), all boxes of theirs, and the threshold in use, `declared`.

    A box is right by the matching of average precision, at the declared overlap or COCO's nearest.
    """

    images: Rows
    ranked: RankedAnswers
    declared: float
    level: int

    @classmethod
    def of(cls, images: Rows, ranked: RankedAnswers, point: OperatingPointSpec) -> BoxRule:
        level = int(np.abs(np.array(IOU_THRESHOLDS) - point.overlap).argmin())
        return cls(images, ranked, point.confidence, level)

    def said(self, threshold: float) -> np.ndarray:
        """Which boxes count, (boxes,) bool."""
        counted = self.ranked.counted[:, self.level]
        return np.asarray(counted & (self.ranked.scores >= threshold))

    def right(self, threshold: float) -> np.ndarray:
        return np.asarray(self.said(threshold) & self.ranked.right[:, self.level])

    def _by_image(self, boxes: np.ndarray) -> np.ndarray:
        return np.bincount(self.ranked.image[boxes], minlength=len(self.images))

    def errors(self, threshold: float) -> np.ndarray:
        """Objects missed and boxes that are wrong in each image, (n,)."""
        right, said = self._by_image(self.right(threshold)), self._by_image(self.said(threshold))
        return np.asarray(self.ranked.objects.sum(axis=1) - right + said - right, dtype=np.float64)

    def cells(self, threshold: float) -> tuple[Cell, ...]:
        """Share of objects found, share of boxes right, wrong boxes and all errors an image."""
        said, right = self.said(threshold), self.right(threshold)
        n, objects = len(self.images), int(self.ranked.objects.sum())
        held = float(right.sum() / said.sum()) if said.any() else None
        found = float(right.sum() / objects) if objects else None
        alarms = float((said.sum() - right.sum()) / n)
        return found, held, alarms, float(self.errors(threshold).mean())


def errors_saved(
    rule: BoxRule, in_half: np.ndarray, thresholds: Sequence[float]
) -> Measure | Unmeasured:
    """Errors an image saved by the threshold that has fewest in one half, in the other."""
    images, rest = rule.images.take(~in_half), ~in_half
    subject = Subject.of(split=images.split)
    few = too_few_of(
        "errors-saved", subject, images, of=f"half of the labelled {images.split} data"
    )
    if few is not None:
        return few
    tried = sorted({*thresholds, rule.declared}, key=lambda t: abs(t - rule.declared))
    best = min(tried, key=lambda t: rule.errors(t)[in_half].mean())
    own, other = rule.errors(rule.declared), rule.errors(best)
    saved = (own - other)[rest]
    most = max(1.0, float(np.maximum(own, other).max(initial=0)))
    return Measure(
        name="errors-saved",
        subject=subject,
        estimate=mean(saved, unit=images.unit_codes, span=(-most, most)),
        scale="amount",
        unit="per image",
        neutral=0.0,
        better="lower",
        n=len(images),
        n_units=n_units(images),
        examples=worst_first(images.image_ids, badness=saved, among=saved > 0),
        facts={"declared": rule.declared}
        | ({"threshold": best} if best != rule.declared else {"as_it_is": True}),
    )


def table(rule: BoxRule, thresholds: Sequence[float], *, id: str) -> Table:
    tried = sorted({*thresholds, rule.declared})
    names = {t: f"from {t:g}" + (" (in use)" if t == rule.declared else "") for t in tried}
    shares = (Column("objects found", "share"), Column("right boxes", "share"))
    return Table(
        id=id,
        title=f"Boxes that count from other confidences on, {rule.images.split} data",
        columns=(Column("rule"), *shares, Column("false alarms an image"),
                 Column("misses and false alarms an image")),
        rows=tuple((names[t], *rule.cells(t)) for t in tried),
    )  # fmt: skip


def figure(rule: BoxRule, thresholds: Sequence[float], *, id: str) -> Figure:
    tried = sorted({*thresholds, rule.declared})
    unit = rule.images.unit_codes
    rows: list[dict[str, Cell]] = []
    for threshold in tried:
        found, held, *_ = rule.cells(threshold)
        for series, share in (("objects found", found), ("right boxes", held)):
            if share is not None:
                rows.append({"x": threshold, "y": share, "series": series})
    right = rule.right(rule.declared)
    said = rule.said(rule.declared)
    of_images = None if unit is None else unit[rule.ranked.image[said]]
    held = rate_cells(right[said], unit=of_images)[0]
    told = "" if held is None else f", where {percent(float(held))}% of boxes are right"
    return Figure(
        id=id,
        kind="line",
        title=f"Where the confidence threshold is put, {rule.images.split} data",
        caption="Shares of objects found and of boxes that are right when boxes count from each "
        f"confidence on. In use is {rule.declared:g}{told}.",
        alt=f"Objects found and right boxes at {len(tried)} thresholds from {tried[0]:g} to "
        f"{tried[-1]:g}.",
        x=Axis("confidence threshold", "score"),
        y=Axis("objects or boxes", "share"),
        rows=tuple(rows),
    )
