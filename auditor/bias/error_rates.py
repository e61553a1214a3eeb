"""bias/error-rates: who is wrongly given the adverse answer, and whose case is missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from auditor.bias.groups import Grouping, groupings, nothing_to_compare, too_few_units
from auditor.contract import Check, Evidence, Need
from auditor.errors import SpecError
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.needs import Attributes, Declared, Predictions, Truth
from auditor.scoring.comparison import (
    count_units,
    rate_details,
    rate_text,
    times_text,
    worst_first,
)
from auditor.stats import Rate, interval, rate, rate_ratio, value

Kind = Literal["false-positive-ratio", "false-negative-ratio"]
KINDS: tuple[Kind, Kind] = ("false-positive-ratio", "false-negative-ratio")


@dataclass(frozen=True)
class ErrorRates(Check):
    """How often each group is wrongly given an adverse answer, as a multiple of all others.

    What it measures
    ----------------
    For every adverse class of the spec and every group: the share of its images that are *not*
    of that class and are called so (false-positive), divided by the same share among all other
    images; and the share of its images of that class that are called something else
    (false-negative), divided likewise. 1 means as often; 3 means three times as often.

    Why it matters
    --------------
    Errors are not alike. Who is called "serious" without being so bears the measure that
    follows; accuracy counts that error like any other, and a group may bear most of it while
    its accuracy is like everyone's.

    How it can mislead
    ------------------
    Ratios of rare errors are unstable: with 5% errors in 100 images a ratio above 1.25 comes up
    by luck in more than a quarter of fair models, so the interval counts. A large ratio of two
    tiny rates may concern very few people; read the rates beside it. The truth is the label:
    where an inspector's labels are harsher on one group, so is the model, and this check cannot
    see it. Where neither side has an error there is no ratio.
    """

    id: ClassVar[str] = "bias/error-rates"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Truth(),
        Attributes(),
        Declared(
            path="consequences.adverse",
            remedy="Name the classes whose answer harms people under `consequences.adverse`.",
        ),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
        "Hardt, Price & Srebro (2016), arXiv:1610.02413 (equality of error rates)",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rows: list[tuple[Cell, ...]] = []
        for grouping in groupings(evidence.outcomes()):
            if nothing_to_compare(grouping, name=KINDS[0]) is not None:
                yield from filter(None, (nothing_to_compare(grouping, name=k) for k in KINDS))
                continue
            for errors in _kinds_of_errors(grouping, evidence.spec.consequences.adverse):
                results = [_compared(errors, group) for group in grouping.groups]
                yield from results
                rows.extend(_rows(errors, results))
                yield _forest(errors, results)
        if rows:
            yield _table(rows)


@dataclass(frozen=True)
class _Errors:
    """Errors of one kind about one class, among the images that can suffer them."""

    kind: Kind
    adverse: str
    grouping: Grouping
    wrong: np.ndarray

    @property
    def among(self) -> str:
        """The images that can suffer the error, in words."""
        negated = " not" if self.kind == "false-positive-ratio" else ""
        return f"{negated} of class {self.adverse}"

    @property
    def what(self) -> str:
        if self.kind == "false-positive-ratio":
            return f"wrongly called {self.adverse}"
        return f"{self.adverse} missed"

    def rate(self, keep: np.ndarray) -> Rate:
        units = self.grouping.unit
        return rate(self.wrong[keep], unit=None if units is None else units[keep])


def _kinds_of_errors(grouping: Grouping, adverse: tuple[str, ...]) -> Iterator[_Errors]:
    for label in adverse:
        if label not in grouping.outcomes.classes:
            raise SpecError(
                f"consequences.adverse names {label!r}; the model's classes are "
                f"{', '.join(grouping.outcomes.classes[:20])}. Name one of them."
            )
        index = grouping.outcomes.classes.index(label)
        of_class = grouping.outcomes.labels == index
        others, own = grouping.take(~of_class), grouping.take(of_class)
        yield _Errors("false-positive-ratio", label, others, others.outcomes.predicted == index)
        yield _Errors("false-negative-ratio", label, own, own.outcomes.predicted != index)


def _compared(errors: _Errors, group: str) -> Measure | Unmeasured:
    grouping = errors.grouping
    subject = Subject.about({grouping.attribute.name: group, "class": errors.adverse}, role="test")
    few = too_few_units(grouping, group, name=errors.kind, subject=subject, among=errors.among)
    if few is not None:
        return few
    inside = grouping.members(group)
    if not errors.wrong.any():
        return _no_error(errors, subject)
    units = grouping.unit
    ratio = rate_ratio(errors.wrong, member=inside, unit=units)
    own, rest = errors.rate(inside), errors.rate(~inside)
    n, n_rest = int(inside.sum()), int((~inside).sum())
    return Measure(
        name=errors.kind,
        subject=subject,
        estimate=ratio,
        unit="ratio",
        better="lower",
        n=n,
        n_units=None if units is None else count_units(inside, units),
        examples=worst_first(
            grouping.outcomes.image_ids,
            badness=grouping.outcomes.confidence,
            among=inside & errors.wrong,
        ),
        details={
            "rate": rate_details(own, n=n),
            "rest": rate_details(rest, n=n_rest),
            "attribute_role": grouping.attribute.role,
            "missing": grouping.missing,
            "what": errors.what,
            "sentence": f"{grouping.named(group)} {rate_text(own, n=n)}; all others "
            f"{rate_text(rest, n=n_rest)}; {times_text(ratio)}",
        },
    )


def _no_error(errors: _Errors, subject: Subject) -> Unmeasured:
    n = len(errors.wrong)
    return Unmeasured(
        name=errors.kind,
        subject=subject,
        reason=f"None of {n} images was {errors.what}: without an error there is no ratio.",
        remedy=f"Nothing to mend if {n} images are enough to you; with more images{errors.among} "
        "rarer errors would show.",
    )


def _rows(errors: _Errors, results: list[Measure | Unmeasured]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for group, result in zip(errors.grouping.groups, results, strict=True):
        inside = errors.grouping.members(group)
        head: tuple[Cell, ...] = (
            errors.grouping.attribute.name,
            group,
            errors.what,
            int(inside.sum()),
            int(errors.wrong[inside].sum()),
        )
        if isinstance(result, Unmeasured):
            rows.append((*head, None, None, None, None, None, None))
            continue
        own, ends = result.details["rate"], interval(result.estimate)
        numbers = (own["value"], own["low"], own["high"], value(result.estimate),
                   ends.low, ends.high)  # fmt: skip
        rows.append((*head, *(float(x) if np.isfinite(x) else None for x in numbers)))
    return rows


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    names = ("attribute", "group", "error", "images at risk", "errors", "rate", "low", "high",
             "ratio", "ratio low", "ratio high")  # fmt: skip
    return Table(
        id="bias/error-rates:groups",
        title="Errors that harm, by group, and their ratio to all other images",
        columns=tuple(
            Column(name, "share" if name in ("rate", "low", "high") else "") for name in names
        ),
        rows=tuple(rows),
    )


def _forest(errors: _Errors, results: list[Measure | Unmeasured]) -> Figure:
    attribute = errors.grouping.attribute.name
    shown = [m for m in results if isinstance(m, Measure)]
    return Figure(
        id=f"bias/error-rates:{errors.kind}:{attribute}:{errors.adverse}",
        kind="forest",
        title=f"Images {errors.what}, by {attribute}",
        caption=f"Share of images{errors.among} that are {errors.what}, with 95% intervals.",
        alt="; ".join(str(m.details["sentence"]) for m in shown) or "No group has enough images.",
        x=Axis(errors.what, "share"),
        y=Axis(attribute),
        rows=tuple({"label": str(m.subject.get(attribute)), **m.details["rate"]} for m in shown),
    )
