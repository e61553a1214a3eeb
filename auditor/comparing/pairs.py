"""A pair of passes over the same rows: before against after, as given against another form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from auditor.findings import Better, Measure, Side, Subject, Unmeasured
from auditor.scoring.comparison import count_units, too_few, worst_first
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.stats import mean, paired_difference, rate


@dataclass(frozen=True)
class Pair:
    """The same rows of known truth answered twice, in one order."""

    first: Rows
    second: Rows

    @classmethod
    def of(cls, first: Rows, second: Rows) -> Pair:
        """Align two passes by image and object; rows that one of them lacks are left out.

        Answers are not the same rows in two passes: ValueError for them.
        """
        if first.of == "answer":
            raise ValueError("a pair of passes: found rows of answers, expected objects or images")
        first, second = first.with_truth, second.with_truth
        at = second.keys.places_of(first.keys)
        if len(at) == len(second) and (at == np.arange(len(at))).all():
            return cls(first, second)
        return cls(first.take(at >= 0), second.take(at[at >= 0]))

    def __len__(self) -> int:
        return len(self.first)

    def take(self, keep: np.ndarray) -> Pair:
        """The rows under the mask `keep`."""
        return Pair(self.first.take(keep), self.second.take(keep))

    @property
    def units(self) -> np.ndarray | None:
        return self.first.unit_codes

    @property
    def n_units(self) -> int | None:
        """Independent units; None where the manifest names none."""
        return None if self.units is None else self._independent

    @property
    def _independent(self) -> int:
        return count_units(np.ones(len(self), dtype=bool), self.units)

    @cached_property
    def changed(self) -> np.ndarray:
        """Rows that the second pass answers otherwise, (n,) bool."""
        return self.first.presence.differs(self.second.presence)

    @property
    def broken(self) -> np.ndarray:
        """Rows right in the first pass and wrong in the second, (n,) bool."""
        broken: np.ndarray = self.first.right & ~self.second.right
        return broken

    def too_few(self, name: str, subject: Subject, *, among: str) -> Unmeasured | None:
        """Why there is no measure where the rows are of fewer than ten units; else None."""
        noun = "images" if self.units is None else "units"
        return too_few(name, subject, sides={among: self._independent}, noun=noun)

    def difference(
        self,
        name: str,
        subject: Subject,
        *,
        of: tuple[np.ndarray, np.ndarray],
        better: Better,
        examples: tuple[str, ...] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> Measure:
        """The share of the first of two successes minus that of the second; both (n,) bool.

        `of` are also the measure's sides, in that order.
        """
        here, there = of
        return Measure(
            name=name,
            subject=subject,
            estimate=paired_difference(there, here, unit=self.units),
            scale="difference",
            neutral=0.0,
            better=better,
            n=len(self),
            n_units=self.n_units,
            sides=(self._side(here), self._side(there)),
            examples=examples,
            facts=facts or {},
            of=self.first.of,
        )

    def set_difference(
        self, first: Quantity, second: Quantity, *, name: str, subject: Subject
    ) -> Measure:
        """What a set of these images has in the first pass minus what it has in the second.

        Both over all rows of the pair, which are images.
        """
        lost = first.values - second.values
        sides = tuple(
            Side(mean(q.values, unit=self.units, span=q.span), len(self)) for q in (first, second)
        )
        return Measure(
            name=name,
            subject=subject,
            estimate=mean(lost, unit=self.units, span=(-1.0, 1.0)),
            scale="difference",
            neutral=0.0,
            better="lower",
            n=len(self),
            n_units=self.n_units,
            sides=(sides[0], sides[1]),
        )

    def share(
        self, name: str, subject: Subject, success: np.ndarray, *, better: Better = "lower"
    ) -> Measure:
        """The share of rows for which `success` (n,) bool holds.

        Examples are the second pass's surest among those that harm the share.
        """
        harmful = success if better == "lower" else ~success
        return Measure(
            name=name,
            subject=subject,
            estimate=rate(success, unit=self.units),
            scale="share",
            better=better,
            n=len(self),
            n_units=self.n_units,
            examples=worst_first(
                self.first.image_ids, badness=self.second.confidence, among=harmful
            ),
            of=self.first.of,
        )

    def _side(self, success: np.ndarray) -> Side:
        return Side(rate(success, unit=self.units), len(self))
