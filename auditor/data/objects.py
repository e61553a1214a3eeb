"""Objects of annotated images as lines of a dataset, with the groups and units of their images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.data.truth import BoxTruth


def objects_of(dataset: Dataset) -> Dataset | None:
    """A line for each object that counts, `label` being its class; None without boxes as truth."""
    if not isinstance(dataset.truth, BoxTruth):
        return None
    boxes = dataset.truth.boxes
    kept = ~boxes.crowd
    lines = repeated(dataset, boxes.image[kept], boxes.classes[kept])
    return with_object_groups(lines, dataset, kept)


def repeated(dataset: Dataset, places: np.ndarray, labels: np.ndarray) -> Dataset:
    """A line of the dataset for each of `places`, with a label of its own."""
    lines = dataset.frame.iloc[places].reset_index(drop=True)
    lines = lines.assign(label=labels.astype(np.int64))
    # Objects of an image fail together: where no unit is named, the image is theirs.
    if not dataset.has_units:
        lines = lines.assign(unit=lines["image_id"])
    return replace(dataset, frame=lines, has_units=True, truth=None)


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
    return replace(lines, frame=lines.frame.assign(**columns), attributes=attributes)
