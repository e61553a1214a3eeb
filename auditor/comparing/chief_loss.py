"""What a task's chief quantity loses between two passes: accuracy, objects found, mean overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from auditor.comparing.pairs import Pair
from auditor.contract import Evidence
from auditor.contract.passes import PassKeys
from auditor.contract.quantity_words import title_of
from auditor.data.image_names import ImageNames
from auditor.findings import Measured, Subject, Unmeasured
from auditor.scoring.comparison import worst_first
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.scoring.set_values import EmptySetError


@dataclass(frozen=True)
class Chief:
    """Rows of a pass and their chief quantity, `value` where only a whole set has it."""

    rows: Rows
    value: Quantity | None

    @classmethod
    def of(cls, evidence: Evidence, split: str = "test", **asked: Unpack[PassKeys]) -> Chief:
        """The chief quantity of a declared pass, over the rows whose truth is known."""
        rows = evidence.scored(split, **asked).with_truth
        values = evidence.set_values(split, **asked) if rows.of == "image" else ()
        return cls(rows, values[0] if values else None)

    @property
    def title(self) -> str:
        """What the quantity is called at the head of a sentence."""
        return title_of(self.rows.headline if self.value is None else self.value.name)

    def over(self, image_ids: ImageNames) -> Quantity:
        """The value of a set for these images alone; EmptySetError where they hold nothing."""
        assert self.value is not None
        keep = image_ids.places_of(self.rows.image_ids) >= 0
        return replace(self.value, values=self.value.over(keep), of_set=None)


@dataclass(frozen=True)
class ChiefLoss:
    """The chief quantity before and after, of the same rows in one order, (n,) each.

    Of a rate both are bool, of a set's value pseudo-observations.
    """

    pair: Pair
    before: np.ndarray
    after: np.ndarray
    title: str
    sets: tuple[Quantity, Quantity] | None

    @classmethod
    def between(cls, before: Chief, after: Chief) -> ChiefLoss:
        """EmptySetError where the images of both passes hold nothing to be measured by."""
        pair = Pair.of(before.rows, after.rows)
        if before.value is None or after.value is None:
            return cls(pair, pair.first.right, pair.second.right, before.title, None)
        sets = (before.over(pair.first.image_ids), after.over(pair.first.image_ids))
        return cls(pair, sets[0].values, sets[1].values, before.title, sets)

    def __len__(self) -> int:
        return len(self.pair)

    @property
    def values(self) -> np.ndarray:
        """What each row loses, (n,); their mean is the loss."""
        return np.asarray(self.before, np.float64) - np.asarray(self.after, np.float64)

    @property
    def changed(self) -> np.ndarray:
        """Rows that are called something else in the second pass, (n,) bool.

        Of a class map that is another set of classes, not another number of pixels.
        """
        first, second = self.pair.first, self.pair.second
        others = [first.called(c) != second.called(c) for c in first.classes]
        return np.asarray(np.any(others, axis=0))

    def measure(
        self, name: str, subject: Subject, *, among: str, facts: Mapping[str, object] | None = None
    ) -> Measured:
        """Before minus after, paired, with both sides; a reason where there are too few units.

        `among` says which rows these are; `quantity` is among the facts.
        """
        few = self.pair.too_few(name, subject, among=among)
        if few is not None:
            return few
        said = {"quantity": self.title, **(facts or {})}
        if self.sets is not None:
            found = self.pair.set_difference(*self.sets, name=name, subject=subject)
            return replace(found, facts=said, examples=self._worst())
        return self.pair.difference(
            name, subject, of=(self.before, self.after), better="lower",
            examples=self._worst(), facts=said,
        )  # fmt: skip

    def _worst(self) -> tuple[str, ...]:
        values = self.values
        return worst_first(self.pair.first.image_ids, badness=values, among=values > 0)


def nothing_there(name: str, subject: Subject, empty: EmptySetError) -> Unmeasured:
    """Why a set without anything to be measured by gives no loss."""
    remedy = "Annotate images that hold what is looked for."
    return Unmeasured(name, subject, f"There is nothing to measure by: {empty}.", remedy)


def mean_of(losses: Sequence[ChiefLoss]) -> np.ndarray:
    """What each row loses on average over several passes of the same rows, (n,)."""
    return np.asarray(np.mean([one.values for one in losses], axis=0))
