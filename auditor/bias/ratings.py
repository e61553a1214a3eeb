"""Who labelled what: the labels that one split's images have from several annotators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.groups import Grouping
from auditor.data.dataset import Dataset
from auditor.scoring.rows import Rows
from auditor.stats.codes import compact

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Ratings:
    """The labels of a split's images by annotator.

    `given` (n, columns) holds class indices, -1 where there is none: a column for each of the
    dataset's annotators, then the labels of whoever `by` (n,) names, "" where nobody is named.
    """

    dataset: Dataset
    given: Codes
    by: NDArray[np.object_]

    @cached_property
    def rows(self) -> Rows:
        return Rows.unanswered(self.dataset)

    @cached_property
    def unit(self) -> Codes | None:
        """A code of the unit of each image, (n,); None where the manifest names none."""
        return self.rows.unit_codes

    def owner(self, row: Codes) -> Codes | None:
        """What is independent among observations of the images `row` (m,): their units, or their
        images where one gives several; None where every observation stands alone.
        """
        if self.unit is not None:
            return self.unit[row]
        return row if _repeats(row) else None

    @property
    def names(self) -> tuple[str, ...]:
        """Every annotator with a label, those of the spec first."""
        declared = self.dataset.annotators
        seen = [name for i, name in enumerate(declared) if (self.given[:, i] >= 0).any()]
        return (*seen, *sorted(set(self.by.tolist()) - {"", *declared}))

    def of(self, name: str) -> Codes:
        """The labels that one annotator gave, (n,), -1 where none."""
        last = np.where(self.by == name, self.given[:, -1], -1)
        if name not in self.dataset.annotators:
            return last
        column = self.given[:, self.dataset.annotators.index(name)]
        return np.where(column >= 0, column, last)

    def but(self, name: str) -> Codes:
        """`given` without what one annotator gave."""
        others = self.given.copy()
        others[self.by == name, -1] = -1
        if name in self.dataset.annotators:
            others[:, self.dataset.annotators.index(name)] = -1
        return others

    @cached_property
    def doubly(self) -> NDArray[np.bool_]:
        """Images that two annotators or more labelled, (n,)."""
        twice: NDArray[np.bool_] = (self.given >= 0).sum(axis=1) > 1
        return twice


def ratings_of(dataset: Dataset) -> Ratings:
    """The labels of a dataset by annotator.

    `label` counts as the annotator's who is named for it, once: where that annotator has a column
    with a label for the image, that one stands.
    """
    columns = [dataset.rating(name) for name in dataset.annotators]
    by = dataset.table["annotator"].to_numpy(dtype=object).copy()
    by[dataset.labels < 0] = ""
    for name, column in zip(dataset.annotators, columns, strict=True):
        by[(by == name) & (column >= 0)] = ""
    labels = np.where(by != "", dataset.labels, -1)
    return Ratings(dataset, np.stack([*map(compact, (*columns, labels))], axis=1), by)


def has_second_labels(dataset: Dataset) -> bool:
    """Whether any image was labelled by two annotators, or by one and an expert."""
    if dataset.has_gold and (dataset.has_labels or dataset.annotators):
        return True
    return bool(ratings_of(dataset).doubly.any())


def observed(grouping: Grouping, row: Codes) -> tuple[Grouping, NDArray[np.bool_]]:
    """The groups of observations of the images `row` (m,), and which of them have one, (m,).

    An image that is observed several times is a unit of its own where the manifest names none.
    """
    found, known = replace(grouping, among=row), grouping.places[row] >= 0
    if not grouping.rows.dataset.has_units and _repeats(row[known]):
        found = replace(found, rows_are_units=True)
    return found, known


def _repeats(row: Codes) -> bool:
    return bool(len(row)) and int(np.bincount(row).max()) > 1
