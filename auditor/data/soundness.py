"""Which images are set apart before anything is measured: unreadable, duplicated, leaked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auditor.data.dataset import Dataset
from auditor.data.image_files import ImageFiles
from auditor.data.images import decode
from auditor.data.near_duplicates import (
    KIND_NAMES,
    NEAR,
    NO_PAIRS,
    NONE,
    NearPairs,
    Pixels,
    Prints,
    exact_twins,
    near_pairs,
    prints,
)
from auditor.errors import DataError

PAIR_COLUMNS = ("image", "twin", "kind", "distance", "label", "twin_label", "reported")
"""Columns of tables of pairs; labels are class names ("" without), distance in grey levels.
`reported`: told, not set apart."""


@dataclass(frozen=True)
class RoleSoundness:
    """Masks over a split's rows, (n,) bool each, and the pairs of images behind them.

    `repeated`: an earlier image of the split is the same photograph; `conflicting`: an equal
    image of the split has another label, so that neither label can be trusted. `seen_image`: a
    training image is the same photograph. `seen_unit`: the image's unit has training images. Only
    test images can have been seen, only deployment images be `in_test`, photographs of the test
    data: elsewhere these are all False. `repeat_reported` and so on: those of them that are copies
    not to the pixel, which are told, but not set apart. `duplicates`, `seen` and `shared` have
    `PAIR_COLUMNS`, one row an image that is repeated, seen, in the test data.
    """

    readable: np.ndarray
    repeated: np.ndarray
    conflicting: np.ndarray
    seen_image: np.ndarray
    seen_unit: np.ndarray
    in_test: np.ndarray
    repeat_reported: np.ndarray
    seen_reported: np.ndarray
    in_test_reported: np.ndarray
    duplicates: pd.DataFrame
    seen: pd.DataFrame
    shared: pd.DataFrame

    @property
    def duplicate(self) -> np.ndarray:
        """Set apart, as an earlier image is the same photograph."""
        duplicate: np.ndarray = self.repeated & ~self.repeat_reported
        return duplicate

    @property
    def leaked(self) -> np.ndarray:
        """Seen in training, as image or through the unit."""
        leaked: np.ndarray = self.seen_image | self.seen_unit
        return leaked

    @property
    def keep(self) -> np.ndarray:
        """The clean subset: readable, no duplicate, of one label, not leaked, in one split."""
        seen = (self.seen_image & ~self.seen_reported) | self.seen_unit
        shared = self.in_test & ~self.in_test_reported
        kept: np.ndarray = ~(~self.readable | self.duplicate | self.conflicting | seen | shared)
        return kept


@dataclass(frozen=True)
class Soundness:
    """What was set apart, by split. `units_compared`: both test and train name their units.

    `photographs`: of each split's images a number (n,) that copies share, also across splits.
    """

    splits: Mapping[str, RoleSoundness]
    units_compared: bool
    photographs: Mapping[str, np.ndarray] = field(default_factory=dict)

    def keep(self, split: str) -> np.ndarray:
        """Mask over the rows of a split's dataset: its clean subset, (n,) bool."""
        return self.splits[split].keep

    def summary(self) -> dict[str, dict[str, int]]:
        """Counts by split; an image may be counted under several reasons."""
        return {
            split: {
                "images": len(found.readable),
                "unreadable": int((~found.readable).sum()),
                "duplicate": int(found.duplicate.sum()),
                "conflicting_label": int(found.conflicting.sum()),
                "seen_image": int((found.seen_image & ~found.seen_reported).sum()),
                "seen_unit": int(found.seen_unit.sum()),
                "in_test": int((found.in_test & ~found.in_test_reported).sum()),
                "sound": int(found.keep.sum()),
            }
            for split, found in self.splits.items()
        }


