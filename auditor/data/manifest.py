"""Read the dataset splits of a spec: rows checked, the good ones typed, the others told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from auditor.data.attributes import Edges as GroupEdges
from auditor.data.attributes import Grouped, group_images, value_rule
from auditor.data.class_labels import (
    GOLD,
    NO_LABEL,
    UNKNOWN_LABEL,
    class_indices,
    joined_label,
    known_column,
    one_label_column,
    require_known,
    second_columns,
    several_labels,
    with_names,
)
from auditor.data.class_labels import expectations as label_expectations
from auditor.data.columns import Columns, in_codes
from auditor.data.dataset import Dataset
from auditor.data.expectations import Expectation, ManifestReport, report_of, validate
from auditor.data.left_out import counted, in_no_split, no_known_label, row_reasons
from auditor.data.lone_units import lone_units_note
from auditor.data.rows import Located, Rows, locate, missing_column, read_rows
from auditor.data.times import read_times, zone_note
from auditor.data.written_alike import require_written_alike
from auditor.errors import DataError
from auditor.freed_memory import return_freed_memory
from auditor.spec import AttributeSpec, ColumnsSpec, DataSpec
from auditor.stats.codes import compact

Edges = Mapping[str, GroupEdges]
"""Inner edges of quantile groups, or names of the largest groups, by attribute."""


@dataclass(frozen=True)
class ReadDataset:
    """A split once read. `edges` are the quantile edges that its groups were cut at.

    `manifest` and `elsewhere` as of `auditor.data.rows.Rows`.
    """

    dataset: Dataset
    report: ManifestReport
    edges: Edges
    manifest: str | None
    elsewhere: pd.Series


def read_datasets(
    data: DataSpec, *, folder: Path, classes: tuple[str, ...]
) -> dict[str, ReadDataset]:
    """Read every split, test first: quantile groups are cut at the test images' quantiles."""
    read: dict[str, ReadDataset] = {}
    for split in data.splits:
        # Manifests as text, which nothing needs any more, are most of what was read.
        return_freed_memory(images=sum(len(found.dataset) for found in read.values()))
        edges = read["test"].edges if "test" in read else None
        read[split] = read_dataset(split, data, folder=folder, classes=classes, edges=edges)
    require_written_alike(found.dataset for found in read.values())
    return {split: _with_elsewhere(found, read) for split, found in read.items()}


def _with_elsewhere(found: ReadDataset, read: Mapping[str, ReadDataset]) -> ReadDataset:
    """What was read with, for the first split of a manifest, how many of its rows none takes."""
    alike = [r for r in read.values() if r.manifest == found.manifest]
    others = in_no_split([r.elsewhere for r in alike]) if found is alike[0] else ()
    counts = found.report.counts
    counts = replace(counts, left_out=(*counts.left_out, *others))
    return replace(found, report=replace(found.report, counts=counts))


def read_dataset(
    split: str,
    data: DataSpec,
    *,
    folder: Path,
    classes: tuple[str, ...],
    edges: Edges | None = None,
) -> ReadDataset:
    """Read one split. `edges`: quantile edges of another split, to be used instead of its own.

    Left out of the dataset, and listed in the report: rows without an image's name, whose file
    is absent, whose label is no class, and repeated ones (the first is kept where the labels
    agree, none where they differ). Other failings (a missing group, a time that is no date)
    leave the value missing. A column that only another split lacks is a failing of its report.

    Raises DataError where nothing could be read or measured; see `auditor.data.rows`.
    """
    spec = data.split(split)
    assert spec is not None
    columns = split_columns(data, split)
    rows = read_rows(split, spec, folder=folder, columns=columns)
    return_freed_memory(images=len(rows.frame))
    rows, columns = one_label_column(split, rows, columns)
    attributes = {spec.column or name for name, spec in data.attributes.items()}
    rows = with_names(rows, columns, attributes=attributes, classes=classes)
    plan = _plan(split, rows, data, columns)
    _refuse_several(split, rows, plan.label, classes)
    typed = _typed(split, rows, plan, classes=classes, edges=edges)
    results = validate(_checked_frame(rows, plan, typed), _expectations(plan, data, classes))
    report = report_of(
        rows.frame, results, image_column=plan.image, set_apart=~typed.good, numbers=rows.numbers,
        counts=counted(
            typed.reasons, ids=typed.located.ids, labels=typed.labels, classes=classes,
            text=None if plan.label is None else rows.frame[plan.label],
            required=plan.label_required,
        ),
        notes=_notes(rows, plan, typed),
    )  # fmt: skip
    return_freed_memory(images=len(rows.frame))
    dataset = _dataset(split, rows, plan, typed, classes)
    if split == "test" and plan.label is not None and not (dataset.labels >= 0).any():
        raise no_known_label(rows, plan.label, classes)
    if split == "test":
        require_known(rows, plan.second, typed.second, classes=classes)
    if not len(dataset):
        raise DataError(f"data.{split}: no row of {rows.source!r} can be used; the first failing: "
                        f"{report.first_failing}")  # fmt: skip
    edges = {name: grouped.edges for name, grouped in typed.groups.items() if grouped.edges}
    return ReadDataset(dataset, report, edges, rows.manifest, rows.elsewhere)


