"""The annotations of a split that was read: found, made to fit its images, and told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from auditor.data.annotation_places import maps_elsewhere, texts_at_hand
from auditor.data.annotations import MAX_LISTED, Failing, ImageHeader, Reading, annotated
from auditor.data.attributes import Grouped, group_images
from auditor.data.boxes import SHOWN
from auditor.data.class_map_files import MapFiles, map_files, usable_maps
from auditor.data.class_maps import PixelClasses
from auditor.data.dataset import Dataset
from auditor.data.drawn import Drawn
from auditor.data.drawn_files import names_of_file, read_drawn
from auditor.data.expectations import ExpectationResult
from auditor.data.image_files import ImageFiles
from auditor.data.images import UnreadableImageError, read_header
from auditor.data.left_out import unannotated
from auditor.data.manifest import Edges, ReadDataset, read_datasets
from auditor.data.truth import BoxTruth, MapTruth
from auditor.errors import DataError
from auditor.remote.urls import is_url, name_of, placed
from auditor.spec import DataSpec, ModelSpec
from auditor.spec.spec_file import audited_classes

ANNOTATIONS = "annotations"
"""What a report's expectations of annotations are about, in place of a column."""


@dataclass(frozen=True)
class AnnotatedTask:
    """What annotations are read for: the model's kind of answers, and the names of its classes.

    Those of the audit, which may be fewer (`data.classes.map`), are the dataset's. `folder` is the
    spec's, which paths are relative to.
    """

    model: ModelSpec
    classes: tuple[str, ...]
    folder: Path


def read_annotated(data: DataSpec, task: AnnotatedTask) -> dict[str, ReadDataset]:
    """Every split of a detector's or segmenter's data, as `read_datasets`, with its annotations."""
    classes = audited_classes(task.classes, data.classes.map)
    read = read_datasets(without_labels(data), folder=task.folder, classes=classes)
    found: dict[str, ReadDataset] = {}
    for split, one in read.items():
        edges = found["test"].edges if found else {}
        found[split] = with_annotations(one, data, task, edges=edges)
    _require_truth(found["test"])
    return found


def _require_truth(test: ReadDataset) -> None:
    """Raise DataError where nothing is annotated in the test images, with what was left out."""
    told = [r.sentence for r in test.report.results if r.column == ANNOTATIONS and not r.success]
    left_out = " ".join(["", "Found:", *told]) if told else ""
    truth = test.dataset.truth
    if not test.dataset.has_labels:
        raise DataError(
            "data.test.annotations: no test image is annotated, so that nothing can be measured. "
            "Give the annotations of these images, or write `unannotated: empty` if none of them "
            f"holds anything.{left_out}"
        )
    if isinstance(truth, BoxTruth) and not len(truth.boxes):
        raise DataError(
            "data.test.annotations: no test image holds an object of the model's classes, so that "
            f"nothing can be found or missed. Give images that do.{left_out}"
        )


def without_labels(data: DataSpec) -> DataSpec:
    """The data's part of the spec without a column of labels, which annotations take the place of.

    A manifest may have one all the same, and `label` is what it is called where nothing is said.
    """
    own = {
        split: stated.model_copy(
            update={"columns": stated.columns.model_copy(update={"label": None})}
        )
        for split in data.splits
        if (stated := data.split(split)) is not None and stated.columns is not None
    }
    columns = data.columns.model_copy(update={"label": None})
    attributes = {n: a for n, a in data.attributes.items() if a.of == "image"}
    return data.model_copy(update={**own, "columns": columns, "attributes": attributes})


def with_annotations(
    read: ReadDataset, data: DataSpec, task: AnnotatedTask, *, edges: Edges
) -> ReadDataset:
    """A split with its images' headers and, where the spec names annotations, its truth.

    What does not fit is left out and stands in the report. Raises DataError where nothing fits,
    and where the spec is silent on what must be said (`boxes_in`, `unannotated`). `edges` are the
    quantile edges of objects' attributes, of another split.
    """
    dataset = read.dataset
    spec = data.split(dataset.split)
    assert spec is not None
    headers = image_headers(dataset)
    dataset = dataset.with_headers(headers)
    if spec.annotations is None:
        return replace(read, dataset=dataset)
    named = f"data.{dataset.split}.annotations"
    place = place_of(
        spec.annotations, task, named,
        remedy="Give a COCO file, a folder of Pascal VOC or YOLO files, or a folder of class maps.",
    )  # fmt: skip
    if task.model.gives_boxes:
        found = _with_boxes(dataset, place, headers, data, task, named)
        dataset, groups, more = _with_object_groups(found.dataset, data, edges)
        own_edges = {name: one.edges for name, one in groups.items() if one.edges}
        read, results = replace(read, edges={**read.edges, **own_edges}), [*found.results, *more]
        notes = tuple(one.note for one in groups.values() if one.note)
    else:
        found = _with_maps(dataset, place, headers, data, task, named)
        dataset, results, notes = found.dataset, found.results, ()
    counts = replace(read.report.counts, of_class=_of_class(dataset), unknown=found.unknown)
    if dataset.split != "deployment":
        apart = unannotated(dataset, opened=np.array([header is not None for header in headers]))
        counts = replace(counts, left_out=(*counts.left_out, *apart))
    results, notes = [*read.report.results, *results], (*read.report.notes, *notes)
    report = replace(read.report, results=tuple(results), counts=counts, notes=notes)
    return replace(read, dataset=dataset, report=report)


