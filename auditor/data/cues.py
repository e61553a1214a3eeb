"""Cues: what of an image needs no look at its subject, as numbers from its row of a scan.

Colours at the border and in the corners are those of the thumbnail that a scan holds, 32 x 32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.data.scan import THUMBNAIL

Floats = NDArray[np.float64]

SMALL = 8
"""Side of the thumbnail that is a cue."""
RING = 2
"""Width of the border, in pixels of the scan's thumbnail."""
CORNER = 4
"""Side of a corner, likewise: an eighth of the picture."""


@dataclass(frozen=True)
class Cue:
    """Numbers of each image, (n, d), NaN where an image has none.

    `of_subject` says that what the picture shows may rightly differ in them (colour, brightness,
    bytes of a detailed scene); a file's type and size in pixels never belong to the subject. `many`
    says that they are so many that their spread is left out of account.
    """

    name: str
    values: Floats
    of_subject: bool
    many: bool = False

    @property
    def place(self) -> str:
        """Where in the image it is read."""
        return self.name if self.name in ("border", "corners") else _PLACES[self.of_subject]

    @property
    def varies(self) -> bool:
        """Whether any number differs between images."""
        known = np.isfinite(self.values)
        low = np.where(known, self.values, np.inf).min(axis=0, initial=np.inf)
        high = np.where(known, self.values, -np.inf).max(axis=0, initial=-np.inf)
        return bool((high > low).any())


_PLACES = {True: "whole picture", False: "file"}

_PROPERTIES: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "brightness": (("mean", "std", "p1", "p99", "saturated_share", "entropy"), True),
    "colour": (("red_ratio", "blue_ratio", "saturation"), True),
    "sharpness": (("sharpness", "noise"), True),
    "picture size": (("width", "height", "aspect"), False),
}


def cues(scan: pd.DataFrame) -> tuple[Cue, ...]:
    """The cues of images from their rows of a scan; a column that it lacks is left out."""
    found = [
        Cue(name, _columns(scan, columns), of_subject)
        for name, (columns, of_subject) in _PROPERTIES.items()
    ]
    found += [Cue("file type", _file_type(scan), False), Cue("compression", _stored(scan), True)]
    if "thumbnail" in scan:
        small = thumbnails(scan)
        found += [
            Cue("border", border(small), True),
            Cue("corners", corners(small), True),
            Cue("8 x 8 thumbnail", shrunk(small).reshape(len(small), -1), True, many=True),
        ]
    return tuple(cue for cue in found if cue.values.shape[1])


def thumbnails(scan: pd.DataFrame) -> Floats:
    """Thumbnails of a scan, (n, 32, 32, 3) 0-255; NaN of images that have none."""
    size = THUMBNAIL * THUMBNAIL * 3
    found = np.full((len(scan), size), np.nan)
    for i, held in enumerate(scan["thumbnail"]):
        if len(held) == size:
            found[i] = np.frombuffer(held, dtype=np.uint8)
    return found.reshape(-1, THUMBNAIL, THUMBNAIL, 3)


def border(small: Floats) -> Floats:
    """Mean and spread of each channel along each side, corners left out, (n, 24)."""
    inner = slice(CORNER, THUMBNAIL - CORNER)
    sides = (small[:, :RING, inner], small[:, -RING:, inner],
             small[:, inner, :RING], small[:, inner, -RING:])  # fmt: skip
    return _mean_and_spread(sides)


def corners(small: Floats) -> Floats:
    """Mean and spread of each channel in each corner, (n, 24)."""
    ends = (slice(None, CORNER), slice(-CORNER, None))
    return _mean_and_spread([small[:, rows, columns] for rows in ends for columns in ends])


def shrunk(small: Floats) -> Floats:
    """Thumbnails (n, 32, 32, 3) as (n, 8, 8, 3), each cell the mean of what it covers."""
    cell = THUMBNAIL // SMALL
    means: Floats = small.reshape(-1, SMALL, cell, SMALL, cell, 3).mean(axis=(2, 4))
    return means


def _mean_and_spread(parts: tuple[Floats, ...] | list[Floats]) -> Floats:
    told = [f for part in parts for f in (part.mean(axis=(1, 2)), part.std(axis=(1, 2)))]
    return np.concatenate(told, axis=1)


def _columns(scan: pd.DataFrame, names: tuple[str, ...]) -> Floats:
    there = [name for name in names if name in scan]
    return scan[there].to_numpy(dtype=np.float64)


def _file_type(scan: pd.DataFrame) -> Floats:
    """Format, mode and depth as 0 and 1 for each that occurs, (n, kinds)."""
    columns = [c for c in ("format", "mode", "bits", "exif_rotated", "has_alpha") if c in scan]
    told = [pd.get_dummies(scan[column].astype(str)).to_numpy(np.float64) for column in columns]
    return np.concatenate([np.empty((len(scan), 0)), *told], axis=1)


def _stored(scan: pd.DataFrame) -> Floats:
    """Traces of 8 x 8 blocks, and bytes a pixel, (n, 2)."""
    if not {"bytes", "width", "height"} <= set(scan):
        return _columns(scan, ("blockiness",))
    pixels = _columns(scan, ("width",)) * _columns(scan, ("height",))
    return np.hstack([_columns(scan, ("blockiness",)), _columns(scan, ("bytes",)) / pixels])
