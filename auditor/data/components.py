"""Components of a frame that a donor's can take the place of: cells, border, colour, frequencies.

Each view changes one thing and leaves the rest. With a donor of the same class and one of another
class, what differs is what that one thing says of the class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from auditor.data.chance import Chance
from auditor.data.views import Donor, ViewContext

BORDER = 0.125
"""Width of the border, as a share of each side of the frame."""

FINE = 0.125
"""Cycles per pixel from which on a frequency is fine detail: waves of eight pixels and shorter."""

_MOST_GAIN = 16.0
"""By how much a frequency is amplified or damped at most: what rounding left is no detail."""

Exchange = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class CellFromDonor:
    """The frame with one cell of a grid of `grid` x `grid` taken from a donor.

    Which cell is drawn for each image, and `turn` cells on from it; so a few passes look at all
    cells, each in as many images.
    """

    grid: int
    turn: int
    donor: Donor
    version: int = field(default=1, init=False)

    @property
    def name(self) -> str:
        return f"cell {self.turn} on, of {self.grid} x {self.grid}, from {self.donor} donor"

    def cell(self, image_id: str, *, seed: int) -> int:
        """Which cell of an image it is, 0 to ``grid**2 - 1``, row by row from the upper left."""
        return (Chance(seed, image_id, "cell").number + self.turn) % self.grid**2

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        donor = _donated(self.name, frame, context)
        row, column = divmod(self.cell(context.image_id, seed=context.seed), self.grid)
        where = _part(row, self.grid, frame.shape[0]), _part(column, self.grid, frame.shape[1])
        changed = frame.copy()
        changed[where] = donor[where]
        return changed


@dataclass(frozen=True)
class ComponentFromDonor:
    """The frame with one of `COMPONENTS` taken from a donor; ValueError for another."""

    component: str
    donor: Donor
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if self.component not in COMPONENTS:
            raise ValueError(
                f"component: found {self.component!r}, expected one of {', '.join(COMPONENTS)}"
            )

    @property
    def name(self) -> str:
        return f"{self.component} from {self.donor} donor"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        return COMPONENTS[self.component](frame, _donated(self.name, frame, context))


def _donated(view: str, frame: np.ndarray, context: ViewContext) -> np.ndarray:
    if context.donor is None or context.donor.shape != frame.shape:
        found = "none" if context.donor is None else f"one of shape {context.donor.shape}"
        raise ValueError(f"view {view}: found donor {found}, expected {frame.shape}")
    return context.donor


def _part(which: int, parts: int, length: int) -> slice:
    return slice(which * length // parts, (which + 1) * length // parts)


def _bordered(frame: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """With the donor's border of `BORDER` on every side."""
    height, width = frame.shape[:2]
    down, across = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    changed = donor.copy()
    inside = slice(down, height - down), slice(across, width - across)
    changed[inside] = frame[inside]
    return changed


def _coloured(frame: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """With the donor's mean of each channel: its colour cast and its brightness."""
    shift = donor.mean(axis=(0, 1)) - frame.mean(axis=(0, 1))
    found: np.ndarray = np.rint(np.clip(frame + shift, 0, 255)).astype(np.uint8)
    return found


def _sharpened(frame: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """With as much fine detail as the donor has, wavelength by wavelength; its own phases."""
    wave = _wavelengths(frame)
    ring = np.rint(wave * 64).astype(np.int64)
    own, given = np.fft.rfft2(frame, axes=(0, 1)), np.fft.rfft2(donor, axes=(0, 1))
    sums = [np.bincount(ring.ravel(), np.abs(f).sum(axis=2).ravel()) for f in (own, given)]
    gain = np.divide(sums[1], sums[0], out=np.ones_like(sums[0]), where=sums[0] > 0)
    gain = np.clip(gain, 1 / _MOST_GAIN, _MOST_GAIN)[ring]
    return _pictured(own * np.where(wave >= FINE, gain, 1.0)[..., None], frame)


def _patterned(frame: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """With the donor's amplitudes of coarse waves, and its own phases, mean and fine detail.

    After Yang & Soatto (2020), doi:10.1109/CVPR42600.2020.00414, who exchange the amplitudes of
    low frequencies.
    """
    wave = _wavelengths(frame)
    own, given = np.fft.rfft2(frame, axes=(0, 1)), np.fft.rfft2(donor, axes=(0, 1))
    coarse = ((wave > 0) & (wave < FINE))[..., None]
    size = np.abs(own)
    turned = np.divide(own, size, out=np.ones_like(own), where=size > 0)
    return _pictured(np.where(coarse, turned * np.abs(given), own), frame)


def _wavelengths(frame: np.ndarray) -> np.ndarray:
    """Cycles per pixel of each entry of the frame's half spectrum, (h, w // 2 + 1)."""
    height, width = frame.shape[:2]
    found: np.ndarray = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    return found


def _pictured(spectrum: np.ndarray, frame: np.ndarray) -> np.ndarray:
    values = np.fft.irfft2(spectrum, s=frame.shape[:2], axes=(0, 1))
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


COMPONENTS: Mapping[str, Exchange] = {
    "border": _bordered,
    "colour": _coloured,
    "sharpness": _sharpened,
    "coarse pattern": _patterned,
}
"""What puts a component of a donor's frame (second) in place of the frame's own, by its name."""
