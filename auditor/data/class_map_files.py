"""Which class map belongs to which image, and whether it can be used: told before any work."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from auditor.data.annotation_names import SHORTER_NAMES
from auditor.data.annotations import MAX_LISTED, ImageHeader
from auditor.data.class_maps import (
    MOST_MAP_BYTES,
    PixelClasses,
    UnusableMapError,
    file_name,
    numbers_in,
)
from auditor.errors import DataError
from auditor.opening import why_not

MAP_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif")

_USUAL = ("labelids", "labeltrainids", "label", "labels", "mask", "masks", "l", "gt", "seg",
          "segmentation")  # fmt: skip
"""How data sets end, or begin, the names of class maps; of several a file has, the first is it."""

_TAIL = re.compile(r"[_\-.][A-Za-z]\w*$")
"""What all images of a set may end in, as ``_leftImg8bit``."""

_READERS = 4


def maps_by_name(images: Sequence[str], files: Sequence[str]) -> Mapping[str, str]:
    """The file of each image, both names with folders, as far as there is one.

    Of the same name but for the suffix, else without folders called as those of images or of
    annotations are, else without any; else with something more before
    or behind the name, the same for all (``p1_mask``, ``p1_gtFine_labelIds``), of which what ends
    the images' names may be left off. Raises DataError where several such fit as well.
    """
    for key in SHORTER_NAMES:
        counts = Counter(map(key, images))
        of = {key(name): name for name in files}
        found = {i: of[key(i)] for i in images if counts[key(i)] == 1 and key(i) in of}
        if found:
            return found
    return _with_more(images, files)


def map_among(names: Sequence[str]) -> tuple[str, str] | None:
    """An image and its class map, where most images of one folder have theirs among them."""
    drawn = [n for n in names if n.lower().endswith(MAP_SUFFIXES)]
    called = [n for n in drawn if _rank(PurePosixPath(n).stem) < len(_USUAL)]
    for maps in (drawn, called):
        images = sorted(set(names) - set(maps))
        try:
            found = maps_by_name(images, maps)
        except DataError:
            continue
        if found and 2 * len(found) >= len(images):
            return next(iter(found.items()))
    return None


def _with_more(images: Sequence[str], files: Sequence[str]) -> Mapping[str, str]:
    stems = [PurePosixPath(name).stem for name in images]
    tail = _TAIL.search(stems[0]) if stems else None
    tails = ["", tail.group()] if tail and all(s.endswith(tail.group()) for s in stems) else [""]
    for end in tails:
        cores = {stem.removesuffix(end): name for stem, name in zip(stems, images, strict=True)}
        by_affix: dict[str, dict[str, str]] = {}
        for file in files if len(cores) == len(images) else ():
            for core, affix in _parts(PurePosixPath(file).stem):
                if core in cores:
                    by_affix.setdefault(affix, {})[cores[core]] = file
        if by_affix:
            return _chosen(by_affix)
    return {}


def _parts(stem: str) -> Iterator[tuple[str, str]]:
    """A name cut in two at every separator: what may be the image's, and what is more."""
    for cut in re.finditer(r"[_\-.]", stem):
        yield stem[: cut.start()], stem[cut.start() :]
        yield stem[cut.end() :], stem[: cut.end()]


def _chosen(by_affix: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    most = max(map(len, by_affix.values()))
    full = sorted((affix for affix in by_affix if len(by_affix[affix]) == most), key=_rank)
    if len(full) > 1 and _rank(full[0]) == _rank(full[1]):
        shown = " and ".join(repr(by_affix[affix][min(by_affix[affix])]) for affix in full[:2])
        raise DataError(
            f"class maps: {shown} both go with one image, and so on for {most} images. Give a "
            "folder that holds one class map an image, or name them in a column `annotation` of "
            "the manifest"
        )
    return by_affix[full[0]]


def _rank(affix: str) -> int:
    words = re.split(r"[_\-.]", affix.lower())
    return min((_USUAL.index(word) for word in words if word in _USUAL), default=len(_USUAL))


@dataclass(frozen=True)
class MapFiles:
    """The class map of each image, (n,) of paths, "" for none that can be used.

    `missing` are ids of images that have none; `misfits` says of others why theirs cannot be used.
    """

    files: tuple[str, ...]
    missing: tuple[str, ...]
    misfits: tuple[str, ...]


def map_files(
    images: Mapping[str, str], place: Path, *, stated: Sequence[str] | None, named: str
) -> MapFiles:
    """The class maps in the folder `place`: as the manifest has them (`stated`), else by name.

    `images` are paths by id; none of them is a class map.
    """
    if not place.is_dir():
        raise DataError(
            f"{named}: {place.name!r} is a file, expected a folder of class maps (indexed PNG)."
        )
    # Those that a manifest holds itself have a NUL in their path, and no file of their own.
    photos = {os.path.realpath(path) for path in images.values() if "\0" not in path}
    if stated is not None:
        files = [str(place / name) if name else "" for name in stated]
        files = [file if _inside(file, place) else "" for file in files]
    else:
        there = [
            path.relative_to(place).as_posix()
            for path in sorted(place.rglob("*"))
            if path.suffix.lower() in MAP_SUFFIXES and _inside(str(path), place)
            and os.path.realpath(path) not in photos
        ]  # fmt: skip
        by_name = maps_by_name(tuple(images), there)
        files = [str(place / by_name[i]) if i in by_name else "" for i in images]
    missing = tuple(i for i, file in zip(images, files, strict=True) if not file)
    return MapFiles(tuple(files), missing, ())


def _inside(file: str, place: Path) -> bool:
    """Whether a file that a manifest names is there, below the folder of annotations."""
    return bool(file) and why_not(Path(file), at_most=MOST_MAP_BYTES, within=place) is None


def usable_maps(
    found: MapFiles,
    meaning: PixelClasses,
    *,
    image_ids: Sequence[str],
    headers: Sequence[ImageHeader | None],
    drawn_on: Literal["displayed", "stored"],
    named: str,
) -> MapFiles:
    """Without those that cannot be read or are of another size; every pixel is looked at.

    Raises DataError where maps hold numbers that stand for no class.
    """

    def looked_at(i: int) -> tuple[int, ...] | str:
        header = headers[i]
        if not found.files[i] or header is None:
            return ()
        size = header.size if drawn_on == "stored" else header.displayed
        try:
            return numbers_in(found.files[i], size)
        except UnusableMapError as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        seen = list(pool.map(looked_at, range(len(found.files))))
    strange = {
        i: odd
        for i, numbers in enumerate(seen)
        if isinstance(numbers, tuple) and (odd := sorted({*numbers} - meaning.index_of.keys()))
    }
    if strange:
        numbers = sorted({number for odd in strange.values() for number in odd})
        first = file_name(found.files[next(iter(strange))])
        more = ", ..." if len(numbers) > MAX_LISTED else ""
        raise DataError(
            f"{named}: {len(strange)} class maps hold numbers that stand for no class "
            f"({', '.join(map(str, numbers[:MAX_LISTED]))}{more}; the first is {first!r}). Name "
            "them under `data.classes.names`, or list those that do not count under "
            "`data.classes.void`"
        )
    files = tuple("" if isinstance(s, str) else f for s, f in zip(seen, found.files, strict=True))
    misfits = tuple(f"{image_ids[i]} ({s})" for i, s in enumerate(seen) if isinstance(s, str))
    return MapFiles(files, found.missing, misfits)
