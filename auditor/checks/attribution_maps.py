"""Maps of attribution of a sample of images, and how much of them lies on parts of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.checks.occlusion import is_flat, share_on


@dataclass(frozen=True)
class Maps:
    """Maps (n, grid, grid) of the images that have one, by one method and fill.

    `at` are their places in the sample; `flat` counts images whose map says nothing, `unanswered`
    those in which nothing was answered.
    """

    method: str
    fill: str
    maps: NDArray[np.float64]
    at: NDArray[np.int64]
    flat: int
    unanswered: int = 0


@dataclass(frozen=True)
class Looked:
    """A sample of frames (n, h, w, 3) and what is known of them; `units` (n,) or None."""

    frames: NDArray[np.uint8]
    units: NDArray[np.int64] | None
    parts: Mapping[tuple[str, str], list[NDArray[np.bool_] | None]]


def collected(
    method: str, fill: str, made: Mapping[int, NDArray[np.float64]], grid: int, unanswered: int
) -> Maps:
    kept = {at: one for at, one in made.items() if not is_flat(one)}
    maps = np.stack([*kept.values()]) if kept else np.empty((0, grid, grid))
    at = np.array([*kept], dtype=np.int64)
    return Maps(method, fill, maps, at, len(made) - len(kept), unanswered)


@dataclass(frozen=True)
class Shares:
    """The share of each map on a part, (n,), their images' places, the part's share of pixels."""

    values: NDArray[np.float64]
    at: NDArray[np.int64]
    area: float


def shares_of(maps: Maps, places: list[NDArray[np.bool_] | None]) -> Shares:
    """Of the images in which the part is known and seen."""
    values, at, areas = [], [], []
    for one, image in zip(maps.maps, maps.at.tolist(), strict=True):
        part = places[image]
        if part is not None and part.any():
            values.append(share_on(one, part))
            at.append(image)
            areas.append(part.mean())
    area = float(np.mean(areas)) if areas else 0.0
    return Shares(np.array(values), np.array(at, dtype=np.int64), area)


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation of two maps, ties by their mean rank; 0 where one has no order.

    Source: Spearman (1904), doi:10.2307/1412159.
    """
    ours, theirs = (_ranks(one.reshape(-1)) for one in (first, second))
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])
