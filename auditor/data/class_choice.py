"""Which classes a model of so many outputs can mean, given the labels of its data."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from auditor.data.column_guesses import is_number, is_signed
from auditor.data.left_out import plain
from auditor.errors import DataError
from auditor.spec.bounds import MOST_CLASSES, MOST_SPEC_BYTES

CLASS_FILES = ("classes.txt", "labels.txt", "class_names.txt")
"""Files that list a model's classes, one a line in the order of its outputs."""


@dataclass(frozen=True)
class ClassChoice:
    """One of: a number of classes, their names in order, a file that lists them.

    `certain` is False where the order is only a guess.
    """

    count: int | None = None
    names: tuple[str, ...] = ()
    file: Path | None = None
    certain: bool = False


def choose_classes(
    labels: tuple[str, ...],
    n_outputs: int | None,
    *,
    beside: tuple[Path, ...],
    of_model: tuple[str, ...] = (),
    of_data: tuple[str, ...] = (),
) -> ClassChoice:
    """Classes of a model with `n_outputs` (None: unknown) for data with these labels, sorted.

    `of_model` are the classes that the model's file states, which are taken or refused; `of_data`
    the names that the data give their numbers; `beside` are folders in which a list may lie.
    Raises DataError where no output of the model could be one of the labels.
    """
    wanted = None if n_outputs is None else max(n_outputs, 2)
    file = _fitting_file(labels, wanted, beside)
    numbers = [int(float(label)) for label in labels] if all(map(is_number, labels)) else []
    for names in (of_model, of_data):
        indices = bool(numbers) and max(numbers) < len(names)
        fits = len(names) >= 2 and wanted in (None, len(names))
        if fits and labels and (indices or set(labels) <= set(names)):
            return ClassChoice(names=names, certain=True)
    if file is not None:
        return ClassChoice(file=file, certain=True)
    if of_model and labels:
        raise DataError(
            f"The model states the classes {_shown(of_model)}; the data have the labels "
            f"{_shown(labels)}. Write the labels as the model's classes are written, or list the "
            f"data's names for the outputs, in their order, in {CLASS_FILES[0]} beside the data."
        )
    if numbers and _are_indices(labels, numbers, wanted):
        return ClassChoice(count=wanted or max(*numbers, 1) + 1, certain=True)
    if wanted in (None, len(labels)) and 2 <= len(labels) <= MOST_CLASSES:
        return ClassChoice(names=labels)
    raise _unfitting(labels, wanted)


def _are_indices(labels: tuple[str, ...], numbers: list[int], wanted: int | None) -> bool:
    if wanted is not None:
        return max(numbers) < wanted
    padded = any(label.startswith("0") and label.partition(".")[0] != "0" for label in labels)
    return max(numbers) < MOST_CLASSES and (not padded or max(numbers) < len(labels))


def _fitting_file(
    labels: tuple[str, ...], wanted: int | None, beside: tuple[Path, ...]
) -> Path | None:
    """A list of classes with as many names as the model has outputs.

    It has most of the labels: rows with others are for `auditor run` to count.
    """
    for path in (folder / name for folder in beside for name in CLASS_FILES):
        try:
            if not path.is_file() or path.stat().st_size > MOST_SPEC_BYTES:
                continue
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        names = [line.strip() for line in text.splitlines() if line.strip()]
        fits = len(names) == len(set(names)) >= 2 and wanted in (None, len(names))
        if fits and (not labels or 2 * len(set(labels) & set(names)) > len(labels)):
            return path
    return None


def _unfitting(labels: tuple[str, ...], wanted: int | None) -> DataError:
    shown = _shown(labels)
    if not labels:
        return DataError("No row of the data has a label. Give data with labels to test with.")
    found = f"the data have {len(labels)} label{'s' if len(labels) > 1 else ''} ({shown})"
    if wanted is None or len(labels) < wanted:
        outputs = "an unknown number of" if wanted is None else str(wanted)
        return DataError(
            f"{found} and the model {outputs} outputs: which is which cannot be told. Write the "
            f"names of all outputs, in their order, one a line, in {CLASS_FILES[0]} beside the "
            "data, and run init again."
        )
    return DataError(
        f"{found} and the model {wanted} outputs, so that no output could be some of them."
        f"{_why_many(labels)} Give the data that this model was made for, name the column of "
        f"labels with --label, or list the model's classes, in their order, in {CLASS_FILES[0]} "
        "beside the data: rows with other labels are then left out, and counted."
    )


def _why_many(labels: tuple[str, ...]) -> str:
    """What may make two labels of one: how it is written, a misspelling, several in a row."""
    named: dict[str, str] = {}
    for label in labels if not all(map(is_signed, labels)) else ():
        other = named.setdefault(plain(label), label)
        if other != label:
            return (
                f" {other!a} and {label!a} differ only in case, spaces, or how letters are "
                "stored: write them alike."
            )
    for label in labels:
        parts = [part for part in re.split(r"[^\w-]+|_", label) if part]
        if len(parts) > 1 and {plain(part) for part in parts} <= named.keys():
            return f" {label!r} names several of the others: give one label a row."
    for i, label in enumerate(labels):
        close = difflib.get_close_matches(label, labels[i + 1 :], n=1, cutoff=0.8)
        if close and not any(map(str.isdigit, label + close[0])):
            return f" {label!r} may be a misspelling of {close[0]!r}, or the other way round."
    return ""


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:5]) + (", ..." if len(names) > 5 else "")