def place_of(given: str, task: AnnotatedTask, named: str, *, remedy: str) -> str:
    """Where annotations lie that the spec names: a path at which something is, or a URL."""
    place = placed(task.folder, given)
    if is_url(place) or os.path.exists(place):
        return place
    raise DataError(f"{named}: there is nothing called {given!r} (beside the audit spec). {remedy}")


def image_headers(dataset: Dataset) -> tuple[ImageHeader | None, ...]:
    """Size and orientation of every image, None of one that cannot be opened."""
    files = ImageFiles()
    return tuple(_header(files, path) for path in dataset.paths)


def _header(files: ImageFiles, path: str) -> ImageHeader | None:
    try:
        with files.open(path) as file:
            return ImageHeader(*read_header(file))
    except (OSError, UnreadableImageError):
        return None


@dataclass(frozen=True)
class _WithTruth:
    """A split with its annotations, and what they do not hold.

    `unknown` are the annotated classes that the model does not have, with how many of each; not
    those that the spec leaves out by name.
    """

    dataset: Dataset
    results: list[ExpectationResult]
    unknown: Mapping[str, int]

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        failings: Sequence[Failing],
        left_out: Mapping[str, int],
        data: DataSpec,
    ) -> _WithTruth:
        unknown = {k: n for k, n in left_out.items() if data.classes.map.get(k, k) is not None}
        return cls(dataset, [result_of(failing) for failing in failings], unknown)


def _of_class(dataset: Dataset) -> dict[str, int]:
    assert dataset.truth is not None
    everywhere = np.ones(len(dataset), dtype=bool)
    held = dataset.truth.of_classes(everywhere, n_classes=len(dataset.classes))
    return dict(zip(dataset.classes, held.tolist(), strict=True))


def _with_boxes(
    dataset: Dataset,
    place: str,
    headers: Sequence[ImageHeader | None],
    data: DataSpec,
    task: AnnotatedTask,
    named: str,
) -> _WithTruth:
    there = np.array([header is not None for header in headers])
    reading = Reading(data.classes.map, data.boxes_in, data.unannotated)
    ids = dataset.image_ids[there].tolist()
    found = annotated(
        drawn_in(place, ids, data, task, named),
        image_ids=ids,
        headers=[header for header in headers if header is not None],
        classes=dataset.classes,
        reading=reading,
    )
    if task.model.task == "instance-segmentation" and len(found.boxes) and not found.boxes.masks:
        raise DataError(
            f"{named}: instance segmentation is measured by outlines, and not every object of "
            f"{name_of(place)!r} has one. Outline them all, or audit it as `task: detection`."
        )
    known = np.zeros(len(dataset), dtype=bool)
    known[there] = found.known
    boxes = replace(found.boxes, image=np.flatnonzero(there)[found.boxes.image])
    # Objects in the order of their images, as scores have them.
    truth = BoxTruth(boxes, known).take(np.arange(len(dataset)))
    failings = list(found.failings)
    failings += [left_out_classes(found.unmapped, "objects")] if found.unmapped else []
    dataset = replace(dataset, truth=truth, has_labels=bool(known.any()))
    return _WithTruth.of(dataset, failings, found.unmapped, data)


def _with_object_groups(
    dataset: Dataset, data: DataSpec, edges: Edges
) -> tuple[Dataset, dict[str, Grouped], list[ExpectationResult]]:
    """With the group of each object under every attribute `of: object`."""
    truth = dataset.truth
    assert isinstance(truth, BoxTruth)
    groups: dict[str, Grouped] = {}
    results = []
    for name, spec in data.attributes.items():
        if spec.of != "object":
            continue
        column = spec.column or name
        said = truth.boxes.told(column)
        if said is None:
            known = ", ".join([*truth.boxes.attributes, *SHOWN])
            raise DataError(
                f"data.attributes.{name}: no object of data.{dataset.split}.annotations says "
                f"{column!r}; they say {known}. Name what they say under `column`."
            )
        text = pd.Series(said, dtype=object).replace("", None)
        found = group_images(text, name=name, spec=spec, edges=edges.get(name))
        groups[name] = found
        odd = np.flatnonzero(~found.expected)
        if len(odd):
            names = tuple(map(str, truth.boxes.names[odd[:MAX_LISTED]]))
            rule = f"an object's {column} is as declared"
            results.append(result_of(Failing(rule, len(odd), names, left_out=False)))
    boxes = replace(truth.boxes, attributes={name: one.groups for name, one in groups.items()})
    attributes = tuple(one.attribute for one in groups.values())
    whole = replace(dataset, truth=replace(truth, boxes=boxes), object_attributes=attributes)
    return whole, groups, results


