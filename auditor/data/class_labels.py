"""Columns of labels: from a column's text to class indices, and the columns beside `label`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from auditor.data.expectations import Expectation
from auditor.errors import DataError
from auditor.spec import ColumnsSpec

if TYPE_CHECKING:
    from auditor.data.rows import Rows

NO_LABEL, UNKNOWN_LABEL = -1, -2
GOLD = "gold"
"""Name of the dataset's column of expert labels."""


def class_indices(text: pd.Series, classes: tuple[str, ...]) -> np.ndarray:
    """Class index of each value, (n,) int64: `NO_LABEL` where missing, `UNKNOWN_LABEL` where it
    is no class.

    Names first, else whole numbers where every value is a class's index.
    """
    index_of = pd.Series(range(len(classes)), index=pd.Index(classes, dtype="str"))
    found = text.map(index_of)
    if not found.notna().any():
        numbers = pd.to_numeric(text, errors="coerce")
        whole = (numbers >= 0) & (numbers < len(classes)) & (numbers == numbers.round())
        if (whole | text.isna()).all():
            found = numbers
    unlabelled = np.where(text.isna(), NO_LABEL, UNKNOWN_LABEL)
    return np.where(found.notna(), found.fillna(0), unlabelled).astype(np.int64)


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
