"""Where the annotations of images lie, and what they say of classes; for `auditor init`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from auditor.data.annotation_files.coco import image_name, read_coco
from auditor.data.annotation_files.pascal_voc import read_pascal_voc
from auditor.data.annotation_files.yolo import read_yolo
from auditor.data.annotation_names import places_of
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


@dataclass(frozen=True)
class Photos:
    """What is no class map: the images of every split, and `folders` that hold nothing else."""

    files: Set[Path]
    folders: Sequence[Path] = ()


def find_annotations(
    images: Mapping[str, Path],
    *,
    bases: Sequence[Path],
    maps: bool,
    photos: Photos,
    like: str = "",
) -> FoundAnnotations | None:
    """The annotations, below the first of `bases` with any, that name the most of `images`.

    `images` are files by name; `maps` asks for class maps in place of boxes. Of places that name
    as many, the smallest is taken, then the one called `like` the images' folder. Raises DataError
    where two class maps go with an image, and nothing else does.
    """
    unclear: DataError | None = None
    for base in bases:
        every = [c for c in _candidates(base, photos) if (c[0] == "maps") == maps]
        best: tuple[tuple[int, ...], Path, Kind] | None = None
        # A file names one image at most: what holds fewer than are named already need not be asked.
        for kind, place, named in sorted(every, key=lambda each: -len(each[2])):
            if best is not None and len(named) < best[0][0]:
                break
            try:
                here = _named(tuple(images), sorted(named), kind)
            except DataError as error:
                unclear = unclear or error
                continue
            # labels/val goes with images/val, though labels/train may hold files of the same names.
            mirrored = like in (place.name, *re.split("[^A-Za-z0-9]+", place.name))
            fit = (here, -_ORDER.index(kind), -len(named), mirrored, len(place.parts))
            if here and (best is None or fit > best[0]):
                best = fit, place, kind
        if best is not None:
            read = _maps if maps else _boxes
            return read(best[1], best[2], images, base)
    if unclear is not None:
        raise unclear
    return None


def _named(images: Sequence[str], named: Sequence[str], kind: Kind) -> int:
    """How many of the images files of these names go with."""
    return len(maps_by_name(images, named) if kind == "maps" else places_of(named, images))


def _candidates(base: Path, photos: Photos) -> Iterator[tuple[Kind, Path, set[str]]]:
    """Files and folders that may hold annotations, with the names of the images they name."""
    below: dict[tuple[Kind, Path], set[str]] = {}
    for folder, inner, files in os.walk(base):
        here = Path(folder)
        depth = len(here.relative_to(base).parts)
        inner[:] = sorted(n for n in inner if not n.startswith(".")) if depth < _DEPTH else []
        for name in sorted(files):
            suffix = os.path.splitext(name)[1]
            kind = _SUFFIXES.get(suffix.lower())
            if suffix.lower() == ".json" and (named := _named_by_coco(here / name)):
                yield "coco", here / name, named
            if kind is None or name in CLASS_FILES:
                continue
            if kind == "maps" and (
                here / name in photos.files or any(map(here.is_relative_to, photos.folders))
            ):
                continue
            for up in [here, *here.parents][: depth + 1]:
                below.setdefault((kind, up), set()).add((here / name).relative_to(up).as_posix())
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
        return {image_name(image) for image in images}
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
    place_of = places_of(tuple(drawn.sizes), tuple(images))
    said = {place_of.get(name) for name in (*(one.image for one in drawn.objects), *drawn.empty)}
    silent = set(range(len(images))) - said
    if not silent:
        return None
    listed = set(place_of.values())
    return "empty" if kind == "yolo" or (kind == "coco" and silent <= listed) else "unlabelled"


def _boxes_in(
    images: Mapping[str, Path], sizes: Mapping[str, tuple[int, int] | None]
) -> Literal["displayed", "stored"] | None:
    """On which pixels was drawn, by stated sizes; None where no image is stored turned."""
    names = tuple(images)
    stated = {names[at]: sizes[name] for name, at in places_of(tuple(sizes), names).items()}
    files, turned = ImageFiles(), False
    for name, path in images.items():
        try:
            with files.open(str(path)) as file:
                size, orientation = read_header(file)
        except (OSError, UnreadableImageError):
            continue
        turned = turned or orientation != 1
        told = stated.get(name)
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
    files = [p for p in place.rglob("*") if _SUFFIXES.get(p.suffix.lower()) == "maps"]
    drawn = maps_by_name(tuple(images), [p.relative_to(place).as_posix() for p in sorted(files)])
    if not numbers and _numbers_seen(place) == {0, 255}:
        numbers, void = {0: "", 255: ""}, ()
    return FoundAnnotations(
        place, kind, tuple(name for n, name in numbers.items() if n not in void and name),
        numbers, names_file, void, "unlabelled" if len(drawn) < len(images) else None,
        _boxes_in(images, {}),
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
