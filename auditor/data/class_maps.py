"""Class maps: the class of every pixel, from folders of palette or grey PNG files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from auditor.data.annotations import ImageHeader
from auditor.data.geometry import sampled
from auditor.errors import DataError
from auditor.opening import require_file

MOST_MAP_BYTES = 200_000_000
"""Size that the file of a class map may have."""

LEAST_SHARE = 0.001
"""A class is in an image from this share of its pixels on; those that are void do not count."""

VOID = -1
"""Of pixels that are of no class and do not count."""

_PNG_BIT_DEPTH = 24
_DAMAGED = (OSError, SyntaxError, ValueError, struct.error, zlib.error)
_FORMATS = ("PNG", "BMP", "TIFF", "GIF")
_MODES = ("1", "L", "P", "I", "I;16")
_COLOURED = {"LA": 1, "RGB": 3, "RGBA": 3}
"""Modes of several channels, with how many of them are colour."""


@dataclass(frozen=True)
class PixelClasses:
    """Which class a number in a mask file is of, the same for all files.

    `index_of` maps numbers to class indices, `VOID` to leave them out; a number that it does not
    hold is refused. `label_of` says what each number is called in the data.
    """

    index_of: Mapping[int, int]
    label_of: Mapping[int, str]

    @classmethod
    def of(
        cls,
        labels: Mapping[int, str],
        *,
        classes: Sequence[str],
        class_map: Mapping[str, str | None],
        void: Sequence[int] = (255,),
    ) -> PixelClasses:
        """From what the data call each number, the model's classes, and the map between them.

        Names that the map does not hold stay as they are; one that is no class of the model, or
        is mapped to None, is left out as `void` is. DataError where no name is a class.
        """
        place = {name: index for index, name in enumerate(classes)}
        index_of = {
            number: place.get(wanted, VOID) if (wanted := class_map.get(name, name)) else VOID
            for number, name in labels.items()
        }
        if not any(index >= 0 for index in index_of.values()):
            found = ", ".join(repr(name) for name in list(labels.values())[:5]) or "nothing"
            raise DataError(
                f"masks: none of their classes is one of the model. Found {found}; the classes are "
                f"{', '.join(list(classes)[:5])}. Map them under `classes: {{map: ...}}`"
            )
        return cls(index_of | dict.fromkeys(void, VOID), labels)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the data's classes whose pixels do not count."""
        return tuple(n for i, n in self.label_of.items() if self.index_of.get(i, VOID) == VOID)

    def table(self) -> NDArray[np.int16]:
        """Class index by number, -2 for numbers that stand for nothing."""
        found = np.full(max(self.index_of, default=0) + 1, -2, dtype=np.int16)
        for number, index in self.index_of.items():
            found[number] = index
        return found


def read_class_map(
    path: Path,
    meaning: PixelClasses,
    *,
    header: ImageHeader,
    drawn_on: Literal["displayed", "stored"] = "displayed",
) -> NDArray[np.int16]:
    """The class index of every pixel of one image as displayed, (h, w), `VOID` where none counts.

    The numbers of a palette file are its indices, of a grey file its values. DataError for a
    file that is absent or damaged, in colour, of another size than its image, or with a number
    that is no class: each a sentence with what to do.
    """
    stored = _numbers(path, header.size if drawn_on == "stored" else header.displayed)
    numbers = stored.astype(np.int64)
    table = meaning.table()
    beyond = (numbers < 0) | (numbers >= len(table))
    classes = np.where(beyond, np.int16(-2), table[np.where(beyond, 0, numbers)])
    unknown = np.unique(numbers[classes == -2])
    if len(unknown):
        shown = ", ".join(map(str, unknown[:5].tolist()))
        raise DataError(
            f"mask {path.name!r}: found the numbers {shown}, which stand for no class; name them "
            "in the list of classes, or under `void`"
        )
    if drawn_on == "displayed" or header.orientation == 1:
        return classes
    size, back = header.displayed[::-1], header.to_displayed.inverse
    return sampled(classes, back, size=size, outside=VOID).astype(np.int16)


def numbers_in(path: Path, size: tuple[int, int]) -> tuple[int, ...]:
    """The numbers that a class map holds, rising; DataError as `read_class_map`.

    `size` (width, height) is what it must have.
    """
    require_file(path, what=f"mask {path.name!r}", at_most=MOST_MAP_BYTES, error=DataError,
                 remedy="Give an indexed PNG.")  # fmt: skip
    numbers = _numbers(path, size)
    if numbers.dtype == np.uint8:
        return tuple(np.flatnonzero(np.bincount(numbers.ravel(), minlength=256)).tolist())
    return tuple(map(int, np.unique(numbers)))


def _numbers(path: Path, size: tuple[int, int]) -> NDArray[np.generic]:
    try:
        with Image.open(path, formats=_FORMATS) as image:
            # Before its pixels are read: a small file may claim very many.
            if image.size != size:
                raise DataError(
                    f"mask {path.name!r}: found {image.width} x {image.height} pixels, expected "
                    f"those of its image, {size[0]} x {size[1]}; draw it on the image as it is"
                )
            return _grey(path, image) // _stretched(path, image)
    except (*_DAMAGED, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = "it is not there" if isinstance(error, FileNotFoundError) else "it is damaged"
        raise DataError(
            f"mask {path.name!r} cannot be read ({reason}), expected a PNG file; restore it, or "
            "leave its image out of the manifest"
        ) from error


def _grey(path: Path, image: Image.Image) -> NDArray[np.generic]:
    """Its numbers, (h, w): of a file in colours only where no pixel has one."""
    pixels = np.asarray(image)
    if image.mode in _MODES:
        return pixels.astype(np.uint8) if image.mode == "1" else pixels
    if (
        image.mode not in _COLOURED
        or (pixels[..., : _COLOURED[image.mode]] != pixels[..., :1]).any()
    ):
        raise DataError(
            f"mask {path.name!r}: found colours (mode {image.mode}), expected a palette or "
            "grey file whose numbers are classes; save it as an indexed PNG"
        )
    return pixels[..., 0]


def _stretched(path: Path, image: Image.Image) -> int:
    """By how much Pillow multiplies the numbers of a grey PNG file of 2 or 4 bits."""
    if image.format != "PNG" or image.mode != "L":
        return 1
    with path.open("rb") as file:
        bits = file.read(_PNG_BIT_DEPTH + 1)[_PNG_BIT_DEPTH]
    return 255 // (2**bits - 1) if bits < 8 else 1
