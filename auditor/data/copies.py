"""Whether two images are one photograph: aligned, and compared in colour, pixel by pixel.

Copies differ by noise, or in a part of the picture that something was laid over. Another shot of
the same scene differs in its structure or, where nothing moved, in the noise of its sensor: that
of two shots is unrelated, that of a copy is partly kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion, uniform_filter

from auditor.data.near_pairs import GREY, WHOLE, resampling

LIKENESS_VERSION = 1
"""Changes when the same pixels would be found alike otherwise."""

SIDE = 128
"""Side of the square that images are compared at."""

LEAST_AGREEING = 0.75
"""Share of an image's 8 x 8 cells, of those that show something, that agree in a copy."""

_TOLERANCE, _OF_RANGE, _OF_CELL = 6.0, 0.15, 0.9
"""Grey levels that agreeing pixels may differ by, the share of the range around them that is
added, and the share of a cell's pixels that must agree."""

_STRUCTURE = 12.0
"""Range of 5 x 5 pixels, in grey levels, from which a place shows something."""

_LEAST_NOISE, _LEAST_SHARED = 0.4, 0.35
"""Noise (standard deviation of a Laplacian, in grey levels) from which it tells copies from other
shots, and the least correlation of the noise of copies."""

_LEAST_EVEN = 0.7
"""Least ratio of two noises' variances where noise tells."""

LEAST_GRAIN = 0.6
"""Difference in grey levels up to which images may have been saved anew, no more."""

_FLAT_SHARE, _CELL, _CELLS, _RIM = 0.1, 8, 8, 3
_PEAK = 8.0
"""Noise has no value this many times its median: what has is an edge, as that of a frame."""

_DARK, _BURNT = 3, 250
_EVEN = np.full(3, 1 / 3, dtype=np.float32)
_LEAST_INSIDE, _LARGEST_STEP, _LEAST_STEP, _STEPS = 0.6, 0.05, 0.05, {32: 10, 64: 6}
_STARTS = tuple((a, b) for a in (0.0, 0.04, 0.08) for b in (0.92, 0.96, 1.0))
"""Ends of windows, of either axis, that alignment is tried from."""

_SMOOTHED, _MOST_APART = 5, 40.0
_GAMMAS, _NEARBY = np.geomspace(0.5, 2.0, 9), np.geomspace(0.94, 1.06, 5)
_LEAST_SHOWN = 0.5
"""Share of the cells that must show something before a curve of light, or want of colour, may
explain a difference: of an image with few colours a curve fits any other's."""


@dataclass(frozen=True)
class Likeness:
    """How alike two images are once aligned.

    `agreeing`: share of the cells that show something. `shared_noise`: correlation of noise in
    the flattest parts, NaN where images are not aligned to the pixel, or have too little of it or
    not equally much. `distance`: median difference in grey levels of the smoothed colours;
    `grain`: of grey, not smoothed. `exact`: they lie on each other, none is a window of the other.
    """

    agreeing: float
    shared_noise: float
    distance: float
    grain: float
    exact: bool

    def is_copy(self, *, crowded: bool, suspected: bool, stored_alike: bool) -> bool:
        """Whether this is one photograph; see `auditor.data.near_duplicates` for what is told.

        Of images that are stored alike (`stored_alike`) and lie on each other noise decides: a
        copy was saved anew at most. Among many look-alikes (`crowded`) nothing else does; nor where
        one has other shots that look alike (`suspected`), but there it may be saved worse.
        """
        if self.agreeing < LEAST_AGREEING:
            return False
        saved_alike = stored_alike and self.exact
        if not (crowded or suspected or saved_alike):
            return True
        if self.shared_noise < _LEAST_SHARED or ((crowded or suspected) and self.unknown):
            return False
        return self.grain <= LEAST_GRAIN or not (crowded or saved_alike)

    @property
    def unknown(self) -> bool:
        return bool(np.isnan(self.shared_noise))


def reduced(pixels: np.ndarray) -> np.ndarray:
    """Pixels (h, w, 3) uint8 as a square of `SIDE`, or of the shorter side where that is less."""
    side = max(8, min(SIDE, *pixels.shape[:2]))
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.HAMMING))


