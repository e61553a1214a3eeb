"""Which images are set apart before anything is measured: unreadable, duplicated, leaked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auditor.data.dataset import Dataset
from auditor.data.image_files import ImageFiles
from auditor.data.images import Decoded, decode
from auditor.data.near_duplicates import (
    KIND_NAMES,
    NEAR,
    NONE,
    PRINTED,
    Comparisons,
    NearPairs,
    Pixels,
    Prints,
    exact_twins,
    near_pairs,
    no_pairs,
    prints,
)
from auditor.data.thumbnails import Thumbnails
from auditor.errors import DataError
from auditor.spec import DicomSpec

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
    partly_compared: np.ndarray
    duplicates: pd.DataFrame
    seen: pd.DataFrame
    shared: pd.DataFrame

    @property
    def duplicate(self) -> np.ndarray:
        """Set apart, as an earlier image is the same photograph."""
        duplicate: np.ndarray = self.repeated & ~self.repeat_reported
        return duplicate

    @property
    def seen_near(self) -> np.ndarray:
        """Training has a changed copy, and no equal image."""
        near = pd.Series(self.seen["kind"].to_numpy() == KIND_NAMES[NEAR], dtype=bool)
        found = np.zeros(len(self.seen_image), dtype=bool)
        # One row an image that is seen, in their order.
        found[np.flatnonzero(self.seen_image)] = near.to_numpy()
        return found

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
    dicom: DicomSpec | None = None,
    known: Comparisons | None = None,
    thumbnails: Thumbnails | None = None,
) -> Soundness:
    """Find unreadable, duplicated and leaked images; scans are in the order of their datasets.

    Of equal images the first in the manifest is kept; none where their labels differ. Leaked are
    test images of which training has the same photograph or images of the same unit; units are
    compared by their names, which must mean the same in both manifests. `near` says what becomes
    of copies that are not equal to the pixel: ``report``, ``set-apart`` or ``off``. Reported only
    are, whatever it says, those within one unit, and those of other units with other labels.
    `max_pixels`, `white` and `dicom` as of `auditor.data.images.decode`, `known` as of
    `near_pairs`; `thumbnails` of all images, split by split, where the scans hold none.
    """
    told = [scans[split].filter(PRINTED) for split in datasets]
    seen = prints(pd.concat(told, ignore_index=True), thumbnails)
    starts = np.cumsum([0, *map(len, datasets.values())])
    places = {s: np.arange(a, b) for s, a, b in zip(datasets, starts[:-1], starts[1:], strict=True)}
    reader = _reader(datasets, partial(decode, max_pixels=max_pixels, white=white, dicom=dicom))
    pairs = no_pairs(len(seen)) if near == "off" else near_pairs(seen, pixels=reader, known=known)
    whole = _Known(datasets, seen, places, pairs, may_go=near == "set-apart")
    return Soundness(
        splits={split: _split_soundness(split, scans[split], whole) for split in datasets},
        units_compared=all(
            split in datasets and datasets[split].has_units for split in ("test", "train")
        ),
        photographs={split: whole.photographs[rows] for split, rows in places.items()},
    )


def _reader(datasets: Mapping[str, Dataset], decoded: Callable[[bytes], Decoded]) -> Pixels:
    files = ImageFiles()
    paths = [dataset.paths for dataset in datasets.values()]
    starts = np.cumsum([0, *map(len, paths)])

    def pixels(position: int) -> np.ndarray | None:
        split = int(np.searchsorted(starts, position, side="right")) - 1
        try:
            return decoded(files.read(paths[split][position - int(starts[split])])).pixels
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
        # Of equal images the first stands for all.
        equal, _ = exact_twins(known, known)
        self.first = np.where(equal >= 0, equal, np.arange(len(known)))
        self.goes = may_go & ~self._one_unit() & ~self._other_labels()
        self.photographs = self._linked(np.ones(len(pairs.one), dtype=bool))[self.first]

    def _one_unit(self) -> np.ndarray:
        """Mask of near pairs of images, or of equal ones, of one unit."""
        units = np.concatenate(
            [np.full(len(d), "") if d.units is None else d.units for d in self.datasets.values()]
        )
        paired = np.isin(self.first, np.concatenate([self.pairs.one, self.pairs.other]))
        known = pd.DataFrame({"one": self.first[paired], "unit": units[paired]})
        known = known[known["unit"] != ""].drop_duplicates()
        pairs = pd.DataFrame({"one": self.pairs.one, "other": self.pairs.other}).reset_index()
        both = pairs.merge(known, on="one").merge(
            known.rename(columns={"one": "other"}), on=["other", "unit"]
        )
        found: np.ndarray = np.isin(pairs["index"], both["index"])
        return found

    def _other_labels(self) -> np.ndarray:
        """Mask of near pairs that have, with their equal ones, more than one label."""
        labels = pd.Series(np.concatenate([d.labels for d in self.datasets.values()]))
        known = labels.where(labels >= 0).groupby(self.first)
        low, high = (
            known.transform(end).to_numpy()[[self.pairs.one, self.pairs.other]]
            for end in ("min", "max")
        )
        found: np.ndarray = np.fmin(*low) < np.fmax(*high)
        return found

    def _linked(self, pairs: np.ndarray) -> np.ndarray:
        """Numbers (n,) that images share which a mask of near pairs links."""
        one, other = self.pairs.one[pairs], self.pairs.other[pairs]
        links = coo_array((np.ones(len(one)), (one, other)), [len(self.first)] * 2)
        found: np.ndarray = connected_components(links, directed=False)[1]
        return found

    def twins(self, split: str, others: str) -> _Twins:
        """Of each image of a split the twin in another; in its own, of all but the first of copies.

        How many have one does not depend on the order of images.
        """
        ours, theirs = self.places[split], self.places[others]
        index, kind = exact_twins(self.known.take(ours), self.known.take(theirs))
        near = self._nearest(ours, theirs)
        copies, gone = index >= 0, near["goes"].to_numpy() == 1
        if split == others:
            index[index >= np.arange(len(ours))] = -1
            copies, gone = self._repeats(ours)
        else:
            copies = copies | near["to"].notna().to_numpy()
        with_near = copies & (index < 0)
        index[with_near] = near["to"].to_numpy()[with_near]
        kind = np.where(with_near, NEAR, np.where(copies, kind, NONE))
        distance = np.where(copies, np.where(with_near, near["distance"], 0.0), np.nan)
        return _Twins(index, kind, distance, reported=with_near & ~gone)

    def _repeats(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Masks of the images of a split that are not the first of their copies; that go for it."""
        present = np.isin(self.first, self.first[rows])
        inside = present[self.pairs.one] & present[self.pairs.other]
        return tuple(
            pd.Series(self._linked(mask)[self.first[rows]]).duplicated().to_numpy()
            for mask in (inside, inside & self.goes)
        )

    def _nearest(self, ours: np.ndarray, theirs: np.ndarray) -> pd.DataFrame:
        """Of each of ours the near copy among theirs: one that goes, else earlier, else nearest."""
        mine = pd.DataFrame({"one": self.first[ours], "from": np.arange(len(ours))})
        other = pd.DataFrame({"other": self.first[theirs], "to": np.arange(len(theirs))})
        ends = self.pairs.one, self.pairs.other
        pairs = pd.DataFrame(
            {
                "one": np.concatenate(ends),
                "other": np.concatenate(ends[::-1]),
                "distance": np.tile(self.pairs.distance, 2),
                "goes": np.tile(self.goes, 2),
            }
        )
        found = mine.merge(pairs, on="one").merge(other.drop_duplicates("other"), on="other")
        found["later"] = theirs[found["to"]] > ours[found["from"]]
        found = found.assign(stays=~found["goes"]).sort_values(["stays", "later", "distance", "to"])
        return found.drop_duplicates("from").set_index("from").reindex(range(len(ours)))


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
        conflicting=of_two_labels(dataset.labels, whole.first[whole.places[split]]),
        seen_image=seen.found,
        seen_unit=_seen_units(dataset, whole.datasets.get("train") if split == "test" else None),
        in_test=shared.found,
        repeat_reported=own.reported,
        seen_reported=seen.reported,
        in_test_reported=shared.reported,
        partly_compared=whole.pairs.partly[whole.places[split]],
        duplicates=_pairs(dataset, dataset, own),
        seen=_pairs(dataset, whole.datasets.get("train"), seen),
        shared=_pairs(dataset, whole.datasets.get("test"), shared),
    )


def _no_twins(n: int) -> _Twins:
    none = np.full(n, -1, dtype=np.int64)
    return _Twins(none, np.zeros(n, dtype=np.int8), np.full(n, np.nan), none > 0)


def of_two_labels(labels: np.ndarray, photograph: np.ndarray) -> np.ndarray:
    """Mask of images (n,), labelled or not (-1), whose photograph has two labels or more."""
    known = pd.Series(labels).where(labels >= 0)
    counts = known.groupby(photograph).transform("nunique")
    return (counts > 1).to_numpy(dtype=bool)


def _seen_units(test: Dataset, train: Dataset | None) -> np.ndarray:
    if train is None or test.units is None or train.units is None:
        return np.zeros(len(test), dtype=bool)
    known = set(train.frame["unit"].unique()) - {""}
    return test.frame["unit"].isin(known).to_numpy(dtype=bool)


def _pairs(dataset: Dataset, others: Dataset | None, twins: _Twins) -> pd.DataFrame:
    if others is None:
        # Typed: joined to others, a column of objects would take their truth values with it.
        empty = pd.DataFrame(columns=list(PAIR_COLUMNS))
        return empty.astype({"distance": float, "reported": bool})
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
