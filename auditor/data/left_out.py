"""Rows of a manifest that a split leaves out: how many for which reason, and why that may be."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from auditor.data.class_labels import NO_LABEL, UNKNOWN_LABEL
from auditor.data.dataset import Dataset
from auditor.data.expectations import RowCounts
from auditor.data.image_names import ImageNames
from auditor.data.rows import Rows
from auditor.errors import DataError
from auditor.record import SetApart

ROW_REASONS = (
    "unplaced", "unnamed", "absent", "unknown_label", "conflicting_row", "repeated_row",
)  # fmt: skip
"""Why a row is no image of its split; a row is counted under the first that holds of it."""
UNLABELLED = "unlabelled"
UNANNOTATED = "unannotated"
ELSEWHERE = "elsewhere"
"""Rows of a manifest that `where` takes into no split."""
QUOTES_AN_IMAGE, QUOTES_ROWS = "the first is ", "they have "
"""Begins a cause that names an image; one that says what rows hold."""
NOT_LOST = frozenset({ELSEWHERE, "repeated_row", "duplicate", "in_test"})
"""Reasons for which nothing is lost: another row, or another split, has the same photograph."""


def row_reasons(
    ids: ImageNames, there: np.ndarray, labels: np.ndarray, unplaced: np.ndarray
) -> dict[str, np.ndarray]:
    """Masks (n,) of the rows left out, by `ROW_REASONS`; a row is in one of them at most."""
    first = ids.first_places()
    repeated = first < np.arange(len(ids))
    # A repeated image with two labels has no label that could be trusted.
    disputed = np.isin(first, first[labels != labels[first]])
    holds = (unplaced, ids.blank(), ~there, labels == UNKNOWN_LABEL, disputed, repeated)
    taken = np.zeros(len(ids), dtype=bool)
    found = {}
    for reason, mask in zip(ROW_REASONS, holds, strict=True):
        found[reason] = mask & ~taken
        taken |= mask
    return found


def counted(
    masks: Mapping[str, np.ndarray], *, ids: ImageNames, text: pd.Series | None,
    labels: np.ndarray, classes: tuple[str, ...], required: bool,
) -> RowCounts:  # fmt: skip
    """What there is under the masks of `row_reasons`; `text` are the labels as written.

    Where a label is `required`, rows without one are counted too: no score is theirs. Without a
    column of labels (`text` None) images are annotated elsewhere.
    """
    unknown = {} if text is None else text[labels == UNKNOWN_LABEL].value_counts().to_dict()
    kept = ~np.logical_or.reduce(list(masks.values()))
    if required and text is not None:
        masks = {**masks, UNLABELLED: kept & (labels == NO_LABEL)}
    causes = {reason: _example(ids[mask]) for reason, mask in masks.items()}
    causes["unknown_label"] = label_cause(unknown, classes, seen=set(labels.tolist()))
    found = (SetApart(reason, int(mask.sum()), causes[reason]) for reason, mask in masks.items())
    of_class = np.bincount(labels[labels >= 0], minlength=len(classes)).tolist()
    return RowCounts(
        left_out=tuple(one for one in found if one.n),
        of_class=dict(zip(classes, of_class, strict=True)),
        unknown=unknown,
    )


def unannotated(dataset: Dataset, *, opened: np.ndarray) -> tuple[SetApart, ...]:
    """Images of which no truth is known, of those that could be `opened`, (n,) bool."""
    assert dataset.truth is not None
    ids = dataset.image_ids[opened & ~dataset.truth.known]
    return (SetApart(UNANNOTATED, len(ids), _example(ids)),) if len(ids) else ()


def in_no_split(elsewhere: Sequence[pd.Series]) -> tuple[SetApart, ...]:
    """Rows of a manifest that none of its splits takes, with what they have in the columns.

    Each split's `elsewhere` as of `auditor.data.rows.Rows`.
    """
    first = elsewhere[0]
    for others in elsewhere[1:]:
        first = first[first.index.isin(others.index)]
    if first.empty:
        return ()
    values = first.value_counts()
    cause = ", ".join(f"{value!r} ({n:,} rows)" for value, n in values.head(3).items())
    return (SetApart(ELSEWHERE, len(first), f"{QUOTES_ROWS}{cause}"),)


def _example(ids: np.ndarray) -> str:
    named = [str(name) for name in ids[:1] if name]
    return f"{QUOTES_AN_IMAGE}{named[0][-60:]!r}" if named else ""


def label_cause(unknown: Mapping[str, int], classes: Sequence[str], *, seen: set[int]) -> str:
    """What labels that are no class may mean, with the rows of each; `seen` are class indices."""
    if _one_off(unknown, classes, seen):
        return (
            f"the labels run from 1 to {len(classes)}, the classes from 0 to {len(classes) - 1}: "
            "every label is read one off"
        )
    told = [_told(label, n, classes) for label, n in list(unknown.items())[:3]]
    return "; ".join(told) + (f"; and {len(unknown) - 3} more labels" if len(unknown) > 3 else "")


def no_known_label(rows: Rows, column: str, classes: tuple[str, ...]) -> DataError:
    """The error that no usable row of the test data has a label that is a class."""
    written = rows.frame[column].value_counts()
    found = label_cause({str(k): int(n) for k, n in written.items()}, classes, seen=set())
    return DataError(
        f"data.test: no usable row of {rows.source!r} has a label that is a class. Found in "
        f"{column!r}: {found or 'nothing'}. Correct `model.classes`, or name the column of "
        f"labels under `data.columns.label`."
    )


def _one_off(unknown: Mapping[str, int], classes: Sequence[str], seen: set[int]) -> bool:
    numbers = {float(pd.to_numeric(label, errors="coerce")) for label in unknown}
    return len(classes) in numbers and min(numbers | (seen - {NO_LABEL, UNKNOWN_LABEL})) == 1


def _told(label: str, n: int, classes: Sequence[str]) -> str:
    meant = likely_class(label, classes)
    rows = f"{label[:40]!r} ({n:,} {'row' if n == 1 else 'rows'})"
    if meant is None:
        return f"{rows} is none of {', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''}"
    how = " (only capitals, spaces or accents differ)" if plain(label) == plain(meant) else ""
    return f"{rows}: did you mean {meant!r}{how}?"


def likely_class(label: str, classes: Sequence[str]) -> str | None:
    """The class that a label most likely is a misspelling of."""
    known = {plain(name): name for name in classes}
    close = difflib.get_close_matches(plain(label), known, n=1, cutoff=0.6)
    return known[close[0]] if close else None


def plain(name: str) -> str:
    """A name without capitals, accents' spelling, spaces, hyphens, underscores, unseen marks."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    unseen = (c.isspace() or c in "-_" or unicodedata.category(c) == "Cf" for c in folded)
    return "".join(c for c, drop in zip(folded, unseen, strict=True) if not drop)


def lost_classes(
    rows: Mapping[str, int], unknown: Mapping[str, int], left: Mapping[str, int]
) -> dict[str, str]:
    """Classes of which no image is left although rows are theirs, each with the label of these.

    `rows` has of each class its rows as listed, `left` its images that are measured. A label
    that is no class may mean a class that no row names: the one that it is a misspelling of, or
    any of them where as many labels are unknown as classes lack rows.
    """
    lost = {name: name for name, n in rows.items() if n and not left[name]}
    bare = [name for name, n in rows.items() if not n]
    for label in unknown:
        meant = likely_class(label, list(rows))
        if meant in bare:
            lost[meant] = label
        elif meant is None and len(unknown) == len(bare):
            lost[label] = label
    return lost
