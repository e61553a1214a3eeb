"""A group against the rest: a quantity by the groups of an attribute, as measures and as rows.

Every comparison is given over all rows, and once more among rows of the same group of each other
condition (`auditor.comparing.adjustment`). Sides with fewer than ten units give a reason in place
of a measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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


@dataclass
class _Taken:
    """A quantity's arrays over the rows of a grouping, (n,), None until they are asked for."""

    values: np.ndarray | None = None
    harmed: np.ndarray | None = None


@dataclass(frozen=True)
class AgainstRest:
    """A quantity by the groups of one attribute.

    Its arrays are over the rows of `grouping`; where it is `whole`, over all rows that these are
    of, or over all that is observed of them, and are taken from that when they are asked for.
    """

    quantity: Quantity
    grouping: Grouping
    whole: bool = False
    token: object = field(default_factory=object, init=False, compare=False, repr=False)

    @property
    def _taken(self) -> _Taken:
        return self.grouping.latest.of(self.token, _Taken, kind=_Taken)

    def _take(self, values: np.ndarray) -> np.ndarray:
        return self.grouping.taken(values) if self.whole else values

    @property
    def values(self) -> np.ndarray:
        """The quantity's values, over the rows of the grouping."""
        taken = self._taken
        if taken.values is None:
            taken.values = self._take(self.quantity.values)
        return taken.values

    @property
    def _harmed(self) -> np.ndarray | None:
        taken = self._taken
        if taken.harmed is None and self.quantity.harmed is not None:
            taken.harmed = self._take(self.quantity.harmed)
        return taken.harmed

    def over(self, keep: np.ndarray) -> np.ndarray:
        """Values of the rows under the mask `keep` (n,), as those rows alone have them."""
        of_set = self.quantity.of_set
        if of_set is None or not self.whole:
            return self.values[keep] if of_set is None else of_set(keep)
        among = np.zeros(len(self.quantity.values), dtype=bool)
        among[self.grouping.at[keep]] = True
        return of_set(among)

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
        values = self.over(keep)
        if self.quantity.is_rate:
            return self._side(rate(values, unit=unit), keep)
        return self._side(mean(values, unit=unit, span=self.quantity.span), keep)

    def _side(self, estimate: Estimate, keep: np.ndarray) -> Side:
        quantity = self.quantity
        return Side(estimate, int(keep.sum()), quantity.scale, quantity.unit, quantity.least)

    def two_means(self, group: str) -> TwoSides:
        """The mean of the group and of the rest."""
        inside, unit = self.grouping.members(group), self.grouping.unit
        values = self.values
        if self.quantity.of_set is not None:
            values = np.empty(len(values))
            values[inside], values[~inside] = self.over(inside), self.over(~inside)
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
        rows, badness, harmed = self.grouping.rows, self.quantity.badness, self._harmed
        among = np.flatnonzero(inside if harmed is None else inside & harmed)
        places = self.grouping.at[among]
        if badness is None:
            bad = rows.confidence[places]
        else:
            bad = badness[places] if self.whole else badness[among]
        return worst_first(rows.image_ids, badness=bad, places=places)

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
        grouping = grouping.only(quantity.at_risk)
    return AgainstRest(replace(quantity, at_risk=None), grouping, whole=True)