def likeness(one: np.ndarray, other: np.ndarray, window: np.ndarray) -> Likeness:
    """Compare two `reduced` images, of which a window of the first looks like the second."""
    side = min(len(one), len(other))
    span = _span(_at(other, side))
    shows = span >= _STRUCTURE
    rich = _per_cell(shows).mean() >= _LEAST_SHOWN
    if rich and _is_grey(one) != _is_grey(other):
        one, other = _grey(one), _grey(other)
    sides = [s for s in (32, 64) if s < side] + [side]
    ours, theirs = ([_at(image, s) for s in sides] for image in (one, other))
    place, light = min(
        (_aligned(ours, theirs, start) for start in _starts(ours[0], theirs[0], window)),
        key=lambda found: _misfit(_lit(_windowed(ours[-1], found[0]), found[1]), theirs[-1]),
    )
    inside = np.outer(_inside(side, *place[:2]), _inside(side, *place[2:]))
    if inside.mean() < _LEAST_INSIDE:
        return Likeness(0.0, np.nan, np.nan, np.nan, exact=False)
    # What lies at an end is smoothed with what is beyond it.
    inside = binary_erosion(inside, np.ones((3, 3)), iterations=_RIM)
    shown = _windowed(ours[-1], place)
    for image in (shown, theirs[-1]):
        inside &= (_most(image) < _BURNT) & (_least(image) > _DARK)
    lit = _curved(shown, theirs[-1], inside) if rich else _lit(shown, light)
    difference = _difference(lit, theirs[-1])
    span = np.maximum(span, _span(lit))
    exact = bool(np.abs(place - WHOLE).max() < 0.5 / side)
    return Likeness(
        agreeing=_agreeing_cells(difference <= _TOLERANCE + _OF_RANGE * span, inside, span),
        shared_noise=_shared_noise(lit, theirs[-1]) if exact else np.nan,
        distance=float(np.median(difference[inside])) if inside.any() else np.nan,
        grain=float(np.median(np.abs((lit - theirs[-1]) @ _EVEN)[inside]))
        if inside.any()
        else np.nan,
        exact=exact,
    )


def _per_cell(mask: np.ndarray) -> np.ndarray:
    """Which cells have a tenth of their pixels, or more, under a mask."""
    cell = max(1, len(mask) // _CELLS)
    found: np.ndarray = _counts(mask, cell) >= max(1, 0.1 * cell**2)
    return found


def _counts(mask: np.ndarray, cell: int) -> np.ndarray:
    size = len(mask) // cell * cell
    cells = mask[:size, :size].reshape(size // cell, cell, size // cell, cell)
    found: np.ndarray = cells.sum(axis=(1, 3))
    return found


def _agreeing_cells(agreeing: np.ndarray, inside: np.ndarray, span: np.ndarray) -> float:
    shows = inside & (span >= _STRUCTURE)
    some = _per_cell(shows)
    if not some.any():
        return float(agreeing[inside].mean()) if inside.any() else 0.0
    cell = max(1, len(span) // _CELLS)
    n, agreed = (_counts(mask, cell)[some] for mask in (shows, agreeing & shows))
    return float((agreed >= _OF_CELL * n).mean())


def _is_grey(image: np.ndarray) -> bool:
    return bool((_most(image) - _least(image)).max() <= 3)


# Along three neighbours numpy's own reductions take ten times as long.
def _most(image: np.ndarray) -> np.ndarray:
    """The largest colour of each pixel, (s, s)."""
    found: np.ndarray = np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])
    return found


def _least(image: np.ndarray) -> np.ndarray:
    """The smallest colour of each pixel, (s, s)."""
    found: np.ndarray = np.minimum(np.minimum(image[..., 0], image[..., 1]), image[..., 2])
    return found


def _grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(image @ GREY).astype(np.uint8)[..., None], 3, axis=2)


def _misfit(shown: np.ndarray, target: np.ndarray) -> float:
    """Mean difference of grey, where one that is large counts no more than `_MOST_APART`."""
    return float(np.minimum(np.abs((shown - target) @ _EVEN), _MOST_APART).mean())


def _starts(ours: np.ndarray, theirs: np.ndarray, window: np.ndarray) -> list[np.ndarray]:
    """The window given, and that which looks most alike, of either image, of `_STARTS`."""
    inwards, outwards = _best_start(ours, theirs), _best_start(theirs, ours)
    best = inwards[0]
    if outwards[1] > inwards[1]:
        # Where theirs lies in ours, seen from theirs.
        low, high = outwards[0][::2], outwards[0][1::2]
        best = np.stack([-low, 1 - low], axis=1).ravel() / np.repeat(high - low, 2)
    near = np.abs(best - window).max() < _LARGEST_STEP / 2
    return [window] if near else [best] if np.array_equal(window, WHOLE) else [window, best]


