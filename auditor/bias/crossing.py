"""Images by their groups of several attributes at once, and the cells that can be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from auditor.comparing.groups import Grouping
from auditor.data.dataset import MISSING_GROUP, Attribute, CodedGroups
from auditor.findings import Subject
from auditor.scoring.comparison import MIN_UNITS, has_few_units, units_by_group
from auditor.scoring.rows import Rows
from auditor.stats.codes import compact


@dataclass(frozen=True)
class Crossing(Grouping):
    """A grouping of the rows with a value of every one of `attributes`, by their combination.

    `names` are each attribute's groups, `codes` (k, n) each row's group of each attribute. A
    group of the crossing is a cell; it goes by its number, as text.
    """

    attributes: tuple[Attribute, ...] = ()
    names: tuple[tuple[str, ...], ...] = ()
    codes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))

    @classmethod
    def of_attributes(
        cls,
        rows: Rows,
        attributes: tuple[Attribute, ...],
        conditions: Mapping[str, np.ndarray],
    ) -> Crossing:
        """Cross `attributes`; `conditions` as of `condition_codes`."""
        groups = [rows.dataset.coded_groups(a.name) for a in attributes]
        known = np.logical_and.reduce([g.places_in([MISSING_GROUP]) < 0 for g in groups])
        names, codes = [], []
        for attribute, of in zip(attributes, groups, strict=True):
            among = CodedGroups(of.codes[known], of.names)
            ordered = [g for g in attribute.groups if g in among.seen]
            ordered += sorted(among.seen - {*ordered})
            names.append(tuple(ordered))
            codes.append(among.places_in(ordered))
        shape = tuple(len(n) for n in names)
        crossed = {a.name for a in attributes}
        places = np.full(len(rows), -1)
        places[known] = np.ravel_multi_index(tuple(codes), shape)
        return cls(
            attribute=Attribute(" x ".join(a.name for a in attributes), attributes[0].role, ()),
            rows=rows,
            groups=tuple(str(cell) for cell in range(int(np.prod(shape)))),
            places=compact(places),
            missing=int((~known).sum()),
            conditions={n: c for n, c in conditions.items() if n not in crossed},
            attributes=attributes,
            names=tuple(names),
            codes=np.array(codes),
        )

    def members(self, group: str) -> np.ndarray:
        inside: np.ndarray = self.of == int(group)
        return inside

    def named(self, group: str) -> str:
        pairs = self._pairs(int(group)).items()
        return " and ".join(f"{said} ({name})" for name, said in pairs)

    def subject(self, group: str, keys: Mapping[str, str] | None = None) -> Subject:
        pairs = self._pairs(int(group))
        return Subject.about({**pairs, **(keys or {})}, split=self.rows.split)

    def _pairs(self, cell: int) -> dict[str, str]:
        names = (a.name for a in self.attributes)
        return dict(zip(names, self.groups_of(cell), strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(n) for n in self.names)

    def groups_of(self, cell: int) -> tuple[str, ...]:
        """The cell's group of each attribute."""
        at = np.unravel_index(cell, self.shape)
        return tuple(names[i] for names, i in zip(self.names, at, strict=True))

    def units_in(self) -> np.ndarray:
        """Units of each cell, (cells,); rows where the manifest names no unit."""
        cells = len(self.groups)
        if self.unit is None:
            return np.bincount(self.of, minlength=cells)
        return units_by_group(self.of, self.unit, groups=cells)

    @property
    def measurable(self) -> list[int]:
        """Cells with enough units on both sides that are not the whole of one of their groups."""
        enough = np.flatnonzero(self.units_in() >= MIN_UNITS)
        return [
            int(cell)
            for cell in enough
            if not self.is_nested(int(cell)) and not has_few_units(self.of != cell, self.unit)
        ]

    def is_nested(self, cell: int) -> bool:
        """Whether fewer of the attributes already name the same rows."""
        within = np.array(self.parents(cell))
        n = int(within.all(axis=0).sum())
        fewer = (np.delete(within, i, axis=0).all(axis=0) for i in range(len(within)))
        return any(int(parent.sum()) == n for parent in fewer)

    def parents(self, cell: int) -> list[np.ndarray]:
        """A mask over the rows for each attribute: in the cell's group of it."""
        at = np.unravel_index(cell, self.shape)
        return [of == i for of, i in zip(self.codes, at, strict=True)]