def split_columns(data: DataSpec, split: str) -> ColumnsSpec:
    """The split's columns; those that it does not name are the data's."""
    spec = data.split(split)
    own = spec.columns if spec is not None else None
    if own is None:
        return data.columns
    named = {key: getattr(own, key) for key in own.model_fields_set}
    return ColumnsSpec.model_validate(
        {key: getattr(data.columns, key) for key in data.columns.model_fields_set} | named
    )


def _refuse_several(split: str, rows: Rows, label: str | None, classes: tuple[str, ...]) -> None:
    if label is None:
        return
    unknown = sorted(set(rows.frame[label].dropna()) - set(classes))
    joined = joined_label(unknown, classes)
    if label in rows.table.several or joined is not None:
        held = "lists of labels" if joined is None else f"{joined[:60]!r}"
        raise several_labels(f"data.{split}: the column {label!r} of {rows.source!r} holds {held}")


@dataclass(frozen=True)
class _ReadingPlan:
    """Which columns are read for what; `absent` are columns that the split lacks, and may."""

    image: str
    where: tuple[str, ...]
    label: str | None
    optional: Mapping[str, str]
    second: Mapping[str, str]
    attributes: Mapping[str, AttributeSpec]
    absent: tuple[str, ...]
    label_required: bool

    def column_of(self, attribute: str) -> str:
        return self.attributes[attribute].column or attribute

    @property
    def used(self) -> set[str]:
        named = {
            self.image,
            *self.where,
            *self.optional.values(),
            *map(self.column_of, self.attributes),
        }
        return named | set(self.second.values()) | ({self.label} if self.label else set())


def _plan(split: str, rows: Rows, data: DataSpec, columns: ColumnsSpec) -> _ReadingPlan:
    stated = data.split(split)
    there = set(rows.frame.columns)
    absent: list[str] = []

    def has(column: str, key: str) -> bool:
        if column in there:
            return True
        if split == "test":
            raise missing_column(split, rows, column, key=key)
        absent.append(column)
        return False

    if columns.image not in there:
        raise missing_column(split, rows, columns.image, key="data.columns.image")
    return _ReadingPlan(
        image=columns.image,
        where=() if stated is None else tuple(stated.where),
        label=_label_column(split, rows, columns),
        optional={
            key: column
            for key, column in _optional(columns).items()
            if column and has(column, f"data.columns.{key}")
        },
        second={
            name: column
            for name, (column, key) in second_columns(columns).items()
            if has(column, key)
        },
        attributes={
            name: spec
            for name, spec in data.attributes.items()
            if spec.of == "image" and has(spec.column or name, f"data.attributes.{name}.column")
        },
        absent=tuple(absent),
        label_required=split != "deployment" and columns.label is not None,
    )


def _optional(columns: ColumnsSpec) -> dict[str, str | None]:
    unit = columns.unit_column
    return {
        "unit": None if unit is None else unit.column,
        "time": columns.time,
        "annotator": columns.annotator,
        "annotation": columns.annotation,
    }


def _label_column(split: str, rows: Rows, columns: ColumnsSpec) -> str | None:
    assert not isinstance(columns.label, tuple)
    if columns.label is None or columns.label in rows.frame.columns:
        return columns.label
    # Images from where the model will run are mostly unlabelled, training images never.
    if split == "deployment":
        return None
    if rows.from_folder:
        raise DataError(
            f"data.{split}: the images of {rows.source!r} lie in no subfolders, so that they have "
            f"no labels. Sort them into one subfolder a class, or write a manifest."
        )
    raise missing_column(split, rows, columns.label, key="data.columns.label")


@dataclass(frozen=True)
class _Typed:
    """Every row's values, (n,) each; `reasons` mask the rows that the dataset leaves out."""

    located: Located
    labels: np.ndarray
    second: Mapping[str, np.ndarray]
    times: pd.Series | None
    groups: Mapping[str, Grouped]
    reasons: Mapping[str, np.ndarray] = field(repr=False)

    @property
    def good(self) -> np.ndarray:
        """The rows that the dataset keeps."""
        kept: np.ndarray = ~np.logical_or.reduce(list(self.reasons.values()))
        return kept


def _typed(
    split: str,
    rows: Rows,
    plan: _ReadingPlan,
    *,
    classes: tuple[str, ...],
    edges: Edges | None,
) -> _Typed:
    located = locate(split, rows, column=plan.image)
    unlabelled = np.full(len(rows), NO_LABEL, dtype=np.int64)
    labels = unlabelled if plan.label is None else class_indices(rows.frame[plan.label], classes)
    times = plan.optional.get("time")
    return _Typed(
        located=located,
        labels=labels,
        second={
            name: class_indices(rows.frame[column], classes) for name, column in plan.second.items()
        },
        times=None if times is None else read_times(rows.frame[times]),
        groups={
            name: group_images(
                rows.frame[plan.column_of(name)],
                name=name,
                spec=spec,
                edges=None if edges is None else edges.get(name),
            )
            for name, spec in plan.attributes.items()
        },
        reasons=row_reasons(located.ids, located.there, labels, rows.unplaced),
    )


