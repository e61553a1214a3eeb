"""What several annotators, and an expert, drew of the same images, beside the annotations used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from auditor.data.annotate import (
    AnnotatedTask,
    drawn_in,
    image_headers,
    map_meaning,
    maps_of,
    place_of,
    result_of,
)
from auditor.data.annotation_names import places
from auditor.data.annotations import MAX_LISTED, Failing, ImageHeader, Reading, annotated
from auditor.data.class_map_files import usable_maps
from auditor.data.dataset import Dataset
from auditor.data.manifest import ReadDataset
from auditor.data.truth import BoxTruth, MapTruth, Truth
from auditor.errors import DataError
from auditor.remote.urls import name_of
from auditor.spec import DataSpec

_GOLD = "annotations_gold"


def with_annotators(
    read: Mapping[str, ReadDataset], data: DataSpec, task: AnnotatedTask
) -> dict[str, ReadDataset]:
    """Every split with what the annotators drew whom the spec names (`Dataset.drawn_by`).

    What does not fit its image is left out and stands in the report. Raises DataError where a file
    or folder is not there, or goes with no image.
    """
    return {split: _with_annotators(one, data, task) for split, one in read.items()}


def _with_annotators(read: ReadDataset, data: DataSpec, task: AnnotatedTask) -> ReadDataset:
    dataset = read.dataset
    spec = data.split(dataset.split)
    if spec is None or not spec.second_annotations:
        return read
    headers = image_headers(dataset)
    drawn: dict[str, Truth] = {}
    failings: list[Failing] = []
    for key, given in spec.second_annotations.items():
        named = f"data.{dataset.split}.{key}"
        remedy = "Give what this annotator drew, in the form of `annotations`."
        place = place_of(given, task, named, remedy=remedy)
        look = _boxes if task.model.gives_boxes else _maps
        drawn[key], more = look(dataset, place, headers, data, task, named)
        if not drawn[key].known.any():
            raise DataError(
                f"{named}: nothing in {name_of(place)!r} goes with an image of the {dataset.split} "
                "data by name. Correct the place, or the names of its files."
            )
        failings += [replace(one, rule=f"{one.rule}, of {key}") for one in more]
    by = {key.partition(".")[2]: truth for key, truth in drawn.items() if key != _GOLD}
    report = read.report
    results = (*report.results, *map(result_of, failings))
    return replace(
        read,
        dataset=replace(dataset, drawn_by=by, drawn_gold=drawn.get(_GOLD)),
        report=replace(report, results=results),
    )


def _boxes(
    dataset: Dataset,
    place: str,
    headers: Sequence[ImageHeader | None],
    data: DataSpec,
    task: AnnotatedTask,
    named: str,
) -> tuple[BoxTruth, tuple[Failing, ...]]:
    there = np.flatnonzero([header is not None for header in headers])
    ids = dataset.image_ids[there].tolist()
    drawn = drawn_in(place, ids, data, task, named)
    found = annotated(
        drawn,
        image_ids=ids,
        headers=[header for header in headers if header is not None],
        classes=dataset.classes,
        reading=Reading(data.classes.map, data.boxes_in, "empty"),
    )
    # Of an image that the file lists nothing may be drawn; of the others nothing was looked at.
    looked = np.zeros(len(ids), dtype=bool)
    looked[list(places(drawn, ids).values())] = True
    known = np.zeros(len(dataset), dtype=bool)
    known[there] = found.known & looked
    boxes = replace(found.boxes, image=there[found.boxes.image])
    # In the order of their images; those of an image whose size is another are no longer there.
    return BoxTruth(boxes, known).take(np.arange(len(dataset))), found.failings


def _maps(
    dataset: Dataset,
    place: str,
    headers: Sequence[ImageHeader | None],
    data: DataSpec,
    task: AnnotatedTask,
    named: str,
) -> tuple[MapTruth, tuple[Failing, ...]]:
    meaning = map_meaning(dataset, data, task)
    drawn_on = data.boxes_in or "displayed"
    found = usable_maps(
        maps_of(dataset, place, named),
        meaning,
        image_ids=dataset.image_ids.tolist(),
        headers=headers,
        drawn_on=drawn_on,
        named=named,
    )
    of = tuple(h if f else None for h, f in zip(headers, found.files, strict=True))
    truth = MapTruth(found.files, of, meaning, drawn_on)
    rule = "a class map can be read and fits its image"
    failing = Failing(rule, len(found.misfits), found.misfits[:MAX_LISTED])
    return truth, (failing,) if found.misfits else ()
