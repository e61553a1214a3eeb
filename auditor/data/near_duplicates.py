"""Images that are the same photograph: equal files, equal pixels, or nearly equal thumbnails.

Two images are near-duplicates when their 16 x 16 grey thumbnails agree after brightness and
contrast are evened out: as patterns (`PATTERN_RADIUS`) and in grey levels (`LEVEL_RADIUS`). That
finds copies that were resized, recompressed or mildly brightened. It does not find crops,
mirror images or turned ones. An image whose thumbnail is nearly flat (`LEAST_CONTRAST`) is
found by equal file or pixels only: what it shows is too little to tell copies from look-alikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.data.scan import THUMBNAIL

PATTERN_RADIUS = 0.15
"""Largest distance of two thumbnails, each of mean 0 and length 1 (0.15: correlation 0.989)."""

LEVEL_RADIUS = 4.0
"""Largest root mean square difference in grey levels, at the two images' mean contrast.

Copies at 60% size and JPEG quality 50 lie below 3 (98% of photographs), different handwritten
digits, the closest look-alikes tried, above 7.
"""

LEAST_CONTRAST = 4.0
"""Standard deviation of a thumbnail, in grey levels, below which it shows no pattern."""

_KEY_LENGTH = 12
_BLOCK = 1024
_CANDIDATES = 2_000_000
_VERIFIED = 100_000

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
    """For each image the first image before it that is the same photograph."""
    twins = _exact_twins(given, given, earlier=True)
    alone = np.flatnonzero(given.comparable & ~twins.found)
    # Pairs come both ways round; of each, the later image is the duplicate.
    for pairs in _near_pairs(given, alone, given, alone):
        later = np.flatnonzero(pairs.other < pairs.one)
        _note(twins, pairs, later[np.lexsort((pairs.other[later], pairs.one[later]))])
    return twins


def twins_among(given: Prints, others: Prints) -> Twins:
    """For each image the most alike of `others` that is the same photograph.

    Of equals the first; an equal file before equal pixels before a near-duplicate.
    """
    twins = _exact_twins(given, others, earlier=False)
    wanted = np.flatnonzero(given.comparable & ~twins.found)
    targets = np.flatnonzero(others.comparable)
    for pairs in _near_pairs(given, wanted, others, targets):
        _note(twins, pairs, np.lexsort((pairs.other, pairs.distance, pairs.one)))
    return twins


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


def _note(twins: Twins, pairs: _Pairs, order: np.ndarray) -> None:
    """Give each image the first of its pairs in `order`, in which an image's pairs adjoin."""
    one = pairs.one[order]
    first = order[np.diff(one, prepend=-1) != 0]
    twins.index[pairs.one[first]] = pairs.other[first]
    twins.kind[pairs.one[first]] = NEAR
    twins.distance[pairs.one[first]] = pairs.distance[first]


@dataclass(frozen=True)
class _Pairs:
    """Near pairs: positions in the two prints, and the distance in grey levels.

    All pairs of one image of the first prints come in the same value.
    """

    one: np.ndarray
    other: np.ndarray
    distance: np.ndarray


def _near_pairs(
    given: Prints, rows: np.ndarray, others: Prints, targets: np.ndarray
) -> Iterator[_Pairs]:
    """Near pairs among chosen rows, block by block.

    The coarsest frequencies of a pattern are an orthonormal projection of it, so that two
    patterns are never farther apart in them than as a whole: a tree over them finds every pair.
    """
    if not rows.size or not targets.size:
        return
    from scipy.spatial import cKDTree

    tree = cKDTree(_keys(others.patterns[targets]))
    keys = _keys(given.patterns[rows])
    blocks = [np.arange(s, min(s + _BLOCK, len(rows))) for s in range(0, len(rows), _BLOCK)]
    while blocks:
        block = blocks.pop()
        near = cKDTree(keys[block])
        if len(block) > 1 and near.count_neighbors(tree, PATTERN_RADIUS) > _CANDIDATES:
            # Many look-alikes (a fixed camera): smaller blocks keep memory bounded.
            blocks += np.array_split(block, 2)
            continue
        candidates = near.sparse_distance_matrix(tree, PATTERN_RADIUS, output_type="ndarray")
        one, other = rows[block[candidates["i"]]], targets[candidates["j"]]
        yield _verified(given, one, others, other)


def _verified(given: Prints, one: np.ndarray, others: Prints, other: np.ndarray) -> _Pairs:
    pattern = np.empty(len(one), dtype=np.float32)
    for start in range(0, len(one), _VERIFIED):
        part = slice(start, start + _VERIFIED)
        apart = given.patterns[one[part]] - others.patterns[other[part]]
        pattern[part] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    levels = pattern * np.sqrt(given.contrast[one] * others.contrast[other])
    keep = (pattern <= PATTERN_RADIUS) & (levels <= LEVEL_RADIUS)
    return _Pairs(one[keep], other[keep], levels[keep].astype(np.float64))


def _keys(patterns: np.ndarray) -> np.ndarray:
    keys: np.ndarray = patterns @ _coarse_frequencies()
    return keys


def _coarse_frequencies() -> np.ndarray:
    """The lowest frequencies of the two-dimensional cosine transform, (256, 12) orthonormal."""
    place = np.arange(THUMBNAIL)
    waves = np.cos(np.pi * (place[:, None] + 0.5) * place[None] / THUMBNAIL)
    waves /= np.linalg.norm(waves, axis=0)
    frequency = place[:, None] ** 2 + place[None] ** 2
    # The lowest of all is the mean, which patterns lack.
    lowest = np.argsort(frequency.ravel(), kind="stable")[1 : _KEY_LENGTH + 1]
    planes = np.einsum("xa,yb->xyab", waves, waves).reshape(THUMBNAIL**2, THUMBNAIL**2)
    return np.ascontiguousarray(planes[:, lowest], dtype=np.float32)
