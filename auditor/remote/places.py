"""A place for files by name, written whole or not at all: a folder, or a URL of an object store.

Neither is locked. A file in a folder is written beside and renamed; an object is put as one.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from auditor.errors import DataError, SpecError
from auditor.remote import objects
from auditor.remote.objects import Found
from auditor.remote.urls import WRITTEN, is_url, joined, local_path, shown_url, url_problem


class Place(Protocol):
    """Where files lie; names are posix paths. What cannot be done raises DataError."""

    @property
    def shown(self) -> str:
        """The place for a message, without anything secret."""
        ...

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, None where there is none."""
        ...

    def fetch(self, name: str, into: Path) -> bool:
        """Copy a file to the path `into`; False where there is none."""
        ...

    def put(self, source: Path, name: str) -> None:
        """Copy a file there; `source` must never be written to again."""
        ...

    def write(self, name: str, content: bytes) -> None: ...

    def create(self, name: str, content: bytes) -> bool:
        """Write a file where there is none; False, and nothing, where there is."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def files(self) -> dict[str, Found]:
        """Every file with its size and when it was written, by name."""
        ...


def place_at(text: str, *, named: str) -> Place:
    """The place that a command names; raises SpecError where nothing can be written there."""
    if not is_url(text):
        return FolderPlace(Path(text).absolute())
    problem = url_problem(text)
    if problem:
        raise SpecError(f"{named}: {problem}.")
    protocol = text.partition("://")[0].lower()
    if protocol == "file":
        return FolderPlace(Path(local_path(text)))
    if protocol not in WRITTEN:
        raise SpecError(
            f"{named}: {shown_url(text)!r} is on a web server, which takes no files. Give a "
            "folder, or a URL as s3://BUCKET/FOLDER."
        )
    return ObjectPlace(text.rstrip("/"))


@dataclass(frozen=True)
class FolderPlace:
    """A folder, which other machines may write to as well."""

    folder: Path

    @property
    def shown(self) -> str:
        return str(self.folder)

    def read(self, name: str) -> bytes | None:
        with _told(self):
            try:
                return (self.folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def fetch(self, name: str, into: Path) -> bool:
        with _told(self):
            try:
                _link_or_copy(self.folder / name, into)
            except FileNotFoundError:
                return False
            return True

    def put(self, source: Path, name: str) -> None:
        with self._renamed(name) as part:
            _link_or_copy(source, part)

    def write(self, name: str, content: bytes) -> None:
        with self._renamed(name) as part:
            part.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        with _told(self):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = _part(path)
            part.write_bytes(content)
            try:
                # As `rename` does it, but where a file is there it stays.
                os.link(part, path)
            except FileExistsError:
                return False
            finally:
                part.unlink()
            return True

    def remove(self, name: str) -> None:
        with _told(self):
            (self.folder / name).unlink(missing_ok=True)

    def files(self) -> dict[str, Found]:
        held: dict[str, Found] = {}
        with _told(self):
            for inside, _, names in os.walk(self.folder):
                for path in (Path(inside, name) for name in names):
                    with suppress(FileNotFoundError):
                        found = path.stat()
                        name = path.relative_to(self.folder).as_posix()
                        held[name] = Found(found.st_size, "", found.st_mtime)
        return dict(sorted(held.items()))

    @contextmanager
    def _renamed(self, name: str) -> Iterator[Path]:
        with _told(self):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = _part(path)
            try:
                yield part
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.part")


def _link_or_copy(source: Path, into: Path) -> None:
    """One file with two names where both lie on one disk: nothing writes to either again."""
    try:
        os.link(source, into)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, into)


@dataclass(frozen=True)
class ObjectPlace:
    """A place of an object store, by its URL."""

    url: str

    @property
    def shown(self) -> str:
        return shown_url(self.url)

    def read(self, name: str) -> bytes | None:
        with _told(self):
            try:
                return objects.read(joined(self.url, name))
            except FileNotFoundError:
                return None

    def fetch(self, name: str, into: Path) -> bool:
        with _told(self):
            try:
                objects.download(joined(self.url, name), into)
            except FileNotFoundError:
                return False
            return True

    def put(self, source: Path, name: str) -> None:
        with _told(self):
            objects.upload(source, joined(self.url, name))

    def write(self, name: str, content: bytes) -> None:
        with _told(self):
            objects.write(joined(self.url, name), content)

    def create(self, name: str, content: bytes) -> bool:
        with _told(self):
            return objects.create(joined(self.url, name), content)

    def remove(self, name: str) -> None:
        with _told(self):
            objects.remove(joined(self.url, name))

    def files(self) -> dict[str, Found]:
        with _told(self):
            return objects.listing(self.url)


@contextmanager
def _told(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{place.shown} cannot be read or written: {error.strerror}. See to its permissions, "
            "its room, or the credentials in the environment; what was finished is kept in the "
            "output folder, and the same command goes on from there."
        ) from error
