"""Which images are copies of which, within a split and across splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auditor.data.dataset import Dataset
from auditor.data.near_duplicates import NEAR, Digests, NearPairs, exact_twins, first_places


class KnownCopies:
    """All splits' images in one row: which are copies of which."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        known: Digests,
        places: Mapping[str, slice],
        pairs: NearPairs,
        *,
        may_go: bool,
    ) -> None:
        self.datasets, self.known, self.places, self.pairs = datasets, known, places, pairs
        # Of equal images the first stands for all.
        self.first, _ = exact_twins(known, known)
        alone = np.flatnonzero(self.first < 0)
        self.first[alone] = alone
        paired = np.zeros(len(known), dtype=bool)
        paired[pairs.one] = paired[pairs.other] = True
        self.paired = paired[self.first]
        self.goes = may_go & ~self._one_unit() & ~self._other_labels()
        self.photographs = self._linked(np.ones(len(pairs.one), dtype=bool))[self.first]

    def _of_paired(self, told: Callable[[Dataset, np.ndarray], np.ndarray]) -> pd.Series:
        """What is told of a dataset's rows, of images in near pairs, by the first of equal ones."""
        rows = {split: np.flatnonzero(self.paired[part]) for split, part in self.places.items()}
        found = [told(self.datasets[split], mine) for split, mine in rows.items()]
        return pd.Series(np.concatenate(found), index=self.first[self.paired].astype(np.int64))

    def _one_unit(self) -> np.ndarray:
        """Mask of near pairs of images, or of equal ones, of one unit."""
        units = self._of_paired(_units_of)
        known = units[units != ""].rename_axis("one").rename("unit").reset_index()
        known = known.drop_duplicates()
        pairs = pd.DataFrame({"one": self.pairs.one, "other": self.pairs.other}).reset_index()
        both = pairs.merge(known, on="one").merge(
            known.rename(columns={"one": "other"}), on=["other", "unit"]
        )
        found: np.ndarray = np.isin(pairs["index"], both["index"])
        return found

    def _other_labels(self) -> np.ndarray:
        """Mask of near pairs that have, with their equal ones, more than one label."""
        labels = self._of_paired(lambda dataset, rows: dataset.labels[rows])
        known = labels.where(labels >= 0).groupby(level=0)
        low, high = (
            [ends.loc[self.pairs.one].to_numpy(), ends.loc[self.pairs.other].to_numpy()]
            for ends in (known.min(), known.max())
        )
        found: np.ndarray = np.fmin(*low) < np.fmax(*high)
        return found

    def _linked(self, pairs: np.ndarray) -> np.ndarray:
        """Numbers (n,) int32 that images share which a mask of near pairs links, rising with n."""
        ends = np.array([self.pairs.one[pairs], self.pairs.other[pairs]])
        rows, (one, other) = np.unique(ends, return_inverse=True)
        links = coo_array((np.ones(len(one)), (one, other)), [len(rows)] * 2)
        _, part = connected_components(links, directed=False)
        _, lowest = np.unique(part, return_index=True)
        begins = np.ones(len(self.first), dtype=bool)
        begins[rows] = False
        begins[rows[lowest]] = True
        numbers = np.cumsum(begins, dtype=np.int32)
        numbers -= 1
        numbers[rows] = numbers[rows[lowest]][part]
        return numbers

    def twins(self, split: str, others: str) -> Twins:
        """Of each image of a split the twin in another; in its own, of all but the first of copies.

        How many have one does not depend on the order of images.
        """
        ours, theirs = self.places[split], self.places[others]
        index, kind = exact_twins(self.known.take(ours), self.known.take(theirs))
        near = self._nearest(ours, theirs)
        if split == others:
            index[index >= np.arange(len(index))] = -1
            copies, gone = self._repeats(ours)
        else:
            copies, gone = index >= 0, np.zeros(len(index), dtype=bool)
            copies[near.index] = True
            gone[near.index] = near["goes"]
        rows = np.flatnonzero(copies)
        index, kind = index[rows], kind[rows]
        nearly = index < 0
        closest = near.loc[rows[nearly]]
        index[nearly], kind[nearly] = closest["to"], NEAR
        distance = np.zeros(len(rows))
        distance[nearly] = closest["distance"]
        return Twins(len(copies), rows, index, kind, distance, reported=nearly & ~gone[rows])

    def _repeats(self, rows: slice) -> tuple[np.ndarray, ...]:
        """Masks of the images of a split that are not the first of their copies; that go for it."""
        present = np.zeros(len(self.first), dtype=bool)
        present[self.first[rows]] = True
        inside = present[self.pairs.one] & present[self.pairs.other]
        return tuple(
            _came_before(self._linked(mask)[self.first[rows]])
            for mask in (inside, inside & self.goes)
        )

    def _nearest(self, ours: slice, theirs: slice) -> pd.DataFrame:
        """Of ours the near copy among theirs: one that goes, else earlier, else nearest.

        A row for each that has one, under its place among ours.
        """
        mine, other = (
            pd.DataFrame({end: self.first[part][rows], place: rows})
            for part, end, place in ((ours, "one", "from"), (theirs, "other", "to"))
            for rows in [np.flatnonzero(self.paired[part])]
        )
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
        found["later"] = theirs.start + found["to"] > ours.start + found["from"]
        found = found.assign(stays=~found["goes"]).sort_values(["stays", "later", "distance", "to"])
        return found.drop_duplicates("from").set_index("from")


def _units_of(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    # Of some images only: of all of them units are as many strings.
    units = dataset.take(rows).units
    return np.full(len(rows), "", dtype=object) if units is None else units


def _came_before(numbers: np.ndarray) -> np.ndarray:
    """Mask of those numbers (n,), 0 or more, that stand at an earlier place, too."""
    first = first_places(numbers, int(numbers.max(initial=-1)) + 1)
    found: np.ndarray = first[numbers] < np.arange(len(numbers), dtype=np.int32)
    return found


@dataclass(frozen=True)
class Twins:
    """Which of `n` images have a twin (`rows`), its position, its kind, distance, if it stays."""

    n: int
    rows: np.ndarray
    index: np.ndarray
    kind: np.ndarray
    distance: np.ndarray
    reported: np.ndarray

    @classmethod
    def none(cls, n: int) -> Twins:
        none = np.empty(0, dtype=np.int64)
        return cls(n, none, none, none, np.empty(0), none > 0)

    @property
    def found(self) -> np.ndarray:
        """Mask (n,) of those that have one."""
        return self._mask(self.rows)

    @property
    def told(self) -> np.ndarray:
        """Mask (n,) of those whose twin is reported only."""
        return self._mask(self.rows[self.reported])

    def _mask(self, rows: np.ndarray) -> np.ndarray:
        mask = np.zeros(self.n, dtype=bool)
        mask[rows] = True
        return mask
