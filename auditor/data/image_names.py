"""Names of many images: as Python's strings they would be a large part of what an audit holds."""

from __future__ import annotations

import hashlib
import json
import mmap
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_AT_ONCE = 65_536
"""Names that are written down, or handed out, at a time."""

_FEW = 4
"""Names are few beside those that they are looked for among where these are so many times more."""


class ImageNames(Collection[str]):
    """Names of images, (n,) str, whose texts lie in one piece of memory; read like an array.

    An array or slice of positions gives an array of objects, as `numpy.asarray` does of all. Those
    of some of the images (`take`) share the texts.
    """

    def __init__(
        self, texts: pa.Array, rows: np.ndarray | None = None, *, mapped: mmap.mmap | None = None
    ) -> None:
        """Of UTF-8 `texts` (pyarrow's large_binary) all, or those at the positions `rows` (n,).

        `mapped` is the file in which the texts lie; None: they lie in memory.
        """
        self.texts, self._rows, self._mapped = texts, rows, mapped

    @classmethod
    def of(cls, names: Iterable[str]) -> ImageNames:
        """Those names, in their order."""
        if isinstance(names, ImageNames):
            return names
        held = names if isinstance(names, Sequence | np.ndarray) else list(names)
        starts = range(0, len(held), _AT_ONCE)
        parts = [_written(held[start : start + _AT_ONCE]) for start in starts]
        return cls(pa.concat_arrays(parts) if parts else pa.array([], pa.large_binary()))

    def in_file(self) -> ImageNames:
        """The same names, their texts in a file that goes with them.

        The memory holds what was asked for since `let_go`; all, where there is no room for a file,
        or where the folder of temporary files lies in memory itself.
        """
        texts = self._meant()
        _, ends, letters = texts.buffers()
        n = len(texts)
        starts = np.frombuffer(ends, dtype=np.int64)[texts.offset : texts.offset + n + 1]
        try:
            with tempfile.TemporaryFile() as file:
                file.write((starts - starts[0]).data)
                file.write(letters[int(starts[0]) : int(starts[-1])])
                file.flush()
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:
            return self
        held = pa.py_buffer(mapped)
        buffers = [None, held[: starts.nbytes], held[starts.nbytes :]]
        return ImageNames(pa.Array.from_buffers(texts.type, n, buffers), mapped=mapped)

    def let_go(self) -> None:
        """Hold nothing of the file in memory, where the texts lie in one; it is read again."""
        if self._mapped is not None and hasattr(self._mapped, "madvise"):
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def take(self, rows: np.ndarray) -> ImageNames:
        """Those at the positions, or under the mask, `rows`."""
        places = np.flatnonzero(rows) if rows.dtype == bool else rows
        meant = places if self._rows is None else self._rows[places]
        return ImageNames(self.texts, meant.astype(np.int32, copy=False))

    def places_of(self, names: ImageNames | Iterable[str]) -> np.ndarray:
        """The position of each of `names` (m,) among these, (m,) int64, -1 where it is not there.

        Of a name that occurs several times it is the first.
        """
        wanted = ImageNames.of(names)
        if wanted.texts is not self.texts:
            return _by_texts(self._meant(), wanted._meant())
        place: np.ndarray = np.full(len(self.texts), -1, dtype=np.int32)
        # Backwards, so that the first of equal ones stays.
        place[self._positions()[::-1]] = np.arange(len(self), dtype=np.int32)[::-1]
        found: np.ndarray = place[wanted._positions()].astype(np.int64)
        return found

    def blank(self) -> np.ndarray:
        """Which names are empty, (n,) bool."""
        found: np.ndarray = pc.equal(pc.binary_length(self._meant()), 0).to_numpy(
            zero_copy_only=False
        )
        return found

    def first_places(self) -> np.ndarray:
        """The position of the first of the names that are equal to each, (n,) int64."""
        number = self._numbered()[0]
        first = np.full(len(self), len(self), dtype=np.int64)
        np.minimum.at(first, number, np.arange(len(self)))
        found: np.ndarray = first[number]
        return found

    def order(self) -> np.ndarray:
        """The positions of the names in the order of their letters, (n,) int64."""
        # Bytes of UTF-8 are in the order of the letters that they stand for.
        found: np.ndarray = pc.sort_indices(self._meant()).to_numpy().astype(np.int64)
        return found

    def distinct(self) -> ImageNames:
        """Each name once, in the order of their letters."""
        order = self.order()
        return self.take(order[np.diff(self.codes()[order], prepend=-1) > 0])

    def codes(self) -> np.ndarray:
        """An integer for each name, (n,) int64 without gaps, rising with the names."""
        number, seen = self._numbered()
        rank = np.empty(len(seen), dtype=np.int64)
        rank[pc.sort_indices(seen).to_numpy()] = np.arange(len(rank))
        codes: np.ndarray = rank[number]
        return codes

    def digest(self) -> str:
        """SHA-256 of all, 64 hexadecimal digits: other names, or another order, have another."""
        found = hashlib.sha256()
        for start in range(0, len(self), _AT_ONCE):
            texts = self._texts_of(np.arange(start, min(start + _AT_ONCE, len(self))))
            found.update(json.dumps([len(text) for text in texts]).encode())
            found.update(b"".join(texts))
        return found.hexdigest()

    def column(self) -> pd.Series:
        """As a column of a table."""
        return pd.Series(pa.chunked_array([self._meant().cast(pa.large_string())]), dtype="str")

    def tolist(self) -> list[str]:
        """All of them."""
        return [*self]

    def astype(self, kind: Any) -> np.ndarray:
        """As an array of that kind."""
        return np.asarray(self).astype(kind)

    def _numbered(self) -> tuple[np.ndarray, pa.Array]:
        """A number for each name, (n,), and the name of each number."""
        found = self._meant().dictionary_encode()
        return found.indices.to_numpy(), found.dictionary

    def _meant(self) -> pa.Array:
        """The texts of these names alone."""
        return self.texts if self._rows is None else self.texts.take(pa.array(self._rows))

    def _positions(self) -> np.ndarray:
        return np.arange(len(self)) if self._rows is None else self._rows

    def _texts_of(self, rows: np.ndarray) -> list[bytes]:
        meant = rows if self._rows is None else self._rows[rows]
        found: list[bytes] = self.texts.take(pa.array(meant)).to_pylist()
        return found

    def _read(self, rows: np.ndarray) -> list[str]:
        return [text.decode("utf-8", "surrogatepass") for text in self._texts_of(rows)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.places_of([name])[0] >= 0)

    def __reduce__(self) -> tuple[type[ImageNames], tuple[pa.Array]]:
        # A copy, also in another process, has its texts in memory: a map does not travel.
        return ImageNames, (self._meant(),)

    def __len__(self) -> int:
        return len(self.texts) if self._rows is None else len(self._rows)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self._read(np.arange(start, min(start + _AT_ONCE, len(self))))

    @overload
    def __getitem__(self, at: int | np.integer) -> str: ...
    @overload
    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray: ...
    def __getitem__(self, at: int | np.integer | slice | np.ndarray) -> str | np.ndarray:
        if isinstance(at, int | np.integer):
            return self._read(np.array([range(len(self))[at]]))[0]
        if isinstance(at, slice):
            return _objects(self._read(np.arange(*at.indices(len(self)))))
        return _objects(self._read(np.arange(len(self))[at]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = _objects(self.tolist())
        return whole if dtype is None else whole.astype(dtype)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, ImageNames) and self.tolist() == other.tolist()

    def __hash__(self) -> int:
        return hash(tuple(self))


def _written(names: Sequence[str] | np.ndarray) -> pa.Array:
    try:
        return pa.array(names, pa.large_string()).cast(pa.large_binary())
    except UnicodeEncodeError:
        # File systems may hold names that are no text.
        held = [name.encode("utf-8", "surrogatepass") for name in names]
        return pa.array(held, pa.large_binary())


def _objects(names: list[str]) -> np.ndarray:
    """As an array of objects, (n,); numpy itself would make texts of one width."""
    found = np.empty(len(names), dtype=object)
    found[:] = names
    return found


def _by_texts(texts: pa.Array, wanted: pa.Array) -> np.ndarray:
    """The first position of each wanted text, (m,) int64, -1 for none."""
    if _FEW * len(wanted) >= len(texts):
        return _index_in(wanted, texts)
    # A table of a few texts that all others are looked up in is made in a tenth of the time.
    meant = _index_in(texts, wanted)
    at = np.flatnonzero(meant >= 0)[::-1]
    place: np.ndarray = np.full(len(wanted), -1, dtype=np.int64)
    # Backwards, so that the first of equal ones stays.
    place[meant[at]] = at
    found: np.ndarray = place[_index_in(wanted, wanted)]
    return found


def _index_in(texts: pa.Array, among: pa.Array) -> np.ndarray:
    found = pc.index_in(texts, value_set=among).fill_null(-1)
    places: np.ndarray = found.to_numpy(zero_copy_only=False)
    return places.astype(np.int64)
