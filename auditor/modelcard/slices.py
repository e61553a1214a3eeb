"""Measured numbers by slice, for the card's front matter and its table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.contract.quantity_words import NAMINGS, called
from auditor.findings import Measure
from auditor.reports.ordering import Ordered
from auditor.stats import value


@dataclass(frozen=True)
class SliceNumber:
    """A share measured on a slice of the test data: value, 95% interval, images.

    `slice` is ``all`` or what the slice is about (``household=accessible``); `kind` is the
    metric's type on Hugging Face.
    """

    slice: str
    kind: str
    name: str
    value: float
    low: float
    high: float
    n: int


def slice_numbers(order: Ordered) -> tuple[SliceNumber, ...]:
    """Overall, by class and by group: what the checks' words name a metric."""
    return tuple(_numbers(order))


def _numbers(order: Ordered) -> Iterator[SliceNumber]:
    for check, measure in order.record.measures():
        subject, metric = measure.subject, order.telling.words(check, measure).metric
        usual = subject.split in (None, "test") and subject.variant in (None, "as-given")
        if metric and usual:
            yield _slice_number(measure, metric)


def _slice_number(measure: Measure, metric: str) -> SliceNumber:
    """The share itself, or that of this side of a comparison."""
    about = ", ".join(f"{key}={said}" for key, said in measure.subject.keys) or "all"
    kind = metric.replace("-", "_")
    name = called(measure.name) if measure.name in NAMINGS else measure.name
    if measure.sides is None:
        ends, number, n = measure.interval, value(measure.estimate), measure.n
    else:
        side = measure.sides[0]
        ends, number, n = side.interval, value(side.estimate), side.n or 0
    return SliceNumber(about, kind, name, number, ends.low, ends.high, n)
