"""An adverse class answered from a threshold on, for the groups of one attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from auditor.bias.split_half import first_half
from auditor.comparing.groups import Grouping
from auditor.findings import Side
from auditor.scoring.comparison import has_few_units
from auditor.stats import (
    PairedDifference,
    Rate,
    RateDifference,
    paired_difference,
    rate,
    rate_difference,
    side_rates,
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
        kinds = [f"{group}\0{side}" for group in grouping.groups for side in ("in", "out")]
        stratum = np.array(kinds, dtype=object)[2 * grouping.of + ~of_class]
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

    @cached_property
    def of_the_class(self) -> Cutoffs:
        """The images of the class."""
        return self._take(self.of_class)

    @cached_property
    def others(self) -> Cutoffs:
        """The images that are not of the class."""
        return self._take(~self.of_class)

    @cached_property
    def chosen_on(self) -> Cutoffs:
        """The half of the units that chooses."""
        return self._take(self.first)

    @cached_property
    def judged_on(self) -> Cutoffs:
        """The half of the units that did not choose."""
        return self._take(~self.first)

    def _take(self, keep: np.ndarray) -> Cutoffs:
        # Once for all thresholds and groups: copies of a million rows take longer than their sums.
        return replace(
            self,
            grouping=replace(self.grouping.take(keep), conditions={}),
            score=self.score[keep],
            own=self.own[keep],
            of_class=self.of_class[keep],
            first=self.first[keep],
        )

    def comparable(self) -> tuple[str, ...]:
        """Groups with enough units of other classes, in both halves, as their rest has."""
        return tuple(g for g in self.grouping.groups if self._is_comparable(g))

    def _is_comparable(self, group: str) -> bool:
        halves = (self.chosen_on.others, self.judged_on.others)
        return all(half.has_both_sides(group) for half in halves)

    def has_both_sides(self, group: str) -> bool:
        """Whether a group and its rest have enough units."""
        inside, unit = self.grouping.members(group), self.grouping.unit
        return not any(has_few_units(side, unit) for side in (inside, ~inside))

    def has_price(self) -> bool:
        """Whether each half has enough units of the class to tell what share is found."""
        halves = (self.chosen_on.of_class, self.judged_on.of_class)
        units = (self.chosen_on.grouping.unit, self.judged_on.grouping.unit)
        return not any(map(has_few_units, halves, units))

    def thresholds(self, steps: int) -> tuple[float, ...]:
        """Where to put the threshold: `steps` quantiles of the scores of either kind of image.

        From the half that chooses; networks are sure of nearly everything, so that evenly
        spaced probabilities would leave nearly all images on one side.
        """
        at = (np.arange(steps) + 0.5) / steps
        kinds = (self.chosen_on.of_the_class, self.chosen_on.others)
        found = {readable(float(q)) for kind in kinds for q in np.quantile(kind.score, at)}
        return tuple(sorted(t for t in found if 0 < t < 1))

    def share(self, threshold: Threshold) -> Rate:
        """The share called so, units respected."""
        return rate(self.called(threshold), unit=self.grouping.unit)

    def sides(self, threshold: Threshold, group: str) -> tuple[Side, Side]:
        """The shares called so of a group and of its rest."""
        inside = self.grouping.members(group)
        own, rest = side_rates(self.called(threshold), member=inside, unit=self.grouping.unit)
        return Side(own, int(inside.sum())), Side(rest, int((~inside).sum()))

    def gap(self, threshold: Threshold, group: str) -> RateDifference:
        """Share of a group's images that are called so, minus the rest's."""
        inside = self.grouping.members(group)
        return rate_difference(self.called(threshold), member=inside, unit=self.grouping.unit)

    def price(self, threshold: Threshold) -> PairedDifference:
        """Share called so at a threshold minus by the model's own rule, same images."""
        return paired_difference(self.own, self.called(threshold), unit=self.grouping.unit)

    def worst(self, threshold: Threshold, groups: Sequence[str]) -> str:
        """The group whose images are called so most, compared with the rest."""
        gaps = self.gaps_seen(threshold)
        return max(groups, key=gaps.__getitem__)

    def gaps_seen(self, threshold: Threshold) -> dict[str, float]:
        """`gap` of every group without its statistics; NaN where a side has no image."""
        n, called = self.counts, self.counts_called(threshold)
        rest, n_rest = called.sum() - called, n.sum() - n
        with np.errstate(invalid="ignore"):
            gaps = called / n - rest / n_rest
        return dict(zip(self.grouping.groups, gaps.tolist(), strict=True))

    @cached_property
    def counts(self) -> np.ndarray:
        """Images of each group, (groups,)."""
        return np.bincount(self.grouping.of, minlength=len(self.grouping.groups))

    def counts_called(self, threshold: Threshold) -> np.ndarray:
        """Those called so, (groups,)."""
        places = self.grouping.of[self.called(threshold)]
        return np.bincount(places, minlength=len(self.grouping.groups))


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
