"""The store: what a sweep computed, under keys made of everything it depends on.

A file of the store is written under a temporary name and renamed, so that a partial file is
never a hit. Nothing in it is ever changed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd


def key_of(*parts: Any) -> str:
    """SHA-256 of the canonical JSON of `parts`, 64 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """A folder of immutable arrays and tables, by kind and key."""

    folder: Path

    def path(self, kind: str, key: str, suffix: str = ".npy") -> Path:
        return self.folder / kind / f"{key}{suffix}"

    @contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """A temporary path beside `path`, renamed to it when the block ends without error."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.part")
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @staticmethod
    def holds(path: Path) -> bool:
        """Whether `path` is there whole; a file that a failing disk cut short is computed anew.

        Arrays must have the size that their header says, tables their closing mark.
        """
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                if path.suffix == ".parquet":
                    file.seek(max(size - 4, 0))
                    return size >= 12 and file.read() == b"PAR1"
                return path.suffix != ".npy" or size == _size_of_array(file)
        except (OSError, ValueError):
            return False

    def write_array(self, path: Path, array: np.ndarray) -> None:
        with self.writing(path) as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)

    def write_table(self, path: Path, table: pd.DataFrame) -> None:
        with self.writing(path) as temporary:
            table.to_parquet(temporary, index=False)

    @contextmanager
    def growing_array(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any] | type
    ) -> Iterator[np.ndarray]:
        """An array on disk to fill row by row; it exists under `path` only when filled."""
        with self.writing(path) as temporary:
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
            yield array
            array.flush()
            del array

    @staticmethod
    def read_array(path: Path) -> np.ndarray:
        """A memory map of a stored array."""
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return array


def _size_of_array(file: BinaryIO) -> int:
    """Bytes of a whole ``.npy`` file by its header; raises ValueError where there is none."""
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(file))
    if read_header is None:
        raise ValueError("an array of an unknown version")
    shape, _, dtype = read_header(file)
    return file.tell() + math.prod(shape) * dtype.itemsize
