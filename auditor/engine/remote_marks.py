"""Whether what lies elsewhere is as it was: by its server's mark, else by all of its bytes.

A mark is a strong ETag, a generation or a version (`auditor.remote.objects`); a date is none. An
object without one is read and hashed again whenever it is asked about, as a file on this disk is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from auditor.data.annotation_places import is_one_file
from auditor.data.drawn import MOST_TEXT_BYTES
from auditor.data.image_files import remote_of
from auditor.data.manifest_places import manifest_files
from auditor.data.tar_shards import is_tar, shard_places
from auditor.errors import AuditorError
from auditor.remote.cache import RemoteObject, cache, forget_unmarked
from auditor.remote.objects import Found, info, infos, listing, lists
from auditor.remote.urls import joined, placed, shown_url
from auditor.remote.whole_files import Copies, Copy
from auditor.spec import AuditSpec
from auditor.spec.named_urls import annotation_urls, data_urls, list_urls

Answer = TypeVar("Answer")

_ABSENT = ""
"""In place of a mark: there is no such object."""

_UNREAD = "unread"
"""In place of a mark: it could not be looked at, or is larger than anything that is read."""

_AT_ONCE = 1 << 20
_SEVERAL = "/*"
"""Ends the key under which the names, or the objects, of a folder are marked."""


def marks(urls: Iterable[str], *, most: int | None = None) -> dict[str, str]:
    """What each object is marked by: its size with its server's mark, or with its SHA-256.

    `most` bounds the bytes of one that is read for that. A key that ends in ``/*`` stands for the
    names below a folder. What cannot be looked at is marked so: whoever reads it says why. Raises
    DataError where a server could not be asked.
    """
    wanted = list(urls)
    folders = [url for url in wanted if url.endswith(_SEVERAL)]
    found = _looked_at([url for url in wanted if not url.endswith(_SEVERAL)])
    held = {url: _or_unread(_mark, url, one, most) for url, one in found.items()}
    return held | {url: _or_unread(_names, url.removesuffix(_SEVERAL)) for url in folders}


def _looked_at(urls: Sequence[str]) -> Mapping[str, Found | str | None]:
    try:
        return infos(urls)
    except OSError:
        return {url: _or_unread(info, url) for url in urls}


def _or_unread(ask: Callable[..., Answer], *given: Any) -> Answer | str:
    try:
        return ask(*given)
    except OSError:
        return _UNREAD


def marks_of_named(spec: AuditSpec) -> dict[str, str]:
    """Of files, and of the names in folders that can be listed, read anew; of models as copied."""
    forget_unmarked()
    wanted: dict[str, None] = {}
    for key, text in data_urls(spec):
        place = placed(spec.folder, text)
        files = manifest_files(place, named=key) if key.endswith("manifest") else None
        if files is not None:
            wanted |= dict.fromkeys(f.url for f in files.values() if isinstance(f, RemoteObject))
            wanted[place.rstrip("/") + _SEVERAL] = None
        elif key.endswith("manifest"):
            wanted[place] = None
        elif is_tar(place):
            wanted |= dict.fromkeys(shard_places(place, named=key))
        elif not place.startswith("http"):
            wanted[place.rstrip("/") + _SEVERAL] = None
    texts = dict.fromkeys(url for _, url in list_urls(spec))
    for _, url in annotation_urls(spec):
        texts |= dict.fromkeys(_annotations(url))
    copies = dict(_marks_of_copies(spec.copies))
    return marks(wanted) | marks(texts, most=MOST_TEXT_BYTES) | copies


def _annotations(url: str) -> Iterator[str]:
    """The objects at a URL of annotations, and the names of those in a folder."""
    with suppress(OSError):
        if is_one_file(url):
            yield url
        elif lists(url):
            yield url.rstrip("/") + _SEVERAL
            yield from (joined(url, name) for name in listing(url))


def _marks_of_copies(copies: Copies) -> Iterator[tuple[str, str]]:
    for url, one in copies.held.items():
        if isinstance(one, Copy):
            yield url, _ABSENT if one.of is None else _mark_of_copy(one.path, one.of)


def can_all_be_marked(spec: AuditSpec) -> bool:
    """Whether a change of anything elsewhere that the spec names would be seen by its marks.

    Not where a web server was asked for a file of each image's name, or a model was not to be had.
    """
    asked = (url for _, url in annotation_urls(spec) if not lists(url) and not is_one_file(url))
    return not any(asked) and not any(
        isinstance(one, AuditorError) for one in spec.copies.held.values()
    )


def marks_of_images(paths: Iterable[str], digests: Iterable[str]) -> dict[str, str]:
    """Of images that are objects of their own, by the marks that they were read under."""
    held = ((remote_of(path), digest) for path, digest in zip(paths, digests, strict=True))
    return {one.url: _stated(one.size, one.mark, digest) for one, digest in held if one is not None}


def told_apart_by(paths: Iterable[str]) -> str:
    """How a change of the objects that `paths` lie in is seen, in words; "" for none elsewhere."""
    return _told_apart([one for one in map(remote_of, paths) if one is not None])


def copy_told_apart_by(copies: Copies, url: str) -> str:
    """As `told_apart_by`, of a model; "" of one that could not be had."""
    found = copies.held.get(url)
    return _told_apart([found.of]) if isinstance(found, Copy) and found.of is not None else ""


def _told_apart(held: Sequence[RemoteObject]) -> str:
    if not held:
        return ""
    unmarked = sum(_is_of_run(one.mark) for one in held)
    if not unmarked:
        return "a change is seen by the server's ETag or version"
    whole = "it is" if len(held) == 1 else "they are"
    some = whole if unmarked == len(held) else f"{unmarked:,} of {len(held):,} are"
    return f"the server gives no ETag or version, so that {some} read and hashed at every run"


def _is_of_run(mark: str) -> bool:
    return mark.startswith("run ")


def _mark(url: str, found: Found | str | None, most: int | None) -> str:
    if found is None or isinstance(found, str):
        return found or _ABSENT
    if found.mark:
        return _stated(found.size, found.mark, "")
    if most is not None and not 0 <= found.size <= most:
        return _UNREAD
    with cache().opened(RemoteObject.of(url, found)) as file:
        return _stated(found.size, "run ", _digest(file))


def _mark_of_copy(path: Path, of: RemoteObject) -> str:
    with path.open("rb") as file:
        return _stated(of.size, of.mark, _digest(file) if _is_of_run(of.mark) else "")


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while part := file.read(_AT_ONCE):
        digest.update(part)
    return digest.hexdigest()


def _stated(size: int, mark: str, digest: str) -> str:
    return f"{size} sha256 {digest}" if _is_of_run(mark) else f"{size} {mark}"


def _names(folder: str) -> str:
    names = "\0".join(listing(folder))
    return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()


def changed(before: Mapping[str, str]) -> str | None:
    """The first URL, shown without what is secret, whose mark is another; None where none is."""
    forget_unmarked()
    now = marks(before)
    seen = (url for url, mark in before.items() if now[url] != mark or mark == _UNREAD)
    return next(map(shown_url, seen), None)