def assess(
    datasets: Mapping[str, Dataset],
    scans: Mapping[str, pd.DataFrame],
    *,
    near: str = "report",
    max_pixels: int = 100_000_000,
    white: float | None = None,
) -> Soundness:
    """Find unreadable, duplicated and leaked images; scans are in the order of their datasets.

    Of equal images the first in the manifest is kept; none where their labels differ. Leaked are
    test images of which training has the same photograph or images of the same unit; units are
    compared by their names, which must mean the same in both manifests. `near` says what becomes
    of copies that are not equal to the pixel: ``report``, ``set-apart`` or ``off``. Reported only
    are, whatever it says, those within one unit, and those of other units with other labels.
    `max_pixels` and `white` as of `auditor.data.images.decode`.
    """
    known = prints(pd.concat([scans[split] for split in datasets], ignore_index=True))
    starts = np.cumsum([0, *map(len, datasets.values())])
    places = {s: np.arange(a, b) for s, a, b in zip(datasets, starts[:-1], starts[1:], strict=True)}
    reader = _reader(datasets, max_pixels=max_pixels, white=white)
    pairs = NO_PAIRS if near == "off" else near_pairs(known, pixels=reader)
    whole = _Known(datasets, known, places, pairs, may_go=near == "set-apart")
    return Soundness(
        splits={split: _split_soundness(split, scans[split], whole) for split in datasets},
        units_compared=all(
            split in datasets and datasets[split].has_units for split in ("test", "train")
        ),
        photographs={split: whole.photographs[rows] for split, rows in places.items()},
    )


def _reader(datasets: Mapping[str, Dataset], *, max_pixels: int, white: float | None) -> Pixels:
    files = ImageFiles()
    paths = np.concatenate([d.frame["path"].to_numpy(dtype=object) for d in datasets.values()])

    def pixels(position: int) -> np.ndarray | None:
        try:
            content = files.read(paths[position])
            return decode(content, max_pixels=max_pixels, white=white).pixels
        except (OSError, DataError):
            return None

    return pixels


class _Known:
    """All splits' images in one row: which are copies of which."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        known: Prints,
        places: Mapping[str, np.ndarray],
        pairs: NearPairs,
        *,
        may_go: bool,
    ) -> None:
        self.datasets, self.known, self.places, self.pairs = datasets, known, places, pairs
        units = [d.units if d.units is not None else np.full(len(d), "") for d in datasets.values()]
        unit, label = np.concatenate(units), np.concatenate([d.labels for d in datasets.values()])
        same_unit = (unit[pairs.one] == unit[pairs.other]) & (unit[pairs.one] != "")
        labels = label[pairs.one], label[pairs.other]
        self.goes = may_go & ~same_unit & ((labels[0] == labels[1]) | (np.minimum(*labels) < 0))
        # Of equal images the first stands for all.
        equal, _ = exact_twins(known, known)
        self.first = np.where(equal >= 0, equal, np.arange(len(known)))
        links = coo_array((np.ones(len(pairs.one)), (pairs.one, pairs.other)), [len(known)] * 2)
        self.photographs = connected_components(links, directed=False)[1][self.first]

    def twins(self, split: str, others: str) -> _Twins:
        """Of each image of a split the twin in another, or an earlier one of its own."""
        ours, theirs = self.places[split], self.places[others]
        index, kind = exact_twins(self._part(ours), self._part(theirs))
        if split == others:
            later = index >= np.arange(len(ours))
            index[later], kind[later] = -1, NONE
        distance = np.where(index >= 0, 0.0, np.nan)
        goes = index >= 0
        for one, other, apart, may_go in self._near_of(ours, theirs, same=split == others):
            best = (not goes[one], distance[one], index[one])
            if kind[one] == NONE or (kind[one] == NEAR and (not may_go, apart, other) < best):
                index[one], kind[one], distance[one], goes[one] = other, NEAR, apart, may_go
        return _Twins(index, kind, distance, reported=(kind == NEAR) & ~goes)

    def _part(self, rows: np.ndarray) -> Prints:
        return Prints(**{f.name: getattr(self.known, f.name)[rows] for f in fields(Prints)})

    def _near_of(
        self, ours: np.ndarray, theirs: np.ndarray, *, same: bool
    ) -> Iterator[tuple[int, int, float, bool]]:
        """Near pairs of images of two splits, as positions in them; within one the later first."""
        members: dict[int, list[int]] = {}
        for position, first in enumerate(self.first.tolist()):
            members.setdefault(first, []).append(position)
        for one, other, apart, goes in zip(
            self.pairs.one.tolist(),
            self.pairs.other.tolist(),
            self.pairs.distance.tolist(),
            self.goes.tolist(),
            strict=True,
        ):
            for a, b in ((one, other), (other, one)):
                mine = [m for m in members[a] if ours[0] <= m <= ours[-1]]
                yours = [m for m in members[b] if theirs[0] <= m <= theirs[-1]]
                if yours:
                    for m in mine:
                        if not same or yours[0] < m:
                            yield m - ours[0], yours[0] - theirs[0], apart, goes


@dataclass(frozen=True)
class _Twins:
    """Position of each image's twin (-1 for none), its kind, distance, and whether it stays."""

    index: np.ndarray
    kind: np.ndarray
    distance: np.ndarray
    reported: np.ndarray

    @property
    def found(self) -> np.ndarray:
        return self.index >= 0


