"""Changes of a whole frame that a spec names as an artefact, to be added to every image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from auditor.data.components import COMPONENTS
from auditor.data.corruptions import KINDS
from auditor.data.geometry import Affine, mirrored
from auditor.data.views import Corrupted, Donor, Region, View, ViewContext

SEVERITY = 3
"""Of 1 to 5, at which a corruption is added."""

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_CAST = np.array([10.0, 0.0, -10.0])


def _grey(frame: np.ndarray) -> np.ndarray:
    return np.asarray(np.repeat((frame @ _LUMINANCE)[..., None], 3, axis=2))


def _tint(frame: np.ndarray) -> np.ndarray:
    """A warm cast: ten values more red and ten less blue."""
    return np.asarray(frame + _CAST)


TRANSFORMS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"grey": _grey, "tint": _tint}


@dataclass(frozen=True)
class Transformed:
    """The frame under one of `TRANSFORMS`; KeyError for another."""

    transform: str
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        return f"made {self.transform}"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        values = TRANSFORMS[self.transform](frame)
        return np.asarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8))


MIRROR = "mirror"


@dataclass(frozen=True)
class MirroredAround:
    """The frame mirrored left to right, but for the `kept` regions and their mirrored places.

    An artefact that always stands on one side would move along, and be taken for the mirroring.
    """

    kept: tuple[Region, ...] = ()
    version: int = field(default=1, init=False)
    donor: Donor | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        return " ".join(["mirrored", *(f"around {region}" for region in self.kept)])

    @property
    def share_kept(self) -> float:
        """How much of a frame stays as it is, counted twice where regions meet."""
        areas = ((r.x1 - r.x0) * (r.y1 - r.y0) for r in self.kept)
        return min(2 * sum(areas), 1.0)

    def affine(self, size: tuple[int, int], context: ViewContext) -> Affine:
        return mirrored(size[1])

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        changed = frame[:, ::-1].copy()
        for region in self.kept:
            for one in (region, region.mirrored):
                where = one.within(frame)
                changed[where] = frame[where]
        return changed


def added(transform: str, *, known: Sequence[Region] = ()) -> View | None:
    """The view that adds a named transform; None for a component, which is exchanged.

    The `known` regions of artefacts stay as they are where a picture is mirrored. ValueError for a
    name that is neither.
    """
    if transform in COMPONENTS:
        return None
    if transform == MIRROR:
        return MirroredAround(tuple(known))
    if transform in TRANSFORMS:
        return Transformed(transform)
    if transform in KINDS:
        return Corrupted(transform, SEVERITY)
    names = ", ".join([MIRROR, *TRANSFORMS, *COMPONENTS, *KINDS])
    raise ValueError(f"found the transform {transform!r}, expected one of {names}")
