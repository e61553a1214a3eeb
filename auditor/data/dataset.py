"""A dataset split once its manifest is read: plain values that every layer above shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd

MISSING_GROUP = ""
"""The group of images whose attribute has no value."""


@dataclass(frozen=True)
class Attribute:
    """An attribute of a dataset: its role, its groups in order, its declared population.

    `groups` holds every group seen or declared, without `MISSING_GROUP`. `numeric` says that
    the groups are bins of a number. `smallest` is the least number of units that a published cell
    may hold, None where nothing was declared; `pooled` maps a group that stands for several small
    ones to their names (see `auditor.data.pooling`).
    """

    name: str
    role: str
    groups: tuple[str, ...]
    population: Mapping[str, float] | None = None
    numeric: bool = False
    special_category: bool = False
    smallest: int | None = None
    pooled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """The images of one split, in manifest order.

    `frame` has one row an image and the columns ``image_id`` (str, unique), ``path`` (str,
    absolute; never enters a record), ``label`` (int64 class index, -1 where there is none),
    ``unit`` and ``annotator`` (str, "" where missing), ``time`` (datetime64, NaT where missing),
    and for each attribute ``attribute:NAME`` (str group, `MISSING_GROUP` where missing). Where
    the spec names them: ``rating:NAME`` for each of `annotators` and ``gold`` (int64 class index,
    -1 where that hand did not label the image).
    `digest` is the SHA-256 of the manifest's rows as read. `coarser` maps an attribute to the
    group that stands for each of its groups where images are counted by group and label.
    """

    split: str
    frame: pd.DataFrame
    classes: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    digest: str
    has_labels: bool
    has_units: bool
    annotators: tuple[str, ...] = ()
    has_gold: bool = False
    coarser: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def image_ids(self) -> np.ndarray:
        return self.frame["image_id"].to_numpy(dtype=object)

    @property
    def labels(self) -> np.ndarray:
        """Class index of each image, -1 where there is none; shape (n,), int64."""
        return self.frame["label"].to_numpy(dtype=np.int64)

    @property
    def units(self) -> np.ndarray | None:
        """Unit of each image as str, shape (n,); None when the manifest names no unit.

        An image without one is a unit of its own: taken together, such images would be one unit.
        """
        if not self.has_units:
            return None
        named = self.frame["unit"].to_numpy(dtype=object)
        alone = named == ""
        if alone.any():
            named = np.where(alone, "image:" + self.image_ids.astype(str).astype(object), named)
        return named

    def rating(self, annotator: str) -> np.ndarray:
        """Class index that one of `annotators` gave each image, -1 where none; (n,) int64."""
        return self.frame[f"rating:{annotator}"].to_numpy(dtype=np.int64)

    @property
    def gold(self) -> np.ndarray:
        """Class index that the expert gave each image, -1 where none; shape (n,), int64."""
        if not self.has_gold:
            return np.full(len(self), -1, dtype=np.int64)
        return self.frame["gold"].to_numpy(dtype=np.int64)

    def groups(self, attribute: str) -> np.ndarray:
        """Group of each image under `attribute`, shape (n,), `MISSING_GROUP` where missing."""
        return self.frame[f"attribute:{attribute}"].to_numpy(dtype=object)

    def attribute(self, name: str) -> Attribute:
        """The attribute of a name; KeyError where there is none."""
        return {a.name: a for a in self.attributes}[name]

    def attributes_of(self, *roles: str) -> tuple[Attribute, ...]:
        """Attributes with one of `roles` (all roles when none is named)."""
        return tuple(a for a in self.attributes if not roles or a.role in roles)

    def take(self, keep: np.ndarray) -> Self:
        """The images at the positions (or under the mask) `keep`, in that order."""
        positions = np.flatnonzero(keep) if keep.dtype == bool else keep
        return replace(self, frame=self.frame.iloc[positions].reset_index(drop=True))
