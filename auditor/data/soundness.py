"""Which images are set apart before anything is measured: unreadable, duplicated, leaked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.data.image_files import ImageFiles
from auditor.data.images import Decoded, decode
from auditor.data.near_duplicates import (
    KIND_NAMES,
    NEAR,
    Comparisons,
    Pixels,
    first_places,
    near_pairs,
    no_pairs,
    prints,
)
from auditor.data.thumbnails import Thumbnails
from auditor.data.twins import KnownCopies, Twins
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

    `photographs`: of each split's images a number (n,) int32 that copies share, also across splits.
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
    seen = prints(*(scans[split] for split in datasets), thumbnails=thumbnails)
    starts = np.cumsum([0, *map(len, datasets.values())]).tolist()
    places = {split: slice(*ends) for split, ends in zip(datasets, pairwise(starts), strict=True)}
    reader = _reader(datasets, partial(decode, max_pixels=max_pixels, white=white, dicom=dicom))
    pairs = no_pairs(len(seen)) if near == "off" else near_pairs(seen, pixels=reader, known=known)
    whole = KnownCopies(datasets, seen, places, pairs, may_go=near == "set-apart")
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


def _split_soundness(split: str, scan: pd.DataFrame, whole: KnownCopies) -> RoleSoundness:
    dataset = whole.datasets[split]
    own, seen, shared = (
        whole.twins(split, others)
        if there and others in whole.datasets
        else Twins.none(len(dataset))
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
        repeat_reported=own.told,
        seen_reported=seen.told,
        in_test_reported=shared.told,
        partly_compared=whole.pairs.partly[whole.places[split]],
        duplicates=_pairs(dataset, dataset, own),
        seen=_pairs(dataset, whole.datasets.get("train"), seen),
        shared=_pairs(dataset, whole.datasets.get("test"), shared),
    )


def of_two_labels(labels: np.ndarray, photograph: np.ndarray) -> np.ndarray:
    """Mask of images (n,), labelled or not (-1), whose photograph has two labels or more.

    `photograph` (n,): a number, 0 or more, that copies share.
    """
    labelled = np.flatnonzero(labels >= 0)
    known, shown = labels[labelled], photograph[labelled]
    size = int(photograph.max(initial=-1)) + 1
    other = known != known[first_places(shown, size)[shown]]
    found = np.zeros(size, dtype=bool)
    found[shown[other]] = True
    mask: np.ndarray = found[photograph]
    return mask


def _seen_units(test: Dataset, train: Dataset | None) -> np.ndarray:
    if train is None or not (test.has_units and train.has_units):
        return np.zeros(len(test), dtype=bool)
    known = set(train.table["unit"].unique()) - {""}
    places, names = test.table.codes("unit")
    # Not by pandas, which would keep a table of all names.
    seen = np.fromiter((name in known for name in names), dtype=bool, count=len(names))
    found: np.ndarray = seen[places]
    return found


def _pairs(dataset: Dataset, others: Dataset | None, twins: Twins) -> pd.DataFrame:
    if others is None:
        # Typed: joined to others, a column of objects would take their truth values with it.
        empty = pd.DataFrame(columns=list(PAIR_COLUMNS))
        return empty.astype({"distance": float, "reported": bool})
    rows, found = twins.rows, twins.index
    return pd.DataFrame(
        {
            "image": dataset.image_ids[rows],
            "twin": others.image_ids[found],
            "kind": [KIND_NAMES[kind] for kind in twins.kind.tolist()],
            "distance": twins.distance.round(2),
            "label": _class_names(dataset, rows),
            "twin_label": _class_names(others, found),
            "reported": twins.reported,
        }
    )


def _class_names(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    # Index -1, no label, takes the last entry.
    names: np.ndarray = np.array([*dataset.classes, ""], dtype=object)[dataset.labels[rows]]
    return names
