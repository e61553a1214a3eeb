"""What errors cost: the spec's costs as a matrix, costs of answers, cheapest answers."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.errors import SpecError
from auditor.spec import NOTHING, ConsequencesSpec, CostsSpec
from auditor.stats import Normal, mean

Floats = NDArray[np.float64]


def cost_matrix(costs: CostsSpec, *, classes: Sequence[str]) -> Floats:
    """Cost of answering column when row is true, (classes, classes); 0 where none is stated.

    Where the costs name the absence of an object, a row and a column more stand for it, the last:
    false alarms and misses. An object called another class is then missed, and the other falsely
    alarmed: it costs both, where no cost of its own is stated.

    Raises SpecError when the costs name a class that the model does not have.
    """
    parts = cost_parts(costs, classes=classes)
    matrix: Floats = parts.missed + parts.alarmed
    return matrix


@dataclass(frozen=True)
class CostParts:
    """The matrix of costs as a sum: what the true class costs, and what a false alarm costs.

    `inferred` (true class, answered class) are the cells without a cost of their own.
    """

    missed: Floats
    alarmed: Floats
    inferred: NDArray[np.bool_]


def cost_parts(costs: CostsSpec, *, classes: Sequence[str]) -> CostParts:
    """The parts of `cost_matrix`; a stated cost of a wrong class is the true class's."""
    names = cost_names(costs, classes=classes)
    stated: Floats = np.full((len(names), len(names)), np.nan)
    for true, answered in costs.matrix.items():
        for answer, cost in answered.items():
            row = class_index(true, classes=names, where="consequences.costs")
            stated[row, class_index(answer, classes=names, where="consequences.costs")] = cost
    inferred = np.isnan(stated)
    stated[inferred] = 0.0
    if len(names) == len(classes):
        return CostParts(stated, np.zeros_like(stated), inferred)
    error = ~np.eye(len(names), dtype=bool)
    to_miss, to_alarm = stated[:, -1].copy(), stated[-1].copy()
    # Where nothing is nothing can be missed.
    stated[-1], inferred[-1] = 0.0, True
    missed = np.where(inferred, to_miss[:, None] * error, stated)
    return CostParts(missed, np.where(inferred, to_alarm[None, :] * error, 0.0), inferred)


def cost_names(costs: CostsSpec, *, classes: Sequence[str]) -> tuple[str, ...]:
    """What rows and columns of the matrix of costs stand for: the classes, and their absence."""
    named = {name for true, row in costs.matrix.items() for name in (true, *row)}
    return (*classes, NOTHING) if NOTHING in named - {*classes} else tuple(classes)


NOBODY = "not stated"
_AT_ONCE = 65_536
"""Who bears a cost that the spec names nobody for."""


def borne_costs(stated: ConsequencesSpec, *, classes: Sequence[str]) -> dict[str, Floats]:
    """The part of the matrix of the stated costs that each party bears, without those of 0.

    Whoever bears a wrong answer of a class bears its column; what is missed because another class
    is answered, by no cost of its own, is borne as other misses are.

    Raises SpecError when `borne_by` names a class that the model does not have.
    """
    assert stated.costs is not None
    names = cost_names(stated.costs, classes=classes)
    parts = cost_parts(stated.costs, classes=classes)
    for name in stated.borne_by:
        if name != NOTHING:
            class_index(name, classes=names, where="consequences.borne_by")
    by_answer = [stated.borne_by.get(name, NOBODY) for name in names]
    misses = stated.borne_by.get(NOTHING, NOBODY) if len(names) > len(classes) else None
    found = {}
    for party in dict.fromkeys([*by_answer, *([] if misses is None else [misses])]):
        column = np.array([bearer == party for bearer in by_answer])
        missed = np.where(parts.inferred, misses == party, column[None, :])
        own = parts.missed * missed + parts.alarmed * column[None, :]
        if own.any():
            found[party] = own
    return found