def _notes(rows: Rows, plan: _ReadingPlan, typed: _Typed) -> tuple[str, ...]:
    """How values were read where readers would not expect it."""
    notes = [grouped.note for grouped in typed.groups.values()]
    if typed.times is not None:
        column = plan.optional["time"]
        notes.append(zone_note(rows.frame[column], typed.times, column=column))
    if "unit" in plan.optional:
        column = plan.optional["unit"]
        notes.append(lone_units_note(rows.text(column), column=column))
    return tuple(filter(None, notes))


_FILE, _ID, _KNOWN, _TIME, _PLACED = "__file__", "__id__", "__known__", "__time__", "__placed__"


def _checked_frame(rows: Rows, plan: _ReadingPlan, typed: _Typed) -> pd.DataFrame:
    computed = {
        _FILE: typed.located.there | typed.located.ids.blank(),
        # One file may be spelled in several ways.
        _ID: np.where(typed.located.ids.blank(), np.nan, typed.located.ids.first_places()),
        _KNOWN: typed.labels != UNKNOWN_LABEL,
        _PLACED: ~rows.unplaced,
    }
    if typed.times is not None:
        written = rows.frame[plan.optional["time"]].notna()
        computed[_TIME] = (typed.times.notna() | ~written).to_numpy()
    computed |= {known_column(name): found != UNKNOWN_LABEL for name, found in typed.second.items()}
    computed |= {f"__{name}__": grouped.expected for name, grouped in typed.groups.items()}
    return rows.frame.assign(**computed)


def _expectations(
    plan: _ReadingPlan, data: DataSpec, classes: tuple[str, ...]
) -> list[Expectation]:
    wanted = [
        *(Expectation("a column of this name", column, "exists") for column in plan.absent),
        Expectation("an image is named", plan.image, "not-null"),
        Expectation("no image is listed twice", _ID, "unique", of=plan.image),
        Expectation("the file is there", _FILE, "true", of=plan.image),
        *(Expectation("a value says which split the row is of", _PLACED, "true", of=column)
          for column in plan.where),
    ]  # fmt: skip
    if plan.label is not None:
        known = f"a label is one of the {len(classes)} classes"
        wanted.append(Expectation(known, _KNOWN, "true", of=plan.label))
        if plan.label_required:
            wanted.append(Expectation("a label is given", plan.label, "not-null"))
    wanted += label_expectations(plan.second, len(classes))
    return wanted + _optional_expectations(plan, data)


def _optional_expectations(plan: _ReadingPlan, data: DataSpec) -> list[Expectation]:
    wanted = []
    if "unit" in plan.optional:
        wanted.append(Expectation("a unit is named", plan.optional["unit"], "not-null"))
    if "time" in plan.optional:
        wanted.append(Expectation("a time of 1678 to 2261, as ISO 8601 has it", _TIME, "true",
                                  of=plan.optional["time"]))  # fmt: skip
    for name, spec in plan.attributes.items():
        column = plan.column_of(name)
        wanted.append(Expectation("a value is given", column, "not-null",
                                  allowed_share=data.missing_share))  # fmt: skip
        rule = value_rule(spec)
        if rule:
            wanted.append(Expectation(rule, f"__{name}__", "true", of=column))
    return wanted


def _dataset(
    split: str, rows: Rows, plan: _ReadingPlan, typed: _Typed, classes: tuple[str, ...]
) -> Dataset:
    frame = pd.DataFrame(
        {
            "label": compact(np.maximum(typed.labels, NO_LABEL)),
            "unit": in_codes(rows.text(plan.optional.get("unit"))),
            "annotator": in_codes(rows.text(plan.optional.get("annotator"))),
            "time": typed.times
            if typed.times is not None
            else pd.Series(pd.NaT, index=range(len(rows)), dtype="datetime64[ns]"),
            **{name: compact(np.maximum(found, NO_LABEL)) for name, found in typed.second.items()},
            **{
                f"attribute:{name}": in_codes(pd.Series(g.groups, dtype=object))
                for name, g in typed.groups.items()
            },
        }
    )
    if "annotation" in plan.optional:
        frame["annotation"] = rows.text(plan.optional["annotation"])
    good, gold = typed.good, frame.get(GOLD)
    return Dataset(
        split=split,
        table=Columns.of(frame),
        classes=classes,
        attributes=tuple(grouped.attribute for grouped in typed.groups.values()),
        digest=rows.digest(plan.used),
        has_labels=bool((frame["label"][good] >= 0).any()),
        has_units="unit" in plan.optional,
        annotators=tuple(name.partition(":")[2] for name in plan.second if name != GOLD),
        has_gold=gold is not None and bool((gold[good] >= 0).any()),
        image_ids=typed.located.ids,
        paths=typed.located.paths,
    ).take(good)
