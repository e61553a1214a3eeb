"""Errors of one kind about one class, and how each group suffers them against all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from auditor.bias.adjustment import Adjustment, adjusted_difference, adjusted_ratio
from auditor.bias.groups import Grouping, too_few_units
from auditor.findings import Measure, Subject, Unmeasured
from auditor.scoring.comparison import (
    count_units,
    points_text,
    rate_details,
    rate_text,
    times_text,
    worst_first,
)
from auditor.stats import Rate, RateDifference, RateRatio, rate, rate_difference, rate_ratio

Kind = Literal["false-positive", "false-negative"]
KINDS: tuple[Kind, Kind] = ("false-positive", "false-negative")


@dataclass(frozen=True)
class ClassErrors:
    """Which images are wrong, among those that can suffer the error.

    `grouping` holds those images only and `wrong` (n,) marks the errors; ratios are given of
    `adverse` classes.
    """

    kind: Kind
    label: str
    adverse: bool
    grouping: Grouping
    wrong: np.ndarray

    @property
    def among(self) -> str:
        """The images that can suffer the error, in words."""
        negated = " not" if self.kind == "false-positive" else ""
        return f"{negated} of class {self.label}"

    @property
    def what(self) -> str:
        if self.kind == "false-positive":
            return f"wrongly called {self.label}"
        return f"{self.label} missed"

    @property
    def said(self) -> str:
        """The error as a sentence begins with it."""
        if self.kind == "false-positive":
            return f"Wrongly called {self.label}"
        return f"Missed cases of {self.label}"

    @property
    def names(self) -> tuple[str, ...]:
        """Measures given of each group."""
        difference = f"{self.kind}-difference"
        return (f"{self.kind}-ratio", difference) if self.adverse else (difference,)

    def subject(self, group: str) -> Subject:
        return Subject.about(
            {self.grouping.attribute.name: group, "class": self.label}, split="test"
        )

    def rate(self, keep: np.ndarray) -> Rate:
        units = self.grouping.unit
        return rate(self.wrong[keep], unit=None if units is None else units[keep])


def class_errors(
    grouping: Grouping, labels: tuple[str, ...], adverse: tuple[str, ...]
) -> Iterator[ClassErrors]:
    """Both kinds of errors of each of `labels`, the adverse ones first."""
    for label in sorted(labels, key=lambda name: name not in adverse):
        index = grouping.outcomes.classes.index(label)
        of_class, harms = grouping.outcomes.labels == index, label in adverse
        others, own = grouping.take(~of_class), grouping.take(of_class)
        called, missed = others.outcomes.predicted == index, own.outcomes.predicted != index
        yield ClassErrors("false-positive", label, harms, others, called)
        yield ClassErrors("false-negative", label, harms, own, missed)


def compared(errors: ClassErrors, group: str) -> tuple[Measure | Unmeasured, ...]:
    """A group against the rest: a result for each of `ClassErrors.names`."""
    return tuple(_compared(errors, group, name) for name in errors.names)


def _compared(errors: ClassErrors, group: str, name: str) -> Measure | Unmeasured:
    grouping, subject = errors.grouping, errors.subject(group)
    few = too_few_units(grouping, group, name=name, subject=subject, among=errors.among)
    if few is not None:
        return few
    wrong, contrast = errors.wrong, grouping.contrast(group)
    if not name.endswith("-ratio"):
        gap = rate_difference(wrong, member=contrast.inside, unit=contrast.unit)
        return _measure(errors, group, name, gap, adjusted_difference(contrast, wrong, gap=gap))
    if not wrong.any():
        return _no_error(errors, name, subject)
    ratio = rate_ratio(wrong, member=contrast.inside, unit=contrast.unit)
    return _measure(errors, group, name, ratio, adjusted_ratio(contrast, wrong, gap=ratio))


def _measure(
    errors: ClassErrors,
    group: str,
    name: str,
    gap: RateDifference | RateRatio,
    adjusted: Adjustment,
) -> Measure:
    grouping, inside = errors.grouping, errors.grouping.members(group)
    own, rest = errors.rate(inside), errors.rate(~inside)
    n, n_rest = int(inside.sum()), int((~inside).sum())
    rates = f"{rate_text(own, n=n)}; all others {rate_text(rest, n=n_rest)}"
    if isinstance(gap, RateRatio):
        stop = "." if adjusted.clause else ""
        sentence = f"{grouping.named(group)} {rates}; {times_text(gap)}{stop}"
    else:
        sentence = f"{errors.said}, {grouping.named(group)}: {rates}; {points_text(gap)}."
    return Measure(
        name=name,
        subject=errors.subject(group),
        estimate=gap,
        unit="ratio" if isinstance(gap, RateRatio) else "share",
        better="lower",
        n=n,
        n_units=None if grouping.unit is None else count_units(inside, grouping.unit),
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
            "adjusted": list(adjusted.entries),
            "sentence": sentence + adjusted.clause,
        },
    )


def _no_error(errors: ClassErrors, name: str, subject: Subject) -> Unmeasured:
    n = len(errors.wrong)
    return Unmeasured(
        name=name,
        subject=subject,
        reason=f"None of {n} images was {errors.what}: without an error there is no ratio.",
        remedy=f"Nothing to mend if {n} images are enough to you; with more images{errors.among} "
        "rarer errors would show.",
    )
