"""Images by their groups of several attributes at once, and the cells that can be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.scoring.outcomes import Outcomes


@dataclass(frozen=True)
class Crossing:
    """Labelled images with a value of every one of `attributes`.

    `group` (k, n) codes each image's group of each attribute, `cell` (n,) its combination;
    `controls` holds the codes of every other condition.
    """

    attributes: tuple[Attribute, ...]
    outcomes: Outcomes
    names: tuple[tuple[str, ...], ...]
    group: np.ndarray
    cell: np.ndarray
    unit: np.ndarray | None
    controls: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls,
        outcomes: Outcomes,
        attributes: tuple[Attribute, ...],
        unit: np.ndarray | None,
        conditions: Mapping[str, np.ndarray],
    ) -> Crossing:
        """Cross `attributes`; `unit` (n,) codes, `conditions` as of `condition_codes`."""
        groups = [outcomes.groups(a.name) for a in attributes]
        known = np.logical_and.reduce([g != MISSING_GROUP for g in groups])
        names, codes = [], []
        for attribute, of in zip(attributes, groups, strict=True):
            seen = set(of[known].tolist())
            ordered = [g for g in attribute.groups if g in seen]
            ordered += sorted(seen - set(ordered))
            names.append(tuple(ordered))
            at = {name: i for i, name in enumerate(ordered)}
            codes.append(np.array([at[name] for name in of[known]], dtype=np.int64))
        shape = tuple(len(n) for n in names)
        group = np.array(codes)
        others = {n: c for n, c in conditions.items() if n not in {a.name for a in attributes}}
        return cls(
            attributes=attributes,
            outcomes=outcomes if known.all() else outcomes.take(known),
            names=tuple(names),
            group=group,
            cell=np.ravel_multi_index(tuple(group), shape),
            unit=None if unit is None else unit[known],
            controls={name: codes[known] for name, codes in others.items()},
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(n) for n in self.names)

    def groups_of(self, cell: int) -> tuple[str, ...]:
        at = np.unravel_index(cell, self.shape)
        return tuple(names[i] for names, i in zip(self.names, at, strict=True))

    def units_in(self) -> np.ndarray:
        """Units of each cell, (cells,); images where the manifest names no unit."""
        cells = int(np.prod(self.shape))
        if self.unit is None:
            return np.bincount(self.cell, minlength=cells)
        size = int(self.unit.max(initial=0)) + 1
        pairs = np.unique(self.cell * size + self.unit)
        return np.bincount(pairs // size, minlength=cells)

    @property
    def measurable(self) -> list[int]:
        """Cells with enough units on both sides that are not the whole of one of their groups."""
        enough = np.flatnonzero(self.units_in() >= MIN_UNITS)
        return [
            int(cell)
            for cell in enough
            if not self.is_nested(int(cell))
            and count_units(self.cell != cell, self.unit) >= MIN_UNITS
        ]

    def is_nested(self, cell: int) -> bool:
        """Whether fewer of the attributes already name the same images."""
        at = np.unravel_index(cell, self.shape)
        within = self.group == np.array(at)[:, None]
        n = int(within.all(axis=0).sum())
        fewer = (np.delete(within, i, axis=0).all(axis=0) for i in range(len(at)))
        return any(int(parent.sum()) == n for parent in fewer)

    def members(self, cell: int) -> list[np.ndarray]:
        """A mask over the images for each attribute: in the cell's group of it."""
        at = np.unravel_index(cell, self.shape)
        return [of == i for of, i in zip(self.group, at, strict=True)]
