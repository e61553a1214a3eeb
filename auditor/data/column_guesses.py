"""Which column of a manifest holds what, by usual names and by values; for `auditor init`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from auditor.data.attribute_guesses import MOST_GROUPS, FoundAttribute, attributes_in, words_of
from auditor.data.class_labels import from_one_hot, joined_label, several_labels
from auditor.data.images import is_image_name
from auditor.data.manifest_table import ManifestTable
from auditor.errors import DataError
from auditor.spec.usual_splits import flagged_split, usual_split
from auditor.spec.yaml_source import did_you_mean

IMAGE_COLUMNS = ("image", "file", "path", "filename", "file_name", "image_path", "img", "id_code",
                 "image_id", "image_name", "image_file", "img_path", "img_name", "img_id",
                 "file_path", "filepath", "image_index", "isic_id", "photo", "picture", "name",
                 "id")  # fmt: skip
LABEL_COLUMNS = ("label", "class", "target", "category", "y", "diagnosis", "labels", "class_name",
                 "class_id", "label_name", "label_id", "category_name", "category_id", "dx",
                 "ground_truth", "gt", "truth", "true_label", "y_true", "breed", "species",
                 "level", "grade", "finding_labels")  # fmt: skip
UNIT_COLUMNS = ("unit", "room", "patient_id", "patient", "person", "subject", "video", "sheet",
                "sequence", "site_id", "group_id", "lesion_id", "subject_id", "person_id",
                "video_id")  # fmt: skip
ANNOTATOR_COLUMNS = ("annotator", "inspector", "rater", "grader", "labeller", "labeler",
                     "annotated_by", "labelled_by", "labeled_by")  # fmt: skip
GOLD_COLUMNS = ("gold", "gold_label", "expert", "expert_label", "expert_grade", "adjudicated")
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "phase", "usage", "data_split", "fold")
FEWEST_UNITS = 10
"""A column with fewer values is not guessed to hold units: nothing could be said by them."""

_RATING_WORDS = {"rating", "rater", "reader", "annotator", "grader", "grade", "reviewer", "label",
                 "labeller", "labeler", "diagnosis", "opinion", "vote", "doctor",
                 "radiologist"}  # fmt: skip
_ANSWERS = {"yes", "no", "y", "n", "true", "false", "t", "f", "on", "off", "positive", "negative",
            "pos", "neg", "present", "absent", "normal", "abnormal", "left", "right", "high", "low",
            "unknown", "none", "na", "n/a", "other"}  # fmt: skip
"""Values that columns about anything hold: they make no column a rating of the label."""

_LEAST_AGREEMENT = 0.2
"""Agreement with the label beyond chance (Cohen's kappa) of a column of somebody's labels."""


@dataclass(frozen=True)
class GivenColumns:
    """Columns that the user names, each obeyed in place of a guess."""

    image: str | None = None
    label: str | None = None
    unit: str | None = None

    def require_in(self, table: ManifestTable, named: str) -> None:
        """Raise DataError where one of them is no column of the manifest."""
        for option in ("image", "label", "unit"):
            column = getattr(self, option)
            if column is not None and column not in table.columns:
                raise DataError(
                    f"{named} has no column {column!r}, which --{option} names (columns: "
                    f"{', '.join(table.columns[:30])}).{did_you_mean(column, table.columns)} Name "
                    "one of these."
                )


NONE_GIVEN = GivenColumns()


@dataclass(frozen=True)
class FoundColumns:
    """What a manifest's columns are; a tuple under `label` are one-hot columns.

    `guessed_unit` says that nobody named the column of units.
    """

    image: str
    label: str | tuple[str, ...] | None
    labels: pd.Series
    unit: str | None
    annotator: str | None
    gold: str | None
    ratings: tuple[str, ...]
    attributes: tuple[FoundAttribute, ...]
    guessed_unit: bool = True


@dataclass(frozen=True)
class FoundSplits:
    """A column that says which split a row is of, and its values by split."""

    column: str
    values: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...]


def image_columns(table: ManifestTable) -> tuple[str, ...]:
    """Columns that may name images, the likeliest first."""
    frame = table.frame
    named = _columns(frame, IMAGE_COLUMNS)
    files = [column for column in table.columns if _all_image_names(frame[column])]
    # A usual name is no proof: "id" may count rows where another column names files.
    return tuple(dict.fromkeys([*table.inside, *(c for c in named if c in files), *files, *named]))


def _all_image_names(values: pd.Series) -> bool:
    given = values.dropna()
    return len(given) > 0 and all(map(is_image_name, given))


def split_column(table: ManifestTable, *, but: str) -> FoundSplits | None:
    """The column whose values are the usual names of splits, or which is called as one is."""
    named = _columns(table.frame, SPLIT_COLUMNS)
    for column in dict.fromkeys([*named, *table.columns]):
        values = tuple(sorted(set(table.frame[column].dropna())))
        if column == but or not 0 < len(values) <= MOST_GROUPS:
            continue
        known = {value: usual_split(value) or flagged_split(column, value) for value in values}
        usual = sum(split is not None for split in known.values())
        if (usual if column in named else usual == len(values) >= 2) and set(known.values()) & {
            "test",
            "validation",
            "train",
        }:
            by_split: dict[str, list[str]] = {}
            for value, split in known.items():
                by_split.setdefault(split or "", []).append(value)
            others = tuple(by_split.pop("", ()))
            return FoundSplits(column, {s: tuple(v) for s, v in by_split.items()}, others)
    return None


def unread_split_columns(table: ManifestTable) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Columns called as splits are, with their few values, of a table whose splits none tells."""
    for column in _columns(table.frame, SPLIT_COLUMNS):
        values = tuple(sorted(set(table.frame[column].dropna())))
        if 2 <= len(values) <= MOST_GROUPS:
            yield column, values


def find_columns(
    table: ManifestTable,
    *,
    image: str,
    split: str | None,
    named: str,
    given: GivenColumns = NONE_GIVEN,
    labelled: bool = True,
) -> FoundColumns:
    """What the columns are, given that of the images; raises DataError without any of labels.

    Not `labelled`: images are annotated elsewhere, and no column holds labels.
    """
    frame = table.frame
    unit = given.unit or _unit_column(frame, but={image, split, given.label})
    annotator = _first(frame, ANNOTATOR_COLUMNS, but={image, split, given.label})
    but = {image, split, unit, annotator}
    if not labelled:
        labels = pd.Series(pd.NA, index=frame.index, dtype="str")
        found = attributes_in(frame, labels, but={*but, *_columns(frame, SPLIT_COLUMNS)})
        return FoundColumns(image, None, labels, unit, annotator, None, (), found,
                            given.unit is None)  # fmt: skip
    label = given.label or _label_column(table, but=but, named=named)
    labels = from_one_hot(frame, label, named=named) if isinstance(label, tuple) else frame[label]
    classes = set(labels.dropna())
    joined = joined_label(sorted(classes), classes)
    if label in table.several or joined is not None:
        held = "lists of labels" if joined is None else repr(joined[:60])
        raise several_labels(f"{named}: the column {label!r} holds {held}")
    hot = set(label) if isinstance(label, tuple) else {label}
    taken = {image, split, unit, annotator, *hot}
    gold = next((c for c in _columns(frame, GOLD_COLUMNS) if c not in taken), None)
    if gold is not None and not _holds_classes(frame[gold], classes):
        gold = None
    taken.add(gold)
    ratings = [c for c in table.columns if c not in taken and _rates(frame[c], labels)]
    of_no_group = {*taken, *ratings, *_columns(frame, SPLIT_COLUMNS)}
    return FoundColumns(
        image=image,
        label=label,
        labels=labels,
        unit=unit,
        annotator=annotator,
        gold=gold,
        ratings=tuple(ratings),
        attributes=attributes_in(frame, labels, but=of_no_group),
        guessed_unit=given.unit is None,
    )


def _unit_column(frame: pd.DataFrame, *, but: set[str | None]) -> str | None:
    named = (c for c in _columns(frame, UNIT_COLUMNS) if c not in but)
    return next((c for c in named if frame[c].nunique() >= FEWEST_UNITS), None)


def _rates(column: pd.Series, labels: pd.Series) -> bool:
    """Whether a column holds somebody's labels of the same images.

    Numbers may be anything. Names of classes in another column are labels where they agree with
    the label beyond chance; words that answer any question only where the column is called so.
    """
    classes = set(labels.dropna())
    if not _holds_classes(column, classes) or column.equals(labels):
        return False
    if all(is_number(name) for name in classes):
        return False
    if words_of(str(column.name)) & _RATING_WORDS:
        return True
    if any(name.casefold() in _ANSWERS for name in classes):
        return False
    return _agreement(column, labels) >= _LEAST_AGREEMENT


def _agreement(one: pd.Series, other: pd.Series) -> float:
    """Cohen's kappa (1960, doi:10.1177/001316446002000104) over rows that both label."""
    both = one.notna() & other.notna()
    table = pd.crosstab(one[both], other[both], normalize=True)
    chance = float((table.sum(axis=1) * table.sum(axis=0)).sum())
    same = float((one[both] == other[both]).mean()) if both.any() else 0.0
    return (same - chance) / (1 - chance) if chance < 1 else 0.0


def is_number(text: str) -> bool:
    """Whether a label is a whole number from 0, however written (``3``, ``03``, ``3.0``)."""
    whole, _, rest = text.partition(".")
    return text.isascii() and whole.isdigit() and not rest.strip("0")


def is_signed(text: str) -> bool:
    """Whether a label is a whole number, which may have a sign."""
    return is_number(text.removeprefix("-"))


def label_column_of(table: ManifestTable, *, but: set[str | None]) -> str | None:
    """The column that has a usual name of labels, and any value; None where there is none."""
    frame = table.frame
    free = [c for c in table.columns if frame[c].notna().any()]
    return _first(frame[free], LABEL_COLUMNS, but=but)


def _label_column(
    table: ManifestTable, *, but: set[str | None], named: str
) -> str | tuple[str, ...]:
    frame = table.frame
    free = [c for c in table.columns if c not in but and frame[c].notna().any()]
    label = label_column_of(table, but=but)
    if label is not None:
        return label
    binary = tuple(c for c in free if set(frame[c].dropna()) <= _BINARY)
    hot = frame[list(binary)].isin(_ONES)
    ones = hot.sum(axis=1)
    if len(binary) >= 2 and (ones <= 1).all() and (ones == 1).mean() >= _LEAST_LABELLED:
        return binary
    if len(binary) >= 2 and len(binary) == len(free) and (ones > 1).any():
        row = hot.iloc[int(ones.argmax())]
        both = " and ".join(map(repr, row.index[row][:3]))
        raise several_labels(f"{named}: {both} are 1 together")
    repeating = [c for c in free if 2 <= frame[c].nunique() <= len(frame) / 2]
    if len(repeating) == 1:
        return repeating[0]
    raise DataError(
        f"{named}: no column holds labels (columns: {', '.join(table.columns[:30])}). Name the one "
        f"that does with --label COLUMN, or call it {LABEL_COLUMNS[0]!r}."
    )


_LEAST_LABELLED = 0.9
"""Share of the rows in which one of one-hot columns is 1; columns of rarer ones are flags."""

_ONES = ("1", "1.0", "True", "true")
_BINARY = {*_ONES, "0", "0.0", "False", "false", "-1"}


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Columns that have one of `names`, in the order of these."""
    known: dict[str, str] = {}
    for column in frame.columns:
        known.setdefault(_plain(column), column)
    return [known[name] for name in names if name in known]


def _first(frame: pd.DataFrame, names: Sequence[str], *, but: set[str | None]) -> str | None:
    return next((column for column in _columns(frame, names) if column not in but), None)


def _holds_classes(column: pd.Series, classes: Iterable[str]) -> bool:
    """Whether a column holds nothing but classes, two of them or more."""
    seen = set(column.dropna())
    return len(seen) >= 2 and seen <= set(classes)
