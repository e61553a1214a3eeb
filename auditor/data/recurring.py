"""Patches that recur, pixel for pixel, at one place in many images of one class and few others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from auditor.data.views import Region

LONGEST = 96
"""Pixels of the longer side at which places are compared; finer artefacts are seen in part."""

TOLERANCE = 20
"""By how much a channel may differ from a patch's colour: what a lossy file changes."""

_STEP = 32
_AT_ONCE = 128
"""Frames that are compared at a time."""
_BINS = 256 // _STEP + 1
_LEAST_SHARE = 0.15
"""Share of a class that shows the colour at a place, beyond the share of the other images."""
_LEAST_Z = 5.0
"""Standard errors of that difference: some thousand places are looked at."""
_LEAST_AREA, _MOST_AREA = 0.0006, 0.2
"""Share of the frame: less is a speck, more is a backdrop."""
_CARRIES = 0.6
"""Share of a patch's pixels that an image must show to carry it."""
_MOST_WANDER = 4.0
"""By how much the mean colour of a patch may change from carrier to carrier, in half of them.

Of a scene whose colours merely pass through those of the patch it is half the tolerance.
"""
_LEAST_CARRIERS = 20


@dataclass(frozen=True)
class Recurring:
    """A patch: where it lies, the class it is typical of, which images carry it, (n,) bool."""

    region: Region
    label: int
    carriers: np.ndarray


def recurring_patches(
    frames: np.ndarray, labels: np.ndarray, *, most: int
) -> tuple[Recurring, ...]:
    """The patches of frames (n, h, w, 3) uint8 that go most with one of `labels` (n,), at most so
    many.

    At each place the commonest colour of each class is looked for in all images; where a class
    shows it much more often than the others, neighbouring places make a patch. Its carriers show
    most of it at once. Colours of a scene that vary from image to image are none; a fixed backdrop
    of one class is, up to a fifth of the frame. What moves, or is half transparent, is not found.
    """
    small, step = _thinned(frames)
    found: list[Recurring] = []
    for label in np.unique(labels[labels >= 0]).tolist():
        inside = labels == label
        if inside.sum() >= _LEAST_CARRIERS and (~inside).sum() >= _LEAST_CARRIERS:
            found += _patches(small, inside, label, step=step, size=frames.shape[1:3])
    strength = [_gap(patch.carriers, labels == patch.label) for patch in found]
    order = np.argsort(-np.array(strength), kind="stable")
    kept: list[Recurring] = []
    for patch in (found[i] for i in order):
        if len(kept) < most and not any(patch.region.touches(k.region) for k in kept):
            kept.append(patch)
    return tuple(kept)


def _thinned(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """Every so many pixels, unmixed, so that the colours of a patch stay what they are."""
    step = -(-max(frames.shape[1:3]) // LONGEST)
    return frames[:, step // 2 :: step, step // 2 :: step].astype(np.int16), step


def _patches(
    small: np.ndarray, inside: np.ndarray, label: int, *, step: int, size: tuple[int, int]
) -> list[Recurring]:
    usual = _commonest(small[inside])
    some = (small[at : at + _AT_ONCE] for at in range(0, len(small), _AT_ONCE))
    alike = np.concatenate([np.abs(part - usual).max(axis=3) <= TOLERANCE for part in some])
    n, rest = int(inside.sum()), int((~inside).sum())
    own, others = alike[inside].sum(axis=0) / n, alike[~inside].sum(axis=0) / rest
    pooled = alike.mean(axis=0)
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n + 1 / rest))
    typical = (own - others >= _LEAST_SHARE) & ((own - others) / error >= _LEAST_Z)
    parts, count = ndimage.label(typical, structure=np.ones((3, 3)))
    found = []
    for part in range(1, count + 1):
        place = parts == part
        if not _LEAST_AREA <= place.mean() <= _MOST_AREA:
            continue
        carriers = alike[:, place].mean(axis=1) >= _CARRIES
        if carriers.sum() < _LEAST_CARRIERS or _gap(carriers, inside) < _LEAST_SHARE:
            continue
        if _wander(small[carriers][:, place] - usual[place]) <= _MOST_WANDER:
            found.append(Recurring(_around(place, step=step, size=size), label, carriers))
    return found


def _wander(off: np.ndarray) -> float:
    """How far the mean colour of the carriers (m, pixels, 3) lies from each other's, in half."""
    means = off.mean(axis=1)
    return float(np.median(np.abs(means - np.median(means, axis=0)).mean(axis=1)))


def _gap(carriers: np.ndarray, inside: np.ndarray) -> float:
    """Share of a class that carries it minus the share of the others that does."""
    return float(carriers[inside].mean() - carriers[~inside].mean())


def _commonest(frames: np.ndarray) -> np.ndarray:
    """The commonest colour at each place, (h, w, 3): the mean of those in the fullest bin.

    Bins are shifted by half a step, and the fuller of both is taken, so that no colour lies on an
    edge of both.
    """
    n, height, width, _ = frames.shape
    places = np.arange(height * width)
    flat = frames.reshape(n, -1, 3)
    best = np.zeros(height * width, dtype=np.int64)
    colour = np.zeros((height * width, 3))
    for shift in (0, _STEP // 2):
        red, green, blue = np.moveaxis((flat + shift) // _STEP, 2, 0)
        code = (red * _BINS + green) * _BINS + blue
        counts = np.zeros((len(places), _BINS**3), dtype=np.int64)
        for start in range(0, n, _AT_ONCE):
            cells = (places * _BINS**3 + code[start : start + _AT_ONCE]).ravel()
            counts += np.bincount(cells, minlength=counts.size).reshape(counts.shape)
        mode, times = counts.argmax(axis=1), counts.max(axis=1)
        members = code == mode
        sums = np.einsum("np,npc->pc", members, flat, dtype=np.float64)
        fuller = times > best
        colour[fuller] = sums[fuller] / times[fuller, None]
        best = np.maximum(best, times)
    # Once more over those near it, on whichever side of an edge they fell.
    sums, times = np.zeros_like(colour), np.zeros((len(places), 1), dtype=np.int64)
    for start in range(0, n, _AT_ONCE):
        some = flat[start : start + _AT_ONCE]
        near = np.abs(some - colour).max(axis=2) <= TOLERANCE
        sums += np.einsum("np,npc->pc", near, some, dtype=np.float64)
        times += near.sum(axis=0)[:, None]
    colour = np.where(times > 0, sums / np.maximum(times, 1), colour)
    return colour.reshape(height, width, 3)


def _around(place: np.ndarray, *, step: int, size: tuple[int, int]) -> Region:
    """The rectangle around a part of the thinned frame, as a region of the whole frame."""
    rows, columns = np.flatnonzero(place.any(axis=1)), np.flatnonzero(place.any(axis=0))
    height, width = size
    # A pixel that was left out between two may belong to the patch.
    return Region(
        float(max(columns[0] * step - step // 2, 0) / width),
        float(max(rows[0] * step - step // 2, 0) / height),
        float(min((columns[-1] + 1) * step + step // 2, width) / width),
        float(min((rows[-1] + 1) * step + step // 2, height) / height),
    )
