"""Small cells are pooled before any check sees them, so that no total gives one away.

A cell is how many units (images, where the manifest names no unit) of a split belong to a group, or
to a group and a class. What the model answered for them is a result, and is no cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from auditor.data.dataset import MISSING_GROUP, Attribute, Dataset

_NONE = -1


@dataclass(frozen=True)
class Members:
    """Who belongs where: `group`, `context` and `unit` codes, (n,) int64 each.

    A context is a column of a table that has a row for every group: a split, or a class of a split.
    """

    group: np.ndarray
    context: np.ndarray
    unit: np.ndarray

    def sizes(self, place: np.ndarray) -> np.ndarray:
        """Units of every place in every context, (groups, contexts); `place` (groups,) int64."""
        shape = (len(place), int(self.context.max(initial=-1)) + 1)
        cell = place[self.group] * shape[1] + self.context
        width = int(self.unit.max(initial=0)) + 1
        taken = np.unique(cell * width + self.unit) // width
        counted: np.ndarray = np.bincount(taken, minlength=shape[0] * shape[1])
        return counted.reshape(shape)

    def totals(self) -> np.ndarray:
        """Units of every context, (contexts,)."""
        together = np.zeros(int(self.group.max(initial=0)) + 1, np.int64)
        every: np.ndarray = self.sizes(together)[0]
        return every


def pooled_places(members: Members, *, groups: int, smallest: int) -> np.ndarray:
    """The place of every group, (groups,) int64: groups with the same place are one.

    The group of the smallest cell under `smallest` is pooled with the next smallest group of that
    context, until every cell is empty, or holds `smallest` units, or holds all that its context
    has and is of several groups. A group with no units at all stays by itself. With the sums of
    rows and columns known, no number of a pooled group can then be got by subtraction: each row
    that hides one hides at least two, in every column alike.
    """
    place = np.arange(groups, dtype=np.int64)
    if not len(members.group):
        return place
    totals = members.totals()
    while True:
        sizes = members.sizes(place)
        taken = np.bincount(place[np.unique(members.group)], minlength=groups)
        told = (sizes == totals) & (taken[:, None] > 1)
        small = (sizes > 0) & (sizes < smallest) & ~told
        if not small.any() or (taken > 0).sum() < 2:
            return place
        row, context = _smallest(np.where(small, sizes, np.iinfo(np.int64).max))
        other = _next_smallest(sizes, row=row, context=context)
        place[place == max(row, other)] = min(row, other)


def _smallest(sizes: np.ndarray) -> tuple[int, int]:
    row, context = np.unravel_index(int(sizes.argmin()), sizes.shape)
    return int(row), int(context)


def _next_smallest(sizes: np.ndarray, *, row: int, context: int) -> int:
    """The other row with the fewest in the context, of those that have any there, else at all."""
    for column in (sizes[:, context], sizes.sum(axis=1)):
        others = (column > 0) & (np.arange(len(sizes)) != row)
        if others.any():
            return int(np.where(others, column, np.iinfo(np.int64).max).argmin())
    raise AssertionError("at least two rows have members")


def pool_small_groups(
    datasets: Mapping[str, Dataset], *, sound: Mapping[str, np.ndarray], smallest: int | None
) -> dict[str, Dataset]:
    """The datasets with every small group pooled, in all splits alike.

    `sound` maps a split to the mask of its clean subset, (n,) bool: groups are large enough there
    and as given. Each dataset also learns coarser groups, of which every class has enough
    (`Dataset.by_label`). None for `smallest` leaves all as they are.
    """
    if smallest is None:
        return dict(datasets)
    for name in dict.fromkeys(a.name for d in datasets.values() for a in d.attributes):
        datasets = _pooled(datasets, name, sound=sound, smallest=smallest)
    return dict(datasets)


def _pooled(
    datasets: Mapping[str, Dataset],
    name: str,
    *,
    sound: Mapping[str, np.ndarray],
    smallest: int,
) -> dict[str, Dataset]:
    having = {r: d for r, d in datasets.items() if name in {a.name for a in d.attributes}}
    groups = tuple(dict.fromkeys(g for d in having.values() for g in d.attribute(name).groups))
    parts = [p for r, d in having.items() for p in (d, d.take(sound[r]))]
    one_way = _members(parts, name, groups, by_label=False)
    merged = merged_names(groups, pooled_places(one_way, groups=len(groups), smallest=smallest))
    having = {r: renamed(_held(d, name, smallest), name, merged) for r, d in having.items()}
    pooled = tuple(dict.fromkeys(merged.values()))
    held = {p: own for d in having.values() for p, own in d.attribute(name).pooled.items()}
    parts = [d.take(sound[r]) for r, d in having.items()]
    labelled = _members(parts, name, pooled, by_label=True)
    place = pooled_places(labelled, groups=len(pooled), smallest=smallest)
    coarser = merged_names(pooled, place, held=held)
    return {
        **datasets,
        **{r: replace(d, coarser={**d.coarser, name: coarser}) for r, d in having.items()},
    }


def _held(dataset: Dataset, name: str, smallest: int) -> Dataset:
    """The dataset with the least size of a cell written into its attribute."""
    attributes = tuple(
        replace(a, smallest=smallest) if a.name == name else a for a in dataset.attributes
    )
    return replace(dataset, attributes=attributes)


def _members(
    parts: Sequence[Dataset], name: str, groups: tuple[str, ...], *, by_label: bool
) -> Members:
    """Every image of the parts that has a group; the parts are contexts, or their classes are."""
    group, context, unit = [], [], []
    width = 0
    for part in parts:
        codes = pd.Index(groups, dtype=object).get_indexer(
            pd.Index(part.groups(name), dtype=object)
        )
        units = _unit_codes(part)
        for column in _labels(part) if by_label else [np.zeros(len(part), np.int64)]:
            known = (codes != _NONE) & (column >= 0)
            group.append(codes[known].astype(np.int64))
            context.append(column[known] + width)
            unit.append(units[known].astype(np.int64))
            width += int(column.max(initial=0)) + 1
    return Members(np.concatenate(group), np.concatenate(context), np.concatenate(unit))


def _unit_codes(part: Dataset) -> np.ndarray:
    """What tells units apart, (n,): without any, every image is one."""
    codes = part.unit_codes
    return np.arange(len(part)) if codes is None else codes


def _labels(part: Dataset) -> list[np.ndarray]:
    """What a group's images are counted by beside it: their labels, and whose labels they are."""
    annotators = part.table["annotator"]
    hands = np.where(annotators == "", _NONE, pd.factorize(annotators)[0]).astype(np.int64)
    return [part.labels, hands, part.gold, *(part.rating(name) for name in part.annotators)]