def _split_soundness(split: str, scan: pd.DataFrame, whole: _Known) -> RoleSoundness:
    dataset = whole.datasets[split]
    own, seen, shared = (
        whole.twins(split, others)
        if there and others in whole.datasets
        else _no_twins(len(dataset))
        for others, there in (
            (split, True),
            ("train", split == "test"),
            ("test", split == "deployment"),
        )
    )
    return RoleSoundness(
        readable=scan["readable"].to_numpy(dtype=bool),
        repeated=own.found,
        conflicting=_conflicting(dataset.labels, whole.first[whole.places[split]]),
        seen_image=seen.found,
        seen_unit=_seen_units(dataset, whole.datasets.get("train") if split == "test" else None),
        in_test=shared.found,
        repeat_reported=own.reported,
        seen_reported=seen.reported,
        in_test_reported=shared.reported,
        duplicates=_pairs(dataset, dataset, own),
        seen=_pairs(dataset, whole.datasets.get("train"), seen),
        shared=_pairs(dataset, whole.datasets.get("test"), shared),
    )


def _no_twins(n: int) -> _Twins:
    none = np.full(n, -1, dtype=np.int64)
    return _Twins(none, np.zeros(n, dtype=np.int8), np.full(n, np.nan), none > 0)


def _conflicting(labels: np.ndarray, photograph: np.ndarray) -> np.ndarray:
    """Mask of labelled and unlabelled images of which equal ones have two labels or more."""
    known = pd.Series(labels).where(labels >= 0)
    counts = known.groupby(photograph).transform("nunique")
    return (counts > 1).to_numpy(dtype=bool)


def _seen_units(test: Dataset, train: Dataset | None) -> np.ndarray:
    if train is None or test.units is None or train.units is None:
        return np.zeros(len(test), dtype=bool)
    known = set(train.frame["unit"]) - {""}
    seen: np.ndarray = np.isin(test.frame["unit"].to_numpy(dtype=str), sorted(known))
    return seen


def _pairs(dataset: Dataset, others: Dataset | None, twins: _Twins) -> pd.DataFrame:
    if others is None:
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    rows = np.flatnonzero(twins.found)
    found = twins.index[rows]
    return pd.DataFrame(
        {
            "image": dataset.image_ids[rows],
            "twin": others.image_ids[found],
            "kind": [KIND_NAMES[kind] for kind in twins.kind[rows].tolist()],
            "distance": twins.distance[rows].round(2),
            "label": _class_names(dataset)[rows],
            "twin_label": _class_names(others)[found],
            "reported": twins.reported[rows],
        }
    )


def _class_names(dataset: Dataset) -> np.ndarray:
    # Index -1, no label, takes the last entry.
    names: np.ndarray = np.array([*dataset.classes, ""], dtype=object)[dataset.labels]
    return names
