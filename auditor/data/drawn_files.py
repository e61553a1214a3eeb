"""What is drawn in a file or folder on this disk, by its form; and what numbers in it stand for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from auditor.data.annotation_files.coco import read_coco
from auditor.data.annotation_files.pascal_voc import read_pascal_voc
from auditor.data.annotation_files.yolo import read_yolo
from auditor.data.drawn import MOST_TEXT_BYTES, Drawn
from auditor.errors import DataError
from auditor.opening import require_file
from auditor.remote.urls import is_url
from auditor.remote.whole_files import Wanted

_NAMES = "data.classes.names"


def read_drawn(place: Path, *, names: Callable[[], Sequence[str]], named: str) -> Drawn:
    """The objects in a file of COCO's, or in a folder; `names` gives YOLO's classes by number."""
    if place.is_file():
        _require(place, named)
        return read_coco(place)
    suffixes = Counter(path.suffix.lower() for path in place.rglob("*") if path.is_file())
    if suffixes[".xml"]:
        return read_pascal_voc(place)
    if suffixes[".txt"]:
        return read_yolo(place, names=names())
    raise DataError(
        f"{named}: the folder {place.name!r} holds neither .xml files (Pascal VOC) nor .txt files "
        "(YOLO). Give one of these, or a COCO file."
    )


def names_of_file(given: str, folder: Path) -> Mapping[int, str]:
    """What numbers stand for, from a JSON file: a URL, or in `folder` or one above it."""
    try:
        found = json.loads(_content(given, folder).decode("utf-8-sig"))
        entries = found.items() if isinstance(found, dict) else enumerate(found)
        return {int(number): str(label) for number, label in entries}
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{_NAMES}: {given!r} is no JSON file that maps numbers to names ({error}). "
            'Write one as {"0": "road", "1": "car"}.'
        ) from error


def _content(given: str, folder: Path) -> bytes:
    if is_url(given):
        remedy = "Give the URL of a JSON file."
        return Wanted(given, _NAMES, MOST_TEXT_BYTES, DataError, remedy).content()
    path = next(
        (f / given for f in (folder, *folder.parents) if (f / given).is_file()), folder / given
    )
    _require(path, _NAMES)
    return path.read_bytes()


def _require(path: Path, named: str) -> None:
    require_file(
        path, what=named, at_most=MOST_TEXT_BYTES, error=DataError,
        remedy="Give a file of annotations.",
    )  # fmt: skip