def _best_start(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, float]:
    ways = _ways(len(theirs))
    target = (theirs @ _EVEN).ravel()
    target = target - target.mean()
    shown = (ways @ (ours @ _EVEN))[:, None] @ ways.transpose(0, 2, 1)[None]
    shown = shown.reshape(len(ways) ** 2, -1)
    shown -= shown.mean(axis=1, keepdims=True)
    fit = shown @ target / np.maximum(np.linalg.norm(shown, axis=1), 1e-6)
    fit /= max(float(np.linalg.norm(target)), 1e-6)
    down, across = divmod(int(fit.argmax()), len(ways))
    return np.array([*_STARTS[down], *_STARTS[across]]), float(fit.max())


@cache
def _ways(side: int) -> np.ndarray:
    """Resampling to each of `_STARTS`, (9, side, side)."""
    return np.stack([resampling(side, *ends) for ends in _STARTS])


def _curved(shown: np.ndarray, target: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Shown through the one curve, ``a + b x^gamma`` of all colours, that fits the target best."""
    step = max(1, len(shown) // 32)
    some = inside[::step, ::step]
    x, y = (np.maximum(i[::step, ::step][some].ravel() / 255, 0) for i in (shown, target))
    best = (np.inf, 1.0, 1.0, 0.0)
    for near in (_GAMMAS, _NEARBY) if len(x) > 30 else ():
        best = min([best, *(_fit(x, y, gamma=best[1] * factor) for factor in near)])
    _, gamma, gain, offset = best
    lit: np.ndarray = 255 * (gain * np.maximum(shown / 255, 0) ** gamma + offset)
    return np.asarray(np.clip(lit, 0, 255), dtype=np.float32)


def _fit(x: np.ndarray, y: np.ndarray, *, gamma: float) -> tuple[float, float, float, float]:
    """Median difference, gamma, gain and offset of the robust fit of y by a power of x."""
    powers, weights = x**gamma, np.ones_like(x)
    for left in (2, 1, 0):
        total = weights.sum()
        middle, level = weights @ powers / total, weights @ y / total
        spread = weights @ np.square(powers - middle)
        gain = max(0.0, (weights * (powers - middle)) @ (y - level) / max(spread, 1e-9))
        apart = np.abs(gain * (powers - middle) + level - y)
        typical = _quantiles(apart, 0.5)[0]
        if left:
            weights = _little_where_far(apart, max(0.004, 2 * typical))
    return typical, gamma, float(gain), float(level - gain * middle)


def _little_where_far(apart: np.ndarray, scale: float) -> np.ndarray:
    """Weights that fall as the fourth power of what lies apart beyond a scale."""
    weights = np.square(apart / scale)
    weights += 1
    weights *= weights
    return np.reciprocal(weights, out=weights)


def _quantiles(values: np.ndarray, *shares: float) -> list[float]:
    """Quantiles as numpy has them, all from one partial sort, and without its looking for NaN."""
    places = [share * (len(values) - 1) for share in shares]
    ends = [(int(at), min(int(at) + 1, len(values) - 1)) for at in places]
    ordered, done = values.copy(), 0
    # Asked for several places at once, numpy takes five times as long as for one after the other.
    for end in sorted({end for both in ends for end in both}):
        ordered[done:].partition(end - done)
        done = end + 1
    return [
        float(ordered[low] + (at - low) * (ordered[high] - ordered[low]))
        for at, (low, high) in zip(places, ends, strict=True)
    ]


def _at(image: np.ndarray, side: int) -> np.ndarray:
    if len(image) != side:
        image = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.HAMMING))
    return image.astype(np.float32)


def _windowed(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    rows, columns = (resampling(len(image), *ends) for ends in (place[:2], place[2:]))
    found: np.ndarray = np.moveaxis(rows @ np.moveaxis(image, 2, 0) @ columns.T, 0, 2)
    return found


def _lit(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    lit: np.ndarray = np.clip(image * light[0] + light[1], 0, 255)
    return lit


def _inside(side: int, start: float, end: float) -> np.ndarray:
    at = start + (end - start) * (np.arange(side) + 0.5) / side
    return (at >= 0) & (at <= 1)


def _aligned(
    ours: list[np.ndarray], theirs: list[np.ndarray], window: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The window of ours that is theirs, (4,), and gain and offset of its light, (2,).

    Gauss-Newton steps from coarse to fine (Baker & Matthews 2004,
    doi:10.1023/B:VISI.0000011205.11775.fd), in which what differs much counts little.
    """
    place, light = np.array(window, dtype=float), None
    for image, target in zip(ours, theirs, strict=True):
        grey, wanted = (image @ _EVEN)[..., None], (target @ _EVEN).ravel()
        side = len(image)
        at = (np.arange(side) + 0.5) / side
        for k in range(_STEPS.get(side, 3)):
            shown = _windowed(grey, place)[..., 0]
            down, across = np.gradient(shown)
            down, across = down * side / np.ptp(place[:2]), across * side / np.ptp(place[2:])
            ways = [down * (1 - at)[:, None], down * at[:, None], across * (1 - at), across * at]
            terms = np.stack([*ways, shown, np.ones_like(shown)]).reshape(6, -1)
            if light is None:
                light = np.polyfit(terms[4], wanted, 1)
            apart = np.abs(wanted - light @ terms[4:])
            # Edges that do not lie on each other yet differ much: they count at first.
            middle, high = _quantiles(apart, 0.5, 0.95)
            weights = _little_where_far(apart, max(4.0, 2 * middle, high / 2**k))
            # A little of a ridge holds still what a flat image does not tell.
            ridge = np.diag([1e-3 * side**2] * 4 + [1e-3] * 2)
            found = np.linalg.solve(terms * weights @ terms.T + ridge, terms @ (weights * wanted))
            light = found[4:]
            if light[0] < 0.2:
                return place, light
            step = np.clip(found[:4] / light[0], -_LARGEST_STEP, _LARGEST_STEP)
            place += step
            if np.abs(step).max() < _LEAST_STEP / side:
                break
    assert light is not None
    return place, light


def _difference(shown: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Difference of grey, and the largest one of what is left of the colours, the greater (s, s).

    Colours are smoothed more: files keep half their detail, or less.
    """
    apart = shown - target
    grey = apart @ _EVEN
    colour = np.abs(uniform_filter(apart - grey[..., None], (_SMOOTHED, _SMOOTHED, 0)))
    found: np.ndarray = np.maximum(np.abs(uniform_filter(grey, 3)), _most(colour))
    return found


def _span(image: np.ndarray) -> np.ndarray:
    """Range of grey around each pixel, (s, s)."""
    grey = uniform_filter(image @ _EVEN, 3) if len(image) > 64 else image @ _EVEN
    found: np.ndarray = _around(grey, np.maximum) - _around(grey, np.minimum)
    return found


def _around(grey: np.ndarray, most: Callable[..., np.ndarray]) -> np.ndarray:
    """The largest, or least, of 5 x 5 pixels around each; as scipy's filters, in less time."""
    for turned in (False, True):
        # Once along rows, once along columns, of what is mirrored beyond its ends.
        along = grey.T if turned else grey
        wide = np.concatenate([along[1::-1], along, along[:-3:-1]])
        n = len(along)
        pairs = most(wide[:-1], wide[1:])
        found = most(most(pairs[:n], pairs[2 : n + 2]), wide[4:])
        grey = found.T if turned else found
    return grey


def _shared_noise(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two images' Laplacians where both are flattest; NaN where either has none."""
    cells = len(one) // _CELL
    if cells < 4:
        return float("nan")
    size = cells * _CELL
    noise = []
    for image in (one, other):
        grey = image @ _EVEN
        sharp = 4 * grey - sum(np.roll(grey, step, axis) for step in (1, -1) for axis in (0, 1))
        noise.append(sharp[:size, :size].reshape(cells, _CELL, cells, _CELL).swapaxes(1, 2))
    flat = [n[1:-1, 1:-1].reshape(-1, _CELL**2) / np.sqrt(20) for n in noise]
    size_ = np.abs(flat[0]) + np.abs(flat[1])
    even = size_.max(axis=1) <= _PEAK * np.median(size_, axis=1)
    flat = [part[even] for part in flat]
    if len(flat[0]) < 4:
        return float("nan")
    variances = [np.square(part).mean(axis=1) for part in flat]
    few = np.argsort(sum(variances), kind="stable")[: max(4, int(_FLAT_SHARE * len(flat[0])))]
    a, b = (np.square(part[few]).mean() for part in flat)
    shared = (flat[0][few] * flat[1][few]).mean() / np.sqrt(max(a * b, 1e-12))
    uneven = min(a, b) < _LEAST_EVEN * max(a, b) and shared < _LEAST_SHARED
    return float("nan") if min(a, b) < _LEAST_NOISE**2 or uneven else float(shared)
