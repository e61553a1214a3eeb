"""The half of the units on which a suspected slice is confirmed: whether it is worse there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auditor.bias.slice_features import Described, Looked, Trait, traits
from auditor.bias.slice_search import beyond_alike, unannounced
from auditor.findings import Side
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.scoring.outcomes import Outcomes
from auditor.stats import RateDifference, mean_difference, p_value, rate, rate_difference

ALPHA = 0.05


@dataclass(frozen=True)
class ConfirmingHalf:
    """The half of the units that confirms, and the mask `keep` (n,) that it was taken by.

    `unannounced` (rows,) are errors beyond those of images that the model is as sure of; None where
    there are no scores to tell.
    """

    looked: Looked
    unannounced: np.ndarray | None
    unit: np.ndarray | None
    traits: tuple[Trait, ...]
    keep: np.ndarray

    @classmethod
    def of(
        cls, looked: Looked, told: Described, half: np.ndarray, unit: np.ndarray | None
    ) -> ConfirmingHalf:
        keep = ~half
        rest = looked.take(keep)
        sure = unannounced(rest, half=keep[keep]) if isinstance(rest, Outcomes) else None
        return cls(
            looked=rest,
            unannounced=sure,
            unit=None if unit is None else unit[keep],
            traits=traits(rest, told, keep=keep),
            keep=keep,
        )

    def p_worse(self, inside: np.ndarray) -> float:
        """P-value of "not worse than all others", or than those that are alike in some way.

        Alike are images of its labels, of its answers, and those that the model is as sure of.
        """
        wrong, everyone = ~self.looked.correct, np.ones(len(inside), dtype=bool)
        beyond = [beyond_alike(wrong, of, half=everyone) for of in self.looked.alike]
        beyond += [] if self.unannounced is None else [self.unannounced]
        alike = (mean_difference(values, member=inside, unit=self.unit) for values in beyond)
        return max(
            p_value(self.gap(inside), limit=0, exceeds="below"),
            *(p_value(gap, limit=0, exceeds="above") for gap in alike),
        )

    def gap(self, inside: np.ndarray) -> RateDifference:
        return rate_difference(self.looked.correct, member=inside, unit=self.unit)

    def side(self, keep: np.ndarray) -> Side:
        """Accuracy over the images under a mask."""
        unit = None if self.unit is None else self.unit[keep]
        return Side(rate(self.looked.correct[keep], unit=unit), int(keep.sum()))

    def is_worse_among(self, inside: np.ndarray, among: np.ndarray) -> bool:
        """Whether a slice's images under a mask are shown to be worse than the mask's others."""
        part = replace(
            self,
            looked=self.looked.take(among),
            unannounced=None if self.unannounced is None else self.unannounced[among],
            unit=None if self.unit is None else self.unit[among],
        )
        own = inside[among]
        return part.has_both_sides(own) and part.p_worse(own) <= ALPHA

    def has_both_sides(self, inside: np.ndarray) -> bool:
        return all(count_units(side, self.unit) >= MIN_UNITS for side in (inside, ~inside))
