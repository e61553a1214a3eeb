"""Files elsewhere that are wanted whole: bounded and taken, or a sentence that says why not."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from auditor.errors import AuditorError, SpecError
from auditor.opening import shown_bytes
from auditor.own_folder import own_folder
from auditor.remote import objects
from auditor.remote.cache import RemoteObject, cache
from auditor.remote.urls import shown_url

_HEAD = 512
_PAGES = (b"<!doctype html", b"<html")
WITHOUT_RIGHT = "See to the rights of the credentials in the environment"


@dataclass(frozen=True)
class Wanted:
    """A file by its URL, which has at most `at_most` bytes.

    `named` is its key in the spec. What is wrong with it is raised as `error`, in one sentence and
    with `remedy`; DataError where the server could not be asked.
    """

    url: str
    named: str
    at_most: int
    error: type[AuditorError]
    remedy: str
    there: RemoteObject | None = None
    """What is known to be there already, so that nobody asks again."""

    def found(self) -> RemoteObject:
        """What is there; nothing of it is read."""
        if self.there is not None:
            return self.there
        try:
            held = objects.info(self.url)
            folder = held is None and objects.is_folder(self.url)
        except OSError as error:
            self._refuse(f"cannot be read: {error.strerror}. {WITHOUT_RIGHT}.", error)
        if held is None:
            found = "is a folder, expected a file" if folder else "is not there (404)"
            self._refuse(f"{found}. {self.remedy}")
        if held.size > self.at_most:
            most = shown_bytes(self.at_most)
            self._refuse(f"has {shown_bytes(held.size)}, expected at most {most}. {self.remedy}")
        return RemoteObject.of(self.url, held)

    def content(self) -> bytes:
        """All of its bytes."""
        wanted = self.found()
        try:
            content = cache().content(wanted, most=self.at_most)
        except OSError as error:
            self._unread(error)
        self._require_no_page(content)
        return content

    def copy(self, into: Path) -> RemoteObject:
        """As the file `into`, whose folder is made."""
        wanted = self.found()
        try:
            into.parent.mkdir(parents=True, exist_ok=True)
            cache().copy(wanted, into, most=self.at_most)
            with into.open("rb") as file:
                self._require_no_page(file.read(_HEAD))
        except OSError as error:
            self._unread(error)
        return wanted

    def _require_no_page(self, content: bytes) -> None:
        if content[:_HEAD].removeprefix(codecs.BOM_UTF8).lstrip().lower().startswith(_PAGES):
            self._refuse(
                "is a web page, as a server sends in place of a file (a login, an error). "
                f"{self.remedy}"
            )

    def _unread(self, error: OSError) -> NoReturn:
        self._refuse(f"cannot be read: {error.strerror}. Put it there again, or copy it here.",
                     error)  # fmt: skip

    def _refuse(self, why: str, cause: BaseException | None = None) -> NoReturn:
        raise self.error(f"{self.named}: {shown_url(self.url)!r} {why}") from cause


@dataclass(frozen=True)
class Copy:
    """A file from elsewhere on this disk, and which version of it; None for one not there."""

    path: Path
    of: RemoteObject | None


@dataclass(frozen=True)
class Copies:
    """What was looked for elsewhere, by its URL: a copy of it, or why it cannot be had."""

    held: Mapping[str, Copy | AuditorError] = field(default_factory=dict)

    def path(self, url: str) -> Path:
        """The copy of a file; raises the error that was met when it was fetched."""
        found = self.held[url]
        if isinstance(found, AuditorError):
            raise found
        return found.path


@contextmanager
def folder_of_copies() -> Iterator[Path]:
    """A folder in the cache for as long as the block lasts; those of ended processes are removed.

    Raises SpecError where the cache cannot be written to.
    """
    place = cache().folder
    with ExitStack() as held:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            runs = place / "runs"
            runs.mkdir(exist_ok=True)
            folder = held.enter_context(own_folder("run-", within=runs))
        except OSError as error:
            raise SpecError(
                f"The cache of remote files, {place}, cannot be written to ({error.strerror}). "
                "Name another folder in AUDITOR_CACHE."
            ) from error
        yield folder
