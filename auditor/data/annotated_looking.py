"""What a path of annotated images is, for `auditor init` of a detector or a segmenter."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from auditor.data.annotation_names import DRAWN_FOLDERS, IMAGE_FOLDERS
from auditor.data.annotation_search import Photos, find_annotations, is_coco, nothing_found
from auditor.data.class_map_files import MAP_SUFFIXES, map_among
from auditor.data.image_folder import image_names
from auditor.data.image_places import NOTHING_GIVEN, Given
from auditor.data.looking import (
    FoundData,
    FoundSplit,
    chosen_splits,
    look_at_manifest,
    metadata_of,
)
from auditor.data.manifest_file import MANIFEST_SUFFIXES, read_manifest
from auditor.errors import DataError
from auditor.spec import SPLITS
from auditor.spec.usual_splits import usual_split

_TABLES = (".csv", ".tsv", ".parquet", ".jsonl")


@dataclass(frozen=True)
class _Images:
    """A split's images, files by name, and the folders that their annotations may lie below."""

    split: FoundSplit
    files: Mapping[str, Path]
    bases: tuple[Path, ...]


def look_at_annotated(
    data: Path,
    *,
    maps: bool,
    given: Given = NOTHING_GIVEN,
    train: Path | None = None,
    deployment: Path | None = None,
) -> FoundData:
    """Find images and their annotations: boxes, or class maps where `maps` is true.

    `data` is a manifest, a COCO file, or a folder of images in which their annotations lie, or
    beside which. Deployment data may have none. Raises DataError where test data have none.
    """
    found = _look(data, maps, given)
    for name, path in (("train", train), ("deployment", deployment)):
        if path is not None:
            other = _look(path, maps, given, needed=name != "deployment").splits
            splits = {**found.splits, name: other.get(name, other["test"])}
            found = replace(found, splits={s: splits[s] for s in SPLITS if s in splits})
    return found


def _look(data: Path, maps: bool, given: Given, *, needed: bool = True) -> FoundData:
    if not data.exists():
        raise DataError(f"{data} does not exist. Give a manifest or a folder of images.")
    table = _table(data)
    found = FoundData({}, ())
    notes: tuple[str, ...] = ()
    if table is None:
        chosen = chosen_splits({s: one.split for s, one in _folders(data).items()}, str(data))
        images = {s: _of_folder(split, data) for s, split in chosen.splits.items()}
        notes = chosen.notes
    else:
        found = look_at_manifest(table, given, labelled=False)
        images = {s: _of_manifest(one, found, table) for s, one in found.splits.items()}
        notes = found.notes
    photos = _photos(images.values())
    splits = {s: _annotated(one, maps, photos) for s, one in images.items()}
    if needed and splits["test"].annotations is None:
        raise nothing_found(maps, data)
    return replace(found, splits=splits, notes=notes)


def _photos(every: Collection[_Images]) -> Photos:
    folders = {one.split.images for one in every} - {None}
    # Annotations may lie among the images that were given, and below a folder of images.
    bases = {base for one in every for base in one.bases}
    return Photos(
        {file for one in every for file in one.files.values()},
        [folder for folder in folders if folder is not None and folder not in bases],
    )


def _annotated(images: _Images, maps: bool, photos: Photos) -> FoundSplit:
    folder = images.split.images
    if maps and folder is not None:
        _require_apart(images.files, folder)
    annotations = find_annotations(
        images.files,
        bases=images.bases,
        maps=maps,
        photos=photos,
        like="" if folder is None else folder.name,
    )
    return replace(images.split, annotations=annotations)


def _require_apart(files: Mapping[str, Path], folder: Path) -> None:
    """Raise DataError where class maps lie among the images, in folders of their own or beside."""
    drawn = [PurePosixPath(n) for n in files if n.lower().endswith(MAP_SUFFIXES)]
    folders = (up for n in drawn for up in n.parents if up.name.lower() in DRAWN_FOLDERS)
    among = next(map(str, folders), None)
    if among is None and (pair := map_among(sorted(files))) is not None:
        among = f"{pair[1]} beside {pair[0]}"
    if among is not None:
        raise DataError(
            f"{folder} holds class maps among its images ({among}), which would be audited "
            "as images. Give each kind a folder of its own, as images/scene1 and masks/scene1, "
            "or a manifest with a column `annotation`."
        )


def _table(data: Path) -> Path | None:
    """The manifest, where there is one."""
    if data.is_file():
        if is_coco(data):
            return None
        if data.suffix.lower() in MANIFEST_SUFFIXES:
            return data
        raise DataError(
            f"{data} is neither a folder, nor a manifest, nor a COCO file. Give the folder that "
            "holds the images and their annotations."
        )
    tables = [p for p in sorted(data.iterdir()) if p.suffix.lower() in _TABLES]
    return metadata_of(data) or (tables[0] if len(tables) == 1 else None)


def _of_manifest(split: FoundSplit, found: FoundData, table: Path) -> _Images:
    assert found.columns is not None
    rows = read_manifest(table, named=str(table)).frame
    for column, values in split.where.items():
        rows = rows[rows[column].isin(values)]
    folder = split.images or table.parent
    names = rows[found.columns.image].dropna()
    return _Images(split, {name: folder / name for name in names}, (table.parent,))


def _folders(data: Path) -> dict[str, _Images]:
    """The image folder of each split in a folder, or beside a COCO file."""
    place = data.parent if data.is_file() else data
    if data.is_file() and place.name == "annotations":
        place = place.parent
    root = _image_root(place)
    inner = [f for f in _inner(root) if _split_of(f) and image_names(f, named=str(f))]
    each: dict[str, _Images] = {}
    for folder in inner:
        split = str(_split_of(folder))
        if split in each:
            raise DataError(f"{root} holds two folders of {split} data. Join them, or give one.")
        each[split] = _of_folder(FoundSplit(None, _image_root(folder)), data)
    return each or {"test": _of_folder(FoundSplit(None, root), data)}


def _of_folder(split: FoundSplit, data: Path) -> _Images:
    assert split.images is not None
    names = image_names(split.images, named=str(split.images))
    if not names:
        raise DataError(f"{data} holds no images. Give the folder that holds them.")
    place = data if data.is_dir() else data.parent
    return _Images(split, {n: split.images / n for n in names}, tuple(_bases(split.images, place)))


def _bases(images: Path, place: Path) -> Iterator[Path]:
    """The image folder's own surroundings first, up to what was given and the folder beside it."""
    at = images if images == place or images.parent == images else images.parent
    while at != place and at.is_relative_to(place):
        yield at
        at = at.parent
    yield from (place, place.parent)


def _image_root(folder: Path) -> Path:
    named = [f for f in _inner(folder) if f.name.lower() in IMAGE_FOLDERS]
    return next((f for f in named if image_names(f, named=str(f))), folder)


def _inner(folder: Path) -> Sequence[Path]:
    return sorted(Path(e.path) for e in os.scandir(folder)
                  if e.is_dir() and not e.name.startswith("."))  # fmt: skip


def _split_of(folder: Path) -> str | None:
    # COCO's are called val2017.
    return usual_split(folder.name.rstrip("0123456789"))
