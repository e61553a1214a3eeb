"""Objects as a file of annotations has them, before images and classes are known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.errors import DataError
from auditor.opening import why_not

MOST_TEXT_BYTES = 2_000_000_000
"""Size that a file of annotations may have."""

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class DrawnObject:
    """One object: its image's name, its box x0, y0, x1, y1 as written, the name of its class.

    `corners` are pixels, or fractions of the image where the file's are (`Drawn.fractions`), NaN
    where they could not be read. `area` is None where the file states none. `outline` is a
    segmentation as written: polygons, or run lengths with their size.
    """

    image: str
    corners: Corners
    label: str
    name: str
    crowd: bool = False
    area: float | None = None
    outline: Any = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """What a file or folder of annotations says.

    `sizes` are the images it lists, each with the (width, height) that it states or None; `empty`
    are those of which it says that they hold no object. `unread` are sentences about parts that
    could not be read; `doubtful` are images of which, for that, nothing is known, and `repeated`
    those that are listed more than once.
    """

    source: str
    objects: tuple[DrawnObject, ...]
    sizes: Mapping[str, tuple[int, int] | None]
    empty: frozenset[str] = frozenset()
    fractions: bool = False
    unread: tuple[str, ...] = ()
    doubtful: frozenset[str] = frozenset()
    repeated: tuple[str, ...] = ()


def number(value: object) -> float:
    """A number as written; NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def numbers(values: object, n: int) -> tuple[float, ...]:
    """`n` numbers as written; all NaN where they are not so many."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != n:
        return (math.nan,) * n
    return tuple(number(value) for value in values)


def whole_size(width: object, height: object) -> tuple[int, int] | None:
    """A stated size of an image; None where it is none."""
    sides = (number(width), number(height))
    if not all(math.isfinite(side) and side >= 1 for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def text_of(path: Path) -> str:
    """A file of annotations as text; DataError, without the folder, where it cannot be read."""
    found = why_not(path, at_most=MOST_TEXT_BYTES, within=path.parent)
    if found is not None:
        raise DataError(
            f"annotations: {path.name!r} cannot be read: it {found}; correct `annotations` in the "
            "audit spec"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"annotations: {path.name!r} cannot be read ({type(error).__name__}), expected a file "
            "in UTF-8; correct `annotations` in the audit spec"
        ) from error


def json_of(path: Path) -> Any:
    """A JSON file; DataError where it is none."""
    try:
        return json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"annotations: {path.name!r} is no JSON ({error}); write it anew, or correct "
            "`annotations` in the audit spec"
        ) from error
