"""What annotated images hold as lines of a dataset, with the groups and units of their images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from auditor.data.class_maps import LEAST_SHARE
from auditor.data.columns import Columns
from auditor.data.dataset import Attribute, Dataset
from auditor.data.truth import BoxTruth, MapTruth

CLASS = "class"
"""What the class of an object is called where it is told as an attribute is."""


def objects_of(dataset: Dataset) -> Dataset | None:
    """A line for each object that counts, `label` being its class; None without boxes as truth."""
    if not isinstance(dataset.truth, BoxTruth):
        return None
    boxes = dataset.truth.boxes
    kept = ~boxes.crowd
    lines = repeated(dataset, boxes.image[kept], boxes.classes[kept])
    return with_object_groups(lines, dataset, kept)


def classed(objects: Dataset) -> Dataset:
    """`objects_of` with the class of each as an attribute, `CLASS`."""
    names = np.array(objects.classes, dtype=object)[objects.labels]
    frame = objects.frame.assign(**{f"attribute:{CLASS}": pd.Series(names, dtype="str")})
    attribute = Attribute(CLASS, "condition", objects.classes)
    return replace(objects, table=Columns.of(frame), attributes=(*objects.attributes, attribute))


def classes_of(dataset: Dataset) -> Dataset:
    """A line for each object, or each class that an image's map holds; else for each label."""
    if not isinstance(dataset.truth, MapTruth):
        return objects_of(dataset) or dataset
    none = np.zeros(0, dtype=np.int64)
    held = [
        none if drawn is None else classes_in(drawn, n_classes=len(dataset.classes))
        for drawn in dataset.truth.maps()
    ]
    image = np.repeat(np.arange(len(dataset)), [len(labels) for labels in held])
    return repeated(dataset, image, np.concatenate([*held, none]))


def classes_in(drawn: np.ndarray, *, n_classes: int) -> np.ndarray:
    """The classes that a class map (h, w) holds, rising, from `LEAST_SHARE` of its pixels on."""
    pixels = np.bincount(drawn[drawn >= 0], minlength=n_classes)
    return np.flatnonzero((pixels > 0) & (pixels >= LEAST_SHARE * pixels.sum()))


def repeated(dataset: Dataset, places: np.ndarray, labels: np.ndarray) -> Dataset:
    """A line of the dataset for each of `places`, with a label of its own."""
    lines = dataset.table.take(places).whole().assign(label=labels.astype(np.int64))
    # Objects of an image fail together: where no unit is named, the image is theirs.
    if not dataset.has_units:
        lines = lines.assign(unit=dataset.image_ids[places])
    return replace(
        dataset,
        table=Columns.of(lines),
        has_units=True,
        truth=None,
        drawn_by={},
        drawn_gold=None,
        image_ids=dataset.image_ids.take(places),
        paths=dataset.paths.take(places),
    )


def with_object_groups(lines: Dataset, dataset: Dataset, kept: np.ndarray) -> Dataset:
    """With the attributes that objects have themselves, of those `kept` among all."""
    if not isinstance(dataset.truth, BoxTruth) or not dataset.object_attributes:
        return lines
    groups = dataset.truth.boxes.attributes
    columns = {
        f"attribute:{a.name}": pd.Series(groups[a.name][kept], dtype="str")
        for a in dataset.object_attributes
    }
    attributes = (*lines.attributes, *dataset.object_attributes)
    table = Columns.of(lines.frame.assign(**columns))
    return replace(lines, table=table, attributes=attributes)
