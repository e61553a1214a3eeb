"""Whether what lies elsewhere is as it was: by its server's mark, else by all of its bytes.

A mark is a strong ETag, a generation or a version (`auditor.remote.objects`); a date is none. An
object without one is read and hashed again whenever it is asked about, as a file on this disk is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from auditor.data.image_files import remote_of
from auditor.data.manifest_places import manifest_files
from auditor.data.tar_shards import is_tar, shard_places
from auditor.errors import DataError
from auditor.remote.cache import RemoteObject, cache, forget_unmarked
from auditor.remote.objects import Found, infos, listing
from auditor.remote.urls import is_url, placed, shown_url
from auditor.spec import AuditSpec

_ABSENT = ""
"""In place of a mark: there is no such object."""

_AT_ONCE = 1 << 20
_SEVERAL = "/*"
"""Ends the key under which the names, or the objects, of a folder are marked."""


def marks(urls: Iterable[str]) -> dict[str, str]:
    """What each object is marked by: its size with its server's mark, or with its SHA-256.

    A key that ends in ``/*`` stands for the names below a folder. Raises DataError where a server
    could not be asked, or refuses to answer.
    """
    wanted = list(urls)
    folders = [url for url in wanted if url.endswith(_SEVERAL)]
    try:
        found = infos(url for url in wanted if not url.endswith(_SEVERAL))
        held = {url: _mark(url, one) for url, one in found.items()}
        return held | {url: _names(url.removesuffix(_SEVERAL)) for url in folders}
    except OSError as error:
        raise DataError(
            f"What lies at {shown_url(wanted[0])!r} cannot be looked at: {error.strerror}. See to "
            "the credentials in the environment."
        ) from error


def named_urls(spec: AuditSpec) -> Iterator[tuple[str, str]]:
    """The URLs that a spec names, each with its key in the spec."""
    for split in spec.data.splits:
        part = spec.data.split(split)
        assert part is not None
        for key, text in (("manifest", part.manifest), ("images", part.images)):
            if text is not None and is_url(text):
                yield f"data.{split}.{key}", text


def marks_of_named(spec: AuditSpec) -> dict[str, str]:
    """Of manifests, tar files, and the names in folders that can be listed; read anew."""
    forget_unmarked()
    wanted: dict[str, None] = {}
    for key, text in named_urls(spec):
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
    return marks(wanted)


def marks_of_images(paths: Iterable[str], digests: Iterable[str]) -> dict[str, str]:
    """Of images that are objects of their own, by the marks that they were read under."""
    held = ((remote_of(path), digest) for path, digest in zip(paths, digests, strict=True))
    return {one.url: _stated(one.size, one.mark, digest) for one, digest in held if one is not None}


def told_apart_by(paths: Iterable[str]) -> str:
    """How a change of the objects that `paths` lie in is seen, in words; "" for none elsewhere."""
    held = [one for one in map(remote_of, paths) if one is not None]
    if not held:
        return ""
    unmarked = sum(_is_of_run(one.mark) for one in held)
    if not unmarked:
        return "a change is seen by the server's ETag or version"
    some = "they are" if unmarked == len(held) else f"{unmarked:,} of {len(held):,} are"
    return f"the server gives no ETag or version, so that {some} read and hashed at every run"


def _is_of_run(mark: str) -> bool:
    return mark.startswith("run ")


def _mark(url: str, found: Found | None) -> str:
    if found is None:
        return _ABSENT
    if found.mark:
        return _stated(found.size, found.mark, "")
    digest = hashlib.sha256()
    with cache().opened(RemoteObject.of(url, found)) as file:
        while part := file.read(_AT_ONCE):
            digest.update(part)
    return _stated(found.size, "run ", digest.hexdigest())


def _stated(size: int, mark: str, digest: str) -> str:
    return f"{size} sha256 {digest}" if _is_of_run(mark) else f"{size} {mark}"


def _names(folder: str) -> str:
    names = "\0".join(listing(folder))
    return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()


def changed(before: Mapping[str, str]) -> str | None:
    """The first URL, shown without what is secret, whose mark is another; None where none is."""
    forget_unmarked()
    now = marks(before)
    return next((shown_url(url) for url, mark in before.items() if now[url] != mark), None)
