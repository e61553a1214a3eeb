"""Measured numbers by slice, for the card, its table, and the bill of materials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.contract.quantity_words import called
from auditor.findings import Column, Measure, Table
from auditor.reports.ordering import Ordered
from auditor.stats import value

TABLE = "card-slices"
"""Id of the table of all slices; its file lies under ``tables/``."""


@dataclass(frozen=True)
class SliceNumber:
    """A share measured on a slice of a split: value, 95% interval, rows.

    `groups` are the attributes and groups that the slice is of, `label` its class; both empty for
    all images. `kind` is the metric's type on Hugging Face, `of` what is counted (``images``).
    """

    split: str
    groups: tuple[tuple[str, str], ...]
    label: str
    kind: str
    name: str
    value: float
    low: float
    high: float
    n: int
    of: str

    @property
    def slice(self) -> str:
        """What the slice is about, as ``class=serious, phone=old``; ``all`` for everything."""
        parts = [*self.groups, *([("class", self.label)] if self.label else [])]
        return ", ".join(f"{key}={said}" for key, said in sorted(parts)) or "all"

    @property
    def config(self) -> str:
        """A name of split and slice that no other slice has."""
        return f"{self.split}: {self.slice}"

    @property
    def rank(self) -> int:
        """0 everything, 1 a class, 2 a group, 3 a class of a group or a crossing of groups."""
        if len(self.groups) + bool(self.label) > 1:
            return 3
        return 2 * len(self.groups) + bool(self.label)


_SPLITS = ("test", "deployment", "train")


def slice_numbers(order: Ordered) -> tuple[SliceNumber, ...]:
    """Every share that the checks' words name a metric, each once.

    Everything first, on test data and then where the model will run, classes, groups, then classes
    of groups and crossings; of two measures of the same, the first.
    """
    once: dict[tuple[str, str], SliceNumber] = {}
    for number in _numbers(order):
        once.setdefault((number.config, number.kind), number)
    return tuple(sorted(once.values(), key=lambda n: (n.rank, _SPLITS.index(n.split))))


def slice_table(numbers: tuple[SliceNumber, ...]) -> Table:
    """All slices as a table, the long tail of which the card leaves out."""
    names = ("split", "slice", "metric", "value", "low", "high", "n", "of")
    return Table(
        id=TABLE,
        title="Every slice of the model card, with the ends of its 95% interval",
        columns=tuple(map(Column, names)),
        rows=tuple((n.split, n.slice, n.kind, n.value, n.low, n.high, n.n, n.of) for n in numbers),
    )


def _numbers(order: Ordered) -> Iterator[SliceNumber]:
    for check, measure in order.record.measures():
        metric = order.telling.words(check, measure).metric
        if metric and measure.subject.variant in (None, "as-given"):
            yield from _slice_number(measure, metric, order)


def _slice_number(measure: Measure, metric: str, order: Ordered) -> Iterator[SliceNumber]:
    """The share itself, or that of this side of a comparison."""
    subject, side = measure.subject, measure.sides[0] if measure.sides else None
    groups = order.telling.group_keys(subject)
    others = dict(subject.keys).keys() - groups.keys() - {"class"}
    if others or (measure if side is None else side).scale != "share":
        return
    ends = (measure if side is None else side).interval
    yield SliceNumber(
        split=subject.split or "test",
        groups=tuple(sorted(groups.items())),
        label=subject.get("class") or "",
        kind=metric.replace("-", "_"),
        name=order.telling.with_units(called(measure.name)),
        value=value((measure if side is None else side).estimate),
        low=ends.low,
        high=ends.high,
        n=measure.n if side is None else side.n or 0,
        of=f"{measure.of}s",
    )
