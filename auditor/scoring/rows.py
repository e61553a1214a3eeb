"""Rows: what is scored, one row each, beside the groups and units that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.data.dataset import Attribute, Dataset
from auditor.data.image_names import ImageNames
from auditor.data.pooling import by_label, crossed
from auditor.findings import Better, RowKind
from auditor.scoring.presence import OneHot, Presence


@dataclass(frozen=True)
class Amount:
    """A number of each row, (n,), in `unit`; `better` is the direction in which it is good.

    `span` are the ends of its scale.
    """

    values: np.ndarray
    better: Better
    unit: str
    span: tuple[float, float]


@dataclass(frozen=True)
class Rows:
    """Scored rows of one pass: images, objects that should be found, or answers.

    `dataset` holds one line a row, in the order of the rows; an object's line repeats its image's
    id and unit. `right` (n,) bool says whether a row was answered rightly, False where the truth
    is not known (`known`); `headline` is the name of the share of such rows (``accuracy``).
    `confidence` (n,) 0-1 is how sure the model was. `presence` says which classes are in a row and
    which were called; `flags` (n,) bool say what is wrong with a row; `amounts` are further numbers
    of each row, (n,), by the name of the quantity that their mean is. `extents` (n,) say of an
    answer with a box how large that is (``area``, in pixels) and its shape (``aspect``, width by
    height); neither is good or bad, and no quantity is their mean. `numbers` (n,) tell the rows
    of one image apart in any pass, where not all that is in it has a row; None: their order does.
    `derived` is what is made of these very rows once, for all who ask, by a name of it.
    """

    dataset: Dataset
    right: np.ndarray
    known: np.ndarray
    confidence: np.ndarray
    presence: Presence
    amounts: Mapping[str, Amount] = field(default_factory=dict)
    flags: Mapping[str, np.ndarray] = field(default_factory=dict)
    extents: Mapping[str, np.ndarray] = field(default_factory=dict)
    of: RowKind = "image"
    headline: str = "accuracy"
    numbers: np.ndarray | None = None
    derived: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def unanswered(cls, dataset: Dataset) -> Rows:
        """Rows of images that no model has answered, for what is told of their labels alone."""
        none = np.zeros(len(dataset), dtype=bool)
        return cls(
            dataset=dataset,
            right=none,
            known=dataset.labels >= 0,
            confidence=np.full(len(dataset), np.nan),
            presence=OneHot(dataset.classes, dataset.labels, np.full(len(dataset), -1)),
        )

    def __len__(self) -> int:
        return len(self.right)

    @property
    def noun(self) -> str:
        """What several rows are called."""
        return f"{self.of}s"

    @property
    def keys(self) -> ImageNames:
        """What tells the rows of one image from each other and from others', (n,) of str."""
        if self.of == "image":
            return self.image_ids
        ids = pd.Series(np.asarray(self.image_ids))
        counted = ids.groupby(ids).cumcount() if self.numbers is None else pd.Series(self.numbers)
        return ImageNames.of((ids + "\n" + counted.astype(str)).to_numpy(dtype=object))

    @property
    def split(self) -> str:
        return self.dataset.split

    @property
    def classes(self) -> tuple[str, ...]:
        return self.presence.classes

    @property
    def image_ids(self) -> ImageNames:
        return self.dataset.image_ids

    @property
    def units(self) -> np.ndarray | None:
        return self.dataset.units

    @property
    def unit_codes(self) -> NDArray[np.int64] | None:
        """An integer for the unit of each row, (n,); None where the manifest names no unit."""
        # Codes once: comparing names, once a group and class, would take most of the time.
        return self.dataset.unit_codes

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.dataset.attributes

    def groups(self, attribute: str) -> np.ndarray:
        """Group of each row under an attribute, (n,)."""
        return self.dataset.groups(attribute)

    def present(self, label: str) -> NDArray[np.bool_]:
        """Whether a class is in each row, (n,)."""
        return self.presence.present(label)

    def called(self, label: str) -> NDArray[np.bool_]:
        """Whether the model called a class in each row, (n,)."""
        return self.presence.called(label)

    def take(self, keep: np.ndarray) -> Rows:
        """The rows at the positions (or under the mask) `keep`, in that order."""
        at = np.flatnonzero(keep) if keep.dtype == bool else keep
        return replace(
            self,
            dataset=self.dataset.take(at),
            right=self.right[at],
            known=self.known[at],
            confidence=self.confidence[at],
            presence=self.presence.take(at),
            amounts={n: replace(a, values=a.values[at]) for n, a in self.amounts.items()},
            flags={name: values[at] for name, values in self.flags.items()},
            extents={name: values[at] for name, values in self.extents.items()},
            numbers=None if self.numbers is None else self.numbers[at],
        )

    @cached_property
    def with_truth(self) -> Rows:
        """The rows whose truth is known."""
        return self if self.known.all() else self.take(self.known)

    def by_label(self) -> Rows:
        """With groups that can be counted by class (`auditor.data.pooling.by_label`)."""
        return replace(self, dataset=by_label(self.dataset)) if self.dataset.coarser else self

    def crossed(self, first: str, second: str) -> Rows:
        """With groups of two attributes that can be counted by each other's."""
        dataset = crossed(self.dataset, (first, second))
        return self if dataset is self.dataset else replace(self, dataset=dataset)
