"""Images that are the same photograph: equal files, equal pixels, or copies that were changed.

Changed copies were resized, recompressed, brightened, cropped by up to a tenth, mirrored, turned
by quarters, or had a border or something over a part of them added. Candidates are found on
thumbnails (`auditor.data.near_pairs`) and confirmed on pixels (`auditor.data.copies`). An image
that shows nearly nothing (`LEAST_CONTRAST`) is found by equal file or pixels only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from auditor.data.copies import LEAST_AGREEING, LEAST_GRAIN, Likeness, likeness, reduced
from auditor.data.near_pairs import CROWD, SIDE, candidates, turned

LEAST_CONTRAST = 4.0
"""Standard deviation of a thumbnail, in grey levels, below which it shows no pattern."""

NONE, NEAR, PIXELS, FILE = 0, 1, 2, 3
KIND_NAMES = {NONE: "", NEAR: "near", PIXELS: "same pixels", FILE: "same file"}

_CACHED = 4096
_BLOCKINESS = 0.1
"""Largest difference of the logarithms of blockiness of images that were compressed alike."""

_SERIES, _EQUALLY = 3, 1.2
"""Images that differ equally much from one, up to a factor, and so are other shots."""

Pixels = Callable[[int], np.ndarray | None]
"""Decodes an image by its position, (h, w, 3) uint8; None where it cannot be read any more."""


@dataclass(frozen=True)
class Prints:
    """What images are recognised by, one row an image.

    `files` and `pixels` are digests, "" where an image was unreadable; `thumbnails` are
    (n, 32, 32, 3) uint8; `stored` numbers format and size; `comparable` (n,) bool says which show
    a pattern.
    """

    files: np.ndarray
    pixels: np.ndarray
    thumbnails: np.ndarray
    blockiness: np.ndarray
    stored: np.ndarray
    comparable: np.ndarray

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class NearPairs:
    """Pairs of images that are copies of each other, but not to the pixel; `one` < `other`.

    `distance` is their median difference in grey levels once aligned; (n,) each.
    """

    one: np.ndarray
    other: np.ndarray
    distance: np.ndarray


def prints(scan: pd.DataFrame) -> Prints:
    """Prints of the images of a scan, in its order."""
    readable = scan["readable"].to_numpy(dtype=bool)
    cells = np.zeros((len(scan), SIDE, SIDE, 3), dtype=np.uint8)
    if readable.any():
        joined = b"".join(scan.loc[readable, "thumbnail"])
        cells[readable] = np.frombuffer(joined, dtype=np.uint8).reshape(-1, SIDE, SIDE, 3)
    digests = {
        column: np.where(readable, scan[column].to_numpy(dtype=object), "")
        for column in ("sha256", "pixel_sha256")
    }
    contrast = np.array([cell.mean(axis=2).std() for cell in cells])
    return Prints(
        files=digests["sha256"],
        pixels=digests["pixel_sha256"],
        thumbnails=cells,
        blockiness=scan["blockiness"].to_numpy(dtype=float),
        stored=scan.groupby(["format", "width", "height"], dropna=False).ngroup().to_numpy(),
        comparable=readable & (contrast >= LEAST_CONTRAST),
    )


def exact_twins(given: Prints, others: Prints) -> tuple[np.ndarray, np.ndarray]:
    """Of each image the first of `others` with the same file, else pixels (-1), and the kind."""
    index = np.full(len(given), -1, dtype=np.int64)
    kind = np.zeros(len(given), dtype=np.int8)
    for name, mine, theirs in (
        (PIXELS, given.pixels, others.pixels),
        (FILE, given.files, others.files),
    ):
        first = pd.Series(np.arange(len(others)), index=pd.Index(theirs, dtype=object))
        first = first[(first.index != "") & ~first.index.duplicated()]
        position = first.reindex(mine).fillna(-1).to_numpy(dtype=np.int64)
        index[position >= 0], kind[position >= 0] = position[position >= 0], name
    return index, kind


def near_pairs(given: Prints, *, pixels: Pixels) -> NearPairs:
    """Confirmed copies among images, of equal ones the first only."""
    first = ~pd.Series(given.pixels).duplicated().to_numpy()
    rows = np.flatnonzero(first & given.comparable)
    if len(rows) < 2:
        return NO_PAIRS
    found = candidates(given.thumbnails[rows])

    @lru_cache(maxsize=_CACHED)
    def small(position: int) -> np.ndarray | None:
        image = pixels(int(rows[position]))
        return None if image is None else reduced(image)

    crowded = found.crowded[found.one] | found.crowded[found.other]
    looked, alike = [], []
    for k in np.flatnonzero(~crowded | _best_of_each(found.one, found.correlation)).tolist():
        ours, theirs = small(int(found.one[k])), small(int(found.other[k]))
        if ours is not None and theirs is not None:
            looked.append(k)
            alike.append(likeness(ours, turned(theirs, int(found.turn[k])), found.window[k]))
    one, other = found.one[looked], found.other[looked]
    stored_alike = _stored_alike(given, rows[one], rows[other]) & (found.turn[looked] == 0)

    def copies(crowded: np.ndarray) -> np.ndarray:
        answers = zip(alike, crowded.tolist(), stored_alike.tolist(), strict=True)
        return np.array([a.is_copy(crowded=c, stored_alike=s) for a, c, s in answers], dtype=bool)

    # Who seems to have many copies, or several that differ equally much, has look-alikes.
    seeming = copies(crowded[looked])
    many = np.bincount(np.concatenate([one[seeming], other[seeming]]), minlength=len(rows))
    kept = copies(crowded[looked] | (many[one] >= CROWD) | (many[other] >= CROWD))
    kept &= ~_of_a_series(one, other, alike)
    ends = rows[one[kept]], rows[other[kept]]
    distance = np.array([a.distance for a in alike], dtype=float)[kept]
    return NearPairs(np.minimum(*ends), np.maximum(*ends), distance)


def _stored_alike(given: Prints, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    apart = np.abs(np.log(given.blockiness[one] / given.blockiness[other]))
    # Tiny images have no blocks.
    alike: np.ndarray = (given.stored[one] == given.stored[other]) & ~(apart > _BLOCKINESS)
    return alike


def _of_a_series(one: np.ndarray, other: np.ndarray, alike: list[Likeness]) -> np.ndarray:
    """Mask of pairs of which an image differs as much from others: shots, each with its grain."""
    grain = np.array([a.grain if a.exact else np.nan for a in alike], dtype=float)
    pairs = np.tile(np.arange(len(alike)), 2)
    image, grains = np.concatenate([one, other]), np.tile(grain, 2)
    agreeing = np.array([a.agreeing >= LEAST_AGREEING for a in alike], dtype=bool)[pairs]
    some = agreeing & (grains > LEAST_GRAIN)
    found = np.zeros(len(alike), dtype=bool)
    for _, group in pd.DataFrame({"pair": pairs[some], "grain": grains[some]}).groupby(image[some]):
        sorted_ = np.sort(group["grain"].to_numpy())
        near = np.searchsorted(sorted_, group["grain"] * _EQUALLY, side="right")
        near -= np.searchsorted(sorted_, group["grain"] / _EQUALLY, side="left")
        found[group["pair"].to_numpy()[near >= _SERIES]] = True
    return found


NO_PAIRS = NearPairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))


def _best_of_each(one: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Mask of each image's best pair: of a crowd no more are looked at."""
    best = np.zeros(len(one), dtype=bool)
    order = np.lexsort((-correlation, one))
    best[order[np.flatnonzero(np.diff(one[order], prepend=-1))]] = True
    return best
