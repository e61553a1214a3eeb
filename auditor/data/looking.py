"""What a path of data is: a manifest, folders by class, or splits of either; for `auditor init`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from auditor.data.annotation_search import FoundAnnotations
from auditor.data.attribute_guesses import FoundAttribute
from auditor.data.column_guesses import (
    FoundColumns,
    FoundSplits,
    find_columns,
    image_columns,
    is_signed,
    label_column_of,
    split_column,
    unread_split_columns,
)
from auditor.data.image_folder import image_names
from auditor.data.image_places import NOTHING_GIVEN, Given, placed_images
from auditor.data.manifest_file import MANIFEST_SUFFIXES, read_manifest
from auditor.data.manifest_table import ManifestTable
from auditor.errors import DataError
from auditor.spec import SPLITS
from auditor.spec.usual_splits import usual_split


@dataclass(frozen=True)
class FoundSplit:
    """Where a split's rows come from: a manifest or a folder by class.

    `images` is None where the manifest holds the images itself; `where` as in the spec.
    """

    manifest: Path | None
    images: Path | None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    annotations: FoundAnnotations | None = None


@dataclass(frozen=True)
class FoundData:
    """What data turned out to be; without `columns`, a folder of images by class.

    `classes` are the labels that were found, sorted, numbers as numbers; `named_classes` are the
    names that the data give their numbers, in order. `notes` say what is not used.
    """

    splits: Mapping[str, FoundSplit]
    classes: tuple[str, ...]
    columns: FoundColumns | None = None
    named_classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def attributes(self) -> tuple[FoundAttribute, ...]:
        return () if self.columns is None else self.columns.attributes


def look_at_data(
    data: Path,
    *,
    given: Given = NOTHING_GIVEN,
    train: Path | None = None,
    deployment: Path | None = None,
) -> FoundData:
    """Find out what `data` is: a manifest, or a folder.

    A folder is one with ``metadata.csv`` or ``metadata.jsonl``; with a folder or manifest for
    each split, under their usual names; with one manifest; or with one subfolder a class.
    `train` and `deployment` are data of their own, in place of what lies in `data`.
    Raises DataError where it is none of these, and where no labels are found.
    """
    found = _look_at(data, given)
    if train is not None:
        found = _beside(found, "train", train, given)
    return found if deployment is None else _beside(found, "deployment", deployment, given)


def _look_at(data: Path, given: Given) -> FoundData:
    if os.path.isdir(data):
        return _look_at_folder(data, given)
    if not os.path.isfile(data):
        raise DataError(f"{data} does not exist. Give a manifest or a folder of images.")
    if data.suffix.lower() not in MANIFEST_SUFFIXES:
        raise DataError(
            f"{data} is neither a folder nor a manifest ({', '.join(MANIFEST_SUFFIXES)}). Give the "
            "folder that holds one subfolder of images a class, or a manifest."
        )
    return look_at_manifest(data, given)


def _beside(found: FoundData, split: str, data: Path, given: Given) -> FoundData:
    """`found` with another split, from data that the user names; unlabelled ones for deployment."""
    unlabelled = _unlabelled_data(data, given) if split == "deployment" else None
    other = None if unlabelled is not None else _look_at(data, given)
    place = unlabelled or _only(other, split)
    splits = {**found.splits, split: place}
    joined = replace(found, splits={s: splits[s] for s in SPLITS if s in splits})
    if other is None:
        return joined
    manifests = [each for each in (found, other) if each.columns is not None]
    if manifests:
        joined = _joined(manifests, joined)
    classes = pd.Series(sorted({*found.classes, *other.classes}), dtype="str")
    one_hot = joined.columns is not None and isinstance(joined.columns.label, tuple)
    return joined if one_hot else replace(joined, classes=_sorted(classes))


def _only(found: FoundData | None, split: str) -> FoundSplit:
    assert found is not None
    return found.splits.get(split, found.splits["test"])


def _unlabelled_data(data: Path, given: Given) -> FoundSplit | None:
    """A folder of images in no subfolders, or a manifest without labels."""
    if data.is_file() and data.suffix.lower() in MANIFEST_SUFFIXES:
        return _unlabelled(data, given)
    if not data.is_dir() or metadata_of(data) or any(map(_is_manifest, data.iterdir())):
        return None
    names = image_names(data, named=str(data))
    return FoundSplit(None, data) if names and not any("/" in name for name in names) else None


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() in MANIFEST_SUFFIXES


def look_at_manifest(path: Path, given: Given, *, labelled: bool = True) -> FoundData:
    """What a manifest holds, as `look_at_data`; without labels where it is not `labelled`."""
    table = read_manifest(path, named=str(path))
    if table.frame.empty:
        raise DataError(f"{path} has no rows. Give a manifest with one row an image.")
    given.columns.require_in(table, str(path))
    candidates = image_columns(table)
    placed = placed_images(path, table, candidates, given)
    if not candidates and placed is None and given.columns.image is None:
        raise DataError(
            f"{path}: no column names images (columns: {', '.join(table.columns[:30])}). Name "
            "one with --image COLUMN, or name one 'image'; it holds paths relative to the image "
            "folder."
        )
    image = (given.columns.image or candidates[0]) if placed is None else placed.column
    splits = split_column(table, but=image)
    split = splits.column if splits else None
    columns = find_columns(table, image=image, split=split, named=str(path), given=given.columns,
                           labelled=labelled)  # fmt: skip
    if placed is None:
        name = table.frame[image].dropna()
        raise DataError(
            f"{path} names {name.iloc[0][:80] if len(name) else ''!r}, which lies neither beside "
            "it nor in an images folder beside it. Say where the images are with --images FOLDER."
        )
    label = columns.label if isinstance(columns.label, str) else ""
    found = FoundData(
        splits={"test": FoundSplit(path, placed.folder)},
        classes=_classes(columns),
        columns=columns,
        named_classes=tuple(table.class_names.get(label, ())),
    )
    if splits is None:
        return replace(found, notes=tuple(_unread_splits(table)))
    return _by_column(found, splits, path)


def _unread_splits(table: ManifestTable) -> Iterator[str]:
    """What to tell of columns that are called as splits are, and whose values name none."""
    for column, values in unread_split_columns(table):
        yield (
            f"The column {column!r} ({', '.join(values[:4])}{', ...' if len(values) > 4 else ''}) "
            "is not read, and all rows test. If the model was trained on some of them, name the "
            f"others: `test: {{manifest: ..., where: {{{column}: [{values[-1]}]}}}}`."
        )


def _classes(columns: FoundColumns) -> tuple[str, ...]:
    """Labels in their order; of one-hot columns, all of them in that of the columns."""
    return columns.label if isinstance(columns.label, tuple) else _sorted(columns.labels)


def _sorted(labels: pd.Series) -> tuple[str, ...]:
    names = sorted(set(labels.dropna()))
    return tuple(sorted(names, key=float) if all(map(is_signed, names)) else names)


def _by_column(found: FoundData, splits: FoundSplits, path: Path) -> FoundData:
    whole = found.splits["test"]
    each = {
        split: replace(whole, where={splits.column: values})
        for split, values in splits.values.items()
    }
    chosen = chosen_splits(each, f"{path}, column {splits.column!r}")
    notes = list(chosen.notes)
    if splits.others:
        names = ", ".join(map(repr, splits.others[:5]))
        notes.append(f"Rows with {names} in {splits.column!r} are not used.")
    return replace(found, splits=chosen.splits, notes=tuple(notes))


@dataclass(frozen=True)
class _Chosen:
    splits: Mapping[str, FoundSplit]
    notes: tuple[str, ...]


def chosen_splits(each: Mapping[str, FoundSplit], named: str) -> _Chosen:
    """The splits that an audit uses: validation data are its test data only where none are."""
    used = dict(each)
    notes = []
    validation = used.pop("validation", None)
    if validation is not None and "test" not in used:
        used["test"] = validation
        notes.append("The validation data are taken for the test data, since there are none.")
    elif validation is not None:
        notes.append("The validation data are not used: the test data are.")
    if "test" not in used:
        raise DataError(
            f"{named}: found {' and '.join(used)} data, and none to test with. Give a split called "
            "test, or validation."
        )
    return _Chosen({s: used[s] for s in SPLITS if s in used}, tuple(notes))


def _look_at_folder(folder: Path, given: Given) -> FoundData:
    metadata = metadata_of(folder)
    if metadata is not None:
        return look_at_manifest(metadata, replace(given, images=given.images or folder))
    names = image_names(folder, named=str(folder))
    tops = sorted({name.partition("/")[0] for name in names if "/" in name})
    deep = {name.partition("/")[0] for name in names if name.count("/") >= 2}
    deep |= {top for top in tops if metadata_of(folder / top)}
    usual = [top for top in tops if usual_split(top)]
    if usual and usual == tops and deep:
        return _split_folders(folder, names, tops, given)
    manifests = [e for e in sorted(folder.iterdir()) if e.suffix.lower() in MANIFEST_SUFFIXES]
    by_split = _by_split(manifests)
    if {"test", "validation"} & set(by_split):
        return _split_manifests(folder, by_split, given)
    if set(usual) & deep:
        others = ", ".join(top for top in tops if top not in usual)
        raise DataError(
            f"{folder} holds splits ({', '.join(usual)}) beside other folders ({others}). Give a "
            "folder that holds only splits, or only one subfolder a class."
        )
    if len(manifests) == 1 and (manifests[0].suffix != ".txt" or len(tops) < 2):
        return look_at_manifest(manifests[0], given)
    inner = [] if manifests else _folders_in(folder)
    if len(inner) == 1 and tops == [*deep] and set(tops) <= {inner[0].name}:
        return _look_at_folder(inner[0], given)
    if len(tops) < 2 or len(usual) == len(tops):
        raise _no_classes(folder, tops)
    _refuse_splits_below(folder, names)
    return FoundData({"test": FoundSplit(None, folder)}, classes=_sorted(pd.Series(tops)))


def _refuse_splits_below(folder: Path, names: list[str]) -> None:
    """Raise DataError where each class holds a folder of each split: training images would test."""
    inner = {name.split("/")[1] if name.count("/") >= 2 else "" for name in names}
    if len(inner) > 1 and all(map(usual_split, inner)):
        raise DataError(
            f"{folder} holds classes, and in them the splits {' and '.join(sorted(inner))}. Put a "
            "folder for each class into one for each split, or write a manifest with a column "
            "`split`."
        )


def _by_split(manifests: list[Path]) -> dict[str, list[Path]]:
    """Manifests that are called as a split is, also as in ``test-00000-of-00001.parquet``."""
    found: dict[str, list[Path]] = {}
    for path in manifests:
        split = usual_split(path.stem.partition("-")[0])
        if split is not None:
            found.setdefault(split, []).append(path)
    return found


def _folders_in(folder: Path) -> list[Path]:
    return [e for e in folder.iterdir() if e.is_dir() and not e.name.startswith(".")]


def _no_classes(folder: Path, tops: list[str]) -> DataError:
    shown = f" ({', '.join(tops[:3])})" if tops else ""
    which = "; these are splits, and not classes" if tops and all(map(usual_split, tops)) else ""
    return DataError(
        f"{folder} has {len(tops)} subfolders with images{shown}{which}. In it, or in each of its "
        "splits, one subfolder a class was expected, at least two. Or give a manifest (.csv) with "
        "image and label columns."
    )


def metadata_of(folder: Path) -> Path | None:
    """The manifest of Hugging Face's image folders."""
    paths = (folder / f"metadata{suffix}" for suffix in (".csv", ".jsonl", ".parquet"))
    return next((path for path in paths if os.path.isfile(path)), None)


