"""Images that are the same photograph: equal files, equal pixels, or copies that were changed.

Changed copies were resized, recompressed, brightened, cropped by up to a tenth, mirrored, turned
by quarters, or had a border or something over a part of them added. Candidates are found on
thumbnails (`auditor.data.near_pairs`) and confirmed on pixels (`auditor.data.copies`). An image
that shows nearly nothing (`LEAST_CONTRAST`) is found by equal file or pixels only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from auditor.data.copies import LEAST_AGREEING, LEAST_GRAIN, Likeness, likeness, reduced
from auditor.data.image_digests import DigestParts, ImageDigests
from auditor.data.near_pairs import CROWD, SIDE, Candidates, candidates, turned
from auditor.data.thumbnails import Thumbnails

LEAST_CONTRAST = 4.0
"""Standard deviation of a thumbnail, in grey levels, below which it shows no pattern."""

NONE, NEAR, PIXELS, FILE = 0, 1, 2, 3
KIND_NAMES = {NONE: "", NEAR: "near", PIXELS: "same pixels", FILE: "same file"}

MOST_CONFIRMED = 1000
"""Pairs that are compared on pixels at most, nearest first: half a minute of one processor."""

MOST_OF_CROWDS = 300
"""The same of images that have crowds of look-alikes, where few copies can be told."""

_CACHED, _AT_ONCE = 4096, 1024
_NO_DIGEST = -1
_BLOCKINESS = 0.1
"""Largest difference of the logarithms of blockiness of images that were compressed alike."""

_FORMAT = ["format", "width", "height"]

_ROUNDS = 3
_SERIES, _EQUALLY = 3, 1.2
"""Images that differ equally much from one, up to a factor, and so are other shots."""

Pixels = Callable[[int], np.ndarray | None]
"""Decodes an image by its position, (h, w, 3) uint8; None where it cannot be read any more."""

Comparisons = dict[str, Likeness]
"""Comparisons made, by the digests of both images' pixels and how they were laid on each other."""


@dataclass(frozen=True)
class Digests:
    """What equal images are told by: numbers, (n,) int32 each, that rise with the digests.

    -1 where an image was unreadable. Those of one `prints` may be compared with each other.
    """

    files: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def take(self, rows: slice) -> Digests:
        """Those of some images."""
        return Digests(self.files[rows], self.pixels[rows])


@dataclass(frozen=True)
class Prints(Digests):
    """What images are recognised by, one row an image.

    `thumbnails` are (n, 32, 32, 3) uint8, 0 of unreadable images; `comparable` (n,) bool says which
    show a pattern. `scans` are tables, one after the other, of how images were stored: ``format``,
    ``width``, ``height`` and ``blockiness``. `named` are digests of pixels.
    """

    thumbnails: Thumbnails
    comparable: np.ndarray
    scans: Sequence[pd.DataFrame]
    named: DigestParts | Sequence[str]


@dataclass(frozen=True)
class NearPairs:
    """Pairs of images that are copies of each other, but not to the pixel; `one` < `other`.

    Of equal images the first stands for all. `distance` is their median difference in grey levels
    once aligned; (n,) each. `partly` (of all images, not of pairs): not all of an image's
    look-alikes were compared with it.
    """

    one: np.ndarray
    other: np.ndarray
    distance: np.ndarray
    partly: np.ndarray


def no_pairs(n: int) -> NearPairs:
    """None among n images."""
    none = np.empty(0, dtype=np.int64)
    return NearPairs(none, none, np.empty(0), np.zeros(n, dtype=bool))


def prints(*scans: pd.DataFrame, thumbnails: Thumbnails | None = None) -> Prints:
    """Prints of the images of scans, one after the other; `thumbnails`: None, scans hold them."""
    readable = np.concatenate([scan["readable"].to_numpy(dtype=bool) for scan in scans])
    cells = _thumbnails_of(scans, readable) if thumbnails is None else thumbnails
    files, pixels = (
        DigestParts([ImageDigests.of_column(scan[name]) for scan in scans])
        for name in ("sha256", "pixel_sha256")
    )
    shows = np.empty(len(readable), dtype=bool)
    for at in range(0, len(cells), _AT_ONCE):
        part = cells[at : at + _AT_ONCE]
        shows[at : at + _AT_ONCE] = part.mean(axis=3).std(axis=(1, 2)) >= LEAST_CONTRAST
    return Prints(
        files=_where(readable, files.codes()),
        pixels=_where(readable, pixels.codes()),
        thumbnails=cells,
        comparable=readable & shows,
        scans=scans,
        named=pixels,
    )


