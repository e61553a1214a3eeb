"""Columns of labels: from a column's text to class indices, and the columns beside `label`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from auditor.data.expectations import Expectation
from auditor.data.rows import Rows, missing_column
from auditor.errors import DataError
from auditor.spec import ColumnsSpec

NO_LABEL, UNKNOWN_LABEL = -1, -2
GOLD = "gold"
"""Name of the dataset's column of expert labels."""


def class_indices(text: pd.Series, classes: tuple[str, ...]) -> np.ndarray:
    """Class index of each value, (n,) int64: `NO_LABEL` where missing, `UNKNOWN_LABEL` where it
    is no class.

    Names first, else whole numbers where every value is a class's index. Of classes that are
    numbered from 0 the names are these numbers, however written (``07``, ``7.0``).
    """
    index_of = pd.Series(range(len(classes)), index=pd.Index(classes, dtype="str"))
    numbered = all(name == str(i) for i, name in enumerate(classes))
    found = text.map(index_of)
    if numbered or not found.notna().any():
        numbers = pd.to_numeric(text, errors="coerce")
        whole = (numbers >= 0) & (numbers < len(classes)) & (numbers == numbers.round())
        if numbered or (whole | text.isna()).all():
            found = numbers.where(whole)
    unlabelled = np.where(text.isna(), NO_LABEL, UNKNOWN_LABEL)
    return np.where(found.notna(), found.fillna(0), unlabelled).astype(np.int64)


def one_hot_column(columns: tuple[str, ...]) -> str:
    """What the column of labels is called that stands for one-hot ones."""
    return f"{columns[0]} ... {columns[-1]}"


def from_one_hot(frame: pd.DataFrame, columns: tuple[str, ...], *, named: str) -> pd.Series:
    """The name of the column that holds 1, missing where none does.

    Raises DataError for other values than 0 and 1, and for a row with several 1.
    """
    ones = pd.DataFrame({name: _ones(frame[name], named) for name in columns})
    several = np.flatnonzero(ones.sum(axis=1) > 1)
    if len(several):
        row = ones.iloc[several[0]]
        raise several_labels(
            f"{named}, row {several[0] + 1}: {' and '.join(row.index[row][:3])} are 1 together"
        )
    label = ones.idxmax(axis=1).where(ones.any(axis=1))
    return label.astype("str")


def _ones(values: pd.Series, named: str) -> pd.Series:
    numbers = pd.to_numeric(values.replace({"True": "1", "False": "0"}), errors="coerce")
    odd = np.flatnonzero(~(numbers.isin([0, 1]) | values.isna()))
    if len(odd):
        raise DataError(
            f"{named}, row {odd[0] + 1}: found {values.iloc[odd[0]][:40]!r} in the one-hot column "
            f"{values.name!r}, expected 0 or 1. List only such columns under `columns.label`."
        )
    return numbers == 1


def several_labels(found: str) -> DataError:
    """The error that images have several labels each."""
    return DataError(
        f"{found}, so that images have several labels each (multi-hot). This version audits "
        "classifiers that give one answer an image: name a column with one label a row, or audit "
        "each label by itself, as a class and its absence."
    )


def joined_label(labels: Iterable[str], known: Iterable[str]) -> str | None:
    """The first of `labels` that joins two or more of the `known` ones by one of ``| ; , + &``."""
    # A label alone may be written as a list of one, too: ['cat'].
    names = {bare for name in known for bare in (name, name.strip("[](){} '\""))}
    for label in labels:
        parts = [part.strip(" '\"") for part in re.split(r"[|;,+&]", label.strip("[](){} "))]
        if len(parts) > 1 and names.issuperset(parts):
            return label
    return None


def one_label_column(split: str, rows: Rows, columns: ColumnsSpec) -> tuple[Rows, ColumnsSpec]:
    """Rows and columns with one column of labels in place of one-hot ones."""
    if not isinstance(columns.label, tuple):
        return rows, columns
    name = one_hot_column(columns.label)
    missing = [column for column in columns.label if column not in rows.frame]
    if missing and (split != "deployment" or len(missing) < len(columns.label)):
        raise missing_column(split, rows, missing[0], key="data.columns.label")
    if not missing:
        named = f"data.{split}.manifest: {rows.source!r}"
        label = from_one_hot(rows.frame, columns.label, named=named)
        rows = replace(rows, table=replace(rows.table, frame=rows.frame.assign(**{name: label})))
    return rows, columns.model_copy(update={"label": name})


def with_names(
    rows: Rows, columns: ColumnsSpec, *, attributes: Collection[str], classes: Sequence[str]
) -> Rows:
    """Rows whose labels, and `attributes` (columns), have the names that the file gives numbers.

    Two files may number the same names in two orders. Labels: where one of the names is a class.
    """
    labels = [columns.label, *(column for column, _ in second_columns(columns).values())]
    named = {
        column: rows.frame[column].map({str(i): name for i, name in enumerate(names)})
        for column, names in rows.table.class_names.items()
        if column in attributes or (column in labels and set(names) & set(classes))
    }
    return replace(rows, table=replace(rows.table, frame=rows.frame.assign(**named)))


def second_columns(columns: ColumnsSpec) -> dict[str, tuple[str, str]]:
    """Columns of labels beside `label`: dataset column -> (manifest's column, key in the spec)."""
    named = {
        rating_column(name): (column, f"data.columns.ratings.{name}")
        for name, column in columns.ratings.items()
    }
    if columns.gold is not None:
        named[GOLD] = (columns.gold, "data.columns.gold")
    return named


def rating_column(annotator: str) -> str:
    """The dataset's column that holds the labels of an annotator."""
    return f"rating:{annotator}"


def known_column(name: str) -> str:
    """The computed column that says whether each value of `name` is missing or a class."""
    return f"__known {name}__"


def expectations(second: Mapping[str, str], n_classes: int) -> list[Expectation]:
    """What is expected of columns of labels; `second` maps dataset to manifest columns."""
    rule = f"a label is one of the {n_classes} classes"
    return [
        Expectation(rule, known_column(name), "true", of=column) for name, column in second.items()
    ]


def require_known(
    rows: Rows, second: Mapping[str, str], indices: Mapping[str, np.ndarray],
    *, classes: tuple[str, ...],
) -> None:  # fmt: skip
    """Raise DataError where a column has values and none of them is a class: a wrong column."""
    for name, found in indices.items():
        wrong = np.flatnonzero(found == UNKNOWN_LABEL)
        if not len(wrong) or (found >= 0).any():
            continue
        values = rows.frame[second[name]].iloc[wrong[:3]]
        shown = ", ".join(f"{v!r} in row {r + 1}" for v, r in zip(values, wrong[:3], strict=True))
        key = "gold" if name == GOLD else f"ratings.{name.partition(':')[2]}"
        raise DataError(
            f"data.test: no value of {second[name]!r} in {rows.source!r} is a class. Found {shown}"
            f"{', ...' if len(wrong) > 3 else ''}; the classes are {', '.join(classes[:5])}"
            f"{', ...' if len(classes) > 5 else ''}. Name the column of labels under "
            f"`data.columns.{key}`, or write its values as the classes are written."
        )
