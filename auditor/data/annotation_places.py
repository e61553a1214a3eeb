"""Annotations that lie elsewhere: a file, or a folder of one file an image.

A folder of an object store is listed. A web server lists nothing: it is asked for a file that is
called as each image is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TypeVar

from auditor.data.annotation_names import SHORTER_NAMES
from auditor.data.class_map_files import MAP_SUFFIXES, MapFiles, maps_by_name
from auditor.data.class_maps import MOST_MAP_BYTES
from auditor.data.drawn import MOST_TEXT_BYTES
from auditor.data.image_files import path_of_object, remote_of
from auditor.errors import DataError
from auditor.opening import shown_bytes
from auditor.remote import objects
from auditor.remote.cache import RemoteObject
from auditor.remote.objects import Found
from auditor.remote.urls import joined, leads_inside, name_of, shown_url
from auditor.remote.whole_files import WITHOUT_RIGHT, Wanted, folder_of_copies

Answer = TypeVar("Answer")

_TEXTS = (".xml", ".txt")
"""Endings of Pascal VOC's and YOLO's files; a folder that holds some of the first is of those."""

_REMEDY = "Give the URL of a COCO file (.json), or of a folder of Pascal VOC or YOLO files."


def is_one_file(url: str) -> bool:
    """Whether a URL of annotations is that of a file; where it can be, the server is asked."""
    return url.lower().endswith(".json") or (objects.lists(url) and objects.info(url) is not None)


@contextmanager
def texts_at_hand(url: str, images: Sequence[str], *, named: str) -> Iterator[Path]:
    """A copy of a file of boxes, or a folder with copies of such files, while the block lasts.

    `images` are the names of those that are there. Raises DataError where there is nothing, or
    something cannot be read: an image must not be taken for one without objects.
    """
    one = _told(lambda: is_one_file(url), url, named)
    with folder_of_copies() as own:
        place = own / name_of(url)
        if one:
            _wanted(url, named).copy(place)
        else:
            place.mkdir()
            _copy_all(_texts(url, images, named), place, url, named)
        yield place


def _wanted(url: str, named: str, there: RemoteObject | None = None) -> Wanted:
    return Wanted(url, named, MOST_TEXT_BYTES, DataError, _REMEDY, there)


def _texts(url: str, images: Sequence[str], named: str) -> Mapping[str, Found]:
    held = _held(url, images, _TEXTS, named)
    odd = next((name for name in held if not leads_inside(name)), None)
    if odd is not None:
        raise DataError(
            f"{named}: {shown_url(url)!r} holds {odd[:100]!r}, which is no name of a file in a "
            "folder. Call it otherwise, or remove it."
        )
    ending = next((e for e in _TEXTS if any(name.lower().endswith(e) for name in held)), "")
    return {name: found for name, found in held.items() if name.lower().endswith(ending)}


def _copy_all(held: Mapping[str, Found], into: Path, url: str, named: str) -> None:
    total = sum(max(found.size, 0) for found in held.values())
    if total > MOST_TEXT_BYTES:
        raise DataError(
            f"{named}: the files in {shown_url(url)!r} have {shown_bytes(total)}, expected at most "
            f"{shown_bytes(MOST_TEXT_BYTES)} together. Annotate with one COCO file, or audit fewer "
            "images."
        )

    def copy(name: str) -> None:
        there = RemoteObject.of(joined(url, name), held[name])
        _wanted(there.url, named, there).copy(into / name)

    objects.side_by_side(copy, held)


def maps_elsewhere(
    images: Mapping[str, str], url: str, *, stated: Sequence[str] | None, named: str
) -> MapFiles:
    """As `map_files`, of a folder elsewhere; its files are paths as `ImageFiles` reads them."""
    if _told(lambda: is_one_file(url), url, named):
        raise DataError(
            f"{named}: {shown_url(url)!r} is a file, expected a folder of class maps (indexed PNG)."
            " Give the URL of the folder."
        )
    held = _maps(url, images, stated, named)
    photos = {one.url for one in map(remote_of, images.values()) if one is not None}
    paths = {
        name: path_of_object(RemoteObject.of(joined(url, name), held[name]))
        for name in sorted(held, key=PurePosixPath)
        if held[name].size <= MOST_MAP_BYTES and joined(url, name) not in photos
    }
    if stated is None:
        by_name = maps_by_name(tuple(images), list(paths))
        stated = [by_name.get(image, "") for image in images]
    files = tuple(paths.get(name, "") for name in stated)
    return MapFiles(files, tuple(i for i, f in zip(images, files, strict=True) if not f), ())


def _maps(
    url: str, images: Mapping[str, str], stated: Sequence[str] | None, named: str
) -> Mapping[str, Found]:
    if stated is None:
        held = _held(url, list(images), MAP_SUFFIXES, named)
        return {n: found for n, found in held.items() if n.lower().endswith(MAP_SUFFIXES)}
    if objects.lists(url):
        return _held(url, (), (), named)
    plain = (name for name in stated if name and leads_inside(name))
    return _told(lambda: _asked(url, plain), url, named)


def _held(
    url: str, images: Sequence[str], endings: Sequence[str], named: str
) -> Mapping[str, Found]:
    """The files in a folder: all of them, or those that are called as images are."""
    listed = objects.lists(url)
    held = _told(
        lambda: objects.listing(url) if listed else _by_image(url, images, endings), url, named
    )
    if held:
        return held
    if listed or not images:
        raise DataError(
            f"{named}: there is nothing at {shown_url(url)!r}. Correct the URL of the annotations."
        )
    tried = ", ".join(repr(SHORTER_NAMES[0](images[0]) + ending) for ending in endings)
    raise DataError(
        f"{named}: in {shown_url(url)!r} no file is called as an image is (tried {tried}, and so "
        "on). A web server does not list its files: call each as its image, or give one COCO file "
        "(.json)."
    )


def _by_image(url: str, images: Sequence[str], endings: Sequence[str]) -> Mapping[str, Found]:
    for key in SHORTER_NAMES:
        names = dict.fromkeys(map(key, images))
        for ending in endings:
            found = _asked(url, (name + ending for name in names))
            if found:
                return found
    return {}


def _asked(url: str, names: Iterable[str]) -> Mapping[str, Found]:
    urls = {joined(url, name): name for name in names}
    found = objects.infos(urls)
    return {urls[at]: each for at, each in found.items() if each is not None}


def _told(ask: Callable[[], Answer], url: str, named: str) -> Answer:
    """The answer; raises DataError where it may not be had."""
    try:
        return ask()
    except OSError as error:
        raise DataError(
            f"{named}: {shown_url(url)!r} cannot be read: {error.strerror}. {WITHOUT_RIGHT}."
        ) from error
