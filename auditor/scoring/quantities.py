"""Quantities: named numbers over rows, which comparisons take and turn into measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.findings import Better, Scale
from auditor.scoring.cost import cost_span
from auditor.scoring.rows import Rows


@dataclass(frozen=True)
class Quantity:
    """A number over rows: a rate where `values` are bool (n,), else a mean of floats (n,).

    `better` is the direction in which it is good. Of the rows only those `at_risk` (n,) count
    (all, where None); `among` says which these are (" of class serious"; empty for all). `keys`
    go into the subject of its measures (``{"class": "serious"}``). A mean is of `scale` share or
    difference, or an amount of `unit` from `least`; `span` are the ends of the scale of each value
    (None: it has none), as in `auditor.stats.mean`. Examples are rows that are `harmed` (n,) bool,
    the largest `badness` (n,) first; all rows, and the model's confidence, where None. `title` is
    what tables and pictures call it ("wrongly called serious"), its name where empty.

    A set's value (average precision, a ratio of sums) is no mean of values that stay the same
    whatever else is in the set. `of_set` gives, for the rows under a mask (n,), pseudo-observations
    of those rows: their mean is the set's value, and their spread and that of their units is its
    error. `values` are those of all rows.
    """

    name: str
    values: np.ndarray
    better: Better
    at_risk: np.ndarray | None = None
    among: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    scale: Scale = "share"
    unit: str = ""
    least: float | None = None
    span: tuple[float, float] | None = None
    harmed: np.ndarray | None = None
    badness: np.ndarray | None = None
    title: str = ""
    of_set: Callable[[np.ndarray], np.ndarray] | None = None

    def over(self, keep: np.ndarray) -> np.ndarray:
        """Values of the rows under the mask `keep` (n,), as those rows alone have them."""
        return self.values[keep] if self.of_set is None else self.of_set(keep)

    def on_sides(self, member: np.ndarray) -> np.ndarray:
        """Values (n,) of the group's rows by the group alone, and of the others by the rest."""
        found = self.values.copy()
        if self.of_set is not None:
            found[member], found[~member] = self.of_set(member), self.of_set(~member)
        return found

    @property
    def is_rate(self) -> bool:
        return self.values.dtype == bool


def headline(rows: Rows) -> Quantity:
    """The share of rows answered rightly: accuracy of a classifier. All truth must be known."""
    return Quantity(rows.headline, rows.right, "higher", harmed=~rows.right)


def amount(rows: Rows, name: str) -> Quantity:
    """The mean of one of the rows' `amounts`."""
    found = rows.amounts[name]
    return Quantity(
        name,
        found.values,
        found.better,
        scale="amount",
        unit=found.unit,
        span=found.span,
        badness=found.values,
    )


def flag(rows: Rows, name: str) -> Quantity:
    """The share of rows with one of the rows' `flags`."""
    found = rows.flags[name]
    return Quantity(name, found, "lower", harmed=found)


def set_value(
    name: str, of_set: Callable[[np.ndarray], np.ndarray], *, n: int, better: Better = "higher",
    keys: Mapping[str, str] | None = None, title: str = "",
) -> Quantity:  # fmt: skip
    """A share that a whole set of `n` rows has: see `Quantity.of_set`."""
    return Quantity(
        name, of_set(np.ones(n, dtype=bool)), better, keys=keys or {}, least=0.0,
        span=(0.0, 1.0), title=title, of_set=of_set,
    )  # fmt: skip


def recall(rows: Rows, label: str) -> Quantity:
    """The share of rows of a class for which it is called."""
    found = rows.called(label)
    return Quantity(
        "recall", found, "higher", rows.present(label), f" of class {label}", {"class": label},
        harmed=~found, title=f"{label} found",
    )  # fmt: skip


def rightly_called(rows: Rows, label: str) -> NDArray[np.bool_]:
    """Rows for which a class is called and that are of it, (n,).

    A detector's box that says an object again is of its class, and not right.
    """
    called = rows.called(label)
    return called & (rows.right if rows.of == "answer" else rows.present(label))


def precision(rows: Rows, label: str) -> Quantity:
    """The share of rows for which a class is called that are of it."""
    called = rows.called(label)
    right = rightly_called(rows, label)
    return Quantity(
        "precision", right, "higher", called, f" answered {label}", {"class": label},
        harmed=called & ~right, title=f"answers {label} right",
    )  # fmt: skip


def false_positives(rows: Rows, label: str) -> Quantity:
    """The share of rows *not* of a class for which it is called."""
    wrong = rows.called(label)
    return Quantity(
        "false-positive", wrong, "lower", ~rows.present(label), f" not of class {label}",
        {"class": label}, harmed=wrong, title=f"wrongly called {label}",
    )  # fmt: skip


def false_negatives(rows: Rows, label: str) -> Quantity:
    """The share of rows of a class for which it is not called."""
    wrong = ~rows.called(label)
    return Quantity(
        "false-negative", wrong, "lower", rows.present(label), f" of class {label}",
        {"class": label}, harmed=wrong, title=f"{label} missed",
    )  # fmt: skip


def calls(rows: Rows, label: str) -> Quantity:
    """The share of rows for which a class is called, rightly or not; truth is not asked."""
    called = rows.called(label)
    return Quantity(
        "selection", called, "lower", keys={"class": label}, harmed=called, title=f"called {label}"
    )


def costs(rows: Rows, matrix: np.ndarray, *, unit: str) -> Quantity:
    """The mean cost of the answers, from costs (true class, answered class)."""
    values = rows.presence.costs(matrix)
    span = cost_span(matrix, values)
    return Quantity(
        "cost", values, "lower", scale="amount", unit=unit, least=span[0], span=span,
        harmed=values > 0, badness=values,
    )  # fmt: skip