def _split_folders(folder: Path, names: list[str], tops: list[str], given: Given) -> FoundData:
    each: dict[str, FoundSplit] = {}
    looked: list[FoundData] = []
    classes: set[str] = set()
    for top in tops:
        split = str(usual_split(top))
        if split in each:
            raise DataError(f"{folder} holds two folders of {split} data. Join them, or give one.")
        metadata = metadata_of(folder / top)
        here = {n.split("/")[1] for n in names if n.startswith(f"{top}/") and n.count("/") >= 2}
        if metadata is not None:
            looked.append(look_at_manifest(metadata, replace(given, images=folder / top)))
            each[split] = looked[-1].splits["test"]
        elif here or split == "deployment":
            each[split] = FoundSplit(None, folder / top)
            classes |= here
        else:
            raise _no_classes(folder / top, [])
    chosen = chosen_splits(each, str(folder))
    if looked and classes:
        raise DataError(
            f"{folder}: some splits have a manifest and some have none. Write the rest."
        )
    return _joined(
        looked,
        FoundData(
            chosen.splits, _sorted(pd.Series(sorted(classes), dtype="str")), notes=chosen.notes
        ),
    )


def _split_manifests(folder: Path, by_split: Mapping[str, list[Path]], given: Given) -> FoundData:
    each, looked = {}, []
    for split, paths in by_split.items():
        if len(paths) > 1:
            raise DataError(
                f"{folder} holds {len(paths)} manifests of {split} data ({paths[0].name}, "
                f"{paths[1].name}, ...). Join them into one file, or give one."
            )
        unlabelled = _unlabelled(paths[0], given) if split == "deployment" else None
        if unlabelled is None:
            looked.append(look_at_manifest(paths[0], given))
        each[split] = unlabelled or looked[-1].splits["test"]
    chosen = chosen_splits(each, str(folder))
    return _joined(looked, FoundData(chosen.splits, (), notes=chosen.notes))


