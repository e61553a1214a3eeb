"""Class maps: the class of every pixel, from folders of palette or grey PNG files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from auditor.data.annotations import ImageHeader
from auditor.data.geometry import sampled
from auditor.data.image_files import ImageFiles, remote_of
from auditor.errors import DataError
from auditor.opening import require_file
from auditor.remote.urls import name_of

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


class UnusableMapError(DataError):
    """A class map that is not what it must be; the message is the reason."""


def read_class_map(
    path: Path | str,
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
            f"{_told(path)}: found the numbers {shown}, which stand for no class; name them "
            "in the list of classes, or under `void`"
        )
    if drawn_on == "displayed" or header.orientation == 1:
        return classes
    size, back = header.displayed[::-1], header.to_displayed.inverse
    return sampled(classes, back, size=size, outside=VOID).astype(np.int16)


def numbers_in(path: Path | str, size: tuple[int, int]) -> tuple[int, ...]:
    """The numbers that a class map holds, rising; DataError as `read_class_map`.

    `size` (width, height) is what it must have.
    """
    if remote_of(str(path)) is None:
        require_file(
            Path(path), what=_told(path), at_most=MOST_MAP_BYTES, error=UnusableMapError,
            remedy="Give an indexed PNG.",
        )  # fmt: skip
    numbers = _numbers(path, size)
    if numbers.dtype == np.uint8:
        return tuple(np.flatnonzero(np.bincount(numbers.ravel(), minlength=256)).tolist())
    return tuple(map(int, np.unique(numbers)))


def file_name(path: Path | str) -> str:
    """What the file of a class map is called, without its folder."""
    found = remote_of(str(path))
    return Path(path).name if found is None else name_of(found.url)


def _told(path: Path | str) -> str:
    return f"mask {file_name(path)!r}"


def _opened(path: Path | str) -> BinaryIO:
    return open(path, "rb") if remote_of(str(path)) is None else ImageFiles().open(str(path))


def _numbers(path: Path | str, size: tuple[int, int]) -> NDArray[np.generic]:
    try:
        with _opened(path) as file, Image.open(file, formats=_FORMATS) as image:
            # Before its pixels are read: a small file may claim very many.
            if image.size != size:
                raise UnusableMapError(
                    f"{_told(path)}: found {image.width} x {image.height} pixels, expected "
                    f"those of its image, {size[0]} x {size[1]}; draw it on the image as it is"
                )
            return _grey(path, image) // _stretched(file, image)
    except (*_DAMAGED, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UnusableMapError(
            f"{_told(path)} cannot be read ({_why(error, path)}), expected a PNG file; restore it, "
            "or leave its image out of the manifest"
        ) from error


def _why(error: Exception, path: Path | str) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, OSError) and remote_of(str(path)) is not None:
        return error.strerror or "it is damaged"
    return "it is damaged"


def _grey(path: Path | str, image: Image.Image) -> NDArray[np.generic]:
    """Its numbers, (h, w): of a file in colours only where no pixel has one."""
    pixels = np.asarray(image)
    if image.mode in _MODES:
        return pixels.astype(np.uint8) if image.mode == "1" else pixels
    if (
        image.mode not in _COLOURED
        or (pixels[..., : _COLOURED[image.mode]] != pixels[..., :1]).any()
    ):
        raise UnusableMapError(
            f"{_told(path)}: found colours (mode {image.mode}), expected a palette or "
            "grey file whose numbers are classes; save it as an indexed PNG"
        )
    return pixels[..., 0]


def _stretched(file: BinaryIO, image: Image.Image) -> int:
    """By how much Pillow multiplies the numbers of a grey PNG file of 2 or 4 bits."""
    if image.format != "PNG" or image.mode != "L":
        return 1
    file.seek(_PNG_BIT_DEPTH)
    bits = file.read(1)[0]
    return 255 // (2**bits - 1) if bits < 8 else 1
