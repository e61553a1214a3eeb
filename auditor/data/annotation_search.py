"""Where the annotations of images lie, and what they say of classes; for `auditor init`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from auditor.data.annotation_files.coco import image_name, read_coco
from auditor.data.annotation_files.pascal_voc import read_pascal_voc
from auditor.data.annotation_files.yolo import read_yolo
from auditor.data.attribute_guesses import FoundAttribute, attributes_in
from auditor.data.class_choice import CLASS_FILES
from auditor.data.class_map_files import maps_by_name
from auditor.data.drawn import Drawn
from auditor.data.image_files import ImageFiles
from auditor.data.images import UnreadableImageError, read_header
from auditor.errors import DataError

Kind = Literal["coco", "voc", "yolo", "maps"]

_SUFFIXES: Mapping[str, Kind] = {".xml": "voc", ".txt": "yolo", ".png": "maps", ".bmp": "maps",
                                 ".tif": "maps", ".tiff": "maps"}  # fmt: skip
_ORDER: Sequence[Kind] = ("coco", "voc", "yolo", "maps")
_DEPTH = 4
_MOST_JSON = 500_000_000
_SAMPLE = 48
_VOID = {"void", "ignore", "ignored", "unlabelled", "unlabeled", "unknown"}
"""How data call pixels that do not count."""


@dataclass(frozen=True)
class FoundAnnotations:
    """Annotations that name some of the images.

    `labels` are the names of the data's classes, in their order, as far as they are said;
    `numbers` what numbers in the files are called, `names_file` the JSON file that says so.
    `unannotated`, `boxes_in` are what the spec must say, None where it need not; `objects` are
    the attributes that objects have.
    """

    place: Path
    kind: Kind
    labels: tuple[str, ...] = ()
    numbers: Mapping[int, str] = field(default_factory=dict)
    names_file: Path | None = None
    void: tuple[int, ...] = ()
    unannotated: Literal["empty", "unlabelled"] | None = None
    boxes_in: Literal["displayed", "stored"] | None = None
    objects: tuple[FoundAttribute, ...] = ()


def find_annotations(images: Mapping[str, Path], *, bases: Sequence[Path], maps: bool,
                     but: Sequence[Path] = ()) -> FoundAnnotations | None:  # fmt: skip
    """The annotations, below the first of `bases` with any, that name the most of `images`.

    `images` are files by name; `maps` asks for class maps in place of boxes. Folders `but` hold
    images, and no class maps. Of places that name as many, the smallest is taken, then the one
    called as a folder of images is.
    """
    stems = {PurePosixPath(name).stem for name in images}
    for base in bases:
        found = [
            (_fit(here, named, place, kind, but), place, kind)
            for kind, place, named in _candidates(base, but, set(images.values()))
            if (kind == "maps") == maps and (here := _named(stems, named, kind))
        ]
        if found:
            _, place, kind = max(found, key=lambda each: each[0])
            read = _maps if maps else _boxes
            return read(place, kind, images, base)
    return None


def _fit(
    here: set[str], named: set[str], place: Path, kind: Kind, images: Sequence[Path]
) -> tuple[int, ...]:
    # labels/val goes with images/val, though labels/train may hold files of the same names.
    mirrored = place.name in {folder.name for folder in images}
    return (len(here), -_ORDER.index(kind), -len(named), mirrored, len(place.parts))


def _named(stems: set[str], named: set[str], kind: Kind) -> set[str]:
    """The images, by their stems, that files of these stems go with."""
    here = stems & named
    if here or kind != "maps":
        return here
    return set(maps_by_name(sorted(stems), sorted(named)))


def _candidates(
    base: Path, but: Sequence[Path], photos: Set[Path]
) -> Iterator[tuple[Kind, Path, set[str]]]:
    """Files and folders that may hold annotations, with the stems of the images they name.

    Folders `but` hold images, and no class maps; none of the `photos` is one.
    """
    below: dict[tuple[Kind, Path], set[str]] = {}
    for folder, inner, files in os.walk(base):
        here = Path(folder)
        depth = len(here.relative_to(base).parts)
        inner[:] = sorted(n for n in inner if not n.startswith(".")) if depth < _DEPTH else []
        for name in sorted(files):
            stem, suffix = os.path.splitext(name)
            kind = _SUFFIXES.get(suffix.lower())
            if suffix.lower() == ".json" and (named := _named_by_coco(here / name)):
                yield "coco", here / name, named
            if kind is None or name in CLASS_FILES:
                continue
            if kind == "maps" and (
                here / name in photos or any(here.is_relative_to(images) for images in but)
            ):
                continue
            for up in [here, *here.parents][: depth + 1]:
                below.setdefault((kind, up), set()).add(stem)
    yield from ((kind, place, named) for (kind, place), named in below.items())


def is_coco(path: Path) -> bool:
    return path.suffix.lower() == ".json" and bool(_named_by_coco(path))


def _named_by_coco(path: Path) -> set[str]:
    try:
        if path.stat().st_size > _MOST_JSON:
            return set()
        content = json.loads(path.read_bytes())
        parts = [content[key] for key in ("images", "annotations", "categories")]
        if not all(isinstance(part, list) for part in parts) or not parts[2]:
            return set()
        images = [image for image in parts[0] if isinstance(image.get("file_name"), str)]
        return {PurePosixPath(image_name(image)).stem for image in images}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def _boxes(place: Path, kind: Kind, images: Mapping[str, Path], base: Path) -> FoundAnnotations:
    numbers = _yolo_names(place, base) if kind == "yolo" else {}
    if kind == "coco":
        drawn, labels = read_coco(place), _categories(place)
    elif kind == "voc":
        drawn = read_pascal_voc(place)
        labels = tuple(sorted({one.label for one in drawn.objects}))
    else:
        names = [numbers.get(i, f"class {i}") for i in range(max(numbers, default=-1) + 1)]
        drawn, labels = read_yolo(place, names=names), tuple(names)
    frame = pd.DataFrame([dict(one.attributes) for one in drawn.objects], dtype=object)
    frame = frame.replace("", None)
    classes = pd.Series([one.label for one in drawn.objects], dtype=object)
    return FoundAnnotations(
        place, kind, labels, numbers,
        unannotated=_unannotated(drawn, kind, images),
        boxes_in=_boxes_in(images, drawn.sizes),
        objects=attributes_in(frame, classes, but=()),
    )  # fmt: skip


def _categories(place: Path) -> tuple[str, ...]:
    """Names in the order of their ids, which is the usual one of a model's outputs."""
    listed = json.loads(place.read_bytes())["categories"]
    ordered = sorted(listed, key=lambda one: (not isinstance(one.get("id"), int), one.get("id")))
    return tuple(dict.fromkeys(str(one["name"]) for one in ordered if one.get("name")))


