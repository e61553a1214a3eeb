"""The words of one record: its checks', and the names that its spec displays."""

from __future__ import annotations

import json
from collections.abc import Iterator

from auditor.contract import check_classes
from auditor.contract.quantity_words import RIGHT_MEANS
from auditor.data.attributes import bin_words
from auditor.record import AuditRecord
from auditor.reports.telling import Telling
from auditor.reports.unit_words import says_unit, unit_names
from auditor.spec import AuditSpec


def telling(record: AuditRecord) -> Telling:
    """The words for a record: its checks', and the names that its spec displays."""
    spec = AuditSpec.model_validate_json(json.dumps(record.spec.parsed))
    column = spec.data.columns.unit_column
    # Objects without a stated unit are counted by their images.
    alone = column is None and spec.model.gives_boxes
    unit, units = ("image", "images") if alone else unit_names(column)
    return Telling(
        checks=check_classes(),
        attributes=frozenset(spec.data.attributes),
        display=spec.display,
        bins={
            f"{name}={group}": words
            for name, one in spec.data.attributes.items()
            if one.bins is not None
            for group, words in bin_words(one.bins).items()
        },
        unit=unit,
        units=units,
        places=_places(record),
        unit_is_a_name=any(map(says_unit, _names(record, spec))),
        right_means=RIGHT_MEANS.get(record.model.task, ""),
    )


def _names(record: AuditRecord, spec: AuditSpec) -> Iterator[str]:
    """Names of the data that a text may hold: of classes, attributes, groups and artefacts."""
    yield from (*record.model.classes, *spec.display, *spec.display.values())
    yield from (artefact.name for artefact in spec.shortcuts)
    for attribute in (a for dataset in record.datasets for a in dataset.attributes):
        yield attribute.name
        yield from (group.name for group in attribute.groups)


def _places(record: AuditRecord) -> dict[str, str]:
    unseen = record.dataset("train") is not None
    return {
        "test": "test images that it had not seen" if unseen else "test images",
        "train": "training images",
        "deployment": "images from where it will run",
    }
