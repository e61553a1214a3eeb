"""From the bytes of a file to RGB pixels.

Decoding gives what Pillow gives (`ImageOps.exif_transpose`, then RGB); a file is read whole or
not at all.
"""

from __future__ import annotations

import io
import math
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, UnidentifiedImageError

from auditor.data.deep_pixels import DEEP_MODES, PixelRangeError, eight_bits, stored_values
from auditor.data.dicom import PREAMBLE, SUFFIXES, DicomError, dicom_size, is_dicom, read_dicom
from auditor.errors import DataError
from auditor.spec import DicomSpec, InputSpec

DECODER_VERSION = 2
"""Changes when the same bytes would give other pixels or another frame."""

FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
"""Raster formats that are read. Others of Pillow's run programs (EPS) or hold no photograph."""

_UPRIGHT = 1
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_PNG_BIT_DEPTH = 24
_TIFF_BITS_PER_SAMPLE = 258

# What Pillow's plugins raise on damaged files, beside OSError.
PATCH_PIXELS = 1 << 24
"""Pixels that a patch may have: it covers a part of a frame."""
_DAMAGED = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, EOFError,
            OverflowError, struct.error, zlib.error)  # fmt: skip


_unbounded = threading.Lock()


class UnreadableImageError(DataError):
    """An image that cannot be decoded whole; the message is the reason."""


@dataclass(frozen=True)
class ImageFacts:
    """What a file is: as stored, except width and height, which are of the upright image.

    `bits` is the depth of a channel; `frames` is above 1 for animations and multi-page files,
    of which the first frame is used. `highest` is the largest value stored, of the file's own
    range where that is known (a palette's colours else).
    """

    format: str
    mode: str
    bits: int
    width: int
    height: int
    bytes: int
    exif_rotated: bool
    has_alpha: bool
    frames: int
    highest: float


@dataclass(frozen=True)
class Decoded:
    """Pixels (h, w, 3) uint8 RGB, upright, with the facts of their file.

    `orientation` is what the file's EXIF says, 1 for none (1 to 8).
    """

    pixels: np.ndarray
    facts: ImageFacts
    orientation: int = _UPRIGHT

    def as_fed(self, input: InputSpec) -> np.ndarray:
        """The pixels as `input.exif` wants them: upright, or as they are stored."""
        if input.exif == "apply":
            return self.pixels
        return np.ascontiguousarray(
            _TURNS[_TURNED_BACK.get(self.orientation, self.orientation)](self.pixels)
        )


def decode(
    content: bytes,
    *,
    max_pixels: int,
    white: float | None = None,
    dicom: DicomSpec | None = None,
) -> Decoded:
    """Decode a file to upright RGB.

    Grey of 16 bits is divided by 257 and rounded, so that 65535 is white; 16-bit colour keeps
    its high byte (as Pillow does). With `white` (`InputSpec.range`) the stored values are scaled
    so that this one becomes 255, where the file's depth can hold it. Transparency is dropped,
    CMYK converted without a colour profile, of an animation the first frame taken, and no colour
    profile applied: all as ``Image.convert("RGB")`` does it, and all told in `facts`. DICOM files
    are windowed as `dicom` says (`auditor.data.dicom`), whatever `white` is.

    Raises UnreadableImageError for an empty, truncated, damaged or foreign file, for pixels
    whose range is unknown (32-bit) or that exceed `white`, and, before decoding, for more than
    `max_pixels` pixels.
    """
    if not content:
        raise UnreadableImageError("the file is empty (0 bytes)")
    if is_dicom(content):
        return _decode_dicom(content, max_pixels=max_pixels, dicom=dicom)
    try:
        with _opened(content, max_pixels=max_pixels) as image:
            return _decode_opened(image, content, white)
    except UnreadableImageError:
        raise
    except _DAMAGED as error:
        raise UnreadableImageError(_reason(error)) from error


def _decode_dicom(content: bytes, *, max_pixels: int, dicom: DicomSpec | None) -> Decoded:
    try:
        grey = read_dicom(content, dicom=dicom, max_pixels=max_pixels)
    except DicomError as error:
        raise UnreadableImageError(str(error)) from error
    height, width = grey.pixels.shape
    facts = ImageFacts(
        format="DICOM",
        mode="L",
        bits=8,
        width=width,
        height=height,
        bytes=len(content),
        exif_rotated=False,
        has_alpha=False,
        frames=grey.frames,
        highest=float(grey.pixels.max()),
    )
    return Decoded(pixels=np.repeat(grey.pixels[:, :, None], 3, axis=2), facts=facts)


def decode_patch(content: bytes) -> Image.Image:
    """A picture with its transparency, mode RGBA; raises UnreadableImageError as `decode` does."""
    try:
        with _opened(content, max_pixels=PATCH_PIXELS, allowed_by="a patch") as image:
            return image.convert("RGBA")
    except UnreadableImageError:
        raise
    except _DAMAGED as error:
        raise UnreadableImageError(_reason(error)) from error


def is_image_name(name: str) -> bool:
    """Whether a name ends as that of an image does, in any case."""
    return name.lower().endswith(image_suffixes())


@lru_cache(maxsize=1)
def image_suffixes() -> tuple[str, ...]:
    """The suffixes of the formats that are read, in lower case."""
    found = (s for s, name in Image.registered_extensions().items() if name in FORMATS)
    return (*found, *SUFFIXES)


