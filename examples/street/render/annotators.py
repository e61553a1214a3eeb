"""How the two annotators draw what is there, and how a drawn map is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Classes = npt.NDArray[np.uint8]

VOID = 255
FACTOR = {"ida": 1.0, "tom": 1.5}
"""The area that each annotator draws, over the true area of an object."""
SLIP = 0.03
"""Standard deviation of that factor from object to object."""
WOBBLE = {"ida": 0.9, "tom": 1.0}
"""How far the drawn outline strays from the true one, in pixels; less around a narrow object."""
_EIGHT = np.ones((3, 3))


def drawn(truth: Classes, annotator: str, rng: np.random.Generator) -> Classes:
    """The map as the annotator draws it: each object grown over the path around it."""
    found = np.zeros_like(truth)
    free = truth == 0
    for label in (2, 3, 1):
        objects, count = ndimage.label(truth == label, structure=_EIGHT)
        for k in range(1, count + 1):
            own = objects == k
            area = round(own.sum() * FACTOR[annotator] * np.exp(rng.normal(0, SLIP)))
            found[_nearest(own, free, area, WOBBLE[annotator], rng)] = label
    return found


def _nearest(
    own: npt.NDArray[np.bool_],
    free: npt.NDArray[np.bool_],
    area: int,
    wobble: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """The `area` pixels that lie deepest in the object or next to it, on free ground."""
    depth = ndimage.distance_transform_edt(own)
    rough = ndimage.gaussian_filter(rng.normal(size=own.shape), 2.0)
    stray = wobble * min(1.0, depth.max() / 8) * rough / rough.std()
    away = np.where(own | free, ndimage.distance_transform_edt(~own) - depth + stray, np.inf)
    order = np.argsort(away, axis=None, kind="stable")[:area]
    inside = np.zeros(own.shape, dtype=bool)
    inside.flat[order] = True
    return inside


def with_void(classes: Classes) -> Classes:
    """Pixels of the path that touch an object count for nothing: nobody draws to the pixel."""
    hazard = classes > 0
    edge = ndimage.binary_dilation(hazard, structure=_EIGHT) & ~hazard
    return np.where(edge, VOID, classes).astype(np.uint8)


def save(classes: Classes, path: Path) -> None:
    """A grey PNG whose numbers are the classes; a palette would be larger than the map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(classes).save(path, optimize=True)
