"""Which images a sample holds: seeded, by unit."""

from __future__ import annotations

import numpy as np

from auditor.data.dataset import Dataset


def nested_order(dataset: Dataset, *, seed: int) -> np.ndarray:
    """Row positions in the order in which samples take them, shape (n,) int32.

    The first k make the sample of k images, so that samples are nested. Units are shuffled and
    keep their images together, so that a sample of k images holds as few units as it must.
    """
    rng = np.random.default_rng([seed, 0x5A])
    unit_of = dataset.unit_codes
    if unit_of is None:
        return rng.permutation(len(dataset)).astype(np.int32)
    rank = rng.permutation(unit_of.max() + 1) if len(unit_of) else unit_of
    return np.argsort(rank[unit_of], kind="stable").astype(np.int32)


def sample_rows(
    order: np.ndarray, size: int | None, *, sound: np.ndarray | None = None
) -> np.ndarray:
    """Row positions of a sample of `size` images (None: all), in manifest order.

    `order` is the `nested_order` of the split. A sample holds images of the mask `sound` (n,)
    alone, all of them where they are no more than `size`: it is as large as was asked for however
    many are set apart.
    """
    if size is None:
        return np.arange(len(order), dtype=order.dtype)
    return np.sort((order if sound is None else order[sound[order]])[:size])
