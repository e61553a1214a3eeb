"""DICOM images: stored values through the file's rescale and a declared window to 8 bits of grey.

Only what pixels are made of is parsed: no other part of a header, which is where patients are
named, enters memory as text, let alone a message or the record.
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from auditor.errors import MissingLibraryError
from auditor.spec import DicomSpec

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SUFFIXES = (".dcm", ".dicom")
_EMPTY, _MAGIC = 128, b"DICM"
PREAMBLE = _EMPTY + len(_MAGIC)
"""Bytes that tell whether a file is DICOM."""

_LITTLE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}
_BIG = "1.2.840.10008.1.2.2"
_LONG = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT", b"UC", b"UR")
_MOST_META = 1 << 16
_TAGS = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ModalityLUTSequence",
    "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "PixelData",
)  # fmt: skip
_DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError,
            EOFError, OSError, OverflowError, RecursionError, struct.error)  # fmt: skip


class DicomError(ValueError):
    """A DICOM file that is not read; the message is the reason and what to do."""


@dataclass(frozen=True)
class Grey:
    """Pixels (h, w) uint8, and how many frames the file has, of which this is the first."""

    pixels: np.ndarray
    frames: int


def is_dicom(content: bytes) -> bool:
    """Whether a file, of which the first `PREAMBLE` bytes are enough, says that it is DICOM."""
    return content[_EMPTY:PREAMBLE] == _MAGIC


def require_pydicom() -> None:
    """Raise MissingLibraryError where DICOM cannot be read."""
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError(
            "data.dicom: DICOM files are read with pydicom, which is not installed. Install it "
            "with: pip install 'auditor[dicom]'; or export the images as PNG of 16 bits."
        ) from error


def read_dicom(content: bytes, *, dicom: DicomSpec | None, max_pixels: int) -> Grey:
    """The first frame of a grey image, windowed to 8 bits; MONOCHROME1 is inverted.

    Stored values become ``slope * value + intercept`` (the file's rescale), then the window's
    lower end 0 and its upper end 255, as PS3.3 C.11.2.1.2.1 (LINEAR) has it. Raises DicomError for
    an undeclared window, compressed or damaged pixels, colour, and more than `max_pixels`.
    """
    if dicom is None:
        raise DicomError(
            "a DICOM file, whose window is not declared; say `data.dicom: {window: [center, "
            "width]}` in the audit spec, or `window: file` for the one that each file states"
        )
    syntax = _transfer_syntax(content)
    found = _dataset(io.BytesIO(content), syntax)
    try:
        rows, columns = _size(found, max_pixels)
        return Grey(_shown(found, _stored(found, rows, columns, syntax), dicom), _frames(found))
    except DicomError:
        raise
    except _DAMAGED as error:
        raise DicomError(_damaged(error)) from error


def dicom_size(file: BinaryIO) -> tuple[int, int]:
    """Columns and rows; raises DicomError where they cannot be told."""
    content = file.read(PREAMBLE + _MOST_META)
    syntax = _transfer_syntax(content)
    file.seek(0)
    try:
        found = _dataset(file, syntax, pixels=False)
        return int(found.Columns), int(found.Rows)
    except DicomError:
        raise
    except _DAMAGED as error:
        raise DicomError(_damaged(error)) from error


def _damaged(error: BaseException) -> str:
    # The text of an error may hold what the header holds.
    return f"the DICOM file is damaged ({type(error).__name__})"


def _dataset(file: BinaryIO, syntax: str, *, pixels: bool = True) -> Dataset:
    """What pixels are made of. Compressed files are refused before anything is unpacked."""
    if syntax not in _LITTLE and syntax != _BIG:
        raise DicomError(
            f"a DICOM file with compressed pixels (transfer syntax {syntax}), which is not read; "
            "uncompress it, as with `gdcmconv --raw` or `dcmconv +te`"
        )
    try:
        import pydicom
        from pydicom import config
    except ImportError as error:
        raise DicomError(
            "a DICOM file, which is read with pydicom; install it with: pip install "
            "'auditor[dicom]'"
        ) from error
    # Its warnings quote values of the header.
    config.settings.reading_validation_mode = config.IGNORE
    try:
        tags = list(_TAGS if pixels else _TAGS[:2])
        return pydicom.dcmread(file, specific_tags=tags, stop_before_pixels=not pixels)
    except (*_DAMAGED, pydicom.errors.InvalidDicomError) as error:
        raise DicomError(_damaged(error)) from error


def _transfer_syntax(content: bytes) -> str:
    """How the file is written, from the group of elements that comes first."""
    at, end = PREAMBLE, min(len(content), _MOST_META)
    while at + 8 <= end:
        group, element, kind, length = struct.unpack_from("<HH2sH", content, at)
        if group != 2:
            break
        at += 8
        if kind in _LONG:
            if at + 4 > end:
                break
            (length,) = struct.unpack_from("<I", content, at)
            at += 4
        if element == 0x10:
            text = content[at : at + min(length, 64)].decode("ascii", errors="replace")
            # Printed in a message: digits and points are all that it may be made of.
            return "".join(c for c in text if c in "0123456789.")
        at += length
    raise DicomError("the DICOM file is damaged (it does not say how it is written)")


def _size(found: Dataset, max_pixels: int) -> tuple[int, int]:
    rows, columns = int(found.Rows), int(found.Columns)
    if rows < 1 or columns < 1:
        raise DicomError(f"the DICOM file is damaged ({columns} x {rows} pixels)")
    if rows * columns > max_pixels:
        raise DicomError(
            f"{columns} x {rows} is {rows * columns:,} pixels, more than the {max_pixels:,} that "
            "`data.limits.max_pixels` allows"
        )
    return rows, columns


def _frames(found: Dataset) -> int:
    return max(1, int(found.get("NumberOfFrames") or 1))


def _stored(found: Dataset, rows: int, columns: int, syntax: str) -> np.ndarray:
    """The stored values of the first frame, (rows, columns) integers."""
    kind, samples = str(found.PhotometricInterpretation), int(found.get("SamplesPerPixel", 1))
    if samples != 1 or kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise DicomError("a DICOM file in colour, which is not read; export it as PNG")
    allocated, stored = int(found.BitsAllocated), int(found.BitsStored)
    high = int(found.get("HighBit", stored - 1))
    if allocated not in (8, 16) or not 1 <= stored <= high + 1 <= allocated:
        raise DicomError(
            f"a DICOM file with pixels of {stored} bits in {allocated}, expected 8 or 16; export "
            "it as PNG of 16 bits"
        )
    end = ">" if syntax == _BIG else "<"
    needed, data = rows * columns * allocated // 8, bytes(found.PixelData)
    if len(data) < needed:
        raise DicomError("the file ends before its image does (DICOM)")
    values = np.frombuffer(data, dtype=f"{end}u{allocated // 8}", count=rows * columns)
    native = values.astype(f"u{allocated // 8}") << (allocated - 1 - high)
    signed = native.view(f"i{allocated // 8}") if int(found.PixelRepresentation) else native
    shifted: np.ndarray = signed >> (allocated - stored)
    return shifted.reshape(rows, columns)


def _shown(found: Dataset, values: np.ndarray, dicom: DicomSpec) -> np.ndarray:
    if found.get("ModalityLUTSequence"):
        raise DicomError(
            "a DICOM file whose values are taken through a table (Modality LUT), which is not "
            "read; export it as PNG of 16 bits"
        )
    slope, intercept = (float(found.get(n) if found.get(n) not in (None, "") else d)
                        for n, d in (("RescaleSlope", 1), ("RescaleIntercept", 0)))  # fmt: skip
    center, width = dicom.window if isinstance(dicom.window, tuple) else _own_window(found)
    if not all(map(math.isfinite, (slope, intercept, center, width))) or width < 1:
        raise DicomError("the DICOM file is damaged (its rescale or its window is no number)")
    real = values * slope + intercept
    grey = np.clip((real - (center - 0.5)) / max(width - 1, 1e-6) + 0.5, 0, 1) * 255
    levels = np.floor(grey + 0.5).astype(np.uint8)
    inverted = str(found.PhotometricInterpretation) == "MONOCHROME1"
    return 255 - levels if inverted else levels


def _own_window(found: Dataset) -> tuple[float, float]:
    """The first window that the file states."""
    given = [found.get(name) for name in ("WindowCenter", "WindowWidth")]
    function = str(found.get("VOILUTFunction") or "LINEAR")
    if any(value in (None, "") for value in given) or function != "LINEAR":
        raise DicomError(
            "a DICOM file that states no linear window; say `data.dicom: {window: [center, "
            "width]}` in the audit spec"
        )
    center, width = (v if isinstance(v, str | float | int) else v[0] for v in given)
    return float(center), float(width)
