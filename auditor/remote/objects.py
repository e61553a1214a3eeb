"""Objects on other machines, one function a thing that is done with them; fsspec does it.

Nothing here is imported, and no socket opened, before a URL of the spec or the command line is
read.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from types import MethodType
from typing import Any, BinaryIO, TypeVar

from auditor.errors import DataError, MissingLibraryError
from auditor.remote.failures import NO_BUCKET, TooLargeError, failure_of, unopened
from auditor.remote.urls import shown_url

Given = TypeVar("Given")
Result = TypeVar("Result")

_EXTRAS = {
    "s3": "remote",
    "http": "remote",
    "https": "remote",
    "gs": "gs",
    "az": "az",
    "abfs": "az",
}
_ATTEMPTS, _PAUSE = 3, 0.5
_TRY_AGAIN_THEMSELVES = ("gs", "az", "abfs")
"""Whose packages do so for half a minute or more, and cannot be told not to."""

_TALKATIVE = ("gcsfs", "adlfs", "azure", "google")
"""Packages that print a traceback of what they also raise, where nobody listens."""

_SECONDS_TO_CONNECT, _SECONDS_OF_SILENCE = 15, 60
_NO_RETRIES = {"total_max_attempts": 1}
"""Of botocore: `_asked` tries again."""


@dataclass(frozen=True)
class Found:
    """An object that is there: its bytes, and a mark that any other content would not have.

    The mark is the server's (a strong ETag, a generation); "" where it gives none, for a date is
    none. `modified` is when it was written, in seconds since 1970, 0 where that is not told.
    """

    size: int
    mark: str
    modified: float = 0.0


def info(url: str) -> Found | None:
    """What is known of an object without reading it; None where there is none."""
    try:
        found = _asked(url, lambda system: system.info(url))
    except FileNotFoundError:
        return None
    return None if found.get("type") == "directory" else _found(found)


def infos(urls: Iterable[str]) -> dict[str, Found | None]:
    """As `info` of each; of several in one folder the folder is listed, where that can be."""
    found: dict[str, Found | None] = dict.fromkeys(urls)
    by_folder: dict[str, list[str]] = {}
    for url in found:
        by_folder.setdefault(url.rpartition("/")[0], []).append(url)
    single = [url for urls in by_folder.values() if len(urls) <= _FEW for url in urls]
    for folder, inside in by_folder.items():
        held = _listing_of(folder) if len(inside) > _FEW else None
        if held is not None:
            found |= {url: held.get(url[len(folder) + 1 :]) for url in inside}
        elif len(inside) > _FEW:
            single += inside
    return found | dict(zip(single, side_by_side(info, single), strict=True))


_FEW, _AT_ONCE = 4, 16


def _listing_of(folder: str) -> dict[str, Found] | None:
    """What lies right in a folder; None where nobody, or not whoever asks, is told."""
    try:
        return listing(folder, deep=False) if lists(folder) else None
    except PermissionError:
        return None


def side_by_side(ask: Callable[[Given], Result], asked: Iterable[Given]) -> list[Result]:
    """The answer to each, several at a time; at the first error no other is begun."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        waiting = [pool.submit(ask, each) for each in asked]
        try:
            return [each.result() for each in waiting]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def lists(url: str) -> bool:
    """Whether what lies below a place can be asked for: a web server does not tell."""
    return not url.startswith("http")


def listing(place: str, *, deep: bool = True) -> dict[str, Found]:
    """Every object below a place, or right in it, by its name there; {} where there is none.

    Raises DataError of a web server, and what `info` raises.
    """
    if not lists(place):
        raise DataError(
            f"{shown_url(place)}: a web server does not list its files. Give a manifest that names "
            "the images below it."
        )
    try:
        found = _asked(place, lambda system: _listed(system, place, deep))
    except FileNotFoundError:
        return {}
    root = place.partition("://")[2].strip("/") + "/"
    held: dict[str, Found] = {}
    for each in found:
        name = str(each["name"]).lstrip("/")
        if each.get("type") != "directory" and name.startswith(root) and name != root:
            held[name[len(root) :]] = _found(each)
    return dict(sorted(held.items()))