def _where(readable: np.ndarray, codes: np.ndarray) -> np.ndarray:
    codes[~readable] = _NO_DIGEST
    return codes


def _thumbnails_of(scans: Sequence[pd.DataFrame], readable: np.ndarray) -> np.ndarray:
    cells = np.zeros((len(readable), SIDE, SIDE, 3), dtype=np.uint8)
    if readable.any():
        joined = b"".join(
            cell for scan in scans for cell in scan.loc[scan["readable"].astype(bool), "thumbnail"]
        )
        cells[readable] = np.frombuffer(joined, dtype=np.uint8).reshape(-1, SIDE, SIDE, 3)
    return cells


def exact_twins(given: Digests, others: Digests) -> tuple[np.ndarray, np.ndarray]:
    """Of each image the first of `others` with the same pixels (-1), int32, and the kind, int8."""
    size = 1 + max(given.pixels.max(initial=_NO_DIGEST), others.pixels.max(initial=_NO_DIGEST))
    # One more for those without a digest: their number, -1, takes the last place.
    first = first_places(others.pixels, size + 1)
    first[_NO_DIGEST] = -1
    index = first[given.pixels]
    kind = np.full(len(index), NONE, dtype=np.int8)
    kind[index >= 0] = PIXELS
    if len(others):
        kind[(index >= 0) & (given.files == others.files[index])] = FILE
    return index, kind


def first_places(numbers: np.ndarray, size: int) -> np.ndarray:
    """Of each number below `size` the first place in `numbers` that has it (-1), (size,) int32."""
    first = np.full(size, -1, dtype=np.int32)
    first[numbers[::-1]] = np.arange(len(numbers), dtype=np.int32)[::-1]
    return first


def near_pairs(given: Prints, *, pixels: Pixels, known: Comparisons | None = None) -> NearPairs:
    """Confirmed copies among images, whatever their order; at most `MOST_CONFIRMED` are tried.

    Comparisons of these pixels that are `known` are not made again; it holds those asked for after.
    """
    rows = _distinct(given)
    if len(rows) < 2:
        return no_pairs(len(given))
    found = candidates(given.thumbnails.take(rows, axis=0))
    chosen, partly = _chosen(found)

    looked, alike = _compared(
        found, chosen, lambda at: pixels(int(rows[at])), lambda at: given.named[int(rows[at])],
        known={} if known is None else known,
    )  # fmt: skip
    one, other = found.one[looked], found.other[looked]
    stored_alike = _stored_alike(given, rows[one], rows[other]) & (found.turn[looked] == 0)

    def copies(crowded: np.ndarray, suspected: np.ndarray) -> np.ndarray:
        known = ((mask[one] | mask[other]).tolist() for mask in (crowded, suspected))
        answers = zip(alike, *known, stored_alike.tolist(), strict=True)
        return np.array(
            [a.is_copy(crowded=c, suspected=s, stored_alike=t) for a, c, s, t in answers],
            dtype=bool,
        )

    crowded = found.crowded | partly
    near = crowded[found.one] | crowded[found.other]
    suspected = _marked(len(rows), found.one[near], found.other[near])
    agreeing = np.array([a.agreeing >= LEAST_AGREEING for a in alike], dtype=bool)
    # Who has another shot that looks alike, or seems to have many copies, has look-alikes.
    for _ in range(_ROUNDS):
        seeming = copies(crowded, suspected)
        others = agreeing & ~seeming
        suspected |= _marked(len(rows), one[others], other[others])
        # So has a copy of one that has.
        passed = seeming & (suspected[one] | suspected[other])
        suspected |= _marked(len(rows), one[passed], other[passed])
        many = np.bincount(np.concatenate([one[seeming], other[seeming]]), minlength=len(rows))
        crowded = crowded | (many >= CROWD)
    kept = copies(crowded, suspected) & ~_of_a_series(one, other, alike)
    first, _ = exact_twins(given, given)
    distance = np.array([a.distance for a in alike], dtype=float)[kept]
    cut = np.zeros(len(given), dtype=bool)
    cut[first[rows[partly]]] = True
    cut = cut[first] & (first >= 0)
    low, high = np.sort([first[rows[end[kept]]].astype(np.int64) for end in (one, other)], axis=0)
    return NearPairs(low, high, distance, cut)


