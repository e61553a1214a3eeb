"""What a dataset split is made of: its groups of one attribute, counted by unit where it can be."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from auditor.data.dataset import Attribute, Dataset
from auditor.findings import RowKind, Side
from auditor.stats import (
    GRID,
    Draws,
    Exact,
    Rate,
    RateDifference,
    RateRatio,
    bound,
    rate,
    rate_ratio,
    two_sample_difference,
    value,
)
from auditor.stats.codes import distinct


@dataclass(frozen=True)
class Composition:
    """A split's groups of one attribute.

    `codes` (m,) are places in `groups` of what is counted: of units where every unit of every
    split has one group (`unit` is then None: units are independent), else of images, with the
    unit of each in `unit` (m,), None where the manifest names none. Only images with a value
    count; `missing` are the others. `spanning` counts units with images of several groups.
    Where `of` is ``"object"``, what is said here of images holds of objects, which are counted
    each by itself.
    """

    split: str
    attribute: Attribute
    groups: tuple[str, ...]
    codes: np.ndarray
    unit: np.ndarray | None
    by_unit: bool
    n_images: int
    n_units: int | None
    images_of: Mapping[str, int]
    missing: int
    spanning: int
    image_ids: Mapping[str, tuple[str, ...]]
    of: RowKind = "image"

    @property
    def n(self) -> int:
        """How many are counted: units, or images."""
        return len(self.codes)

    @property
    def independent(self) -> int:
        """Units, or images where there are none."""
        return self.n_images if self.n_units is None else self.n_units

    @property
    def noun(self) -> str:
        return "units" if self.by_unit else f"{self.of}s"

    @property
    def counts(self) -> np.ndarray:
        """How many of each of `groups`, (k,) int64."""
        found: np.ndarray = np.bincount(self.codes, minlength=len(self.groups))
        return found

    def members(self, group: str) -> np.ndarray:
        """Mask over what is counted, (m,)."""
        inside: np.ndarray = self.codes == self.groups.index(group)
        return inside

    def share(self, group: str) -> Rate:
        """A group's share of what is counted; ValueError where nothing is."""
        return self._shares[group]

    @functools.cached_property
    def _shares(self) -> Mapping[str, Rate]:
        return {group: rate(self.members(group), unit=self.unit) for group in self.groups}

    def side(self, group: str) -> Side:
        """A group's share beside how many are counted."""
        return Side(self.share(group), self.n)

    def images(self, counted: int) -> int:
        """About how many images so many of what is counted bring."""
        return math.ceil(counted * self.n_images / self.n) if self.by_unit else counted


@dataclass(frozen=True)
class Reference:
    """Shares that a composition is held against, and whose they are in words.

    `deployment` holds them where they were counted, None where they were declared.
    """

    shares: Mapping[str, float]
    of: str
    deployment: Composition | None = None

    def side(self, group: str) -> Side:
        """The share due to a group; not a sample's where it is declared."""
        if self.deployment is not None:
            return self.deployment.side(group)
        return Side(Exact(self.shares[group]))


def compositions(
    datasets: Sequence[Dataset], *, attribute: str, of: RowKind = "image"
) -> tuple[Composition, ...]:
    """The composition of every split whose manifest has the attribute, over the same groups."""
    splits = [d for d in datasets if attribute in {a.name for a in d.attributes}]
    declared = [next(a for a in d.attributes if a.name == attribute) for d in splits]
    groups = tuple(dict.fromkeys(group for a in declared for group in a.groups))
    known = [_known(d, attribute, groups) for d in splits]
    by_unit = of == "image" and all(k.unit is not None and not k.spanning for k in known)
    return tuple(
        replace(_composition(d, a, groups, k, by_unit=by_unit), of=of)
        for d, a, k in zip(splits, declared, known, strict=True)
    )


@dataclass(frozen=True)
class _Known:
    """Images with a value: their place in the manifest, group and unit, (n,) each."""

    places: np.ndarray
    codes: np.ndarray
    unit: np.ndarray | None

    @property
    def first_of_unit(self) -> np.ndarray:
        """Group of the first image of each unit, (units,)."""
        assert self.unit is not None
        # Units are numbered as they appear: the first image of each exceeds all before.
        highest = np.maximum.accumulate(self.unit)
        found: np.ndarray = self.codes[np.diff(highest, prepend=-1) > 0]
        return found

    @property
    def spanning(self) -> int:
        if self.unit is None:
            return 0
        other = self.codes != self.first_of_unit[self.unit]
        return len(np.unique(self.unit[other]))


