"""The store: what a sweep computed, under keys made of everything it depends on.

A file of the store is written under a temporary name and renamed, so that a partial file is
never a hit. Beside it lies its digest (``sha256sum -c`` reads it): a file that a disk or a hand
has changed is no hit either. Nothing in the store is ever changed, but the notes of the last run:
what it was (`auditor.engine.kept`), which images it swept (`auditor.engine.sweep`) and which it
compared (`auditor.engine.gather`).

A store may be one of several machines' (`Store.shared`): what the sweep computes is then put there
as well, and taken from there. The notes stay in the folder of the run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.engine.claims import claimed
from auditor.remote.places import Place

if TYPE_CHECKING:
    # Imported where arrays are, so that what a run kept is looked at without them.
    import numpy as np
    import pandas as pd


def key_of(*parts: Any) -> str:
    """SHA-256 of the canonical JSON of `parts`, 64 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


_log = logging.getLogger(__name__)

DIGEST = ".sha256"
"""Ends the name of the file that states another's digest."""

SHARED_KINDS = frozenset({"scan", "frames", "predictions", "embeddings", "scores", "used"})
"""What is of use to other runs, on whatever machine: pure functions of their keys."""

NOTES = frozenset({"last-run", "digests", "likeness"})
"""What a folder's next run goes by; small, and never removed."""

OWN_KINDS = frozenset(
    {"rows", "variants", "seen", "predictions-whole", "embeddings-whole", "properties-whole"}
)
"""What else a run writes for itself, and can make anew."""


@dataclass(frozen=True)
class Store:
    """A folder of immutable arrays and tables, by kind and key."""

    folder: Path
    shared: Place | None = None
    _checked: set[Path] = field(default_factory=set, compare=False, repr=False)

    def path(self, kind: str, key: str, suffix: str = ".npy") -> Path:
        # What is not listed would be neither counted nor removed by `auditor store`.
        assert kind in SHARED_KINDS | NOTES | OWN_KINDS, f"a store has no {kind}"
        return self.folder / kind / f"{key}{suffix}"

    @contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """A temporary path beside `path`, renamed to it when the block ends without error."""
        with self._placing(path) as temporary:
            yield temporary
        if self.shared is not None and path.parent.name in SHARED_KINDS:
            self._share(path, self.shared)

    @contextmanager
    def _placing(self, path: Path) -> Iterator[Path]:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.part")
        stating = temporary.with_suffix(f"{DIGEST}.part")
        try:
            yield temporary
            digest = _digest_of(temporary)
            os.replace(temporary, path)
            # Written last: a file without its digest is one whose writer was killed here. Never to
            # the same name: of two names of one file `replace` leaves both.
            stating.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
            os.replace(stating, _digest_file(path))
            self._checked.add(path)
        finally:
            temporary.unlink(missing_ok=True)
            stating.unlink(missing_ok=True)

    def holds(self, path: Path) -> bool:
        """Whether `path` is there as it was written, by its digest (read once a run).

        A file that is not is removed, so that it is computed anew, and named in a warning. What
        only the shared store has is brought here; what only this folder has, from a run without
        it, is put there.
        """
        if path in self._checked:
            return True
        if not self._holds_itself(path):
            return self._brought(path)
        if self.shared is not None and path.parent.name in SHARED_KINDS:
            self._share(path, self.shared, anew=False)
        return True

    def claimed(self, path: Path) -> AbstractContextManager[None]:
        """While another run of the shared store computes what `path` stands for, wait for it."""
        return nullcontext() if self.shared is None else claimed(self.shared, path.stem)

    def first_of(self, n: int) -> int:
        """With which of `n` shards to begin: runs of one store meet late when they begin apart."""
        return 0 if self.shared is None or n < 2 else random.randrange(n)

    def _holds_itself(self, path: Path) -> bool:
        if not path.exists():
            return False
        try:
            stated = _digest_file(path).read_text(encoding="utf-8").split(" ")[0]
        except (OSError, UnicodeDecodeError):
            return False
        if _digest_of(path) == stated:
            self._checked.add(path)
            return True
        shown = path.relative_to(self.folder.parent)
        _log.warning("%s was changed since it was written; it is computed again.", shown)
        path.unlink()
        return False

    def _share(self, path: Path, shared: Place, *, anew: bool = True) -> None:
        """Put a file there: `anew` also where another is, which was not whole."""
        name = self.name_of(path)
        stated, there = _digest_file(path).read_bytes(), shared.read(f"{name}{DIGEST}")
        if there is None or (anew and there != stated):
            shared.put(path, name)
            # Put last, as here: an object without its digest is one whose writer was killed.
            shared.write(f"{name}{DIGEST}", stated)

    def _brought(self, path: Path) -> bool:
        if self.shared is None or path.parent.name not in SHARED_KINDS:
            return False
        name = self.name_of(path)
        stated = self.shared.read(f"{name}{DIGEST}")
        if stated is None:
            return False
        try:
            with self._placing(path) as temporary:
                there = self.shared.fetch(name, temporary)
                if not there or _digest_of(temporary).encode() != stated.split(b" ")[0]:
                    raise _NotWholeError
        except _NotWholeError:
            _log.warning("%s in the shared store is not whole; it is computed again.", name)
            self.shared.remove(f"{name}{DIGEST}")
            return False
        return True

    def name_of(self, path: Path) -> str:
        """A file's name in the store, as ``scores/KEY.parquet``."""
        return path.relative_to(self.folder).as_posix()

    def used(self) -> list[str]:
        """Names of the files that were written, or found whole, since this store was opened."""
        return sorted(map(self.name_of, self._checked))

    def remove_partial(self) -> None:
        """Remove what killed runs left half-written; the caller alone must hold the folder."""
        for left in self.folder.glob("*/.*.part"):
            left.unlink()

    def write_array(self, path: Path, array: np.ndarray) -> None:
        import numpy as np

        with self.writing(path) as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)

    def write_arrays(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        """Several arrays by name, compressed, in one file."""
        import numpy as np

        with self.writing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def write_table(self, path: Path, table: pd.DataFrame) -> None:
        with self.writing(path) as temporary:
            table.to_parquet(temporary, index=False)

    @contextmanager
    def growing_array(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any] | type
    ) -> Iterator[np.ndarray]:
        """An array on disk to fill row by row; it exists under `path` only when filled."""
        import numpy as np

        with self.writing(path) as temporary:
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
            # A file with holes is made on a full disk, too, and ends the process when it is filled.
            if hasattr(os, "posix_fallocate"):
                with temporary.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
            yield array
            array.flush()
            del array

    @staticmethod
    def read_array(path: Path) -> np.ndarray:
        """A memory map of a stored array."""
        import numpy as np

        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return array


class _NotWholeError(Exception):
    """A file of the shared store is not as its digest states."""


def _digest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}{DIGEST}")


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
