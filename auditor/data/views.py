"""Views: named, seeded transforms of a frame at model size.

A view takes a uint8 RGB frame (h, w, 3) and gives one of the same shape. What it may know
beside the pixels is in `ViewContext`. Views are values: equal views are one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

Donor = Literal["same-class", "other-class"]


@dataclass(frozen=True)
class ViewContext:
    """What a view may know: the image, the audit's seed, the truth, and a donor's frame."""

    image_id: str
    seed: int
    label: int
    donor: np.ndarray | None = None


@runtime_checkable
class View(Protocol):
    """A transform of frames. `name` is unique for its parameters and enters store keys.

    `version` changes when the same parameters would give other pixels. `donor` says which
    image of the same role (another unit) must be handed over in the context, None for none.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def donor(self) -> Donor | None: ...
    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray: ...


@dataclass(frozen=True)
class AsShot:
    """The frame as it is."""

    name: str = "as-shot"
    version: int = 1
    donor: Donor | None = None

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        return frame


AS_SHOT = AsShot()
