"""Who labelled what: the labels that one split's images have from several hands."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.data.dataset import Attribute, Dataset
from auditor.scoring.comparison import unit_codes

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Ratings:
    """The labels of a split's images by hand.

    `given` (n, columns) holds class indices, -1 where there is none: a column for each of the
    dataset's annotators, then the labels of whoever `by` (n,) names, "" where nobody is named.
    """

    dataset: Dataset
    given: Codes
    by: NDArray[np.object_]
    coded: dict[str, Codes] = field(default_factory=dict, compare=False, repr=False)
    """Groups coded so far: comparing names, once a hand and group, would take most of the time."""

    def group(self, attribute: Attribute) -> Codes:
        """Which of the attribute's groups each image is of, (n,), -1 where it has no value."""
        if attribute.name not in self.coded:
            index = pd.Index(attribute.groups, dtype=object)
            found = index.get_indexer(pd.Index(self.dataset.groups(attribute.name), dtype=object))
            self.coded[attribute.name] = found.astype(np.int64)
        return self.coded[attribute.name]

    @cached_property
    def unit(self) -> Codes | None:
        """A code of the unit of each image, (n,); None where the manifest names none."""
        units = self.dataset.units
        return None if units is None else unit_codes(units)

    def owner(self, row: Codes) -> Codes | None:
        """What is independent among observations of the images `row` (m,): their units, or their
        images where one gives several; None where every observation stands alone.
        """
        if self.unit is not None:
            return self.unit[row]
        return row if len(np.unique(row)) < len(row) else None

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
    """The labels of a dataset by hand.

    `label` counts as the annotator's who is named for it, once: where that annotator has a column
    with a label for the image, that one stands.
    """
    columns = [dataset.rating(name) for name in dataset.annotators]
    by = dataset.frame["annotator"].to_numpy(dtype=object).copy()
    by[dataset.labels < 0] = ""
    for name, column in zip(dataset.annotators, columns, strict=True):
        by[(by == name) & (column >= 0)] = ""
    labels = np.where(by != "", dataset.labels, -1)
    return Ratings(dataset, np.stack([*columns, labels], axis=1), by)


def has_second_labels(dataset: Dataset) -> bool:
    """Whether any image was labelled by two hands, an expert's among them."""
    if dataset.has_gold and (dataset.has_labels or dataset.annotators):
        return True
    return bool(ratings_of(dataset).doubly.any())
