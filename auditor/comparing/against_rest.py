"""A group against the rest: a quantity by the groups of an attribute, as measures and as rows.

Every comparison is given over all rows, and once more among rows of the same group of each other
condition (`auditor.comparing.adjustment`). Sides with fewer than ten units give a reason in place
of a measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auditor.comparing.adjustment import (
    adjusted_difference,
    adjusted_mean_difference,
    adjusted_ratio,
)
from auditor.comparing.groups import Grouping, too_few_units
from auditor.comparing.two_sides import TwoSides, two_means
from auditor.contract.quantity_words import called
from auditor.findings import Alike, Measure, Measured, Scale, Side, Subject, Unmeasured
from auditor.scoring.comparison import worst_first
from auditor.scoring.quantities import Quantity
from auditor.scoring.set_values import EmptySetError
from auditor.stats import (
    Estimate,
    mean,
    rate,
    rate_difference,
    rate_ratio,
    side_rates,
)


@dataclass(frozen=True)
class AgainstRest:
    """A quantity by the groups of one attribute; its arrays are over the rows of `grouping`."""

    quantity: Quantity
    grouping: Grouping

    @property
    def values(self) -> np.ndarray:
        return self.quantity.values

    def subject(self, group: str) -> Subject:
        return self.grouping.subject(group, self.quantity.keys)

    def too_few(self, group: str, name: str) -> Unmeasured | None:
        """Why a group cannot be compared: a side has too few units; None where it can."""
        return too_few_units(
            self.grouping, group, name=name, subject=self.subject(group), among=self.quantity.among
        )

    def side(self, keep: np.ndarray) -> Side:
        """The quantity over the rows under the mask `keep` (n,)."""
        unit = None if self.grouping.unit is None else self.grouping.unit[keep]
        values = self.quantity.over(keep)
        if self.quantity.is_rate:
            return self._side(rate(values, unit=unit), keep)
        return self._side(mean(values, unit=unit, span=self.quantity.span), keep)

    def _side(self, estimate: Estimate, keep: np.ndarray) -> Side:
        quantity = self.quantity
        return Side(estimate, int(keep.sum()), quantity.scale, quantity.unit, quantity.least)

    def two_means(self, group: str) -> TwoSides:
        """The mean of the group and of the rest."""
        inside, unit = self.grouping.members(group), self.grouping.unit
        values = self.quantity.on_sides(inside)
        return two_means(values, member=inside, unit=unit, span=self.quantity.span)

    def difference(
        self, group: str, *, name: str | None = None, facts: Mapping[str, Any] | None = None
    ) -> Measured:
        """The group's rate or mean minus the rest's."""
        name = name or self.quantity.name
        few = self.too_few(group, name)
        if few is not None:
            return few
        if self.quantity.of_set is not None:
            return self._set_difference(group, name, facts)
        contrast = self.grouping.contrast(group)
        if not self.quantity.is_rate:
            gap = self.two_means(group).difference()
            alike = adjusted_mean_difference(
                contrast, self.values, gap=gap, span=self.quantity.span
            )
            scale: Scale = "amount" if self.quantity.scale == "amount" else "difference"
            return self.measure(group, name, gap, scale, adjusted=alike, facts=facts)
        parted = rate_difference(self.values, member=contrast.inside, unit=contrast.unit)
        alike = adjusted_difference(contrast, self.values, gap=parted)
        return self.measure(group, name, parted, "difference", adjusted=alike, facts=facts)

    def _set_difference(self, group: str, name: str, facts: Mapping[str, Any] | None) -> Measured:
        """Of what a whole set has: it is not compared among rows that are alike."""
        try:
            gap = self.two_means(group).difference()
        except EmptySetError as empty:
            return Unmeasured(
                name=name,
                subject=self.subject(group),
                reason=f"{self.grouping.named(group)} or the rest holds nothing to be measured by "
                f"({empty}).",
                remedy=f"Collect annotated images of {self.grouping.named(group)} and of the "
                "others that hold what is looked for.",
            )
        return self.measure(group, name, gap, "difference", facts=facts)

    def ratio(self, group: str, *, name: str, facts: Mapping[str, Any] | None = None) -> Measured:
        """The group's rate over the rest's; a reason where no row has what is counted."""
        few = self.too_few(group, name)
        if few is not None:
            return few
        if not self.values.any():
            return self._none_at_all(group, name)
        contrast = self.grouping.contrast(group)
        ratio = rate_ratio(self.values, member=contrast.inside, unit=contrast.unit)
        alike = adjusted_ratio(contrast, self.values, gap=ratio)
        return self.measure(group, name, ratio, "ratio", adjusted=alike, facts=facts)

    def measure(
        self,
        group: str,
        name: str,
        estimate: Estimate,
        scale: Scale,
        *,
        sides: tuple[Estimate, Estimate] | None = None,
        adjusted: tuple[Alike, ...] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> Measure:
        """A measure of a group against the rest, from an estimate of the comparison.

        `sides` are the estimates of both, the quantity's rates or means where None.
        """
        inside, quantity = self.grouping.members(group), self.quantity
        if sides is None and quantity.is_rate:
            sides = side_rates(self.values, member=inside, unit=self.grouping.unit)
        masks = (inside, ~inside)
        here, there = (
            (self.side(mask) for mask in masks)
            if sides is None
            else (self._side(side, mask) for side, mask in zip(sides, masks, strict=True))
        )
        return Measure(
            name=name,
            subject=self.subject(group),
            estimate=estimate,
            scale=scale,
            unit=quantity.unit if scale == "amount" else "",
            neutral=1.0 if scale == "ratio" else 0.0,
            better=quantity.better,
            n=self.grouping.images_of(group),
            n_units=self.grouping.units_of(group),
            sides=(here, there),
            adjusted=adjusted,
            examples=self.examples(inside),
            facts=facts or {},
            of=self.grouping.rows.of,
        )

    def examples(self, inside: np.ndarray) -> tuple[str, ...]:
        """Ids of the harmed rows under the mask, the worst first."""
        rows, at, quantity = self.grouping.rows, self.grouping.at, self.quantity
        among = np.flatnonzero(inside if quantity.harmed is None else inside & quantity.harmed)
        places = at[among]
        badness = rows.confidence[places] if quantity.badness is None else quantity.badness[among]
        return worst_first(rows.image_ids[places], badness=badness)

    def _none_at_all(self, group: str, name: str) -> Unmeasured:
        n, among, noun = len(self.values), self.quantity.among, self.grouping.rows.noun
        counted = self.quantity.title or called(self.quantity.name)
        return Unmeasured(
            name=name,
            subject=self.subject(group),
            reason=f"None of {n:,} {self.grouping.rows.split} {noun}{among} counts as "
            f"“{counted}”: without one there is no ratio.",
            remedy=f"Nothing to do if {n:,} {noun} are enough to you; with more {noun}{among} "
            "rarer ones would show.",
        )


def against_rest(quantity: Quantity, grouping: Grouping) -> AgainstRest:
    """A quantity over a grouping's parent rows, by the groups of its attribute."""
    if quantity.at_risk is not None:
        grouping = grouping.take(quantity.at_risk[grouping.at])
    at, harmed, badness = grouping.at, quantity.harmed, quantity.badness
    taken = replace(
        quantity,
        values=quantity.values[at],
        of_set=None if quantity.of_set is None else _among(quantity.of_set, at, quantity.values),
        at_risk=None,
        harmed=None if harmed is None else harmed[at],
        badness=None if badness is None else badness[at],
    )
    return AgainstRest(taken, grouping)


def _among(
    of_set: Callable[[np.ndarray], np.ndarray], at: np.ndarray, values: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """`of_set` of the rows at the rising places `at` alone, of as many as `values`."""

    def of_taken(keep: np.ndarray) -> np.ndarray:
        among = np.zeros(len(values), dtype=bool)
        among[at[keep]] = True
        return of_set(among)

    return of_taken