def is_folder(url: str) -> bool:
    """Whether objects lie below a place; False of a web server, which does not tell."""
    return lists(url) and bool(listing(url, deep=False))


def _listed(system: Any, place: str, deep: bool) -> list[dict[str, Any]]:
    if deep:
        return list(system.find(place, detail=True).values())
    return list(system.ls(place, detail=True))


def read(url: str, *, start: int | None = None, stop: int | None = None, most: int = -1) -> bytes:
    """The bytes of an object, or those from `start` to before `stop`.

    Of a web server, which may send what it likes, at most `most` bytes (-1: any number) and no more
    than were asked for are taken; raises OSError where there are more.
    """
    if lists(url):
        return bytes(_asked(url, lambda system: system.cat_file(url, start=start, end=stop)))
    headers = {} if start is None or stop is None else {"Range": f"bytes={start}-{stop - 1}"}
    bound = most if start is None or stop is None else stop - start
    told = _ANOTHER_RANGE if headers else _TOO_MUCH

    def taken(system: Any) -> bytes:
        with io.BytesIO() as held:
            system.get_file(url, _Bounded(held, bound, told), headers=headers)
            return held.getvalue()

    return _asked(url, taken)


def download(url: str, into: Path, *, most: int = -1) -> None:
    """The bytes of an object in a file; `most` as in `read`."""
    if lists(url):
        _asked(url, lambda system: system.get_file(url, str(into)))
        return

    def taken(system: Any) -> None:
        with into.open("wb") as file:
            system.get_file(url, _Bounded(file, most, _TOO_MUCH))

    _asked(url, taken)


_TOO_MUCH = "the server sends more bytes than it states, or than are taken"
_ANOTHER_RANGE = "the server gave another range than was asked for"


class _Bounded(io.RawIOBase):
    """A file that takes so many bytes, and refuses the next with what is to be told."""

    def __init__(self, file: BinaryIO, most: int, told: str) -> None:
        self._file, self._most, self._told, self._taken = file, most, told, 0

    def write(self, content: Any) -> int:
        self._taken += len(content)
        if 0 <= self._most < self._taken:
            raise TooLargeError(self._told)
        return self._file.write(content)


def opened(url: str, size: int) -> BinaryIO:
    """An object of `size` bytes as a file, of which only what is asked for is read."""
    return io.BufferedReader(_Ranges(url, size), buffer_size=1 << 20)


