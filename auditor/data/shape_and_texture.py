"""Views that take the shape, the texture or the colour from a frame and leave the rest.

Cutting a frame up and shuffling its pieces takes the shape and keeps the texture; blurring takes
the texture and keeps the coarse shape; what is left of a frame beyond its blurred self are edges
and texture without shading. Of a silhouette nothing is left but the outline.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageFilter

from auditor.data.chance import Chance
from auditor.data.views import Donor, ViewContext

LEAST_SIGMA = 0.5
"""Pixels: a narrower Gaussian leaves a frame as it is."""


@dataclass(frozen=True)
class PatchesShuffled:
    """The frame cut into ``grid x grid`` patches, in an order drawn for the image.

    Where the sides do not divide by `grid`, the pixels left over at the right and at the bottom
    stay where they are. A frame of fewer pixels a side than patches raises ValueError.
    Source: Zhang & Zhu (2019), arXiv:1905.09797.
    """

    grid: int
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.grid < 2:
            raise ValueError(f"patches: found a grid of {self.grid}, expected at least 2 a side")

    @property
    def name(self) -> str:
        return f"patches shuffled {self.grid}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        rows, columns = (side // self.grid for side in frame.shape[:2])
        if min(rows, columns) < 1:
            raise ValueError(f"view {self.name}: found a frame of {frame.shape[:2]} pixels")
        whole = frame[: rows * self.grid, : columns * self.grid]
        pieces = whole.reshape(self.grid, rows, self.grid, columns, 3).swapaxes(1, 2)
        seed = Chance(context.seed, context.image_id, self.name).number
        order = np.random.default_rng(seed).permutation(self.grid**2)
        mixed = pieces.reshape(-1, rows, columns, 3)[order]
        changed = frame.copy()
        changed[: whole.shape[0], : whole.shape[1]] = (
            mixed.reshape(self.grid, self.grid, rows, columns, 3)
            .swapaxes(1, 2)
            .reshape(whole.shape)
        )
        return changed


@dataclass(frozen=True)
class LowPass:
    """The frame blurred by a Gaussian of a `share` of its shorter side: what is fine is gone."""

    share: float
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        return f"low-pass {self.share:g}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        return _blurred(frame, self.share)


@dataclass(frozen=True)
class HighPass:
    """The frame less its blurred self, around its mean grey: shading and areas of colour are gone.

    `share` of the shorter side is the Gaussian's standard deviation.
    """

    share: float
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        return f"high-pass {self.share:g}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        fine = frame.astype(np.int16) - _blurred(frame, self.share)
        return np.asarray(np.clip(fine + int(frame.mean()), 0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Grey:
    """The frame without colour: luma of ITU-R 601 in all three channels."""

    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)
    name: str = field(default="grey", init=False)

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        luma = np.asarray(Image.fromarray(frame).convert("L"))
        return np.repeat(luma[..., None], 3, axis=2)


@dataclass(frozen=True)
class Silhouettes:
    """Annotated objects of `classes` in black, all else white; a frame without any stays as it is.

    Source: Geirhos et al. (2019), arXiv:1811.12231.
    """

    classes: tuple[int, ...] | None = None
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        of = "" if self.classes is None else " of classes " + ",".join(map(str, self.classes))
        return f"silhouettes{of}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        objects = context.objects
        if objects is None or not objects.any():
            return frame
        return np.repeat(np.where(objects, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _blurred(frame: np.ndarray, share: float) -> np.ndarray:
    sigma = max(LEAST_SIGMA, share * min(frame.shape[:2]))
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(sigma)))
