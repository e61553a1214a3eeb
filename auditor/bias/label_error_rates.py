"""Labels that are marked as wrong: their share overall, and of each group against the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.data.dataset import MISSING_GROUP, Attribute, Dataset
from auditor.findings import Measure, Side, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, too_few, unit_codes, worst_first
from auditor.stats import Rate, rate, rate_difference

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Marked:
    """Images of one split and whether the label of each is marked.

    `wrong` (n,) bool; `badness` (n,), larger is worse, orders examples. `overall` and `by_group`
    name the measures. `among` says which images these are ("that the expert labelled").
    """

    dataset: Dataset
    wrong: Mask
    badness: NDArray[np.float64]
    overall: str
    by_group: str
    among: str = ""

    @cached_property
    def unit(self) -> NDArray[np.int64] | None:
        units = self.dataset.units
        return None if units is None else unit_codes(units)

    @property
    def noun(self) -> str:
        return "images" if self.unit is None else "units"

    def rate(self, keep: Mask) -> Rate:
        return rate(self.wrong[keep], unit=None if self.unit is None else self.unit[keep])

    def side(self, keep: Mask) -> Side:
        """The share of some labels that are marked."""
        return Side(self.rate(keep), int(keep.sum()))

    def units(self, keep: Mask) -> int | None:
        return None if self.unit is None else count_units(keep, self.unit)

    def known(self, attribute: Attribute) -> Mask:
        """Images with a value of an attribute, (n,)."""
        known: Mask = self.dataset.groups(attribute.name) != MISSING_GROUP
        return known

    def examples(self, keep: Mask) -> tuple[str, ...]:
        return worst_first(
            self.dataset.image_ids, badness=self.badness, among=keep & self.wrong
        )  # fmt: skip


def share(marked: Marked) -> Measure | Unmeasured:
    """The share of all labels that are marked."""
    subject = Subject.of(split=marked.dataset.split)
    everything = np.ones(len(marked.dataset), dtype=bool)
    found = count_units(everything, marked.unit)
    if found < MIN_UNITS:
        had = f"{found} {marked.noun.removesuffix('s') if found == 1 else marked.noun}"
        return Unmeasured(
            name=marked.overall,
            subject=subject,
            reason=f"Only {had}{marked.among}: fewer than {MIN_UNITS} say nothing.",
            remedy=f"Collect at least {MIN_UNITS - found} more {marked.noun}{marked.among}.",
        )
    return Measure(
        name=marked.overall,
        subject=subject,
        estimate=marked.rate(everything),
        scale="share",
        better="lower",
        n=len(marked.dataset),
        n_units=marked.units(everything),
        examples=marked.examples(everything),
    )


def difference(marked: Marked, attribute: Attribute, group: str) -> Measure | Unmeasured:
    """The share of a group's labels that are marked minus that of the rest's."""
    subject = Subject.about({attribute.name: group}, split=marked.dataset.split)
    named = f"{group} ({attribute.name})"
    known = marked.known(attribute)
    inside = known & (marked.dataset.groups(attribute.name) == group)
    rest = known & ~inside
    sides: Mapping[str, Mask] = {f"{named}{marked.among}": inside, f"the rest{marked.among}": rest}
    few = too_few(
        marked.by_group,
        subject,
        sides={side: count_units(mask, marked.unit) for side, mask in sides.items()},
        noun=marked.noun,
    )
    if few is not None:
        return few
    gap = rate_difference(
        marked.wrong[known],
        member=inside[known],
        unit=None if marked.unit is None else marked.unit[known],
    )
    return Measure(
        name=marked.by_group,
        subject=subject,
        estimate=gap,
        scale="difference",
        neutral=0.0,
        better="lower",
        n=int(inside.sum()),
        n_units=marked.units(inside),
        sides=(marked.side(inside), marked.side(rest)),
        examples=marked.examples(inside),
    )


def nothing_to_compare(marked: Marked, attribute: Attribute) -> Unmeasured | None:
    """Why an attribute gives no comparison: its images have one group or none; else None."""
    seen = set(marked.dataset.groups(attribute.name)[marked.known(attribute)].tolist())
    if len(seen) >= 2:
        return None
    group = next(iter(seen), MISSING_GROUP)
    said = f"are all of one group, {group}," if seen else "have no value"
    return Unmeasured(
        name=marked.by_group,
        subject=Subject.about({attribute.name: group}, split=marked.dataset.split),
        reason=f"The {marked.dataset.split} images{marked.among} {said} of {attribute.name}. There "
        "is no other group to compare with.",
        remedy=f"Collect images{marked.among} of at least two groups of {attribute.name}.",
    )