def merged_names(
    groups: tuple[str, ...],
    place: np.ndarray,
    *,
    held: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> dict[str, str]:
    """The name of what each group is now part of: ``family or accessible`` where pooled.

    `held` maps a group that is itself pooled to the groups that it stands for.
    """
    together: dict[int, list[str]] = {}
    for group, at in zip(groups, place.tolist(), strict=True):
        together.setdefault(at, []).append(group)
    names: dict[str, str] = {}
    for members in together.values():
        parts = [part for g in members for part in held.get(g, (g,))]
        name = members[0] if len(members) == 1 else either(parts)
        while len(members) > 1 and name in groups:
            name += " (pooled)"
        names |= dict.fromkeys(members, name)
    return {group: names[group] for group in groups}


def either(names: Sequence[str]) -> str:
    """Names as alternatives.

    Examples
    --------
    >>> either(["a", "b", "c"])
    'a, b or c'
    """
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def by_label(dataset: Dataset) -> Dataset:
    """The dataset with groups of which every class, in every split, has enough units.

    For whatever is published by group and class: rates among the images of a class, counts of
    labels. Every such number of every check must come from these groups: two cuts of one table
    would give its cells away.
    """
    for name, coarser in dataset.coarser.items():
        dataset = renamed(dataset, name, coarser)
    return replace(dataset, coarser={})


def crossed(dataset: Dataset, names: tuple[str, str]) -> Dataset:
    """The dataset with groups of the first attribute that can be counted by those of the second.

    Cells are counted over the images given: give every caller the same ones.
    """
    first, second = (dataset.attribute(name) for name in names)
    if first.smallest is None:
        return dataset
    of = [
        pd.Index(a.groups, dtype=object).get_indexer(pd.Index(dataset.groups(a.name), dtype=object))
        for a in (first, second)
    ]
    known = (of[0] != _NONE) & (of[1] != _NONE)
    members = Members(*(codes[known].astype(np.int64) for codes in (*of, _unit_codes(dataset))))
    place = pooled_places(members, groups=len(first.groups), smallest=first.smallest)
    return renamed(dataset, names[0], merged_names(first.groups, place, held=first.pooled))


def renamed(dataset: Dataset, name: str, merged: Mapping[str, str]) -> Dataset:
    """The dataset with the groups of an attribute under the names that they have in `merged`."""
    if all(group == new for group, new in merged.items()):
        return dataset
    attributes = tuple(
        pooled_attribute(a, merged) if a.name == name else a for a in dataset.attributes
    )
    column = f"attribute:{name}"
    table = dataset.table.renamed(column, lambda group: merged.get(group, MISSING_GROUP))
    return replace(dataset, attributes=attributes, table=table)


def pooled_attribute(attribute: Attribute, merged: Mapping[str, str]) -> Attribute:
    """An attribute whose groups are merged; shares of the population are summed."""
    parts: dict[str, tuple[str, ...]] = {}
    for group, name in merged.items():
        own = attribute.pooled.get(group, (group,))
        parts[name] = (*parts.get(name, ()), *own)
    population = None
    if attribute.population is not None:
        shares = attribute.population
        population = {
            name: sum(shares.get(g, 0.0) for g in merged if merged[g] == name)
            for name in parts
            if any(g in shares for g in merged if merged[g] == name)
        }
    kept = tuple(dict.fromkeys(merged[g] for g in attribute.groups))
    return replace(
        attribute,
        groups=kept,
        population=population,
        pooled={name: own for name, own in parts.items() if len(own) > 1},
    )
