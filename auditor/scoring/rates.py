"""One rate over images as a measure, with its worst examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from auditor.data.image_names import ImageNames
from auditor.findings import Better, Cell, Measure, RowKind, Subject, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, too_few, worst_first
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.stats import interval, mean, rate, value


class Answered(Protocol):
    """Images with how surely each was answered: scored rows, or a classifier's outcomes."""

    def __len__(self) -> int: ...
    @property
    def image_ids(self) -> ImageNames: ...
    @property
    def unit_codes(self) -> np.ndarray | None: ...
    @property
    def confidence(self) -> np.ndarray: ...
    @property
    def of(self) -> RowKind: ...


def rate_measure(
    name: str,
    *,
    subject: Subject,
    among: Answered,
    success: np.ndarray,
    better: Better,
    of: str,
    facts: Mapping[str, Any] | None = None,
) -> Measure | Unmeasured:
    """The share of images `among` for which `success` (n,) holds; `count` is among its facts.

    `of` says which images these are ("test images of class serious"). Examples are the most
    confident answers among the images that harm the rate. With fewer than ten units there is a
    reason in place of a measure.
    """
    few = too_few_of(name, subject, among, of=of)
    if few is not None:
        return few
    harmful = ~success if better == "higher" else success
    return Measure(
        name=name,
        subject=subject,
        estimate=rate(success, unit=among.unit_codes),
        scale="share",
        better=better,
        n=len(among),
        n_units=n_units(among),
        examples=worst_first(among.image_ids, badness=among.confidence, among=harmful),
        facts={"count": int(success.sum()), **(facts or {})},
        of=among.of,
    )


def mean_measure(quantity: Quantity, rows: Rows) -> Measure | Unmeasured:
    """The mean of a quantity over rows of known truth, or the value of the whole set.

    Of a class, those rows count that hold it: with fewer than ten units of them, a reason.
    """
    subject = Subject.about(quantity.keys, split=rows.split)
    label, among, of = quantity.keys.get("class"), rows, f"the labelled {rows.split} data"
    if label is not None:
        among, of = rows.take(rows.present(label)), f'{rows.split} {rows.noun} with "{label}"'
    few = too_few_of(quantity.name, subject, among, of=of)
    if few is not None:
        return few
    return Measure(
        name=quantity.name,
        subject=subject,
        estimate=mean(quantity.values, unit=rows.unit_codes, span=quantity.span),
        scale=quantity.scale,
        unit=quantity.unit,
        least=quantity.least,
        better=quantity.better,
        n=len(among),
        n_units=n_units(among),
        examples=_worst(quantity, rows),
        of=rows.of,
    )


def _worst(quantity: Quantity, rows: Rows) -> tuple[str, ...]:
    worst = quantity.values if quantity.better == "lower" else -quantity.values
    return worst_first(rows.image_ids, badness=worst)


def too_few_of(name: str, subject: Subject, among: Answered, *, of: str) -> Unmeasured | None:
    """Why there is no measure where the images are of fewer than ten units; else None.

    Units are images where the manifest names no unit; `of` says which images these are.
    """
    noun = f"{among.of}s" if among.unit_codes is None else "units"
    return too_few(name, subject, sides={of: independent(among)}, noun=noun)


def rare_classes(rare: Sequence[Unmeasured], *, noun: str, most: int) -> Iterator[Unmeasured]:
    """Why classes have no measure of one name: each by itself, or where more than `most`, at once.

    `noun` says what there is too little of ("images with that label").
    """
    if len(rare) <= most:
        yield from rare
        return
    name, said = rare[0].name, f"{len(rare)} classes with fewer than {MIN_UNITS} units"
    yield Unmeasured(
        name=name,
        subject=Subject.of(split=rare[0].subject.split, classes=said),
        reason=f"{said[0].upper()}{said[1:]} ({noun}) give no {name}; the table lists them.",
        remedy=f"Collect at least {MIN_UNITS} units of each class that matters.",
    )


def independent(among: Answered) -> int:
    """How many units the images are of; images where the manifest names no unit."""
    return count_units(np.ones(len(among), dtype=bool), among.unit_codes)


def n_units(among: Answered) -> int | None:
    """How many units the images are of; None where the manifest names no unit."""
    return None if among.unit_codes is None else independent(among)


def rate_cells(success: np.ndarray, *, unit: np.ndarray | None = None) -> tuple[Cell, ...]:
    """A rate and the ends of its interval for a table; three None with fewer than ten units."""
    if count_units(np.ones(len(success), dtype=bool), unit) < MIN_UNITS:
        return (None, None, None)
    found = rate(success, unit=unit)
    ends = interval(found)
    return (value(found), ends.low, ends.high)