def drawn_in(
    place: str, images: Sequence[str], data: DataSpec, task: AnnotatedTask, named: str
) -> Drawn:
    """What is drawn at a place; `images` are the names of those that are there."""

    def names() -> list[str]:
        known = class_names(data, task)
        return [known.get(i, f"class {i}") for i in range(max(known, default=-1) + 1)]

    if not is_url(place):
        return read_drawn(Path(place), names=names, named=named)
    with texts_at_hand(place, images, named=named) as copies:
        return read_drawn(copies, names=names, named=named)


def _with_maps(
    dataset: Dataset,
    place: str,
    headers: Sequence[ImageHeader | None],
    data: DataSpec,
    task: AnnotatedTask,
    named: str,
) -> _WithTruth:
    meaning = map_meaning(dataset, data, task)
    ids = dataset.image_ids.tolist()
    found = maps_of(dataset, place, named)
    missing = found.missing
    drawn_on = data.boxes_in or "displayed"
    turned = sum(h is not None and h.orientation != 1 for h in headers)
    if turned and data.boxes_in is None:
        raise DataError(
            f"{named}: {turned} images are stored turned (EXIF orientation), and it is not said on "
            "which pixels class maps were drawn; write `boxes_in: displayed` or `boxes_in: "
            "stored` under `data`"
        )
    if missing and data.unannotated != "unlabelled":
        raise DataError(
            f"{named}: {len(missing)} of {len(dataset)} images have no class map in "
            f"{name_of(place)!r} ({', '.join(missing[:3])}). Draw them, or write `unannotated: "
            "unlabelled` under `data`; they are then left out of all that needs truth"
        )
    found = usable_maps(
        found, meaning, image_ids=ids, headers=headers, drawn_on=drawn_on, named=named
    )
    headers_of = tuple(h if f else None for h, f in zip(headers, found.files, strict=True))
    truth = MapTruth(found.files, headers_of, meaning, drawn_on)
    failings = []
    if found.misfits:
        rule = "a class map can be read and fits its image"
        failings.append(Failing(rule, len(found.misfits), found.misfits[:MAX_LISTED]))
    if missing:
        rule = "an image has a class map"
        failings.append(Failing(rule, len(missing), missing[:MAX_LISTED]))
    if meaning.left_out:
        failings.append(left_out_classes(dict.fromkeys(meaning.left_out, 1), "class maps"))
    if not truth.known.any():
        raise DataError(
            f"{named}: no class map in {name_of(place)!r} can be used "
            f"({next(iter(found.misfits), 'none is there')}). Draw them on the images as they are."
        )
    dataset = replace(dataset, truth=truth, has_labels=True)
    return _WithTruth.of(dataset, failings, dict.fromkeys(meaning.left_out, 1), data)


def maps_of(dataset: Dataset, place: str, named: str) -> MapFiles:
    """The class maps in the folder `place`, one for each image, "" where it has none."""
    stated = dataset.table["annotation"].tolist() if "annotation" in dataset.table else None
    paths = dict(zip(dataset.image_ids.tolist(), dataset.paths, strict=True))
    if is_url(place):
        return maps_elsewhere(paths, place, stated=stated, named=named)
    return map_files(paths, Path(place), stated=stated, named=named)


def map_meaning(dataset: Dataset, data: DataSpec, task: AnnotatedTask) -> PixelClasses:
    """What each number of the data's class maps is, as the spec has it."""
    names = class_names(data, task)
    return PixelClasses.of(
        {number: name for number, name in names.items() if number not in data.classes.void},
        classes=dataset.classes,
        class_map=data.classes.map,
        void=data.classes.void,
    )


def class_names(data: DataSpec, task: AnnotatedTask) -> Mapping[int, str]:
    """What each number in a class map or a YOLO file is called, as the spec has it."""
    stated = data.classes.names
    if stated is None:
        return dict(enumerate(task.classes))
    if isinstance(stated, str):
        return names_of_file(stated, task.folder)
    return stated


def left_out_classes(counts: Mapping[str, int], what: str) -> Failing:
    names = tuple(f"{name} ({n})" if n > 1 else name for name, n in counts.items())
    return Failing(f"a class of the {what} is one of the model's", sum(counts.values()),
                   names[:MAX_LISTED], of_images=False)  # fmt: skip


def result_of(failing: Failing) -> ExpectationResult:
    shown = ", ".join(failing.examples)
    more = ", ..." if failing.count > len(failing.examples) == MAX_LISTED else ""
    done = "left out" if failing.left_out else "used as they are"
    named = f" ({shown}{more})"
    fail = "fails it and is" if failing.count == 1 else "fail it and are"
    return ExpectationResult(
        name=failing.rule,
        column=ANNOTATIONS,
        success=False,
        n_failing=failing.count,
        sentence=f"{ANNOTATIONS}: {failing.rule}; {failing.count:,} {fail} {done}{named}.",
        quoted=named if failing.of_images else "",
    )