def _known(dataset: Dataset, attribute: str, groups: tuple[str, ...]) -> _Known:
    of = dataset.coded_groups(attribute).places_in(groups)
    places = np.flatnonzero(of >= 0)
    units = dataset.unit_codes
    # In the order in which they appear, so that sums over them are the same in any split; narrow,
    # as they are held for every attribute of every split at a time.
    return _Known(
        places=places,
        codes=of[places].astype(np.int32),
        unit=None if units is None else pd.factorize(units[places])[0].astype(np.int32),
    )


def _composition(
    dataset: Dataset,
    attribute: Attribute,
    groups: tuple[str, ...],
    known: _Known,
    *,
    by_unit: bool,
) -> Composition:
    n = len(known.codes)
    images = np.bincount(known.codes, minlength=len(groups))
    return Composition(
        split=dataset.split,
        attribute=attribute,
        groups=groups,
        codes=known.first_of_unit if by_unit else known.codes,
        unit=None if by_unit else known.unit,
        by_unit=by_unit,
        n_images=n,
        n_units=None if known.unit is None else distinct(known.unit),
        images_of={group: int(images[i]) for i, group in enumerate(groups)},
        missing=len(dataset) - n,
        spanning=known.spanning,
        image_ids={
            g: _first(dataset, known.places[known.codes == i]) for i, g in enumerate(groups)
        },
    )


def _first(dataset: Dataset, places: np.ndarray, *, most: int = 12) -> tuple[str, ...]:
    # An image of several objects is named once.
    return tuple(dict.fromkeys(str(i) for i in dataset.image_ids[places[:most]]))


def ratio_to_share(found: Rate, *, share: float) -> Draws:
    """A proportion over a known share, in (0, 1], as the distribution of its exact bounds.

    The quantile at p is the one-sided bound at that confidence (Clopper & Pearson 1934; as a
    confidence distribution: Xie & Singh 2013, doi:10.1111/insr.12000). So bounds and p-values
    are those of the exact binomial test, also where nothing was found: the ratio is then 0 and
    its upper bound at most ``3 / n`` over the share.
    """
    point = value(found)
    quantiles = [
        point
        if p == 0.5
        else bound(found, side="low" if p < 0.5 else "high", confidence=max(p, 1 - p))
        for p in GRID
    ]
    return Draws(point / share, tuple(q / share for q in quantiles))


def ratio_of_shares(here: Composition, there: Composition, *, group: str) -> RateRatio:
    """A group's share in one split over its share in another; at least one has the group."""
    unit_a, unit_b = _both_units(here, there)
    unit = None
    if unit_a is not None and unit_b is not None:
        # Units of the same name in two splits count as different ones: the cautious reading.
        unit = np.concatenate([unit_a, unit_b + int(unit_a.max()) + 1])
    return rate_ratio(
        np.concatenate([here.members(group), there.members(group)]),
        member=np.arange(here.n + there.n) < here.n,
        unit=unit,
    )


def difference_of_shares(here: Composition, there: Composition, *, group: str) -> RateDifference:
    """A group's share in one split minus its share in another, drawn independently."""
    unit_a, unit_b = _both_units(here, there)
    return two_sample_difference(
        here.members(group), there.members(group), unit_a=unit_a, unit_b=unit_b
    )


def _both_units(
    here: Composition, there: Composition
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Units of both or of neither: an image without a unit is one of its own."""
    if here.unit is None and there.unit is None:
        return None, None
    a, b = (np.arange(c.n) if c.unit is None else c.unit for c in (here, there))
    return a, b


def known_attributes(datasets: Sequence[Dataset]) -> Iterator[str]:
    """Names of the attributes that any of the splits has, in the spec's order."""
    yield from dict.fromkeys(a.name for d in datasets for a in d.attributes)


def strangers(here: Composition, shares: Mapping[str, float]) -> tuple[str, ...]:
    """Groups with images here that have no share above 0."""
    return tuple(g for g in here.groups if here.images_of[g] and not shares.get(g, 0) > 0)


def still_missing(here: Composition, *, group: str, share: float) -> int:
    """How many more of a group bring it to `share`, the others staying as they are; from 0.

    0 too where the share is 1, which no number reaches.
    """
    found = int(here.members(group).sum())
    if share >= 1:
        return 0
    return max(0, math.ceil((share * here.n - found) / (1 - share) - 1e-9))
