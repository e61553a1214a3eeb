"""Images that are the same photograph: equal files, equal pixels, or nearly equal thumbnails.

Two images are near-duplicates when their 16 x 16 grey thumbnails agree after brightness and
contrast are evened out: as patterns (`PATTERN_RADIUS`) and in grey levels (`LEVEL_RADIUS`). That
finds copies that were resized, recompressed or mildly brightened. It does not find crops,
mirror images or turned ones. An image whose thumbnail is nearly flat (`LEAST_CONTRAST`) is
found by equal file or pixels only: what it shows is too little to tell copies from look-alikes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.data.near_pairs import (
    Axes,
    Pairs,
    Points,
    distances,
    earlier_of_group,
    most_alike,
    placed,
    principal_axes,
)
from auditor.data.scan import THUMBNAIL

LEAST_CONTRAST = 4.0
"""Standard deviation of a thumbnail, in grey levels, below which it shows no pattern."""

NONE, NEAR, PIXELS, FILE = 0, 1, 2, 3
KIND_NAMES = {NONE: "", NEAR: "near", PIXELS: "same pixels", FILE: "same file"}


@dataclass(frozen=True)
class Prints:
    """What images are recognised by, one row an image.

    `patterns` (n, 256) float32 are thumbnails of mean 0 and length 1, `contrast` (n,) their
    standard deviations in grey levels; `comparable` (n,) bool says which show a pattern.
    `files` and `pixels` are digests, "" where an image was unreadable.
    """

    files: np.ndarray
    pixels: np.ndarray
    patterns: np.ndarray
    contrast: np.ndarray
    comparable: np.ndarray

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class Twins:
    """For each image, its twin's position (-1 for none), the kind of twin, and how far it is.

    `kind` is one of `NONE`, `NEAR`, `PIXELS`, `FILE`; `distance` is in grey levels, 0 for equal
    pixels, NaN without a twin.
    """

    index: np.ndarray
    kind: np.ndarray
    distance: np.ndarray

    @property
    def found(self) -> np.ndarray:
        return self.index >= 0


def prints(scan: pd.DataFrame) -> Prints:
    """Prints of the images of a scan, in its order."""
    readable = scan["readable"].to_numpy(dtype=bool)
    n_cells = THUMBNAIL * THUMBNAIL
    cells = np.zeros((len(scan), n_cells), dtype=np.float32)
    if readable.any():
        joined = b"".join(scan.loc[readable, "thumbnail"])
        cells[readable] = np.frombuffer(joined, dtype=np.uint8).reshape(-1, n_cells)
    cells -= cells.mean(axis=1, keepdims=True)
    contrast = cells.std(axis=1)
    patterns = cells / np.maximum(contrast * np.sqrt(n_cells), 1e-6)[:, None]
    digests = {
        column: np.where(readable, scan[column].to_numpy(dtype=object), "")
        for column in ("sha256", "pixel_sha256")
    }
    return Prints(
        files=digests["sha256"],
        pixels=digests["pixel_sha256"],
        patterns=patterns,
        contrast=contrast,
        comparable=readable & (contrast >= LEAST_CONTRAST),
    )


def earlier_twins(given: Prints) -> Twins:
    """For each image an image before it that is the same photograph.

    Near-duplicates form groups: of two that are near each other, or linked by images in between.
    All but the first of a group have a twin, so that their number does not depend on the order
    of the images: the first before it that is near or, where all near ones come later, the first
    of the group (whose distance may be above `LEVEL_RADIUS`).
    """
    twins = _exact_twins(given, given, earlier=True)
    alone = np.flatnonzero(given.comparable & ~twins.found)
    if alone.size:
        points = _points(given, alone, axes=principal_axes(given.patterns[alone]))
        _note(twins, earlier_of_group(points), points, alone, points, alone)
    return twins


def twins_among(given: Prints, others: Prints) -> Twins:
    """For each image the most alike of `others` that is the same photograph.

    Of equals the first; an equal file before equal pixels before a near-duplicate.
    """
    twins = _exact_twins(given, others, earlier=False)
    wanted = np.flatnonzero(given.comparable & ~twins.found)
    targets = np.flatnonzero(others.comparable)
    if wanted.size and targets.size:
        axes = principal_axes(others.patterns[targets])
        ours, theirs = (_points(given, wanted, axes=axes), _points(others, targets, axes=axes))
        _note(twins, most_alike(ours, theirs), ours, wanted, theirs, targets)
    return twins


def _points(given: Prints, rows: np.ndarray, *, axes: Axes) -> Points:
    return placed(given.patterns[rows], given.contrast[rows], axes=axes)


def _exact_twins(given: Prints, others: Prints, *, earlier: bool) -> Twins:
    n = len(given)
    twins = Twins(np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int8), np.full(n, np.nan))
    for kind, mine, theirs in (
        (PIXELS, given.pixels, others.pixels),
        (FILE, given.files, others.files),
    ):
        first = pd.Series(np.arange(len(others)), index=pd.Index(theirs, dtype=object))
        first = first[(first.index != "") & ~first.index.duplicated()]
        position = first.reindex(mine).fillna(-1).to_numpy(dtype=np.int64)
        found = position >= 0
        if earlier:
            found &= position < np.arange(n)
        twins.index[found] = position[found]
        twins.kind[found] = kind
        twins.distance[found] = 0.0
    return twins


def _note(
    twins: Twins,
    near: np.ndarray,
    ours: Points,
    rows: np.ndarray,
    theirs: Points,
    targets: np.ndarray,
) -> None:
    """Put down `near`, positions in `theirs`; rows and targets are where both points came from."""
    one = np.flatnonzero(near >= 0)
    pairs = Pairs(one, near[one])
    twins.index[rows[one]] = targets[pairs.other]
    twins.kind[rows[one]] = NEAR
    twins.distance[rows[one]] = distances(ours, theirs, pairs).levels
