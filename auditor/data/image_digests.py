"""Digests of many images: as text they would be a large part of what an audit holds of an image."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa

_BYTES = 32
_HEX = 2 * _BYTES
_NONE = bytes(_BYTES)


class ImageDigests(Sequence[str]):
    """SHA-256 of images, as 64 hexadecimal digits each; `none` where there is none.

    `held` (n, 32) uint8 are their bytes, 0 where there is none.
    """

    def __init__(self, held: np.ndarray, *, none: str) -> None:
        self.held, self.none = held, none

    @classmethod
    def of(cls, texts: Iterable[str], *, none: str) -> ImageDigests:
        """Those of texts, of 64 digits or `none`; raises ValueError for any other."""
        joined = b"".join(_NONE if text == none else _of_hex(text) for text in texts)
        return cls(np.frombuffer(joined, dtype=np.uint8).reshape(-1, _BYTES), none=none)

    @classmethod
    def joined(cls, parts: Sequence[ImageDigests], *, none: str) -> ImageDigests:
        """Those of several, one after the other."""
        empty = np.empty((0, _BYTES), dtype=np.uint8)
        return cls(np.concatenate([empty, *(part.held for part in parts)]), none=none)

    @classmethod
    def of_column(cls, column: pd.Series) -> ImageDigests:
        """Those of a column of text, or of one that `column` made."""
        kind = column.dtype
        if not isinstance(kind, pd.ArrowDtype):
            return cls.of(column.fillna(""), none="")
        held = pa.array(column.array)
        if isinstance(held, pa.ChunkedArray):
            held = held.combine_chunks()
        start = held.offset * _BYTES
        raw = np.frombuffer(held.buffers()[1], dtype=np.uint8)[start : start + len(held) * _BYTES]
        return cls(raw.reshape(-1, _BYTES), none="")

    def column(self) -> pd.Series:
        """As a column of a table, 32 bytes a row."""
        buffer = pa.py_buffer(np.ascontiguousarray(self.held))
        kind = pa.binary(_BYTES)
        held = pa.FixedSizeBinaryArray.from_buffers(kind, len(self), [None, buffer])
        return pd.Series(held, dtype=pd.ArrowDtype(kind))

    def take(self, rows: np.ndarray) -> ImageDigests:
        """Those of some images."""
        return ImageDigests(self.held[rows], none=self.none)

    def __len__(self) -> int:
        return len(self.held)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> ImageDigests: ...
    def __getitem__(self, at: int | slice) -> str | ImageDigests:
        if isinstance(at, slice):
            return ImageDigests(self.held[at], none=self.none)
        found = self.held[at].tobytes()
        return self.none if found == _NONE else found.hex()

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, ImageDigests) and np.array_equal(self.held, other.held)

    def __hash__(self) -> int:
        return hash(self.held.tobytes())


class DigestParts:
    """Digests of several parts, one after the other, none copied."""

    def __init__(self, parts: Sequence[ImageDigests]) -> None:
        self.parts = tuple(parts)
        self._starts = [0, *accumulate(map(len, self.parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, at: int) -> str:
        part = bisect_right(self._starts, at) - 1
        return self.parts[part][at - self._starts[part]]

    def codes(self) -> np.ndarray:
        """A number for each digest, (n,) int32, equal for equal ones, rising with them; -1: none.

        They are 0 to the number of different ones, less 1.
        """
        heads = np.concatenate([np.empty(0, np.uint64), *map(_heads, self.parts)])
        order = np.argsort(heads)
        heads = heads[order]
        fresh = np.ones(len(heads), dtype=bool)
        fresh[1:] = heads[1:] != heads[:-1]
        del heads
        # Of those that begin alike, mostly equal ones, all of their bytes are compared.
        alike = ~fresh
        alike[:-1] |= ~fresh[1:]
        tied = np.flatnonzero(alike)
        texts = self._texts(order[tied])
        by_text = np.argsort(texts, kind="stable")
        order[tied], texts = order[tied][by_text], texts[by_text]
        fresh[tied[1:]] = texts[1:] != texts[:-1]
        codes = np.empty(len(order), dtype=np.int32)
        codes[order] = np.cumsum(fresh, dtype=np.int32) - 1
        if len(order) and self._texts(order[:1])[0] == b"":
            codes -= 1
        return codes

    def _texts(self, rows: np.ndarray) -> np.ndarray:
        """The bytes of some digests, in their order, as text (k,)."""
        found = np.empty((len(rows), _BYTES), dtype=np.uint8)
        for part, start in zip(self.parts, self._starts, strict=False):
            mine = (rows >= start) & (rows < start + len(part))
            found[mine] = part.held[rows[mine] - start]
        return found.view(f"S{_BYTES}").ravel()


def _heads(digests: ImageDigests) -> np.ndarray:
    """The first eight bytes of each as a number, (n,) uint64, which rises with them."""
    first = np.ascontiguousarray(digests.held[:, :8])
    return first.view(">u8").ravel().astype(np.uint64)


def _of_hex(text: str) -> bytes:
    if len(text) != _HEX:
        raise ValueError(f"a digest: found {text[:80]!r}, expected {_HEX} hexadecimal digits")
    return bytes.fromhex(text)
