"""Which images are set apart before anything is measured: unreadable, duplicated, leaked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.data.near_duplicates import (
    KIND_NAMES,
    Prints,
    Twins,
    earlier_twins,
    prints,
    twins_among,
)

PAIR_COLUMNS = ("image", "twin", "kind", "distance", "label", "twin_label")
"""Columns of tables of pairs; labels are class names ("" without), distance in grey levels."""


@dataclass(frozen=True)
class RoleSoundness:
    """Masks over a split's rows, (n,) bool each, and the pairs of images behind them.

    `duplicate`: an earlier image of the split is the same photograph. `seen_image`: a training
    image is the same photograph. `seen_unit`: the image's unit has training images. Only test
    images can have been seen; elsewhere both are all False. `duplicates` and `seen` have
    `PAIR_COLUMNS`, one row a duplicate and one a seen image.
    """

    readable: np.ndarray
    duplicate: np.ndarray
    seen_image: np.ndarray
    seen_unit: np.ndarray
    duplicates: pd.DataFrame
    seen: pd.DataFrame

    @property
    def leaked(self) -> np.ndarray:
        """Seen in training, as image or through the unit."""
        leaked: np.ndarray = self.seen_image | self.seen_unit
        return leaked

    @property
    def keep(self) -> np.ndarray:
        """The clean subset: readable, no duplicate, not leaked."""
        kept: np.ndarray = self.readable & ~self.duplicate & ~self.leaked
        return kept


@dataclass(frozen=True)
class Soundness:
    """What was set apart, by split. `units_compared`: both test and train name their units."""

    splits: Mapping[str, RoleSoundness]
    units_compared: bool

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
                "seen_image": int(found.seen_image.sum()),
                "seen_unit": int(found.seen_unit.sum()),
                "sound": int(found.keep.sum()),
            }
            for split, found in self.splits.items()
        }


def assess(datasets: Mapping[str, Dataset], scans: Mapping[str, pd.DataFrame]) -> Soundness:
    """Find unreadable, duplicated and leaked images; scans are in the order of their datasets.

    Of images that are the same photograph the first in the manifest is kept. Leaked are test
    images of which training has the same photograph or images of the same unit; units are
    compared by their names, which must mean the same in both manifests.
    """
    known = {split: prints(scans[split]) for split in datasets}
    units_compared = all(
        split in datasets and datasets[split].has_units for split in ("test", "train")
    )
    return Soundness(
        splits={
            split: _split_soundness(dataset, scans[split], datasets=datasets, known=known)
            for split, dataset in datasets.items()
        },
        units_compared=units_compared,
    )


def _split_soundness(
    dataset: Dataset,
    scan: pd.DataFrame,
    *,
    datasets: Mapping[str, Dataset],
    known: Mapping[str, Prints],
) -> RoleSoundness:
    twins = earlier_twins(known[dataset.split])
    train = datasets.get("train") if dataset.split == "test" else None
    none = np.zeros(len(dataset), dtype=bool)
    seen = None if train is None else twins_among(known["test"], known["train"])
    return RoleSoundness(
        readable=scan["readable"].to_numpy(dtype=bool),
        duplicate=twins.found,
        seen_image=none if seen is None else seen.found,
        seen_unit=none if train is None else _seen_units(dataset, train),
        duplicates=_pairs(dataset, dataset, twins),
        seen=_pairs(dataset, train, seen),
    )


def _seen_units(test: Dataset, train: Dataset) -> np.ndarray:
    if test.units is None or train.units is None:
        return np.zeros(len(test), dtype=bool)
    known = set(train.frame["unit"]) - {""}
    seen: np.ndarray = np.isin(test.frame["unit"].to_numpy(dtype=str), sorted(known))
    return seen


def _pairs(dataset: Dataset, others: Dataset | None, twins: Twins | None) -> pd.DataFrame:
    if twins is None or others is None:
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
        }
    )


def _class_names(dataset: Dataset) -> np.ndarray:
    # Index -1, no label, takes the last entry.
    names: np.ndarray = np.array([*dataset.classes, ""], dtype=object)[dataset.labels]
    return names
