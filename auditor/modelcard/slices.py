"""Measured numbers by slice, for the card's front matter and its table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.findings import Measure
from auditor.judging.reasons import printed_range
from auditor.record import AuditRecord
from auditor.stats import value

_OVERALL = ("accuracy", "balanced-accuracy", "macro-f1", "top-5-accuracy")
_KINDS = {"macro-f1": "f1"}


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


def slice_numbers(record: AuditRecord) -> tuple[SliceNumber, ...]:
    """Overall, by class and by group, in the order of the record."""
    found = []
    for check, measure in record.measures():
        if measure.subject.split in (None, "test") and measure.subject.variant in (
            None,
            "as-given",
        ):
            found += list(_numbers(check, measure))
    return tuple(found)


def _numbers(check: str, measure: Measure) -> Iterator[SliceNumber]:
    if check == "performance/overall" and measure.name in _OVERALL and not measure.subject.keys:
        yield _own(measure, "all")
    elif check == "performance/per-class" and measure.name in ("recall", "precision"):
        yield _own(measure, _slice(measure))
    elif check == "bias/subgroup-gap" and "rate" in measure.details:
        rate = measure.details["rate"]
        yield SliceNumber(
            slice=_slice(measure),
            kind=_kind(measure),
            name=measure.name,
            value=float(rate["value"]),
            low=float(rate["low"]),
            high=float(rate["high"]),
            n=int(rate["n"]),
        )


def _own(measure: Measure, of: str) -> SliceNumber:
    ends = printed_range(measure)
    number = value(measure.estimate)
    return SliceNumber(of, _kind(measure), measure.name, number, ends.low, ends.high, measure.n)


def _kind(measure: Measure) -> str:
    return _KINDS.get(measure.name, measure.name.replace("-", "_"))


def _slice(measure: Measure) -> str:
    return ", ".join(f"{key}={said}" for key, said in measure.subject.keys)
