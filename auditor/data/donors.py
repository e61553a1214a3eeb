"""Whose frame is donated to whom: seeded, from another unit of the same split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from auditor.data.dataset import Dataset
from auditor.data.views import Donor

_STREAMS: Mapping[Donor, int] = {"other-class": 0, "same-class": 1, "any": 2}


def donor_rows(dataset: Dataset, kind: Donor, *, usable: np.ndarray, seed: int) -> np.ndarray:
    """For each row the row of its donor, or -1 where there is none; shape (n,).

    Donors come from another unit of the same split and have the same label or another one; of kind
    ``any`` labels do not matter. `usable` masks rows that may give or take. Each round deals the
    remaining receivers a random permutation of givers, so that a donor serves rarely more than one
    image: shared donors make images dependent.
    """
    rng = np.random.default_rng([seed, 0xD0, _STREAMS[kind]])
    labels = dataset.labels
    unit_of = np.arange(len(dataset)) if dataset.unit_codes is None else dataset.unit_codes
    donors = np.full(len(dataset), -1)
    if kind == "any":
        everyone = np.flatnonzero(usable)
        _deal(donors, everyone, everyone, unit_of=unit_of, labels=None, rng=rng)
        return donors
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