class _Ranges(io.RawIOBase):
    """Reads by ranges, each asked for as everything else is here."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, room: Any) -> int:
        stop = min(self._at + len(room), self._size)
        if stop <= self._at:
            return 0
        found = read(self._url, start=self._at, stop=stop)
        if len(found) != stop - self._at:
            raise OSError(errno.EIO, _ANOTHER_RANGE)
        room[: len(found)] = found
        self._at = stop
        return len(found)


def upload(source: Path, url: str) -> None:
    """Put a file there as one object, whole or not at all."""
    _put(url, lambda system: system.put_file(str(source), url))


def write(url: str, content: bytes) -> None:
    """Put bytes there as one object, whole or not at all."""
    _put(url, lambda system: system.pipe_file(url, content))


def create(url: str, content: bytes) -> bool:
    """As `write`, but where an object is there already False, and it stays as it is."""
    try:
        _put(url, lambda system: system.pipe_file(url, content, mode="create"))
    except FileExistsError:
        return False
    return True


def _put(url: str, ask: Callable[[Any], Any]) -> None:
    try:
        _asked(url, ask)
    except FileNotFoundError:
        # What is put is made: only where it is put can be missing.
        raise FileNotFoundError(errno.ENOENT, NO_BUCKET) from None


def remove(url: str) -> None:
    """Remove an object, if it is there."""
    try:
        _asked(url, lambda system: system.rm_file(url))
    except FileNotFoundError:
        return


def _asked(url: str, ask: Callable[[Any], Result]) -> Result:
    """Ask the file system of a URL; what may pass is tried again.

    Raises FileNotFoundError, FileExistsError and PermissionError, and OSError for an object that is
    not whole, whose `strerror` names no place; DataError where the server could not be asked, so
    that nothing is known.
    """
    protocol = url.partition("://")[0].lower()
    system = _system(protocol)
    attempts = 1 if protocol in _TRY_AGAIN_THEMSELVES else _ATTEMPTS
    for attempt in range(1, attempts + 1):
        try:
            return ask(system)
        except Exception as error:  # noqa: BLE001 - each protocol's package has errors of its own
            failure = failure_of(error, url)
            again = not isinstance(failure, OSError) or failure.errno == errno.EIO
            if not again or attempt == attempts:
                raise failure from None
            time.sleep(_PAUSE * attempt)
    raise AssertionError("unreachable")


@lru_cache(maxsize=8)
def _system(protocol: str) -> Any:
    import fsspec

    # Else gcsfs asks by gRPC first of what kind a bucket is, and waits a minute where that is shut.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    for package in _TALKATIVE:
        logging.getLogger(package).addHandler(logging.NullHandler())
    try:
        kind = fsspec.get_filesystem_class(protocol)
        return _patient_once(kind(**_options(protocol)))
    except ValueError:
        # Its text may hold what is secret.
        raise unopened(protocol) from None
    except ImportError as error:
        extra = _EXTRAS.get(protocol, "remote")
        raise MissingLibraryError(
            f"{protocol}:// is read by a package that is not installed. Install it with `pip "
            f"install 'auditor[{extra}]'`, or copy the files to this disk."
        ) from error


def _patient_once(system: Any) -> Any:
    """Of gcsfs, which tries six times to fetch a file by trying six times: four minutes."""
    once = getattr(getattr(type(system), "_get_file_concurrent", None), "__wrapped__", None)
    if once is not None:
        system._get_file_concurrent = MethodType(once, system)
    return system


def _options(protocol: str) -> dict[str, Any]:
    if protocol == "s3":
        seconds = {"connect_timeout": _SECONDS_TO_CONNECT, "read_timeout": _SECONDS_OF_SILENCE}
        return {"use_listings_cache": False, "config_kwargs": seconds | {"retries": _NO_RETRIES}}
    if protocol == "gs":
        return {"use_listings_cache": False, "requests_timeout": _patience()}
    if protocol in ("az", "abfs"):
        return {"use_listings_cache": False}
    if protocol.startswith("http"):
        # The environment names proxies, and a .netrc who one is.
        return {"client_kwargs": {"timeout": _patience(), "trust_env": True}}
    return {}


def _patience() -> Any:
    import aiohttp

    return aiohttp.ClientTimeout(
        total=None, sock_connect=_SECONDS_TO_CONNECT, sock_read=_SECONDS_OF_SILENCE
    )


def _found(info: Mapping[str, Any]) -> Found:
    size = info.get("size")
    moments = (info.get(key) for key in _MOMENTS)
    return Found(
        size=-1 if size is None else int(size),
        mark=_mark(info),
        modified=next((m.timestamp() for m in moments if isinstance(m, datetime)), 0.0),
    )


_MOMENTS = ("LastModified", "last_modified", "mtime", "created")
"""Where packages tell when an object was written: of S3, Azure, Google, memory."""


def _mark(info: Mapping[str, Any]) -> str:
    for key in ("VersionId", "generation", "ETag", "etag"):
        said = str(info.get(key) or "")
        # A weak ETag is that of any content as good as this, not of these bytes.
        if said and said != "null" and not said.startswith("W/"):
            return f"{key.lower()} {said.strip(chr(34))}"
    return ""