@lru_cache(maxsize=1)
def _readable_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def read_header(file: BinaryIO) -> tuple[tuple[int, int], int]:
    """An image's (width, height) as stored, and its EXIF orientation (1 to 8); no pixel is read.

    Raises UnreadableImageError where the file is no image.
    """
    begins = file.read(PREAMBLE)
    file.seek(0)
    if is_dicom(begins):
        try:
            return dicom_size(file), _UPRIGHT
        except DicomError as error:
            raise UnreadableImageError(str(error)) from error
    try:
        with Image.open(file, formats=_readable_formats()) as image:
            return image.size, _orientation(image)
    except (*_DAMAGED, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(f"not an image ({type(error).__name__})") from error


def _opened(
    content: bytes, *, max_pixels: int, allowed_by: str = "`data.limits.max_pixels`"
) -> Image.Image:
    try:
        image = _with_header(content)
    except UnidentifiedImageError:
        begins = content[:16]
        raise UnreadableImageError(
            f"not an image in a known format (the file begins with {begins!r})"
        ) from None
    n_pixels = image.width * image.height
    if n_pixels > max_pixels:
        raise UnreadableImageError(
            f"{image.width} x {image.height} is {n_pixels:,} pixels, more than the "
            f"{max_pixels:,} that {allowed_by} allows"
        )
    return image


def _with_header(content: bytes) -> Image.Image:
    """The image, not yet decoded, however large: the bound that counts is the caller's."""
    try:
        return Image.open(io.BytesIO(content), formats=_readable_formats())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Pillow's own bound is one for all threads, and is given back once the header is read.
        with _unbounded:
            bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(io.BytesIO(content), formats=_readable_formats())
            finally:
                Image.MAX_IMAGE_PIXELS = bound


def _decode_opened(image: Image.Image, content: bytes, white: float | None) -> Decoded:
    # Facts first: loading and converting change mode and orientation of some formats.
    stored_mode, stored_format = image.mode, str(image.format)
    bits, has_alpha = _bits(image, content), _has_alpha(image)
    frames = int(getattr(image, "n_frames", 1))
    stored_orientation = _orientation(image)
    pixels = _fast_jpeg(image, content)
    orientation = stored_orientation
    if pixels is None:
        image.load()
        # Pillow turns TIFFs while loading; a PNG's EXIF may lie behind its pixels.
        orientation = _orientation(image)
        pixels, highest = _rgb(image, content, bits=bits, white=white)
    else:
        highest = float(pixels.max())
        pixels = _scaled_8(pixels, white)
    pixels = np.ascontiguousarray(_upright(pixels, orientation))
    height, width = pixels.shape[:2]
    return Decoded(
        pixels=pixels,
        facts=ImageFacts(
            format=stored_format,
            mode=stored_mode,
            bits=bits,
            width=width,
            height=height,
            bytes=len(content),
            exif_rotated=(stored_orientation, orientation) != (_UPRIGHT, _UPRIGHT),
            has_alpha=has_alpha,
            frames=frames,
            highest=highest,
        ),
        orientation=stored_orientation if stored_orientation != _UPRIGHT else orientation,
    )


def _fast_jpeg(image: Image.Image, content: bytes) -> np.ndarray | None:
    """Pixels from libjpeg-turbo directly, equal to Pillow's; None where Pillow must decide."""
    if image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return None
    colorspace = "RGB" if image.mode == "RGB" else "GRAY"
    try:
        # Strict: whatever libjpeg warns of is Pillow's to accept or refuse.
        pixels: np.ndarray = simplejpeg.decode_jpeg(content, colorspace, strict=True)
    except ValueError:
        return None
    return pixels if image.mode == "RGB" else np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, 2)


def _rgb(
    image: Image.Image, content: bytes, *, bits: int, white: float | None
) -> tuple[np.ndarray, float]:
    """Pixels (h, w, 3) uint8 and the largest value stored."""
    deep = stored_values(image, content, bits=bits)
    highest = math.nan if deep is None else float(deep.max(initial=0))
    colour = deep is not None and deep.ndim == 3
    if deep is not None and (not colour or white is not None):
        try:
            eight = eight_bits(deep, white=white)
        except PixelRangeError as error:
            raise UnreadableImageError(str(error)) from error
        return (eight if colour else np.repeat(eight[:, :, None], 3, axis=2)), highest
    # With it, Pillow would look for a transparent colour, and warns about palettes.
    image.info.pop("transparency", None)
    pixels = np.asarray(image.convert("RGB"))
    if colour:
        return pixels, highest
    return _scaled_8(pixels, white), float(pixels.max(initial=0))


def _scaled_8(pixels: np.ndarray, white: float | None) -> np.ndarray:
    if white is None or white >= 255:
        return pixels
    try:
        return eight_bits(pixels, white=white)
    except PixelRangeError as error:
        raise UnreadableImageError(str(error)) from error


def _bits(image: Image.Image, content: bytes) -> int:
    if image.format == "PNG":
        return content[_PNG_BIT_DEPTH]
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        return int(max(tags.get(_TIFF_BITS_PER_SAMPLE, (8,))))
    if image.mode in DEEP_MODES and image.mode not in ("I", "F"):
        return 16
    return {"1": 1, "I": 32, "F": 32}.get(image.mode, 8)


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in _ALPHA_MODES or "transparency" in image.info


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    except _DAMAGED:
        return _UPRIGHT
    return found if found in _TURNS else _UPRIGHT


_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p[::-1].transpose(1, 0, 2),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: p[:, ::-1].transpose(1, 0, 2),
}


_TURNED_BACK = {6: 8, 8: 6}
"""Orientations whose turn is undone by another; each of the rest undoes itself."""


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    turned: np.ndarray = _TURNS[orientation](pixels)
    return turned


def _reason(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    if "truncated" in text.lower():
        return f"the file ends before its image does ({text})"
    return f"the image data are damaged ({text})"
