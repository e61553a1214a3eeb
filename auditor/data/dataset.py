"""A dataset split once its manifest is read: plain values that every layer above shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from auditor.data.annotations import ImageHeader
from auditor.data.columns import Columns
from auditor.data.image_names import ImageNames
from auditor.data.image_paths import ImagePaths
from auditor.data.truth import Truth
from auditor.stats.codes import codes_of, compact

MISSING_GROUP = ""
"""The group of images whose attribute has no value."""

_NO_NAMES = ImageNames.of(())
_NO_PATHS = ImagePaths.of((), names=())


@dataclass(frozen=True)
class Attribute:
    """An attribute of a dataset: its role, its groups in order, its declared population.

    `groups` holds every group seen or declared, without `MISSING_GROUP`. `numeric` says that
    the groups are bins of a number. `smallest` is the least number of units that a published cell
    may hold, None where nothing was declared; `pooled` maps a group that stands for several small
    ones to their names (see `auditor.data.pooling`). `source` says that its groups are where images
    come from.
    """

    name: str
    role: str
    groups: tuple[str, ...]
    population: Mapping[str, float] | None = None
    numeric: bool = False
    special_category: bool = False
    smallest: int | None = None
    pooled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: bool = False


@dataclass(frozen=True)
class CodedGroups:
    """The group of each image as a place in `names`; `codes` (n,) are in as few bytes as do.

    Of some of `names` there may be no image.
    """

    codes: np.ndarray
    names: tuple[str, ...]

    @property
    def seen(self) -> frozenset[str]:
        """The names that images have."""
        counted = np.bincount(self.codes, minlength=len(self.names))
        return frozenset(name for name, n in zip(self.names, counted, strict=True) if n)

    def places_in(self, groups: Sequence[str]) -> np.ndarray:
        """The place of each image's group in other names, (n,), -1 where it is not among them."""
        place_of = {group: place for place, group in enumerate(groups)}
        places = np.array([place_of.get(name, -1) for name in self.names], dtype=np.int64)
        least = np.min_scalar_type(-1 - len(groups))
        found: np.ndarray = places.astype(least)[self.codes]
        return found