def _unannotated(
    drawn: Drawn, kind: Kind, images: Mapping[str, Path]
) -> Literal["empty", "unlabelled"] | None:
    """What an image of which nothing is said is; None where something is said of all.

    An image that COCO's file lists was looked at. Ultralytics takes one without a file as empty.
    """
    said = {PurePosixPath(one.image).stem for one in drawn.objects}
    said |= {PurePosixPath(name).stem for name in drawn.empty}
    silent = {PurePosixPath(name).stem for name in images} - said
    listed = {PurePosixPath(name).stem for name in drawn.sizes}
    if not silent:
        return None
    return "empty" if kind == "yolo" or (kind == "coco" and silent <= listed) else "unlabelled"


def _boxes_in(
    images: Mapping[str, Path], sizes: Mapping[str, tuple[int, int] | None]
) -> Literal["displayed", "stored"] | None:
    """On which pixels was drawn, by stated sizes; None where no image is stored turned."""
    stated = {PurePosixPath(name).stem: size for name, size in sizes.items()}
    files, turned = ImageFiles(), False
    for name, path in images.items():
        try:
            with files.open(str(path)) as file:
                size, orientation = read_header(file)
        except (OSError, UnreadableImageError):
            continue
        turned = turned or orientation != 1
        told = stated.get(PurePosixPath(name).stem)
        if orientation >= 5 and size[0] != size[1] and told in (size, size[::-1]):
            return "stored" if told == size else "displayed"
    return "displayed" if turned else None


