"""What is known of one possible shortcut: whether the data offer it, whether the model uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from auditor.contract import Words
from auditor.findings import Cell, Column
from auditor.stats import Estimate, bound, interval, value

MARGIN = 0.05
"""Accuracy that a shortcut must be worth to be called relied upon, where no other is stated."""

_ALPHA = 0.05


class Grade(StrEnum):
    """What two estimates say together; a grade is no verdict, which the policy's limits give."""

    SHORTCUT = "shortcut"
    RELIANCE = "reliance"
    OPPORTUNITY = "opportunity"
    NOT_SHOWN = "not shown"
    INCONCLUSIVE = "inconclusive"


def grade(
    opportunity: Estimate | None,
    reliance: Estimate | None,
    *,
    margin: float,
    least: float = 0.0,
) -> Grade:
    """The grade of a possible shortcut, by the one-sided 95% bounds of two estimates.

    Parameters
    ----------
    opportunity : how far it tells the label in the data, 0 (or below) not at all; None where that
        was not measured, or is not known to be of a thing that should carry no weight.
    reliance : the accuracy that it is worth to the model, positive where the model follows it as
        the data offer it; None where nothing looked at the model. A check that looked and had too
        few images has no grade but `INCONCLUSIVE`, and says so itself.
    margin : the worth from which on the model is said to rely on it.
    least : the strength from which on the data are said to offer it.

    Returns
    -------
    ``SHORTCUT`` where the data offer it and the model relies on it: low bounds above `least` and
    `margin`. ``RELIANCE`` where the model relies on it and an offer is not shown. ``OPPORTUNITY``
    where the data offer it and the model is shown to use less than `margin`, or was not looked at.
    ``NOT_SHOWN`` where the reliance is shown to be below `margin` without an offer.
    ``INCONCLUSIVE`` otherwise: too few images to tell.
    """
    offered = opportunity is not None and bound(opportunity, side="low") > least
    if reliance is None:
        return Grade.OPPORTUNITY if offered else Grade.INCONCLUSIVE
    if bound(reliance, side="low") > margin:
        return Grade.SHORTCUT if offered else Grade.RELIANCE
    if bound(reliance, side="high") < margin:
        return Grade.OPPORTUNITY if offered else Grade.NOT_SHOWN
    return Grade.INCONCLUSIVE


def cleared(*worths: Estimate, margin: float, parts: Sequence[Estimate] = ()) -> Mapping[str, Any]:
    """The facts `cleared` and `cleared_below`, the margin, where nothing speaks for a reliance.

    That is where every worth is shown to lie within the margin on either side of 0, and none to be
    above 0; else no facts. Strongly negative, it is relied upon against what the data offer.
    `parts` are worths to one class alone, of which none may be shown to be other than 0 (5% for all
    together): those of two classes cancel, and that of a rare one is small over all.
    """
    found = [(bound(one, side="low"), bound(one, side="high")) for one in worths]
    if not found or not all(-margin < low <= 0 and high < margin for low, high in found):
        return {}
    each = 1 - _ALPHA / (2 * max(len(parts), 1))
    for part in parts:
        low, high = (bound(part, side=side, confidence=each) for side in ("low", "high"))
        if low > 0 or high < 0:
            return {}
    return {"cleared": True, "cleared_below": margin}


def with_cleared(
    words: Mapping[str, Words | tuple[Words, ...]], short: Mapping[str, str]
) -> Mapping[str, Words | tuple[Words, ...]]:
    """Words in which worths are told otherwise where they are cleared: `short`, by their names."""
    told = dict(words)
    for name, brief in short.items():
        found = words[name]
        each = (found,) if isinstance(found, Words) else found
        told[name] = tuple(
            word
            for one in each
            for word in (
                replace(one, title=f"{one.title}: cleared{{cleared:if}}", short=brief),
                one,
            )
        )
    return told


COLUMNS = (
    Column("what"),
    Column("where"),
    Column("data offer it"),
    Column("data offer it, low"),
    Column("data offer it, high"),
    Column("model uses it", "share"),
    Column("model uses it, low", "share"),
    Column("model uses it, high", "share"),
    Column("grade"),
)
"""Columns that the tables of all shortcut checks begin with."""


def graded_cells(
    what: str,
    where: str,
    *,
    opportunity: Estimate | None,
    reliance: Estimate | None,
    margin: float,
    least: float = 0.0,
) -> tuple[Cell, ...]:
    """A row under `COLUMNS`; empty cells where there is no estimate."""
    return (
        what,
        where,
        *_numbers(opportunity),
        *_numbers(reliance),
        str(grade(opportunity, reliance, margin=margin, least=least)),
    )


def _numbers(estimate: Estimate | None) -> tuple[Cell, Cell, Cell]:
    if estimate is None:
        return (None, None, None)
    ends = interval(estimate)
    return (value(estimate), ends.low, ends.high)