def mean_error_cost(matrix: np.ndarray) -> float:
    """The mean of the costs above 0 of wrong answers, by costs (true, answered); 0 for none."""
    wrong = matrix[~np.eye(len(matrix), dtype=bool)]
    return float(wrong[wrong > 0].mean()) if (wrong > 0).any() else 0.0


def error_weight(
    stated: ConsequencesSpec,
    *,
    classes: Sequence[str],
    true: str | None = None,
    answered: str | None = None,
) -> float:
    """What missing the class `true`, or wrongly answering `answered`, costs beside a mean error.

    1 where no cost of such an error is stated, and where it costs less than the mean: a cheap
    error does not make a large difference small.
    """
    if stated.costs is None:
        return 1.0
    matrix = cost_matrix(stated.costs, classes=classes)
    kind = np.zeros_like(matrix)
    for i, name in enumerate(classes):
        kind[i, :] += name == true
        kind[:, i] += name == answered
    own = mean_error_cost(matrix * kind)
    return max(1.0, own / mean_error_cost(matrix)) if own else 1.0


def class_index(name: str, *, classes: Sequence[str], where: str) -> int:
    """Index of a class; SpecError, naming the spec's key `where`, when there is no such class."""
    if name in classes:
        return list(classes).index(name)
    close = difflib.get_close_matches(name, classes, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise SpecError(
        f"{where}: found class {name!r}, expected one of the model's classes ({shown}). "
        f"Correct the name in the audit spec.{hint}"
    )


def adverse_classes(stated: ConsequencesSpec, *, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that the spec calls adverse; SpecError where the model has not all of them."""
    for name in stated.adverse:
        class_index(name, classes=classes, where="consequences.adverse")
    return stated.adverse


def image_costs(matrix: np.ndarray, labels: np.ndarray, answers: np.ndarray) -> Floats:
    """Cost of each answer, (n,), from class indices (n,)."""
    costs: Floats = matrix[labels, answers]
    return costs


def cheapest_answers(probabilities: np.ndarray, matrix: np.ndarray) -> NDArray[np.int64]:
    """The answer with the lowest expected cost under the model's own probabilities, (n,).

    Elkan (2001), "The foundations of cost-sensitive learning", IJCAI. Of equally cheap answers
    the likelier one.
    """
    table = np.asarray(probabilities)
    # Of a thousand classes few have costs; the others' rows add nothing.
    costly = matrix.any(axis=1)
    scale = np.abs(matrix).max() or 1.0
    answers = np.zeros(len(table), dtype=np.int64)
    for start in range(0, len(table), _AT_ONCE):
        some = table[start : start + _AT_ONCE]
        expected = some[:, costly].astype(np.float64) @ matrix[costly]
        cheapest = expected <= expected.min(axis=1, keepdims=True) + 1e-9 * scale
        answers[start : start + _AT_ONCE] = np.where(cheapest, some, -1.0).argmax(axis=1)
    return answers


def expected_cost(
    costs: np.ndarray, *, span: tuple[float, float], unit: np.ndarray | None = None
) -> Normal:
    """Mean cost of an image, from the cost of each (n,), n from 2; `span` as `cost_span`.

    The one-sided 95% bound (`auditor.stats.mean`) lies below the true cost in at most 6% of
    samples of 10 to 50 images with errors of 0.4% to 20%, in at most 9% of 200, and in at most
    7.5% of 20 units of 10 images correlated at 0.3 with errors of 1% to 20% (simulated).
    """
    return mean(costs, unit=unit, span=span)


def cost_span(matrix: np.ndarray, spent: np.ndarray) -> tuple[float, float]:
    """The least and the largest cost of a row, by costs (true class, answered class).

    A row may hold several errors: `spent` (n,) are the costs of rows that were seen.
    """
    low, high = float(matrix.min()), float(matrix.max())
    return min(low, float(spent.min(initial=low))), max(high, float(spent.max(initial=high)))