def _unlabelled(path: Path, given: Given) -> FoundSplit | None:
    """A manifest of images from where the model will run, where it holds no labels."""
    table = read_manifest(path, named=str(path))
    candidates = image_columns(table)
    placed = placed_images(path, table, candidates, given)
    labelled = label_column_of(table, but={placed.column if placed else None})
    if placed is None or labelled is not None or given.columns.label in table.columns:
        return None
    return FoundSplit(path, placed.folder)


def _joined(looked: list[FoundData], found: FoundData) -> FoundData:
    """`found` with the columns that its manifests share, and the classes of all."""
    if not looked:
        return found
    columns = [each.columns for each in looked if each.columns is not None]
    first = columns[0]
    if any((c.image, c.label) != (first.image, first.label) for c in columns):
        raise DataError(
            "the manifests of the splits name their images or labels in different columns "
            f"({', '.join(sorted({f'{c.image}, {c.label}' for c in columns}))}). Name them alike."
        )
    names = [{a.column for a in c.attributes} for c in columns]
    shared = tuple(a for a in first.attributes if all(a.column in there for there in names))
    joined = replace(first, labels=pd.concat([c.labels for c in columns]), attributes=shared)
    return replace(
        found,
        classes=_classes(joined),
        columns=joined,
        named_classes=looked[0].named_classes,
    )
