"""Views: named, seeded transforms of a frame at model size.

A view takes a uint8 RGB frame (h, w, 3) and gives one of the same shape. What it may know
beside the pixels is in `ViewContext`. Views are values: equal views are one pass.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from auditor.data import conditions
from auditor.data.chance import Chance
from auditor.data.corruptions import KINDS
from auditor.data.geometry import Affine
from auditor.data.images import UnreadableImageError, decode_patch
from auditor.data.moves import MOVES, moved

Donor = Literal["same-class", "other-class", "any"]


@dataclass(frozen=True)
class ViewContext:
    """What a view may know: the image, the audit's seed, the truth, and a donor's frame.

    `objects` (h, w) bool is where annotated objects lie in the frame, for views that ask for it
    (`OfObjects`); None where nothing is annotated.
    """

    image_id: str
    seed: int
    label: int
    donor: np.ndarray | None = None
    objects: np.ndarray | None = None


@runtime_checkable
class View(Protocol):
    """A transform of frames. `name` is unique for its parameters and enters store keys.

    `version` changes when the same parameters would give other pixels. `donor` says which
    image of the same split (another unit) must be handed over in the context, None for none; with
    ``any`` one of whatever class.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def donor(self) -> Donor | None: ...
    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray: ...


@runtime_checkable
class Moving(View, Protocol):
    """A view under which things lie elsewhere."""

    def affine(self, size: tuple[int, int], context: ViewContext) -> Affine:
        """Where the points of a frame of `size` (height, width) go."""
        ...


@runtime_checkable
class OfObjects(View, Protocol):
    """A view that must know where the annotated objects lie."""

    @property
    def classes(self) -> tuple[int, ...] | None:
        """Classes that count as objects where a class map is annotated; None for all."""
        ...


@dataclass(frozen=True)
class AsShot:
    """The frame as it is."""

    name: str = "as-shot"
    version: int = 1
    donor: Donor | None = None

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        return frame


AS_SHOT = AsShot()


@dataclass(frozen=True)
class Region:
    """A rectangle in fractions of the frame, ``0 <= x0 < x1 <= 1`` from the left, y from the top.

    Raises
    ------
    ValueError
        If the corners are not rising within the frame.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 <= 1 and 0 <= self.y0 < self.y1 <= 1):
            raise ValueError(
                f"region: found {self}, expected [x0, y0, x1, y1] rising, from 0 to 1; correct the "
                "region in the audit spec"
            )

    def __str__(self) -> str:
        return ",".join(f"{edge:g}" for edge in (self.x0, self.y0, self.x1, self.y1))

    @property
    def mirrored(self) -> Region:
        """Where it lies with left and right exchanged."""
        return Region(1 - self.x1, self.y0, 1 - self.x0, self.y1)

    def touches(self, other: Region) -> bool:
        """Whether the two have more than an edge in common."""
        slack = 1e-9
        return (
            min(self.x1, other.x1) - max(self.x0, other.x0) > slack
            and min(self.y1, other.y1) - max(self.y0, other.y0) > slack
        )

    def within(self, frame: np.ndarray) -> tuple[slice, slice]:
        """Rows and columns of `frame` (h, w, ...) that the region touches, at least one each.

        Edges are rounded outward: what lies partly inside is inside.
        """
        height, width = frame.shape[:2]
        return _outward(self.y0, self.y1, height), _outward(self.x0, self.x1, width)


@dataclass(frozen=True)
class RegionFromDonor:
    """The frame with `region` taken from another unit's image, of the same class or another."""

    region: Region
    donor: Donor
    version: int = field(default=1, init=False)

    @property
    def name(self) -> str:
        return f"region {self.region} from {self.donor} donor"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        if context.donor is None or context.donor.shape != frame.shape:
            found = "none" if context.donor is None else f"one of shape {context.donor.shape}"
            raise ValueError(f"view {self.name}: found donor {found}, expected {frame.shape}")
        changed = frame.copy()
        where = self.region.within(frame)
        changed[where] = context.donor[where]
        return changed


@dataclass(frozen=True)
class PatchInRegion:
    """The frame with a picture laid over `region`: `patch` is its PNG file, alpha blends it.

    The picture is stretched to the region. A file that holds no picture raises ValueError when
    the view is made.
    """

    region: Region
    patch: bytes = field(repr=False)
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        _patch_pixels(self.patch, 1, 1)

    @property
    def name(self) -> str:
        return f"patch {hashlib.sha256(self.patch).hexdigest()[:16]} in region {self.region}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        changed = frame.copy()
        where = self.region.within(frame)
        under = changed[where].astype(np.float64)
        picture = _patch_pixels(self.patch, *under.shape[:2]).astype(np.float64)
        alpha = picture[..., 3:] / 255
        changed[where] = np.rint(alpha * picture[..., :3] + (1 - alpha) * under).astype(np.uint8)
        return changed


@dataclass(frozen=True)
class Corrupted:
    """The frame under a corruption of a kind of `auditor.data.corruptions`, severity 1 to 5.

    ValueError for another kind or severity.
    """

    kind: str
    severity: int
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"corruption: found the kind {self.kind!r}, expected one of {', '.join(KINDS)}"
            )
        if self.severity not in (1, 2, 3, 4, 5):
            raise ValueError(
                f"corruption: found severity {self.severity}, expected 1, 2, 3, 4 or 5"
            )

    @property
    def name(self) -> str:
        return f"{self.kind} severity {self.severity}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        return KINDS[self.kind](frame, self.severity, _chance(context, self.kind))


@dataclass(frozen=True)
class Moved:
    """The frame moved in one of the ways of `auditor.data.moves`, `by` so much.

    ValueError for another way.
    """

    move: str
    by: float = 1.0
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.move not in MOVES:
            raise ValueError(f"move: found {self.move!r}, expected one of {', '.join(MOVES)}")

    @property
    def name(self) -> str:
        return f"{self.move} {self.by:g}"

    def affine(self, size: tuple[int, int], context: ViewContext) -> Affine:
        return MOVES[self.move](size, self.by, _chance(context, self.move))

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        height, width = frame.shape[:2]
        return moved(frame, self.affine((height, width), context))


@dataclass(frozen=True)
class UnderCondition:
    """The frame brought to a place `at` in the range of an operating condition.

    Conditions are those of `auditor.data.conditions`; ValueError for another.
    """

    condition: str
    at: float
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.condition not in conditions.CONDITIONS:
            known = ", ".join(conditions.CONDITIONS)
            raise ValueError(f"condition: found {self.condition!r}, expected one of {known}")

    @property
    def name(self) -> str:
        return f"{self.condition} at {self.at:g}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        operator = conditions.CONDITIONS[self.condition]
        return operator(frame, self.at, _chance(context, self.condition))


def _chance(context: ViewContext, what: str) -> Chance:
    return Chance(context.seed, context.image_id, what)


def _outward(start: float, stop: float, length: int) -> slice:
    # A tenth is not a binary fraction: without the slack, 0.3 of 10 pixels could end at 4.
    slack = 1e-9
    first = min(math.floor(start * length + slack), length - 1)
    return slice(first, max(first + 1, math.ceil(stop * length - slack)))


@lru_cache(maxsize=32)
def _patch_pixels(patch: bytes, height: int, width: int) -> np.ndarray:
    """The picture at the region's size, (height, width, 4) uint8."""
    try:
        picture = decode_patch(patch)
    except UnreadableImageError as error:
        raise ValueError(f"patch: found {len(patch)} bytes that are no picture: {error}") from error
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
