"""The record inside the PDF: the files that a report carries, read without a PDF library."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

_EMBEDDED = re.compile(rb"/EmbeddedFile\b")
_MOST_HEADER = 4000
"""Bytes of the dictionary that stands before the data of an embedded file."""


def embedded_files(pdf: bytes, *, at_most: int) -> Iterator[bytes]:
    """The files that a PDF carries, each cut at `at_most` + 1 bytes; damaged ones are empty.

    As WeasyPrint's writer lays them out: an object of its own, its dictionary directly before its
    data, packed by Flate or not at all.
    """
    for found in _EMBEDDED.finditer(pdf):
        start = pdf.find(b"stream", found.end(), found.end() + _MOST_HEADER)
        begin = max(pdf.rfind(b" obj", max(0, found.start() - _MOST_HEADER), found.start()), 0)
        header = pdf[begin:start]
        if start < 0 or b"endobj" in header:
            continue
        end = pdf.find(b"endstream", start)
        data = pdf[start + len(b"stream") : end if end >= 0 else len(pdf)].lstrip(b"\r\n")
        yield _unpacked(data, at_most) if b"/FlateDecode" in header else data[: at_most + 1]


def _unpacked(data: bytes, at_most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, at_most + 1)
    except zlib.error:
        return b""