@dataclass(frozen=True)
class Dataset:
    """The images of one split, in manifest order.

    `image_ids` are their names (unique), `paths` where they lie (absolute, for
    `auditor.data.image_files`; they never enter a record). `table` has one row an image and the
    columns ``label`` (class index, -1 where there is none), ``unit`` and ``annotator`` (str, ""
    where missing), ``time`` (datetime64, NaT where missing), and for each attribute
    ``attribute:NAME`` (str group, `MISSING_GROUP` where missing). Where the spec names them:
    ``rating:NAME`` for each of `annotators` and ``gold`` (class index, -1 where that hand did not
    label the image). A frame may be given in its place, and in that the columns ``image_id`` and
    ``path`` in place of `image_ids` and `paths`. What a million images have is held once, or in few
    bytes: units, annotators and groups as codes (pandas' ``category``), class indices as small
    numbers; images that are some of others (`take`) are positions among these.
    Of detectors' and segmenters' images ``width``, ``height`` (as stored, 0 where they cannot be
    opened) and ``orientation`` are known before they are decoded, and `truth` is what is annotated
    in them, None where nothing is; `has_labels` then says whether anything is. Groups of
    `object_attributes` are those of objects and stand in `truth.boxes.attributes`.
    `drawn_by` is what each of several annotators drew of the same images, `drawn_gold` what an
    expert did, each known of those images alone that it was drawn of.
    `digest` is the SHA-256 of the manifest's rows as read. `coarser` maps an attribute to the
    group that stands for each of its groups where images are counted by group and label.
    """

    split: str
    table: Columns
    classes: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    digest: str
    has_labels: bool
    has_units: bool
    annotators: tuple[str, ...] = ()
    has_gold: bool = False
    coarser: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    truth: Truth | None = None
    object_attributes: tuple[Attribute, ...] = ()
    drawn_by: Mapping[str, Truth] = field(default_factory=dict)
    drawn_gold: Truth | None = None
    image_ids: ImageNames = _NO_NAMES
    paths: ImagePaths = _NO_PATHS

    def __post_init__(self) -> None:
        given: Columns | pd.DataFrame = self.table
        if isinstance(given, Columns):
            return
        if "image_id" in given:
            object.__setattr__(self, "image_ids", ImageNames.of(given["image_id"].to_numpy()))
        if "path" in given:
            paths = ImagePaths.of(given["path"], names=self.image_ids)
            object.__setattr__(self, "paths", paths)
        object.__setattr__(self, "table", Columns.of(given))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def frame(self) -> pd.DataFrame:
        """All columns of `table`; of some of other images it is made anew each time."""
        return self.table.whole()

    @property
    def labels(self) -> np.ndarray:
        """Class index of each image, -1 where there is none; shape (n,), int64."""
        return self.table["label"].to_numpy(dtype=np.int64)

    @property
    def units(self) -> np.ndarray | None:
        """Unit of each image as str, shape (n,); None when the manifest names no unit.

        An image without one is a unit of its own: taken together, such images would be one unit.
        """
        if not self.has_units:
            return None
        named = _names(self.table["unit"])
        alone = np.flatnonzero(named == "")
        named[alone] = [f"image:{image}" for image in self.image_ids[alone]]
        return named

    @property
    def unit_codes(self) -> np.ndarray | None:
        """An integer for the unit of each image, (n,), rising with its name; None without units."""
        if not self.has_units:
            return None
        if self._unit_ranks is None:
            return self._own_unit_codes.astype(np.int64)
        found: np.ndarray = self._unit_ranks[self.table.codes("unit")[0]].astype(np.int64)
        return found

    @cached_property
    def _unit_ranks(self) -> np.ndarray | None:
        """The integer of `unit_codes` of each name of a unit; None where an image is its own."""
        places, held = self.table.codes("unit")
        names = held.to_numpy(dtype=object)
        seen = np.flatnonzero(np.bincount(places, minlength=len(names)))
        if MISSING_GROUP in names[seen]:
            return None
        ranks = np.zeros(len(names), dtype=np.int32)
        ranks[seen[np.argsort(names[seen], kind="stable")]] = np.arange(len(seen))
        return ranks

    @cached_property
    def _own_unit_codes(self) -> np.ndarray:
        units = self.units
        assert units is not None
        return compact(codes_of(units))

    def rating(self, annotator: str) -> np.ndarray:
        """Class index that one of `annotators` gave each image, -1 where none; (n,) int64."""
        return self.table[f"rating:{annotator}"].to_numpy(dtype=np.int64)

    @property
    def gold(self) -> np.ndarray:
        """Class index that the expert gave each image, -1 where none; shape (n,), int64."""
        if not self.has_gold:
            return np.full(len(self), -1, dtype=np.int64)
        return self.table["gold"].to_numpy(dtype=np.int64)

    def groups(self, attribute: str) -> np.ndarray:
        """Group of each image under `attribute`, shape (n,), `MISSING_GROUP` where missing."""
        return _names(self.table[f"attribute:{attribute}"])

    def coded_groups(self, attribute: str) -> CodedGroups:
        """`groups` by their places in a few names, for what counts and compares them."""
        codes, names = self.table.codes(f"attribute:{attribute}")
        return CodedGroups(codes, tuple(names))

    def attribute(self, name: str) -> Attribute:
        """The attribute of a name; KeyError where there is none."""
        return {a.name: a for a in self.attributes}[name]

    def attributes_of(self, *roles: str) -> tuple[Attribute, ...]:
        """Attributes with one of `roles` (all roles when none is named)."""
        return tuple(a for a in self.attributes if not roles or a.role in roles)

    def take(self, keep: np.ndarray) -> Self:
        """The images at the positions (or under the mask) `keep`, in that order."""
        if keep.dtype == bool and keep.all():
            return self
        positions = np.flatnonzero(keep) if keep.dtype == bool else keep
        # One array for all that is taken.
        positions = positions.astype(np.int32, copy=False)
        return replace(
            self,
            table=self.table.take(positions),
            image_ids=self.image_ids.take(positions),
            paths=self.paths.take(positions),
            truth=None if self.truth is None else self.truth.take(positions),
            drawn_by={name: drawn.take(positions) for name, drawn in self.drawn_by.items()},
            drawn_gold=None if self.drawn_gold is None else self.drawn_gold.take(positions),
        )

    def with_names_in_file(self) -> Self:
        """With the names of images in a file, of which the memory holds what is asked for."""
        names = self.image_ids.in_file()
        shared = self.paths.names is self.image_ids
        paths = replace(self.paths, names=names) if shared else self.paths
        return replace(self, image_ids=names, paths=paths)

    def with_headers(self, headers: Sequence[ImageHeader | None]) -> Self:
        """With sizes and orientations of the images."""
        absent = ImageHeader((0, 0))
        found = [header or absent for header in headers]
        frame = self.frame.assign(
            width=[header.size[0] for header in found],
            height=[header.size[1] for header in found],
            orientation=[header.orientation for header in found],
        )
        return replace(self, table=Columns.of(frame))


def _names(column: pd.Series) -> np.ndarray:
    """A column of codes as an array of str, (n,); equal names are one object."""
    names: np.ndarray = column.cat.categories.to_numpy(dtype=object)[column.cat.codes.to_numpy()]
    return names
