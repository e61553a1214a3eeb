"""Which images a sample holds, and whose frame is donated to whom: seeded, by unit."""

from __future__ import annotations

import numpy as np

from auditor.data.dataset import Dataset
from auditor.data.views import Donor


def nested_order(dataset: Dataset, *, seed: int) -> np.ndarray:
    """Row positions in the order in which samples take them, shape (n,).

    The first k make the sample of k images, so that samples are nested. Units are shuffled and
    keep their images together, so that a sample of k images holds as few units as it must.
    """
    rng = np.random.default_rng([seed, 0x5A])
    if dataset.units is None:
        return rng.permutation(len(dataset))
    _, unit_of = np.unique(dataset.units.astype(str), return_inverse=True)
    rank = rng.permutation(unit_of.max() + 1) if len(unit_of) else unit_of
    return np.argsort(rank[unit_of], kind="stable")


def sample_rows(
    dataset: Dataset, size: int | None, *, seed: int, sound: np.ndarray | None = None
) -> np.ndarray:
    """Row positions of a sample of `size` images (None: all), in manifest order.

    A sample holds images of the mask `sound` (n,) alone, all of them where they are no more than
    `size`: it is as large as was asked for however many are set apart.
    """
    if size is None:
        return np.arange(len(dataset))
    order = nested_order(dataset, seed=seed)
    return np.sort((order if sound is None else order[sound[order]])[:size])


def donor_rows(dataset: Dataset, kind: Donor, *, usable: np.ndarray, seed: int) -> np.ndarray:
    """For each row the row of its donor, or -1 where there is none; shape (n,).

    Donors come from another unit of the same split and have the same label or another one.
    `usable` masks rows that may give or take. Each round deals the remaining receivers a random
    permutation of givers, so that a donor serves rarely more than one image: shared donors would
    make images dependent.
    """
    rng = np.random.default_rng([seed, 0xD0, int(kind == "same-class")])
    labels = dataset.labels
    units = dataset.units if dataset.units is not None else dataset.image_ids
    _, unit_of = np.unique(units.astype(str), return_inverse=True)
    donors = np.full(len(dataset), -1)
    eligible = np.flatnonzero(usable & (labels >= 0))
    if kind == "same-class":
        for label in np.unique(labels[eligible]):
            rows = eligible[labels[eligible] == label]
            _deal(donors, rows, rows, unit_of=unit_of, labels=None, rng=rng)
    else:
        _deal(donors, eligible, eligible, unit_of=unit_of, labels=labels, rng=rng)
    return donors


def _deal(
    donors: np.ndarray,
    receivers: np.ndarray,
    givers: np.ndarray,
    *,
    unit_of: np.ndarray,
    labels: np.ndarray | None,
    rng: np.random.Generator,
) -> None:
    """Fill `donors` for `receivers`; with `labels`, donor and receiver must differ in them."""
    waiting = receivers
    for _ in range(20):
        if not len(waiting):
            return
        dealt = rng.permutation(givers)[: len(waiting)]
        fits = unit_of[dealt] != unit_of[waiting]
        if labels is not None:
            fits &= labels[dealt] != labels[waiting]
        donors[waiting[fits]] = dealt[fits]
        waiting = waiting[~fits]
    for row in waiting:
        fits = unit_of[givers] != unit_of[row]
        if labels is not None:
            fits &= labels[givers] != labels[row]
        if fits.any():
            donors[row] = rng.choice(givers[fits])