def _yolo_names(place: Path, base: Path) -> dict[int, str]:
    folders = [place, *place.parents][: len(place.relative_to(base).parts) + 2]
    for folder in folders:
        for path in [*sorted(folder.glob("*.y*ml")), *(folder / name for name in CLASS_FILES)]:
            names = _names_in(path)
            if names:
                return names
    return {}


def _names_in(path: Path) -> dict[int, str]:
    """Names by number from a YAML file with ``names``, a JSON file, or a line each; else {}."""
    try:
        if path.stat().st_size > 4_000_000:
            return {}
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".txt":
            return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
        held = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        if path.suffix != ".json":
            held = held.get("names") if isinstance(held, dict) else None
        entries = held.items() if isinstance(held, dict) else enumerate(held or [])
        pairs = list(entries)
        whole = all(isinstance(label, str) for _, label in pairs)
        return {int(number): label for number, label in pairs} if whole else {}
    except (OSError, ValueError, TypeError, yaml.YAMLError, RecursionError):
        return {}


def _maps(place: Path, kind: Kind, images: Mapping[str, Path], base: Path) -> FoundAnnotations:
    numbers: dict[int, str] = {}
    names_file = None
    for path in [*sorted(base.glob("*.json")), *(base / name for name in CLASS_FILES)]:
        numbers = _names_in(path)
        if numbers:
            names_file = path if path.suffix == ".json" else None
            break
    void = tuple(n for n, name in numbers.items() if name.casefold() in _VOID)
    void = (*void, *({255} - numbers.keys()))
    stems = {PurePosixPath(name).stem for name in images}
    drawn = {p.stem for p in place.rglob("*") if _SUFFIXES.get(p.suffix.lower()) == "maps"}
    drawn = _named(stems, drawn, "maps")
    if not numbers and _numbers_seen(place) == {0, 255}:
        numbers, void = {0: "", 255: ""}, ()
    return FoundAnnotations(
        place, kind, tuple(name for n, name in numbers.items() if n not in void and name),
        numbers, names_file, void, "unlabelled" if stems - drawn else None, _boxes_in(images, {}),
    )  # fmt: skip


def _numbers_seen(place: Path) -> set[int]:
    found: set[int] = set()
    paths = [p for p in sorted(place.rglob("*")) if _SUFFIXES.get(p.suffix.lower()) == "maps"]
    for path in paths[:: max(1, len(paths) // _SAMPLE)]:
        try:
            with Image.open(path) as image:
                if image.mode in ("L", "P", "1"):
                    found |= set(np.unique(np.asarray(image)).astype(int).tolist())
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
    return found


def listed_names(folders: Iterable[Path], count: int | None) -> Path | None:
    """A file in one of `folders` that lists `count` classes (None: any number)."""
    for path in (folder / name for folder in folders for name in CLASS_FILES):
        names = list(_names_in(path).values())
        if names and len(set(names)) == len(names) and count in (None, len(names)):
            return path
    return None


def nothing_found(maps: bool, where: Path) -> DataError:
    wanted = (
        "class maps (a folder of indexed PNG files)"
        if maps
        else "boxes (a COCO file, or a folder of Pascal VOC .xml or YOLO .txt files)"
    )
    looked = "" if maps else _looked_at(where)
    return DataError(
        f"{where} holds no {wanted} that go with its images by name.{looked} Put them beside the "
        "images, or write the spec by hand: `data.test.annotations`."
    )


def _looked_at(where: Path) -> str:
    """Why the first JSON file there is not taken for the annotations; "" without one."""
    place = where if where.is_dir() else where.parent
    path = next(iter(sorted(place.rglob("*.json"))), None)
    if path is None:
        return ""
    try:
        named = list(read_coco(path).sizes)[:3]
    except DataError as error:
        return f" Looked at was {path.name!r} ({error})."
    return f" Looked at was {path.name!r}, which names {', '.join(map(repr, named)) or 'none'}."
