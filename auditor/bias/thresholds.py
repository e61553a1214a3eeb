"""An adverse class answered from a threshold on, for the groups of one attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.bias.split_half import first_half
from auditor.comparing.groups import Grouping
from auditor.findings import Side
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.stats import (
    PairedDifference,
    Rate,
    RateDifference,
    paired_difference,
    rate,
    rate_difference,
)

Threshold = float | None
"""From where on the class is answered; None is the model's own rule, its likeliest class."""


@dataclass(frozen=True)
class Cutoffs:
    """The images of one attribute's groups, and how likely each is of the class `adverse`.

    `score` (n,) is the probability of the class, `own` (n,) whether the model's own rule answers
    it, `of_class` (n,) whether it is the label, `first` (n,) the half of the units that chooses.
    """

    grouping: Grouping
    adverse: str
    score: np.ndarray
    own: np.ndarray
    of_class: np.ndarray
    first: np.ndarray

    @classmethod
    def of(
        cls, grouping: Grouping, adverse: str, scores: np.ndarray, *, rng: np.random.Generator
    ) -> Cutoffs:
        """Cutoffs of a class; `scores` are its probabilities, one each of the grouping's rows."""
        rows, at = grouping.rows, grouping.at
        of_class = rows.present(adverse)[at]
        groups = np.array(grouping.groups)[grouping.of]
        stratum = np.char.add(groups, np.where(of_class, "\0in", "\0out"))
        return cls(
            grouping=grouping,
            adverse=adverse,
            score=scores[at].astype(np.float64),
            own=rows.called(adverse)[at],
            of_class=of_class,
            first=first_half(len(stratum), unit=grouping.unit, stratum=stratum, rng=rng),
        )

    def called(self, threshold: Threshold) -> np.ndarray:
        """Whether each image is given the class, (n,)."""
        return self.own if threshold is None else self.score >= threshold

    def comparable(self) -> tuple[str, ...]:
        """Groups with enough units of other classes, in both halves, as their rest has."""
        return tuple(g for g in self.grouping.groups if self._is_comparable(g))

    def _is_comparable(self, group: str) -> bool:
        inside, unit = self.grouping.members(group), self.grouping.unit
        sides = (
            ~self.of_class & half & side
            for half in (self.first, ~self.first)
            for side in (inside, ~inside)
        )
        return all(count_units(side, unit) >= MIN_UNITS for side in sides)

    def has_price(self) -> bool:
        """Whether each half has enough units of the class to tell what share is found."""
        unit = self.grouping.unit
        halves = (self.of_class & half for half in (self.first, ~self.first))
        return all(count_units(half, unit) >= MIN_UNITS for half in halves)

    def thresholds(self, steps: int) -> tuple[float, ...]:
        """Where to put the threshold: `steps` quantiles of the scores of either kind of image.

        From the half that chooses; networks are sure of nearly everything, so that evenly
        spaced probabilities would leave nearly all images on one side.
        """
        at = (np.arange(steps) + 0.5) / steps
        kinds = (self.score[self.first & kind] for kind in (self.of_class, ~self.of_class))
        found = {readable(float(q)) for scores in kinds for q in np.quantile(scores, at)}
        return tuple(sorted(t for t in found if 0 < t < 1))

    def share(self, called: np.ndarray, among: np.ndarray) -> Rate:
        """The share called so among some images, units respected."""
        unit = self.grouping.unit
        return rate(called[among], unit=None if unit is None else unit[among])

    def side(self, threshold: Threshold, among: np.ndarray) -> Side:
        """The share called so at a threshold among the images under a mask."""
        return Side(self.share(self.called(threshold), among), int(among.sum()))

    def gap(self, threshold: Threshold, group: str, among: np.ndarray) -> RateDifference:
        """Share of a group's images under the mask that are called so, minus the rest's."""
        unit = self.grouping.unit
        return rate_difference(
            self.called(threshold)[among],
            member=self.grouping.members(group)[among],
            unit=None if unit is None else unit[among],
        )

    def price(self, threshold: Threshold, among: np.ndarray) -> PairedDifference:
        """Share called so at a threshold minus by the model's own rule, same images."""
        unit = self.grouping.unit
        return paired_difference(
            self.own[among],
            self.called(threshold)[among],
            unit=None if unit is None else unit[among],
        )

    def worst(self, threshold: Threshold, groups: Sequence[str], among: np.ndarray) -> str:
        """The group whose images under the mask are called so most, compared with the rest."""
        return max(groups, key=lambda g: self.gap_seen(threshold, g, among))

    def gap_seen(self, threshold: Threshold, group: str, among: np.ndarray) -> float:
        """`gap` without its statistics; NaN where a side has no image."""
        called, inside = self.called(threshold), self.grouping.members(group)
        own, rest = called[among & inside], called[among & ~inside]
        return float(own.mean() - rest.mean()) if len(own) and len(rest) else float("nan")


def readable(probability: float) -> float:
    """A probability with two figures, counted from the nearer end.

    Examples
    --------
    >>> readable(0.99987654), readable(0.034567)
    (0.99988, 0.035)
    """
    if probability > 0.5:
        return round(1 - float(f"{1 - probability:.2g}"), 12)
    return float(f"{probability:.2g}")