def _compared(
    found: Candidates,
    chosen: np.ndarray,
    pixels: Pixels,
    named: Callable[[int], str],
    *,
    known: Comparisons,
) -> tuple[list[int], list[Likeness]]:
    """Those of the `chosen` candidates that could be compared, and how alike they are."""

    @lru_cache(maxsize=_CACHED)
    def small(position: int) -> np.ndarray | None:
        image = pixels(position)
        return None if image is None else reduced(image)

    made: Comparisons = {}
    looked = []
    for k in chosen.tolist():
        one, other, turn = int(found.one[k]), int(found.other[k]), int(found.turn[k])
        name = _comparison(named(one), named(other), turn, found.window[k])
        if name in known:
            made[name] = known[name]
        else:
            ours, theirs = small(one), small(other)
            if ours is None or theirs is None:
                continue
            made[name] = likeness(ours, turned(theirs, turn), found.window[k])
        looked.append((k, made[name]))
    known.clear()
    known.update(made)
    return [k for k, _ in looked], [alike for _, alike in looked]


def _comparison(one: str, other: str, turn: int, window: np.ndarray) -> str:
    """What names a comparison: the digests of both images' pixels, and how they are laid on."""
    return " ".join([one, other, str(turn), *map(repr, window.tolist())])


def _distinct(given: Prints) -> np.ndarray:
    """One of each set of equal images, in an order that is that of their digests; (k,) int32."""
    order = np.lexsort((given.files, given.pixels)).astype(np.int32)
    order = order[given.comparable[order]]
    found: np.ndarray = order[np.diff(given.pixels[order], prepend=_NO_DIGEST - 1) != 0]
    return found


def _chosen(found: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """The pairs to compare, and a mask of images of which others are left.

    Each image's best first, of a crowd no more, and crowds last.
    """
    crowded = found.crowded[found.one] | found.crowded[found.other]
    ends = np.concatenate([found.one, found.other])
    order = np.lexsort((-np.tile(found.correlation, 2), ends))
    place = np.empty(len(ends), dtype=np.int64)
    place[order] = np.arange(len(ends)) - np.searchsorted(ends[order], ends[order])
    rank = place.reshape(2, -1).min(axis=0)
    order = np.lexsort((-found.correlation, rank, crowded))
    chosen = order[(~crowded | (rank == 0))[order]]
    chosen = chosen[np.cumsum(crowded[chosen]) <= MOST_OF_CROWDS][:MOST_CONFIRMED]
    left = np.ones(len(crowded), dtype=bool)
    left[chosen] = False
    partly = np.zeros(len(found.crowded), dtype=bool)
    partly[np.concatenate([found.one[left], found.other[left]])] = True
    return chosen, partly


def _marked(n: int, *rows: np.ndarray) -> np.ndarray:
    marked = np.zeros(n, dtype=bool)
    marked[np.concatenate(rows)] = True
    return marked


def _stored_alike(given: Prints, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    rows, at = np.unique([one, other], return_inverse=True)
    starts = np.cumsum([0, *map(len, given.scans)])
    cuts = np.split(rows, np.searchsorted(rows, starts[1:-1]))
    columns = [*_FORMAT, "blockiness"]
    stored = pd.concat(
        [
            pd.DataFrame({name: scan[name].iloc[mine - start] for name in columns})
            for scan, mine, start in zip(given.scans, cuts, starts[:-1], strict=True)
        ],
        ignore_index=True,
    )
    kind = stored.groupby(_FORMAT, dropna=False).ngroup().to_numpy()[at]
    apart = np.abs(np.log(np.divide(*stored["blockiness"].to_numpy(dtype=float)[at])))
    # Tiny images have no blocks.
    alike: np.ndarray = (kind[0] == kind[1]) & ~(apart > _BLOCKINESS)
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
