"""Which images a sample holds: seeded, by unit."""

from __future__ import annotations

import numpy as np

from auditor.data.dataset import Dataset


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


def sample_rows(dataset: Dataset, size: int | None, *, seed: int) -> np.ndarray:
    """Row positions of a sample of `size` images (None: all), in manifest order."""
    if size is None or size >= len(dataset):
        return np.arange(len(dataset))
    return np.sort(nested_order(dataset, seed=seed)[:size])
