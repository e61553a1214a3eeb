"""Agreement between annotators, overall and about each group: measures and comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.bias.krippendorff import MOST_GRADES, Pairs, alpha_draws, pairs
from auditor.bias.ratings import Ratings, observed
from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup
from auditor.comparing.groups import Grouping, groupings, nothing_to_compare, too_few_units
from auditor.findings import Measure, Measured, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, too_few, worst_first
from auditor.scoring.quantities import Quantity
from auditor.stats import Draws, rate

AGREEMENT, RAW = "agreement", "raw-agreement"
TWICE = " with labels from two annotators"

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Doubly:
    """The images of a split that two annotators or more labelled.

    `ordinal` asks for agreement of grades too; `rng` resamples.
    """

    ratings: Ratings
    ordinal: bool
    rng: np.random.Generator

    @property
    def whole(self) -> Subject:
        return Subject(split=self.ratings.dataset.split)

    @property
    def noun(self) -> str:
        return "images" if self.ratings.unit is None else "units"

    @cached_property
    def pair(self) -> Pairs:
        return pairs(self.ratings.given)

    @cached_property
    def alphas(self) -> tuple[tuple[str, bool], ...]:
        """Names of the alphas to give, and whether each is ordinal."""
        given = self.ratings.given[self.ratings.doubly]
        used = len(np.unique(given[given >= 0]))
        if self.ordinal and used <= MOST_GRADES:
            return (("alpha", False), ("alpha-ordinal", True))
        return (("alpha", False),)

    def alpha(self, images: Mask, *, ordinal: bool) -> Draws | None:
        unit = self.ratings.unit
        return alpha_draws(
            self.ratings.given[images],
            unit=None if unit is None else unit[images],
            ordinal=ordinal,
            rng=self.rng,
        )

    def units(self, images: Mask) -> int | None:
        unit = self.ratings.unit
        return None if unit is None else count_units(images, unit)

    def examples(self, among: Mask) -> tuple[str, ...]:
        """Images under the mask, those with the most disagreeing pairs first."""
        apart = np.bincount(self.pair.row, weights=~self.pair.agree, minlength=len(among))
        ids = self.ratings.dataset.image_ids
        return worst_first(ids, badness=apart, among=among & (apart > 0))


def agreements(doubly: Doubly) -> Iterator[Measured | ByGroup]:
    """Raw agreement and alpha over everything, then by the groups of each attribute."""
    images = doubly.ratings.doubly
    found = count_units(images, doubly.ratings.unit)
    if found < MIN_UNITS:
        for name in (RAW, AGREEMENT, *(name for name, _ in doubly.alphas)):
            yield _too_few_doubly(doubly, name, found)
        return
    yield _overall(doubly)
    for name, ordinal in doubly.alphas:
        yield _alpha(doubly, name, images, ordinal=ordinal, subject=doubly.whole)
    if not doubly.ratings.dataset.attributes:
        yield no_attribute(AGREEMENT, doubly.ratings.dataset.split)
    for grouping in groupings(doubly.ratings.rows, unlabelled=True):
        twice = grouping.only(images)
        nothing = nothing_to_compare(twice, name=AGREEMENT, truth="doubly labelled ")
        yield nothing or _by_group(doubly, twice)


def no_attribute(name: str, split: str) -> Unmeasured:
    """Why a comparison of groups gives nothing where no attribute is declared."""
    return Unmeasured(
        name=name,
        subject=Subject(split=split),
        reason=f"The {split} data declare no attribute: there are no groups to compare.",
        remedy="Add columns that group the images to the manifest (building, lighting, ...) and "
        "declare them under `data.attributes`.",
    )


def _too_few_doubly(doubly: Doubly, name: str, found: int) -> Unmeasured:
    noun = doubly.noun
    had = f"{found} {noun.removesuffix('s') if found == 1 else noun}"
    return Unmeasured(
        name=name,
        subject=doubly.whole,
        reason=f"Only {had} of the {doubly.whole.split} data have labels from two annotators; "
        f"fewer than {MIN_UNITS} say nothing of agreement.",
        remedy=f"Have a second annotator label at least {MIN_UNITS - found} more {noun}, chosen at "
        "random; a verdict will need more than that.",
    )


def _overall(doubly: Doubly) -> Measure:
    images = doubly.ratings.doubly
    return Measure(
        name=RAW,
        subject=doubly.whole,
        estimate=rate(doubly.pair.agree, unit=doubly.ratings.owner(doubly.pair.row)),
        scale="share",
        better="higher",
        n=int(images.sum()),
        n_units=doubly.units(images),
        examples=doubly.examples(images),
        facts={"pairs": len(doubly.pair.row)},
    )


def _alpha(doubly: Doubly, name: str, images: Mask, *, ordinal: bool, subject: Subject) -> Measured:
    """Alpha of the images under the mask."""
    found = doubly.alpha(images, ordinal=ordinal)
    if found is None:
        about = ", ".join(f"{group} ({key})" for key, group in subject.keys) or "all images"
        return Unmeasured(
            name=name,
            subject=subject,
            reason=f"Annotators gave nearly all images of {about} the same class: what chance "
            "would agree on cannot be told from what they agree on.",
            remedy="Have two annotators label images of every class; raw agreement is given.",
        )
    return Measure(
        name=name,
        subject=subject,
        estimate=found,
        scale="amount",
        better="higher",
        n=int(images.sum()),
        n_units=doubly.units(images),
        examples=doubly.examples(images),
    )


def _by_group(doubly: Doubly, grouping: Grouping) -> ByGroup:
    """Raw agreement about each group against all other images, and each group's alphas."""
    of_pairs, _ = observed(grouping, doubly.pair.row)
    quantity = Quantity(AGREEMENT, doubly.pair.agree, "higher", among=TWICE)
    compared = AgainstRest(quantity, of_pairs, whole=True)
    results = {}
    for group in grouping.groups:
        images = np.zeros(len(doubly.ratings.dataset), dtype=bool)
        images[grouping.at[grouping.members(group)]] = True
        results[group] = (
            _compared(doubly, compared, grouping, group, images),
            *_alphas(doubly, grouping, group, images),
        )
    return ByGroup(compared, results)


def _compared(
    doubly: Doubly, compared: AgainstRest, grouping: Grouping, group: str, images: Mask
) -> Measured:
    subject = grouping.subject(group)
    few = too_few_units(grouping, group, name=AGREEMENT, subject=subject, among=TWICE)
    found = few or compared.difference(group)
    if isinstance(found, Unmeasured):
        return found
    return replace(found, examples=doubly.examples(images))


def _alphas(doubly: Doubly, grouping: Grouping, group: str, images: Mask) -> Iterator[Measured]:
    subject = grouping.subject(group)
    sides = {f"{grouping.named(group)}{TWICE}": count_units(images, doubly.ratings.unit)}
    for name, ordinal in doubly.alphas:
        few = too_few(name, subject, sides=sides, noun=doubly.noun)
        yield few or _alpha(doubly, name, images, ordinal=ordinal, subject=subject)
